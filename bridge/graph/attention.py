"""The bodies of the attention layers."""

from __future__ import annotations

import math

from bridge.graph.body import Refused, body, call_names, call_tensors, integers, number
from bridge.graph.layer import Layer, Shape
from bridge.graph.layers import refuse_option


def attention_options(layer: Layer) -> tuple[bool, bool]:
    """Whether the call is causal, and whether it returns the attention scores too."""
    call = layer.config["call"]
    return bool(call.get("use_causal_mask")), bool(call.get("return_attention_scores"))


def check_heads(layer: Layer, shapes: list[Shape]) -> None:
    """Raises Refused for the calls of a multi-head layer that can't be converted."""
    refuse_option(layer, activity_regularizer=None)
    given = call_tensors(layer, shapes)
    ranks = [len(given[name]) for name in ("query", "value", "key") if name in given]
    if set(ranks) != {3}:
        raise Refused("its inputs are not all (batch, steps, features)")
    if len(given.get("attention_mask", ())) == 4 and {"query_mask", "value_mask", "key_mask"} & {*given}:
        raise Refused("it has an attention_mask of rank 4 and a mask of its inputs")


@body("MultiHeadAttention")
@body("GroupedQueryAttention")
def multi_head_attention(layer: Layer, shapes: list[Shape]) -> str:
    """y = projection of softmax(q k / sqrt(dim)) v, in which q, k and v are projections, split into heads.

    Rows whose keys are all masked see all of them alike, or none where Keras computes the scores itself, which it does
    for dropout and for return_attention_scores.
    """
    check_heads(layer, shapes)
    given = call_tensors(layer, shapes)
    tensors = call_names(layer)
    causal, scores = attention_options(layer)
    heads, dim = layer.weights["query/kernel"].shape[1:]
    shared = heads // layer.weights["key/kernel"].shape[1]
    x = {"query": tensors["query"], "value": tensors["value"], "key": tensors.get("key", tensors["value"])}
    lines = "".join(_projected(layer, name, source) for name, source in x.items())
    lines += "q = Transpose <perm = [0, 2, 1, 3]> (query_heads)\n"
    for name, short in (("key", "k"), ("value", "v")):
        lines += (
            f"{short} = Transpose <perm = [0, 2, 1, 3]> ({name}_heads)\n"
            if shared == 1
            else _repeated(name, short, shared)
        )
    lines += number("scale", 1 / math.sqrt(dim), x["query"]) + "kt = Transpose <perm = [0, 1, 3, 2]> (k)\n"
    lines += "scaled = Mul(q, scale)\nlogits = MatMul(scaled, kt)\n"
    mask = _mask(layer, tensors, given, causal)
    if mask:
        lines += mask + number("least", -1e9, x["query"]) + "kept = Where(mask, logits, least)\n"
        lines += "soft = Softmax <axis = -1> (kept)\n"
    else:
        lines += "soft = Softmax <axis = -1> (logits)\n"
    zeroed = mask and (scores or layer.config["dropout"] > 0)
    if zeroed:
        lines += number("zero", 0, x["query"]) + "probabilities = Where(mask, soft, zero)\n"
    else:
        lines += "probabilities = Identity(soft)\n"
    lines += "context = MatMul(probabilities, v)\nback = Transpose <perm = [0, 2, 1, 3]> (context)\n"
    if layer.config.get("use_gate"):
        lines += _projected(layer, "gate", x["query"]) + "gate = Sigmoid(gate_heads)\ngated = Mul(back, gate)\n"
    else:
        lines += "gated = Identity(back)\n"
    kernel = layer.weights["attention_output/kernel"].shape
    lines += integers("flat", [0, 0, kernel[0] * kernel[1]]) + "together = Reshape(gated, flat)\n"
    lines += integers("wo_shape", [kernel[0] * kernel[1], math.prod(kernel[2:])])
    lines += "wo = Reshape(attention_output_kernel, wo_shape)\nout = MatMul(together, wo)\n"
    lines += integers("out_shape", [0, 0, *kernel[2:]]) + "shaped = Reshape(out, out_shape)\n"
    biased = "attention_output/bias" in layer.weights
    lines += "y = Add(shaped, attention_output_bias)\n" if biased else "y = Identity(shaped)\n"
    return lines + ("y1 = Identity(probabilities)\n" if scores else "")


def _projected(layer: Layer, name: str, x: str) -> str:
    """(batch, steps, features) -> `name`_heads: (batch, steps, heads, dim)."""
    features, heads, dim = layer.weights[f"{name}/kernel"].shape
    lines = integers(f"{name}_wide", [features, heads * dim]) + integers(f"{name}_split", [0, 0, heads, dim])
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


def _mask(layer: Layer, tensors: dict[str, str], given: dict[str, Shape], causal: bool) -> str:
    """Lines that define `mask`, true where a query may look: (batch, 1 or heads, query, key); "" without a mask."""
    lines, masks = "", []
    for name, axes in (("query_mask", [1, 3]), ("value_mask", [1, 2]), ("key_mask", [1, 2])):
        if name in tensors:
            lines += f"{name}_bool = Cast <to = 9> ({tensors[name]})\n" + integers(f"{name}_axes", axes)
            lines += f"{name}_4 = Unsqueeze({name}_bool, {name}_axes)\n"
            masks.append(f"{name}_4")
    if "attention_mask" in tensors:
        lines += f"given_bool = Cast <to = 9> ({tensors['attention_mask']})\n"
        if len(given["attention_mask"]) == 3:
            lines += integers("given_axes", [1]) + "given_4 = Unsqueeze(given_bool, given_axes)\n"
        else:
            lines += "given_4 = Identity(given_bool)\n"
        masks.append("given_4")
    window = layer.config.get("sliding_window")
    if causal or window is not None:
        lines += positions(tensors["query"], tensors["value"])
    if causal:
        lines += "causal = GreaterOrEqual(rows, columns)\n"
        masks.append("causal")
    if window is not None:
        lines += "apart = Sub(rows, columns)\nfar = Abs(apart)\n"
        lines += f"window = Constant <value_int = {int(window)}> ()\nnear = Less(far, window)\n"
        masks.append("near")
    if not masks:
        return ""
    for i, name in enumerate(masks[1:]):
        lines += f"both{i} = And({masks[0]}, {name})\n"
        masks[0] = f"both{i}"
    return f"{lines}mask = Identity({masks[0]})\n"


def positions(query: str, value: str) -> str:
    """Lines that define `rows` (query steps, 1) and `columns` (1, value steps): the steps' numbers."""
    lines = "nought = Constant <value_int = 0> ()\nunit = Constant <value_int = 1> ()\n"
    lines += integers("to_column", [1]) + integers("to_row", [0]) + integers("scalar", [0])
    for name, x in (("t", query), ("s", value)):
        lines += f"{name}_one = Shape <start = 1, end = 2> ({x})\n{name}_length = Squeeze({name}_one, scalar)\n"
        lines += f"{name}_steps = Range(nought, {name}_length, unit)\n"
    return lines + "rows = Unsqueeze(t_steps, to_column)\ncolumns = Unsqueeze(s_steps, to_row)\n"


@body("Attention")
@body("AdditiveAttention")
def attention(layer: Layer, shapes: list[Shape]) -> str:
    """y = softmax(scores of query and key) value; 0 in the rows whose query is masked.

    The scores are products, or sums over the features of tanh(query + key). A masked key's score is less by 1e9.
    """
    check_attention(layer, shapes)
    tensors = call_names(layer)
    causal, scores = attention_options(layer)
    q, v = tensors["query"], tensors["value"]
    k = tensors.get("key", v)
    if layer.config.get("score_mode") == "dot":
        lines = f"kt = Transpose <perm = [0, 2, 1]> ({k})\nproduct = MatMul({q}, kt)\n"
        lines += "logits = Mul(product, scale)\n" if "scale" in layer.weights else "logits = Identity(product)\n"
    else:
        lines = integers("after", [2]) + integers("before", [1]) + integers("last", [-1])
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
        lines += f"value_bool = Cast <to = 9> ({tensors['value_mask']})\n" + integers("value_axes", [1])
        lines += "value_wide = Unsqueeze(value_bool, value_axes)\n"
        masks.append("value_wide")
    if causal:
        lines += positions(q, k) + "causal = GreaterOrEqual(rows, columns)\n"
        masks.append("causal")
    if len(masks) > 1:
        lines += f"both = And({', '.join(masks)})\n"
        masks = ["both"]
    if masks:
        lines += number("billion", 1e9, q) + f"less = Sub(logits, billion)\nkept = Where({masks[0]}, logits, less)\n"
    lines += f"probabilities = Softmax <axis = -1> ({'kept' if masks else 'logits'})\n"
    lines += f"context = MatMul(probabilities, {v})\n"
    if "query_mask" in tensors:
        lines += f"query_bool = Cast <to = 9> ({tensors['query_mask']})\n" + integers("query_axes", [2])
        lines += "query_wide = Unsqueeze(query_bool, query_axes)\n" + number("zero", 0, q)
        lines += "y = Where(query_wide, context, zero)\n"
    else:
        lines += "y = Identity(context)\n"
    return lines + ("y1 = Identity(probabilities)\n" if scores else "")


def check_attention(layer: Layer, shapes: list[Shape]) -> None:
    """Raises Refused for the calls of an attention layer without heads that can't be converted."""
    given = call_tensors(layer, shapes)
    if {len(given[name]) for name in ("query", "value", "key") if name in given} != {3}:
        raise Refused("its inputs are not all (batch, steps, features)")
