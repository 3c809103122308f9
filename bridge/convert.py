"""The four conversions. Each proves its result before it writes anything."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from bridge import user_code
from bridge.errors import BridgeError, CheckFailed, require
from bridge.files import (
    refuse_existing,
    refuse_input_as_output,
    refuse_without_room,
    scratch,
    whole_file,
    whole_folder,
)
from bridge.folder import digest, model_of, weights_of
from bridge.graph import Graph, inlined, notes_of, stored, write_proto
from bridge.graph.changes.inner_layers import layer_nodes
from bridge.graph.own_layers import is_own, with_rules
from bridge.graph.probe import counted, probe_inputs, relative_difference
from bridge.keras_side.client import Traced, ask, traced
from bridge.keras_side.source import KERAS_FILES, Paths, Source, listed
from bridge.process import claim, import_ahead
from bridge.runs import in_onnx_runtime, in_torch

if TYPE_CHECKING:
    from torch import nn

SAVED_MODEL = ("saved_model.pb", "keras_metadata.pb", "fingerprint.pb", "variables", "assets", "assets.extra")
TOLERANCE = 1e-5  # relative to the output's largest value; seen are 1e-7 for shallow networks
ROUNDED, ROUNDING = 1e-3, 10  # what hundreds of layers may make of it, and how much more than of Keras's own outputs
LEAST_SHARE = 1e-3  # ONNX Runtime 1.31 makes 1.4e-8 of a sigmoid that is 7e-9


@dataclass(frozen=True)
class Proof:
    """How far the results were from Keras's own outputs on random inputs, relative to their largest value.

    notes: what was set aside while tracing, and what legacy Keras said of an old file.
    """

    onnx: float
    torch: float | None = None
    notes: tuple[str, ...] = ()


def keras2onnx(
    model: str | Path,
    output: str | Path,
    *,
    arch: str | None = None,
    mlp: str | None = None,
    unsafe: bool = False,
    from_layer: str | Iterable[str] = (),
    custom: Paths = (),
    rules: Paths = (),
    signature: str | None = None,
    inline: bool = False,
    force: bool = False,
) -> Proof:
    """Writes a Keras model as ONNX, layered (a node for each Keras layer) or, with `inline`, plain.

    arch: "FILE.py:function" or "config.json"; mlp: "784-64:relu-10:softmax": for files that hold weights alone.
    unsafe: run code that the file carries. from_layer: take the part of the model that begins with this layer, or with
    these. custom: Python files that define the classes and functions that the model file names. rules: Python files
    with rules for layers of your own (see bridge.rule), which then stay one node each. signature: what to call of a
    SavedModel's program, operator by operator.
    Raises BridgeError if the model can't be converted.
    """
    output = _output(output, ".onnx", force, model, _file_of(arch), *listed(custom), *listed(rules))
    source = Source(str(model), arch, mlp, unsafe, listed(from_layer), listed(custom), listed(rules), signature)
    import_ahead("bridge.runtime.session")
    with scratch(output) as room:
        found = traced(source, room)
        graph = found.graph
        proof = _proved(source, found, graph)
        proto = inlined(found.proto) if inline else found.proto
        write_proto(proto, output, force=force, arrays=graph.arrays, written=found.written)
    return replace(proof, notes=(*graph.source.get("notes", ()), *proof.notes))


@dataclass(frozen=True)
class Converted:
    """What keras2torch made: the module (in training mode), its weight map, the proof, and what to know of it."""

    module: nn.Module
    rows: list[dict[str, Any]]
    proof: Proof
    notes: tuple[str, ...] = ()

    @property
    def trainable(self) -> int:
        """How many numbers an optimizer may change."""
        return sum(p.numel() for p in self.module.parameters() if p.requires_grad)


def keras2torch(
    model: str | Path,
    output: str | Path | None = None,
    *,
    arch: str | None = None,
    mlp: str | None = None,
    unsafe: bool = False,
    from_layer: str | Iterable[str] = (),
    custom: Paths = (),
    rules: Paths = (),
    signature: str | None = None,
    into: str | None = None,
    map_file: str | Path | None = None,
    force: bool = False,
) -> Converted:
    """A Keras model as a trainable torch module and, with `output`, as a bridge folder.

    arch, mlp, unsafe, from_layer, custom, rules, signature: as for keras2onnx. into: "FILE.py:Class", a torch module of
    the user's own that gets the weights; map_file: JSON that decides by hand which tensor gets which.
    Raises BridgeError if the model can't be converted.
    """
    claim_torch("Converting to torch")
    if map_file is not None and into is None:
        raise BridgeError("--map says which of your module's tensors gets which weight: pass --into FILE.py:Class too.")
    if output is not None:
        output = Path(output)
        refuse_existing(output, force)
        refuse_input_as_output(output, model, _file_of(arch), _file_of(into), map_file, *listed(custom), *listed(rules))
    source = Source(str(model), arch, mlp, unsafe, listed(from_layer), listed(custom), listed(rules), signature)
    import_ahead("bridge.runtime.session", "bridge.torch_side.folder")
    with scratch(output) as room:
        found = traced(source, room)
        graph = with_rules(found.graph, listed(rules))
        by_runtime = _proved(source, found, graph)
        from bridge.torch_side.folder import weight_rows, write_folder
        from bridge.torch_side.writing.build import build, plan_of

        module = build(graph)
        proof = _proved_in_torch(source, found, graph, module, by_runtime)
        if into is not None:
            del module  # the user's takes as much memory
            return _into(graph, proof, into, output, map_file, force, found.written)
        if output is not None:
            write_folder(module, output, force=force, written=found.written)
    return Converted(module, weight_rows(plan_of(module)), proof, (*notes_of(graph), *proof.notes))


def _into(
    graph: Graph,
    proof: Proof,
    into: str,
    output: Path | None,
    map_file: str | Path | None,
    force: bool,
    written: Path | None,
) -> Converted:
    from bridge.torch_side.own_module.convert import convert_into, map_into

    by_hand = Path(map_file) if map_file is not None else None
    if output is not None:
        mapping = convert_into(graph, into, output, by_hand, force, written)
    else:
        mapping = map_into(graph, into, by_hand)
    proof = Proof(proof.onnx, mapping.difference)
    # what the user's own module does in training is not for bridge to say
    return Converted(mapping.module.train(), mapping.describe(), proof, mapping.notes)


def _proved(source: Source, found: Traced, graph: Graph) -> Proof:
    """Runs the conversion in ONNX Runtime beside Keras's own outputs. Raises CheckFailed if they differ."""
    if found.non_finite:
        shown = ", ".join(found.non_finite[:5])
        raise CheckFailed(f"{graph.name}: NaN or infinity in its weights ({shown}), so nothing can be proved of it.")
    exact = _Exact(source, graph)
    outputs = in_onnx_runtime(found.proto, graph, exact.inputs, found.folder)
    try:
        by_runtime = _largest(exact, outputs, found.outputs, "ONNX Runtime")
    except CheckFailed:
        calm = exact.calmer(found.outputs)
        if calm is None:
            raise
        outputs = in_onnx_runtime(found.proto, graph, calm.inputs, found.folder)
        return Proof(_largest(calm, outputs, calm.wanted, "ONNX Runtime"), notes=(calm.note,))
    return Proof(by_runtime, notes=_legacy(exact, exact.inputs, found.outputs))


def _proved_in_torch(source: Source, found: Traced, graph: Graph, module: nn.Module, by_runtime: Proof) -> Proof:
    exact = _Exact(source, graph)
    try:
        worst = _largest(exact, in_torch(module, graph, exact.inputs), found.outputs, "torch")
    except CheckFailed:
        calm = exact.calmer(found.outputs)
        if calm is None:
            raise
        worst = _largest(calm, in_torch(module, graph, calm.inputs), calm.wanted, "torch")
    return replace(by_runtime, torch=worst)


def _legacy(exact: _Exact, inputs: dict[str, np.ndarray], here: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Holds an old file's outputs against legacy Keras's, where that is there. Raises CheckFailed if they differ."""
    from bridge.keras2_side.check import ask_legacy

    legacy = ask_legacy(exact.source.path, exact.graph, inputs, bool(exact.source.from_layer))
    if legacy is None:
        return ()
    if legacy.outputs is None:
        return (legacy.note,)
    if [y.shape for y in legacy.outputs] != [y.shape for y in here.values()]:
        return (f"Not compared with {legacy.note}: it gives other outputs.",)
    got = dict(zip(here, legacy.outputs, strict=True))
    worst = _largest(exact, got, here, legacy.note)
    return (f"{legacy.note} reads the file as bridge does: its outputs differ by {worst:.1e} of their scale.",)


def _largest(exact: _Exact, got: dict[str, np.ndarray], wanted: dict[str, np.ndarray], who: str) -> float:
    name = exact.graph.name
    if overflowed := [output for output, value in wanted.items() if not np.isfinite(value).all()]:
        raise CheckFailed(
            f"{name}: Keras itself gives NaN or infinity on random inputs (output {overflowed[0]}), "
            "so nothing can be proved of it."
        )
    worst = max(_difference(exact.graph, output, got[output], wanted[output]) for output in wanted)
    if not (worst <= TOLERANCE or (worst <= ROUNDED and exact.shows_rounding(got, wanted))):
        own = [str(node) for node in layer_nodes(exact.graph) if is_own(node.layer) and not node.is_split]
        fault = (
            f"Does your rule compute what your layer does? It is asked for {', '.join(own[:4])}."
            if own
            else "This is a fault of bridge, please report it with the output of bridge inspect."
        )
        raise CheckFailed(
            f"{name}: {who} and Keras differ on random inputs, by {worst:.2g} of the outputs' scale.\n"
            f"Nothing was written. {fault}"
        )
    return worst


def _difference(graph: Graph, output: str, found: np.ndarray, wanted: np.ndarray) -> float:
    """Of the output's scale; a sigmoid's is LEAST_SHARE at least, for runtimes round what is almost 0 as they like."""
    maker = graph.maker(output)
    is_share = maker is not None and maker.layer is not None and maker.layer.config.get("activation") == "sigmoid"
    relative = relative_difference(found, wanted)
    scale = float(np.abs(wanted).max()) if is_share and np.isfinite(relative) and wanted.size else LEAST_SHARE
    return relative * min(1.0, scale / LEAST_SHARE)


class _Exact:
    """Keras's outputs for the probe inputs in float64, asked for when they are needed. scale: of the inputs."""

    def __init__(self, source: Source, graph: Graph, scale: float = 1.0):
        self.source, self.graph, self.scale = source, graph, scale

    @functools.cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        made = probe_inputs(self.graph.inputs, below=counted(self.graph))
        return {name: x * x.dtype.type(self.scale) if x.dtype.kind == "f" else x for name, x in made.items()}

    @functools.cached_property
    def wanted(self) -> dict[str, np.ndarray]:
        """Keras's own outputs, in float32."""
        return dict(ask("run", source=asdict(self.source), inputs=self.inputs)["outputs"])

    @property
    def note(self) -> str:
        return (
            "Random inputs of the usual size drive this network wild: Keras itself is far from its own float64 outputs "
            f"there. So it was proved on inputs of {self.scale:g} times that size."
        )

    def calmer(self, wanted: dict[str, np.ndarray]) -> _Exact | None:
        """The same on smaller inputs, where Keras's own rounding is so large on these that they can prove nothing."""
        if self.outputs is None or self._rounding(wanted) <= ROUNDED / ROUNDING:
            return None
        for scale in (0.1, 0.01, 0.001):
            calm = _Exact(self.source, self.graph, scale)
            if calm.outputs is not None and calm._rounding(calm.wanted) <= TOLERANCE:
                return calm
        return None

    def _rounding(self, wanted: dict[str, np.ndarray]) -> float:
        return max(relative_difference(wanted[name], (self.outputs or {})[name]) for name in wanted)

    @functools.cached_property
    def outputs(self) -> dict[str, np.ndarray] | None:
        """None for a model that Keras can't build anew."""
        try:
            return dict(ask("run", source=asdict(self.source), inputs=self.inputs, double=True)["outputs"])
        except BridgeError:
            return None

    def shows_rounding(self, got: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> bool:
        """Whether `got` is about as near to these as Keras's own float32 outputs are: many layers, much rounding."""
        exact = self.outputs
        return exact is not None and all(
            relative_difference(got[name], exact[name]) <= ROUNDING * relative_difference(wanted[name], exact[name])
            for name in wanted
        )


def torch2onnx(
    folder: str | Path, output: str | Path, *, inline: bool = False, rules: Paths = (), force: bool = False
) -> onnx.ModelProto:
    """Writes the network of a bridge folder, with the weights of its model.safetensors, as ONNX; returns what it wrote.

    rules: the files with your own rules that the conversion was given.
    An output inside the folder itself (its model.onnx) is brought up to date so.
    """
    claim_torch("Reading torch weights")
    from bridge.torch_side.folder import stamped
    from bridge.torch_side.own_module.wayhome import folder_graph

    folder = Path(folder)
    model = model_of(folder)
    # a plain file in the place of the layered one would be the end of the folder
    output = _output(output, ".onnx", force, model if inline else None)
    graph = folder_graph(folder, listed(rules))
    proto = stamped(graph, digest(weights_of(folder)))
    proto = inlined(proto) if inline else proto
    write_proto(proto, output, force=force, arrays=graph.arrays)
    return proto


def torch2keras(
    folder: str | Path,
    output: str | Path,
    *,
    arch: str | None = None,
    weights_only: bool = False,
    unsafe: bool = False,
    custom: Paths = (),
    rules: Paths = (),
    force: bool = False,
) -> dict[str, Any]:
    """Takes the weights of a bridge folder home into a Keras file: .keras, .h5 or .weights.h5, bit for bit.

    To any other name, what came from a SavedModel goes home into a SavedModel with the same program.
    arch: the code that builds the Keras model, where the model's config can't, or a SavedModel that was too large to be
    kept; for a folder of a part of a model (from_layer) it may build the whole one, whose other weights stay as the
    code made them.
    weights_only: with .h5, the legacy layout of weights alone. custom, rules: the files that the conversion was given.
    Returns {"weights": count, "parameters": count, "kept": count of weights that are not of the part}.
    """
    claim_torch("Reading torch weights")
    from bridge.torch_side.own_module.wayhome import folder_graph

    folder, output = Path(folder), Path(output)
    model_of(folder)
    refuse_existing(output, force)
    refuse_input_as_output(output, folder, _file_of(arch), *listed(custom), *listed(rules))
    if output.name.lower().endswith(KERAS_FILES) and not output.name.endswith(KERAS_FILES):
        raise BridgeError(f"{output}: Keras knows its files by endings in small letters. Write {output.name.lower()}.")
    graph = folder_graph(folder, listed(rules))
    if graph.saved_model is None and not output.name.endswith(KERAS_FILES):
        raise BridgeError(
            f"{output}: a Keras file is written to a name that ends in .keras, .h5 or .weights.h5; a folder is a "
            "SavedModel,\nwhich is written only of what came from one, whole."
        )
    if weights_only and output.suffix not in (".h5", ".hdf5"):
        raise BridgeError(f"{output}: --weights-only is for names that end in .h5.")
    source = Source("", arch, None, unsafe, custom=listed(custom))
    return home(graph, output, source, weights_only=weights_only, force=force)


def home(graph: Graph, output: Path, source: Source, *, weights_only: bool, force: bool) -> dict[str, Any]:
    """Writes a layered graph as a Keras file or, to another name, as the SavedModel that it came from.

    source: what builds the Keras model beside the graph's own config.
    """
    from bridge.graph import to_proto
    from bridge.graph.files import write_data

    proto = to_proto(graph)
    data = np.frombuffer(proto.SerializeToString(deterministic=True), np.uint8)
    to_file = output.name.endswith(KERAS_FILES)
    whole = whole_file(output, force) if to_file else whole_folder(output, force, SAVED_MODEL[0], SAVED_MODEL)
    with whole as part, scratch(output) as room:
        refuse_without_room(output.parent, 2 * graph.weight_bytes)  # Keras fills a .keras file from another one
        if outside := stored.outside(proto):
            write_data(outside, graph.arrays, room / stored.BESIDE)
        told = {"source": asdict(source), "weights_only": weights_only, "folder": str(room.resolve())}
        result = ask("home", proto=data, output=str(part), **told)
    return dict(result)


def claim_torch(purpose: str) -> None:
    """Raises BridgeError unless this process may import torch and safetensors. `purpose` begins the message."""
    require("torch", "torch", purpose)
    require("safetensors", "torch", purpose)
    claim("torch_side")


def _output(output: str | Path, suffix: str, force: bool, *inputs: str | Path | None) -> Path:
    """The checked output path; done before the slow work, so that a mistake shows at once."""
    output = Path(output)
    if output.suffix.lower() != suffix:
        raise BridgeError(f"{output}: the output is written to a name that ends in {suffix}.")
    refuse_existing(output, force)
    refuse_input_as_output(output, *inputs)
    return output


def _file_of(spec: str | None) -> str | Path | None:
    """The file of FILE.py:NAME; a config.json is one itself."""
    named = user_code.split(spec) if spec else None
    return named[0] if named else spec
