"""The bodies of the convolutional LSTM layers: one convolution of all inputs, then a Scan over the steps."""

from __future__ import annotations

from bridge.graph.bodies.activations import activation_lines, activation_name
from bridge.graph.bodies.space import Pads, Window, channels_last, onnx_pads, pads_of, rank_of, same_pads
from bridge.graph.body import Refused, body, call_names, call_tensors, integers, number
from bridge.graph.layer import Layer, Shape

CONV_LSTM = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
GATES = 4  # input, forget, candidate, output: Keras's order, which torch has too
_OF_THE_LAST_AXIS = ("softmax", "log_softmax", "sparsemax", "glu")


def input_window(layer: Layer, shapes: list[Shape]) -> tuple[Window, tuple[int, ...]]:
    """The window that slides over each step, and how many places it takes on each axis: the states' size."""
    config, rank = layer.config, rank_of(layer)
    shape = call_tensors(layer, shapes)["sequences"]
    if len(shape) != rank + 3:
        raise Refused(f"its input has {len(shape)} axes, {rank + 3} are expected")
    lengths = _space(layer, shape)
    size, strides, dilations = (tuple(map(int, config[o])) for o in ("kernel_size", "strides", "dilation_rate"))
    found = Window(size, strides, dilations, ((0, 0),) * rank)
    if config["padding"] == "same" and "pads" in config:
        found = Window(size, strides, dilations, tuple(pads_of(config["pads"], span) for span in found.spans))
    elif config["padding"] == "same":
        found = Window(size, strides, dilations, tuple(map(same_pads, lengths, found.spans, strides)))
    return found, tuple(n for n in found.outputs(lengths) if n is not None)


def recurrent_pads(layer: Layer) -> list[Pads]:
    """The recurrent kernel slides over the state in steps of one, and never dilated. pads: of a file by Theano."""
    if "pads" in layer.config:
        return [pads_of(layer.config["pads"], size) for size in layer.config["kernel_size"]]
    return [((size - 1) // 2, size - 1 - (size - 1) // 2) for size in layer.config["kernel_size"]]


def check_conv_lstm(layer: Layer, shapes: list[Shape]) -> None:
    """Raises Refused for the options and the calls that can't be converted."""
    _check_mask(layer, shapes)
    if layer.config.get("stateful"):
        raise Refused(
            "stateful=True: it keeps its state between batches; use return_state and initial_state, which convert"
        )
    for option in ("activation", "recurrent_activation"):
        if activation_name(layer.config[option]) in _OF_THE_LAST_AXIS and channels_last(layer):
            raise Refused(f"its {option} {activation_name(layer.config[option])!r} works along the channels")


def _check_mask(layer: Layer, shapes: list[Shape]) -> None:
    """Raises Refused for a mask of places, as Masking makes it of images, where the states have other places."""
    mask = call_tensors(layer, shapes).get("mask", ())[2:]
    if not mask:
        return
    places, filters = input_window(layer, shapes)[1], layer.weights["recurrent_kernel"].shape[-2]
    states = (*places, filters) if channels_last(layer) else (filters, *places)
    allowed = [(1,) if layer.config["unroll"] else (1, length) for length in states]
    if len(mask) > len(states) or any(n not in fit for n, fit in zip(mask, allowed, strict=False)):
        raise Refused(
            f"its mask is (batch, steps, {', '.join(map(str, mask))}), its states are "
            f"(batch, {', '.join(map(str, states))}), which Keras can't compute either"
        )


@body("ConvLSTM1D")
@body("ConvLSTM2D")
@body("ConvLSTM3D")
def conv_lstm(layer: Layer, shapes: list[Shape]) -> str:
    """h, c of each step: c = f * c + i * act(g), h = o * act(c); i, f, g, o of conv(x) + bias + conv(h).

    A masked step keeps both, and repeats the output of the step before: zeros at first.
    """
    check_conv_lstm(layer, shapes)
    rank, config, names = rank_of(layer), layer.config, call_names(layer)
    found, places = input_window(layer, shapes)
    filters = layer.weights["recurrent_kernel"].shape[-2]
    channels = layer.weights["kernel"].shape[-2]
    x, last = names["sequences"], channels_last(layer)
    in_front = [1, 0, rank + 2, *range(2, rank + 2)] if last else [1, 0, *range(2, rank + 3)]
    lines = f"steps = Transpose <perm = {in_front}> ({x})\nlengths = Shape <end = 2> (steps)\n"
    lengths = _space(layer, call_tensors(layer, shapes)["sequences"])
    lines += integers("merged", [-1, channels, *lengths]) + "flat = Reshape(steps, merged)\n"
    kernel = f"<perm = {[rank + 1, rank, *range(rank)]}>"
    lines += f"w = Transpose {kernel} (kernel)\nu = Transpose {kernel} (recurrent_kernel)\n"
    bias = ", bias" if "bias" in layer.weights else ""
    lines += f"gates = Conv <{found.attributes}, dilations = {list(found.dilations)}> (flat, w{bias})\n"
    lines += integers("size", [GATES * filters, *places]) + "apart = Concat <axis = 0> (lengths, size)\n"
    lines += "sequence = Reshape(gates, apart)\n"
    back = [0, *range(2, rank + 2), 1]
    lines += "batch = Shape <start = 1, end = 2> (steps)\n"
    lines += integers("state_size", [filters, *places]) + "state_shape = Concat <axis = 0> (batch, state_size)\n"
    lines += number("none", 0, x) + "zeros = Expand(none, state_shape)\n"
    for i, name in enumerate("hc"):
        given = names.get(f"state{i}", "")
        turned = f"Transpose <perm = {[0, rank + 1, *range(1, rank + 1)]}> ({given})" if last else f"Identity({given})"
        lines += f"{name}_first = {turned if given else 'Identity(zeros)'}\n"
    lines += _loop(layer, len(call_tensors(layer, shapes).get("mask", ())), names)
    turned = f"Transpose <perm = {back}>" if last else "Identity"
    if config["return_sequences"]:
        there = [1, 0, *range(3, rank + 3), 2] if last else [1, 0, *range(2, rank + 3)]
        lines += f"y = Transpose <perm = {there}> (outputs)\n"
    else:
        lines += f"y = {turned}(y_last)\n"
    if config["return_state"]:
        lines += f"y1 = {turned}(h_last)\ny2 = {turned}(c_last)\n"
    return lines


def _loop(layer: Layer, mask_rank: int, names: dict[str, str]) -> str:
    """Lines from `sequence`, (steps, batch, gates, *space), to `h_last`, `c_last`, `y_last` and `outputs`."""
    rank, config, masked = rank_of(layer), layer.config, mask_rank > 0
    lines = ""
    if masked:
        lines += f"mask_bool = Cast <to = 9> ({names['mask']})\n" + integers("to_space", range(mask_rank, rank + 3))
        lines += "mask_wide = Unsqueeze(mask_bool, to_space)\n" if mask_rank < rank + 3 else ""
        turned = [1, 0, rank + 2, *range(2, rank + 2)] if channels_last(layer) else [1, 0, *range(2, rank + 3)]
        lines += f"kept = Transpose <perm = {turned}> ({'mask_wide' if mask_rank < rank + 3 else 'mask_bool'})\n"
    scanned = ["sequence", *(["kept"] if masked else [])]
    if config["go_backwards"]:
        lines += integers("from", [-1]) + integers("until", [-(2**31)]) + integers("axis", [0]) + integers("by", [-1])
        for i, name in enumerate(scanned):
            lines += f"{name}_back = Slice({name}, from, until, axis, by)\n"
            scanned[i] = f"{name}_back"
    step = (
        f"r = Conv <kernel_shape = {list(config['kernel_size'])}, pads = {onnx_pads(recurrent_pads(layer))}> (h, u)\n"
    )
    step += f"z = Add(r, x_step)\nzi, zf, zg, zo = Split <axis = 1, num_outputs = {GATES}> (z)\n"
    for gate in "ifo":
        step += activation_lines(config["recurrent_activation"], f"z{gate}", gate)
    step += activation_lines(config["activation"], "zg", "g")
    step += "old = Mul(f, c)\nnew = Mul(i, g)\nc_step = Add(old, new)\n"
    step += activation_lines(config["activation"], "c_step", "a") + "h_step = Mul(o, a)\n"
    states, given = ["h", "c"], ["h_first", "c_first"]
    if masked:
        states, given = [*states, "p"], [*given, "zeros"]
        step += "h_next = Where(k_step, h_step, h)\nc_next = Where(k_step, c_step, c)\n"
        missing = "p" if not config.get("zero_output_for_mask") else "naught"
        step += number("nil", 0, "p") + "naught = Mul(p, nil)\n" if missing == "naught" else ""
        step += f"p_next = Where(k_step, h_step, {missing})\n"
    else:
        step += "h_next = Identity(h_step)\nc_next = Identity(c_step)\n"
    results, outputs = [f"{s}_next" for s in states], [f"{s}_last" for s in states]
    output = "p_next" if masked else "h_next"
    if config["return_sequences"]:
        step += f"o_step = Identity({output})\n"
        results, outputs = [*results, "o_step"], [*outputs, "outputs"]
    inputs = [*states, "x_step", *(["k_step"] if masked else [])]
    lines += f"{', '.join(outputs)} = Scan <num_scan_inputs = {len(scanned)}, "
    lines += f"body = step ({', '.join(inputs)}) => ({', '.join(results)}) {{\n{step}}}> "
    lines += f"({', '.join([*given, *scanned])})\n"
    return f"{lines}y_last = Identity({'p_last' if masked else 'h_last'})\n"


def _space(layer: Layer, shape: Shape) -> tuple[int, ...]:
    """The lengths of a step's axes of space."""
    lengths = shape[2:-1] if channels_last(layer) else shape[3:]
    known = tuple(length for length in lengths if length is not None)
    if len(known) < len(lengths):
        raise Refused("the space of its input has no fixed size")
    return known
