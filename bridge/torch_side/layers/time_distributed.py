"""The rule of TimeDistributed: the wrapped layer has its own, and gets batch and steps as one axis."""

from __future__ import annotations

from bridge.graph import Layer
from bridge.graph.bodies.time_distributed import parts_steps
from bridge.graph.layer import Shape
from bridge.torch_side.writing.part import Part, rule


@rule("TimeDistributed")
def time_distributed(layer: Layer, shapes: list[Shape]) -> Part:
    if not parts_steps(layer):
        return Part(call="{0}.flatten(0, 1)")
    steps = layer.config["call"].get("steps")
    front = "{1}.shape[:2]" if steps is None else f"(-1, {int(steps)})"
    return Part(call=f"{{0}}.unflatten(0, {front})")


def steps_argument(layer: Layer) -> str:
    """Of how many steps the rows of a call are, as source; "" if they are none's."""
    call = layer.config.get("call", {})
    factors = [f"{{{i}}}.shape[1]" for i, name in enumerate(call.get("tensors", [])) if name.startswith("per_step")]
    return " * ".join([*([str(int(call["steps"]))] if "steps" in call else []), *factors])
