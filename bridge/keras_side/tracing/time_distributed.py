"""Calls of TimeDistributed: the wrapped layer is called once, on the steps of all rows, and is a node of its own.

Keras calls it step by step. What a layer makes of its rows one by one is the same either way; what it makes of the
rows together, in each step, is told by the number of steps (`told`) or refused (`reason`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest import mock

import keras
import tensorflow as tf

from bridge.graph import Layer

Placeholder = Callable[..., tf.Tensor]


def is_time_distributed(layer: Any) -> bool:
    return type(layer) is keras.layers.TimeDistributed


class Steps:
    """The sequences whose steps are being taken together, from the outermost TimeDistributed inwards."""

    def __init__(self) -> None:
        self._sequences: list[tf.Tensor] = []

    @contextlib.contextmanager
    def of(self, sequence: tf.Tensor) -> Iterator[None]:
        self._sequences.append(sequence)
        try:
            yield
        finally:
            self._sequences.pop()

    def told(self) -> tuple[dict[str, tf.Tensor], dict[str, int]]:
        """How many steps the rows are of: the sequences of unknown length, by name, and the product of the others."""
        known, tensors = 1, {}
        for sequence in self._sequences:
            if sequence.shape[1] is None:
                tensors[f"per_step{len(tensors)}"] = sequence
            else:
                known *= int(sequence.shape[1])
        return tensors, {"steps": known} if known != 1 else {}

    def described(
        self, config: dict[str, Any], names: Iterable[str] = ("inputs",)
    ) -> tuple[list[tf.Tensor], dict[str, Any]]:
        """The tensors and the config of a call that treats the rows of each step together. names: of its others."""
        more, call = self.told()
        if more:
            call = {**call, "tensors": [*names, *more]}
        return list(more.values()), {**config, **({"call": {**config.get("call", {}), **call}} if call else {})}

    def reason(self, layer: keras.Layer, rank: int) -> str | None:
        """Why a layer can't be called on the steps together, if so. rank: of its input."""
        if not self._sequences:
            return None
        if isinstance(layer, keras.layers.SpectralNormalization):
            return "it moves its vector on in each step, not possible within TimeDistributed"
        shape = getattr(layer, "noise_shape", None)
        if shape is not None and shape[0] is not None:
            return "its noise_shape shares a draw among the rows of each step, not possible within TimeDistributed"
        axis = getattr(layer, "axis", None)
        axes = axis if isinstance(axis, list | tuple) else [axis]
        if any(isinstance(a, int) and a % rank == 0 for a in axes if rank):
            return "it works along the batch, whose rows are those of all steps within TimeDistributed"
        return None


def call(
    layer: keras.Layer,
    path: str,
    name: str,
    steps: Steps,
    placeholder: Placeholder,
    inputs: tf.Tensor,
    training: Any = None,
    mask: tf.Tensor | None = None,
) -> Any:
    """What TimeDistributed.call gives: its wrapped layer's outputs, (batch, steps, ...)."""
    inner, length = layer.layer, inputs.shape[1]

    def node(x: list[tf.Tensor], name: str, shape: tuple[int | None, ...], **said: Any) -> tf.Tensor:
        described = Layer("TimeDistributed", path, {"name": layer.name, "call": said})
        return placeholder(described, name, x, (shape, x[0].dtype.name), split=not said["part"])

    x = node([inputs], f"{name}/merged", (None, *inputs.shape[2:]), part=False)
    given: dict[str, Any] = {"training": training} if inner._call_has_training_arg else {}
    if inner._call_has_mask_arg and mask is not None:
        given["mask"] = node([mask], f"{name}/mask", (None, *mask.shape[2:]), part=False)
    if type(inner) is keras.layers.ActivityRegularization:
        y = x
    else:
        # Keras runs the wrapped layer's `call` alone, which adds no penalty
        with steps.of(inputs), mock.patch.object(inner, "activity_regularizer", None):
            y = inner(x, **given)
    if keras.tree.is_nested(y):
        return None
    shape = (None, length, *y.shape[1:])
    if length is None:
        return node([y, inputs], name, shape, part=True)
    return node([y], name, shape, part=True, steps=int(length))
