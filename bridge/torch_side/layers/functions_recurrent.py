"""What Keras's recurrent layers give, of what a recurrent module gives. Each stands alone, as all functions do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


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
