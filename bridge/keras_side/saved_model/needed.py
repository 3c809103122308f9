"""The part of a program that a signature needs, and whether it may run."""

from __future__ import annotations

from collections.abc import Iterable

from tensorflow.core.framework.function_pb2 import FunctionDef
from tensorflow.core.framework.node_def_pb2 import NodeDef

from bridge.errors import BridgeError
from bridge.keras_side.saved_model import allowed
from bridge.keras_side.saved_model.program import Program, attribute_functions, listed


def used(program: Program, outputs: Iterable[str], inputs: Iterable[str]) -> tuple[list[NodeDef], set[str]]:
    """(nodes of the main graph that the outputs need, names of the functions that these call, at any depth)."""
    nodes = {node.name: node for node in program.graph.graph_def.node}
    stop = {name.split(":")[0] for name in inputs}
    functions = program.functions
    needed: dict[str, NodeDef] = {}
    waiting = [name.split(":")[0] for name in outputs]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        if name not in nodes:
            raise BridgeError(
                f"{program.name}: its graph has no node {name!r}, which its signature speaks of: damaged."
            )
        needed[name] = nodes[name]
        if name not in stop:
            waiting += [given.lstrip("^").split(":")[0] for given in nodes[name].input]
    called: set[str] = set()
    pending = [name for node in needed.values() for name in _called(node, functions)]
    while pending:
        name = pending.pop()
        if name in called:
            continue
        if name not in functions:
            raise BridgeError(f"{program.name}: calls the function {name!r}, which it does not hold: damaged.")
        called.add(name)
        pending += [inner for node in functions[name].node_def for inner in _called(node, functions)]
    return list(needed.values()), called


def refuse_operators(program: Program, nodes: list[NodeDef], called: set[str], signature: str) -> None:
    """Raises BridgeError with every operator, and why, that may not be in the part of the program that runs."""
    functions = program.functions
    every = [*nodes, *(node for name in called for node in functions[name].node_def)]
    reasons: dict[str, set[str]] = {}
    for node in every:
        if node.op not in functions and (why := allowed.reason(node.op)):
            reasons.setdefault(why, set()).add(node.op)
    if reasons:
        lines = "; ".join(f"{listed(sorted(names))}: {why}" for why, names in sorted(reasons.items()))
        raise BridgeError(
            f"{program.name}: what the signature {signature!r} calls can't be converted. {lines}.\n"
            "Nothing was run. Pass another one with --signature, or save the model without them."
        )


def own_gradients(program: Program, nodes: list[NodeDef], called: set[str]) -> int:
    """How many of the nodes have a gradient of the program's own."""
    functions = program.functions
    every = [*nodes, *(node for name in called for node in functions[name].node_def)]
    return sum(
        node.attr["_gradient_op_type"].s.startswith(b"CustomGradient") for node in every if node.op == "IdentityN"
    )


def _called(node: NodeDef, functions: dict[str, FunctionDef]) -> list[str]:
    return [*(function.name for function in attribute_functions(node)), *([node.op] if node.op in functions else [])]
