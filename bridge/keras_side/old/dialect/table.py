"""The table of upgrades: each entry is one change between two versions of Keras, with its source."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Version = tuple[int, ...]
ALWAYS: Version = (3,)  # no file of Keras 3 is upgraded


@dataclass(frozen=True)
class Writer:
    """The Keras that wrote a file, as the file says: version "2.2.4-tf", backend "tensorflow"."""

    text: str
    backend: str = "tensorflow"

    @property
    def version(self) -> Version:
        """(2, 2, 4); (2,), which is before all of its releases, where a file tells no more."""
        numbers = re.match(r"\d{1,9}(\.\d{1,9})*", self.text)
        return tuple(int(number) for number in numbers[0].split(".")) if numbers else (2,)

    @property
    def is_tf(self) -> bool:
        """Whether it was tf.keras, which has been alone since 2.4."""
        return "tf" in self.text or self.version >= (2, 4)


@dataclass
class Entry:
    """One layer of a config while it is upgraded. within: the entry of the model or wrapper around it."""

    node: dict[str, Any]
    writer: Writer
    within: Entry | None = None
    problems: list[str] = field(default_factory=list)
    layouts: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return str(self.node["class_name"])

    @kind.setter
    def kind(self, value: str) -> None:
        self.node["class_name"] = value

    @property
    def config(self) -> dict[str, Any]:
        return self.node["config"] if isinstance(self.node.get("config"), dict) else {}

    @property
    def name(self) -> str:
        """As the layer is called in its file; a wrapped layer without a name by its kind."""
        return str(self.node.get("name") or self.config.get("name") or self.kind)

    @property
    def path(self) -> str:
        """Its name behind those of the models and wrappers around it, without the whole model's."""
        around = self.within.path if self.within and self.within.within else ""
        return f"{around}/{self.name}" if around else self.name

    def refuse(self, reason: str) -> None:
        """Notes why this layer can't be read; a reason goes on behind `layer 'dense' (Dense)`."""
        where = f"layer {self.path!r} ({self.kind})" if self.within else "the model"
        self.problems.append(f"{where} {reason}")

    @property
    def owner(self) -> str:
        """The path of the wrapper around it, else its own: a Bidirectional layer gives its layer other names."""
        wrapped = self.within is not None and self.within.config.get("layer") is self.node
        return self.within.path if self.within is not None and wrapped else self.path

    def drop(self, key: str, *neutral: Any) -> bool:
        """Takes a setting away that has one of these values; whether it was there. Others are refused."""
        if key not in self.config:
            return False
        value = self.config[key]
        if not any(value == one and type(value) is type(one) for one in neutral):
            self.refuse(f"has {key}={value!r}, which Keras 3 has no equal to.")
            return False
        del self.config[key]
        return True


Apply = Callable[[Entry], bool]


@dataclass(frozen=True)
class Upgrade:
    """One change. what: what it is, for people. source: the release, commit or document that tells of it.

    since, until: the versions of Keras that wrote the old form, `until` not among them. kinds: the layer classes that
    it is looked for in, all if none. last: after the layers within. means: whether it is more than another way to say
    the same, so that users should know of it.
    """

    name: str
    what: str
    source: str
    apply: Apply
    since: Version = (0,)
    until: Version = ALWAYS
    kinds: tuple[str, ...] = ()
    last: bool = False
    means: bool = False

    def concerns(self, entry: Entry) -> bool:
        return self.since <= entry.writer.version < self.until and (not self.kinds or entry.kind in self.kinds)


TABLE: dict[str, Upgrade] = {}


def upgrade(what: str, source: str, **options: Any) -> Callable[[Apply], Apply]:
    """Puts a function into the table, under its own name. It gets an entry, changes it and tells whether it did."""

    def register(function: Apply) -> Apply:
        name = function.__name__
        if name in TABLE:
            raise ValueError(f"two upgrades are called {name}")
        TABLE[name] = Upgrade(name, what, source, function, **options)
        return function

    return register


def rename(entry: Entry, names: dict[str, str]) -> bool:
    """Settings by their new names; whether there was one. A new name that is there already wins."""
    config = entry.config
    found = [old for old in names if old in config]
    for old in found:
        value = config.pop(old)
        config.setdefault(names[old], value)
    return bool(found)
