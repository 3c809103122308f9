"""What a model's own code computes in training alone, in a layered file: a function that no runtime runs.

In a `Graph` a node InTraining takes as many tensors again as it gives: the second half is what they are in training. In
ONNX these would be computed in vain, so the nodes that only they need are in the function TrainingOnly, by their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bridge.errors import BridgeError
from bridge.graph.body import DOMAIN, OPSET
from bridge.graph.changes.inner import reads, taken_by
from bridge.graph.layer import Node

IN_TRAINING = "InTraining"
OWN_GRADIENT = "OwnGradient"  # takes besides: what its gradient comes from, its arguments, the gradients of these
KINDS = (IN_TRAINING, OWN_GRADIENT)  # nodes of which more inputs count in training
_FUNCTION = "TrainingOnly"
_TRAINED = "trained"  # in the config of a written InTraining: the names of its tensors in training


def needed(nodes: Iterable[Node], outputs: Iterable[str], trained: bool = False) -> list[Node]:
    """The nodes that these values depend on, in inference or, with `trained`, in either mode."""
    wanted, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if wanted & {*node.outputs}:
            kept.append(node)
            wanted |= {*(in_inference(node) if node.kind in KINDS and not trained else reads(node))}
    return kept[::-1]


def in_inference(node: Node) -> list[str]:
    """The inputs of a node that count in inference."""
    return node.inputs[: len(node.outputs)] if node.kind in KINDS else node.inputs


def in_training(node: Node) -> list[str]:
    """What training gives in the place of something else."""
    return node.inputs[len(node.outputs) :] if node.kind in KINDS else []


def function_of(
    nodes: list[onnx.NodeProto],
    results: Iterable[str],
    constants: dict[str, np.ndarray],
    values: Iterable[onnx.ValueInfoProto],
) -> onnx.FunctionProto:
    """The function that holds what training alone needs.

    results: what training gives. constants: those that these nodes alone take. values: what is known of the tensors
    between them.
    """
    made = {name for node in nodes for name in node.output if name}
    held = [helper.make_node("Constant", [], [n], value=numpy_helper.from_array(a, n)) for n, a in constants.items()]
    taken = {name: None for node in nodes for name in taken_by(node) if name and name not in {*made, *constants}}
    given = [name for name in dict.fromkeys(results) if name in made]
    domains = dict.fromkeys(node.domain for node in nodes if node.domain not in ("", DOMAIN))
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(domain, 1) for domain in (DOMAIN, *domains))]
    known = [value for value in values if value.name in made]
    return helper.make_function(
        DOMAIN, _FUNCTION, list(taken), given, [*held, *nodes], opsets, attributes=[], value_info=known
    )


def constants(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The constants that a layered file holds for training alone."""
    held = [node for f in _beside(proto) for node in f.node if _is_constant(node)]
    return {node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in held}


def _is_constant(node: onnx.NodeProto) -> bool:
    """Whether this is a constant as `function_of` writes it."""
    plain = node.op_type == "Constant" and not node.domain and len(node.output) == 1 and len(node.attribute) == 1
    return plain and node.attribute[0].name == "value" and node.attribute[0].t.data_type != onnx.TensorProto.STRING


def told(node: Node) -> tuple[list[str], dict[str, object]]:
    """The inputs and the config that a node is written with."""
    assert node.layer is not None
    if node.kind not in KINDS:
        return node.inputs, node.layer.config
    return in_inference(node), {**node.layer.config, _TRAINED: in_training(node)}


def fits(node: Node) -> bool:
    """Whether a node of a file takes as many tensors as its kind must."""
    more = len(node.inputs) - 2 * len(node.outputs)
    return more == 0 if node.kind == IN_TRAINING else more > 0 and more % 2 == 0


def all_nodes(proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes of a layered file, in their order, with those for training alone."""
    beside = [node for function in _beside(proto)[:1] for node in function.node if not _is_constant(node)]
    makers = {name: node for node in beside for name in node.output if name}
    listed: dict[int, onnx.NodeProto] = {}
    for node in proto.graph.node:
        if node.op_type in KINDS and node.domain == DOMAIN:
            wanted = {*trained_names(node)}
            for other in reversed(beside):
                if wanted & {*other.output}:
                    wanted |= {*taken_by(other), *trained_names(other)}
            listed |= {id(other): other for other in beside if wanted & {*other.output}}
        listed[id(node)] = node
    if unused := [name for name, node in makers.items() if id(node) not in listed]:
        raise BridgeError(f"nothing uses {unused[0]!r}, which it holds for training")
    return list(listed.values())


def value_infos(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """What a layered file says of the tensors between its nodes, with those for training alone."""
    return [*proto.graph.value_info, *(info for f in _beside(proto) for info in f.value_info)]


def _beside(proto: onnx.ModelProto) -> list[onnx.FunctionProto]:
    return [f for f in proto.functions if f.name == _FUNCTION and f.domain == DOMAIN]


def trained_names(node: onnx.NodeProto) -> list[str]:
    """The tensors that an InTraining of a file gives in training; none if it names none, or is no such node."""
    config = next((a.s for a in node.attribute if a.name == "config"), b"") if node.op_type in KINDS else b""
    try:
        names = json.loads(config)[_TRAINED]
        return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
