"""The bodies of the attention layers."""

from __future__ import annotations

import math

from bridge.graph.body import Refused, body, call_names, call_tensors, integers, number, refuse_option
from bridge.graph.layer import Layer, Shape


def attention_options(layer: Layer) -> tuple[bool, bool]:
    """Whether the call is causal, and whether it returns the attention scores too."""
    call = layer.config["call"]
    return bool(call.get("use_causal_mask")), bool(call.get("return_attention_scores"))


def check_heads(layer: Layer, shapes: list[Shape]) -> None:
    """Raises Refused for the calls of a multi-head layer that can't be converted."""
    refuse_option(layer, activity_regularizer=None)
    given = call_tensors(layer, shapes)
    ranks = {len(given[name]) for name in ("query", "value", "key") if name in given}
    if len(ranks) > 1 or min(ranks) < 3:
        raise Refused("its inputs are not all of one rank, (batch, steps, features) or with more axes")
    rank = ranks.pop()
    if rank != 3 and layer.kind == "GroupedQueryAttention":
        raise Refused("its inputs are not (batch, steps, features)")
    axes = attention_axes(layer, shapes)
    if len({*axes}) != len(axes) or not axes or not all(0 < axis < rank - 1 for axis in axes):
        raise Refused(f"its attention_axes={axes} are no axes between the batch and the features")
    if axes != (1,) and (attention_options(layer)[0] or layer.config.get("sliding_window") is not None):
        raise Refused("it is causal or has a window over other axes than the first; Keras looks at the first alone")
    _check_masks(given, rank, axes)


def _check_masks(given: dict[str, Shape], rank: int, axes: tuple[int, ...]) -> None:
    """Raises Refused where Keras would lay the batch axis of one mask on another axis of the next, or of the scores."""
    own = {len(given[name]) for name in ("query_mask", "value_mask", "key_mask") if name in given}
    if own and not (own == {2} and axes == (1,)) and not (own == {rank - 1} and axes == (rank - 2,)):
        raise Refused("its inputs have masks that don't fit the axes it attends to, which Keras can't compute either")
    mask = given.get("attention_mask")
    if mask is None:
        return
    if not 2 * len(axes) <= len(mask) <= rank + len(axes):
        raise Refused(f"its attention_mask has {len(mask)} axes")
    joined = max(own, default=0) + 1
    if own and (len(mask) > joined or (len(mask) < joined and mask[0] is None)):
        raise Refused(
            f"it has an attention_mask of rank {len(mask)} and masks of its inputs: Keras joins them from the last "
            "axis on, where the batch of one meets another axis of the other"
        )


def attention_axes(layer: Layer, shapes: list[Shape]) -> tuple[int, ...]:
    """The axes that a multi-head layer attends to."""
    given = layer.config.get("attention_axes")
    return tuple(range(1, len(shapes[0]) - 1)) if given is None else tuple(int(axis) for axis in given)


def zeroed_rows(layer: Layer, shapes: list[Shape]) -> bool:
    """Whether a query whose keys are all masked sees none: where Keras computes the scores itself. Else all alike."""
    return attention_options(layer)[1] or layer.config["dropout"] > 0 or len(shapes[0]) > 3


@body("MultiHeadAttention")
@body("GroupedQueryAttention")
def multi_head_attention(layer: Layer, shapes: list[Shape]) -> str:
    """y = projection of softmax(q k / sqrt(dim)) v, in which q, k and v are projections, split into heads.

    Of inputs with more axes than three, those that are not attended to stand beside the batch. Queries whose keys are
    all masked: see zeroed_rows.
    """
    check_heads(layer, shapes)
    tensors, rank, axes = call_names(layer), len(shapes[0]), attention_axes(layer, shapes)
    others = [axis for axis in range(1, rank - 1) if axis not in axes]
    order = [0, *others, rank - 1, *axes, rank]  # batch, others, heads, attended, features
    heads, dim = layer.weights["query/kernel"].shape[1:]
    shared = heads // layer.weights["key/kernel"].shape[1]
    x = {"query": tensors["query"], "value": tensors["value"], "key": tensors.get("key", tensors["value"])}
    lines = "".join(_projected(layer, name, source, rank) for name, source in x.items())
    for name, short in (("query", "q"), ("key", "k"), ("value", "v")):
        if shared > 1 and name != "query":
            lines += _repeated(name, short, shared)
            continue
        size = layer.weights[f"{name}/kernel"].shape[2]
        lines += f"{short}_apart = Transpose <perm = {order}> ({name}_heads)\n"
        lines += integers(f"{short}_joined", [*[0] * (len(others) + 2), -1, size])
        lines += (
            f"{short} = Reshape({short}_apart, {short}_joined)\n"
            if len(axes) > 1
            else f"{short} = Identity({short}_apart)\n"
        )
    turned = [*range(len(others) + 2), len(others) + 3, len(others) + 2]
    lines += number("scale", 1 / math.sqrt(dim), x["query"]) + f"kt = Transpose <perm = {turned}> (k)\n"
    lines += "scaled = Mul(q, scale)\nlogits = MatMul(scaled, kt)\n"
    lines += _softmax(layer, shapes, len(others), len(axes)) + "context = MatMul(probabilities, v)\n"
    back = [order.index(axis) for axis in range(rank + 1)]
    if len(axes) > 1:
        lines += f"q_sizes = Shape <start = 0, end = {len(order) - 1}> (q_apart)\n"
        lines += integers("value_size", [layer.weights["value/kernel"].shape[2]])
        lines += (
            "apart_sizes = Concat <axis = 0> (q_sizes, value_size)\ncontext_apart = Reshape(context, apart_sizes)\n"
        )
    lines += f"back = Transpose <perm = {back}> ({'context_apart' if len(axes) > 1 else 'context'})\n"
    if layer.config.get("use_gate"):
        lines += _projected(layer, "gate", x["query"], rank) + "gate = Sigmoid(gate_heads)\ngated = Mul(back, gate)\n"
    else:
        lines += "gated = Identity(back)\n"
    kernel = layer.weights["attention_output/kernel"].shape
    front = [0] * (rank - 1)
    lines += integers("flat", [*front, kernel[0] * kernel[1]]) + "together = Reshape(gated, flat)\n"
    lines += integers("wo_shape", [kernel[0] * kernel[1], math.prod(kernel[2:])])
    lines += "wo = Reshape(attention_output_kernel, wo_shape)\nout = MatMul(together, wo)\n"
    lines += integers("out_shape", [*front, *kernel[2:]]) + "shaped = Reshape(out, out_shape)\n"
    biased = "attention_output/bias" in layer.weights
    lines += "y = Add(shaped, attention_output_bias)\n" if biased else "y = Identity(shaped)\n"
    return lines + ("y1 = Identity(scores)\n" if attention_options(layer)[1] else "")


def _softmax(layer: Layer, shapes: list[Shape], others: int, axes: int) -> str:
    """logits -> probabilities, and `scores`, the same with the attended axes apart."""
    given = call_tensors(layer, shapes)
    lines, query = "", call_names(layer)["query"]
    mask = _mask(layer, given, others + 2 + 2 * axes, axes)
    apart = axes > 1
    if apart:
        lines += f"front = Shape <start = 0, end = {others + 2 + axes}> (q_apart)\n"
        lines += f"behind = Shape <start = {others + 2}, end = {others + 2 + axes}> (k_apart)\n"
        lines += "scores_shape = Concat <axis = 0> (front, behind)\nflat_shape = Shape(logits)\n"
    if mask:
        lines += mask + number("least", -1e9, query)
        lines += "full = Reshape(logits, scores_shape)\n" if apart else "full = Identity(logits)\n"
        lines += "masked = Where(mask, full, least)\n"
        lines += "kept = Reshape(masked, flat_shape)\n" if apart else "kept = Identity(masked)\n"
    lines += f"soft = Softmax <axis = -1> ({'kept' if mask else 'logits'})\n"
    lines += "soft_apart = Reshape(soft, scores_shape)\n" if apart else "soft_apart = Identity(soft)\n"
    if mask and zeroed_rows(layer, shapes):
        lines += number("zero", 0, query) + "scores = Where(mask, soft_apart, zero)\n"
    else:
        lines += "scores = Identity(soft_apart)\n"
    return lines + ("probabilities = Reshape(scores, flat_shape)\n" if apart else "probabilities = Identity(scores)\n")


def _projected(layer: Layer, name: str, x: str, rank: int) -> str:
    """(batch, ..., features) -> `name`_heads: (batch, ..., heads, dim)."""
    features, heads, dim = layer.weights[f"{name}/kernel"].shape
    lines = integers(f"{name}_wide", [features, heads * dim]) + integers(
        f"{name}_split", [*[0] * (rank - 1), heads, dim]
    )
    lines += f"{name}_matrix = Reshape({name}_kernel, {name}_wide)\n{name}_flat = MatMul({x}, {name}_matrix)\n"
    if f"{name}/bias" not in layer.weights:
        return f"{lines}{name}_heads = Reshape({name}_flat, {name}_split)\n"
    return f"{lines}{name}_raw = Reshape({name}_flat, {name}_split)\n{name}_heads = Add({name}_raw, {name}_bias)\n"


def _repeated(name: str, short: str, times: int) -> str:
    """Each head `times` times in a row: (batch, steps, heads, dim) -> (batch, heads * times, steps, dim)."""
    lines = f"{short}_few = Transpose <perm = [0, 2, 1, 3]> ({name}_heads)\n" + integers(f"{short}_axis", [2])
    lines += f"{short}_one = Unsqueeze({short}_few, {short}_axis)\n" + integers(f"{short}_times", [1, 1, times, 1, 1])
    lines += f"{short}_many = Tile({short}_one, {short}_times)\n"
    lines += integers(f"{short}_minus", [-1]) + integers(f"{short}_zero", [0])
    lines += f"{short}_tail = Shape <start = 2> ({short}_few)\n"
    lines += f"{short}_shape = Concat <axis = 0> ({short}_zero, {short}_minus, {short}_tail)\n"
    return lines + f"{short} = Reshape({short}_many, {short}_shape)\n"


def _mask(layer: Layer, given: dict[str, Shape], rank: int, axes: int) -> str:
    """Lines that define `mask`, true where a query may look, of the scores' rank; "" without a mask.

    Masks are joined as they are, from the last axis on; axes for heads, and others, come in before the attended ones.
    """
    tensors = call_names(layer)
    lines, masks = "", {}
    for name in ("query_mask", "value_mask", "key_mask"):
        if name in tensors:
            place = len(given[name]) - (name != "query_mask")
            lines += f"{name}_bool = Cast <to = 9> ({tensors[name]})\n" + integers(f"{name}_axis", [place])
            lines += f"{name}_wide = Unsqueeze({name}_bool, {name}_axis)\n"
            masks[f"{name}_wide"] = len(given[name]) + 1
    if "attention_mask" in tensors:
        lines += f"given_bool = Cast <to = 9> ({tensors['attention_mask']})\n"
        masks["given_bool"] = len(given["attention_mask"])
    window = layer.config.get("sliding_window")
    causal, _ = attention_options(layer)
    if causal or window is not None:
        lines += positions(tensors["query"], tensors["value"])
    if causal:
        lines += "causal = GreaterOrEqual(rows, columns)\n"
        masks["causal"] = 2
    if window is not None:
        lines += "apart = Sub(rows, columns)\nfar = Abs(apart)\n"
        lines += f"window = Constant <value_int = {int(window)}> ()\nnear = Less(far, window)\n"
        masks["near"] = 2
    if not masks:
        return ""
    joined, *more = masks
    for i, name in enumerate(more):
        lines += f"both{i} = And({joined}, {name})\n"
        joined = f"both{i}"
    most = max(masks.values())
    places = range(most - 2 * axes, rank - 2 * axes) if most > 2 * axes else ()
    if not places:
        return f"{lines}mask = Identity({joined})\n"
    return f"{lines}{integers('inner', places)}mask = Unsqueeze({joined}, inner)\n"


def positions(query: str, value: str, axis: int = 1) -> str:
    """Lines that define `rows` (query steps, 1) and `columns` (1, value steps): the steps' numbers along an axis."""
    lines = "nought = Constant <value_int = 0> ()\nunit = Constant <value_int = 1> ()\n"
    lines += integers("to_column", [1]) + integers("to_row", [0]) + integers("scalar", [0])
    for name, x in (("t", query), ("s", value)):
        lines += f"{name}_one = Shape <start = {axis}, end = {axis + 1}> ({x})\n"
        lines += f"{name}_length = Squeeze({name}_one, scalar)\n"
        lines += f"{name}_steps = Range(nought, {name}_length, unit)\n"
    return lines + "rows = Unsqueeze(t_steps, to_column)\ncolumns = Unsqueeze(s_steps, to_row)\n"


@body("Attention")
@body("AdditiveAttention")
def attention(layer: Layer, shapes: list[Shape]) -> str:
    """y = softmax(scores of query and key) value; 0 in the rows whose query is masked.

    The scores are products, or sums over the features of tanh(query + key). A masked key's score is less by 1e9.
    """
    check_attention(layer, shapes)
    tensors, rank = call_names(layer), len(shapes[0])
    causal, scores = attention_options(layer)
    q, v = tensors["query"], tensors["value"]
    k = tensors.get("key", v)
    if layer.config.get("score_mode") == "dot":
        lines = f"kt = Transpose <perm = {[*range(rank - 2), rank - 1, rank - 2]}> ({k})\nproduct = MatMul({q}, kt)\n"
        lines += "logits = Mul(product, scale)\n" if "scale" in layer.weights else "logits = Identity(product)\n"
    else:
        lines = integers("after", [-2]) + integers("before", [-3]) + integers("last", [-1])
        lines += f"q4 = Unsqueeze({q}, after)\nk4 = Unsqueeze({k}, before)\nsum = Add(q4, k4)\n"
        additive = layer.kind == "AdditiveAttention"
        scaled = "scale" in layer.weights
        lines += "inner = Mul(sum, scale)\n" if scaled and not additive else "inner = Identity(sum)\n"
        lines += "tanh = Tanh(inner)\n"
        lines += "outer = Mul(tanh, scale)\n" if scaled and additive else "outer = Identity(tanh)\n"
        lines += "total = ReduceSum <keepdims = 0> (outer, last)\n"
        lines += "logits = Identity(total)\n" if additive else "logits = Mul(total, concat_score_weight)\n"
    masks = []
    if "value_mask" in tensors:
        lines += f"value_bool = Cast <to = 9> ({tensors['value_mask']})\n" + integers("value_axes", [-2])
        lines += "value_wide = Unsqueeze(value_bool, value_axes)\n"
        masks.append("value_wide")
    if causal:
        lines += positions(q, k, rank - 2) + "causal = GreaterOrEqual(rows, columns)\n"
        masks.append("causal")
    if len(masks) > 1:
        lines += f"both = And({', '.join(masks)})\n"
        masks = ["both"]
    if masks:
        lines += number("billion", 1e9, q) + f"less = Sub(logits, billion)\nkept = Where({masks[0]}, logits, less)\n"
    lines += f"probabilities = Softmax <axis = -1> ({'kept' if masks else 'logits'})\n"
    lines += f"context = MatMul(probabilities, {v})\n"
    if "query_mask" in tensors:
        lines += f"query_bool = Cast <to = 9> ({tensors['query_mask']})\n" + integers("query_axes", [-1])
        lines += "query_wide = Unsqueeze(query_bool, query_axes)\n" + number("zero", 0, q)
        lines += "y = Where(query_wide, context, zero)\n"
    else:
        lines += "y = Identity(context)\n"
    return lines + ("y1 = Identity(probabilities)\n" if scores else "")


def check_attention(layer: Layer, shapes: list[Shape]) -> None:
    """Raises Refused for the calls of an attention layer without heads that can't be converted."""
    given = call_tensors(layer, shapes)
    ranks = {len(given[name]) for name in ("query", "value", "key") if name in given}
    if len(ranks) > 1 or min(ranks) < 3:
        raise Refused("its inputs are not all of one rank, (batch, steps, features) or with more axes")
    rank, causal = ranks.pop(), attention_options(layer)[0]
    if "value_mask" in given and len(given["value_mask"]) != rank - 1:
        raise Refused("its value's mask has not the axes of its value")
    if "value_mask" in given and rank > 3 and not causal:
        raise Refused("its value has a mask and more axes than three: Keras would lay the mask on other axes")
    if "query_mask" in given and len(given["query_mask"]) != rank - 1:
        raise Refused("its query's mask has not the axes of its query")
