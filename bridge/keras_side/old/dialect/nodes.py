"""Which tensors each layer of a functional model is called on, as Keras 3 writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.keras_side.old.dialect.recurrent import RECURRENT
from bridge.keras_side.old.dialect.table import Entry, upgrade

CONSTANT = "_CONSTANT_VALUE"
Call = tuple[list[Any], dict[str, Any]]


class Malformed(ValueError):
    """Node data that is of no known form."""


@upgrade(
    "the calls of layers in lists, with tensors among the keywords",
    "keras 2.0: engine/topology.py, get_config; tensorflow 2.4: keras/engine/node.py; keras 3.0: models/functional.py",
    kinds=("Functional",),
    last=True,
)
def calls_of_layers(entry: Entry) -> bool:
    config = entry.config
    layers = config.get("layers")
    ends = ("input_layers", "output_layers")
    if not isinstance(layers, list) or not all(isinstance(config.get(key), list | dict) for key in ends):
        entry.refuse("has no layers, inputs and outputs in its config.")
        return False
    if not all(isinstance(layer, dict) and isinstance(layer.get("config"), dict) for layer in layers):
        entry.refuse("has layers without a config.")
        return False
    for layer in layers:
        layer.setdefault("name", layer["config"].get("name"))
    old_names = {old: new for new, old in entry.renamed.items()}
    calls = _Calls(layers, old_names, entry.writer.is_tf)
    try:
        for layer in layers:
            nodes = layer.get("inbound_nodes") or []
            layer["inbound_nodes"] = [node if isinstance(node, dict) else calls.node(layer, node) for node in nodes]
        for key in ends:
            config[key] = _unpacked(calls.ends(config[key]))
    except (Malformed, IndexError, KeyError, TypeError) as error:
        entry.refuse(f"says in no known way which tensors its layers are called on ({error}).")
        return False
    return True


class _Calls:
    def __init__(self, layers: list[dict[str, Any]], old_names: dict[str, str], is_tf: bool):
        self.layers = {layer["name"]: layer for layer in layers}
        self.old_names = old_names
        used: dict[str, set[int]] = {}
        for layer in layers:
            _references(layer.get("inbound_nodes"), used)
        self.first = {layer["name"]: _first_index(layer, used.get(layer["name"], set()), is_tf) for layer in layers}

    def index(self, name: str, number: int) -> int:
        """The call of a layer that a number stands for: a nested model's own building counted as its call 0."""
        if name not in self.layers:
            raise Malformed(f"a layer {name!r} is called on, but not there")
        found = number - self.first[name]
        if found < 0:
            raise Malformed(f"{name} has no call {number}")
        return found

    def tensor(self, reference: list[Any]) -> dict[str, Any]:
        name = self.old_names.get(reference[0], reference[0])
        history = [name, self.index(name, reference[1]), reference[2]]
        config = {"shape": [None], "dtype": "float32", "keras_history": history}  # only where it comes from is read
        return {"class_name": "__keras_tensor__", "config": config}

    def ends(self, value: Any) -> Any:
        """The tensors that a model begins or ends with."""

        def end(reference: list[Any]) -> list[Any]:
            name = self.old_names.get(reference[0], reference[0])
            # here Keras 3 counts the building of a nested functional model too
            own = self.layers[name]["class_name"] == "Functional"
            return [name, self.index(name, reference[1]) + own, reference[2]]

        return _mapped(value, end)

    def node(self, layer: dict[str, Any], data: Any) -> dict[str, Any]:
        """One call: {"args": [...], "kwargs": {...}}."""
        keywords: dict[str, Any] = {}

        def argument(reference: list[Any]) -> Any:
            if len(reference) == 4 and isinstance(reference[3], dict):
                keywords.update(reference[3])
            return reference[2] if reference[0] == CONSTANT else self.tensor(reference)

        first = _mapped(data, argument)
        keywords = _mapped(keywords, self.tensor)
        return _called(layer, first, keywords)


def _called(layer: dict[str, Any], first: Any, keywords: dict[str, Any]) -> dict[str, Any]:
    if layer["class_name"] == "TFOpLambda":
        return _operation(layer, first, keywords)
    keywords = {key: value for key, value in keywords.items() if value is not None}
    if isinstance(first, list) and len(first) == 1:
        first = first[0]
    kind = layer["class_name"]
    if kind in (*RECURRENT, "Bidirectional", "TimeMajor") and isinstance(first, list) and first:
        keywords["initial_state"] = [*first[1:], *keywords.pop("initial_state", [])]
        first = first[0]
    return {"args": [first], "kwargs": keywords}


def _operation(layer: dict[str, Any], first: Any, keywords: dict[str, Any]) -> dict[str, Any]:
    """A call on the tensors alone; what else a function is given goes into its layer's config, beside their places."""
    tensors: list[Any] = []

    def placed(value: Any) -> Any:
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            tensors.append(value)
            return {"tensor": len(tensors) - 1}
        if isinstance(value, dict):
            return {key: placed(item) for key, item in value.items()}
        return [placed(item) for item in value] if isinstance(value, list) else value

    keywords.pop("name", None)
    arguments = [placed(first), placed(keywords)]
    if layer["config"].setdefault("arguments", arguments) != arguments:
        raise Malformed(f"{layer['name']} is called twice, with other arguments")
    return {"args": [tensors], "kwargs": {}}


def _is_reference(value: Any) -> bool:
    """["dense", 0, 0], perhaps with keywords behind it."""
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and (value[0] == CONSTANT or isinstance(value[2], int))
    )


def _mapped(value: Any, to: Callable[[list[Any]], Any]) -> Any:
    if _is_reference(value):
        return to(value)
    if isinstance(value, list):
        return [_mapped(item, to) for item in value]
    if isinstance(value, dict):
        return {key: _mapped(item, to) for key, item in value.items()}
    return value


def _references(value: Any, used: dict[str, set[int]]) -> None:
    """Which calls of which layers are taken from, keywords included."""
    if isinstance(value, dict):
        for item in value.values():
            _references(item, used)
    elif isinstance(value, list):
        if _is_reference(value) and value[0] != CONSTANT:
            used.setdefault(value[0], set()).add(value[1])
        for item in value:
            _references(item, used)


def _first_index(layer: dict[str, Any], used: set[int], is_tf: bool) -> int:
    """The number of a layer's first call: 1 for models, whose building counts, unless they were built by the call."""
    if layer["class_name"] == "Functional":
        return 1
    if layer["class_name"] != "Sequential":
        return 0
    calls = len(layer.get("inbound_nodes") or [])
    if 0 in used:
        return 0
    if used and max(used) >= calls:
        return 1
    layers = layer["config"].get("layers") or [{}]
    return int(not is_tf or layers[0].get("class_name") == "InputLayer")


def _unpacked(value: Any) -> Any:
    """One tensor in a list of its own as the tensor: Keras 2 wrote lists, which Keras 3 would keep."""
    if isinstance(value, list) and len(value) == 1 and _is_reference(value[0]):
        return value[0]
    return value
