"""The four conversions. Each proves its result before it writes anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from bridge import user_code
from bridge.errors import BridgeError, require
from bridge.files import (
    refuse_existing,
    refuse_input_as_output,
    refuse_without_room,
    scratch,
    whole_checkpoint,
    whole_file,
    whole_folder,
)
from bridge.folder import digest, model_of, weights_of
from bridge.graph import Graph, inlined, notes_of, stored, write_proto
from bridge.graph.own_layers import with_rules
from bridge.keras_side.client import ask, traced
from bridge.keras_side.source import KERAS_FILES, Paths, Source, listed
from bridge.process import claim, import_ahead
from bridge.proof import Proof, proved, proved_in_torch

if TYPE_CHECKING:
    from torch import nn

SAVED_MODEL = ("saved_model.pb", "keras_metadata.pb", "fingerprint.pb", "variables", "assets", "assets.extra")


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
    backend: str | None = None,
    inline: bool = False,
    force: bool = False,
) -> Proof:
    """Writes a Keras model as ONNX, layered (a node for each Keras layer) or, with `inline`, plain.

    arch: "FILE.py:function" or "config.json"; mlp: "784-64:relu-10:softmax": for files that hold weights alone.
    unsafe: run code that the file carries. from_layer: take the part of the model that begins with this layer, or with
    these. custom: Python files that define the classes and functions that the model file names. rules: Python files
    with rules for layers of your own (see bridge.rule), which then stay one node each. signature: what to call of a
    SavedModel's program, operator by operator. backend: what wrote a file of Keras 0 or 1, "tensorflow" or "theano".
    Raises BridgeError if the model can't be converted.
    """
    output = _output(output, ".onnx", force, model, _file_of(arch), *listed(custom), *listed(rules))
    parts = listed(from_layer), listed(custom), listed(rules)
    source = Source(str(model), arch, mlp, unsafe, *parts, signature, backend)
    import_ahead("bridge.runtime.session")
    with scratch(output) as room:
        found = traced(source, room)
        graph = found.graph
        proof = proved(source, found, graph)
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
    backend: str | None = None,
    into: str | None = None,
    map_file: str | Path | None = None,
    force: bool = False,
) -> Converted:
    """A Keras model as a trainable torch module and, with `output`, as a bridge folder.

    arch, mlp, unsafe, from_layer, custom, rules, signature, backend: as for keras2onnx. into: "FILE.py:Class", a torch
    module of the user's own that gets the weights; map_file: JSON that decides by hand which tensor gets which.
    Raises BridgeError if the model can't be converted.
    """
    claim_torch("Converting to torch")
    if map_file is not None and into is None:
        raise BridgeError("--map says which of your module's tensors gets which weight: pass --into FILE.py:Class too.")
    if output is not None:
        output = Path(output)
        refuse_existing(output, force)
        refuse_input_as_output(output, model, _file_of(arch), _file_of(into), map_file, *listed(custom), *listed(rules))
    parts = listed(from_layer), listed(custom), listed(rules)
    source = Source(str(model), arch, mlp, unsafe, *parts, signature, backend)
    import_ahead("bridge.runtime.session", "bridge.torch_side.folder")
    with scratch(output) as room:
        found = traced(source, room)
        graph = with_rules(found.graph, listed(rules))
        by_runtime = proved(source, found, graph)
        from bridge.torch_side.folder import weight_rows, write_folder
        from bridge.torch_side.writing.build import build, plan_of

        module = build(graph)
        proof = proved_in_torch(source, found, graph, module, by_runtime)
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

    To any other name, what came from a SavedModel goes home into a SavedModel with the same program, and what came from
    a checkpoint of TensorFlow's into such a one, without its optimizer.
    arch: the code that builds the Keras model, where the model's config can't, or a SavedModel or a checkpoint that was
    too large to be kept; for a folder of a part of a model (from_layer) it may build the whole one, whose other weights
    stay as the code made them.
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
    if graph.checkpoint is not None and output.suffix == ".index":
        output = output.with_suffix("")
    if graph.saved_model is None and graph.checkpoint is None and not output.name.endswith(KERAS_FILES):
        raise BridgeError(
            f"{output}: a Keras file is written to a name that ends in .keras, .h5 or .weights.h5; another name is a "
            "SavedModel's or a checkpoint's,\nwhich is written only of what came from one, whole."
        )
    if weights_only and output.suffix not in (".h5", ".hdf5"):
        raise BridgeError(f"{output}: --weights-only is for names that end in .h5.")
    source = Source("", arch, None, unsafe, custom=listed(custom))
    return home(graph, output, source, weights_only=weights_only, force=force)


def home(graph: Graph, output: Path, source: Source, *, weights_only: bool, force: bool) -> dict[str, Any]:
    """Writes a layered graph as a Keras file or, to another name, as the SavedModel or checkpoint that it came from.

    source: what builds the Keras model beside the graph's own config.
    """
    from bridge.graph import to_proto
    from bridge.graph.files import write_data

    proto = to_proto(graph)
    data = np.frombuffer(proto.SerializeToString(deterministic=True), np.uint8)
    to_file = output.name.endswith(KERAS_FILES)
    if to_file:
        whole = whole_file(output, force)
    elif graph.checkpoint is not None:
        whole = whole_checkpoint(output, force)
    else:
        whole = whole_folder(output, force, SAVED_MODEL[0], SAVED_MODEL)
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
