"""The jobs of the runtime's worker process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bridge.errors import BridgeError
from bridge.runtime.batches import Batches, fixed_batch
from bridge.runtime.session import Session, open_session
from bridge.runtime.taps import run_layers


def run(
    model: str | np.ndarray,
    inputs: dict[str, np.ndarray],
    outputs: list[str] | None = None,
    provider: str = "cpu",
) -> dict[str, Any]:
    """Runs an .onnx file, or its bytes as a uint8 array, once; returns its outputs by name and the provider used.

    inputs: by the model's names, each cast to the type that the model asks for.
    """
    session = open_session(model.tobytes() if isinstance(model, np.ndarray) else model, provider)
    wanted, given = {v.name for v in session.inputs}, set(inputs)
    if wanted != given:
        raise BridgeError(f"{session.name}: its inputs are {sorted(wanted)}, it was given {sorted(given)}.")
    names = [v.name for v in session.outputs] if outputs is None else list(outputs)
    unknown = set(names) - {v.name for v in session.outputs}
    if unknown:
        raise BridgeError(f"{session.name}: has no output {', '.join(sorted(unknown))}.")
    feeds = {v.name: np.ascontiguousarray(inputs[v.name], v.dtype) for v in session.inputs}
    return {"outputs": dict(zip(names, _values(session, feeds, names), strict=True)), "provider": session.provider}


def _values(session: Session, feeds: dict[str, np.ndarray], names: list[str]) -> list[np.ndarray]:
    """The outputs for all rows at once, or in the only batch size that the model takes."""
    fixed, rows = fixed_batch(session, None), len(next(iter(feeds.values()), ()))
    if fixed in (None, rows):
        return session.run(feeds, names)
    batches = Batches(session, feeds, names, fixed, fixed=True)
    parts = [batches.run(slice(start, min(start + fixed, rows))) for start in range(0, rows, fixed)]
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def layers(model: str, inputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """{"layers": {name: array}}: what every node of a layered .onnx file gives, by the node's name."""
    return {"layers": run_layers(Path(model), inputs)}


JOBS: dict[str, Callable[..., dict[str, Any]]] = {"run": run, "layers": layers}
