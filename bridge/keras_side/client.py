"""Asking the Keras process: framework-free, for the command line, the API and the other sides."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bridge.errors import require
from bridge.keras_side.source import Source
from bridge.process import Worker, worker

if TYPE_CHECKING:
    import onnx

    from bridge.graph import Graph


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
    folder: what holds the weights of a large model, whose proto says their places alone.
    """

    proto: onnx.ModelProto
    non_finite: list[str]
    outputs: dict[str, np.ndarray]
    folder: Path | None = None

    @property
    def graph(self) -> Graph:
        from bridge.graph import from_proto

        return from_proto(self.proto, str(self.folder / "the model") if self.folder else "the model")

    @property
    def written(self) -> Path | None:
        """The file with the weights of a large model."""
        from bridge.graph import stored

        return self.folder / stored.BESIDE if self.folder and stored.outside(self.proto) else None


def traced(source: Source, folder: Path | None = None) -> Traced:
    """Loads and traces a Keras model in the Keras process. folder: an empty one, for the weights of a large model."""
    import onnx

    from bridge.graph import stored

    most = stored.MOST_INSIDE
    result = ask("trace", source=asdict(source), folder=folder and str(folder.resolve()), most_inside=most)
    proto = onnx.load_from_string(result["proto"].tobytes())
    return Traced(proto, result["non_finite"], result["outputs"], folder)
