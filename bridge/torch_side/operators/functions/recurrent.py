"""ONNX's recurrent operators as loops over time. Each function stands alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def recurrent(
    step: Callable[..., tuple[Tensor, ...]],
    x: Tensor,
    weights: Tensor,
    inner: Tensor,
    bias: Tensor | None,
    lengths: Tensor | None,
    states: tuple[Tensor | None, ...],
    backwards: tuple[bool, ...],
    by_batch: bool,
) -> tuple[Tensor, ...]:
    """(time, directions, batch, units) of all steps, then the last states (directions, batch, units).

    step(x @ weights.T + half of the bias, state..., inner.T, other half, direction) -> state...; x: (time, batch,
    features). by_batch: the batch comes first everywhere.
    """
    if by_batch:
        x = x.transpose(0, 1)
        states = tuple(None if s is None else s.transpose(0, 1) for s in states)
    time, batch, units = x.shape[0], x.shape[1], inner.shape[2]
    found, ends = [], []
    for direction, turned in enumerate(backwards):
        half = weights.shape[1]
        first, second = (0.0, 0.0) if bias is None else (bias[direction, :half], bias[direction, half:])
        given = x @ weights[direction].T + first
        now = [x.new_zeros(batch, units) if s is None else s[direction] for s in states]
        outputs: list[Tensor] = [x.new_zeros(batch, units)] * time
        for t in reversed(range(time)) if turned else range(time):
            new = step(given[t], *now, inner[direction].T, second, direction)
            if lengths is None:
                now, outputs[t] = [*new], new[0]
            else:  # behind the end of a row nothing moves, and the output is 0
                there = (lengths > t).unsqueeze(1)
                now = [torch.where(there, n, s) for n, s in zip(new, now, strict=True)]
                outputs[t] = torch.where(there, new[0], 0.0)
        found.append(torch.stack(outputs))
        ends.append(now)
    y = torch.stack(found, 1)
    last = [torch.stack([now[i] for now in ends]) for i in range(len(states))]
    if by_batch:
        return y.permute(2, 0, 1, 3), *(s.transpose(0, 1) for s in last)
    return y, *last


def lstm_step(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    inner: Tensor,
    bias: Tensor | float,
    direction: int,
    acts: tuple[Callable[[Tensor], Tensor], ...],
    peep: Tensor | None = None,
    clip: float | None = None,
    coupled: bool = False,
) -> tuple[Tensor, Tensor]:
    """Gates in the order input, output, forget, cell; peep: their weights of the cell; coupled: forget is 1 - input."""
    f, g, last = acts[3 * direction : 3 * direction + 3]
    gates = x + h @ inner + bias
    i, o, forget, new = gates.chunk(4, -1)
    units = h.shape[-1]
    if peep is not None:
        weights = peep[direction]
        i, forget = i + weights[:units] * c, forget + weights[2 * units :] * c
    if clip is not None:
        i, forget, new = i.clamp(-clip, clip), forget.clamp(-clip, clip), new.clamp(-clip, clip)
    i = f(i)
    c = (1 - i if coupled else f(forget)) * c + i * g(new)
    if peep is not None:
        o = o + peep[direction][units : 2 * units] * c
    if clip is not None:
        o = o.clamp(-clip, clip)
    return f(o) * last(c), c


def gru_step(
    x: Tensor,
    h: Tensor,
    inner: Tensor,
    bias: Tensor | float,
    direction: int,
    acts: tuple[Callable[[Tensor], Tensor], ...],
    reset_after: bool = False,
    clip: float | None = None,
) -> tuple[Tensor]:
    """Gates in the order update, reset, new."""
    f, g = acts[2 * direction : 2 * direction + 2]
    units = h.shape[-1]
    second = x.new_zeros(3 * units) if isinstance(bias, float) else bias
    gates = x[:, : 2 * units] + h @ inner[:, : 2 * units] + second[: 2 * units]
    z, r = f(gates if clip is None else gates.clamp(-clip, clip)).chunk(2, -1)
    if reset_after:
        new = x[:, 2 * units :] + r * (h @ inner[:, 2 * units :] + second[2 * units :])
    else:
        new = x[:, 2 * units :] + (r * h) @ inner[:, 2 * units :] + second[2 * units :]
    new = g(new if clip is None else new.clamp(-clip, clip))
    return ((1 - z) * new + z * h,)


def rnn_step(
    x: Tensor,
    h: Tensor,
    inner: Tensor,
    bias: Tensor | float,
    direction: int,
    acts: tuple[Callable[[Tensor], Tensor], ...],
    clip: float | None = None,
) -> tuple[Tensor]:
    y = x + h @ inner + bias
    return (acts[direction](y if clip is None else y.clamp(-clip, clip)),)


def lstm(
    x: Tensor,
    weights: Tensor,
    inner: Tensor,
    bias: Tensor | None,
    lengths: Tensor | None,
    h: Tensor | None,
    c: Tensor | None,
    backwards: tuple[bool, ...],
    by_batch: bool,
    acts: tuple[Callable[[Tensor], Tensor], ...],
    peep: Tensor | None = None,
    clip: float | None = None,
    coupled: bool = False,
) -> tuple[Tensor, ...]:
    """ONNX's LSTM: all outputs, the last output, the last cell state."""

    def step(*given):
        return lstm_step(*given, acts, peep, clip, coupled)

    return recurrent(step, x, weights, inner, bias, lengths, (h, c), backwards, by_batch)


def gru(
    x: Tensor,
    weights: Tensor,
    inner: Tensor,
    bias: Tensor | None,
    lengths: Tensor | None,
    h: Tensor | None,
    backwards: tuple[bool, ...],
    by_batch: bool,
    acts: tuple[Callable[[Tensor], Tensor], ...],
    reset_after: bool = False,
    clip: float | None = None,
) -> tuple[Tensor, ...]:
    """ONNX's GRU: all outputs and the last one."""

    def step(*given):
        return gru_step(*given, acts, reset_after, clip)

    return recurrent(step, x, weights, inner, bias, lengths, (h,), backwards, by_batch)


def rnn(
    x: Tensor,
    weights: Tensor,
    inner: Tensor,
    bias: Tensor | None,
    lengths: Tensor | None,
    h: Tensor | None,
    backwards: tuple[bool, ...],
    by_batch: bool,
    acts: tuple[Callable[[Tensor], Tensor], ...],
    clip: float | None = None,
) -> tuple[Tensor, ...]:
    """ONNX's RNN: all outputs and the last one."""

    def step(*given):
        return rnn_step(*given, acts, clip)

    return recurrent(step, x, weights, inner, bias, lengths, (h,), backwards, by_batch)
