"""How the kernels of a model lie in an old file, and what users should know of it."""

from __future__ import annotations

import keras

from bridge.keras_side.old import layouts
from bridge.keras_side.old.backends import NAMES, THEANO, Backend
from bridge.keras_side.old.origins import Origin

_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose")
_CONVOLVING = (*_CONVOLUTIONS, "ConvLSTM2D")


def by_code(model: keras.Model, is_before_keras2: bool, written: Backend) -> dict[int, str]:
    """The layouts of kernels in a file that comes without a config, by the variables' ids.

    Source: keras 2.0, engine/topology.py, preprocess_weights_for_loading.
    """
    found = {}
    for layer in model._flatten_layers():
        kind = type(layer).__name__
        if kind not in _CONVOLVING or not layer.built:
            continue
        name = _of_keras1(layer) if is_before_keras2 else ""
        if written.name == THEANO:
            name = f"{name}_flipped" if name else "flipped"
        for variable in layer.weights:
            if f"{name}/{variable.name}" in layouts.LAYOUTS:
                found[id(variable)] = f"{name}/{variable.name}"
    return found


def _of_keras1(layer: keras.Layer) -> str:
    kind = type(layer).__name__
    order = "" if kind == "Conv1D" else "_first" if layer.data_format == "channels_first" else "_last"
    name = f"keras1_{kind}{order}"
    return name if f"{name}/kernel" in layouts.LAYOUTS else ""


def notes(model: keras.Model, is_undated: bool, written: Backend, origin: Origin | None) -> list[str]:
    """What was assumed of a file that does not say all, where it matters.

    is_undated: whether it is of Keras 1 and does not say of which. origin: of a model that was built by an old config.
    """
    lines = [_of_backend(model, written, origin)]
    if origin is None:
        lines += [_of_padding(model, written), _of_deviations(model) if is_undated else None]
    return [line for line in lines if line is not None]


def _of_deviations(model: keras.Model) -> str | None:
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    if not layers:
        return None
    more = f" and {len(layers) - 1} more" if layers[1:] else ""
    return (
        f"The file does not say by which Keras: {layers[0].name}{more} (BatchNormalization) is read as of 1.0.8 or "
        "later. If an older one wrote it, pass the config that it wrote: --arch config.json"
    )


def _of_backend(model: keras.Model, written: Backend, origin: Origin | None) -> str | None:
    """By which backend the kernels were taken to be written."""
    if not written.why or not any(_is_wide(layer) for layer in model._flatten_layers()):
        return None
    told = origin is not None and "kernels_of_theano" in origin.upgrades.done  # as an upgrade, but not how it is known
    if written.known and written.name != THEANO:
        return None
    how = "turned over, for Theano convolves where TensorFlow correlates" if written.name == THEANO else "as they lie"
    other = next(name for name in NAMES if name != written.name)
    said = f"Kernels of convolutions are read as {_TITLES[written.name]} wrote them ({written.why})"
    return f"{said}{'' if told else f': {how}'}. --backend {other} reads them as {_TITLES[other]}'s."


def _of_padding(model: keras.Model, written: Backend) -> str | None:
    """Where Theano padded otherwise than a model that no config of the writer describes."""
    found = next((layer for layer in model._flatten_layers() if _pads(layer)), None)
    if written.name != THEANO or found is None:
        return None
    return (
        f"Theano padded otherwise than Keras 3 where windows are even or strided, as in {found.name} "
        f"({type(found).__name__}): pass the config that it wrote: --arch config.json"
    )


def _pads(layer: keras.Layer) -> bool:
    """Whether Theano pads otherwise: by half the kernel before, that of a state whatever `padding` says."""
    sizes = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if sizes is None or not type(layer).__module__.startswith("keras.src."):
        return False
    sizes = (sizes,) if isinstance(sizes, int) else sizes
    even = any(size % 2 == 0 for size in sizes)
    if type(layer).__name__ == "ConvLSTM2D" and even:
        return True
    strides = layer.strides if isinstance(layer.strides, tuple | list) else (layer.strides,)
    pools = hasattr(layer, "pool_size")
    return layer.padding == "same" and (even or max(strides) > 1 or (pools and max(sizes) > 3))


_TITLES = {"tensorflow": "TensorFlow", "theano": "Theano"}


def _is_wide(layer: keras.Layer) -> bool:
    """Whether it is a convolution whose kernel is another one when it is turned over."""
    return type(layer).__name__ in _CONVOLVING and any(size > 1 for size in layer.kernel_size)
