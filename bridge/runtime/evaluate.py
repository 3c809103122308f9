"""Batched evaluation of a model on data: metrics and throughput."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bridge.data import Data, fit_to
from bridge.errors import BridgeError
from bridge.files import inside
from bridge.runtime.result import Evaluation, NotFinite
from bridge.runtime.scoring import LOSSES, scorer_for
from bridge.runtime.session import Session, open_session

# Bytes of input in a batch, and the least and most rows. CPU: what stays in the cache (784 floats a row are fastest at
# 1,024 to 2,048 rows, a tenth slower at 16,384). Others: what keeps a GPU busy.
CPU_BYTES, CPU_ROWS = 2**23, (16, 4096)
DEVICE_BYTES, DEVICE_ROWS = 2**26, (32, 16384)
WARM_UP_ROWS = 64
KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")


def evaluate(
    model: str | Path,
    data: Data,
    *,
    provider: str = "cpu",
    fallback: str | None = None,
    batch: int | None = None,
    threads: int | None = None,
    loss: str | None = None,
    scale: float | None = None,
    tf32: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Loss, metrics and rows per second of `model` on `data` with ONNX Runtime.

    model: a bridge folder or an .onnx file, layered or plain. data: for several outputs its targets go by output name.
    batch: rows in a call; by default by the size of a row. loss: one of LOSSES; by default as scorer_for chooses.
    scale: the data is divided by it. progress: called with (rows done, rows) after each batch.
    Raises BridgeError if model, data or provider can't be used, each with what to do.
    """
    if loss is not None and loss not in LOSSES:
        raise BridgeError(f"--loss {loss}: there is no such loss.\nKnown are: {', '.join(LOSSES)}.")
    if batch is not None and batch < 1:
        raise BridgeError(f"--batch {batch}: must be 1 or more.")
    session = open_session(model_file(model), provider, fallback, threads, tf32)
    refuse_stale(Path(model), session)
    names = _scored(data, session)
    start = time.perf_counter()
    feeds = _feeds(data, session, scale)
    batch, fixed = _batch_rows(session, feeds, batch)
    # Threads and memory are set up in the first call; some providers compile for the shape of the batch then.
    warm_up = batch if fixed or session.provider != "cpu" else min(batch, WARM_UP_ROWS)
    samples = _call(session, feeds, names, slice(0, min(warm_up, len(data))), batch if fixed else None)
    scorers = {
        name: scorer_for(data, name, sample, session.final.get(name, "unknown"), loss)
        for name, sample in zip(names, samples, strict=True)
    }
    seconds = 0.0
    broken: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for begin in range(0, len(data), batch):
        rows = slice(begin, min(begin + batch, len(data)))
        called = time.perf_counter()
        values = _call(session, feeds, names, rows, batch if fixed else None)
        seconds += time.perf_counter() - called
        with np.errstate(all="ignore"):  # NaN and infinity are counted and reported
            for name, value in zip(names, values, strict=True):
                scorers[name].update(value, rows)
                if not np.isfinite(value.sum()):
                    broken[name].append(_not_finite(value, begin))
        if progress is not None:
            progress(rows.stop, len(data))
    return Evaluation(
        model=str(model),
        data=data.origin,
        provider=session.provider,
        fell_back=session.fell_back,
        rows=len(data),
        batch=batch,
        threads=threads,
        seconds=seconds,
        scores={name: scorer.result() for name, scorer in scorers.items()},
        total_seconds=time.perf_counter() - start,
        not_finite=[_report(name, np.concatenate(parts)) for name, parts in broken.items() if any(map(len, parts))],
        class_names=data.classes,
    )


def model_file(model: str | Path) -> Path:
    """The .onnx file of a bridge folder, or `model` itself. Raises BridgeError where neither can be meant."""
    path = Path(model)
    if path.is_dir():
        if not (path / "model.onnx").exists():
            raise BridgeError(
                f"{path}: is not a bridge folder (it has no model.onnx).\n"
                "Give a folder that bridge convert keras2torch or bridge finetune wrote, or an .onnx file."
            )
        return inside(path, "model.onnx", path)
    if path.suffix in KERAS_SUFFIXES and path.exists():
        raise BridgeError(
            f"{path}: is a Keras file; ONNX Runtime evaluates .onnx files and bridge folders.\n"
            f"Convert it first: bridge convert keras2onnx {path} -o {path.with_suffix('.onnx').name}"
        )
    return path


def refuse_stale(model: Path, session: Session) -> None:
    """Raises BridgeError if a bridge folder's torch weights changed after its model.onnx was written."""
    weights, known = model / "model.safetensors", session.metadata.get("bridge.torch_sha256")
    if known is None or not weights.is_file():
        return
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != known:
        raise BridgeError(
            f"{model}: model.safetensors has changed since model.onnx was written; "
            f"run bridge convert torch2onnx {model} -o {model / 'model.onnx'} --force"
        )


def _scored(data: Data, session: Session) -> list[str]:
    """The outputs that the data has targets for."""
    names = [v.name for v in session.outputs]
    if data.targets is None:
        raise BridgeError(
            f"{data.origin}: has no targets, and a loss needs them.\nAdd them as y, say, or name --label."
        )
    if not isinstance(data.targets, dict):
        if len(names) == 1:
            return names
        raise BridgeError(
            f"{data.origin}: has one array of targets, the model has the outputs {', '.join(names)}.\n"
            f"Save the targets of each as y_{names[0]}, say, in an .npz."
        )
    unknown = [name for name in data.targets if name not in names]
    if unknown:
        raise BridgeError(
            f"{data.origin}: has targets for {', '.join(unknown)}; the model's outputs are {', '.join(names)}."
        )
    return [name for name in names if name in data.targets]


def _feeds(data: Data, session: Session, scale: float | None) -> dict[str, np.ndarray]:
    for value in session.inputs:
        if not value.shape:
            raise BridgeError(f"{session.name}: its input {value.name} has no batch axis, so it can't be evaluated.")
    types = {v.name: v.dtype for v in session.inputs}
    fitted = fit_to(data, {v.name: v.shape[1:] for v in session.inputs}, scale)
    return {name: np.ascontiguousarray(array, types[name]) for name, array in fitted.items()}


def _batch_rows(session: Session, feeds: dict[str, np.ndarray], batch: int | None) -> tuple[int, bool]:
    """The rows in a call, and whether the model takes no other number."""
    sizes = {v.shape[0] for v in session.inputs if v.shape[0] is not None}
    if sizes:
        fixed = min(sizes)
        if batch not in (None, fixed):
            raise BridgeError(f"--batch {batch}: {session.name} was exported for batches of {fixed} alone.")
        return fixed, True
    if batch is not None:
        return batch, False
    per_row = max(1, sum(array[:1].nbytes for array in feeds.values()))
    budget, (least, most) = (CPU_BYTES, CPU_ROWS) if session.provider == "cpu" else (DEVICE_BYTES, DEVICE_ROWS)
    return 2 ** (min(max(budget // per_row, least), most).bit_length() - 1), False


def _call(
    session: Session, feeds: dict[str, np.ndarray], names: list[str], rows: slice, fixed: int | None
) -> list[np.ndarray]:
    """The outputs for `rows`; a model of one batch size gets the last row repeated until the batch is full."""
    part = {name: array[rows] for name, array in feeds.items()}
    count = rows.stop - rows.start
    if fixed is not None and count < fixed:
        part = {name: np.concatenate([a, np.repeat(a[-1:], fixed - count, axis=0)]) for name, a in part.items()}
    # Plain run: with bound, preallocated outputs it is no faster on the CPU (measured), and slower for small batches.
    values = session.run(part, names)
    for index, value in enumerate(values):
        if value.ndim == 0 or len(value) != (fixed or count):
            raise BridgeError(
                f"{session.name}: its output {names[index]} is {value.shape} for a batch of {fixed or count}; "
                "the first axis must be the batch."
            )
        if value.dtype not in (np.float32, np.float64):
            value = value.astype(np.float32)
        values[index] = value[:count]
    return values


def _not_finite(value: np.ndarray, begin: int) -> np.ndarray:
    """(row, values of it that are NaN or infinite) for each row that has such."""
    counts = np.count_nonzero(~np.isfinite(value.reshape(len(value), -1)), axis=1)
    rows = np.flatnonzero(counts)
    return np.stack([rows + begin, counts[rows]], axis=1)


def _report(name: str, found: np.ndarray) -> NotFinite:
    return NotFinite(name, values=int(found[:, 1].sum()), rows=len(found), first_row=int(found[0, 0]))
