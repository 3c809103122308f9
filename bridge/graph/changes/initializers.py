"""Keras's weight initializers in numpy, from the config that a layer carries.

The distributions are Keras's, the random numbers are not: the same seed gives other weights than Keras would draw.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.graph.body import Refused
from bridge.graph.stored import not_finite

Config = dict[str, Any]
Shape = tuple[int, ...]
# count: so many of the values alone, one after the other; None: all of them, in their shape
_Draw = Callable[[Config, Shape, np.random.Generator, int | None], np.ndarray]
_WHOLE = ("Constant", "Orthogonal", "Identity", "UnitForgetBias")  # those whose values hang together
MANY = 1 << 22  # values drawn at a time, in float64

_TRUNCATED_STD = 0.8796256610342398  # the standard deviation of a unit normal that is cut off at +-2
_SCALINGS = {  # class -> scale, mode and distribution of the VarianceScaling that it is
    "GlorotUniform": (1.0, "fan_avg", "uniform"),
    "GlorotNormal": (1.0, "fan_avg", "truncated_normal"),
    "HeUniform": (2.0, "fan_in", "uniform"),
    "HeNormal": (2.0, "fan_in", "truncated_normal"),
    "LecunUniform": (1.0, "fan_in", "uniform"),
    "LecunNormal": (1.0, "fan_in", "truncated_normal"),
}
_ALIASES = {
    "zero": "Zeros",
    "one": "Ones",
    "normal": "RandomNormal",
    "uniform": "RandomUniform",
    "IdentityInitializer": "Identity",
    "OrthogonalInitializer": "Orthogonal",
}


def initialize(config: Config | str, shape: Shape, dtype: str, rng: np.random.Generator) -> np.ndarray:
    """New values for a weight, as Keras's initializer of that config distributes them.

    config: {"class_name": "GlorotUniform", "config": {...}} as Keras 2 and 3 write it, or a name ("glorot_uniform").
    Its own seed is not used: `rng` decides.
    Raises Refused, with the reason alone, for an initializer that is not one of Keras's or does not fit the shape.
    """
    kind, options = known(config)
    try:
        if math.prod(shape) > MANY and kind not in _WHOLE:
            array = np.empty(shape, np.dtype(dtype))
            flat = array.reshape(-1)
            for start in range(0, flat.size, MANY):
                flat[start : start + MANY] = _DRAWS[kind](options, shape, rng, min(MANY, flat.size - start))
        else:
            array = _DRAWS[kind](options, shape, rng, None)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise Refused(f"its initializer {kind} can't be used for the shape {shape}: {error!r}") from None
    if any(not_finite(array)):
        raise Refused(f"its initializer {kind} gives values that are not finite")
    return np.ascontiguousarray(array, dtype=np.dtype(dtype)).reshape(shape)  # reshape: a scalar stays one


def fans(shape: Shape, input_axes: list[int] | None = None, output_axes: list[int] | None = None) -> tuple[int, int]:
    """The number of inputs and outputs of one unit, by Keras's rule: the last two axes are features, the rest space."""
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[i] for i in input_axes), math.prod(shape[i] for i in output_axes)
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    space = math.prod(shape[:-2])
    return shape[-2] * space, shape[-1] * space


def known(config: Any) -> tuple[str, Config]:
    """The class and the options of a serialized initializer. Raises Refused for one that is not Keras's."""
    kind, package, module = config, None, "keras"
    options: Config = {}
    if isinstance(config, dict):
        kind, options = config.get("class_name"), config.get("config") or {}
        package, module = config.get("registered_name"), str(config.get("module") or module)
    name = _ALIASES.get(kind, _camel(kind)) if isinstance(kind, str) else None
    # the user's own class may have a name of Keras's: its module or its registered name tells
    foreign = package not in (None, kind) or not module.startswith(("keras", "tf_keras"))
    if name not in _DRAWS or foreign or not isinstance(options, dict):
        raise Refused(f"its initializer {str(kind)[:60]!r} is not one of Keras's that can be repeated")
    return name, options


def _camel(name: str) -> str:
    """GlorotUniform for glorot_uniform, and for itself."""
    return re.sub(r"(?:^|_)([a-z])", lambda found: found[1].upper(), name)


def _constant(options: Config, shape: Shape, rng: np.random.Generator, count: int | None) -> np.ndarray:
    value = options.get("value", 0.0)
    if isinstance(value, dict):  # an array, as Keras 3 writes it
        value = value["config"]["value"]
    return np.broadcast_to(np.asarray(value, np.float64), shape)


def _random_normal(options: Config, shape: Shape, rng: np.random.Generator, count: int | None) -> np.ndarray:
    return rng.normal(options.get("mean", 0.0), options.get("stddev", 0.05), count or shape)


def _random_uniform(options: Config, shape: Shape, rng: np.random.Generator, count: int | None) -> np.ndarray:
    return rng.uniform(options.get("minval", -0.05), options.get("maxval", 0.05), count or shape)


def _truncated_normal(options: Config, shape: Shape, rng: np.random.Generator, count: int | None) -> np.ndarray:
    """Normal values, drawn again while they are more than two standard deviations off the mean."""
    unit = rng.standard_normal(count or shape)
    far = np.abs(unit) > 2
    while far.any():
        unit = np.where(far, rng.standard_normal(count or shape), unit)
        far = np.abs(unit) > 2
    return float(options.get("mean", 0.0)) + float(options.get("stddev", 0.05)) * unit


def _variance_scaling(options: Config, shape: Shape, rng: np.random.Generator, count: int | None) -> np.ndarray:
    fan_in, fan_out = fans(shape, options.get("input_axes"), options.get("output_axes"))
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[options.get("mode", "fan_in")]
    variance = options.get("scale", 1.0) / max(1.0, fan)
    distribution = str(options.get("distribution", "truncated_normal")).lower()
    if distribution == "uniform":
        limit = math.sqrt(3 * variance)
        return rng.uniform(-limit, limit, count or shape)
    if distribution == "untruncated_normal":
        return rng.normal(0, math.sqrt(variance), count or shape)
    if distribution not in ("normal", "truncated_normal"):
        raise ValueError(f"the distribution {distribution!r} is unknown")
    return _truncated_normal({"stddev": math.sqrt(variance) / _TRUNCATED_STD}, shape, rng, count)


def _orthogonal(options: Config, shape: Shape, rng: np.random.Generator, count: int | None) -> np.ndarray:
    """Orthonormal rows or columns (whichever are fewer) of the weight seen as (all other axes, last axis)."""
    if len(shape) < 2:
        raise ValueError("it needs two axes or more")
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))  # makes q uniform over all orthogonal matrices: Mezzadri 2007
    return float(options.get("gain", 1.0)) * (q if rows >= columns else q.T).reshape(shape)


def _identity(options: Config, shape: Shape, rng: np.random.Generator, count: int | None) -> np.ndarray:
    if len(shape) != 2:
        raise ValueError("it needs two axes")
    return float(options.get("gain", 1.0)) * np.eye(*shape)


def _unit_forget_bias(options: Config, shape: Shape, rng: np.random.Generator, count: int | None) -> np.ndarray:
    """A bias of LSTM: ones for the forget gate, the second of four; not a class of Keras but an option of its LSTM."""
    array = initialize(options["bias_initializer"], shape, "float64", rng)
    units = shape[-1] // 4
    array[..., units : 2 * units] = 1
    return array


def _scaling(scale: float, mode: str, distribution: str) -> _Draw:
    fixed = {"scale": scale, "mode": mode, "distribution": distribution}
    return lambda options, shape, rng, count: _variance_scaling(options | fixed, shape, rng, count)


_DRAWS: dict[str, _Draw] = {
    "Zeros": lambda options, shape, rng, count: np.zeros(count or shape),
    "Ones": lambda options, shape, rng, count: np.ones(count or shape),
    "Constant": _constant,
    "RandomNormal": _random_normal,
    "RandomUniform": _random_uniform,
    "TruncatedNormal": _truncated_normal,
    "VarianceScaling": _variance_scaling,
    "Orthogonal": _orthogonal,
    "Identity": _identity,
    "UnitForgetBias": _unit_forget_bias,
} | {kind: _scaling(*facts) for kind, facts in _SCALINGS.items()}
