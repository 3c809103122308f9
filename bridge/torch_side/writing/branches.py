"""What a model's own code computes in one mode alone: methods of their own, so that the other mode does without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.graph import Node
from bridge.graph.changes.in_training import IN_TRAINING, KINDS, in_inference, in_training
from bridge.torch_side.writing.step import Step


@dataclass(frozen=True)
class Branches:
    """The steps that only one mode needs, of a node InTraining."""

    inference: list[Step]
    training: list[Step]

    @property
    def both(self) -> list[Step]:
        return [*self.inference, *self.training]


def branches(steps: list[Step], outputs: Iterable[str]) -> dict[int, Branches]:
    """By the id of each step that chooses between modes, what only its choices need; outputs: values needed besides.

    What is needed for a choice within another one's branch is of that branch.
    """
    uses = Counter(name for step in steps for name in step.mentioned) + Counter(outputs)
    found: dict[int, Branches] = {}
    inner: set[int] = set()
    for position in reversed(range(len(steps))):
        step = steps[position]
        if step.node.kind not in KINDS or id(step) in inner:
            continue
        before = steps[:position]
        modes = in_inference(step.node), in_training(step.node)
        if step.node.kind != IN_TRAINING:
            modes = [], gradients(step.node)
        found[id(step)] = Branches(*(_only_for(values, before, uses) for values in modes))
        inner |= {id(each) for each in found[id(step)].both}
    return found


def upstream(node: Node) -> list[str]:
    """The gradients that come to a node OwnGradient, one for each output."""
    return in_training(node)[: len(node.outputs)]


def arguments(node: Node) -> list[str]:
    """What a node OwnGradient gives the gradients of."""
    more = in_training(node)[len(node.outputs) :]
    return more[: len(more) // 2]


def gradients(node: Node) -> list[str]:
    """The gradients of a node OwnGradient, one for each argument."""
    more = in_training(node)[len(node.outputs) :]
    return more[len(more) // 2 :]


def _only_for(values: list[str], steps: list[Step], uses: Counter[str]) -> list[Step]:
    """The steps whose results nothing needs but this one use of these values."""
    left, kept = uses - Counter(values), []  # each use of a value counts
    for step in reversed(steps):
        made = [name for name in step.node.outputs if name]
        if any(uses[name] for name in made) and not any(left[name] for name in made):
            kept.append(step)
            left = left - Counter(step.mentioned)
    return kept[::-1]
