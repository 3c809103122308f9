"""A model's own code in training: both ways of it are traced, and a node says which one a call takes."""

from __future__ import annotations

import contextlib
import dis
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common.stateless_scope import get_stateless_scope
from keras.src.backend.tensorflow import random as keras_random

_LIBRARIES = ("keras", "tensorflow", "bridge")
_OLD = "bridge.keras_side.old."  # layers that compute by code of their own, as the user's do


class Flag(int):
    """The training flag of a trace: the caller's choice, which can be told from a True or False of the model's own."""

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.constant(int.__bool__(self), dtype, name=name)


class Inference(Flag):
    """The flag of the ordinary way. It is false, and knows which code looks at it."""

    def __new__(cls) -> Inference:
        made = super().__new__(cls, 0)
        made.asked = []
        return made

    asked: list[Any]

    def __bool__(self) -> bool:
        self.note(sys._getframe(1))
        return False

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        self.note(sys._getframe(1))
        return super().__tf_tensor__(dtype, name)

    def note(self, frame: Any) -> None:
        """Code of the model's own, or of TensorFlow for it, looks at the flag."""
        if _module(frame).split(".")[0] not in ("keras", "bridge") or _module(frame).startswith(_OLD):
            self.asked.append(_owner(frame))

    __hash__ = int.__hash__


def _noting(operation: Callable[..., Any]) -> Callable[..., Any]:
    """What an int does, by the flag that knows of it."""

    def noting(self: Inference, *others: Any) -> Any:
        self.note(sys._getframe(1))
        return operation(self, *others)

    return noting


_WORDS = ("eq", "ne", "int", "float", "add", "radd", "sub", "rsub", "mul", "rmul", "and", "rand", "or", "ror", "invert")
for _word in _WORDS:
    setattr(Inference, f"__{_word}__", _noting(getattr(int, f"__{_word}__")))


def asks_by_identity(layer: keras.Layer) -> bool:
    """Whether the layer's own code says `training is True`, or False, which is neither while it is traced."""
    code = getattr(type(layer).call, "__code__", None)
    if code is None or type(layer).__module__.split(".")[0] in _LIBRARIES:
        return False
    steps = [(step.opname, step.argval) for step in dis.get_instructions(code)]
    return any(
        first[1] == "training" and second[0] == "LOAD_CONST" and isinstance(second[1], bool) and third[0] == "IS_OP"
        for first, second, third in zip(steps, steps[1:], steps[2:], strict=False)
    )


def _module(frame: Any) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _owner(frame: Any) -> Any:
    """The layer whose code looks at the flag, in a function that it calls too; else the function's name."""
    name = frame.f_code.co_name
    while frame is not None:
        own = _module(frame).split(".")[0] not in _LIBRARIES or _module(frame).startswith(_OLD)
        if own and isinstance(frame.f_locals.get("self"), keras.Layer):
            return frame.f_locals["self"]
        frame = frame.f_back
    return name


def with_flag(flag: Flag, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a layer's call with another flag in the place of the caller's."""
    args = tuple(flag if isinstance(arg, Flag) else arg for arg in args)
    given = {name: flag if isinstance(arg, Flag) else arg for name, arg in kwargs.items()}
    return args, given if any(arg is flag for arg in args) else {"training": flag, **given}


@contextlib.contextmanager
def drawing_by(draw: Callable[[str, Any], tf.Tensor]) -> Iterator[None]:
    """Random numbers by `draw("Normal" or "Uniform", shape)`, float32, whatever they are asked of: Keras or TensorFlow.

    What has other distributions is left as it is: TensorFlow's operators for these have no ONNX form.
    """

    def normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = tf.float32, **_: Any) -> tf.Tensor:
        return tf.cast(draw("Normal", shape), dtype) * tf.cast(stddev, dtype) + tf.cast(mean, dtype)

    def uniform(shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = tf.float32, **_: Any) -> tf.Tensor:
        dtype = tf.as_dtype(dtype)
        least, most = (tf.cast(value, tf.float32) for value in (minval, 1 if maxval is None else maxval))
        drawn = draw("Uniform", shape) * (most - least) + least
        return tf.cast(drawn if dtype.is_floating else tf.floor(drawn), dtype)

    def dropped(x: Any, rate: Any, noise_shape: Any = None, **_: Any) -> tf.Tensor:
        x = tf.convert_to_tensor(x)
        shape = tf.shape(x) if noise_shape is None else _noise_shape(x, noise_shape)
        kept = draw("Uniform", shape) >= rate
        return tf.where(kept, x / tf.cast(1 - rate, x.dtype), tf.zeros_like(x))

    def chosen(logits: Any, num_samples: Any, dtype: Any = tf.int64, **_: Any) -> tf.Tensor:
        # the Gumbel-max trick: the largest of logits + G, G = -log(-log(U)), is distributed as softmax(logits)
        shape = tf.stack([tf.shape(logits)[0], num_samples, tf.shape(logits)[1]])
        gumbel = -tf.math.log(-tf.math.log(tf.maximum(draw("Uniform", shape), 1e-20)))
        return tf.cast(tf.argmax(logits[:, None] + tf.cast(gumbel, logits.dtype), axis=-1), dtype or tf.int64)

    with contextlib.ExitStack() as stack:
        patched = {"normal": normal, "uniform": uniform, "categorical": chosen}
        for name, function in patched.items():
            stack.enter_context(mock.patch.object(tf.random, name, function))
            stack.enter_context(mock.patch.object(tf.random, f"stateless_{name}", _without_seed(function)))
        stack.enter_context(mock.patch.object(tf.nn, "dropout", dropped))
        stack.enter_context(mock.patch.object(tf.nn.experimental, "stateless_dropout", _without_seed(dropped)))
        stack.enter_context(mock.patch.object(keras_random, "draw_seed", return_value=np.zeros(2, np.uint32)))
        yield


def _without_seed(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """The stateless form of a function: with a seed, as its second or third argument or by name."""

    def stateless(*args: Any, **kwargs: Any) -> tf.Tensor:
        place = 1 if function.__name__ in ("normal", "uniform") else 2
        if "seed" not in kwargs:  # (shape, seed, ...), (x, rate, seed, ...), (logits, num_samples, seed, ...)
            args = (*args[:place], *args[place + 1 :])
        return function(*args, **{name: value for name, value in kwargs.items() if name != "seed"})

    return stateless


def _noise_shape(x: tf.Tensor, shape: Any) -> Any:
    """The shape in which None stands for the tensor's own length."""
    if tf.is_tensor(shape):
        return shape
    return [tf.shape(x)[axis] if size is None else size for axis, size in enumerate(shape)]


def state() -> dict[int, Any]:
    """The values that variables have at this point of a trace, by id; code that assigns to one changes it."""
    scope = get_stateless_scope()
    assert scope is not None
    return scope.state_mapping
