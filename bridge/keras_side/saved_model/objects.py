"""The objects of a SavedModel: which variable each is, under which key the checkpoint has it, and what it is called."""

from __future__ import annotations

import functools
import re
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.framework.variable_pb2 import VariableDef

from bridge.errors import BridgeError
from bridge.keras_side.saved_model.checkpoint import Checkpoint, Stored
from bridge.keras_side.saved_model.program import Program

VALUE = "VARIABLE_VALUE"
_MADE_UP = re.compile(r"(.*/)?[Vv]ariable(_\d+)?")
LISTS = {"variables", "trainable_variables", "non_trainable_variables", "_all_variables", "keras_api"}


@dataclass(frozen=True)
class Variable:
    """A variable of the program. name: what its writer called it; path: where it is among the objects.

    number: its place in their order; 0 for TensorFlow 1's, which has no objects.
    """

    name: str
    path: str
    stored: Stored
    trainable: bool
    number: int = 0


class Objects:
    """The variables of a SavedModel by the number of their object; TensorFlow 1 has none, and names alone."""

    def __init__(self, program: Program, checkpoint: Checkpoint):
        self.program, self.checkpoint = program, checkpoint
        self.nodes = program.graph.object_graph_def.nodes
        self.paths: dict[int, str] = {}
        self.variables: dict[int, Variable] = {}
        self._walk()

    def child(self, node: int, *names: str) -> int | None:
        """The number of the object that is reached from `node` by these names."""
        for name in names:
            found = [c.node_id for c in self.nodes[node].children if c.local_name == name]
            if not found:
                return None
            node = found[0]
        return node

    def listed(self, node: int | None) -> list[int]:
        """The objects in a list, in its order."""
        if node is None:
            return []
        numbered = {int(c.local_name): c.node_id for c in self.nodes[node].children if c.local_name.isdecimal()}
        return [numbered[number] for number in sorted(numbered)]

    def variables_below(self, node: int) -> list[int]:
        """The variables of an object and of those within it, each once: of a layer saved without its functions."""
        seen, found, waiting = {node}, [], [node]
        while waiting:
            here = waiting.pop()
            if here in self.variables:
                found.append(here)
            inner = [
                c.node_id for c in self.nodes[here].children if c.local_name not in LISTS and c.node_id not in seen
            ]
            waiting += reversed(list(dict.fromkeys(inner)))
            seen |= {*inner}
        return found

    def of_handle(self, handle: NodeDef) -> Variable:
        """The variable that a VarHandleOp of the main graph stands for. Raises BridgeError if it is not known."""
        number = self._bound.get(handle.name)
        if number is not None and number in self.variables:
            return self.variables[number]
        name = handle.attr["shared_name"].s.decode() or handle.name
        if name in self.checkpoint.stored:  # TensorFlow 1 saves by name
            return Variable(name, name, self.checkpoint.stored[name], name not in self._fixed)
        found = [variable for variable in self.variables.values() if variable.name == name]
        if len(found) != 1:
            raise BridgeError(
                f"{self.program.name}: the variable {name} of its program is not among those that it holds."
            )
        return found[0]

    def names(self, variables: list[Variable]) -> dict[str, str]:
        """key -> what each is called: its own name where that is one and its alone, else its path."""
        count = Counter(variable.name for variable in variables)
        chosen: dict[str, str] = {}
        for variable in variables:
            own = count[variable.name] == 1 and not _MADE_UP.fullmatch(variable.name)
            words = (variable.name if own else variable.path).split("/")
            chosen[variable.stored.key] = "/".join(filter(None, words)) or "variable"
        return chosen

    def twins(self, variable: Variable) -> list[Stored]:
        """Others of the same name, shape and type: Keras 3 saves each variable twice."""
        same = [v.stored for v in self.variables.values() if v.name == variable.name and v.stored != variable.stored]
        return [s for s in same if (s.shape, s.dtype) == (variable.stored.shape, variable.stored.dtype)]

    def _walk(self) -> None:
        """Goes through both object graphs, the program's and the checkpoint's, by the same names from the root."""
        saved = self.checkpoint.objects.nodes
        if not len(self.nodes) or not len(saved):
            return
        seen, waiting = {(0, 0)}, deque([(0, 0, "")])
        try:
            while waiting:
                here, there, path = waiting.popleft()
                self._note(here, saved[there], path)
                children = {c.local_name: c.node_id for c in saved[there].children}
                mine = {c.local_name: c.node_id for c in self.nodes[here].children}
                for name in sorted(mine, key=lambda name: name in LISTS):
                    if name in children and (pair := (mine[name], children[name])) not in seen:
                        seen.add(pair)
                        waiting.append((*pair, f"{path}/{name}" if path else name))
        except IndexError:
            raise BridgeError(
                f"{self.program.name}: its objects refer to others that are not there: damaged."
            ) from None

    def _note(self, number: int, saved: Any, path: str) -> None:
        if number in self.paths:
            return
        self.paths[number] = path
        if self.nodes[number].WhichOneof("kind") != "variable":
            return
        said = self.nodes[number].variable
        keys = [a.checkpoint_key for a in saved.attributes if a.name == VALUE]
        if len(keys) == 1 and keys[0] in self.checkpoint.stored:
            name = said.name or path
            self.variables[number] = Variable(name, path, self.checkpoint.stored[keys[0]], bool(said.trainable), number)

    @functools.cached_property
    def _bound(self) -> dict[str, int]:
        """Nodes of the main graph -> numbers of objects, told by what each call binds."""
        found: dict[str, int] = {}
        functions = self.program.graph.object_graph_def.concrete_functions
        for node in self.program.graph.graph_def.node:
            if "f" not in node.attr or node.attr["f"].func.name not in functions:
                continue
            bound = list(functions[node.attr["f"].func.name].bound_inputs)
            given = [name for name in node.input if not name.startswith("^")]
            for name, number in zip(given[len(given) - len(bound) :], bound, strict=False):
                found.setdefault(name.split(":")[0], number)
        return found

    @functools.cached_property
    def _fixed(self) -> set[str]:
        """The names of variables that TensorFlow 1 did not train."""
        collections = self.program.graph.collection_def
        if "trainable_variables" not in collections:
            return set()
        return self._in(collections, "variables", "global_variables") - self._in(collections, "trainable_variables")

    def _in(self, collections: Any, *names: str) -> set[str]:
        found = set()
        for name in names:
            if name not in collections:
                continue
            for data in collections[name].bytes_list.value:
                try:
                    found.add(VariableDef.FromString(data).variable_name.split(":")[0])
                except DecodeError:
                    raise BridgeError(f"{self.program.name}: its list of {name} is damaged.") from None
        return found
