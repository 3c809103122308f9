"""Models of mixed precision. Their variables are float32, and so is all that bridge computes with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

MIXED = ("mixed_float16", "mixed_bfloat16")


@contextlib.contextmanager
def in_float32(model: keras.Model) -> Iterator[list[str]]:
    """The model with float32 arithmetic for a while. Gives the mixed policies of its layers, none for most models."""
    found = [layer for layer in model._flatten_layers() if layer.dtype_policy.name in MIXED]
    policies = [layer.dtype_policy for layer in found]
    try:
        for layer in found:
            _set(layer, keras.DTypePolicy("float32"))
        yield sorted({policy.name for policy in policies})
    finally:
        for layer, policy in zip(found, policies, strict=True):
            _set(layer, policy)


def _set(layer: keras.Layer, policy: keras.DTypePolicy) -> None:
    layer._dtype_policy = policy
    if isinstance(layer, keras.layers.Normalization) and layer.built:  # it holds its statistics in that type
        layer.build(layer._build_input_shape) if layer.input_mean is not None else layer.finalize_state()


def note(policies: list[str]) -> str:
    """What to tell of a model with these policies."""
    kind = policies[0].removeprefix("mixed_")
    return (
        f"The Keras model's policy is {' and '.join(policies)}: it was converted and compared in float32, the type of "
        f'its variables.\nTorch\'s way to compute like that: with torch.autocast("cuda", dtype=torch.{kind}): ...'
    )
