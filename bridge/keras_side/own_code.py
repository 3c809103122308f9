"""What a model's own code does beside arithmetic: it adds losses and draws random numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf


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


def drawing(outputs: Iterable[tf.Tensor], needed: Callable[[tf.Operation], Iterable[tf.Tensor]]) -> list[str]:
    """The layers whose code draws random numbers that these tensors of a graph depend on.

    needed: the inputs of an operation that count.
    """
    found, seen, waiting = {}, set(), [tensor.op for tensor in outputs]
    while waiting:
        operator = waiting.pop()
        if operator.name in seen:
            continue
        seen.add(operator.name)
        if "Random" in operator.type or operator.type in ("Multinomial", "TruncatedNormal", "StatelessMultinomial"):
            found[(re.findall(r"layer_([^/]+)", operator.name) or [operator.name])[-1]] = None
        waiting += [tensor.op for tensor in needed(operator)]
    return list(found)
