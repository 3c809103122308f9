"""Recurrent modules beside torch's own: a loop for what those don't compute, a stack, one for each direction.

They take and return what the modules of modules_recurrent.py do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridge.torch_side.layers.modules_recurrent import State


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
