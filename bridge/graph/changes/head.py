"""The head of a classifier: finding it, and putting a new one with other classes in its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bridge.errors import BridgeError
from bridge.graph.bodies.activations import activation_name
from bridge.graph.body import Refused
from bridge.graph.changes.fresh import begin
from bridge.graph.changes.head_config import with_head
from bridge.graph.changes.inner import reads
from bridge.graph.layer import Graph, Layer, Node, Value

# What may stand between the head and the output: steps without weights that keep the last axis
_DROPOUTS = ("Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout")
_ACTIVATIONS = ("Activation", "Softmax", "ReLU", "LeakyReLU", "ELU")
_PASSES = frozenset([*_DROPOUTS, *_ACTIVATIONS, "ActivityRegularization", "Identity", "Cast"])


@dataclass(frozen=True)
class _Head:
    node: Node
    layer: Layer
    way: list[Node]  # from behind the head to the output


def head_layer(graph: Graph) -> Layer:
    """The Dense layer that the model's only output comes from.

    Raises BridgeError, saying what was found, if there is none.
    """
    return _find(graph).layer


def replace_head(graph: Graph, classes: int, seed: int) -> Graph:
    """The graph with a new head of that many units, begun by the head's own initializers; all else is kept.

    A sigmoid over one unit becomes a softmax; over several units (labels that don't exclude each other) it stays. The
    Keras config of the whole model changes with the head; it is dropped where the head is inside a layer of the user's
    own, whose code alone says how wide it is.
    Raises BridgeError for a model without a head, a head that is used more than once, and a softmax over one class.
    """
    if classes < 1:
        raise BridgeError(f"A new head can't have {classes} classes. Ask for two or more.")
    head = _find(graph)
    _refuse_shared(graph, head)
    old = int(head.layer.weights["kernel"].shape[-1])
    activations = [(node, _activation(node)) for node in head.way]
    if classes == 1 and any(name in ("softmax", "log_softmax") for _, name in activations):
        raise BridgeError(f"{head.layer}: a softmax over one class is always 1. Ask for two classes or more.")
    switched = [node for node, name in activations if name == "sigmoid"] if old == 1 < classes else []
    _refuse_shared_activation(graph, switched)

    layer = _new_layer(head.layer, classes, "softmax" if any(node.is_split for node in switched) else None)
    changed = {id(head.node): replace(head.node, layer=layer)}
    for node in switched:
        assert node.layer is not None
        changed[id(node)] = replace(node, layer=_configured(node.layer, activation="softmax"))
    weights = graph.weights | {w.path: w for w in layer.weights.values()}
    begun = {}
    for name, weight in layer.weights.items():
        try:
            begun[weight.path] = begin(weight, layer, name, seed)
        except Refused as reason:
            raise BridgeError(f"{weight.path}: {reason}.\nSo a new head can't begin with it.") from None
    values = dict(graph.values)
    for node in [head.node, *head.way]:
        name = node.outputs[0]
        if name in values:
            values[name] = _widened(values[name], classes)
    return replace(
        graph,
        nodes=[changed.get(id(node), node) for node in graph.nodes],
        outputs=[_widened(graph.outputs[0], classes)],
        weights=weights,
        arrays=graph.arrays | begun,  # type: ignore[operator]
        values=values,
        keras_config=_new_config(graph.keras_config, layer, old, head.way, switched),
    )


def _find(graph: Graph) -> _Head:
    """Walks from the output against the data to the head."""
    if len(graph.outputs) != 1:
        names = ", ".join(value.name for value in graph.outputs)
        raise BridgeError(f"{graph.name}: has {len(graph.outputs)} outputs ({names}), so no single head.")
    makers = {name: node for node in graph.nodes for name in node.outputs}
    value, way = graph.outputs[0].name, list[Node]()
    while True:
        node = makers.get(value)
        if node is None:
            raise BridgeError(f"{graph.name}: no layer with weights leads to its output, so it has no head.")
        if node.kind == "Dense" and node.layer and not node.is_split:
            break
        if node.kind not in _PASSES or (node.layer and node.layer.weights):
            raise BridgeError(
                f"{graph.name}: its head should be a Dense layer, with an activation or dropout behind it at most.\n"
                f"Before the output stands {node}. Build the new head in Keras, then convert."
            )
        way.insert(0, node)
        value = node.tensors[0]
    if not {"kernel"} <= set(node.layer.weights) <= {"kernel", "bias"}:
        raise BridgeError(f"{node}: is no plain Dense layer, it has the weights {', '.join(node.layer.weights)}.")
    if len(node.layer.weights["kernel"].shape) != 2:
        raise BridgeError(f"{node}: its kernel is {node.layer.weights['kernel'].shape}, not (features, units).")
    return _Head(node, node.layer, way)


def _refuse_shared(graph: Graph, head: _Head) -> None:
    """A head that other parts of the model use can't change its width for the output alone."""
    for node in graph.nodes:
        if node is not head.node and node.layer and node.layer.path == head.layer.path and not node.is_split:
            raise BridgeError(f"{head.layer}: the model calls this layer more than once, so it can't get a new head.")
    for weight in head.layer.weights.values():
        if _uses(graph, weight.path) > 1:
            raise BridgeError(f"{weight.path}: is used elsewhere in the model too, so the head can't be replaced.")
    for node in [head.node, *head.way]:
        value = node.outputs[0]
        if _uses(graph, value) + (value == graph.outputs[0].name) > 1:
            raise BridgeError(f"{node}: its result is used elsewhere in the model too, so the head can't be replaced.")


def _refuse_shared_activation(graph: Graph, switched: list[Node]) -> None:
    for node in switched:
        calls = [other for other in graph.nodes if other.layer and node.layer and other.layer.path == node.layer.path]
        if not node.is_split and len(calls) > 1:
            raise BridgeError(f"{node}: is called more than once, so the sigmoid can't become a softmax for the head.")


def _uses(graph: Graph, name: str) -> int:
    """How many inputs of nodes a value is; what a loop or a condition takes from outside counts as one."""
    return sum(reads(node).count(name) for node in graph.nodes)


def _activation(node: Node) -> str | None:
    if node.kind == "Softmax":
        return "softmax"
    return activation_name(node.layer.config["activation"]) if node.layer and node.kind == "Activation" else None


def _new_layer(old: Layer, classes: int, activation: str | None) -> Layer:
    # a frozen head is trained all the same once its weights are new
    weights = {
        name: replace(weight, shape=(*weight.shape[:-1], classes), trainable=True)
        for name, weight in old.weights.items()
    }
    options: dict[str, Any] = {"units": classes} | ({"activation": activation} if activation else {})
    if "trainable" in old.config:
        options["trainable"] = True
    return replace(_configured(old, **options), weights=weights, trainable=True)


def _configured(layer: Layer, **options: Any) -> Layer:
    return replace(layer, config=layer.config | options)


def _widened(value: Value, classes: int) -> Value:
    return replace(value, shape=(*value.shape[:-1], classes)) if value.shape else value


def _new_config(text: str | None, layer: Layer, old: int, way: list[Node], switched: list[Node]) -> str | None:
    if text is None:
        return None
    behind = {node.layer.path for node in way if node.layer and not node.is_split}
    options: dict[str, dict[str, Any]] = {}
    options[layer.path] = {key: layer.config[key] for key in ("units", "trainable") if key in layer.config}
    for node in switched:
        assert node.layer is not None
        options.setdefault(node.layer.path, {})["activation"] = "softmax"
    return with_head(text, layer.path, behind, options, old, layer.config["units"])
