"""The rules of the recurrent layers: torch's own modules where the maths is torch's, else a loop over the steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.graph import Layer
from bridge.graph.bodies.recurrent_runs import RECURRENT, Cell, Run, runs
from bridge.graph.body import call_tensors
from bridge.graph.layer import Shape
from bridge.torch_side.layers.activations import activation_module
from bridge.torch_side.layers.functions_recurrent import both_ways, merged, with_states
from bridge.torch_side.layers.modules_recurrent import GRU, LSTM, RNN
from bridge.torch_side.layers.modules_recurrent_loop import BothWays, RecurrentLoop, RecurrentStack
from bridge.torch_side.writing.part import New, Part, Take, literal, rule

_OWN = {"LSTM": LSTM, "GRU": GRU, "SimpleRNN": RNN}
_KERNELS = {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0"}


def recurrent(layer: Layer, shapes: list[Shape]) -> Part:
    """One module, whose call says what of it is the layer's output: all steps, the last one, the state after it."""
    names = list(call_tensors(layer, shapes))
    x = f"{{{names.index('sequences')}}}"
    mask = f"{{{names.index('mask')}}}" if "mask" in names else None
    states = [f"{{{i}}}" for i, name in enumerate(names) if name.startswith("state")]
    directions = runs(layer)
    if layer.kind != "Bidirectional":
        module, weights = _module(layer, directions[0].cells)
        return _part(module, weights, _call("{self}", directions[0], x, mask, states))
    mode = layer.config["merge_mode"]
    if _are_alike(directions):
        return _fused(layer, directions, x, mask, states)
    sides, weights = [], {}
    for side, run in zip(("forward_layer", "backward_layer"), directions, strict=True):
        module, own = _module(layer, run.cells)
        sides.append(module)
        weights |= {f"{side}.{key}": take for key, take in own.items()}
    half = directions[0].states
    calls = [
        _call(f"{{self}}.{side}", run, x, mask, given)
        for side, run, given in zip(
            ("forward_layer", "backward_layer"), directions, (states[:half], states[half:]), strict=True
        )
    ]
    call = f"merged({calls[0]}, {calls[1]}, {literal(mode)}, {directions[1].sequences})"
    return _part(New(BothWays, *sides), weights, call)


for kind in RECURRENT:
    rule(kind)(recurrent)


def _part(module: New, weights: dict[str, Take], call: str) -> Part:
    used = tuple(function for function in (with_states, merged, both_ways) if f"{function.__name__}(" in call)
    return Part(module, weights, call, used)


def _call(module: str, run: Run, x: str, mask: str | None, states: list[str]) -> str:
    """The layer's outputs, all that one direction gives."""
    if run.backwards:
        x, mask = f"{x}.flip(1)", mask and f"{mask}.flip(1)"
    called = f"{module}({_arguments(run, x, mask, states)})"
    if run.state:
        shown = f", {mask}" if mask and run.zero_masked else ""
        return f"with_states({called}, {not run.sequences}{shown})"
    shown = f".masked_fill(~{mask}.bool().unsqueeze(-1), 0.0)" if mask and run.zero_masked else ""
    return f"{called}[0]{shown}" if run.sequences else f"{called}[0]{shown}[:, -1]"


def _arguments(run: Run, x: str, mask: str | None, states: list[str]) -> str:
    hx, given = [], list(states)
    for cell in run.cells:
        own, given = [f"{state}[None]" for state in given[: cell.states]], given[cell.states :]
        hx.append(f"({', '.join(own)})" if len(own) > 1 else own[0] if own else "")
    listed = [x]
    if states:
        listed.append(f"({', '.join(hx)},)" if len(hx) > 1 else hx[0])
    return ", ".join([*listed, *([f"mask={mask}"] if mask else [])])


def _is_torchs(cell: Cell) -> bool:
    """Whether torch's own module computes what the cell does."""
    if cell.recurrent_dropout:
        return False
    if cell.kind == "SimpleRNN":
        return cell.activation in ("tanh", "relu")
    usual = cell.activation == "tanh" and cell.recurrent_activation == "sigmoid"
    return usual and (cell.kind == "LSTM" or cell.reset_after)


def _are_alike(directions: list[Run]) -> bool:
    """Whether both directions fit into one of torch's bidirectional modules."""
    there, back = directions
    if there.backwards or len(there.cells) != 1 or len(back.cells) != 1:
        return False
    cells = (there.cells[0], back.cells[0])
    kinds = {(c.kind, c.units, c.activation, bool(c.config["use_bias"]), c.two_biases, c.dropout) for c in cells}
    alike = replace(there, cells=(), backwards=True) == replace(back, cells=())
    return alike and len(kinds) == 1 and all(map(_is_torchs, cells)) and there.zero_masked == there.sequences


def _fused(layer: Layer, directions: list[Run], x: str, mask: str | None, states: list[str]) -> Part:
    """One bidirectional module of torch's."""
    there, back = directions
    module, weights = _own_module(layer, there.cells[0], bidirectional=True)
    _, other = _own_module(layer, back.cells[0], bidirectional=True)
    weights |= {f"{key}_reverse": take for key, take in other.items()}
    half = there.states
    both = [f"torch.stack([{a}, {b}])" for a, b in zip(states[:half], states[half:], strict=True)]
    hx = [f"({', '.join(both)})" if len(both) > 1 else both[0]] if both else []
    called = f"{{self}}({', '.join([x, *hx, *([f'mask={mask}'] if mask else [])])})"
    mode, last = layer.config["merge_mode"], not there.sequences
    if mode == "concat" and not last and not there.state and not mask:
        return _part(module, weights, f"{called}[0]")
    call = f"both_ways({called}, {literal(mode)}, {last}, {there.state}{f', {mask}' if mask else ''})"
    return _part(module, weights, call)


def _module(layer: Layer, cells: tuple[Cell, ...]) -> tuple[New, dict[str, Take]]:
    """The module of a run, and what its tensors are."""
    if len(cells) == 1:
        return _of_cell(layer, cells[0])
    modules, weights = [], {}
    for number, cell in enumerate(cells):
        module, own = _of_cell(layer, cell)
        modules.append(module)
        weights |= {f"{number}.{key}": take for key, take in own.items()}
    return New(RecurrentStack, modules), weights


def _of_cell(layer: Layer, cell: Cell) -> tuple[New, dict[str, Take]]:
    return _own_module(layer, cell) if _is_torchs(cell) else _loop(layer, cell)


def _own_module(layer: Layer, cell: Cell, bidirectional: bool = False) -> tuple[New, dict[str, Take]]:
    """LSTM, GRU or RNN; torch has a GRU's gates as r z n."""
    options: dict[str, Any] = {"bidirectional": True} if bidirectional else {}
    if cell.kind == "SimpleRNN" and cell.activation != "tanh":
        options["nonlinearity"] = cell.activation
    if not cell.config["use_bias"]:
        options["bias"] = False
    if cell.dropout:
        options["input_dropout"] = cell.dropout
    if cell.two_biases:
        options["biases"] = 2
    gates = (1, 0, 2) if cell.kind == "GRU" else None
    weights = {key: Take(cell.weight(word), (1, 0), gates) for word, key in _KERNELS.items()}
    if cell.config["use_bias"]:
        both = cell.kind == "GRU" or cell.two_biases
        weights["bias_l0" if both else "bias_ih_l0"] = Take(cell.weight("bias"), None, gates)
    features = layer.weights[cell.weight("kernel")].shape[0]
    return New(_OWN[cell.kind], features, cell.units, **options), weights


def _loop(layer: Layer, cell: Cell) -> tuple[New, dict[str, Take]]:
    features = layer.weights[cell.weight("kernel")].shape[0]
    options: dict[str, Any] = {"activation": activation_module(cell.activation)}
    if cell.kind != "SimpleRNN":
        options["recurrent_activation"] = activation_module(cell.recurrent_activation)
    weights = {key: Take(cell.weight(word), (1, 0)) for word, key in _KERNELS.items()}
    if cell.config["use_bias"]:
        options["bias"] = layer.weights[cell.weight("bias")].shape
        weights["bias_l0"] = Take(cell.weight("bias"))
    if cell.kind == "GRU" and cell.reset_after:
        options["reset_after"] = True
    for option, rate in (("input_dropout", cell.dropout), ("recurrent_dropout", cell.recurrent_dropout)):
        if rate:
            options[option] = rate
    return New(RecurrentLoop, cell.kind, features, cell.units, **options), weights
