"""A layer's node in an ONNX file, written and read, and the function that it means."""

from __future__ import annotations

import json
from typing import Any

import onnx
from onnx import helper

from bridge.errors import BridgeError
from bridge.graph import own_layers
from bridge.graph.body import DOMAIN, function_of
from bridge.graph.changes import in_training
from bridge.graph.layer import Graph, Layer, Node, Weight
from bridge.graph.proto.facts import json_object

DEEPEST = 64  # layers within layers


def written_node(node: Node, overload: str) -> onnx.NodeProto:
    """overload: of the function that the node means."""
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


def body_function(graph: Graph, node: Node) -> onnx.FunctionProto:
    """What bridge's own body says that a layer's node means. Raises Refused."""
    assert node.layer is not None
    tensors = in_training.in_inference(node) if node.kind in in_training.KINDS else node.tensors
    return function_of(node.layer, [graph.values[name].shape or () for name in tensors], len(node.outputs))


def read_node(proto: onnx.NodeProto, weights: dict[str, Weight], file: str) -> Node:
    """The node of a layer or an operator. Raises BridgeError for a layer's that says too little or what can't be."""
    attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
    inputs, outputs = list(proto.input), list(proto.output)
    if proto.domain not in (DOMAIN, own_layers.DOMAIN):
        if proto.domain not in ("", "ai.onnx"):
            raise BridgeError(f"{file}: node {proto.name!r} is of the unknown domain {proto.domain!r}.")
        return Node(proto.name, proto.op_type, inputs, outputs, attributes=attributes)
    kind, path, own, written = _said(proto, attributes, file)
    paths = inputs[len(inputs) - len(own) :] if own else []
    if len(paths) != len(own) or any(p not in weights for p in paths):
        raise BridgeError(f"{file}: {path} ({proto.op_type}) has weights that the file does not hold. It is damaged.")
    config = json_object(written, file, f"the config of {path}")
    if proto.op_type in in_training.KINDS:
        inputs = [*inputs, *in_training.trained_names(proto)]
        config = {"name": config.get("name")}
        if not in_training.fits(Node(proto.name, kind, inputs, outputs)):
            raise BridgeError(f"{file}: {path} does not say what training gives. The file is damaged; convert again.")
    held = {name: weights[p] for name, p in zip(own, paths, strict=True)}
    layer = Layer(kind, path, config, held, trainable=bool(attributes.get("trainable", 1)))
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


def _said(proto: onnx.NodeProto, attributes: dict[str, Any], file: str) -> tuple[str, str, list[str], str]:
    """What a node says of its layer: the kind, the path, the names of the weights, the config."""
    is_own = proto.domain == own_layers.DOMAIN
    try:
        path = attributes["path"].decode()
        weights = [name.decode() for name in attributes.get("weights", [])]
        config = attributes.get("config", b"").decode(errors="replace")
        kind = attributes[own_layers.REGISTERED].decode() if is_own else proto.op_type
        fits = (
            is_own == (">" in kind)
            and (not is_own or (len(kind) <= 200 and kind.isprintable() and own_layers.operator(kind) == proto.op_type))
            and path.count("/") <= DEEPEST
            and all(word.replace("/", "_").isidentifier() for word in weights)
            and len(set(weights)) == len(weights)
        )
    except (KeyError, AttributeError, TypeError, ValueError):
        fits = False
    if not fits:
        raise BridgeError(
            f"{file}: node {proto.name[:80]!r} does not say which layer it is. The file is damaged; convert again."
        )
    return kind, path, weights, config
