"""What the user typed to say which Keras model is meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Paths = str | Path | Iterable[str | Path]
KERAS_FILES = (".keras", ".h5", ".hdf5")  # the endings of what Keras writes to one file


def listed(names: Paths | None) -> tuple[str, ...]:
    """One name or path or several, as a tuple."""
    if names is None:
        return ()
    return (str(names),) if isinstance(names, str | Path) else tuple(map(str, names))


@dataclass(frozen=True)
class Source:
    """A model file and, where the file holds weights alone, what says how its layers are connected."""

    path: str
    arch: str | None = None  # "FILE.py:function" or "config.json"
    mlp: str | None = None  # "784-64:relu-64:relu-10:softmax"
    unsafe: bool = False  # run code that the file carries (Lambda layers)
    from_layer: tuple[str, ...] = ()  # the part of the model that begins with these layers
    custom: tuple[str, ...] = ()  # Python files that define the classes and functions that the file names
    rules: tuple[str, ...] = ()  # Python files with the user's own rules
    signature: str | None = None  # what to call of a SavedModel's program
    backend: str | None = None  # of Keras, that wrote an old file which does not say so

    @property
    def name(self) -> str:
        """The file's own name, for messages."""
        return Path(self.path).name
