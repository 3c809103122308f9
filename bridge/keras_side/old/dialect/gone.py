"""Layers that Keras 3 no longer has: by one that computes the same, or by bridge's own in `old.layers`."""

from __future__ import annotations

from bridge.keras_side.old.dialect.table import Entry, rename, upgrade

OWN = "bridge.keras_side.old.layers"


def own(entry: Entry) -> None:
    """Makes the entry one of bridge's own classes, of the same name."""
    entry.node["module"], entry.node["registered_name"] = OWN, f"bridge>{entry.kind}"


@upgrade(
    "a layer of Keras 1 and 2 that Keras 3 no longer has: bridge has one that computes the same",
    "keras 3.0: layers/__init__.py; tf-keras 2.15: layers/activation/thresholded_relu.py",
    kinds=("ThresholdedReLU",),
)
def thresholded_relu(entry: Entry) -> bool:
    own(entry)
    return True


@upgrade(
    "a locally connected layer, which Keras 3 no longer has: bridge has one that computes the same",
    "keras 3.0: layers/__init__.py; tf-keras 2.15: layers/locally_connected",
    kinds=("LocallyConnected1D", "LocallyConnected2D"),
    means=True,
)
def locally_connected(entry: Entry) -> bool:
    own(entry)
    return True


@upgrade(
    "layers that resize images at random in training, which Keras 3 no longer has: they leave them as they are",
    "keras 3.0: layers/__init__.py; tf-keras 2.15: layers/preprocessing/image_preprocessing.py",
    kinds=("RandomHeight", "RandomWidth"),
    means=True,
)
def random_sizes(entry: Entry) -> bool:
    own(entry)
    return True


_NAMES = {
    **{"output_dim": "units", "init": "kernel_initializer", "bias": "use_bias"},
    **{f"W_{what}": f"kernel_{what}" for what in ("regularizer", "constraint")},
    **{f"b_{what}": f"bias_{what}" for what in ("regularizer", "constraint")},
}
_BEGIN = {"zero": "zeros", "one": "ones", "uniform": "random_uniform", "normal": "random_normal"}


@upgrade(
    "a layer that left Keras with version 2.0: bridge has one that computes the same",
    "keras 1.2.2: layers/core.py, advanced_activations.py; keras 2.0: legacy/layers.py",
    kinds=("MaxoutDense", "Highway", "SReLU", "ParametricSoftplus"),
)
def ended_experiments(entry: Entry) -> bool:
    rename(entry, _NAMES)
    for key, value in entry.config.items():
        if key.endswith("_init") and isinstance(value, str):
            entry.config[key] = _BEGIN.get(value, value)
    entry.config.pop("input_dim", None)
    own(entry)
    return True
