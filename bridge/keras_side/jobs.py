"""What the Keras process does when asked: the jobs of `bridge.process.worker("keras_side")`."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from bridge import user_code
from bridge.errors import BridgeError, CheckFailed
from bridge.graph import from_proto, stored, to_proto
from bridge.graph.files import write_data
from bridge.graph.looked_up import counted
from bridge.graph.probe import ANY, probe_of, unknown
from bridge.keras_side.building import arch, lora
from bridge.keras_side.checkpoints import home as checkpoint
from bridge.keras_side.checkpoints.files import all_files
from bridge.keras_side.custom import scope as own_classes
from bridge.keras_side.files.load import load, non_finite
from bridge.keras_side.inspecting.describe import describe
from bridge.keras_side.inspecting.survey import inputs_of, survey
from bridge.keras_side.old import origins
from bridge.keras_side.running.gradients import gradients
from bridge.keras_side.running.run import run, run_layers
from bridge.keras_side.running.sizes import choose_probe
from bridge.keras_side.running.train import train_steps
from bridge.keras_side.saved_model import home as saved_model
from bridge.keras_side.saved_model.folder import is_saved_model, look
from bridge.keras_side.saved_model.model import Operators
from bridge.keras_side.signature import signature
from bridge.keras_side.source import KERAS_FILES, Source
from bridge.keras_side.tracing.trace import trace
from bridge.keras_side.wayhome import go_home
from bridge.own_rules import read as read_rules

TIDY = 64 << 20  # bytes of a model's file; below, the collection takes longer than it is worth


def job_trace(
    source: dict[str, Any], folder: str | None = None, most_inside: int = stored.MOST_INSIDE
) -> dict[str, Any]:
    """The layered model of a Keras file, serialized; the names of weights that hold NaN or infinity; what Keras gives
    for the probe inputs, by which the conversion is proved.

    folder: where weights of over `most_inside` bytes are written to, as `stored.BESIDE`; the model then says their
    places alone.
    """
    model = load(Source(**source))
    told = {"file": Path(source["path"]).name, "model": model.name}
    if source.get("from_layer"):
        told["part"] = f"from {', '.join(source['from_layer'])} on"
    graph = trace(model, told, read_rules(source.get("rules", ())))
    origins.note(model, graph)
    lora.note(model, graph)
    choose_probe(model, graph)
    proto = to_proto(graph, most_inside)
    outputs = run(model, probe_of(graph))
    if folder is not None and (outside := stored.outside(proto)):
        write_data(outside, graph.arrays, Path(folder) / stored.BESIDE)
    data = proto.SerializeToString(deterministic=True)
    _keep(source, model)
    return {"proto": np.frombuffer(data, np.uint8), "non_finite": non_finite(model), "outputs": outputs}


# The model traced last, for the float64 outputs that a conversion may ask for next; loading a deep one takes seconds
_last: dict[tuple[Any, ...], keras.Model] = {}
_LARGE = 1 << 26  # numbers in its weights from which on a model is loaded again rather than kept


def _keep(source: dict[str, Any], model: keras.Model) -> None:
    _last.clear()
    if model.count_params() < _LARGE:
        _last[_identity(source)] = model


def _kept(source: dict[str, Any]) -> keras.Model:
    """The model of a source, which may be one that was used before: for runs that leave it as it is."""
    return _last.get(_identity(source)) or load(Source(**source))


def _identity(source: dict[str, Any]) -> tuple[Any, ...]:
    """The source, and of its files and of the user's code what changes when they do."""
    path, code = Path(source["path"]), source.get("arch")
    files = [path, *(path / name for name in look(path).files)] if is_saved_model(path) else all_files(path) or [path]
    files += [*map(Path, source.get("custom") or ()), *([arch.split(code)[0]] if code else [])]
    told = [file.stat() for file in files if file.exists()]
    return repr(sorted(source.items())), *((each.st_mtime_ns, each.st_size, each.st_ino) for each in told)


def job_describe(path: str, custom: Iterable[str] = (), backend: str | None = None) -> dict[str, Any]:
    with own_classes(custom):
        return describe(path, backend)


def job_survey(source: dict[str, Any]) -> dict[str, Any]:
    """What the loaded model holds and what of it converts: see survey."""
    return survey(Source(**source))


def job_signature(source: dict[str, Any]) -> dict[str, Any]:
    """{"inputs": [{"name", "shape", "dtype"}]} of the model of a file."""
    return {"inputs": inputs_of(load(Source(**source)))}


def job_counted(source: dict[str, Any]) -> dict[str, Any]:
    """{"counted": {input: how many}, "unknown": length}: the inputs that are numbers of things, where layers say that
    there are any, and how long axes of unknown length are best made.
    """
    model = load(Source(**source))
    looks = isinstance(model, Operators) or any(type(each).__name__ in _LOOK for each in model._flatten_layers())
    if not looks and not any(None in (value.shape or ())[1:] for value in signature(model)[0]):
        return {"counted": {}, "unknown": ANY}
    try:
        graph = trace(model, {}, read_rules(source.get("rules", ())))
        choose_probe(model, graph)
        return {"counted": counted(graph), "unknown": unknown(graph)}
    except (BridgeError, CheckFailed):  # it need not convert to be run
        return {"counted": {}, "unknown": ANY}


_LOOK = ("Embedding", "ReversibleEmbedding", "IntegerLookup")


def job_gradients(source: dict[str, Any], **options: Any) -> dict[str, Any]:
    """{"gradients": {weight: array}} of the model of a file: see gradients."""
    return {"gradients": gradients(load(Source(**source)), **options)}


def job_run(source: dict[str, Any], inputs: dict[str, np.ndarray], layers: bool = False, double: bool = False) -> Any:
    """What the model of a file gives for these inputs: {"outputs": {name: array}, "layers": {path: array}}."""
    model = _kept(source) if double else load(Source(**source))
    if layers:
        return run_layers(model, inputs, double=double)
    return {"outputs": run(model, inputs, double=double), "layers": {}}


def job_train(source: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Keras's own training from the file's weights: see train_steps. Weights come back by bridge's paths."""
    return train_steps(load(Source(**source)), **options)


def job_home(
    proto: np.ndarray, output: str, source: dict[str, Any] | None = None, weights_only: bool = False, folder: str = ""
) -> dict[str, Any]:
    """Writes the weights of a layered model as a Keras file, or into a SavedModel's folder, to `output` (a temporary
    path; of a SavedModel, an empty folder; of a checkpoint, a name in one).

    folder: what holds the weights that the model says the places of alone.
    """
    graph = from_proto(onnx.load_from_string(proto.tobytes()), str(Path(folder) / "the model"))
    if graph.checkpoint is not None and not output.endswith(KERAS_FILES):
        return checkpoint.write(graph, Path(output), (source or {}).get("arch"))
    if Path(output).is_dir():
        return saved_model.write(graph, Path(output), (source or {}).get("arch"))
    return go_home(graph, Path(output), Source(**source) if source else None, weights_only)


def _tidy(job: Callable[..., Any]) -> Callable[..., Any]:
    """The job, after which a large model's memory is given back: Keras's objects refer to each other in circles."""

    def done(**arguments: Any) -> Any:
        try:
            return job(**arguments)
        finally:
            if _file_bytes(**arguments) > TIDY:
                gc.collect()

    return done


def _file_bytes(source: dict[str, Any] | None = None, folder: str | None = None, **_: Any) -> int:
    files = [Path(source["path"])] if source and source["path"] else []
    if files:
        files = list(files[0].rglob("*")) if is_saved_model(files[0]) else all_files(files[0]) or files
    files += [Path(folder) / stored.BESIDE] if folder else []
    return sum(file.stat().st_size for file in files if file.is_file())


def _with_own_classes(job: Callable[..., Any]) -> Callable[..., Any]:
    """The job with the user's own classes at hand, which the source names, from its first line to its last."""

    def run(**arguments: Any) -> Any:
        user_code.forget()
        with own_classes((arguments.get("source") or {}).get("custom", ())):
            return job(**arguments)

    return run


_ALL = (
    *(job_trace, job_describe, job_survey, job_signature, job_counted, job_gradients, job_run, job_train),
    job_home,
)
JOBS: dict[str, Callable[..., Any]] = {job.__name__.removeprefix("job_"): _with_own_classes(_tidy(job)) for job in _ALL}
