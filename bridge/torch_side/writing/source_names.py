"""The names in a converted model's source: of its class, its methods, their parameters and variables."""

from __future__ import annotations

import builtins
import keyword

from bridge.torch_side.writing.plan import Plan, identifier

RESERVED = {"self", "torch", "nn", "F", "values", "outputs", "super", "float", "load_file", "Path"}


def class_name(plan: Plan) -> str:
    """The module class's name: the Keras model's in capital words."""
    name = "".join(word[:1].upper() + word[1:] for word in identifier(plan.graph.name).split("_"))
    return f"{name}Model" if name in plan_names(plan) or keyword.iskeyword(name) else name


def plan_names(plan: Plan) -> set[str]:
    """The names of classes and functions that the source brings along."""
    own = {thing.__name__ for part in plan.modules.values() if part.module for thing in part.module.things}
    return own | {f.__name__ for step in plan.all_steps for f in step.part.functions} | RESERVED


def input_names(plan: Plan) -> dict[str, str]:
    """The parameters of forward, by the names of the graph's inputs."""
    inputs = [value.name for value in plan.graph.inputs]
    if len(inputs) == 1:
        return {inputs[0]: "x"}
    taken = plan_names(plan)
    return {name: variable(name, taken) for name in inputs}


def method_name(plan: Plan, wish: str) -> str:
    parts = {name[0] for name in [*plan.modules, *plan.free.values(), *plan.constants.values()]}
    name = identifier(wish)
    while name in parts:
        name += "_"
    return name


def variable(name: str, taken: set[str]) -> str:
    base = identifier(name.rpartition("/")[2] if not name.endswith(("/linear", "/value")) else name)
    base = free = f"{base}_" if hasattr(builtins, base) else base
    number = 1
    while free in taken:
        free, number = f"{base}_{number}", number + 1
    taken.add(free)
    return free
