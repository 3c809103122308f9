"""Recurrent modules: torch's own with Keras's biases and masks, and a loop for what torch's own don't compute.

Each takes x (batch, steps, features), the state before (hx) and a mask (batch, steps) of the steps that count, and
returns as torch's do: the outputs of all steps (batch, steps, units) and the state after them, (1, batch, units) each
(2 for both directions). Steps that the mask leaves out change nothing; the output there is that of the step before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = Tensor | tuple[Tensor, ...] | None


class LSTM(nn.LSTM):
    """nn.LSTM, batch first, with one bias as Keras has it (bias_ih_l0), and dropout of its inputs.

    input_dropout: one draw for all steps of a sequence. biases: 2 as cuDNN's LSTM of Keras 2 has them, in one tensor
    (bias_l0), each trained.
    """

    def __init__(
        self,
        features: int,
        units: int,
        bias: bool = True,
        bidirectional: bool = False,
        input_dropout: float = 0.0,
        biases: int = 1,
    ):
        super().__init__(features, units, bias=False, batch_first=True, bidirectional=bidirectional)
        self.input_dropout, self.biases = input_dropout, biases
        if bias and biases == 2:
            add_biases(self, "bias_l0", 2, 4 * units)
        elif bias:
            add_biases(self, "bias_ih_l0", 4 * units)

    def forward(
        self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        weights = flat_weights(self, "bias_l0" if self.biases == 2 else "bias_ih_l0")
        return run_kept(self, torch.lstm, weights, x, hx, mask)

    def extra_repr(self) -> str:
        return described(self)


class GRU(nn.GRU):
    """nn.GRU, batch first, with both biases in one tensor as Keras has it (bias_l0: of inputs and of the state).

    input_dropout: one draw for all steps of a sequence.
    """

    def __init__(
        self, features: int, units: int, bias: bool = True, bidirectional: bool = False, input_dropout: float = 0.0
    ):
        super().__init__(features, units, bias=False, batch_first=True, bidirectional=bidirectional)
        self.input_dropout = input_dropout
        if bias:
            add_biases(self, "bias_l0", 2, 3 * units)

    def forward(self, x: Tensor, hx: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        weights = flat_weights(self, "bias_l0")
        return run_kept(self, torch.gru, weights, x, hx, mask)

    def extra_repr(self) -> str:
        return described(self)


class RNN(nn.RNN):
    """nn.RNN, batch first, with one bias as Keras has it (bias_ih_l0), and dropout of its inputs.

    input_dropout: one draw for all steps of a sequence.
    """

    def __init__(
        self,
        features: int,
        units: int,
        nonlinearity: str = "tanh",
        bias: bool = True,
        bidirectional: bool = False,
        input_dropout: float = 0.0,
    ):
        super().__init__(
            features, units, nonlinearity=nonlinearity, bias=False, batch_first=True, bidirectional=bidirectional
        )
        self.input_dropout = input_dropout
        if bias:
            add_biases(self, "bias_ih_l0", units)

    def forward(self, x: Tensor, hx: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        weights = flat_weights(self, "bias_ih_l0")
        operator = torch.rnn_relu if self.nonlinearity == "relu" else torch.rnn_tanh
        return run_kept(self, operator, weights, x, hx, mask)

    def extra_repr(self) -> str:
        return described(self)


def add_biases(rnn: nn.RNNBase, name: str, *shape: int) -> None:
    """A parameter for each direction."""
    for side in ("", "_reverse")[: 1 + rnn.bidirectional]:
        rnn.register_parameter(name + side, nn.Parameter(torch.zeros(shape)))


def described(rnn: nn.RNNBase) -> str:
    """What torch's module says of itself, whose bias is another here."""
    biased = any(name.startswith("bias") for name, _ in rnn.named_parameters())
    said = nn.RNNBase.extra_repr(rnn)
    return said.replace("bias=False, ", "") if biased else said


def flat_weights(rnn: nn.RNNBase, bias: str) -> list[Tensor]:
    """The weights as torch's operators take them: of inputs, of the state, and the biases of both."""
    weights: list[Tensor] = []
    for side in ("", "_reverse")[: 1 + rnn.bidirectional]:
        weights += [getattr(rnn, f"weight_ih_l0{side}"), getattr(rnn, f"weight_hh_l0{side}")]
        both = getattr(rnn, bias + side, None)
        if both is not None:
            weights += list(both) if both.ndim == 2 else [both, torch.zeros_like(both)]
    return weights


def run_kept(
    rnn: nn.RNNBase, operator: Callable[..., Any], weights: list[Tensor], x: Tensor, hx: State, mask: Tensor | None
) -> tuple[Tensor, State]:
    """Runs one of torch's operators, with a mask over the kept steps alone."""
    if rnn.training and rnn.input_dropout:
        x = x * F.dropout(torch.ones_like(x[:, :1]), rnn.input_dropout)
    sides = 1 + rnn.bidirectional
    size = len(weights) // sides  # 4 with biases, 2 without
    begin = hx if isinstance(hx, tuple) else (hx,) if hx is not None else None
    if begin is None:
        begin = (x.new_zeros(sides, x.shape[0], rnn.hidden_size),) * (2 if operator is torch.lstm else 1)
    if mask is None:
        first = begin if len(begin) > 1 else begin[0]
        y, *after = operator(x, first, weights, size == 4, 1, 0.0, rnn.training, rnn.bidirectional, True)
    else:
        runs = []
        for side in range(sides):
            own, first = weights[side * size : side * size + size], [state[side : side + 1] for state in begin]
            given = (x.flip(1), mask.flip(1)) if side else (x, mask)
            runs.append(one_way(operator, own, *given, first, rnn.training))
        y = runs[0][0] if sides == 1 else torch.cat([runs[0][0], runs[1][0].flip(1)], -1)
        after = [torch.cat(states) for states in zip(*(run[1] for run in runs), strict=True)]
    return y, tuple(after) if len(after) > 1 else after[0]


def one_way(
    operator: Callable[..., Any], weights: list[Tensor], x: Tensor, mask: Tensor, begin: list[Tensor], training: bool
) -> tuple[Tensor, list[Tensor]]:
    """One direction over the steps that the mask keeps: they are moved to the front of their row and back after.

    The steps that then come last hold an LSTM's carry: a further feature, 1 there, shuts its input gate and opens its
    forget gate.
    """
    mask = mask.bool()
    order = (~mask).byte().sort(dim=1, stable=True).indices.unsqueeze(-1)
    x = x.take_along_dim(order, 1)
    if operator is torch.lstm:
        units = weights[1].shape[1]
        left_out = (~mask).to(x.dtype).unsqueeze(-1).take_along_dim(order, 1)
        gates = torch.tensor([-1e4, 1e4, 0.0, 0.0], dtype=x.dtype, device=x.device)  # of inputs, forget, cell, output
        x = torch.cat([x, left_out], -1)
        weights = [torch.cat([weights[0], gates.repeat_interleave(units).unsqueeze(-1)], -1), *weights[1:]]
    first = tuple(begin) if len(begin) > 1 else begin[0]
    y, _, *carry = operator(x, first, weights, len(weights) == 4, 1, 0.0, training, False, True)
    last = mask.cumsum(1).unsqueeze(-1) - 1
    y = y.take_along_dim(last.clamp(min=0), 1).masked_fill(last < 0, 0.0)
    return y, [torch.where(mask.any(1, keepdim=True), y[:, -1], begin[0]), *carry]


class RecurrentLoop(nn.Module):
    """Keras's cell step by step, for what torch's own don't compute; weights in torch's layout, gates in Keras's order.

    kind: "LSTM" (gates i f c o), "GRU" (z r h) or "SimpleRNN". With recurrent_dropout each gate has draws of its own,
    for all steps the same ones.
    """

    def __init__(
        self,
        kind: str,
        features: int,
        units: int,
        activation: nn.Module,
        recurrent_activation: nn.Module | None = None,
        bias: tuple[int, ...] | None = None,
        reset_after: bool = False,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
    ):
        super().__init__()
        self.kind, self.units, self.reset_after = kind, units, reset_after
        self.gates = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[kind]
        self.input_dropout, self.recurrent_dropout = input_dropout, recurrent_dropout
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self.weight_ih_l0 = nn.Parameter(torch.zeros(self.gates * units, features))
        self.weight_hh_l0 = nn.Parameter(torch.zeros(self.gates * units, units))
        self.bias_l0 = nn.Parameter(torch.zeros(bias)) if bias is not None else None

    def forward(self, x: Tensor, hx: State = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        draws = self.gates if self.recurrent_dropout else 1
        inputs = self._dropped(x[:, :1], self.input_dropout, draws)
        bias = self.bias_l0
        two = bias is not None and bias.ndim == 2
        parts = [x] * draws if inputs is None else [x * each for each in inputs]
        pieces = [F.linear(part, weight) for part, weight in zip(parts, self.weight_ih_l0.chunk(draws), strict=True)]
        projected = torch.cat(pieces, -1)
        if bias is not None:
            projected = projected + (bias[0] if two else bias)
        zeros = x.new_zeros(x.shape[0], self.units)
        states = [zeros] * (2 if self.kind == "LSTM" else 1)
        if hx is not None:
            states = [state[0] for state in (hx if isinstance(hx, tuple) else (hx,))]
        drops = self._dropped(zeros, self.recurrent_dropout, draws)
        y, outputs = zeros, []
        for now in range(x.shape[1]):
            new = self._step(projected[:, now], states, drops, bias[1] if two else None)
            if mask is not None:
                keep = mask[:, now, None].bool()
                y = torch.where(keep, new[0], y)
                new = [torch.where(keep, after, before) for after, before in zip(new, states, strict=True)]
            else:
                y = new[0]
            states = new
            outputs.append(y)
        after = tuple(state.unsqueeze(0) for state in states)
        return torch.stack(outputs, 1), after if len(after) > 1 else after[0]

    def _step(self, x: Tensor, states: list[Tensor], drops: list[Tensor] | None, bias: Tensor | None) -> list[Tensor]:
        h = states[0]
        before = [h] * self.gates if drops is None else [h * each for each in drops]
        weights, x_gates = self.weight_hh_l0.chunk(self.gates), x.chunk(self.gates, -1)
        b_gates = [None] * self.gates if bias is None else bias.chunk(self.gates)
        if self.kind == "SimpleRNN":
            return [self.activation(x + F.linear(before[0], weights[0]))]
        if self.kind == "GRU":
            z, r = (
                self.recurrent_activation(x_gates[i] + F.linear(before[i], weights[i], b_gates[i])) for i in range(2)
            )
            if self.reset_after:
                inner = r * F.linear(before[2], weights[2], b_gates[2])
            else:
                inner = F.linear(r * before[2], weights[2])
            return [z * h + (1 - z) * self.activation(x_gates[2] + inner)]
        i, f, g, o = (a + F.linear(b, w) for a, b, w in zip(x_gates, before, weights, strict=True))
        c = self.recurrent_activation(f) * states[1] + self.recurrent_activation(i) * self.activation(g)
        return [self.recurrent_activation(o) * self.activation(c), c]

    def _dropped(self, like: Tensor, rate: float, count: int) -> list[Tensor] | None:
        if not self.training or not rate:
            return None
        return [F.dropout(torch.ones_like(like), rate) for _ in range(count)]

    def extra_repr(self) -> str:
        return f"{self.kind!r}, {self.weight_ih_l0.shape[1]}, {self.units}, reset_after={self.reset_after}"


class RecurrentStack(nn.ModuleList):
    """Recurrent modules, each on the outputs of the one before. hx: the state of each."""

    def forward(
        self, x: Tensor, hx: tuple[State, ...] | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, tuple[State, ...]]:
        after = []
        for number, rnn in enumerate(self):
            x, state = rnn(x, None if hx is None else hx[number], mask)
            after.append(state)
        return x, tuple(after)


class BothWays(nn.Module):
    """A recurrent module for each direction, where they are not alike."""

    def __init__(self, forward_layer: nn.Module, backward_layer: nn.Module):
        super().__init__()
        self.forward_layer, self.backward_layer = forward_layer, backward_layer


def with_states(result: tuple[Tensor, Any], last: bool, shown: Tensor | None = None) -> tuple[Tensor, ...]:
    """The outputs of a recurrent module (or the last one), then each state after it.

    shown: a mask; the outputs of other steps are 0.
    """
    y, states = result
    if shown is not None:
        y = y.masked_fill(~shown.bool().unsqueeze(-1), 0.0)
    return (y[:, -1] if last else y, *flat_states(states))


def flat_states(states: Any) -> list[Tensor]:
    """(1, batch, units) -> (batch, units), of all the states in tuples."""
    return [states[0]] if isinstance(states, Tensor) else [one for state in states for one in flat_states(state)]


def merged(forward: Any, backward: Any, mode: str | None, turn: bool) -> Any:
    """Keras's Bidirectional: the outputs of two directions made one, then the states of both, if they come along.

    mode: "concat", "sum", "ave", "mul" or None. turn: the backward outputs are of all steps, the last step first.
    """
    y, *states = forward if isinstance(forward, tuple) else (forward,)
    back, *more = backward if isinstance(backward, tuple) else (backward,)
    back = back.flip(1) if turn else back
    if mode == "concat":
        outputs = (torch.cat([y, back], -1),)
    elif mode == "mul":
        outputs = (y * back,)
    elif mode is None:
        outputs = (y, back)
    else:
        outputs = ((y + back) / 2 if mode == "ave" else y + back,)
    found = (*outputs, *states, *more)
    return found if len(found) > 1 else found[0]


def both_ways(result: tuple[Tensor, Any], mode: str | None, last: bool, state: bool, mask: Tensor | None = None) -> Any:
    """Keras's Bidirectional of what a bidirectional module of torch's gives: see `merged`."""
    y, states = result
    states = states if isinstance(states, tuple) else (states,)
    if last:
        ends = states[0] if mask is None else states[0].masked_fill(~mask.bool().any(1)[:, None], 0.0)
        outputs = list(ends)
    else:
        y = y if mask is None else y.masked_fill(~mask.bool().unsqueeze(-1), 0.0)
        outputs = list(y.chunk(2, -1))
    sides = [[output, *(one[side] for one in states if state)] for side, output in enumerate(outputs)]
    return merged(tuple(sides[0]), tuple(sides[1]), mode, False)
