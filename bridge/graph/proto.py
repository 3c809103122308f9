"""A layered model as ONNX: every Keras layer one node, its body a model-local function, its weights untouched."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bridge.errors import BridgeError
from bridge.graph import own_layers, stored
from bridge.graph.body import DOMAIN, OPSET, Refused, function_of
from bridge.graph.changes import in_training, inner_layers
from bridge.graph.changes.inner import inner_graphs, taken_by
from bridge.graph.layer import Graph, Layer, Node, Shape, Value, Weight

FORMAT = "1"
IR_VERSION = 10  # the first whose functions have overloads
DEEPEST = 64  # layers within layers


def to_proto(graph: Graph, most_inside: int | None = None) -> onnx.ModelProto:
    """The layered ONNX model. Raises BridgeError if a layer has no body.

    most_inside: bytes of weights that it may hold, by default what a protobuf can; of more, only their places are in
    it, and write_proto wants the numbers.
    """
    functions: dict[tuple[str, bytes], onnx.FunctionProto] = {}

    def layer_proto(node: Node) -> onnx.NodeProto:
        """The node of a layer, whose meaning is put to the functions."""
        function = _function(graph, node)
        kind = f"{function.domain}.{function.name}"
        key = (kind, function.SerializeToString(deterministic=True))
        if key not in functions:
            count = sum(other == kind for other, _ in functions)
            function.overload = str(count + 1) if count else ""
            functions[key] = function
        return _layer_node(node, functions[key].overload)

    def proto_of(node: Node) -> onnx.NodeProto:
        if node.layer is not None:
            return layer_proto(node)
        attributes = dict(node.attributes)
        for name, inner in inner_graphs(node).items():
            attributes[name] = inner_layers.written(graph, inner, layer_proto, _value_info_inside)
        return helper.make_node(node.kind, node.inputs, node.outputs, node.name, **attributes)

    nodes: list[onnx.NodeProto] = []
    beside: list[onnx.NodeProto] = []
    refused: list[str] = []
    acting = {id(node) for node in in_training.needed(graph.nodes, [value.name for value in graph.outputs])}
    alone = {id(node) for node in in_training.needed(graph.nodes, _trained(graph), trained=True)} - acting
    for node in graph.nodes:
        listed = beside if id(node) in alone else nodes
        try:
            listed.append(proto_of(node))
        except Refused as reason:
            refused.append(f"{node}: {reason}")
    if refused:
        raise BridgeError(f"{graph.name}: can't be converted yet: {'; '.join(dict.fromkeys(refused))}.")
    apart = {name for node in beside for name in node.output} | {*inner_layers.made_inside([*nodes, *beside])}
    shown = {name for node in nodes for name in taken_by(node)} | {value.name for value in graph.outputs}
    aside = {name: array for name, array in graph.constants.items() if beside and name not in shown}
    onnx_graph = helper.make_graph(
        nodes,
        graph.name,
        [_value_info(value) for value in graph.inputs],
        [_value_info(value) for value in graph.outputs],
        [*_initializers(graph, stored.MOST_INSIDE if most_inside is None else most_inside, aside)],
        value_info=[  # their first axis need not be the batch: TimeDistributed and the user's code may merge others in
            _value_info_inside(v)
            for v in graph.values.values()
            if v.shape is not None and v.name not in apart and _is_between(graph, v.name)
        ],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    opsets += [helper.make_opsetid(own_layers.DOMAIN, 1)] * any(
        f.domain == own_layers.DOMAIN for f in functions.values()
    )
    proto = helper.make_model(onnx_graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="bridge")
    proto.functions.extend(functions.values())
    if beside:
        infos = [_value_info_inside(value) for value in graph.values.values() if value.shape is not None]
        proto.functions.append(in_training.function_of(beside, _trained(graph), aside, infos))
    facts = {"weights": {p: _weight_facts(w) for p, w in graph.weights.items()}, "source": graph.source}
    metadata = {"bridge.format": FORMAT, "bridge.facts": json.dumps(facts)}
    if graph.keras_config is not None:
        metadata["bridge.keras_config"] = graph.keras_config
    if graph.saved_model is not None:
        metadata["bridge.saved_model"] = graph.saved_model
    helper.set_model_props(proto, metadata)
    return proto


def _initializers(graph: Graph, most_inside: int, aside: Iterable[str]) -> Iterator[onnx.TensorProto]:
    """All weights and constants but those that are `aside`."""
    inside, end = graph.weight_bytes <= most_inside, 0
    for path, weight in graph.weights.items():
        if inside or weight.nbytes < stored.SMALL:
            yield numpy_helper.from_array(graph.arrays[path], path)
        else:
            offset = stored.next_offset(end, weight.nbytes)
            end = offset + weight.nbytes
            yield stored.outside_tensor(path, weight.dtype, weight.shape, offset)
    for name, array in graph.constants.items():
        if name not in aside:
            yield numpy_helper.from_array(array, name)


def _function(graph: Graph, node: Node) -> onnx.FunctionProto:
    """The meaning of a layer's node: bridge's own, or the one that the user's rule gave it. Raises Refused."""
    assert node.layer is not None
    if own_layers.is_own(node.layer) and not node.is_split:
        function = onnx.FunctionProto()
        function.CopyFrom(graph.functions[node.name])
        function.ClearField("overload")
        return function
    shapes = [graph.values[name].shape or () for name in _tensors(node)]
    return function_of(node.layer, shapes, len(node.outputs))


def is_layered(proto: onnx.ModelProto) -> bool:
    """Whether bridge wrote this model with a node for each layer (and it was not inlined)."""
    return any(p.key == "bridge.format" for p in proto.metadata_props)


def from_proto(proto: onnx.ModelProto, file: str = "the model") -> Graph:
    """The graph of a layered model; each weight and each node is checked against what the file says of it.

    Raises BridgeError, which names `file`, for a plain ONNX model or one that contradicts itself.
    """
    properties = {p.key: p.value for p in proto.metadata_props}
    written = properties.get("bridge.format")
    if written is not None and written != FORMAT:
        raise BridgeError(f"{file}: was written by another version of bridge (format {written[:20]!r}). Convert again.")
    if written is None:
        raise BridgeError(
            f"{file}: is a plain ONNX file, not a layered one: it does not say which Keras layer a node belongs to.\n"
            "Convert the Keras model itself: bridge convert keras2onnx MODEL -o FILE.onnx (without --inline)"
        )
    if not any(opset.domain in ("", "ai.onnx") and opset.version == OPSET for opset in proto.opset_import):
        raise BridgeError(f"{file}: is not of opset {OPSET}, which layered models are written in. Convert again.")
    facts = _json(properties.get("bridge.facts", ""), file, "bridge.facts")
    if any(t.data_type == onnx.TensorProto.STRING for t in proto.graph.initializer):
        raise BridgeError(f"{file}: holds text as a tensor, which no layered model does. The file is damaged.")
    tensors = {t.name: t for t in proto.graph.initializer}
    weights: dict[str, Weight] = {}
    for path, fact in _dict(facts, "weights", file).items():
        if path not in tensors:
            raise BridgeError(f"{file}: the weight {path} is listed but missing. The file is damaged; convert again.")
        shape, dtype = tuple(tensors[path].dims), helper.tensor_dtype_to_np_dtype(tensors[path].data_type)
        weights[path] = Weight(path, shape, dtype.name, **_weight_options(fact, path, file))
    try:
        written = in_training.all_nodes(proto)
    except BridgeError as reason:
        raise BridgeError(f"{file}: {reason}. The file is damaged; convert again.") from None
    pairs = [(_node(n, weights, file), n) for n in written]
    within: list[tuple[Node, onnx.NodeProto]] = []
    for node, _ in pairs:
        for name, inner in inner_graphs(node).items():
            node.attributes[name] = inner_layers.read(inner, partial(_node, weights=weights, file=file), within)
    _check_names([node for node, _ in pairs], [node for node, _ in within], file)
    nodes = [node for node, _ in pairs]
    inputs = [_value(v) for v in proto.graph.input]
    outputs = [_value(v) for v in proto.graph.output]
    graph = Graph(
        name=proto.graph.name,
        inputs=inputs,
        outputs=outputs,
        nodes=nodes,
        weights=weights,
        arrays=stored.arrays_of([tensors[p] for p in weights], Path(file)),
        constants=in_training.constants(proto)
        | dict(stored.arrays_of([t for n, t in tensors.items() if n not in weights], Path(file))),
        values={v.name: v for v in [*inputs, *_between(proto, written), *outputs]},
        keras_config=properties.get("bridge.keras_config"),
        source=_dict(facts, "source", file),
        saved_model=properties.get("bridge.saved_model"),
        inner={node.name: node for node, _ in within},
    )
    _check_bodies(graph, [*pairs, *within], proto, file)
    return graph


def _check_names(nodes: list[Node], within: list[Node], file: str) -> None:
    """Layers in loops and conditions are known by the names of their nodes."""
    names = Counter([*{node.name for node in nodes}, *(node.name for node in within)])
    if twice := [node.name for node in within if names[node.name] > 1]:
        raise BridgeError(f"{file}: two of its nodes are called {twice[0][:80]!r}. The file is damaged; convert again.")


def _between(proto: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> list[Value]:
    """What is known of the tensors between a file's nodes, those in loops and conditions too."""
    return [_value(info) for info in [*inner_layers.values(nodes), *in_training.value_infos(proto)]]


def _trained(graph: Graph) -> list[str]:
    return [name for node in graph.nodes for name in in_training.in_training(node)]


def _tensors(node: Node) -> list[str]:
    """The tensors that a node takes in the file."""
    return in_training.in_inference(node) if node.kind in in_training.KINDS else node.tensors


def _check_bodies(
    graph: Graph, pairs: Iterable[tuple[Node, onnx.NodeProto]], proto: onnx.ModelProto, file: str
) -> None:
    """Each layer's function must be what its config says: torch follows the config, runtimes the function."""
    held = {(f.name, f.overload): _signature(f) for f in proto.functions if f.domain == DOMAIN}
    own = {(f.name, f.overload): f for f in proto.functions if f.domain == own_layers.DOMAIN}
    for node, written in pairs:
        if node.layer is None:
            continue
        if written.domain == own_layers.DOMAIN:
            if (written.op_type, written.overload) not in own:
                raise BridgeError(f"{file}: {node}: its function is missing. The file is damaged; convert again.")
            graph.functions[node.name] = own[written.op_type, written.overload]
        if unknown := [name for name in node.tensors if name not in graph.values]:
            raise BridgeError(f"{file}: {node}: nothing is known of its input {unknown[0]!r}. The file is damaged.")
        if node.name in graph.functions:
            continue  # its meaning is the user's; with_rules compares it with their rules
        shapes = [graph.values[name].shape or () for name in _tensors(node)]
        try:
            expected = _signature(function_of(node.layer, shapes, len(node.outputs)))
        except Refused as reason:
            raise BridgeError(f"{file}: {node}: {reason}.\nThe file is damaged; convert again.") from None
        if held.get((node.kind, written.overload)) != expected:
            raise BridgeError(
                f"{file}: {node}: its config and its function disagree. The file is damaged; convert again."
            )


def _signature(function: onnx.FunctionProto) -> bytes:
    bare = onnx.FunctionProto()
    bare.CopyFrom(function)
    bare.ClearField("overload")
    return bytes(bare.SerializeToString(deterministic=True))


def _is_between(graph: Graph, name: str) -> bool:
    return all(name != v.name for v in [*graph.inputs, *graph.outputs])


def _layer_node(node: Node, overload: str) -> onnx.NodeProto:
    layer = node.layer
    assert layer is not None
    inputs, config = in_training.told(node)
    attributes: dict[str, Any] = {"path": layer.path, "config": json.dumps(config)}
    if layer.weights:
        attributes["weights"] = list(layer.weights)
    if not layer.trainable:
        attributes["trainable"] = 0
    if node.is_split:
        attributes["split"] = 1
    if node.training is not None:
        attributes["training"] = int(node.training)
    kind, domain = node.kind, DOMAIN
    if own_layers.is_own(layer) and not node.is_split:
        attributes[own_layers.REGISTERED] = layer.kind
        kind, domain = own_layers.operator(layer.kind), own_layers.DOMAIN
    proto = helper.make_node(kind, inputs, node.outputs, node.name, domain=domain, **attributes)
    proto.overload = overload
    return proto


def _node(proto: onnx.NodeProto, weights: dict[str, Weight], file: str) -> Node:
    attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
    inputs, outputs = list(proto.input), list(proto.output)
    if proto.domain not in (DOMAIN, own_layers.DOMAIN):
        if proto.domain not in ("", "ai.onnx"):
            raise BridgeError(f"{file}: node {proto.name!r} is of the unknown domain {proto.domain!r}.")
        return Node(proto.name, proto.op_type, inputs, outputs, attributes=attributes)
    try:
        path = attributes["path"].decode()
        own = [name.decode() for name in attributes.get("weights", [])]
        written = attributes.get("config", b"").decode(errors="replace")
        kind = attributes[own_layers.REGISTERED].decode() if proto.domain == own_layers.DOMAIN else proto.op_type
        if (
            (proto.domain == own_layers.DOMAIN) != (">" in kind)
            or (
                ">" in kind
                and (len(kind) > 200 or own_layers.operator(kind) != proto.op_type or not kind.isprintable())
            )
            or path.count("/") > DEEPEST
            or not all(word.replace("/", "_").isidentifier() for word in own)
            or len(set(own)) != len(own)
        ):
            raise ValueError(path)
    except (KeyError, AttributeError, TypeError, ValueError):
        raise BridgeError(
            f"{file}: node {proto.name[:80]!r} does not say which layer it is. The file is damaged; convert again."
        ) from None
    paths = inputs[len(inputs) - len(own) :] if own else []
    if len(paths) != len(own) or any(p not in weights for p in paths):
        raise BridgeError(f"{file}: {path} ({proto.op_type}) has weights that the file does not hold. It is damaged.")
    config = _json(written, file, f"the config of {path}")
    if proto.op_type in in_training.KINDS:
        inputs = [*inputs, *in_training.trained_names(proto)]
        config = {"name": config.get("name")}
        if not in_training.fits(Node(proto.name, kind, inputs, outputs)):
            raise BridgeError(f"{file}: {path} does not say what training gives. The file is damaged; convert again.")
    layer = Layer(
        kind=kind,
        path=path,
        config=config,
        weights={name: weights[p] for name, p in zip(own, paths, strict=True)},
        trainable=bool(attributes.get("trainable", 1)),
    )
    training = attributes.get("training")
    return Node(
        name=proto.name,
        kind=kind,
        inputs=inputs,
        outputs=outputs,
        layer=layer,
        training=None if training is None else bool(training),
        attributes={"split": True} if attributes.get("split") else {},
    )


def _weight_facts(weight: Weight) -> dict[str, Any]:
    facts: dict[str, Any] = {"state": weight.state, "trainable": weight.trainable}
    facts |= {"regularizer": weight.regularizer, "constraint": weight.constraint, "initializer": weight.initializer}
    return {key: value for key, value in facts.items() if value != Weight.__dataclass_fields__[key].default}


def _weight_options(fact: Any, path: str, file: str) -> dict[str, Any]:
    known = {"state": bool, "trainable": bool, "regularizer": dict, "constraint": dict, "initializer": dict}
    if not isinstance(fact, dict) or any(k not in known or not isinstance(v, known[k]) for k, v in fact.items()):
        raise BridgeError(f"{file}: what it says of the weight {path} can't be read: {str(fact)[:80]}")
    return fact


def _value(info: onnx.ValueInfoProto) -> Value:
    tensor = info.type.tensor_type
    shape: Shape | None = None
    if tensor.HasField("shape"):
        shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    return Value(info.name, shape, _dtype_name(tensor.elem_type))


def _value_info(value: Value, first: str | None = "batch") -> onnx.ValueInfoProto:
    """first: what the first axis is called where its length is not known."""
    shape: list[Any] | None = None
    if value.shape is not None:
        shape = [first if axis == 0 and size is None else size for axis, size in enumerate(value.shape)]
    return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype)), shape)


def _value_info_inside(value: Value) -> onnx.ValueInfoProto:
    return _value_info(value, first=None)


def _dtype_name(elem_type: int) -> str:
    return helper.tensor_dtype_to_np_dtype(elem_type).name if elem_type else "float32"


def _json(text: str, file: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BridgeError(f"{file}: {what} is not a JSON object. The file is damaged; convert again.")
    return value


def _dict(facts: dict[str, Any], key: str, file: str) -> dict[str, Any]:
    value = facts.get(key)
    if not isinstance(value, dict):
        raise BridgeError(f"{file}: bridge.facts has no {key!r}. The file is damaged; convert again.")
    return value
