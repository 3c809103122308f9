"""What the user typed to say which Keras model is meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A model file and, where the file holds weights alone, what says how its layers are connected."""

    path: str
    arch: str | None = None  # "FILE.py:function" or "config.json"
    mlp: str | None = None  # "784-64:relu-64:relu-10:softmax"
    unsafe: bool = False  # run code that the file carries (Lambda layers)

    @property
    def name(self) -> str:
        """The file's own name, for messages."""
        return Path(self.path).name
