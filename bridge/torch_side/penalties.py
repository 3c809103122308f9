"""Keras's regularizers and constraints as lines of the converted model's source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bridge.torch_side import functions
from bridge.torch_side.modules import ActivityRegularization
from bridge.torch_side.plan import Move, Plan


@dataclass(frozen=True)
class Line:
    """A piece of source, and the functions that it calls."""

    source: str
    functions: tuple[Callable[..., Any], ...] = ()


def penalty_terms(plan: Plan) -> list[Line]:
    """One term for each regularized weight that is trained, and each penalized activation.

    Formulas: keras/regularizers: l1 sum|w|, l2 sum w^2, and OrthogonalRegularizer's mean of |cosines|.
    """
    terms = []
    for move in plan.moves.values():
        if move.weight.regularizer is not None and move.weight.trainable and not move.weight.state:
            terms.append(_regularizer(move, move.weight.regularizer))
    for name, part in plan.modules.items():
        if part.module is not None and part.module.kind is ActivityRegularization:
            terms.append(Line(f"self.{'.'.join(name)}.penalty"))
    return [term for term in terms if term.source]


def _regularizer(move: Move, regularizer: dict[str, Any]) -> Line:
    kind, config = regularizer["class_name"], regularizer["config"]
    weight = f"self.{move.key}"
    if kind == "OrthogonalRegularizer":
        rows = config.get("mode", "rows") == "rows"
        keras_layout = move.take.axes is None
        matrix = weight if rows == keras_layout else f"{weight}.T"
        return Line(
            f"{float(config['factor'])!r} * orthogonality({matrix})", (functions.unit_norm, functions.orthogonality)
        )
    terms = []
    if config.get("l1"):
        terms.append(f"{float(config['l1'])!r} * {weight}.abs().sum()")
    if config.get("l2"):
        terms.append(f"{float(config['l2'])!r} * {weight}.square().sum()")
    return Line(" + ".join(terms))


def constraint_lines(plan: Plan) -> list[Line]:
    """One statement for each constrained weight. Formulas: keras/constraints, with its epsilon of 1e-7."""
    return [
        _constraint(move, move.weight.constraint)
        for move in plan.moves.values()
        if move.weight.constraint is not None and move.weight.trainable and not move.weight.state
    ]


def _constraint(move: Move, constraint: dict[str, Any]) -> Line:
    kind, config = constraint["class_name"], constraint["config"]
    weight = f"self.{move.key}"
    if kind == "NonNeg":
        return Line(f"{weight}.clamp_(min=0)")
    for place, sizes in move.take.merged(move.weight.shape).items():
        weight = f"{weight}.unflatten({place}, {sizes})"
    axis = config["axis"]
    rank = len(move.weight.shape)
    dims = tuple(move.take.axis(int(a), rank) for a in (axis if isinstance(axis, list | tuple) else [axis]))
    if kind == "UnitNorm":
        return Line(f"{weight}.div_(1e-7 + {weight}.square().sum({dims}, keepdim=True).sqrt())")
    low, high = (0.0, config["max_value"]) if kind == "MaxNorm" else (config["min_value"], config["max_value"])
    rate = float(config.get("rate", 1.0))
    numbers = f"{float(low)!r}, {float(high)!r}" + (f", {rate!r}" if rate != 1.0 else "")
    return Line(f"{weight}.copy_(scale_norms({weight}, {dims}, {numbers}))", (functions.scale_norms,))
