"""The body of ContrastLimitedAdaptiveHistogramEqualization (CLAHE): the contrast of each tile of an image evened out.

A tile's histogram, cut off at a limit and summed up, is a table that gives each level of brightness a new one. A pixel
takes its own from the tables of the four tiles whose middles are around it.
Source of the arithmetic: keras/src/layers/preprocessing/image_preprocessing/clahe.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.graph.bodies.space import in_channels_first, space
from bridge.graph.body import Refused, body, integers, number
from bridge.graph.layer import Layer, Shape

LEVELS = 256  # of brightness


@dataclass(frozen=True)
class Clahe:
    """The layer's options. tiles: how many down and across. low, high: the pixels' range; low may be the larger."""

    tiles: tuple[int, int]
    clip_limit: float
    low: float
    high: float

    @property
    def is_scaled(self) -> bool:
        return (self.low, self.high) != (0.0, 255.0)


def clahe_of(layer: Layer, shape: Shape) -> Clahe:
    """Raises Refused for options that have no meaning, and for images that Keras can't divide into as many tiles."""
    rows, columns = map(int, layer.config["tile_grid_size"])
    low, high = map(float, layer.config["value_range"])
    if min(rows, columns) < 1 or low == high:
        raise Refused(f"{rows} times {columns} tiles of values from {low} to {high} are none, in Keras too")
    for length, tiles in zip(space(layer, shape), (rows, columns), strict=True):
        if length is not None and -(-length // tiles) * tiles > 2 * length:
            raise Refused(f"Keras can't divide an image {length} pixels long into {tiles} tiles: it mirrors them once")
    return Clahe((rows, columns), float(layer.config["clip_limit"]), low, high)


@body("ContrastLimitedAdaptiveHistogramEqualization")
def clahe(layer: Layer, shapes: list[Shape]) -> str:
    found = clahe_of(layer, shapes[0])
    lines = "unit = Constant <value_int = 1> ()\nnought = Constant <value_int = 0> ()\n" + integers("free", [-1])
    lines += integers("start", [0]) + integers("levels", [LEVELS])
    lines += number("zero", 0) + number("one", 1) + number("two", 2) + number("most", 255) + number("many", LEVELS)
    # (images * channels, height, width)
    lines += "size = Shape <start = 2> ({x})\nplanes = Concat <axis = 0> (free, size)\nplain = Reshape({x}, planes)\n"
    inner = "plain"
    if found.is_scaled:
        lines += number("low", found.low) + number("width", found.high - found.low)
        lines += "above = Sub(plain, low)\nshare = Div(above, width)\nbright = Mul(share, most)\n"
        inner = "bright"
    lines += _tile("rows", found.tiles[0], 1) + _tile("columns", found.tiles[1], 2)
    lines += _tables(inner, found) + _levels(inner) + _mixed()
    if found.is_scaled:
        lines += "part = Div(mixed, most)\nfar = Mul(part, width)\nback = Add(far, low)\n"
    lines += f"whole = Shape({{x}})\n{{y}} = Reshape({'back' if found.is_scaled else 'mixed'}, whole)"
    return in_channels_first(layer, lines)


def _tile(n: str, tiles: int, axis: int) -> str:
    """Lines for one axis of `plain`.

    How long its tiles are, where the mirrored pixels behind its end come from, and for each pixel the tile before it
    and the one behind it (by their middles) and how much of the latter counts.
    """
    lines = f"{n}_size = Shape <start = {axis}, end = {axis + 1}> (plain)\n{n}_length = Squeeze({n}_size, start)\n"
    lines += f"{n}_tiles = Constant <value_int = {tiles}> ()\n{n}_last = Constant <value_int = {tiles - 1}> ()\n"
    lines += f"{n}_up = Add({n}_length, {n}_last)\n{n}_tile = Div({n}_up, {n}_tiles)\n"
    lines += f"{n}_long = Mul({n}_tile, {n}_tiles)\n{n}_all = Range(nought, {n}_long, unit)\n"
    lines += f"{n}_twice = Add({n}_length, {n}_length)\n{n}_end = Sub({n}_twice, unit)\n"
    lines += f"{n}_mirrored = Sub({n}_end, {n}_all)\n{n}_from = Min({n}_all, {n}_mirrored)\n"
    lines += f"{n}_own = Range(nought, {n}_length, unit)\n{n}_place = CastLike({n}_own, zero)\n"
    lines += f"{n}_span = CastLike({n}_tile, zero)\n{n}_half = Div({n}_span, two)\n"
    lines += f"{n}_off = Sub({n}_place, {n}_half)\n{n}_shares = Div({n}_off, {n}_span)\n{n}_at = Add({n}_shares, one)\n"
    lines += f"{n}_floor = Floor({n}_at)\n{n}_line = Sub({n}_at, {n}_floor)\n"
    lines += f"{n}_near = Cast <to = 7> ({n}_floor)\n{n}_lower = Sub({n}_near, unit)\n"
    lines += f"{n}_before = Max({n}_lower, nought)\n{n}_behind = Min({n}_near, {n}_last)\n"
    if axis == 2:
        return lines + f"{n}_weight = Identity({n}_line)\n"
    return lines + f"{n}_weight = Unsqueeze({n}_line, free)\n"


def _tables(inner: str, found: Clahe) -> str:
    """Lines that define `tables`: the new level of each level, tile after tile, image after image."""
    rows, columns = found.tiles
    lines = f"longer = Gather <axis = 1> ({inner}, rows_from)\npadded = Gather <axis = 2> (longer, columns_from)\n"
    lines += integers("down", [rows]) + integers("across", [columns])
    lines += "tall = Reshape(rows_tile, free)\nwide = Reshape(columns_tile, free)\n"
    lines += "grid = Concat <axis = 0> (free, down, tall, across, wide)\napart = Reshape(padded, grid)\n"
    lines += "tiled = Transpose <perm = [0, 1, 3, 2, 4]> (apart)\npixels = Mul(tall, wide)\n"
    lines += "lists = Concat <axis = 0> (free, pixels)\nlisted = Reshape(tiled, lists)\n"
    lines += "inside = Clip(listed, zero, most)\nlevel = Cast <to = 7> (inside)\n"
    lines += "each = Shape(level)\nones = Expand(one, each)\ntotal = Shape <start = 0, end = 1> (level)\n"
    lines += "counted = Concat <axis = 0> (total, levels)\nnone = Expand(zero, counted)\n"
    lines += 'counts = ScatterElements <axis = 1, reduction = "add"> (none, level, ones)\n'
    lines += "area = CastLike(pixels, zero)\n"
    histogram = "counts"
    if found.clip_limit > 0:
        lines += number("times", found.clip_limit) + "allowed = Mul(area, times)\nlimit = Div(allowed, many)\n"
        lines += "kept = Min(counts, limit)\ncut = Sub(counts, kept)\n"
        lines += "excess = ReduceSum <keepdims = 1> (cut, free)\nspread = Div(excess, many)\n"
        lines += "clipped = Add(kept, spread)\n"
        histogram = "clipped"
    lines += f"sums = CumSum({histogram}, unit)\nleast = ReduceMin <keepdims = 1> (sums, free)\n"
    lines += "over = Sub(sums, least)\nraised = Mul(over, most)\nrest = Sub(area, least)\n"
    lines += "empty = Equal(rest, zero)\nsafe = Where(empty, one, rest)\n"
    lines += "norm = Div(raised, safe)\nnew = Clip(norm, zero, most)\ntables = Reshape(new, free)\n"
    return lines


def _levels(inner: str) -> str:
    """Lines that define `base`: where in `tables` the first tile of a pixel's own plane has the pixel's level."""
    lines = f"own = Clip({inner}, zero, most)\npixel = Cast <to = 7> (own)\n"
    lines += "amount = Shape <start = 0, end = 1> (pixel)\nnumber = Squeeze(amount, start)\n"
    lines += "numbers = Range(nought, number, unit)\n" + integers("inner", [1, 2])
    lines += "plane = Unsqueeze(numbers, inner)\n"
    lines += f"level_count = Constant <value_int = {LEVELS}> ()\ntile_count = Mul(rows_tiles, columns_tiles)\n"
    return lines + "stride = Mul(tile_count, level_count)\nskipped = Mul(plane, stride)\nbase = Add(skipped, pixel)\n"


def _mixed() -> str:
    """Lines that define `mixed`: what the four tables around a pixel say, by the pixel's nearness to their middles."""
    lines = ""
    for row in ("before", "behind"):
        lines += f"{row}_tiles = Mul(rows_{row}, columns_tiles)\n{row}_column = Unsqueeze({row}_tiles, free)\n"
        for column in ("before", "behind"):
            n = f"{row}_{column}"
            lines += f"{n}_tile = Add({row}_column, columns_{column})\n{n}_skip = Mul({n}_tile, level_count)\n"
            lines += f"{n}_at = Add(base, {n}_skip)\n{n} = Gather(tables, {n}_at)\n"
    lines += "columns_less = Sub(one, columns_weight)\nrows_less = Sub(one, rows_weight)\n"
    for row in ("before", "behind"):
        lines += f"{row}_a = Mul({row}_before, columns_less)\n{row}_b = Mul({row}_behind, columns_weight)\n"
        lines += f"{row}_line = Add({row}_a, {row}_b)\n"
    return (
        lines
        + "upper = Mul(before_line, rows_less)\nlower = Mul(behind_line, rows_weight)\nmixed = Add(upper, lower)\n"
    )
