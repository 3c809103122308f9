"""The files to compare, each as one framework runs it in a process of its own."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from bridge.errors import BridgeError, require
from bridge.folder import model_of, own_module, read_graph, stale
from bridge.graph import Graph, Value, from_proto, is_layered, read_proto
from bridge.keras_side.client import ask
from bridge.keras_side.saved_model.folder import is_saved_model
from bridge.keras_side.source import Source
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

    def kinds(self) -> dict[str, str]:
        """The class of each layer by its path, as far as it is known without running anything."""
        return {}


class KerasFile(Subject):
    framework, form = "Keras", "Keras file"

    def __init__(self, source: Source):
        super().__init__(source.path)
        self.source = asdict(source)

    def inputs(self) -> list[Value]:
        found = ask("signature", source=self.source)["inputs"]
        return [Value(item["name"], tuple(item["shape"]), item["dtype"]) for item in found]

    def run(self, inputs: Arrays) -> Arrays:
        return dict(ask("run", source=self.source, inputs=inputs)["outputs"])

    def layers(self, inputs: Arrays) -> Arrays:
        return dict(ask("run", source=self.source, inputs=inputs, layers=True)["layers"])

    def in_double(self, inputs: Arrays) -> dict[str, Arrays] | None:
        try:
            return dict(ask("run", source=self.source, inputs=inputs, layers=True, double=True))
        except BridgeError:  # a subclassed model without a config: Keras can't build its float64 twin
            return None


class OnnxFile(Subject):
    framework = "ONNX Runtime"

    def __init__(self, path: str, file: Path | None = None):
        super().__init__(path)
        self.file = file or Path(path)
        proto = read_proto(self.file)
        self.layered = is_layered(proto)
        self.metadata = {entry.key: entry.value for entry in proto.metadata_props}
        self.form = "layered ONNX" if self.layered else "plain ONNX"
        constants = {tensor.name for tensor in proto.graph.initializer}
        self._inputs = [_input(info) for info in proto.graph.input if info.name not in constants]
        self._kinds = kinds_of(from_proto(proto, str(self.file))) if self.layered else {}

    def inputs(self) -> list[Value]:
        return self._inputs

    def run(self, inputs: Arrays) -> Arrays:
        return dict(worker("runtime").call("run", model=str(self.file), inputs=inputs)["outputs"])

    def layers(self, inputs: Arrays) -> Arrays:
        return dict(worker("runtime").call("layers", model=str(self.file), inputs=inputs)["layers"])

    def in_double(self, inputs: Arrays) -> dict[str, Arrays] | None:
        # ONNX Runtime lacks float64 kernels for many operators; the layered graph says enough to ask torch
        if not self.layered or importlib.util.find_spec("torch") is None:
            return None
        try:
            return _torch_in_double(str(self.file), inputs)
        except BridgeError:  # a layer without a torch rule
            return None

    def kinds(self) -> dict[str, str]:
        return self._kinds


class TorchFolder(Subject):
    framework, form = "PyTorch", "bridge folder"

    def __init__(self, path: str):
        super().__init__(path)
        for package in ("torch", "safetensors"):
            require(package, "torch", "Running a bridge folder's torch module")
        self.graph = read_graph(path)

    def inputs(self) -> list[Value]:
        return self.graph.inputs

    def run(self, inputs: Arrays) -> Arrays:
        return dict(worker("torch_side").call("run", model=self.path, inputs=inputs)["outputs"])

    def layers(self, inputs: Arrays) -> Arrays:
        return dict(worker("torch_side").call("layers", model=self.path, inputs=inputs)["layers"])

    def in_double(self, inputs: Arrays) -> dict[str, Arrays] | None:
        return _torch_in_double(self.path, inputs)

    def kinds(self) -> dict[str, str]:
        return kinds_of(self.graph)


def _torch_in_double(model: str, inputs: Arrays) -> dict[str, Arrays]:
    torch = worker("torch_side")
    outputs = torch.call("run", model=model, inputs=inputs, double=True)["outputs"]
    return {"outputs": outputs, "layers": torch.call("layers", model=model, inputs=inputs, double=True)["layers"]}


def subjects(
    paths: Iterable[str | Path],
    arch: str | None,
    mlp: str | None,
    unsafe: bool,
    part: tuple[str, ...] = (),
    signature: str | None = None,
) -> list[Subject]:
    """Every path as what runs it; a bridge folder is two: its torch module and its model.onnx.

    arch, mlp: for the Keras files that hold weights alone; for all Keras files where none does.
    part: the layers from which on every Keras file is meant; a file of that part alone is meant whole by it.
    signature: what to call of the SavedModels among them.
    """
    given = [str(path) for path in paths]
    apart = [path for path in given if is_keras(path)]
    if (arch or mlp) and len(apart) > 1:
        apart = [path for path in apart if ask("describe", path=path)["needs_architecture"]] or apart
    found: list[Subject] = []
    for path in given:
        if Path(path).is_dir() and not is_keras(path):
            model = OnnxFile(f"{path.rstrip('/')}/model.onnx", model_of(path))
            found += [model] if _is_alone(model, path) else [TorchFolder(path), model]
        elif is_keras(path):
            how = (arch, mlp) if path in apart else (None, None)
            called = signature if is_saved_model(path) else None
            found.append(KerasFile(Source(path, *how, unsafe, part, signature=called)))
        else:
            found.append(OnnxFile(path))
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


def is_keras(path: str) -> bool:
    """Whether a path is meant for Keras: by its suffix, or as a folder, a SavedModel."""
    file = Path(path)
    if file.is_dir():
        return is_saved_model(path)
    if file.suffix.lower() in (".keras", ".h5", ".hdf5"):
        return True
    if file.exists() and file.suffix.lower() != ".onnx":
        raise BridgeError(
            f"{path}: parity runs Keras files (.keras, .h5, .hdf5), SavedModels, .onnx files and bridge folders."
        )
    return False


def _input(info: onnx.ValueInfoProto) -> Value:
    tensor = info.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else "float32"
    return Value(info.name, shape, dtype)
