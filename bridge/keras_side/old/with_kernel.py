"""What layers of bridge's own with a kernel and a bias share: the options of both."""

from __future__ import annotations

from typing import Any

import keras

_KINDS = (
    ("initializer", keras.initializers),
    ("regularizer", keras.regularizers),
    ("constraint", keras.constraints),
)


class WithKernel(keras.layers.Layer):
    """A layer that makes its weights `kernel` and `bias` by `weight`, as its options say."""

    def __init__(
        self,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

    def weight(self, word: str, shape: tuple[int, ...]) -> Any:
        options = {what: getattr(self, f"{word}_{what}") for what, _ in _KINDS}
        return self.add_weight(name=word, shape=shape, **options)

    def get_config(self) -> dict[str, Any]:
        own: dict[str, Any] = {"use_bias": self.use_bias}
        for word in ("kernel", "bias"):
            own |= {f"{word}_{what}": module.serialize(getattr(self, f"{word}_{what}")) for what, module in _KINDS}
        return {**super().get_config(), **own}
