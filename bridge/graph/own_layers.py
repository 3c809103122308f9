"""Layers of the user's own that stay one node, by the rules that the user brings (`--rules FILE.py`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import onnx
import onnx.parser

from bridge import user_code
from bridge.errors import BridgeError
from bridge.graph.body import OPSET, OWN_DOMAIN, Refused, meaning, parsed
from bridge.graph.changes.inner_layers import layer_nodes
from bridge.graph.layer import Graph, Layer, Node, Shape
from bridge.own_rules import Rules, read

DOMAIN = OWN_DOMAIN
REGISTERED = "registered"  # the attribute that says which class it is: Package>Name


def is_own(layer: Layer | None) -> bool:
    """Whether a layer's node has its meaning from the user: its kind is a registered name."""
    return layer is not None and ">" in layer.kind


def operator(kind: str) -> str:
    """What the node of a layer of this registered name is called in ONNX: demo>Scale is keras.own.Scale."""
    return re.sub(r"^(?=\d)", "_", re.sub(r"\W", "_", kind.rpartition(">")[2]))


def own_function(layer: Layer, shapes: list[Shape], outputs: int, rules: Rules) -> onnx.FunctionProto:
    """The layer's body, by the user's rule, as an ONNX function. Raises Refused if it is none."""
    found = rules.body(layer.kind)
    if found is None:
        raise Refused(f"there is no body for {layer.kind} in the files given")
    function, file = found
    where = f"its body in {file} ({function.__name__})"
    try:
        with user_code.faults(file, where):
            lines = function(layer, shapes)
    except Refused:
        raise
    except BridgeError as error:
        raise Refused(str(error)) from error
    if not isinstance(lines, str):
        raise Refused(f"{where} gives {user_code.described(lines)}, expected lines of ONNX text")
    name = operator(layer.kind)
    try:
        proto = parsed(lines, layer, len(shapes), outputs, name, DOMAIN, (REGISTERED,))
    except onnx.parser.ParseError as error:
        said = " ".join(str(error).split())[:200]
        raise Refused(f"{where} is no ONNX text that can be read: {said}") from None
    _check(proto, where)
    return proto


def _check(function: onnx.FunctionProto, where: str) -> None:
    """Raises Refused for unknown operators, and for names that nothing gives."""
    known = set(function.input) | {""}
    for node in function.node:
        if node.domain not in ("", "ai.onnx") or not onnx.defs.has(node.op_type, max_inclusive_version=OPSET):
            raise Refused(f"{where} has {node.op_type}, which is no standard operator of ONNX opset {OPSET}")
        if missing := [name for name in node.input if name not in known]:
            given = ", ".join(function.input) or "none"
            raise Refused(f"{where} takes {missing[0]}, which nothing gives; its inputs are {given}")
        known |= set(node.output)
    if lacks := [name for name in function.output if name not in known]:
        raise Refused(f"{where} does not give {lacks[0]}")


def own_functions(graph: Graph, rules: Rules) -> dict[str, onnx.FunctionProto]:
    """The bodies of all such nodes, by the nodes' names. Raises BridgeError with every reason why there is none."""
    found, problems = {}, []
    for node in _nodes(graph):
        try:
            found[node.name] = _function(graph, node, rules)
        except Refused as reason:
            problems.append(f"{node}: {reason}")
    if problems:
        raise BridgeError(f"{graph.name}: can't be converted: {'; '.join(dict.fromkeys(problems))}.")
    return found


def with_rules(graph: Graph, files: str | Path | Iterable[str | Path]) -> Graph:
    """The graph of a file with the user's rules, which must still say of its layers what they said at the conversion.

    Raises BridgeError if they don't.
    """
    files = [files] if isinstance(files, str | Path) else list(files)
    user_code.forget()
    rules = read(files)
    for node in _nodes(graph):
        if not rules.knows(node.kind):
            continue
        try:
            expected = _function(graph, node, rules)
        except Refused as reason:
            raise BridgeError(f"{graph.name}: {node}: {reason}.") from None
        if meaning(expected) != meaning(graph.functions[node.name]):
            raise BridgeError(
                f"{graph.name}: {node}: its body in {rules.body(node.kind)[1]} is not the one that it was converted "  # type: ignore[index]
                "with.\nTake the rules of that time, or convert the Keras model again."
            )
    return replace(graph, rules=rules)


def _nodes(graph: Graph) -> list[Node]:
    return [node for node in layer_nodes(graph) if is_own(node.layer) and not node.is_split]


def _function(graph: Graph, node: Node, rules: Rules) -> onnx.FunctionProto:
    assert node.layer is not None
    shapes = [graph.values[name].shape or () for name in node.tensors]
    return own_function(node.layer, shapes, len(node.outputs), rules)
