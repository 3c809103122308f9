"""A signature's part of a program, rewritten so that every variable is an input: a function of tensors alone.

A variable's handle becomes its value wherever it goes: through calls, loops and conditions, whose functions are copied
for it; reading it becomes Identity, looking up rows of it GatherV2. What order operators run in no longer counts then,
so control edges go, and with them what hangs on them alone: assertions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.function_pb2 import FunctionDef
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.framework.tensor_shape_pb2 import TensorShapeProto
from tensorflow.core.framework.types_pb2 import DT_INT32, DT_RESOURCE

from bridge.errors import BridgeError
from bridge.keras_side.saved_model import allowed
from bridge.keras_side.saved_model.program import Program, attribute_functions

HANDLES = ("VarHandleOp", "VariableV2", "Variable")
_CALLS = {"PartitionedCall": "Tin", "StatefulPartitionedCall": "Tin"}
_BRANCHES = {"If": 1, "StatelessIf": 1, "Case": 1, "StatelessCase": 1}  # inputs before those that the functions take
_LOOPS = ("While", "StatelessWhile")
_READS = {"ReadVariableOp": "Identity", "ResourceGather": "GatherV2", "ResourceGatherNd": "GatherNd"}
DEEPEST = 64


def values(program: Program, nodes: list[NodeDef], feeds: Iterable[str], results: Iterable[str]) -> GraphDef:
    """The graph of these nodes with each variable a placeholder under its node's name.

    feeds: the nodes that the signature's inputs take the place of; results: those that its outputs come from.
    """
    return _Rewriter(program).graph(nodes, {*feeds}, [*results])


class _Rewriter:
    def __init__(self, program: Program):
        self.program = program
        self.functions = program.functions
        self.made: dict[tuple[str, tuple[tuple[int, int], ...]], FunctionDef] = {}
        self.depth = 0

    def graph(self, nodes: list[NodeDef], feeds: set[str], results: list[str]) -> GraphDef:
        graph = GraphDef(versions=self.program.graph.graph_def.versions)
        handles = {node.name: node.attr["dtype"].type for node in nodes if node.op == "VarHandleOp"}
        others = [node for node in nodes if node.op not in HANDLES and node.name not in feeds]
        rewritten = self.rewrite(others, handles)
        variables = [_placeholder(node) for node in nodes if node.op in HANDLES]
        graph.node.extend(_placeholder(node) for node in nodes if node.name in feeds)
        graph.node.extend(_reachable([*variables, *rewritten], results))
        graph.library.function.extend(self.made.values())
        return graph

    def function(self, name: str, given: dict[int, int]) -> FunctionDef:
        """The copy of a function whose inputs at these places are values of these types, no longer handles."""
        key = (name, tuple(sorted(given.items())))
        if key in self.made:
            return self.made[key]
        self.depth += 1
        if self.depth > DEEPEST:
            raise BridgeError(f"{self.program.name}: its functions call each other without end, or too deeply.")
        old = self.functions[name]
        new = FunctionDef()
        new.signature.CopyFrom(old.signature)
        new.signature.name = name
        del new.signature.control_output[:]
        new.signature.is_stateful = False
        handles = {}
        for number, argument in enumerate(new.signature.input_arg):
            argument.ClearField("handle_data")
            if number in given:
                argument.type = given[number]
                handles[argument.name] = given[number]
            elif argument.type == DT_RESOURCE:
                raise BridgeError(
                    f"{self.program.name}: {name} takes a resource that is no variable ({argument.name})."
                )
        renamed = {f"{n.name}:value:0": f"{n.name}:output:0" for n in old.node_def if n.op == "ReadVariableOp"}
        nodes = self.rewrite(list(old.node_def), handles, renamed)
        for argument in new.signature.output_arg:
            argument.ClearField("handle_data")
            result = renamed.get(old.ret[argument.name], old.ret[argument.name])
            new.ret[argument.name] = result
            if argument.type == DT_RESOURCE:
                if _tensor(result) not in handles:
                    raise BridgeError(f"{self.program.name}: {name} gives a resource that is no variable.")
                argument.type = handles[_tensor(result)]
        new.node_def.extend(_reachable(nodes, new.ret.values()))
        # TensorFlow knows functions by name for as long as it runs: no other may have this one
        new.signature.name = f"{name}_{hashlib.sha256(new.SerializeToString(deterministic=True)).hexdigest()[:12]}"
        self.depth -= 1
        self.made[key] = new
        return new

    def rewrite(
        self, nodes: list[NodeDef], handles: dict[str, int], renamed: dict[str, str] | None = None
    ) -> list[NodeDef]:
        """The nodes without handles. `handles`: tensors that are ones, with their types; those that nodes pass on join
        it. `renamed`: of a function, the outputs that are called otherwise afterwards, as functions spell them.
        """
        self._pass_on(nodes, handles)
        made = []
        for old in nodes:
            if old.op == "DisableCopyOnRead" or old.op in ("NoOp", "Assert"):
                continue
            new = NodeDef(name=old.name, op=old.op)
            new.input.extend((renamed or {}).get(given, given) for given in _data(old))
            for key, value in old.attr.items():
                if not key.startswith("_"):  # devices, compilers, gradients by name, shapes as they were
                    new.attr[key].CopyFrom(value)
            given = {n: handles[t] for n, t in enumerate(map(_tensor, _data(old))) if t in handles}
            made += self._node(new, given, inside=renamed is not None)
        return made

    def _pass_on(self, nodes: list[NodeDef], handles: dict[str, int]) -> None:
        changed = True
        while changed:
            changed = False
            for node in nodes:
                if node.op not in ("Identity", *_LOOPS):
                    continue
                for number, tensor in enumerate(map(_tensor, _data(node))):
                    out = node.name if number == 0 else f"{node.name}:{number}"
                    if tensor in handles and out not in handles:
                        handles[out] = handles[tensor]
                        changed = True

    def _node(self, node: NodeDef, given: dict[int, int], *, inside: bool) -> list[NodeDef]:
        """A node that takes values in the place of handles: at these places, of these types."""
        if node.op in self.functions and node.op not in allowed.RUNS:
            raise BridgeError(
                f"{self.program.name}: {node.name} calls {node.op} in a way of TensorFlow 1 that is not read."
            )
        if node.op in HANDLES:
            raise BridgeError(f"{self.program.name}: {node.name} is a variable that a function makes for itself.")
        if node.op in _CALLS:
            self._retype(node, "Tin", given)
            node.attr["f"].func.CopyFrom(self._reference(node.attr["f"].func, given))
            for key in ("config", "config_proto", "executor_type"):
                if key in node.attr:
                    node.attr[key].s = b""
        elif node.op in _BRANCHES:
            inner = {number - 1: dtype for number, dtype in given.items()}
            self._retype(node, "Tin", inner)
            for function in attribute_functions(node):
                function.CopyFrom(self._reference(function, inner))
        elif node.op in _LOOPS:
            self._retype(node, "T", given)
            for function in attribute_functions(node):
                function.CopyFrom(self._reference(function, given))
        elif given:
            return self._of_variable(node, given, inside)
        elif node.op in ("RefIdentity", "_EagerConst"):
            node.op = "Identity"
        elif attribute_functions(node):
            raise BridgeError(
                f"{self.program.name}: {node.name} ({node.op}) calls functions in a way that is not known."
            )
        return [node]

    def _reference(self, function: Any, given: dict[int, int]) -> Any:
        return type(function)(name=self.function(function.name, given).signature.name)

    def _retype(self, node: NodeDef, attribute: str, given: dict[int, int]) -> None:
        types = node.attr[attribute].list.type
        for number, dtype in given.items():
            types[number] = dtype
        shapes = node.attr["output_shapes"].list.shape if node.op in _LOOPS and "output_shapes" in node.attr else []
        for number in given:
            if number < len(shapes):
                shapes[number].CopyFrom(TensorShapeProto(unknown_rank=True))

    def _of_variable(self, node: NodeDef, given: dict[int, int], inside: bool) -> list[NodeDef]:
        """A node that reads a variable, as one that takes its value. inside: of a function."""
        dtype = given[0] if set(given) == {0} else None
        if dtype is None or node.op not in (*_READS, "VariableShape", "Identity"):
            raise BridgeError(f"{self.program.name}: {node.name} ({node.op}) does more with a variable than read it.")
        attributes = {key: node.attr[key] for key in ("Tindices", "batch_dims", "out_type") if key in node.attr}
        new = NodeDef(name=node.name, op=_READS.get(node.op, "Shape" if node.op == "VariableShape" else "Identity"))
        new.input.extend(node.input)
        for key, value in attributes.items():
            new.attr[key].CopyFrom(value)
        if new.op == "GatherV2":
            axis = NodeDef(name=f"{node.name}/axis", op="Const")
            axis.attr["dtype"].type = DT_INT32
            # with batch dimensions the rows are looked up along the axis behind them
            axis.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.int32(node.attr["batch_dims"].i)))
            new.attr["Tparams"].type, new.attr["Taxis"].type = dtype, DT_INT32
            new.input.append(f"{axis.name}:output:0" if inside else axis.name)
            return [axis, new]
        new.attr["Tparams" if new.op == "GatherNd" else "T"].type = dtype
        return [new]


def _data(node: NodeDef) -> list[str]:
    return [name for name in node.input if not name.startswith("^")]


def _tensor(name: str) -> str:
    """A tensor's name as a graph spells it: functions say node:output:0 too."""
    words = name.split(":")
    return words[0] if words[-1] == "0" or len(words) == 1 else f"{words[0]}:{words[-1]}"


def _reachable(nodes: list[NodeDef], results: Iterable[str]) -> list[NodeDef]:
    by_name = {node.name: node for node in nodes}
    needed: set[str] = set()
    waiting = [_tensor(name).split(":")[0] for name in results]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in needed:
            needed.add(name)
            waiting += [given.split(":")[0] for given in by_name[name].input]
    return [node for node in nodes if node.name in needed]


def _placeholder(node: NodeDef) -> NodeDef:
    made = NodeDef(name=node.name, op="Placeholder")
    made.attr["dtype"].type = (node.attr["dtype"] if "dtype" in node.attr else node.attr["T"]).type
    if node.op in HANDLES:
        made.attr["shape"].CopyFrom(node.attr["shape"])
    return made
