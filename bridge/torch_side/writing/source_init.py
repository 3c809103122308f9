"""The `__init__` of a converted model's class: its modules, the weights of no module, the constants."""

from __future__ import annotations

import textwrap

from bridge.graph import Refused
from bridge.graph.bodies.convolution import CONVOLUTIONS
from bridge.graph.bodies.space import channels_last, rank_of
from bridge.torch_side.writing.part import literal
from bridge.torch_side.writing.plan import Name, Plan

DTYPES = frozenset(
    {"bool", "float16", "bfloat16", "float32", "float64"} | {f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)}
)


def init(plan: Plan) -> str:
    lines = ["super().__init__()"]
    made: set[Name] = set()

    def container(name: Name) -> None:
        for depth in range(1, len(name)):
            if name[:depth] not in made and name[:depth] not in plan.modules:
                made.add(name[:depth])
                lines.append(f"self.{'.'.join(name[:depth])} = nn.Module()")

    for name, part in plan.modules.items():
        container(name)
        assert part.module is not None
        lines.append(f"self.{'.'.join(name)} = {part.module.source}")
    for path, name in plan.free.items():
        container(name)
        weight = plan.graph.weights[path]
        *owner, last = name
        zeros = f"torch.zeros({literal(weight.shape)}{_dtype(weight.dtype)})"
        if weight.state:
            lines.append(f'{".".join(["self", *owner])}.register_buffer("{last}", {zeros})')
        else:
            lines.append(f"{'.'.join(['self', *name])} = nn.Parameter({zeros})")
    for value, name in plan.constants.items():
        container(name)
        array = plan.graph.constants[value]
        zeros = f"torch.zeros({literal(array.shape)}{_dtype(array.dtype.name)})"
        lines.append(f'{".".join(["self", *name[:-1]])}.register_buffer("{name[-1]}", {zeros})')
    for move in plan.moves.values():
        if not move.weight.state and not move.weight.trainable:
            lines.append(f"self.{move.key}.requires_grad_(False)")
    if _has_images(plan):
        lines.append("self.to(memory_format=torch.channels_last)  # kernels like their images: no copies")
    return "def __init__(self) -> None:\n" + textwrap.indent("\n".join(lines), "    ")


def _has_images(plan: Plan) -> bool:
    """Whether 2D convolutions get Keras's layout, in which torch wants their kernels too."""
    layers = plan.graph.layers.values()
    convolves = any(layer.kind in CONVOLUTIONS and rank_of(layer) == 2 and channels_last(layer) for layer in layers)
    ranks = [
        *(len(move.shape) for move in plan.moves.values()),
        *(plan.graph.constants[c].ndim for c in plan.constants),
    ]
    return convolves and 5 not in ranks  # torch has another word for those


def _dtype(name: str) -> str:
    if name not in DTYPES:
        raise Refused(f"a tensor of it is of type {name}, which torch does not have")
    return "" if name == "float32" else f", dtype=torch.{name}"
