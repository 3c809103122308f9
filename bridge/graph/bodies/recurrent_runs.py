"""What a recurrent layer runs: its cells in each direction, and the options of the run, read from Keras's configs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bridge.graph.bodies.activations import activation_name
from bridge.graph.body import Refused
from bridge.graph.layer import Layer

RECURRENT = ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional")
CELLS = {"LSTMCell": "LSTM", "GRUCell": "GRU", "SimpleRNNCell": "SimpleRNN"}
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
MERGES = ("concat", "sum", "ave", "mul", None)


@dataclass(frozen=True)
class Cell:
    """One cell: the step of a recurrence. prefix: before the names of its weights ("forward/cell0/")."""

    kind: str  # "LSTM", "GRU", "SimpleRNN"
    prefix: str
    config: dict[str, Any]

    @property
    def units(self) -> int:
        return int(self.config["units"])

    @property
    def states(self) -> int:
        """How many tensors the state is: an LSTM has its output and its carry."""
        return 2 if self.kind == "LSTM" else 1

    @property
    def activation(self) -> str:
        return activation_name(self.config["activation"])

    @property
    def recurrent_activation(self) -> str:
        return activation_name(self.config["recurrent_activation"])

    @property
    def reset_after(self) -> bool:
        """Of a GRU: whether its reset gate comes after the matrix product."""
        return bool(self.config.get("reset_after"))

    @property
    def two_biases(self) -> bool:
        """Of an LSTM: whether it has two biases whose sum counts, (2, 4 * units), as cuDNN's had in Keras 2."""
        return self.config.get("biases") == 2

    @property
    def dropout(self) -> float:
        return float(self.config.get("dropout") or 0.0)

    @property
    def recurrent_dropout(self) -> float:
        return float(self.config.get("recurrent_dropout") or 0.0)

    def weight(self, word: str) -> str:
        return f"{self.prefix}{word}"


@dataclass(frozen=True)
class Run:
    """Cells that run over a sequence together, each on the outputs of the one before."""

    cells: tuple[Cell, ...]
    backwards: bool
    sequences: bool  # the outputs of all steps, not of the last alone
    state: bool  # the states after the last step too
    zero_masked: bool  # a masked step's output is 0, not the last one's again

    @property
    def states(self) -> int:
        return sum(cell.states for cell in self.cells)


def runs(layer: Layer) -> list[Run]:
    """The run of a recurrent layer; two for a Bidirectional one, the backward run's outputs still in its own order.

    Raises Refused for cells that are not Keras's own, and for a state that is kept between batches.
    """
    if layer.kind != "Bidirectional":
        return [_run(layer.kind, layer.config, "")]
    if layer.config["merge_mode"] not in MERGES:
        raise Refused(f"its merge_mode is {layer.config['merge_mode']!r}")
    sides = (("forward/", "layer"), ("backward/", "backward_layer"))
    return [_run(layer.config[name]["class_name"], layer.config[name]["config"], prefix) for prefix, name in sides]


def _run(kind: str, config: dict[str, Any], prefix: str) -> Run:
    if config.get("stateful"):
        raise Refused(
            "stateful=True: it keeps its state between batches; use return_state and initial_state, which convert"
        )
    return Run(
        cells=tuple(_cells(kind, config, prefix)),
        backwards=bool(config["go_backwards"]),
        sequences=bool(config["return_sequences"]),
        state=bool(config["return_state"]),
        zero_masked=bool(config.get("zero_output_for_mask")),
    )


def _cells(kind: str, config: dict[str, Any], prefix: str) -> list[Cell]:
    if kind in GATES:
        return [Cell(kind, prefix, config)]
    if kind != "RNN":
        raise Refused(f"it wraps a {kind}, not one of Keras's recurrent layers")
    cell = config["cell"]
    stacked = cell["class_name"] == "StackedRNNCells"
    listed = cell["config"]["cells"] if stacked else [cell]
    for each in listed:
        if each["class_name"] not in CELLS or each.get("registered_name"):
            raise Refused(f"its cell {each['class_name']} is not one of Keras's own")
    prefixes = [f"{prefix}cell{i}/" if stacked else prefix for i in range(len(listed))]
    return [Cell(CELLS[c["class_name"]], p, c["config"]) for c, p in zip(listed, prefixes, strict=True)]
