"""Every architecture family of keras.applications, with its own code, as small as that allows; weights are random.

They are much slower than other models, so they are in a table and a slow test file of their own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
from unittest import mock

from model_case import ModelCase

FAMILIES: dict[str, ModelCase] = {}


def family(**options: Any) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    def register(make: Callable[[], Any]) -> Callable[[], Any]:
        FAMILIES[make.__name__] = ModelCase(make.__name__, make, settled=True, **options)
        return make

    return register


def options(size: int, **more: Any) -> dict[str, Any]:
    return {"weights": None, "classes": 5, "input_shape": (size, size, 3), **more}


@contextlib.contextmanager
def thinner(factor: int) -> Any:
    """Layers with fewer channels, for families whose constructors have no option for it."""
    from keras import layers

    def patched(kind: type) -> Any:
        plain = kind.__init__

        def init(self: Any, count: int, *args: Any, **named: Any) -> None:
            plain(self, max(2, count // factor), *args, **named)

        return mock.patch.object(kind, "__init__", init)

    with patched(layers.Conv2D), patched(layers.SeparableConv2D), patched(layers.Dense):
        yield


@family()
def mobilenet():
    from keras import applications

    return applications.MobileNet(alpha=0.25, dropout=0.0, **options(64))


@family()
def mobilenet_v2():
    from keras import applications

    return applications.MobileNetV2(alpha=0.35, **options(64))


@family(values="pixels")
def mobilenet_v3_small():
    from keras import applications

    return applications.MobileNetV3Small(alpha=0.25, dropout_rate=0.0, **options(64))


@family(values="pixels")
def mobilenet_v3_large():
    from keras import applications

    return applications.MobileNetV3Large(alpha=0.25, minimalistic=True, dropout_rate=0.0, **options(64))


@family(values="pixels")
def efficientnet():
    from keras.src.applications.efficientnet import EfficientNet

    return EfficientNet(0.25, 0.5, 32, dropout_rate=0.0, drop_connect_rate=0.0, **options(64))


@family(values="pixels")
def efficientnet_v2():
    from keras.src.applications.efficientnet_v2 import EfficientNetV2

    never = {"dropout_rate": 0.0, "drop_connect_rate": 0.0}  # what drops is tested by itself
    return EfficientNetV2(0.25, 0.5, 32, name="efficientnetv2-b0", **never, **options(64))


@family()
def resnet():
    from keras.src.applications.resnet import ResNet, stack_residual_blocks_v1

    def stack(x):
        for number, filters in enumerate((8, 12, 16)):
            x = stack_residual_blocks_v1(x, filters, 2, stride1=1 + (number > 0), name=f"conv{number + 2}")
        return x

    return ResNet(stack, False, True, weights_name="resnet50", **options(32))


@family()
def resnet_v2():
    from keras.src.applications.resnet import ResNet, stack_residual_blocks_v2

    def stack(x):
        for number, filters in enumerate((8, 12, 16)):
            x = stack_residual_blocks_v2(x, filters, 2, stride1=2 - (number > 1), name=f"conv{number + 2}")
        return x

    return ResNet(stack, True, True, weights_name="resnet50v2", **options(32))


@family()
def densenet():
    from keras.src.applications.densenet import DenseNet

    return DenseNet((2, 2, 2, 2), **options(64))


@family()
def inception_v3():
    from keras import applications

    with thinner(16):
        return applications.InceptionV3(**options(107))


@family()
def inception_resnet_v2():
    from keras.src.applications import inception_resnet_v2

    plain, block = inception_resnet_v2.conv2d_bn, inception_resnet_v2.inception_resnet_block

    def few(x: Any, scale: float, block_type: str, block_idx: int, activation: str = "relu") -> Any:
        """The first and the tenth block of each type; that of the last type has no activation."""
        return block(x, scale, block_type, block_idx, activation) if block_idx in (1, 10) else x

    def thin(x: Any, filters: int, *args: Any, use_bias: bool = False, **named: Any) -> Any:
        """The convolution with a bias has the channels of the sum that it is added to."""
        return plain(x, filters if use_bias else filters // 16, *args, use_bias=use_bias, **named)

    with (
        mock.patch.object(inception_resnet_v2, "conv2d_bn", thin),
        mock.patch.object(inception_resnet_v2, "inception_resnet_block", few),
    ):
        return inception_resnet_v2.InceptionResNetV2(**options(107))


@family()
def xception():
    from keras import applications

    with thinner(8):
        return applications.Xception(**options(71))


@family()
def vgg16():
    from keras import applications

    with thinner(16):
        return applications.VGG16(**options(32))


@family()
def nasnet():
    from keras.src.applications.nasnet import NASNet

    return NASNet(
        penultimate_filters=96, num_blocks=1, stem_block_filters=8, skip_reduction=False, default_size=32, **options(32)
    )


@family(values="pixels")
def convnext():
    from keras.src.applications.convnext import ConvNeXt

    return ConvNeXt((1, 1, 2, 1), (8, 12, 16, 24), **options(32))
