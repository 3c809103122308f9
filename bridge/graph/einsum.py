"""The body of EinsumDense, and its equation with every axis of the input as a letter."""

from __future__ import annotations

import re
import string

from bridge.graph.body import Refused, body
from bridge.graph.layer import Layer, Shape
from bridge.graph.layers import refuse_option


@body("EinsumDense")
def einsum_dense(layer: Layer, shapes: list[Shape]) -> str:
    """y = einsum(equation, x, kernel) + bias, the bias along the last axes; the activation is a node of its own."""
    refuse_option(layer, lora_rank=None, quantization_mode=None)
    product = f'Einsum <equation = "{einsum_equation(layer, len(shapes[0]))}"> (x, kernel)'
    return f"z = {product}\ny = Add(z, bias)" if "bias" in layer.weights else f"y = {product}"


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
