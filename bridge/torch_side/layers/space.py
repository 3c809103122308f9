"""How a module that has the channels in front is called on Keras's layout, with Keras's padding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bridge.graph import Layer
from bridge.graph.bodies.space import Pads, channels_last


def scalar(values: Iterable[int]) -> int | tuple[int, ...]:
    """One number where all are equal, as people write it: nn.Conv2d(3, 8, 3)."""
    listed = tuple(values)
    return listed[0] if len(set(listed)) == 1 else listed


def unless(default: Any, **options: Any) -> dict[str, Any]:
    """The options that differ from torch's default."""
    return {name: value for name, value in options.items() if value != default}


def channels_first_call(layer: Layer, call: str = "{self}({x})", after: str = "") -> str:
    """The call of a module on {x}, the layer's input with its channels in front; back in the layer's own layout.

    No data moves: torch takes the turned tensor as one in the memory format channels_last.
    """
    if not channels_last(layer):
        return call.replace("{x}", "{0}") + after
    return f"{call.replace('{x}', '{0}.movedim(-1, 1)')}{after}.movedim(1, -1)"


def flat_pads(pads: Iterable[Pads]) -> tuple[int, ...]:
    """Pads as F.pad takes them: those of the last axis first."""
    return tuple(size for pair in reversed(list(pads)) for size in pair)
