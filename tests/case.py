"""What a layer case is: plain data, read by the Keras process that records it and by the tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """One layer with one choice of options.

    shapes: of its inputs, without the batch axis; None is an axis whose length the model leaves open.
    values: "normal"; "knots" (also the places where activations change their formula); "tiny" (rows around every
    epsilon, and zero); "steps" (rows that a Masking layer masks); "bytes"; "pixels" (floats from 0 to 255); "tokens"
        (integers, 0 among them, which is padding); "large" (thousands).
    named: the arguments that the inputs are, one each, for a layer that takes them by name; the first input is
        those that are left, and those called ..._mask are truth values. call: the call's other arguments.
    random: drops or adds noise in training, so that only its statistics can be compared there.
    image: what training does to one random image in so many rows is recorded, and not to a constant.
    looser: the tolerance for outputs where 1e-6 of the scale can't be had, with its reason.
    no_reference: why onnx's reference evaluator isn't asked (ONNX Runtime always is).
    """

    kind: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    shapes: tuple[tuple[int | None, ...], ...] = ((6,),)
    dtype: str = "float32"
    values: str = "normal"
    adapt: bool = False
    named: tuple[str, ...] = ()
    call: dict[str, Any] = field(default_factory=dict)
    random: bool = False
    image: int = 0
    looser: tuple[float, str] | None = None
    no_reference: str = ""

    @property
    def tolerance(self) -> float:
        return self.looser[0] if self.looser else 1e-6

    @property
    def gradient_tolerance(self) -> float:
        return max(self.tolerance, 2e-6)  # a backward pass rounds more often than the forward, in other orders

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"


def rows(kind: str, *listed: tuple[Any, ...], **common: Any) -> list[Case]:
    """Cases of one kind: (name, options) or (name, options, shape, shape, ...)."""
    return [
        Case(kind, name, options, **{**common, **({"shapes": tuple(shapes)} if shapes else {})})
        for name, options, *shapes in listed
    ]


def config(name: str, **options: Any) -> dict[str, Any]:
    """A regularizer or constraint as Keras's configs have it."""
    return {"class_name": name, "config": options}
