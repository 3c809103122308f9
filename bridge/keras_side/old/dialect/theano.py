"""What Theano computed in another way than TensorFlow: kernels are turned over, and padding lies elsewhere."""

from __future__ import annotations

from typing import Any

from bridge.keras_side.old.dialect.gone import own
from bridge.keras_side.old.dialect.keras1 import PADDED
from bridge.keras_side.old.dialect.table import Entry, upgrade

_POOLS = tuple(f"{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3))


@upgrade(
    "kernels turned over: Theano convolves where TensorFlow correlates",
    "keras 2.0: engine/topology.py, preprocess_weights_for_loading; utils/conv_utils.py, convert_kernel",
    kinds=(*PADDED, "Conv2DTranspose"),
    means=True,
)
def kernels_of_theano(entry: Entry) -> bool:
    if entry.writer.backend != "theano":
        return False
    before = entry.layouts.get(entry.owner)
    entry.layouts[entry.owner] = f"{before}_flipped" if before else "flipped"
    return True


@upgrade(
    "padding by Theano: in full, or by half the kernel on both sides",
    "keras 1.2.2 and 2.0: backend/theano_backend.py, conv2d, pool2d",
    kinds=(*PADDED, "Conv2DTranspose", *_POOLS),
    last=True,
    means=True,
)
def padding_of_theano(entry: Entry) -> bool:
    """Where every kernel is odd and every stride 1, the half is what TensorFlow's "same" is."""
    padding = entry.config.get("padding")
    if padding != "full" and not (entry.writer.backend == "theano" and padding == "same" and not _plain(entry.config)):
        return False
    if entry.kind not in PADDED:
        entry.refuse(f"pads as Theano did (padding={padding!r}), which bridge can do for convolutions alone.")
        return False
    entry.kind = f"Padded{entry.kind}"
    entry.config.update(padding="valid", pads="full" if padding == "full" else "half")
    own(entry)
    return True


def _plain(config: dict[str, Any]) -> bool:
    sizes, steps = (config.get(key) for key in ("kernel_size" if "kernel_size" in config else "pool_size", "strides"))
    return all(size % 2 for size in _listed(sizes)) and all(step == 1 for step in _listed(steps))


def _listed(value: Any) -> list[int]:
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, int)]
