"""Batched evaluation of a model on data: metrics and throughput."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from bridge.data import Data, fit_to
from bridge.errors import BridgeError
from bridge.folder import model_of, stale
from bridge.keras_side.source import KERAS_FILES
from bridge.runtime.batches import Batches, device_batch, fixed_batch, plan
from bridge.runtime.result import Evaluation, NotFinite
from bridge.runtime.scoring import LOSSES, scorer_for
from bridge.runtime.session import Session, open_session

WARM_UP_ROWS = 64
HELD_BYTES = 2**26  # of outputs between inference, which is timed, and metrics, which are not


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
    batch: rows in a call; by default by the size of a row. threads: of the CPU; by default one for each core.
    loss: one of LOSSES; by default as scorer_for chooses.
    scale: the data is divided by it. progress: called with (rows done, rows) after each batch.
    Raises BridgeError if model, data or provider can't be used, each with what to do.
    """
    if loss is not None and loss not in LOSSES:
        raise BridgeError(f"--loss {loss}: there is no such loss.\nKnown are: {', '.join(LOSSES)}.")
    for option, number in (("--batch", batch), ("--threads", threads)):
        if number is not None and number < 1:
            raise BridgeError(f"{option} {number}: must be 1 or more.")
    cpu = plan(data, batch, threads)
    side_by_side = cpu.workers > 1
    session = open_session(model_file(model), provider, fallback, 1 if side_by_side else threads, tf32)
    _refuse_stale(Path(model), session)
    names = _scored(data, session)
    on_cpu = session.provider == "cpu"
    start = time.perf_counter()
    feeds = _feeds(data, session, scale)
    fixed = fixed_batch(session, batch)
    batch = fixed or batch or (cpu.batch if on_cpu else device_batch(data))
    batches = Batches(session, feeds, names, batch, fixed is not None)
    # Memory is set up in the first call, and some providers compile for the shape of the batch then.
    warm_up = min(batch, len(data), WARM_UP_ROWS if on_cpu else batch)
    samples = batches.run(slice(0, warm_up))
    scorers = {
        name: scorer_for(data, name, sample, session.final.get(name, "unknown"), loss)
        for name, sample in zip(names, samples, strict=True)
    }
    seconds = 0.0
    broken: dict[str, list[np.ndarray]] = {name: [] for name in names}
    with ThreadPoolExecutor(cpu.workers) if side_by_side and on_cpu else nullcontext() as pool:
        for chunk in _chunks(len(data), batch, cpu.workers, sum(sample[:1].nbytes for sample in samples)):
            called = time.perf_counter()
            outputs = []
            for rows, values in zip(chunk, batches.run_all(chunk, pool), strict=True):
                outputs.append(values)
                if progress is not None:
                    progress(rows.stop, len(data))
            seconds += time.perf_counter() - called
            with np.errstate(all="ignore"):  # NaN and infinity are counted and reported
                for rows, values in zip(chunk, outputs, strict=True):
                    for name, value in zip(names, values, strict=True):
                        scorers[name].update(value, rows)
                        if not np.isfinite(value.sum()):
                            broken[name].append(_not_finite(value, rows.start))
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
        return model_of(path)
    if path.suffix.lower() in KERAS_FILES and path.exists():
        raise BridgeError(
            f"{path}: is a Keras file; ONNX Runtime evaluates .onnx files and bridge folders.\n"
            f"Convert it first: bridge convert keras2onnx {path} -o {path.with_suffix('.onnx').name}"
        )
    return path


def _refuse_stale(model: Path, session: Session) -> None:
    """Raises BridgeError if a bridge folder's torch weights changed after its model.onnx was written."""
    folder = model.parent if model.name == "model.onnx" else model
    if folder.is_dir() and (reason := stale(folder, session.metadata)):
        raise BridgeError(f"{model}: {reason}")


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
    types = {v.name: v.dtype.name for v in session.inputs}
    fitted = fit_to(data, {v.name: v.shape[1:] for v in session.inputs}, scale, types, session.below)
    return {name: np.ascontiguousarray(array, types[name]) for name, array in fitted.items()}


def _chunks(rows: int, batch: int, workers: int, row_bytes: int) -> Iterator[list[slice]]:
    """The rows in batches, grouped by how many outputs are to be held at once; each group feeds all workers."""
    slices = [slice(begin, min(begin + batch, rows)) for begin in range(0, rows, batch)]
    held = max(workers, HELD_BYTES // max(1, batch * row_bytes))
    for begin in range(0, len(slices), held):
        yield slices[begin : begin + held]


def _not_finite(value: np.ndarray, begin: int) -> np.ndarray:
    """(row, values of it that are NaN or infinite) for each row that has such."""
    counts = np.count_nonzero(~np.isfinite(value.reshape(len(value), -1)), axis=1)
    rows = np.flatnonzero(counts)
    return np.stack([rows + begin, counts[rows]], axis=1)


def _report(name: str, found: np.ndarray) -> NotFinite:
    return NotFinite(name, values=int(found[:, 1].sum()), rows=len(found), first_row=int(found[0, 0]))
