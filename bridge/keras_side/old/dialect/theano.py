"""What Theano computed in another way than TensorFlow: kernels are turned over, and padding lies elsewhere."""

from __future__ import annotations

from typing import Any

from bridge.keras_side.old.dialect.gone import own
from bridge.keras_side.old.dialect.keras1 import PADDED
from bridge.keras_side.old.dialect.table import Entry, upgrade

_TRANSPOSED = ("Conv2DTranspose", "Conv3DTranspose")
_BY_CHANNEL = ("DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")  # Keras turned their kernels before Theano did
_POOLS = tuple(f"{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3))
# from which version on Keras had them on Theano
_SINCE = {
    "Conv2DTranspose": (1, 0, 7),
    "DepthwiseConv2D": (2, 1, 5),
    "SeparableConv1D": (2, 2),
    "SeparableConv2D": (2, 2),
}


@upgrade(
    "kernels turned over: Theano convolves where TensorFlow correlates",
    "keras 2.0: engine/topology.py, preprocess_weights_for_loading; utils/conv_utils.py, convert_kernel",
    kinds=(*PADDED, *_TRANSPOSED, "ConvLSTM2D"),
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
    "keras 1.2.2, 2.0 and 2.2.4: backend/theano_backend.py, conv2d, conv2d_transpose, separable_conv2d",
    kinds=(*PADDED, *_TRANSPOSED, *_BY_CHANNEL),
    last=True,
    means=True,
)
def padding_of_theano(entry: Entry) -> bool:
    """Where every kernel is odd and every stride 1, the half is what TensorFlow's "same" is."""
    padding, kind = entry.config.get("padding"), entry.kind
    if padding != "full" and not (_is_same(entry) and not _plain(entry)):
        return False
    reason = _no_way(entry)
    if reason:
        entry.refuse(reason)
        return False
    if kind == "Conv3D" and padding == "same" and entry.writer.version < (1, 1, 1):
        return False  # as TensorFlow does
    entry.config["pads"] = "full" if padding == "full" else "both" if kind.startswith("Separable") else "half"
    if kind not in _TRANSPOSED:
        entry.config["padding"] = "valid"
    own(entry)
    return True


def _no_way(entry: Entry) -> str:
    """Why a convolution could not be padded so, or not in one way."""
    kind, version, text = entry.kind, entry.writer.version, entry.writer.text
    even = any(size % 2 == 0 for size in _listed(entry.config.get("kernel_size")))
    strided = any(step > 1 for step in _listed(entry.config.get("strides")))
    if version < _SINCE.get(kind, (0,)):
        return f"is none that Keras {text} had on Theano; --backend tensorflow reads it as TensorFlow's."
    if kind in _TRANSPOSED and version >= (2,) and even:
        return f'has an even kernel and padding "same", which Keras {text} on Theano could not compute.'
    if kind == "Conv3D" and version < (1, 1, 1) and strided and entry.config["padding"] == "same":
        return f'has strides and padding "same", which Keras {text} on Theano could not compute.'
    if kind == "Conv3D" and (1, 1, 1) <= version < (2,) and even and not strided and entry.config["padding"] == "same":
        return 'has an even kernel and padding "same", which lay elsewhere before Theano 0.9: no file tells by which.'
    return ""


@upgrade(
    "a state that Theano pads by half the kernel on both sides, and inputs that it pads so",
    "keras 1.2.2 and 2.2.4: layers/convolutional_recurrent.py, recurrent_conv; backend/theano_backend.py, conv2d",
    kinds=("ConvLSTM2D",),
    last=True,
    means=True,
)
def states_of_theano(entry: Entry) -> bool:
    """The state is padded whatever `padding` says of the input."""
    even = any(size % 2 == 0 for size in _listed(entry.config.get("kernel_size")))
    if entry.writer.backend != "theano" or not (even or (_is_same(entry) and not _plain(entry))):
        return False
    entry.config["pads"] = "half"
    own(entry)
    return True


@upgrade(
    "poolings that Theano padded on both sides",
    "keras 1.2.2, 2.0.4 and 2.1.5: backend/theano_backend.py, pool2d, pool3d",
    kinds=_POOLS,
    last=True,
    means=True,
)
def poolings_of_theano(entry: Entry) -> bool:
    """From 2.0.4 to 2.1.4 means were taken of what is padded too; before 2.1.6 volumes kept what came out behind."""
    kind, version = entry.kind, entry.writer.version
    average, wide = kind.startswith("Average"), kind.endswith("3D")
    counted = average and not wide and (2, 0, 4) <= version < (2, 1, 5)
    by_less = _is_by_less(entry)
    if not _is_same(entry) or (_plain(entry) and not counted and not by_less):
        return False
    if by_less:
        entry.refuse(f'has a window of 1 and padding "same", for which Keras {entry.writer.text} had Theano pad by -1.')
        return False
    if version == (2,) and (average or wide):
        entry.refuse(f"pads by Theano, in which the versions of Keras {entry.writer.text} are not alike.")
        return False
    del entry.config["padding"]
    cropped = not (wide and (2,) <= version < (2, 1, 6))
    entry.config.update(average=average, counted=counted, cropped=cropped)
    entry.kind = "PaddedPooling"
    own(entry)
    return True


def _is_by_less(entry: Entry) -> bool:
    """Whether Keras had Theano pad by -1, which gave no numbers, or none that mean anything."""
    if entry.writer.version >= (1, 2) and not entry.kind.endswith("3D"):
        return False
    return entry.kind.endswith("1D") or 1 in _listed(entry.config.get("pool_size"))


def _is_same(entry: Entry) -> bool:
    return bool(entry.writer.backend == "theano" and entry.config.get("padding") == "same")


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
