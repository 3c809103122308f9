"""Operators that look at windows: convolutions and poolings."""

from __future__ import annotations

from typing import Any

from bridge.graph import Node, Refused
from bridge.torch_side.operators.form import Known, Operator, integer, integers, operator, outputs, present, sizes, word
from bridge.torch_side.operators.functions import windows as functions
from bridge.torch_side.writing.part import Part, literal

_CONVOLUTIONS = ("F.conv1d", "F.conv2d", "F.conv3d")
_MAX_POOLS = ("F.max_pool1d", "F.max_pool2d", "F.max_pool3d")
_AVERAGE_POOLS = ("F.avg_pool1d", "F.avg_pool2d", "F.avg_pool3d")


def _options(**values: Any) -> str:
    """Keyword arguments, those that are not as by default."""
    return "".join(
        f", {name}={literal(value)}" for name, value in values.items() if value not in ((), "", 0, False, None)
    )


def _same(node: Node) -> str:
    said = word(node, "auto_pad", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    return "" if said in ("NOTSET", "VALID") else said


def _read(node: Node) -> dict[str, Any]:
    """strides, pads and dilations; what is as by default is ()."""
    found: dict[str, Any] = {}
    for name, plain in (("strides", 1), ("pads", 0), ("dilations", 1)):
        values = integers(node, name) or ()
        found[name] = () if all(value == plain for value in values) else values
    if word(node, "auto_pad", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID") != "NOTSET":
        found["pads"] = ()
    return found


def _even(pads: tuple[int, ...]) -> bool:
    half = len(pads) // 2
    return pads[:half] == pads[half:] and all(pad >= 0 for pad in pads)


def _short(values: tuple[int, ...]) -> Any:
    return values[0] if len(set(values)) == 1 else values


@operator("Conv")
def convolution(node: Node, known: Known) -> Part:
    options, groups, kernel = _read(node), integer(node, "group", 1), integers(node, "kernel_shape")
    bias = "{2}" if present(node, 2) else None
    if kernel is not None and len(kernel) <= 3 and not _same(node) and _even(options["pads"]):
        more = _options(
            stride=_short(options["strides"]) if options["strides"] else (),
            padding=_short(options["pads"][: len(kernel)]) if options["pads"] else (),
            dilation=_short(options["dilations"]) if options["dilations"] else (),
            groups=groups if groups > 1 else (),
        )
        return Part(call=f"{_CONVOLUTIONS[len(kernel) - 1]}({{0}}, {{1}}{', {2}' if bias else ''}{more})")
    call = f"convolve({{0}}, {{1}}, {bias}{_options(**options, groups=groups if groups > 1 else (), same=_same(node))})"
    return Part(call=call, functions=(functions.convolve,))


@operator("ConvTranspose")
def transposed_convolution(node: Node, known: Known) -> Part:
    options, groups = _read(node), integer(node, "group", 1)
    more, shape = integers(node, "output_padding") or (), integers(node, "output_shape") or ()
    options |= {"groups": groups if groups > 1 else (), "more": more if any(more) else (), "shape": shape}
    bias = "{2}" if present(node, 2) else None
    call = f"convolve_transposed({{0}}, {{1}}, {bias}{_options(**options, same=_same(node))})"
    return Part(call=call, functions=(functions.convolve_transposed,))


@operator("DeformConv")
def deformed_convolution(node: Node, known: Known) -> Part:
    options, groups, offset_groups = _read(node), integer(node, "group", 1), integer(node, "offset_group", 1)
    options |= {"groups": groups if groups > 1 else (), "offset_groups": offset_groups if offset_groups > 1 else ()}
    bias, mask = ("{3}" if present(node, 3) else None), ("{4}" if present(node, 4) else None)
    call = f"deformed_convolution({{0}}, {{1}}, {{2}}, {bias}, {mask}{_options(**options)})"
    return Part(call=call, functions=(functions.deformed_convolution,))


@operator("Col2Im")
def columns_to_image(node: Node, known: Known) -> Part:
    call = f"columns_to_image({{0}}, {sizes(node, known, 1)}, {sizes(node, known, 2)}{_options(**_read(node))})"
    return Part(call=call, functions=(functions.columns_to_image,))


def _kernel(node: Node) -> tuple[int, ...]:
    kernel = integers(node, "kernel_shape")
    if not kernel:
        raise Refused(f"{node.kind} without a kernel_shape")
    return kernel


@operator("MaxPool")
def max_pool(node: Node, known: Known) -> Part:
    """torch's own where its padding is at most half a window and the same on both sides."""
    kernel, options, ceil = _kernel(node), _read(node), bool(integer(node, "ceil_mode", 0))
    options |= {"same": _same(node), "ceil": ceil, "by_columns": bool(integer(node, "storage_order", 0))}
    pads = options["pads"]
    plain = not ceil and not options["same"] and _even(pads) and len(node.outputs) == 1 and len(kernel) <= 3
    if plain and all(2 * pad <= k for pad, k in zip(pads, kernel, strict=False)):
        more = _options(
            padding=_short(pads[: len(kernel)]) if pads else (),
            dilation=_short(options["dilations"]) if options["dilations"] else (),
        )
        strides = _short(options["strides"]) if options["strides"] else 1
        return Part(call=f"{_MAX_POOLS[len(kernel) - 1]}({{0}}, {literal(_short(kernel))}, {literal(strides)}{more})")
    call = f"max_pool({{0}}, {literal(kernel)}{_options(**options)})"
    return Part(call=outputs(node, call, 2), functions=(functions.max_pool,))


@operator("AveragePool")
def average_pool(node: Node, known: Known) -> Part:
    kernel, options, ceil = _kernel(node), _read(node), bool(integer(node, "ceil_mode", 0))
    pads, same = options["pads"], _same(node)
    if not (ceil or same or pads or options["dilations"]) and len(kernel) <= 3:
        strides = _short(options["strides"]) if options["strides"] else 1
        return Part(call=f"{_AVERAGE_POOLS[len(kernel) - 1]}({{0}}, {literal(_short(kernel))}, {literal(strides)})")
    options |= {"same": same, "ceil": ceil, "with_pads": bool(integer(node, "count_include_pad", 0))}
    return Part(
        call=f"average_pool({{0}}, {literal(kernel)}{_options(**options)})", functions=(functions.average_pool,)
    )


@operator("LpPool")
def power_pool(node: Node, known: Known) -> Part:
    options = _read(node) | {"same": _same(node), "ceil": bool(integer(node, "ceil_mode", 0))}
    call = f"power_pool({{0}}, {integer(node, 'p', 2)}, {literal(_kernel(node))}{_options(**options)})"
    return Part(call=call, functions=(functions.power_pool,))


@operator("MaxUnpool")
def max_unpool(node: Node, known: Known) -> Part:
    options = _read(node)
    shape = sizes(node, known, 2) if present(node, 2) else "None"
    listed = f"{literal(_kernel(node))}, {literal(options['strides'])}, {literal(options['pads'])}"
    return Part(call=f"max_unpool({{0}}, {{1}}, {listed}, {shape})", functions=(functions.max_unpool,))


def _call(text: str) -> Operator:
    def form(node: Node, known: Known) -> Part:
        return Part(call=text)

    return form


operator("GlobalAveragePool")(_call("{0}.flatten(2).mean(2).reshape(*{0}.shape[:2], *[1] * ({0}.ndim - 2))"))
operator("GlobalMaxPool")(_call("{0}.flatten(2).amax(2).reshape(*{0}.shape[:2], *[1] * ({0}.ndim - 2))"))
