"""Operators about shapes: what a shape is, other shapes of the same values, joining and cutting, making new tensors."""

from __future__ import annotations

from bridge.graph import Node, Refused
from bridge.torch_side.operators.form import (
    Known,
    dims,
    dtype,
    integer,
    integers,
    operands,
    operator,
    present,
    scalar,
    short_integers,
    sizes,
    value_of,
    whole,
    word,
)
from bridge.torch_side.operators.functions import common as functions
from bridge.torch_side.writing.part import Part, literal


@operator("Shape")
def shape(node: Node, known: Known) -> Part:
    """On the input's device: shape arithmetic often ends as data there (ConstantOfShape, Range)."""
    part = [str(integer(node, name, 0)) if name in node.attributes else "" for name in ("start", "end")]
    cut = f"[{':'.join(part)}]" if any(part) else ""
    return Part(call=f"torch.tensor({{0}}.shape{cut}, dtype=torch.int64, device={{0}}.device)")


@operator("Size")
def size(node: Node, known: Known) -> Part:
    return Part(call="torch.tensor({0}.numel(), device={0}.device)")


@operator("Reshape")
def reshape(node: Node, known: Known) -> Part:
    """0 stands for the input's own size on that axis, unless allowzero."""
    allow_zero = bool(integer(node, "allowzero", 0))
    if known[1] is None:
        call = f"reshape_to({{0}}, {{1}}.tolist(){', allow_zero=True' if allow_zero else ''})"
        return Part(call=call, functions=(functions.reshape_to,))
    wanted = [int(v) for v in known[1].reshape(-1)]
    texts = [f"{{0}}.shape[{axis}]" if n == 0 and not allow_zero else str(n) for axis, n in enumerate(wanted)]
    return Part(call=f"{{0}}.reshape({', '.join(texts) or '()'})")


@operator("Flatten")
def flatten(node: Node, known: Known) -> Part:
    axis = integer(node, "axis", 1)
    if axis == 1:
        return Part(call="{0}.flatten(1)")
    return Part(call=f"{{0}}.reshape({{0}}.shape[:{axis}].numel(), {{0}}.shape[{axis}:].numel())")


@operator("Squeeze")
def squeeze(node: Node, known: Known) -> Part:
    axes = dims(node, known, 1)
    return Part(call="{0}.squeeze()" if axes is None else f"{{0}}.squeeze({_listed(axes)})")


@operator("Unsqueeze")
def unsqueeze(node: Node, known: Known) -> Part:
    axes = dims(node, known, 1) or ()
    if any(a < 0 for a in axes) and any(a >= 0 for a in axes):
        return Part(call=f"unsqueeze_all({{0}}, {axes})", functions=(functions.unsqueeze_all,))
    # counted from the end the later axes come first, so that the earlier ones don't move them
    ordered = sorted(axes, reverse=any(a < 0 for a in axes))
    return Part(call="{0}" + "".join(f".unsqueeze({axis})" for axis in ordered))


@operator("Transpose")
def transpose(node: Node, known: Known) -> Part:
    order = integers(node, "perm")
    if order is None:
        return Part(call="reverse_axes({0})", functions=(functions.reverse_axes,))
    return Part(call=f"{{0}}.permute({', '.join(map(str, order))})" if order else "{0}")


@operator("Concat")
def concat(node: Node, known: Known) -> Part:
    """Short constants, as shape arithmetic has them, are written out."""
    texts = [f"{{{i}}}" for i in range(len(known))]
    computed = next((text for text, value in zip(texts, known, strict=True) if value is None), None)
    for index, value in enumerate(known):
        items = short_integers(value)
        if items is not None and computed:
            texts[index] = f"{computed}.new_tensor({items})"
    return Part(call=f"torch.cat([{', '.join(texts)}], dim={integer(node, 'axis', 0)})")


@operator("Split")
def split(node: Node, known: Known) -> Part:
    axis, count = integer(node, "axis", 0), len(node.outputs)
    if count == 1:
        return Part(call="{0}")
    if present(node, 1):
        return Part(call=f"torch.split({{0}}, {sizes(node, known, 1)}, dim={axis})")
    given = integers(node, "split")
    if given is not None:
        return Part(call=f"torch.split({{0}}, {literal(given)}, dim={axis})")
    return Part(call=f"torch.chunk({{0}}, {count}, dim={axis})")


@operator("Expand")
def expand(node: Node, known: Known) -> Part:
    """To what both shapes broadcast to: a 1 in the wanted shape keeps the input's size."""
    if known[0] is not None and not known[0].ndim:
        kind = f"torch.{known[0].dtype.name}"
        return Part(call=f"torch.full({sizes(node, known, 1)}, {scalar(known[0])}, dtype={kind}, device={{1}}.device)")
    return Part(call=f"{{0}}.expand(torch.broadcast_shapes({{0}}.shape, {sizes(node, known, 1)}))")


@operator("Tile")
def tile(node: Node, known: Known) -> Part:
    return Part(call=f"{{0}}.tile({sizes(node, known, 1)})")


@operator("Pad")
def pad(node: Node, known: Known) -> Part:
    """pads: all the begins, then all the ends, of the given axes or of all."""
    mode = word(node, "mode", "constant", "reflect", "edge", "wrap")
    axes = dims(node, known, 3)
    pads = "pads" in node.attributes or known[1] is not None
    listed = dims(node, known, 1, "pads") if pads else None
    text = literal(listed) if listed is not None else "{1}.tolist()"
    if mode != "constant":
        return Part(call=f'pad_from_within({{0}}, {text}, {axes}, "{mode}")', functions=(functions.pad_from_within,))
    if "value" in node.attributes:
        raise Refused("Pad in the form of opset 10 or older")
    value = "0"
    if present(node, 2):
        value = "{2}.item()" if known[2] is None else scalar(known[2])
    if listed is None or axes is not None:
        return Part(call=f"pad_axes({{0}}, {text}, {axes}, {value})", functions=(functions.pad_axes,))
    rank = len(listed) // 2
    pairs = [(listed[axis], listed[axis + rank]) for axis in reversed(range(rank))]  # torch begins with the last axis
    while pairs and pairs[-1] == (0, 0):
        pairs.pop()
    return Part(call=f"F.pad({{0}}, {tuple(n for pair in pairs for n in pair)}, value={value})" if pairs else "{0}")


@operator("Range")
def range_of(node: Node, known: Known) -> Part:
    if all(value is not None for value in known):
        first, last, step = (scalar(value) for value in known)  # on the CPU, for want of an input that says where
        return Part(call=f"torch.arange({first}, {last}, {step}, dtype=torch.{known[0].dtype.name})")
    return Part(call=f"stepped({', '.join(operands(known))})", functions=(functions.stepped,))


@operator("ConstantOfShape")
def constant_of_shape(node: Node, known: Known) -> Part:
    """The shape's tensor is named also where it is known: it says which device."""
    value, kind = "0.0", "torch.float32"
    if "value" in node.attributes:
        value, kind = scalar(value_of(node)), dtype(node.attributes["value"].data_type)
    if known[0] is not None and not known[0].size:
        return Part(call=f"torch.tensor({value}, dtype={kind})")
    return Part(call=f"torch.full({sizes(node, known, 0)}, {value}, dtype={kind}, device={{0}}.device)")


@operator("EyeLike")
def eye_like(node: Node, known: Known) -> Part:
    k = integer(node, "k", 0)
    kind = f", dtype={dtype(integer(node, 'dtype', 0))}" if "dtype" in node.attributes else ""
    return Part(call=f"torch.ones_like({{0}}{kind}).tril({k}).triu({k})")


@operator("Trilu")
def triangle(node: Node, known: Known) -> Part:
    function = "torch.triu" if integer(node, "upper", 1) else "torch.tril"
    return Part(call=f"{function}({{0}}, {whole(node, known, 1, 0)})")


@operator("DepthToSpace")
def depth_to_space(node: Node, known: Known) -> Part:
    block = integer(node, "blocksize", 0)
    if word(node, "mode", "DCR", "CRD") == "CRD":
        return Part(call=f"F.pixel_shuffle({{0}}, {block})")
    return Part(call=f"depth_to_space({{0}}, {block})", functions=(functions.depth_to_space,))


@operator("SpaceToDepth")
def space_to_depth(node: Node, known: Known) -> Part:
    block = integer(node, "blocksize", 0)
    if word(node, "mode", "DCR", "CRD") == "CRD":
        return Part(call=f"F.pixel_unshuffle({{0}}, {block})")
    return Part(call=f"space_to_depth({{0}}, {block})", functions=(functions.space_to_depth,))


def _listed(axes: tuple[int, ...]) -> str:
    return str(axes[0]) if len(axes) == 1 else literal(axes)
