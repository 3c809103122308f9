"""What Theano computed in another way than TensorFlow: kernels are turned over, and padding lies elsewhere."""

from __future__ import annotations

from typing import Any

from bridge.keras_side.old.dialect.gone import own
from bridge.keras_side.old.dialect.keras1 import PADDED
from bridge.keras_side.old.dialect.table import Entry, upgrade

_OTHERS = ("Conv2DTranspose", "Conv3DTranspose", "ConvLSTM2D")
_BY_CHANNEL = ("DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")  # Keras turned their kernels before Theano did
_POOLS = tuple(f"{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3))


@upgrade(
    "kernels turned over: Theano convolves where TensorFlow correlates",
    "keras 2.0: engine/topology.py, preprocess_weights_for_loading; utils/conv_utils.py, convert_kernel",
    kinds=(*PADDED, *_OTHERS),
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
    kinds=(*PADDED, *_OTHERS, *_BY_CHANNEL, *_POOLS),
    last=True,
    means=True,
)
def padding_of_theano(entry: Entry) -> bool:
    """Where every kernel is odd and every stride 1, the half is what TensorFlow's "same" is."""
    padding, pools = entry.config.get("padding"), entry.kind in _POOLS
    if padding != "full" and not (entry.writer.backend == "theano" and padding == "same" and not _plain(entry)):
        return False
    if _unsure(entry):
        entry.refuse(f"pads by Theano, in which Keras {entry.writer.text} is not like other versions.")
        return False
    if pools and padding == "same":
        entry.config["average"] = entry.kind.startswith("Average")
        del entry.config["padding"]
        entry.kind = "PaddedPooling"
        own(entry)
        return True
    if entry.kind not in PADDED:
        entry.refuse(
            f"pads as Theano did (padding={padding!r}), which bridge can do for poolings and ordinary convolutions."
        )
        return False
    entry.kind = f"Padded{entry.kind}"
    entry.config.update(padding="valid", pads="full" if padding == "full" else "half")
    own(entry)
    return True


def _unsure(entry: Entry) -> bool:
    """Where versions differ: 3D poolings were cropped to their input's size or not, Conv3D padded another side."""
    version = entry.writer.version
    return ("Pooling3D" in entry.kind and (2,) <= version < (2, 2, 4)) or (entry.kind == "Conv3D" and version < (1, 2))


def _plain(entry: Entry) -> bool:
    """Whether Theano's padding is TensorFlow's, however long the input. Poolings of 5 padded three, not two."""
    pools, config = entry.kind in _POOLS, entry.config
    sizes = _listed(config.get("pool_size" if pools else "kernel_size"))
    steps = _listed(config.get("strides")) or (sizes if pools else [1])
    steps = steps * len(sizes) if len(steps) == 1 else steps
    odd = [size in (1, 3) if pools else size % 2 == 1 for size in sizes]
    return all(size == 1 or (fits and step == 1) for size, fits, step in zip(sizes, odd, steps, strict=True))


def _listed(value: Any) -> list[int]:
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, int)]
