"""Layers that Keras 3 no longer has: by one that computes the same, or by bridge's own in `old_layers`."""

from __future__ import annotations

from bridge.keras_side.dialect.table import Entry, upgrade

OWN = "bridge.keras_side.old_layers"


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
    if entry.config.get("implementation", 1) != 1:
        entry.refuse("is of implementation 2 or 3, whose kernel lies in the file in another way. Save it with 1.")
        return False
    entry.config.pop("implementation", None)
    own(entry)
    return True


@upgrade(
    "layers that resize images at random, which Keras 3 no longer has",
    "keras 3.0: layers/__init__.py; tf-keras 2.15: layers/preprocessing/image_preprocessing.py",
    kinds=("RandomHeight", "RandomWidth"),
)
def random_sizes(entry: Entry) -> bool:
    entry.refuse("changes the size of the images at random in training, which Keras 3 has no equal to.")
    return False


@upgrade(
    "layers of experiments that ended",
    "keras 2.0: legacy/layers.py",
    kinds=("MaxoutDense", "Highway", "SReLU", "ParametricSoftplus"),
)
def ended_experiments(entry: Entry) -> bool:
    entry.refuse("is a layer that left Keras with version 2.0, which has no equal.")
    return False
