"""The layers of a model as lines for a terminal: repeated blocks once, long names on a line of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text

from bridge.inspection import Layer

FEW = 12  # layers of a model whose weights are listed too
GAP = 2


@dataclass(frozen=True)
class Block:
    """Layers, and the further runs of layers that are the same but for numbers in their names."""

    layers: list[Layer]
    again: list[list[Layer]]


def layer_lines(layers: list[Layer], width: int, whole: bool = False) -> Iterator[Text]:
    """The table of the layers, without the batch axis. whole: every layer and every weight, nothing folded."""
    blocks = [Block(layers, [])] if whole or len(layers) <= FEW else folded(layers)
    cells = [_cells(layer) for layer in layers]
    head = ("layer", "kind", "output", "parameters")
    kind, output, count = (max(len(head[i]), *(len(row[i]) for row in cells), 0) for i in (1, 2, 3))
    kind, output = min(kind, 24), min(output, 24)
    widths = (max(width - kind - output - count - 3 * GAP, 12), kind, output, count)
    yield Text(_line(head, widths), "bold")
    yield Text("─" * min(width, sum(widths) + 3 * GAP), "dim")
    for block in blocks:
        for layer in block.layers:
            yield from _of_layer(layer, widths, whole or len(layers) <= FEW)
        if block.again:
            yield from _of_repeats(block, width)


def folded(layers: list[Layer]) -> list[Block]:
    """The layers in order, those that come again in the same pattern folded into one block."""
    signs = [_sign(layer) for layer in layers]
    known = {sign: number for number, sign in enumerate(dict.fromkeys(signs))}
    marks = [known[sign] for sign in signs]
    blocks, plain, at = [], [], 0
    while at < len(layers):
        length, times = _repeats(marks, at)
        if times < 2 or length * (times - 1) < 3:  # a fold takes a line or two itself
            plain.append(layers[at])
            at += 1
            continue
        skipped, times = _aligned(layers, marks, at, length, times)
        plain += layers[at : at + skipped]
        at += skipped
        if plain:
            blocks.append(Block(plain, []))
            plain = []
        runs = [layers[at + i * length : at + (i + 1) * length] for i in range(times)]
        blocks.append(Block(runs[0], runs[1:]))
        at += length * times
    return [*blocks, Block(plain, [])] if plain else blocks


def _repeats(marks: list[int], at: int) -> tuple[int, int]:
    """How long the pattern is that begins here and covers most, and how often it comes."""
    best = (1, 1)
    for length in range(1, (len(marks) - at) // 2 + 1):
        if marks[at + length] != marks[at]:
            continue
        pattern, times = marks[at : at + length], 1
        while marks[at + times * length : at + (times + 1) * length] == pattern:
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best


def _aligned(layers: list[Layer], marks: list[int], at: int, length: int, times: int) -> tuple[int, int]:
    """How many layers to leave before the pattern, so that it begins where a block begins by its names; and its times.

    (0, times) where the names don't tell.
    """
    for skipped in range(length):
        start, count = at + skipped, 1
        while marks[start + count * length : start + (count + 1) * length] == marks[start : start + length]:
            count += 1
        pairs = zip(layers[start : start + length], layers[start + length : start + 2 * length], strict=True)
        if count >= max(times - 1, 2) and len({_changing(one.name, other.name) for one, other in pairs}) == 1:
            return skipped, count
    return 0, times


def _changing(name: str, other: str) -> tuple[str, ...]:
    """The numbers in a name that are others in the same place of the next block."""
    one, two = re.findall(r"\d+", name), re.findall(r"\d+", other)
    return tuple(a for a, b in zip(one, two, strict=False) if a != b)


def _sign(layer: Layer) -> tuple[object, ...]:
    """What two layers of repeated blocks have in common: all but the numbers in their names."""
    name = re.sub(r"\d+", "#", re.sub(r"_\d+(?=/|$)", "", layer.name))
    return name, layer.kind, layer.output_shape, tuple((w.name, w.shape, w.dtype, w.trainable) for w in layer.weights)


def _cells(layer: Layer) -> tuple[str, str, str, str]:
    fixed = layer.weights and all(weight.trainable is False for weight in layer.weights)
    output = "" if layer.output_shape is None else sizes(layer.output_shape[1:])
    count = f"{layer.parameters:,}" if layer.weights else ""
    return layer.name, layer.kind + (", fixed" if fixed else ""), output, count


def _of_layer(layer: Layer, widths: tuple[int, ...], weights: bool) -> Iterator[Text]:
    cells = _cells(layer)
    if len(layer.name) > widths[0]:
        yield from (Text(part) for part in _wrapped(layer.name, sum(widths) + 3 * GAP))
        cells = ("", *cells[1:])
    yield Text(_line(cells, widths))
    for weight in layer.weights if weights else ():
        told = f"  {weight.name}  {sizes(weight.shape)}  {weight.dtype}"
        yield Text(told + ("  not trained" if weight.trainable is False else ""), "dim")


def _of_repeats(block: Block, width: int) -> Iterator[Text]:
    first, last = block.again[0][0].name, block.again[-1][-1].name
    length, times = len(block.layers), len(block.again)
    layers = f"these {length} layers" if length > 1 else "this layer"
    parameters = sum(layer.parameters for layer in block.layers)
    told = f"  {layers} {'once' if times == 1 else f'{times} times'} more: {first} to {last}"
    told += f", {parameters:,} parameters{' each' if times > 1 else ''}" if parameters else ""
    yield from (Text(part, "dim") for part in _wrapped(told, width))


def _line(cells: tuple[str, ...], widths: tuple[int, ...]) -> str:
    *texts, count = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return (" " * GAP).join([*texts, count.strip().rjust(widths[-1])]).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines, broken at spaces, and within words only behind / and _."""
    lines, line = [], ""
    for piece in re.findall(r"\s+|[^\s/_]+[/_]*|[/_]+", text):
        if line and len(line) + len(piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = "    " + piece.lstrip()
        else:
            line += piece
    return [*lines, line.rstrip()]


def sizes(shape: tuple[int | None, ...]) -> str:
    """`28 x 28 x 64`, for people."""
    return " x ".join("any" if size is None else str(size) for size in shape) or "scalar"
