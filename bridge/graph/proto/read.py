"""The graph of a layered ONNX model, held against all that the file says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from bridge.errors import BridgeError
from bridge.graph import own_layers, stored
from bridge.graph.body import DOMAIN, OPSET, Refused, meaning
from bridge.graph.changes import in_training, inner_layers
from bridge.graph.changes.inner import inner_graphs
from bridge.graph.layer import Graph, Node, Value, Weight
from bridge.graph.proto.facts import FORMAT, read_facts
from bridge.graph.proto.nodes import body_function, read_node
from bridge.graph.proto.values import read_value


def is_layered(proto: onnx.ModelProto) -> bool:
    """Whether bridge wrote this model with a node for each layer (and it was not inlined)."""
    return any(p.key == "bridge.format" for p in proto.metadata_props)


def from_proto(proto: onnx.ModelProto, file: str = "the model") -> Graph:
    """The graph of a layered model; each weight and each node is checked against what the file says of it.

    Raises BridgeError, which names `file`, for a plain ONNX model or one that contradicts itself.
    """
    properties = {p.key: p.value for p in proto.metadata_props}
    _check_format(proto, properties.get("bridge.format"), file)
    facts, source = read_facts(properties.get("bridge.facts", ""), file)
    tensors = {t.name: t for t in proto.graph.initializer}
    weights = _weights(facts, tensors, file)
    pairs = _nodes(proto, weights, file)
    within: list[tuple[Node, onnx.NodeProto]] = []
    for node, _ in pairs:
        for name, inner in inner_graphs(node).items():
            node.attributes[name] = inner_layers.read(inner, partial(read_node, weights=weights, file=file), within)
    _check_names([node for node, _ in pairs], [node for node, _ in within], file)
    inputs = [read_value(v) for v in proto.graph.input]
    outputs = [read_value(v) for v in proto.graph.output]
    graph = Graph(
        name=proto.graph.name,
        inputs=inputs,
        outputs=outputs,
        nodes=[node for node, _ in pairs],
        weights=weights,
        arrays=stored.arrays_of([tensors[p] for p in weights], Path(file)),
        constants=in_training.constants(proto)
        | dict(stored.arrays_of([t for n, t in tensors.items() if n not in weights], Path(file))),
        values={v.name: v for v in [*inputs, *_between(proto, [written for _, written in pairs]), *outputs]},
        keras_config=properties.get("bridge.keras_config"),
        source=source,
        saved_model=properties.get("bridge.saved_model"),
        checkpoint=properties.get("bridge.checkpoint"),
        inner={node.name: node for node, _ in within},
    )
    _check_functions(graph, [*pairs, *within], proto, file)
    return graph


def _check_format(proto: onnx.ModelProto, format: str | None, file: str) -> None:
    if format is None:
        raise BridgeError(
            f"{file}: is a plain ONNX file, not a layered one: it does not say which Keras layer a node belongs to.\n"
            "Convert the Keras model itself: bridge convert keras2onnx MODEL -o FILE.onnx (without --inline)"
        )
    if format != FORMAT:
        raise BridgeError(f"{file}: was written by another version of bridge (format {format[:20]!r}). Convert again.")
    if not any(opset.domain in ("", "ai.onnx") and opset.version == OPSET for opset in proto.opset_import):
        raise BridgeError(f"{file}: is not of opset {OPSET}, which layered models are written in. Convert again.")
    if any(t.data_type == onnx.TensorProto.STRING for t in proto.graph.initializer):
        raise BridgeError(f"{file}: holds text as a tensor, which no layered model does. The file is damaged.")


def _weights(facts: dict[str, dict[str, Any]], tensors: dict[str, onnx.TensorProto], file: str) -> dict[str, Weight]:
    found = {}
    for path, options in facts.items():
        if path not in tensors:
            raise BridgeError(f"{file}: the weight {path} is listed but missing. The file is damaged; convert again.")
        shape, dtype = tuple(tensors[path].dims), helper.tensor_dtype_to_np_dtype(tensors[path].data_type)
        found[path] = Weight(path, shape, dtype.name, **options)
    return found


def _nodes(proto: onnx.ModelProto, weights: dict[str, Weight], file: str) -> list[tuple[Node, onnx.NodeProto]]:
    """All but those in loops and conditions, each with how it is written."""
    try:
        nodes = in_training.all_nodes(proto)
    except BridgeError as reason:
        raise BridgeError(f"{file}: {reason}. The file is damaged; convert again.") from None
    return [(read_node(node, weights, file), node) for node in nodes]


def _check_names(nodes: list[Node], within: list[Node], file: str) -> None:
    """Layers in loops and conditions are known by the names of their nodes."""
    names = Counter([*{node.name for node in nodes}, *(node.name for node in within)])
    if twice := [node.name for node in within if names[node.name] > 1]:
        raise BridgeError(f"{file}: two of its nodes are called {twice[0][:80]!r}. The file is damaged; convert again.")


def _between(proto: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> list[Value]:
    """What is known of the tensors between a file's nodes, those in loops and conditions too."""
    return [read_value(info) for info in [*inner_layers.values(nodes), *in_training.value_infos(proto)]]


def _check_functions(
    graph: Graph, pairs: Iterable[tuple[Node, onnx.NodeProto]], proto: onnx.ModelProto, file: str
) -> None:
    """Each layer's function must be what its config says: torch follows the config, runtimes the function."""
    held = {(f.name, f.overload): meaning(f) for f in proto.functions if f.domain == DOMAIN}
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
        try:
            expected = meaning(body_function(graph, node))
        except Refused as reason:
            raise BridgeError(f"{file}: {node}: {reason}.\nThe file is damaged; convert again.") from None
        if held.get((node.kind, written.overload)) != expected:
            raise BridgeError(
                f"{file}: {node}: its config and its function disagree. The file is damaged; convert again."
            )
