"""What layers compute with the masks of their inputs, and the names of a call's tensors when there are such."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.graph.body import Refused, integers, number
from bridge.graph.layer import Layer, Shape


def called_with(layer: Layer, number_of: int) -> list[str]:
    """The names of a call's tensors; a layer that takes no names has inputs alone."""
    named = layer.config.get("call", {}).get("tensors")
    return list(named) if named else [f"input{i}" for i in range(number_of)]


def inputs_and_masks(layer: Layer, shapes: list[Shape]) -> tuple[list[int], list[int | None]]:
    """The places of a merge layer's inputs among the call's tensors, and those of their masks."""
    names = called_with(layer, len(shapes))
    inputs = [i for i, name in enumerate(names) if not name.endswith("_mask")]
    masks = [names.index(f"{names[i]}_mask") if f"{names[i]}_mask" in names else None for i in inputs]
    rank = max(len(shapes[i]) for i in inputs)
    # Keras widens the inputs of lower rank by new tensors, which have no masks any more
    masks = [m if len(shapes[i]) == rank else None for i, m in zip(inputs, masks, strict=True)]
    if any(m is not None and len(shapes[m]) != rank - 1 for m in masks):
        raise Refused("the mask of one of its inputs has not one axis less than the input")
    return inputs, masks


def first(layer: Layer, shapes: Sequence[Shape]) -> str:
    """What a body calls the first of its tensors."""
    return "x" if len(shapes) == 1 else "x0"


def wide_mask(name: str, mask: str, axis: int = -1) -> str:
    """Lines that define `name` as the mask with a further axis."""
    lines = f"{name}_bool = Cast <to = 9> ({mask})\n" + integers(f"{name}_axis", [axis])
    return f"{lines}{name} = Unsqueeze({name}_bool, {name}_axis)\n"


def masked_softmax(inner: str) -> str:
    """Lines for the softmax of x0 where the mask x1 is kept, 0 elsewhere. inner: lines from {x} to {y}."""
    return (
        "mask_f = Cast <to = 1> (x1)\n"
        + number("half", 0.5, "mask_f")
        + "kept = Greater(mask_f, half)\n"
        + number("least", -1e9, "x0")
        + number("nought", 0, "x0")
        + "given = Where(kept, x0, least)\n"
        + inner.format(x="given", y="soft")
        + "\ny = Where(kept, soft, nought)"
    )


def masked_product(inputs: list[str], masks: list[str | None]) -> str:
    """Lines for the product of the inputs where they are kept, 0 where none is. masks: with the inputs' rank."""
    lines = number("one", 1, inputs[0]) + number("zero", 0, inputs[0])
    result = ""
    for i, (x, mask) in enumerate(zip(inputs, masks, strict=True)):
        if mask is not None:
            lines += f"f{i} = Where({mask}, {x}, one)\n"
            x = f"f{i}"
        lines += f"p{i} = Mul({result}, {x})\n" if result else f"p{i} = Identity({x})\n"
        result = f"p{i}"
    if None in masks:
        return f"{lines}y = Identity({result})\n"
    both = str(masks[0])
    for i, mask in enumerate(masks[1:]):
        lines += f"or{i} = Or({both}, {mask})\n"
        both = f"or{i}"
    return f"{lines}y = Where({both}, {result}, zero)\n"


def masked_extreme(operator: str, inputs: list[str], masks: list[str | None]) -> str:
    """Lines for Max or Min, pair by pair, in which a masked value gives way to the other's."""
    lines, output, kept = "", inputs[0], masks[0]
    for i, (x, mask) in enumerate(zip(inputs[1:], masks[1:], strict=True)):
        if mask is not None:
            lines += f"x_{i} = Where({mask}, {x}, {output})\n"
            x = f"x_{i}"
        if kept is not None:
            lines += f"o_{i} = Where({kept}, {output}, {x})\n"
            output = f"o_{i}"
        if mask is not None and kept is not None:
            lines += f"k_{i} = Or({kept}, {mask})\n"
            kept = f"k_{i}"
        else:
            kept = None
        lines += f"m_{i} = {operator}({output}, {x})\n"
        output = f"m_{i}"
    return f"{lines}y = Identity({output})\n"
