"""What a converted model's source brings along: copies of bridge's classes and functions, and of the user's."""

from __future__ import annotations

import inspect
from collections import Counter

from bridge.errors import BridgeError
from bridge.torch_side.writing.own_rules import is_users, needs
from bridge.torch_side.writing.penalties import constraint_lines, penalty_terms
from bridge.torch_side.writing.plan import Plan


def own_things(plan: Plan) -> list[object]:
    """Classes and functions of bridge that the source uses, and those that these use, each after its needs."""
    wanted: list[object] = []
    for part in [*plan.modules.values(), *(step.part for step in plan.all_steps)]:
        if part.module is not None:
            wanted += [thing for thing in part.module.things if not thing.__module__.startswith("torch.")]
        wanted += part.functions
    wanted += [f for term in penalty_terms(plan) for f in term.functions]
    wanted += [f for line in constraint_lines(plan) for f in line.functions]
    ordered: dict[object, None] = {}
    begun: set[object] = set()  # the user's functions may call each other

    def add(thing: object) -> None:
        if is_users(thing):
            if thing not in begun:
                begun.add(thing)
                for other in needs(thing):
                    add(other)
                ordered.setdefault(thing)
            return
        module = inspect.getmodule(thing)
        for name in _mentioned(thing):
            other = getattr(module, name, None)
            if inspect.isfunction(other) and other.__module__ == module.__name__ and other is not thing:  # type: ignore[union-attr]
                add(other)
        ordered.setdefault(thing)

    for thing in wanted:
        add(thing)
    names = Counter(thing.__name__ for thing in ordered)  # type: ignore[attr-defined]
    if twice := [thing.__name__ for thing in ordered if is_users(thing) and names[thing.__name__] > 1]:  # type: ignore[attr-defined]
        raise BridgeError(
            f"{plan.graph.name}: two different things in its source are called {twice[0]}. Give the one in your rules "
            "another name."
        )
    return list(ordered)


def _mentioned(thing: object) -> list[str]:
    """The global names in the code of a function, or of a class's methods."""
    methods = vars(thing).values() if inspect.isclass(thing) else [inspect.unwrap(thing)]  # type: ignore[arg-type]
    return [name for method in methods if inspect.isfunction(method) for name in method.__code__.co_names]
