"""ONNX's loops in plain Python. Each function stands alone: a converted model's source carries a copy of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def loop(
    body: Callable[..., tuple],
    most: int | None,
    going: Tensor | bool,
    states: tuple,
    given: tuple,
    empty: tuple = (),
) -> tuple:
    """body(step, going, *states, *given) -> (going, *states, *left) as long as `going`, `most` times at most.

    Gives the last states and, of what each step left behind, all steps in one tensor each; empty: the shape and type
    of one step of these.
    """
    device = next((value.device for value in (*states, *given) if isinstance(value, Tensor)), None)
    left: list[list[Tensor]] = [[] for _ in empty]
    step = 0
    while (most is None or step < most) and going:
        going, *results = body(torch.tensor(step, device=device), going, *states, *given)
        states = tuple(results[: len(states)])
        for steps, value in zip(left, results[len(states) :], strict=True):
            steps.append(value)
        step += 1
    if not step and any(kind is None for _, kind in empty):
        raise ValueError("a loop took no step, and the type of what its steps leave behind is not known")
    stacked = [
        torch.stack(steps) if steps else torch.zeros((0, *shape), dtype=kind, device=device)
        for steps, (shape, kind) in zip(left, empty, strict=True)
    ]
    return (*states, *stacked)


def repeat(body: Callable[..., tuple], times: int, states: tuple, given: tuple, empty: tuple = ()) -> tuple:
    """body(step, *states, *given) -> (*states, *left) so many times.

    Gives the last states and, of what each step left behind, all steps in one tensor each; empty: the shape and type
    of one step of these.
    """
    left: list[list[Tensor]] = [[] for _ in empty]
    for step in range(times):
        results = body(step, *states, *given)
        states = results[: len(states)]
        for steps, value in zip(left, results[len(states) :], strict=True):
            steps.append(value)
    if left and not left[0]:
        if any(kind is None for _, kind in empty):
            raise ValueError("a loop took no step, and the type of what its steps leave behind is not known")
        device = next((value.device for value in (*states, *given) if isinstance(value, Tensor)), None)
        return (*states, *(torch.zeros((0, *shape), dtype=kind, device=device) for shape, kind in empty))
    return (*states, *map(torch.stack, left))


def scan(
    body: Callable[..., tuple],
    states: tuple,
    scanned: tuple,
    given: tuple,
    input_axes: tuple[int, ...] = (),
    input_directions: tuple[int, ...] = (),
    output_axes: tuple[int, ...] = (),
    output_directions: tuple[int, ...] = (),
) -> tuple:
    """body(*states, *slices, *given) -> (*states, *left) for each slice of `scanned` along an axis.

    Gives the last states and what the steps left behind, stacked; a direction of 1 means from the end.
    """
    slices = [x.unbind(input_axes[i] if input_axes else 0) for i, x in enumerate(scanned)]
    slices = [s[::-1] if input_directions and input_directions[i] else s for i, s in enumerate(slices)]
    left: list[tuple] = []
    for parts in zip(*slices, strict=True):
        results = body(*states, *parts, *given)
        states = results[: len(states)]
        left.append(results[len(states) :])
    stacked = []
    for i, steps in enumerate(zip(*left, strict=True)):
        turned = steps[::-1] if output_directions and output_directions[i] else steps
        stacked.append(torch.stack(turned, output_axes[i] if output_axes else 0))
    return (*states, *stacked)


def map_sequence(body: Callable[..., tuple], sequences: tuple, given: tuple) -> tuple:
    """body(*elements, *given) for each element of the first sequence, beside those of others or the same tensor."""
    places = range(len(sequences[0]))
    results = [body(*(s[i] if isinstance(s, list) else s for s in sequences), *given) for i in places]
    return tuple([*each] for each in zip(*results, strict=True))
