"""What a model's own code does beside arithmetic: it adds losses and draws random numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry

Needed = Callable[[tf.Operation], Iterable[tf.Tensor]]


class Losses:
    """The losses that layers give to `add_loss` while their own code runs; Keras's own penalties come after that."""

    def __init__(self) -> None:
        self._found: dict[int, list[tf.Tensor]] = {}

    def add(self, layer: keras.Layer, loss: Any) -> None:
        self._found.setdefault(id(layer), []).extend(tf.reduce_sum(each) for each in keras.tree.flatten(loss))

    def take(self, layer: keras.Layer) -> tf.Tensor | None:
        """The sum of those of a layer's call that has just ended."""
        found = self._found.pop(id(layer), None)
        return tf.add_n(found) if found else None

    @property
    def owners(self) -> list[int]:
        """The ids of the layers whose losses were not taken."""
        return list(self._found)

    @staticmethod
    def put(result: Any, through: Callable[[tf.Tensor], tf.Tensor]) -> Any:
        """The result of a layer with its first tensor sent through a function."""
        leaves = keras.tree.flatten(result)
        place = next(i for i, leaf in enumerate(leaves) if tf.is_tensor(leaf))
        leaves[place] = through(leaves[place])
        return keras.tree.pack_sequence_as(result, leaves)


def drawing(outputs: Iterable[tf.Tensor], needed: Needed) -> list[str]:
    """The layers whose code draws random numbers that these tensors of a graph depend on.

    needed: the inputs of an operation that count.
    """
    kinds = ("Multinomial", "TruncatedNormal", "StatelessMultinomial")
    return _owners(outputs, needed, lambda operator: "Random" in operator.type or operator.type in kinds)


def with_gradients_of_their_own(outputs: Iterable[tf.Tensor]) -> list[str]:
    """The layers whose code says by `custom_gradient` what the gradient is; TensorFlow and Keras do so rightly."""
    return _owners(outputs, lambda operator: operator.inputs, _has_own_gradient)


def _has_own_gradient(operator: tf.Operation) -> bool:
    try:
        name = operator.get_attr("_gradient_op_type")
    except ValueError:
        return False
    return any(
        str(function.__module__).split(".")[0] not in ("tensorflow", "keras")
        for function in _within(gradient_registry.lookup(name.decode()), depth=3)
    )


def _within(function: Any, depth: int) -> Iterator[Any]:
    """The functions that a function was made of: what TensorFlow registers is made around the user's own."""
    for cell in getattr(function, "__closure__", None) or ():
        if callable(cell.cell_contents) and hasattr(cell.cell_contents, "__code__"):
            yield cell.cell_contents
            yield from _within(cell.cell_contents, depth - 1) if depth else ()


def _owners(outputs: Iterable[tf.Tensor], needed: Needed, is_one: Callable[[tf.Operation], bool]) -> list[str]:
    """The layers in whose code such an operation is that these tensors of a graph depend on."""
    names = [operator.name for operator in reached(outputs, needed, is_one)]
    return list(dict.fromkeys((re.findall(r"layer_([^/]+)", name) or [name])[-1] for name in names))


def reached(
    outputs: Iterable[tf.Tensor], needed: Needed, is_one: Callable[[tf.Operation], bool]
) -> Iterator[tf.Operation]:
    """Such operations that these tensors of a graph depend on."""
    seen, waiting = set(), [tensor.op for tensor in outputs]
    while waiting:
        operator = waiting.pop()
        if operator.name in seen:
            continue
        seen.add(operator.name)
        if is_one(operator):
            yield operator
        waiting += [tensor.op for tensor in needed(operator)]
