"""`--from-layer NAME`: the part of a functional or Sequential model from some layers on, as a model of its own."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import keras

from bridge.errors import BridgeError

Tensor = keras.KerasTensor


def from_layers(model: keras.Model, names: Iterable[str]) -> keras.Model:
    """The part of the model that begins with these layers, sharing its layers.

    Its inputs are the tensors that enter them, called after the layers that make these, and those of the model's own
    inputs that the outputs still need. Raises BridgeError for a name that the model does not have, a model that is no
    graph of layers, and where a mask would be cut off.
    """
    graph = model._functional if isinstance(model, keras.Sequential) else model
    if not isinstance(graph, keras.src.models.Functional):
        raise BridgeError(
            f"{model.name} ({type(model).__name__}): its own code says how its layers are connected, so --from-layer\n"
            "can't cut it. Pass an --arch function that builds the part alone."
        )
    entering: dict[int, Tensor] = {}
    for name in names:
        for node in _calls(graph, name):
            entering |= {id(tensor): tensor for tensor in node.input_tensors}
    _refuse_masks(entering.values())
    own = {id(tensor) for tensor in graph.inputs}
    needed, nodes = _needed(graph, entering)
    begins = {key: tensor for key, tensor in entering.items() if key not in own} | needed
    taken = {node.operation.name for node in nodes} | {_maker(tensor) for tensor in needed.values()}
    made = {key: tensor if key in needed else _input(tensor, taken) for key, tensor in begins.items()}
    made = dict(sorted(made.items(), key=lambda item: item[0] not in own))  # the model's own inputs come first
    values = dict(made)
    for node in _in_order(graph):
        if node in nodes:
            args, kwargs = node.arguments.fill_in(values)
            results = keras.tree.flatten(node.operation(*args, **kwargs))
            values |= {id(old): new for old, new in zip(node.outputs, results, strict=True)}
    outputs = keras.tree.map_structure(lambda tensor: values[id(tensor)], graph._outputs_struct)
    return keras.Model(list(made.values()), outputs, name=model.name)


def _calls(graph: Any, name: str) -> list[Any]:
    """The calls of the layer of this name, in this model."""
    found = [node for node in _in_order(graph) if node.operation.name == name]
    if found:
        return found
    names = [layer.name for layer in graph.layers]
    if name in names:
        raise BridgeError(f"{graph.name}: {name} is an input, so the whole model begins there. Leave --from-layer out.")
    last = name.rpartition("/")[2]  # bridge's own path of a layer in a layer
    inside = [layer.name for layer in graph.layers if last in {inner.name for inner in layer._flatten_layers(False)}]
    where = f" It is a layer within {inside[0]}, which can only be taken whole." if inside else ""
    names = list(dict.fromkeys(node.operation.name for node in _in_order(graph)))
    near = difflib.get_close_matches(name, names, 3, 0.4)
    found = f"Names near it: {', '.join(near)}" if near else f"Its first layers: {', '.join(names[:6])}"
    wrong = f"--from-layer {name}: {graph.name} has no layer of that name.{where}"
    raise BridgeError(f"{wrong}\n{found}; bridge inspect lists all of them.")


def _in_order(graph: Any) -> list[Any]:
    """The model's calls, inputs left out, as Keras runs them."""
    depths = sorted(graph._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in graph._nodes_by_depth[depth] if node.operation and not node.is_input]


def _needed(graph: Any, cut: dict[int, Tensor]) -> tuple[dict[int, Tensor], set[Any]]:
    """The model's own inputs and the calls that its outputs need, where the tensors of `cut` are given."""
    inputs = {id(tensor): tensor for tensor in graph.inputs}
    found: dict[int, Tensor] = {}
    nodes: set[Any] = set()
    waiting = list(graph.outputs)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in inputs:
            found[id(tensor)] = tensor
        elif id(tensor) not in cut:
            history = tensor._keras_history
            node = history.operation._inbound_nodes[history.node_index]
            if node not in nodes:
                nodes.add(node)
                waiting += node.input_tensors
    return {key: tensor for key, tensor in inputs.items() if key in found}, nodes


def _refuse_masks(tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        if getattr(tensor, "_keras_mask", None) is not None:
            maker = _maker(tensor)
            raise BridgeError(
                f"--from-layer: what {maker} makes has a mask, which would be lost. Begin with {maker}, or before it."
            )


def _maker(tensor: Tensor) -> str:
    return str(tensor._keras_history.operation.name)


def _input(tensor: Tensor, taken: set[str]) -> Tensor:
    """An input in the place of a tensor, called after what makes it."""
    history = tensor._keras_history
    name = _maker(tensor) if history.tensor_index == 0 else f"{_maker(tensor)}_{history.tensor_index}"
    while name in taken:
        name = f"{name}_output"
    taken.add(name)
    return keras.Input(batch_shape=(None, *tensor.shape[1:]), dtype=tensor.dtype, name=name)
