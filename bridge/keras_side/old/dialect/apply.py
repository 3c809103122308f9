"""Applies the table of upgrades to a config, layer by layer, and says what it did."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.keras_side.old.dialect.table import TABLE, Entry, Upgrade, Writer

DEPTH_LIMIT = 100
_INNER = ("layer", "backward_layer", "cell")  # settings that are a layer
_SHOWN = 4  # layers named in one line


@dataclass
class Upgraded:
    """A config as Keras 3 would have written it.

    done: the names of the upgrades and the paths of the layers that they changed. problems: what has no equal.
    layouts: how the weights of a layer, by its path, lie in the file. renamed: new names of layers -> old ones.
    """

    config: dict[str, Any]
    done: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    layouts: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)

    def lines(self, meaning_alone: bool = False) -> list[str]:
        """One line for each upgrade: what changed and which layers have it."""
        found = []
        for name, paths in self.done.items():
            if meaning_alone and not TABLE[name].means:
                continue
            shown = ", ".join(dict.fromkeys(paths))
            if len(set(paths)) > _SHOWN:
                shown = ", ".join(list(dict.fromkeys(paths))[:_SHOWN]) + f" and {len(set(paths)) - _SHOWN} more"
            found.append(f"{TABLE[name].what} ({shown})")
        return found


def upgraded(config: dict[str, Any], writer: Writer) -> Upgraded:
    """The config of a whole model by the writer's dialect; `config` stays as it is."""
    result = Upgraded(copy.deepcopy(config))
    if writer.version < (2,) and _is_theanos(config):
        writer = replace(writer, backend="theano")
    root = Entry(result.config, writer, None, result.problems, result.layouts, result.renamed)
    _walk(root, result, 0)
    result.problems[:] = dict.fromkeys(result.problems)
    return result


def _is_theanos(config: Any) -> bool:
    """Whether a model of Keras 1 tells that it ran on Theano: it pads in full, which TensorFlow can't."""
    if isinstance(config, dict):
        return config.get("border_mode") == "full" or any(map(_is_theanos, config.values()))
    return isinstance(config, list) and any(map(_is_theanos, config))


def _walk(entry: Entry, result: Upgraded, depth: int) -> None:
    if depth > DEPTH_LIMIT:
        return  # refused when its parts are looked up
    _apply(entry, result, last=False)
    for node in _within(entry):
        _walk(Entry(node, entry.writer, entry, result.problems, result.layouts, result.renamed), result, depth + 1)
    _apply(entry, result, last=True)


def _apply(entry: Entry, result: Upgraded, last: bool) -> None:
    for item in TABLE.values():
        if item.last == last and item.concerns(entry) and _changed(item, entry):
            result.done.setdefault(item.name, []).append(entry.path)


def _changed(item: Upgrade, entry: Entry) -> bool:
    """Whether the upgrade changed the entry. Settings of a form that it can't be looked for in are a problem."""
    try:
        return item.apply(entry)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        entry.refuse(f"has settings of no form that Keras {entry.writer.text} wrote ({str(error)[:100]}).")
        return False


def _within(entry: Entry) -> Iterator[dict[str, Any]]:
    """The entries of the layers that a model or wrapper holds, and of those that are another's activation."""
    config = entry.config
    listed = [*_listed(config.get("layers")), *_listed(config.get("cells"))]
    listed += [config.get(key) for key in _INNER]
    listed += [
        value
        for key, value in config.items()
        if key.endswith("activation") and isinstance(value, dict) and isinstance(value.get("config"), dict)
    ]
    for node in listed:
        if isinstance(node, dict) and isinstance(node.get("class_name"), str):
            yield node


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
