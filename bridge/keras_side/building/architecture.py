"""A Keras model from what describes it alone: a JSON config, or the user's code."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common import KerasVariable
from keras.src.initializers.random_initializers import RandomInitializer

from bridge.errors import BridgeError
from bridge.files import existing_file
from bridge.keras_side import custom
from bridge.keras_side.building import arch, config, lora
from bridge.keras_side.examples import remembered
from bridge.keras_side.old import biases, origins
from bridge.keras_side.old.backends import UNKNOWN, Backend
from bridge.keras_side.old.calls import with_masks

JSON_LIMIT = 16 << 20
VARIABLES_FLOOR, VARIABLES_FACTOR = 16 << 20, 2
# What Keras raises when a config is not what it expects; it checks little, so nearly anything can come
REFUSALS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    tf.errors.OpError,
)


def from_json(
    text: bytes | str, origin: str, *, version: str | None = None, written: Backend = UNKNOWN, unsafe: bool = False
) -> keras.Model:
    """The model that a config describes, built of Keras's own classes only.

    version, written: of the Keras that wrote it, where the file says so. Raises BridgeError for what is no config,
    carries code, or describes nothing that Keras can build.
    """
    parsed = config.parse(text, origin)
    version, written = config.version_of(parsed, version), written.or_as_stated(parsed.get("backend"))
    found = config.prepare(parsed, origin, version, unsafe, written.name)
    try:
        old = found.upgrades
        masks = nullcontext() if old is None else with_masks("attention_without_masks" not in old.done)
        with remembered(), masks, lora.with_alpha(), keras.saving.custom_object_scope(custom.objects()):
            again = None if old is None else copy.deepcopy(found.config)  # Keras takes things out of what it reads
            model = keras.saving.deserialize_keras_object(found.config, safe_mode=not unsafe)
            if again is not None and isinstance(model, keras.Model) and (names := biases.misplaced(model)):
                rightly = biases.by_own(again, names)
                model = keras.saving.deserialize_keras_object(rightly, safe_mode=not unsafe)
    except REFUSALS as error:
        raise BridgeError(f"{origin}: describes no model that Keras can build: {said(error)[:300]}") from error
    if not isinstance(model, keras.Model):
        raise BridgeError(f"{origin}: describes a {type(model).__name__}, not a model.")
    if found.upgrades is not None:
        text = text.decode() if isinstance(text, bytes) else text
        origins.remember(model, origins.Origin(text, version, written, found.upgrades))
    return model


def from_arch(value: str, *, unsafe: bool = False, written: Backend = UNKNOWN) -> keras.Model:
    """The model that `--arch` names: FILE.py:function or config.json. written: the backend of its weights' file."""
    path, function = arch.split(value)
    if function is not None:
        return arch.build(path, function)
    path = existing_file(path, "the architecture")
    if path.stat().st_size > JSON_LIMIT:
        raise BridgeError(f"{path}: is larger than {JSON_LIMIT >> 20} MiB, too large for a model's config.")
    return from_json(path.read_bytes(), str(path), written=written, unsafe=unsafe)


def said(error: Exception) -> str:
    """The reason that an error of Keras gives, in one line: the innermost, without what Keras puts round it."""
    lines = [re.sub(r"\x1b\[\d*m", "", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line] or [type(error).__name__]
    frames = [number for number, line in enumerate(lines) if line.startswith("Exception encountered")]
    if not frames:
        return lines[0]
    _, _, reason = lines[frames[-1]].partition("Exception encountered: ")
    return reason or " ".join(lines[frames[-1] + 1 :][:1]) or lines[0]


@contextmanager
def bounded(held: int, name: str) -> Iterator[None]:
    """Refuses a config whose variables would take far more memory than the `held` bytes of weights in the file.

    All of them are to be filled from the file, so none is begun at random, which takes four times their memory.
    """
    limit = max(VARIABLES_FLOOR, VARIABLES_FACTOR * held)
    original, total = KerasVariable.__init__, 0

    def counted(self: Any, initializer: Any, shape: Any = None, dtype: Any = None, *rest: Any, **named: Any) -> None:
        nonlocal total
        known = isinstance(shape, tuple | list) and all(isinstance(size, int) for size in shape)
        total += 4 * math.prod(shape) if known else 0
        if total > limit:
            raise BridgeError(
                f"{name}: its architecture wants over {limit:,} bytes of weights, the file holds {held:,}. "
                "Nothing was built."
            )
        if known and isinstance(initializer, RandomInitializer):
            initializer = keras.initializers.Zeros()
        original(self, initializer, shape, dtype, *rest, **named)

    KerasVariable.__init__ = counted
    try:
        yield
    finally:
        KerasVariable.__init__ = original
