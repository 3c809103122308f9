"""The files to compare, each as one framework runs it in a process of its own."""

from __future__ import annotations

import functools
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from bridge.errors import BridgeError, require
from bridge.folder import model_of, own_module, read_graph, stale
from bridge.graph import Graph, Value, from_proto, is_layered, read_proto, stored
from bridge.graph.looked_up import counted, counted_in, looked_up, looked_up_in
from bridge.graph.probe import ANY, unknown
from bridge.keras_side.checkpoints.files import all_files, is_checkpoint
from bridge.keras_side.client import ask
from bridge.keras_side.saved_model.folder import is_saved_model
from bridge.keras_side.source import KERAS_FILES, Source
from bridge.process import worker

Arrays = dict[str, np.ndarray]


class Subject(ABC):
    """A file and what runs it. layered: whether `layers` tells what each layer gives."""

    framework: str
    form: str
    layered = True
    note = ""  # what the comparison of this file leaves out

    def __init__(self, path: str):
        self.path = path

    @abstractmethod
    def inputs(self) -> list[Value]:
        """The model's inputs, in their order. Raises BridgeError if the file is no model that can be run."""

    @abstractmethod
    def run(self, inputs: Arrays) -> Arrays:
        """The outputs by name."""

    @abstractmethod
    def layers(self, inputs: Arrays) -> Arrays:
        """What each layer gives, by its path, in the order of execution."""

    @abstractmethod
    def in_double(self, inputs: Arrays) -> dict[str, Arrays] | None:
        """{"outputs", "layers"} in float64 with this file's weights; None where no framework offers it."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of its weights, about: of the file, or of all in the folder."""
        path = Path(self.path)
        return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())

    def kinds(self) -> dict[str, str]:
        """The class of each layer by its path, as far as it is known without running anything."""
        return {}

    def repeated(self) -> set[str]:
        """The paths of layers that are called in loops and conditions, as far as that is known."""
        return set()

    def counted(self) -> dict[str, int]:
        """The inputs that are numbers of things, and how many things there are: see looked_up.counted."""
        return {}

    def looked_up(self) -> dict[str, int]:
        """The inputs that are looked up in tables as they are, with the tables' rows, as far as the file tells."""
        return {}

    def length(self) -> int:
        """How long axes of unknown length are best made: see probe.unknown."""
        return ANY


class KerasFile(Subject):
    framework, form = "Keras", "Keras file"

    def __init__(self, source: Source):
        super().__init__(source.path)
        self.source = asdict(source)

    @property
    def weight_bytes(self) -> int:
        if is_checkpoint(self.path):
            return sum(file.stat().st_size for file in all_files(self.path))
        return super().weight_bytes

    def inputs(self) -> list[Value]:
        found = ask("signature", source=self.source)["inputs"]
        return [Value(item["name"], tuple(item["shape"]), item["dtype"]) for item in found]

    def run(self, inputs: Arrays) -> Arrays:
        return dict(ask("run", source=self.source, inputs=inputs)["outputs"])

    def layers(self, inputs: Arrays) -> Arrays:
        return dict(ask("run", source=self.source, inputs=inputs, layers=True)["layers"])

    def counted(self) -> dict[str, int]:
        return dict(self._probe["counted"])

    def length(self) -> int:
        return int(self._probe["unknown"])

    @functools.cached_property
    def _probe(self) -> dict[str, Any]:
        return dict(ask("counted", source=self.source))

    def in_double(self, inputs: Arrays) -> dict[str, Arrays] | None:
        try:
            return dict(ask("run", source=self.source, inputs=inputs, layers=True, double=True))
        except BridgeError:  # a subclassed model without a config: Keras can't build its float64 twin
            return None


class OnnxFile(Subject):
    framework = "ONNX Runtime"

    def __init__(self, path: str, file: Path | None = None, rules: tuple[str, ...] = ()):
        super().__init__(path)
        self.rules = rules
        self.file = file or Path(path)
        proto = read_proto(self.file)
        self.layered = is_layered(proto)
        self.metadata = {entry.key: entry.value for entry in proto.metadata_props}
        self.form = "layered ONNX" if self.layered else "plain ONNX"
        constants = {tensor.name for tensor in proto.graph.initializer}
        self._bytes = sum(map(stored.tensor_bytes, proto.graph.initializer))
        self._inputs = [_input(info) for info in proto.graph.input if info.name not in constants]
        graph = from_proto(proto, str(self.file)) if self.layered else None
        self._kinds = kinds_of(graph) if graph else {}
        self._repeated = repeated_in(graph) if graph else set()
        self._counted = counted(graph) if graph else counted_in(proto)
        self._length = unknown(graph) if graph else ANY
        self._looked_up = looked_up_in(proto)

    def inputs(self) -> list[Value]:
        return self._inputs

    @property
    def weight_bytes(self) -> int:
        return self._bytes

    def run(self, inputs: Arrays) -> Arrays:
        return dict(worker("runtime").call("run", model=str(self.file), inputs=inputs)["outputs"])

    def layers(self, inputs: Arrays) -> Arrays:
        return dict(worker("runtime").call("layers", model=str(self.file), inputs=inputs)["layers"])

    def in_double(self, inputs: Arrays) -> dict[str, Arrays] | None:
        # ONNX Runtime lacks float64 kernels for many operators; the layered graph says enough to ask torch
        if not self.layered or importlib.util.find_spec("torch") is None:
            return None
        try:
            return _torch_in_double(str(self.file), inputs, self.rules)
        except BridgeError:  # a layer without a torch rule
            return None

    def kinds(self) -> dict[str, str]:
        return self._kinds

    def repeated(self) -> set[str]:
        return self._repeated

    def counted(self) -> dict[str, int]:
        return self._counted

    def looked_up(self) -> dict[str, int]:
        return self._looked_up

    def length(self) -> int:
        return self._length


class TorchFolder(Subject):
    framework, form = "PyTorch", "bridge folder"

    def __init__(self, path: str, rules: tuple[str, ...] = ()):
        super().__init__(path)
        self.rules = rules
        for package in ("torch", "safetensors"):
            require(package, "torch", "Running a bridge folder's torch module")
        self.graph = read_graph(path)

    def inputs(self) -> list[Value]:
        return self.graph.inputs

    @property
    def weight_bytes(self) -> int:
        return self.graph.weight_bytes

    def run(self, inputs: Arrays) -> Arrays:
        return dict(worker("torch_side").call("run", model=self.path, inputs=inputs, rules=self.rules)["outputs"])

    def layers(self, inputs: Arrays) -> Arrays:
        return dict(worker("torch_side").call("layers", model=self.path, inputs=inputs, rules=self.rules)["layers"])

    def in_double(self, inputs: Arrays) -> dict[str, Arrays] | None:
        return _torch_in_double(self.path, inputs, self.rules)

    def kinds(self) -> dict[str, str]:
        return kinds_of(self.graph)

    def repeated(self) -> set[str]:
        return repeated_in(self.graph)

    def counted(self) -> dict[str, int]:
        return counted(self.graph)

    def looked_up(self) -> dict[str, int]:
        return looked_up(self.graph)

    def length(self) -> int:
        return unknown(self.graph)


def _torch_in_double(model: str, inputs: Arrays, rules: tuple[str, ...]) -> dict[str, Arrays]:
    torch, given = worker("torch_side"), {"model": model, "inputs": inputs, "double": True, "rules": rules}
    return {"outputs": torch.call("run", **given)["outputs"], "layers": torch.call("layers", **given)["layers"]}


def subjects(paths: Iterable[str | Path], source: Source) -> list[Subject]:
    """Every path as what runs it; a bridge folder is two: its torch module and its model.onnx.

    source: how the files are meant. Its arch and mlp are for the Keras files that hold weights alone; for all Keras
    files where none does. Its from_layer is for every Keras file; a file of that part alone is meant whole by it.
    Its signature is for the SavedModels.
    """
    rules = source.rules
    given = [str(path) for path in paths]
    apart = [path for path in given if is_keras(path)]
    if (source.arch or source.mlp) and len(apart) > 1:
        apart = [
            path for path in apart if ask("describe", path=path, custom=source.custom)["needs_architecture"]
        ] or apart
    found: list[Subject] = []
    for path in given:
        if Path(path).is_dir() and not is_keras(path):
            model = OnnxFile(f"{path.rstrip('/')}/model.onnx", model_of(path), rules)
            found += [model] if _is_alone(model, path) else [TorchFolder(path, rules), model]
        elif is_keras(path):
            arch, mlp = (source.arch, source.mlp) if path in apart else (None, None)
            called = source.signature if is_saved_model(path) else None
            found.append(KerasFile(replace(source, path=path, arch=arch, mlp=mlp, signature=called)))
        else:
            found.append(OnnxFile(path, rules=rules))
    return found


def _is_alone(model: OnnxFile, folder: str) -> bool:
    """Whether a folder's torch weights are in a module of the user's own, which no file makes bridge run."""
    if (into := own_module(folder)) is None:
        return False
    if reason := stale(folder, model.metadata):  # what would be compared is not what the user trained
        raise BridgeError(f"{folder}: {reason}")
    model.note = f"compared by its model.onnx alone: its torch weights are in a module of your own ({into})"
    return True


def kinds_of(graph: Graph) -> dict[str, str]:
    """What each node belongs to: the class of its layer, or the ONNX operator."""
    layers = graph.layers
    return {n.name: layers.get(n.layer.path, n.layer).kind if n.layer else n.kind for n in graph.nodes}


def repeated_in(graph: Graph) -> set[str]:
    """The paths of layers that are called in loops and conditions."""
    return {node.layer.path for node in graph.inner.values() if node.layer}


def is_keras(path: str) -> bool:
    """Whether a path is meant for Keras: by its suffix, as a SavedModel or a checkpoint."""
    file = Path(path)
    if file.is_dir():
        return is_saved_model(path) or is_checkpoint(path)
    if is_checkpoint(path):
        return True
    if file.suffix.lower() in KERAS_FILES:
        return True
    if file.exists() and file.suffix.lower() != ".onnx":
        raise BridgeError(
            f"{path}: parity runs Keras files (.keras, .h5, .hdf5), SavedModels, checkpoints, .onnx files and bridge "
            "folders."
        )
    return False


def _input(info: onnx.ValueInfoProto) -> Value:
    tensor = info.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else "float32"
    return Value(info.name, shape, dtype)
