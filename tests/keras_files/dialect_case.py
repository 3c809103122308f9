"""What a case of the table of upgrades is, and parts of configs that several share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Dialect:
    """kind, config -> after, of what `version` wrote. new: the class afterwards, where it is another one.

    refused: what the reason matches, for what has no equal. layout: how the weights lie in the file. model: whether it
    is a whole model, no layer of one. entry: what stands beside its kind and its config.
    """

    upgrade: str
    version: str
    kind: str
    config: Any
    after: Any = None
    new: str | None = None
    refused: str | None = None
    layout: str | None = None
    backend: str = "tensorflow"
    model: bool = False
    entry: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.upgrade}-{self.kind}-{self.version}"


def functional(*layers: Any, **more: Any) -> dict[str, Any]:
    config = {"name": "model", "layers": list(layers), "input_layers": [["x", 0, 0]], "output_layers": [["d", 0, 0]]}
    return {**config, **more}


def called(kind: str, name: str, nodes: Any, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def tensor(name: str, call: int = 0, number: int = 0) -> dict[str, Any]:
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, call, number]}
    return {"class_name": "__keras_tensor__", "config": config}


HARD = {"class_name": "function", "config": "bridge>hard_sigmoid_of_keras2"}
X = called("InputLayer", "x", [], batch_shape=[None, 3], dtype="float32")
ADD = called("Add", "d", [[["x", 0, 0, {}], ["x", 0, 0, {}]]])
ADDED = called("Add", "d", [{"args": [[tensor("x"), tensor("x")]], "kwargs": {}}])
ENDS = {"input_layers": ["x", 0, 0], "output_layers": ["d", 0, 0]}
