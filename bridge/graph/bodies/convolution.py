"""The bodies of the convolutions. Their kernels stay in Keras's layout, (*space, in, out), and are turned inside."""

from __future__ import annotations

from dataclasses import replace

from bridge.graph.bodies.space import (
    Window,
    channels_last,
    channels_of,
    in_channels_first,
    onnx_pads,
    rank_of,
    space,
    transposed_crops,
    window,
)
from bridge.graph.body import Refused, body, integers, refuse_option
from bridge.graph.layer import Layer, Shape

CONVOLUTIONS = (
    *("Conv1D", "Conv2D", "Conv3D"),
    *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
)


@body("Conv1D")
@body("Conv2D")
@body("Conv3D")
def convolution(layer: Layer, shapes: list[Shape]) -> str:
    """y = the correlation of x with the kernel, + bias; the activation is a node of its own."""
    refuse_option(layer, lora_rank=None, quantization_mode=None)
    groups = int(layer.config.get("groups", 1))
    return _turned("turned", "kernel", rank_of(layer)) + _in_front(layer, shapes[0], groups)


@body("DepthwiseConv1D")
@body("DepthwiseConv2D")
def depthwise_convolution(layer: Layer, shapes: list[Shape]) -> str:
    """Each channel with its own kernels, + bias: channels * depth_multiplier of them come out."""
    return _depthwise_kernel(layer, "kernel") + _in_front(layer, shapes[0], channels_of(layer, shapes[0]))


@body("SeparableConv1D")
@body("SeparableConv2D")
def separable_convolution(layer: Layer, shapes: list[Shape]) -> str:
    """A depthwise convolution, then a dense layer over the channels of each place, + bias."""
    lines = _depthwise_kernel(layer, "depthwise_kernel") + _turned("mixing", "pointwise_kernel", rank_of(layer))
    return lines + _in_front(layer, shapes[0], channels_of(layer, shapes[0]), mixed=True)


@body("Conv1DTranspose")
@body("Conv2DTranspose")
@body("Conv3DTranspose")
def transposed_convolution(layer: Layer, shapes: list[Shape]) -> str:
    """Each place of x spreads the kernel, (*space, out, in), over `strides` more places of y, + bias."""
    config, crops = layer.config, transposed_crops(layer)
    lengths = [
        None if n is None else (n - 1) * stride + (k - 1) * dilation + 1 - sum(crop)
        for n, k, stride, dilation, crop in zip(
            space(layer, shapes[0]),
            config["kernel_size"],
            config["strides"],
            config["dilation_rate"],
            crops,
            strict=True,
        )
    ]
    _refuse_misplaced_bias(layer, lengths[-1])
    attributes = (
        f"kernel_shape = {config['kernel_size']}, strides = {config['strides']}, "
        f"dilations = {config['dilation_rate']}, "
        f"pads = {onnx_pads((before, max(after, 0)) for before, after in crops)}, "
        f"output_padding = {[max(-after, 0) for _, after in crops]}"
    )
    bias = ", bias" if "bias" in layer.weights else ""
    lines = f"{{y}} = ConvTranspose <{attributes}> ({{x}}, turned{bias})"
    return _turned("turned", "kernel", rank_of(layer)) + in_channels_first(layer, lines)


def _in_front(layer: Layer, shape: Shape, groups: int, mixed: bool = False) -> str:
    """Lines from x to y by the kernel `turned`, and then by `mixing` if the layer is a separable one."""
    bias = ", bias" if "bias" in layer.weights else ""
    found = window(layer, shape)
    _refuse_misplaced_bias(layer, found.outputs(space(layer, shape))[-1])
    attributes = f"{found.attributes}, dilations = {list(found.dilations)}, group = {groups}"
    lines, source = "", "{x}"
    if None in found.pads and max(found.dilations) > 1:  # ONNX Runtime has no auto_pad for these
        lines, source = _padded(found), "padded"
        found = replace(found, pads=tuple((0, 0) for _ in found.pads))
        attributes = f"{found.attributes}, dilations = {list(found.dilations)}, group = {groups}"
    if mixed:
        lines += f"apart = Conv <{attributes}> ({source}, turned)\n"
        lines += f"{{y}} = Conv <kernel_shape = {[1] * rank_of(layer)}> (apart, mixing{bias})"
    else:
        lines += f"{{y}} = Conv <{attributes}> ({source}, turned{bias})"
    return in_channels_first(layer, lines)


def _padded(found: Window) -> str:
    """Lines from {x} to `padded`, as padding="same" pads an input whose size only the run tells."""
    return (
        "sizes = Shape <start = 2> ({x})\n"
        + integers("strides", found.strides)
        + integers("more", [stride - 1 for stride in found.strides])
        + integers("spans", [span - stride for span, stride in zip(found.spans, found.strides, strict=True)])
        + integers("none", [0])
        + integers("batch", [0, 0])
        + integers("two", [2])
        + "longer = Add(sizes, more)\ncount = Div(longer, strides)\nstepped = Mul(count, strides)\n"
        + "reach = Add(stepped, spans)\nlacking = Sub(reach, sizes)\ntotal = Max(lacking, none)\n"
        + "before = Div(total, two)\nafter = Sub(total, before)\n"
        + "pads = Concat <axis = 0> (batch, before, batch, after)\npadded = Pad({x}, pads)\n"
    )


def _refuse_misplaced_bias(layer: Layer, width: int | None) -> None:
    """Keras 3.15 on TensorFlow adds the bias along the last axis if that is as long as there are channels.

    Where the width is not known, TensorFlow does not know it either when it builds the model's function. The layers of
    old files, which have `pads`, are computed by code of bridge's own.
    """
    if "pads" in layer.config:
        return
    if not channels_last(layer) and "bias" in layer.weights and width == layer.weights["bias"].shape[0] > 1:
        raise Refused(
            f"its output is {width} wide and has {width} channels in front: Keras on TensorFlow adds the bias along "
            "the width then; use channels_last"
        )


def _turned(name: str, weight: str, rank: int) -> str:
    """A line from a kernel (*space, a, b) to `name`, (b, a, *space)."""
    return f"{name} = Transpose <perm = {[rank + 1, rank, *range(rank)]}> ({weight})\n"


def _depthwise_kernel(layer: Layer, weight: str) -> str:
    """Lines from (*space, channels, multiplier) to `turned`, (channels * multiplier, 1, *space)."""
    *sizes, channels, multiplier = layer.weights[weight].shape
    rank = len(sizes)
    return (
        f"front = Transpose <perm = {[rank, rank + 1, *range(rank)]}> ({weight})\n"
        + integers("grouped", [channels * multiplier, 1, *sizes])
        + "turned = Reshape(front, grouped)\n"
    )
