"""The body of EinsumDense, and its equation with every axis of the input as a letter."""

from __future__ import annotations

import math
import re
import string

from bridge.graph.body import Refused, body, integers, refuse_option
from bridge.graph.layer import Layer, Shape


@body("EinsumDense")
def einsum_dense(layer: Layer, shapes: list[Shape]) -> str:
    """y = einsum(equation, x, kernel) + bias, the bias along the last axes; the activation is a node of its own."""
    refuse_option(layer, lora_rank=None, quantization_mode=None)
    equation, y = einsum_equation(layer, len(shapes[0])), "z" if "bias" in layer.weights else "y"
    lines = (
        _as_product(equation, layer.weights["kernel"].shape, y) or f'{y} = Einsum <equation = "{equation}"> (x, kernel)'
    )
    return f"{lines}\ny = Add(z, bias)" if y == "z" else lines


def _as_product(equation: str, shape: tuple[int, ...], y: str) -> str | None:
    """Lines for the product of two matrices, which ONNX Runtime computes faster; None if the axes stand otherwise.

    The last axes of x must be those that are summed over, and those of y the others of the kernel.
    """
    x, kernel, out = re.split(",|->", equation)
    summed = "".join(letter for letter in x if letter in kernel and letter not in out)
    rest, others = x[: len(x) - len(summed)], out[len(x) - len(summed) :]
    if not summed or x != rest + summed or out != rest + others or sorted(kernel) != sorted(summed + others):
        return None
    if len({*x}) < len(x):
        return None  # a letter twice is the diagonal of two axes
    turn = [kernel.index(letter) for letter in summed + others]
    lengths = [shape[axis] for axis in turn]
    wide = math.prod(lengths[: len(summed)]), math.prod(lengths[len(summed) :])
    lines, flat, weights = integers("wide", wide), "x", "kernel"
    if turn != sorted(turn):
        lines, weights = f"{lines}turned = Transpose <perm = {turn}> (kernel)\n", "turned"
    lines += f"matrix = Reshape({weights}, wide)\n"
    if len(summed) > 1:
        lines += integers("flat", [*[0] * len(rest), wide[0]]) + "x_flat = Reshape(x, flat)\n"
        flat = "x_flat"
    if len(others) == 1:
        return f"{lines}{y} = MatMul({flat}, matrix)"
    lines += f"product = MatMul({flat}, matrix)\n" + integers("apart", [*[0] * len(rest), *lengths[len(summed) :]])
    return f"{lines}{y} = Reshape(product, apart)"


def einsum_equation(layer: Layer, rank: int) -> str:
    """`...x,xy->...y` for an input of rank 3 is `abc,cd->abd`: no dots, letters in the order of their appearance."""
    found = re.fullmatch(
        r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?", layer.config["equation"]
    )
    if found is None or bool(found[1]) != bool(found[5]) or bool(found[3]) != bool(found[7]):
        raise Refused(f"its equation {layer.config['equation']!r} can't be read")
    before, x, after, kernel, _, y, _ = found.groups()
    dots = [f".{i}" for i in range(rank - len(x))]
    terms = [[*dots * bool(before), *term, *dots * bool(after)] for term in (x, y)]
    order = list(dict.fromkeys([*terms[0], *kernel, *terms[1]]))
    if len(terms[0]) != rank or len(order) > len(string.ascii_lowercase):
        raise Refused(f"its equation {layer.config['equation']!r} does not fit an input of rank {rank}")
    words = [
        "".join(string.ascii_lowercase[order.index(axis)] for axis in term) for term in (terms[0], kernel, terms[1])
    ]
    return f"{words[0]},{words[1]}->{words[2]}"
