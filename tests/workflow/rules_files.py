"""A user's files: layers of their own, the rules for these, and a module that the rules import."""

LAYERS = '''
import keras
from keras import ops


@keras.saving.register_keras_serializable("demo")
class ScaledDense(keras.layers.Layer):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel", regularizer="l2")
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, x):
        return ops.matmul(x, self.kernel) * ops.softplus(self.scale) + self.bias

    def get_config(self):
        return super().get_config() | {"units": self.units}


class Gate(keras.layers.Layer):
    """Two inputs, two outputs, a layer within, a mean that training moves, an option of the call."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.width = width
        self.inner = keras.layers.Dense(width, name="inner")

    def build(self, shapes):
        self.inner.build(shapes[0])
        self.mean = self.add_weight(shape=(self.width,), trainable=False, initializer="zeros", name="mean")

    def call(self, x, sharp=False, training=False):
        a, b = x
        y = self.inner(a) - self.mean
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * ops.mean(self.inner(a), 0))
        return ops.sigmoid(y * (4.0 if sharp else 1.0)) * b, y


class Repeated(keras.layers.Layer):
    """A layer with a rule, called in a loop."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = ScaledDense(16, name="inner")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return ops.fori_loop(0, 2, lambda i, h: ops.tanh(self.inner(h)), x)


def build():
    x = keras.Input((8,), name="x")
    scaled = ScaledDense(16, name="scaled")
    h = keras.layers.ReLU()(scaled(x))
    g, y = Gate(16, name="gate")([h, h], sharp=True)
    again = ScaledDense(16, name="twice")
    h = Repeated(name="repeated")(again(again(g)))
    outputs = {"out": keras.layers.Dense(3, name="head")(h), "side": y}
    return keras.Model(x, outputs, name="mine")
'''
RULES = '''
import bridge


@bridge.body("demo>ScaledDense")
def scaled_dense_body(layer, shapes):
    """y = (x @ kernel) * softplus(scale) + bias."""
    return """
        product = MatMul(x, kernel)
        factor = Softplus(scale)
        scaled = Mul(product, factor)
        y = Add(scaled, bias)
    """


@bridge.rule("demo>ScaledDense")
def scaled_dense(layer, shapes):
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    def factor(scale: Tensor) -> Tensor:
        return F.softplus(scale)

    class ScaledDense(nn.Linear):
        """y = (x @ weight.T) * softplus(scale) + bias."""

        def __init__(self, features: int, units: int) -> None:
            super().__init__(features, units)
            self.scale = nn.Parameter(torch.ones(units))

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight) * factor(self.scale) + self.bias

    features, units = layer.weights["kernel"].shape
    weights = {"weight": bridge.Take("kernel", axes=(1, 0)), "scale": bridge.Take("scale"), "bias": bridge.Take("bias")}
    return bridge.Part(bridge.New(ScaledDense, features, units), weights=weights)


@bridge.body("Gate")
def gate_body(layer, shapes):
    return f"""
        product = MatMul(x0, inner_kernel)
        shifted = Add(product, inner_bias)
        y1 = Sub(shifted, mean)
        f = Constant <value_float = {4.0 if layer.config["call"]["sharp"] else 1.0}> ()
        sharpened = Mul(y1, f)
        gate = Sigmoid(sharpened)
        y = Mul(gate, x1)
    """


@bridge.rule("Gate")
def gate(layer, shapes):
    from gate_module import Gate

    features, width = layer.weights["inner/kernel"].shape
    weights = {"inner.weight": bridge.Take("inner/kernel", (1, 0)), "inner.bias": bridge.Take("inner/bias")}
    module = bridge.New(Gate, features, width, 4.0 if layer.config["call"]["sharp"] else 1.0)
    return bridge.Part(module, weights=weights | {"mean": bridge.Take("mean")}, call="{self}({0}, {1})")
'''
GATE = """
import torch
from torch import Tensor, nn


class Gate(nn.Module):
    def __init__(self, features, width, sharpness):
        super().__init__()
        self.inner, self.sharpness = nn.Linear(features, width), sharpness
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, a, b):
        linear = self.inner(a)
        y = linear - self.mean
        if self.training:
            self.mean.copy_(0.9 * self.mean + 0.1 * linear.detach().mean(0))
        return torch.sigmoid(y * self.sharpness) * b, y
"""
