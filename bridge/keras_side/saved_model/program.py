"""The program of a SavedModel as what it is written as, a protobuf: its graphs, signatures, objects and operators."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework.function_pb2 import FunctionDef
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework import op_def_registry

from bridge.errors import BridgeError
from bridge.keras_side.saved_model import allowed
from bridge.keras_side.saved_model.folder import MOST_BYTES, PROGRAM, Folder

CONSTANTS_FLOOR, CONSTANTS_FACTOR = 64 << 20, 50
SERVING = "serving_default"
SHOWN = 20


@dataclass(frozen=True)
class Program:
    """The graph of a SavedModel that is meant for serving. name: what messages call the folder."""

    name: str
    graph: MetaGraphDef

    @property
    def version(self) -> str:
        """Of the TensorFlow that wrote it."""
        return str(self.graph.meta_info_def.tensorflow_version or "not told")

    @property
    def signatures(self) -> dict[str, SignatureDef]:
        """What can be called, by name."""
        found = self.graph.signature_def
        return {name: found[name] for name in sorted(found) if not name.startswith("__") and found[name].outputs}

    def signature(self, name: str | None) -> tuple[str, SignatureDef]:
        """The one that is asked for, or the only one that can be meant. Raises BridgeError that lists them."""
        found = self.signatures
        if not found:
            raise BridgeError(
                f"{self.name}: has no signature, so it is not told what to call and with which inputs.\n"
                "Save it with one: tf.saved_model.save(module, folder, signatures=module.__call__)."
            )
        chosen = name or (SERVING if SERVING in found else next(iter(found)) if len(found) == 1 else None)
        if chosen not in found:
            what = f"has no signature {name!r}" if name else "has several signatures"
            raise BridgeError(f"{self.name}: {what}.\nPass --signature with one of: {', '.join(found)}.")
        return chosen, found[chosen]

    @functools.cached_property
    def functions(self) -> dict[str, FunctionDef]:
        """Its functions by name."""
        return {function.signature.name: function for function in self.graph.graph_def.library.function}

    def nodes(self) -> Iterator[NodeDef]:
        """All nodes, those of all its functions too."""
        yield from self.graph.graph_def.node
        for function in self.graph.graph_def.library.function:
            yield from function.node_def

    def refuse_operators(self) -> None:
        """Raises BridgeError that lists all operators of the file that are not allowed in one."""
        found = Counter(node.op for node in self.nodes())
        functions = {function.signature.name for function in self.graph.graph_def.library.function}
        called = {
            name for name in functions if op_def_registry.get(name) is None
        }  # no function under an operator's name
        others = sorted(set(found) - allowed.RUNS - allowed.RESTS - called)
        if others:
            raise BridgeError(
                f"{self.name}: its program holds operators that it may not hold: {listed(others)}.\n"
                "It may only compute: no files, network, Python, queues or custom operators. Nothing was run.\n"
                "Save the model without them, or trust the file with --unsafe."
            )

    def refuse_large_constants(self, size: int) -> None:
        """Raises BridgeError if its constants would take far more memory than the file has bytes."""
        limit = max(CONSTANTS_FLOOR, CONSTANTS_FACTOR * size)
        total = 0
        for node in self.nodes():
            for value in node.attr.values():
                total += sum(_nbytes(t) for t in ([value.tensor] if value.HasField("tensor") else value.list.tensor))
                if total > limit:
                    raise BridgeError(
                        f"{self.name}: its constants ({node.name}, ...) would take over {limit:,} bytes, "
                        f"the file has {size:,}. Nothing was read."
                    )


def read(folder: Folder) -> Program:
    """Parses saved_model.pb and takes the graph for serving. Raises BridgeError for what is none."""
    saved = SavedModel()
    try:
        saved.ParseFromString(folder.read(PROGRAM, MOST_BYTES))
    except (DecodeError, RecursionError):
        raise BridgeError(f"{folder.path}: {PROGRAM} is no SavedModel, or it is cut short.") from None
    graphs = list(saved.meta_graphs)
    if not graphs:
        raise BridgeError(f"{folder.path}: {PROGRAM} holds no graph, so it is no SavedModel.")
    serving = [graph for graph in graphs if "serve" in graph.meta_info_def.tags] or graphs
    plain = [graph for graph in serving if list(graph.meta_info_def.tags) == ["serve"]] or serving
    if len(plain) > 1:
        tags = "; ".join("+".join(graph.meta_info_def.tags) or "none" for graph in graphs)
        raise BridgeError(f"{folder.path}: holds several graphs (tags: {tags}), and none of them alone is for serving.")
    program = Program(str(folder.path), plain[0])
    _check_assets(program)
    program.refuse_large_constants(folder.files[PROGRAM])
    return program


def listed(operators: list[str]) -> str:
    """Names of operators, the first of many."""
    more = f" and {len(operators) - SHOWN} more" if len(operators) > SHOWN else ""
    return ", ".join(operators[:SHOWN]) + more


def _check_assets(program: Program) -> None:
    for asset in program.graph.asset_file_def:
        words = asset.filename.replace("\\", "/").split("/")
        if not asset.filename or "" in words or ".." in words or ":" in asset.filename:
            raise BridgeError(
                f"{program.name}: it refers to the file {asset.filename!r}, which lies outside its own folder."
            )


def _nbytes(tensor: TensorProto) -> int:
    sizes = [dim.size for dim in tensor.tensor_shape.dim]
    if any(size < 0 for size in sizes):
        return 0
    return math.prod(sizes) * _item_size(tensor.dtype)


def _item_size(dtype: int) -> int:
    try:
        return int(np.dtype(tf.as_dtype(dtype).as_numpy_dtype).itemsize)
    except (TypeError, KeyError):
        return 1


def attribute_functions(node: NodeDef) -> list[Any]:
    """The attributes of a node that name functions, to be read or changed."""
    found = []
    for value in node.attr.values():
        if value.HasField("func"):
            found.append(value.func)
        elif value.HasField("list"):
            found += value.list.func
    return found
