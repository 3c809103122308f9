"""What a comparison found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from bridge.parity.arrays import Judged
from bridge.strict_json import finite_or_null


@dataclass(frozen=True)
class File:
    """One file as one framework runs it. letter: what the tables call it. fault: why it could not be run, or ""."""

    letter: str
    path: str
    framework: str  # "Keras", "PyTorch", "ONNX Runtime"
    form: str  # "Keras file", "bridge folder", "layered ONNX", "plain ONNX"
    fault: str = ""


@dataclass(frozen=True)
class Row(Judged):
    """One output of one file beside the same output of the first: see arrays.judge."""

    file: str = field(kw_only=True)
    output: str = field(kw_only=True)


@dataclass(frozen=True)
class Layer(Judged):
    """One layer of one file beside the same layer of the first layered file. kind: "Dense", or "" if unknown."""

    file: str = field(kw_only=True)
    layer: str = field(kw_only=True)
    kind: str = field(kw_only=True)


@dataclass(frozen=True)
class Report:
    """What `compare` found. Rows are by file, then output; layers in the order of execution, then by file."""

    files: list[File]
    inputs: str  # "64 rows, random (seed 0)"
    rtol: float
    rows: list[Row]
    layers: list[Layer] = field(default_factory=list)
    reference: str | None = None  # what computed in float64
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every file could be run and gives what the first gives."""
        return not any(file.fault for file in self.files) and all(row.ok for row in self.rows)

    @property
    def first_difference(self) -> Layer | None:
        """The first layer, in the order of execution, that differs in the first file that has one."""
        return next((layer for file in self.files for layer in self.differing(file.letter)[:1]), None)

    def differing(self, letter: str) -> list[Layer]:
        """The layers of a file that differ, in the order of execution."""
        return [layer for layer in self.layers if layer.file == letter and not layer.ok]

    def to_dict(self) -> dict[str, Any]:
        """JSON values; a number that is not finite is null."""
        first = self.first_difference
        values = {
            "ok": self.ok,
            "rtol": self.rtol,
            "inputs": self.inputs,
            "reference": self.reference,
            "files": [asdict(file) for file in self.files],
            "outputs": [asdict(row) for row in self.rows],
            "first_difference": asdict(first) if first else None,
            "layers": [asdict(layer) for layer in self.layers],
            "notes": self.notes,
        }
        return dict(finite_or_null(values))
