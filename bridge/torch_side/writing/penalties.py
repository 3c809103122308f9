"""Keras's regularizers and constraints as lines of the converted model's source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bridge.graph import Refused
from bridge.torch_side.layers import functions
from bridge.torch_side.layers.modules import ActivityRegularization
from bridge.torch_side.layers.own_code import AddedLoss
from bridge.torch_side.writing.part import literal
from bridge.torch_side.writing.plan import Move, Plan


@dataclass(frozen=True)
class Line:
    """A piece of source, the weight that must be trained for it to count, and the functions that it calls."""

    source: str
    weight: str | None = None
    functions: tuple[Callable[..., Any], ...] = ()


def penalty_terms(plan: Plan) -> list[Line]:
    """One term for each regularized weight, and each penalized activation. Keras counts trained weights only.

    Formulas: keras/regularizers: l1 sum|w|, l2 sum w^2, and OrthogonalRegularizer's mean of |cosines|.
    Raises Refused for a regularizer that is not Keras's own.
    """
    terms = [
        _regularizer(move, move.weight.regularizer)
        for move in plan.moves.values()
        if move.weight.regularizer is not None and not move.weight.state
    ]
    for name, part in plan.modules.items():
        if part.module is not None and part.module.kind in (ActivityRegularization, AddedLoss):
            terms.append(Line(f"self.{'.'.join(name)}.penalty"))
    return [term for term in terms if term.source]


def _regularizer(move: Move, regularizer: dict[str, Any]) -> Line:
    kind, config = regularizer.get("class_name"), regularizer.get("config", {})
    weight = f"self.{move.key}"
    if kind == "OrthogonalRegularizer":
        rows = config.get("mode", "rows") == "rows"
        keras_layout = move.take.axes is None
        matrix = weight if rows == keras_layout else f"{weight}.T"
        call = f"{literal(float(config['factor']))} * orthogonality({matrix})"
        return Line(call, weight, (functions.unit_norm, functions.orthogonality))
    if kind not in ("L1", "L2", "L1L2"):
        raise Refused(f"{move.weight.path}: its regularizer {str(kind)[:60]!r} is not one of Keras's own")
    terms = []
    if config.get("l1"):
        terms.append(f"{literal(float(config['l1']))} * {weight}.abs().sum()")
    if config.get("l2"):
        terms.append(f"{literal(float(config['l2']))} * {weight}.square().sum()")
    return Line(" + ".join(terms), weight)


def constraint_lines(plan: Plan) -> list[Line]:
    """One statement for each constrained weight. Formulas: keras/constraints, with its epsilon of 1e-7."""
    return [
        _constraint(move, move.weight.constraint)
        for move in plan.moves.values()
        if move.weight.constraint is not None and not move.weight.state
    ]


def _constraint(move: Move, constraint: dict[str, Any]) -> Line:
    kind, config = constraint.get("class_name"), constraint.get("config", {})
    weight = f"self.{move.key}"
    if kind == "NonNeg":
        return Line(f"{weight}.clamp_(min=0)", weight)
    if kind not in ("UnitNorm", "MaxNorm", "MinMaxNorm"):
        raise Refused(f"{move.weight.path}: its constraint {str(kind)[:60]!r} is not one of Keras's own")
    owner = weight
    for place, sizes in move.take.merged(move.weight.shape).items():
        weight = f"{weight}.unflatten({place}, {literal(sizes)})"
    axis = config["axis"]
    rank = len(move.weight.shape)
    dims = literal([move.take.axis(int(a), rank) for a in (axis if isinstance(axis, list | tuple) else [axis])])
    if kind == "UnitNorm":
        return Line(f"{weight}.div_(1e-7 + {weight}.square().sum({dims}, keepdim=True).sqrt())", owner)
    low, high = (0.0, config["max_value"]) if kind == "MaxNorm" else (config["min_value"], config["max_value"])
    numbers = [float(low), float(high), *([float(config["rate"])] if config.get("rate", 1.0) != 1.0 else [])]
    call = f"scale_norms({weight}, {dims}, {', '.join(map(literal, numbers))})"
    return Line(f"{weight}.copy_({call})", owner, (functions.scale_norms,))
