"""Asking the Keras process: framework-free, for the command line, the API and the other sides."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bridge.errors import require
from bridge.keras_side.source import Source
from bridge.process import Worker, worker

if TYPE_CHECKING:
    import onnx


def start() -> Worker:
    """The Keras process; TensorFlow takes seconds, so a command that will need it starts it before all else."""
    for package, purpose in (
        ("tensorflow", "Reading and writing Keras models"),
        ("tf2onnx", "Converting Keras models"),
    ):
        require(package, "keras", purpose)
    return worker("keras_side")


def ask(job: str, **arguments: Any) -> Any:
    """Runs a job in the Keras process, which is started at the first call."""
    return start().call(job, **arguments)


@dataclass(frozen=True)
class Traced:
    """A Keras file as a layered ONNX model.

    non_finite: weights that hold NaN or infinity. outputs: Keras's own for `probe_inputs` of the model's inputs.
    """

    proto: onnx.ModelProto
    non_finite: list[str]
    outputs: dict[str, np.ndarray]


def traced(source: Source) -> Traced:
    """Loads and traces a Keras model in the Keras process."""
    import onnx

    result = ask("trace", source=asdict(source))
    return Traced(onnx.load_from_string(result["proto"].tobytes()), result["non_finite"], result["outputs"])
