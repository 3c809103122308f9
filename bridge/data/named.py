"""Data sets that have a name: scikit-learn's digits and Keras's own sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bridge.data import cifar, idx
from bridge.data.arrays import read_npz
from bridge.data.dataset import Data
from bridge.data.digits import read_digits
from bridge.data.download import Source, cache_folder, cached
from bridge.data.keras_names import keras_arrays, keras_data

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist

_BASE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_MNIST = Source(_BASE + "mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1")
_FASHION = {
    "train": {
        "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    },
    "test": {
        "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
_FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def read_mnist(part: str) -> Data:
    """MNIST: x (rows, 28, 28) uint8, y uint8 0..9; 60,000 rows for "train", 10,000 for "test"."""
    path = cached("mnist", cache_folder() / "mnist.npz", _MNIST)
    arrays = read_npz(path, lambda names: keras_arrays(names, part, path))
    return replace(keras_data(arrays, part, str(path)), origin="mnist")


def read_fashion_mnist(part: str) -> Data:
    """Fashion-MNIST in MNIST's shapes: from the Keras cache, else Debian's package, else a download."""
    folder = cache_folder() / "fashion-mnist"
    if not _has(folder, part):
        if _has(DEBIAN_FASHION, part):
            folder = DEBIAN_FASHION
        else:
            for stored in idx.parts_of(part):
                for name, content in _FASHION[stored].items():
                    cached("fashion_mnist", folder / name, Source(_BASE + name, content, unpacked=True))
    return replace(idx.read_folder(folder, part), origin="fashion_mnist", classes=_FASHION_CLASSES)


def _has(folder: Path, part: str) -> bool:
    return all(idx.find_pair(folder, stored) for stored in idx.parts_of(part))


READERS = {
    "digits": read_digits,
    "mnist": read_mnist,
    "fashion_mnist": read_fashion_mnist,
    "cifar10": cifar.read_cifar10,
}
NAMES = tuple(READERS)
