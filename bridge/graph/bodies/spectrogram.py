"""The bodies of the layers that make spectrograms of sound."""

from __future__ import annotations

import math

from bridge.graph.bodies.space import channels_last
from bridge.graph.body import Refused, body, integers, number, numbers
from bridge.graph.layer import Layer, Shape

EPSILON = 1e-7  # keras.config.epsilon(), which the layers take their least values from
_MEL_Q, _MEL_BREAK = 1127.0, 700.0  # mel(f) = Q log(1 + f / BREAK)


def stft_sizes(layer: Layer) -> tuple[int, int, int]:
    """Length and step of the frames of a STFTSpectrogram, and how many frequencies it tells."""
    length = int(layer.config["frame_length"])
    bins = int(layer.config["fft_length"] or 2 ** math.ceil(math.log2(length))) // 2 + 1
    return length, int(layer.config["frame_step"] or length // 2), bins


@body("STFTSpectrogram")
def stft_spectrogram(layer: Layer, shapes: list[Shape]) -> str:
    """Convolutions of each channel with the kernels, as real and imaginary parts; of them what `mode` says."""
    config, channels = layer.config, stft_channels(layer, shapes[0])
    length, step, bins = stft_sizes(layer)
    pad = 'auto_pad = "SAME_UPPER"' if config["padding"] == "same" else "pads = [0, 0]"
    last = channels_last(layer)
    # (batch, time, channels) or (batch, channels, time) -> (batch * channels, 1, time)
    lines = f"t = {'Transpose <perm = [0, 2, 1]>' if last else 'Identity'} (x)\n" + integers("singles", [-1, 1])
    lines += "time = Shape <start = 2> (t)\n"
    lines += "apart = Concat <axis = 0> (singles, time)\nwaves = Reshape(t, apart)\n"
    for part in ("real", "imag"):
        if f"{part}_kernel" in layer.weights:
            lines += f"{part}_w = Transpose <perm = [2, 1, 0]> ({part}_kernel)\n"
            lines += f"{part} = Conv <kernel_shape = [{length}], strides = [{step}], {pad}> (waves, {part}_w)\n"
    lines += _of_mode(str(config["mode"]))
    # (batch * channels, frequencies, frames) -> the layer's own layout
    lines += "rest = Shape <start = 2> (made)\n" + integers("batch", [-1])
    rows = bins * 2 if config["mode"] == "stft" else bins
    if config["expand_dims"]:
        lines += integers("channels", [channels]) + integers("rows", [rows])
        lines += "together = Concat <axis = 0> (batch, channels, rows, rest)\n"
        return (
            lines + f"z = Reshape(made, together)\ny = Transpose <perm = {[0, 3, 2, 1] if last else [0, 1, 3, 2]}> (z)"
        )
    lines += integers("features", [channels * rows])
    lines += "together = Concat <axis = 0> (batch, features, rest)\n"
    return lines + f"z = Reshape(made, together)\ny = {'Transpose <perm = [0, 2, 1]>' if last else 'Identity'} (z)"


def stft_channels(layer: Layer, shape: Shape) -> int:
    """How many channels the signal has. Raises Refused for what is not done."""
    channels = shape[-1 if channels_last(layer) else 1] if len(shape) == 3 else None
    if channels is None:
        raise Refused("its input is not (batch, time, channels) with a fixed number of channels")
    return channels


def _of_mode(mode: str) -> str:
    """Lines that define `made` from `real` and `imag`: (signals, frequencies, frames)."""
    if mode in ("real", "imag"):
        return f"made = Identity({mode})\n"
    if mode == "stft":
        return "made = Concat <axis = 1> (real, imag)\n"
    if mode == "angle":  # the arctangent of both; ONNX has that of one
        lines = (
            number("zero", 0) + number("pi", math.pi) + "none = Equal(real, zero)\nright = Where(none, zero, real)\n"
        )
        lines += "ratio = Div(imag, right)\nbent = Atan(ratio)\nleft = Less(real, zero)\nunder = Less(imag, zero)\n"
        lines += "minus = Neg(pi)\nhalf = Where(under, minus, pi)\nturned = Add(bent, half)\n"
        lines += "angle = Where(left, turned, bent)\nflat = Equal(imag, zero)\nnothing = And(none, flat)\n"
        return lines + "made = Where(nothing, zero, angle)\n"
    lines = "real2 = Mul(real, real)\nimag2 = Mul(imag, imag)\npower = Add(real2, imag2)\n"
    if mode == "psd":  # all but the first and the last frequency stand for their mirror images too
        lines += integers("inner", [1]) + integers("outer", [-1]) + "inside = Slice(power, inner, outer, inner)\n"
        lines += integers("margins", [0, 1, 0, 0, 1, 0]) + "twin = Pad(inside, margins)\n"
        return lines + "made = Add(power, twin)\n"
    lines += number("least", EPSILON) + "some = Max(power, least)\nmagnitude = Sqrt(some)\n"
    if mode == "magnitude":
        return lines + "made = Identity(magnitude)\n"
    return lines + "more = Max(magnitude, least)\nmade = Log(more)\n"


@body("MelSpectrogram")
def mel_spectrogram(layer: Layer, shapes: list[Shape]) -> str:
    """|STFT|^mag_exp of the centred frames, on the mel scale, in decibels: (batch, time) -> (batch, mels, frames)."""
    refuse_mel(layer, shapes[0])
    config = layer.config
    length, step, size = int(config["fft_length"]), int(config["sequence_stride"]), int(config["sequence_length"])
    half, before = length // 2, (length - size) // 2
    lines = integers("margins", [0, half, 0, half]) + 'padded = Pad <mode = "reflect"> (x, margins)\n'
    lines += integers("last", [-1]) + "wide = Unsqueeze(padded, last)\n"
    lines += f"length = Constant <value_int = {length}> ()\nstep = Constant <value_int = {step}> ()\n"
    lines += f"size = Constant <value_int = {size}> ()\n" + _window(config["window"], size)
    lines += integers("sides", [before, length - size - before]) + "window = Pad(inner_window, sides)\n"
    lines += "transform = STFT <onesided = 1> (wide, step, window, length)\nsquared = Mul(transform, transform)\n"
    lines += "power = ReduceSum <keepdims = 0> (squared, last)\nmagnitude = Sqrt(power)\n"
    lines += number("exponent", config["mag_exp"]) + "spectrum = Pow(magnitude, exponent)\n"
    lines += _mel_matrix(layer) + "mels = MatMul(spectrum, matrix)\n"
    if config["power_to_db"]:
        least, offset, reach = decibels(layer)
        lines += number("least", least) + "some = Max(mels, least)\nlogs = Log(some)\n"
        lines += number("decade", 10 / math.log(10)) + "decibels = Mul(logs, decade)\n"
        lines += number("offset", offset) + "over = Sub(decibels, offset)\n"
        lines += "top = ReduceMax <keepdims = 0> (over)\n" + number("range", reach)
        lines += "floor = Sub(top, range)\nmels_db = Max(over, floor)\n"
    return lines + f"y = Transpose <perm = [0, 2, 1]> ({'mels_db' if config['power_to_db'] else 'mels'})"


def refuse_mel(layer: Layer, shape: Shape) -> None:
    """Raises Refused for a MelSpectrogram that can't be converted."""
    if len(shape) != 2:
        raise Refused("its input is not (batch, time)")
    window = layer.config["window"]
    if window is not None and window not in ("hann", "hamming") and not isinstance(window, list):
        raise Refused(f"its window {str(window)[:40]!r} is not one of 'hann' and 'hamming', or a list")


def decibels(layer: Layer) -> tuple[float, float, float]:
    """The least power, the reference power in decibels, and how far below the loudest values may be."""
    least, reference, reach = (float(layer.config[name]) for name in ("min_power", "ref_power", "top_db"))
    return least, 10 * math.log10(max(abs(reference), least)), reach


def is_periodic(size: int) -> bool:
    """Whether TensorFlow's window of this length is periodic, as it is asked to be: one of odd length never is."""
    return size % 2 == 0


def _window(window: str | list[float] | None, size: int) -> str:
    """Lines that define `inner_window`, over the values of a frame."""
    if window is None or size == 1:
        lines = number("one", 1) + integers("extent", [-1])
        return lines + "long = Reshape(size, extent)\ninner_window = Expand(one, long)\n"
    if isinstance(window, str):  # ONNX's own HammingWindow has other factors
        even, wave = (0.5, 0.5) if window == "hann" else (0.54, 0.46)
        lines = "start = Constant <value_int = 0> ()\nnext = Constant <value_int = 1> ()\n"
        lines += "place_i = Range(start, size, next)\nplace = CastLike(place_i, x)\n" + number("even", even)
        lines += number("turn", 2 * math.pi / (size if is_periodic(size) else size - 1)) + number("wave", wave)
        lines += "angle = Mul(place, turn)\ncosine = Cos(angle)\nbent = Mul(cosine, wave)\n"
        return lines + "inner_window = Sub(even, bent)\n"
    return numbers("inner_window", window)


def _mel_matrix(layer: Layer) -> str:
    """Lines that define `matrix`, (frequencies, mels): triangles on the mel scale, made as Keras makes them."""
    config = layer.config
    bins, mels = int(config["fft_length"]) // 2 + 1, int(config["num_mel_bins"])
    low, high = (_MEL_Q * math.log1p(float(config[edge]) / _MEL_BREAK) for edge in ("min_freq", "max_freq"))
    spacing = float(config["sampling_rate"]) / 2 / (bins - 1)
    lines = "one_i = Constant <value_int = 1> ()\nzero_i = Constant <value_int = 0> ()\n"
    lines += f"bins = Constant <value_int = {bins}> ()\nedges = Constant <value_int = {mels + 2}> ()\n"
    lines += "bin_i = Range(one_i, bins, one_i)\nbin = Cast <to = 1> (bin_i)\n" + number("spacing", spacing, "bin")
    lines += number("break", _MEL_BREAK, "bin") + number("q", _MEL_Q, "bin") + number("unit", 1, "bin")
    lines += "hertz = Mul(bin, spacing)\nratio = Div(hertz, break)\nraised = Add(ratio, unit)\nln = Log(raised)\n"
    lines += "mel_row = Mul(ln, q)\nmel = Unsqueeze(mel_row, last)\n"
    lines += "edge_i = Range(zero_i, edges, one_i)\nedge_n = Cast <to = 1> (edge_i)\n"
    lines += number("low", low, "bin") + number("apart", (high - low) / (mels + 1), "bin")
    lines += "edge_s = Mul(edge_n, apart)\nedge = Add(edge_s, low)\n"
    for name, start in (("lower", 0), ("center", 1), ("upper", 2)):
        lines += integers(f"{name}_s", [start]) + integers(f"{name}_e", [start + mels])
        lines += f"{name} = Slice(edge, {name}_s, {name}_e)\n"
    lines += "up_n = Sub(mel, lower)\nup_d = Sub(center, lower)\nup = Div(up_n, up_d)\n"
    lines += "down_n = Sub(upper, mel)\ndown_d = Sub(upper, center)\ndown = Div(down_n, down_d)\n"
    lines += number("none", 0, "bin") + "least_slope = Min(up, down)\nslopes = Max(least_slope, none)\n"
    return lines + integers("first_row", [1, 0, 0, 0]) + "matrix = Pad(slopes, first_row)\n"
