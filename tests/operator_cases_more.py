"""Cases of operators that look at windows, between pixels, at time, at sequences, or at quantized numbers."""

from __future__ import annotations

import numpy as np
from operator_cases import case, f, flags, i, number, positive

IMAGE, LINE, VOLUME = f(2, 4, 6, 5), f(2, 3, 9), f(1, 2, 4, 5, 4)
KERNEL = f(3, 4, 3, 2)
BYTES = np.array([[3, 200, 7], [90, 0, 255]], np.uint8)
SIGNED = np.array([[-3, 100, 7], [90, 0, -128], [5, -6, 7]], np.int8)
SCALE, ZERO = number(0.05), np.array(120, np.uint8)
SEQUENCE = f(5, 2, 3)  # time, batch, features


def _gates(count: int, directions: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return f(directions, 4 * count, 3), f(directions, 4 * count, 4), f(directions, 8 * count)


WINDOWS = [
    case("Conv", IMAGE, KERNEL, f(3), kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 0]),
    case("Conv", IMAGE, KERNEL, kernel_shape=[3, 2], pads=[0, 1, 2, 0]),
    case("Conv", IMAGE, KERNEL, auto_pad="SAME_UPPER", strides=[2, 2]),
    case("Conv", IMAGE, KERNEL, auto_pad="SAME_LOWER", dilations=[2, 1]),
    case("Conv", LINE, f(6, 1, 3), kernel_shape=[3], group=3, dilations=[2]),
    case("Conv", VOLUME, f(2, 2, 2, 2, 2), kernel_shape=[2, 2, 2], auto_pad="VALID"),
    case("ConvTranspose", IMAGE, f(4, 3, 3, 2), f(3), strides=[2, 1], pads=[1, 0, 0, 1], output_padding=[1, 0]),
    case("ConvTranspose", IMAGE, f(4, 3, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
    case("ConvTranspose", LINE, f(3, 2, 3), output_shape=[19], strides=[2], auto_pad="SAME_LOWER"),
    case("DeformConv", f(1, 2, 4, 4), f(2, 2, 2, 2), f(1, 8, 3, 3) / np.float32(9), f(2), f(1, 4, 3, 3)),
    case("Col2Im", f(1, 8, 6), i(3, 4), i(2, 2), constants=(1, 2)),
    case("Col2Im", f(1, 8, 6), i(4, 5), i(2, 2), strides=[2, 1], pads=[1, 0, 0, 0], dilations=[1, 2]),
    case("MaxPool", IMAGE, kernel_shape=[2, 3], strides=[2, 1]),
    case("MaxPool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("MaxPool", IMAGE, kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_UPPER", outputs=2),
    case("MaxPool", LINE, kernel_shape=[3], strides=[2], ceil_mode=1, dilations=[2]),
    case("AveragePool", IMAGE, kernel_shape=[2, 3], strides=[2, 1]),
    case("AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("AveragePool", IMAGE, kernel_shape=[3, 3], pads=[1, 1, 0, 0], count_include_pad=1),
    case("AveragePool", LINE, kernel_shape=[4], strides=[3], auto_pad="SAME_LOWER"),
    case("AveragePool", LINE, kernel_shape=[4], strides=[3], ceil_mode=1),
    case("LpPool", IMAGE, kernel_shape=[2, 2], p=3),
    case("MaxUnpool", f(1, 1, 2, 2), i([[[[1, 3], [9, 15]]]]), kernel_shape=[2, 2], strides=[2, 2]),
    *(case(f"Global{kind}Pool", IMAGE) for kind in ("Average", "Max")),
]
LOOKS = {"half_pixel": {}, "asymmetric": {}, "align_corners": {}, "pytorch_half_pixel": {}}
SAMPLING = [
    *(
        case("Resize", IMAGE, None, None, i(2, 4, 9, 3), constants=(3,), mode=mode, coordinate_transformation_mode=look)
        for mode in ("linear", "cubic")
        for look in LOOKS
    ),
    *(
        case("Resize", IMAGE, None, np.array([1, 1, 1.5, 0.6], np.float32), constants=(2,), nearest_mode=way)
        for way in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    ),
    case("Resize", IMAGE, None, None, i(3, 7), mode="linear", axes=[2, 3], antialias=1),
    case("Resize", IMAGE, None, None, i(3, 7), mode="cubic", axes=[2, 3], exclude_outside=1, cubic_coeff_a=-0.5),
    case("Resize", IMAGE, None, None, i(9, 9), axes=[3, 2], keep_aspect_ratio_policy="not_larger", mode="linear"),
    case("GridSample", IMAGE, f(2, 3, 3, 2) / np.float32(3), mode="linear"),
    case("GridSample", IMAGE, f(2, 3, 3, 2), mode="cubic", align_corners=1),
    case("AffineGrid", f(2, 2, 3), i(2, 1, 3, 4), constants=(1,), align_corners=1),
    case("CenterCropPad", IMAGE, i(4, 7), constants=(1,), axes=[2, 3]),
    case(
        *("RoiAlign", IMAGE, np.array([[0.4, 0.5, 3.3, 4.2], [1, 1, 2.5, 3]], np.float32), i(0, 1)),
        constants=(1,),
        **{"output_height": 2, "output_width": 3, "sampling_ratio": 2, "spatial_scale": 0.9},
    ),
    case("RoiAlign", IMAGE, np.array([[0.4, 0.5, 3.3, 4.2]], np.float32), i(1), constants=(1,), output_width=2),
    case(
        *("NonMaxSuppression", np.array([[[0, 0, 2, 2], [0, 0, 2, 1.9], [3, 3, 4, 4]]], np.float32)),
        *(np.array([[[0.7, 0.9, 0.6]]], np.float32), i(2), np.array([0.5], np.float32), np.array([0.1], np.float32)),
    ),
]
NORMAL = [
    case("GroupNormalization", IMAGE, f(4), f(4), num_groups=2),
    case("RMSNormalization", f(2, 3, 4), f(3, 4), axis=1, epsilon=0.01),
    case("MeanVarianceNormalization", IMAGE),
    case("LpNormalization", positive(2, 3), p=1, axis=0),
    case("LpNormalization", f(2, 3)),
    case("Hardmax", f(2, 3, 4), axis=1),
    case("NegativeLogLikelihoodLoss", f(4, 3), i(0, 2, 1, 1), positive(3)),
    case("NegativeLogLikelihoodLoss", f(2, 3, 2), i([0, -1], [2, 1]), ignore_index=-1, reduction="sum"),
    case("SoftmaxCrossEntropyLoss", f(4, 3), i(0, 2, 1, 1), positive(3), outputs=2),
    case("SoftmaxCrossEntropyLoss", f(4, 3), i(0, 2, 1, 1), reduction="none"),
    case("BatchNormalization", IMAGE, f(4), f(4), f(4), positive(4), outputs=3, training_mode=1, momentum=0.7),
    case("Swish", f(2, 3), alpha=0.8),
    case("Swish", f(2, 3)),
    case("SwiGLU", f(2, 3), f(2, 3)),
    case("CumProd", f(2, 3), number(1, np.int64), constants=(1,)),
    case("CumProd", f(2, 3), number(0, np.int64), constants=(1,), exclusive=1, reverse=1),
    case("TensorScatter", f(2, 5, 3), f(2, 2, 3), i(1, 4), mode="circular"),
    case("BitCast", f(2, 3), to=6),
]
QUANTIZED = [
    case("QuantizeLinear", f(2, 3), SCALE, ZERO),
    case("QuantizeLinear", f(2, 3), np.array([0.1, 0.2, 0.05], np.float32), np.array([0, 3, -4], np.int8), axis=1),
    case("DequantizeLinear", BYTES, SCALE, ZERO, constants=(1, 2)),
    case("DynamicQuantizeLinear", f(2, 3), outputs=3),
    case("DynamicQuantizeLinear", np.zeros((2, 3), np.float32), outputs=3),
    case("MatMulInteger", BYTES, SIGNED, ZERO, np.array(3, np.int8)),
    case("QLinearMatMul", BYTES, SCALE, ZERO, SIGNED, SCALE, np.array(3, np.int8), number(0.4), ZERO),
    case("ConvInteger", BYTES[None, None], SIGNED[None, None, :2, :2].astype(np.uint8), ZERO, pads=[1, 0, 1, 0]),
    case(
        *("QLinearConv", BYTES[None, None], SCALE, ZERO, BYTES[None, None, :, :2], SCALE, ZERO, number(0.3), ZERO),
        kernel_shape=[2, 2],
    ),
]
TIME = [
    case("DFT", f(2, 5, 1), onesided=1),
    case("DFT", f(2, 5, 2), inverse=1),
    case("DFT", f(2, 3, 2), number(4, np.int64), constants=(1,), inverse=1, onesided=1),
    case("STFT", f(2, 9, 1), number(2, np.int64), positive(4), constants=(1, 2)),
    *(case(f"{k}Window", number(6, np.int64), periodic=p) for k in ("Hann", "Hamming", "Blackman") for p in (0, 1)),
    case(
        *("MelWeightMatrix", number(4, np.int64), number(16, np.int64), number(8000, np.int64)),
        *(number(100.0), number(3900.0)),
    ),
    case("LSTM", SEQUENCE, *_gates(4), outputs=3, hidden_size=4),
    case("GRU", SEQUENCE, f(1, 12, 3), f(1, 12, 4), f(1, 24), outputs=2, hidden_size=4, linear_before_reset=1),
    case("GRU", SEQUENCE, f(1, 12, 3), f(1, 12, 4), None, None, f(1, 2, 4), outputs=2, hidden_size=4),
    case("RNN", SEQUENCE, f(1, 4, 3), f(1, 4, 4), f(1, 8), outputs=2, hidden_size=4),
    case("Attention", f(2, 2, 3, 4), f(2, 2, 5, 4), f(2, 2, 5, 4), flags(3, 5) | True, is_causal=1),
    case("Attention", f(2, 3, 8), f(2, 3, 4), f(2, 3, 4), q_num_heads=2, kv_num_heads=1, softcap=2.0),
    case("RotaryEmbedding", f(2, 2, 3, 4), f(5, 2), f(5, 2), i([0, 1, 2], [2, 3, 4])),
    case("RotaryEmbedding", f(2, 3, 8), f(2, 3, 2), f(2, 3, 2), num_heads=2, interleaved=1),
    case("LinearAttention", f(2, 3, 4), f(2, 3, 4), f(2, 3, 6), None, f(2, 3, 2), f(2, 3, 2), q_num_heads=2,
         kv_num_heads=2, outputs=2),
    case("CausalConvWithState", f(2, 3, 5), f(3, 1, 3), f(3), outputs=2, activation="silu"),
]  # fmt: skip
MORE = [*WINDOWS, *SAMPLING, *NORMAL, *QUANTIZED, *TIME]
# What onnx's evaluator does not know, or does wrong, or what is about other things than tensors: its node tests are run
IN_NODE_TESTS = {"Scatter", "Upsample", "Optional", "OptionalHasElement", "OptionalGetElement", "SplitToSequence"}
IN_NODE_TESTS |= {f"Sequence{word}" for word in ("Construct", "Empty", "Insert", "Erase", "At", "Length")}
IN_NODE_TESTS |= {"ConcatFromSequence", "LRN"}
