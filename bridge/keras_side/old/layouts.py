"""Weights that lie in a file in another way than Keras 3 has them: each way with its inverse.

A layout is named by the layer's old class and the weight: "CuDNNLSTM/bias".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Layout:
    to_keras: Callable[[np.ndarray], np.ndarray]
    to_file: Callable[[np.ndarray], np.ndarray]


def _by_gates(count: int, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: np.concatenate([change(gate) for gate in np.split(array, count, axis=-1)], axis=-1)


def _in_one(array: np.ndarray) -> np.ndarray:
    """cuDNN's two biases one after the other."""
    if array.ndim != 2:
        raise ValueError("cuDNN's layers have two biases")
    return array.reshape(-1)


def _flipped(array: np.ndarray) -> np.ndarray:
    """A kernel turned over along its spatial axes: Theano convolves where TensorFlow correlates."""
    return np.ascontiguousarray(array[(slice(None, None, -1),) * (array.ndim - 2)])


def _moved(*axes: int) -> Layout:
    back = tuple(int(axis) for axis in np.argsort(axes))
    return Layout(
        lambda array: np.ascontiguousarray(array.transpose(axes)),
        lambda array: np.ascontiguousarray(array.transpose(back)),
    )


def _then(first: Layout, second: Layout) -> Layout:
    return Layout(
        lambda array: second.to_keras(first.to_keras(array)),
        lambda array: first.to_file(second.to_file(array)),
    )


FLIPPED = Layout(_flipped, _flipped)
_KERAS1 = {
    "keras1_Conv1D": Layout(lambda a: np.ascontiguousarray(a[:, 0]), lambda a: np.ascontiguousarray(a[:, None])),
    "keras1_1_Conv1D": Layout(  # before Keras 1.2
        lambda a: np.ascontiguousarray(a.transpose(2, 3, 1, 0)[:, 0]),
        lambda a: np.ascontiguousarray(a[:, None].transpose(3, 2, 0, 1)),
    ),
    "keras1_Conv2D_first": _moved(2, 3, 1, 0),
    "keras1_Conv3D_first": _moved(2, 3, 4, 1, 0),
    "keras1_Conv2DTranspose_first": _moved(2, 3, 0, 1),
    "keras1_Conv2DTranspose_last": _moved(0, 1, 3, 2),
}
_GATED = Layout(  # the arrays of its four gates were put together along their last axis, whatever that is
    _by_gates(4, lambda gate: gate.transpose(2, 3, 1, 0)), _by_gates(4, lambda gate: gate.transpose(3, 2, 0, 1))
)
_LSTM = {f"keras1_ConvLSTM2D_first{end}": how for end, how in (("", _GATED), ("_flipped", _then(_GATED, FLIPPED)))}
LAYOUTS = {
    # cuDNN has each gate's matrix the other way round; Keras filled it column by column
    **{
        f"{kind}/kernel": Layout(
            _by_gates(count, lambda gate: gate.T.reshape(gate.shape, order="F")),
            _by_gates(count, lambda gate: gate.T.reshape(gate.shape, order="C")),
        )
        for kind, count in (("CuDNNLSTM", 4), ("CuDNNGRU", 3))
    },
    **{
        f"{kind}/recurrent_kernel": Layout(_by_gates(count, lambda gate: gate.T), _by_gates(count, lambda gate: gate.T))
        for kind, count in (("CuDNNLSTM", 4), ("CuDNNGRU", 3))
    },
    **{f"{kind}/bias": Layout(lambda array: array.reshape(2, -1), _in_one) for kind in ("CuDNNLSTM", "CuDNNGRU")},
    **{f"flipped/{word}": FLIPPED for word in ("kernel", "recurrent_kernel")},
    **{f"{name}/kernel": layout for name, layout in _KERAS1.items()},
    **{f"{name}_flipped/kernel": _then(layout, FLIPPED) for name, layout in _KERAS1.items()},
    **{f"{name}/{word}": layout for name, layout in _LSTM.items() for word in ("kernel", "recurrent_kernel")},
}


def chosen(name: str, array: np.ndarray, shape: tuple[int, ...]) -> str:
    """The layout that an array has of those that go by a name: before Keras 1.2 kernels of Conv1D had another one."""
    older = name.replace("keras1_Conv1D", "keras1_1_Conv1D")
    return older if older != name and array.shape != (shape[0], 1, *shape[1:]) else name
