"""A model's own code in training: both ways of it are traced, and a node says which one a call takes."""

from __future__ import annotations

import contextlib
import keyword
import operator
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common.stateless_scope import get_stateless_scope
from keras.src.backend.tensorflow import random as keras_random

_CONVERSIONS = ("bool", "int", "float", "index", "str", "repr", "hash", "neg", "pos", "abs", "invert", "round", "trunc")
_COMPARED = ("eq", "ne", "lt", "le", "gt", "ge")
_COMBINED = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift")


class Flag:
    """The training flag of a trace: a False of the caller's choice, which can be told from one of the model's own.

    It does what False does, as an index and as the key of a dict too.
    """

    __class__ = property(lambda self: bool)  # type: ignore[assignment] # for isinstance(training, bool)

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.constant(False, dtype, name=name)

    def __getattr__(self, name: str) -> Any:
        return getattr(False, name)

    def __format__(self, form: str) -> str:
        return format(False, form)

    def __copy__(self) -> Flag:
        return self

    def __deepcopy__(self, memo: Any) -> Flag:
        return self


def _plain(value: Any) -> Any:
    return False if type(value) is Flag else value


def _converted(word: str) -> Callable[..., Any]:
    return lambda self, *more: getattr(False, word)(*more)


def _combined(word: str, turned: bool) -> Callable[..., Any]:
    does = getattr(operator, f"{word}_" if keyword.iskeyword(word) else word)
    return lambda self, other: does(_plain(other), False) if turned else does(False, _plain(other))


for _word in _CONVERSIONS:
    setattr(Flag, f"__{_word}__", _converted(f"__{_word}__"))
for _word in (*_COMPARED, *_COMBINED):
    setattr(Flag, f"__{_word}__", _combined(_word, turned=False))
for _word in _COMBINED:
    setattr(Flag, f"__r{_word}__", _combined(_word, turned=True))


@contextlib.contextmanager
def given(training: bool, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
    """The arguments of a layer's call with True or False in the place of the caller's flag.

    A layer that takes no such argument may look at Keras's context of the call, or hand it on to others.
    """
    context = layer._get_call_context()
    before = context.get_value("training")
    context.set_value("training", training)

    def plain(arg: Any) -> Any:
        return training if type(arg) is Flag else arg

    named = {name: plain(arg) for name, arg in kwargs.items()}
    told = "training" in layer._call_signature.bind_partial(*args, **kwargs).arguments
    if not told and layer._call_has_training_arg:
        named = {"training": training, **named}
    try:
        yield tuple(map(plain, args)), named
    finally:
        context.set_value("training", before)
        layer._maybe_reset_call_context()


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
