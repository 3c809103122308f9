"""Recurrent modules: torch's own with Keras's biases and masks.

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
    keeps = rnn.training or (x.is_cuda and torch.is_grad_enabled())  # cuDNN: what gradients need, in eval() too
    sides = 1 + rnn.bidirectional
    size = len(weights) // sides  # 4 with biases, 2 without
    begin = hx if isinstance(hx, tuple) else (hx,) if hx is not None else None
    if begin is None:
        begin = (x.new_zeros(sides, x.shape[0], rnn.hidden_size),) * (2 if operator is torch.lstm else 1)
    if mask is None:
        first = begin if len(begin) > 1 else begin[0]
        y, *after = operator(x, first, weights, size == 4, 1, 0.0, keeps, rnn.bidirectional, True)
    else:
        runs = []
        for side in range(sides):
            own, first = weights[side * size : side * size + size], [state[side : side + 1] for state in begin]
            given = (x.flip(1), mask.flip(1)) if side else (x, mask)
            runs.append(one_way(operator, own, *given, first, keeps))
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
