"""The bodies of the recurrent layers: ONNX's LSTM, GRU and RNN operators.

Steps that a mask leaves out change no state. So the kept steps of each row are moved to its front, the operators run
over that many, and what comes out is spread over the steps again.
"""

from __future__ import annotations

from bridge.graph.bodies.recurrent_runs import RECURRENT, Cell, Run, runs
from bridge.graph.bodies.recurrent_scan import scanned
from bridge.graph.body import Refused, body, call_names, call_tensors, integers
from bridge.graph.layer import Layer, Shape

# keras.activations as ONNX's recurrent operators know them, with their numbers alpha and beta
_ACTIVATIONS: dict[str, tuple[str, tuple[float, ...], tuple[float, ...]]] = {
    "linear": ("Affine", (1.0,), (0.0,)),
    "relu": ("Relu", (), ()),
    "leaky_relu": ("LeakyRelu", (0.2,), ()),
    "elu": ("Elu", (1.0,), ()),
    "sigmoid": ("Sigmoid", (), ()),
    "tanh": ("Tanh", (), ()),
    "softplus": ("Softplus", (), ()),
    "softsign": ("Softsign", (), ()),
    "hard_sigmoid": ("HardSigmoid", (1 / 6,), (0.5,)),
    "hard_sigmoid_of_keras2": ("HardSigmoid", (0.2,), (0.5,)),
}
_LAST = 2**31 - 1


def recurrent(layer: Layer, shapes: list[Shape]) -> str:
    """y = the outputs of all steps or the last one, then the states after it; of two directions merged."""
    names = call_names(layer)
    directions = runs(layer)
    if len(call_tensors(layer, shapes).get("mask", (None, None))) != 2:
        raise Refused("its mask is not (batch, steps)")
    lines, outputs, states = integers("axis0", [0]) + integers("axis1", [1]) + integers("axis2", [2]), [], []
    given = [names[name] for name in names if name.startswith("state")]
    for side, run in enumerate(directions):
        own, given = given[: run.states], given[run.states :]
        written, output, after = _run_lines(run, f"d{side}_", names["sequences"], names.get("mask"), own)
        lines += written
        outputs.append(output)
        states += after
    if layer.kind == "Bidirectional":
        if directions[1].sequences:
            lines += _flipped("turned", outputs[1])
            outputs[1] = "turned"
        lines, outputs = _merged(layer, lines, outputs)
    results = [*outputs, *(states if directions[0].state else [])]
    return lines + "".join(f"y{i or ''} = Identity({result})\n" for i, result in enumerate(results))


for kind in RECURRENT:
    body(kind)(recurrent)


def _merged(layer: Layer, lines: str, outputs: list[str]) -> tuple[str, list[str]]:
    mode, both = layer.config["merge_mode"], ", ".join(outputs)
    if mode is None:
        return lines, outputs
    if mode == "concat":
        return f"{lines}merged = Concat <axis = -1> ({both})\n", ["merged"]
    if mode == "ave":
        two = f"two_f = Constant <value_float = 2.0> ()\ntwo = CastLike(two_f, {outputs[0]})\n"
        return f"{lines}{two}sum = Add({both})\nmerged = Div(sum, two)\n", ["merged"]
    return f"{lines}merged = {'Add' if mode == 'sum' else 'Mul'}({both})\n", ["merged"]


def _run_lines(run: Run, tag: str, x: str, mask: str | None, states: list[str]) -> tuple[str, str, list[str]]:
    """Lines for one direction, with the names of its output and of the states after it."""
    lines = ""
    if run.backwards:
        lines += _flipped(f"{tag}x", x)
        x = f"{tag}x"
    if mask is not None:
        lines += f"{tag}bool = Cast <to = 9> ({mask})\n"
        mask = f"{tag}bool"
        if run.backwards:
            lines += _flipped(f"{tag}mask", mask)
            mask = f"{tag}mask"
        lines += _gathered(tag, x, mask)
        x = f"{tag}front"
    lines += f"{tag}seq0 = Transpose <perm = [1, 0, 2]> ({x})\n"
    given, after = list(states), []
    for number, cell in enumerate(run.cells):
        own, given = given[: cell.states], given[cell.states :]
        lines += _cell_lines(cell, f"{tag}c{number}_", f"{tag}seq{number}", f"{tag}count" if mask else "", own)
        lines += f"{tag}seq{number + 1} = Squeeze({tag}c{number}_y, axis1)\n"
        for word, begin in zip(("h", "c"), own or [""] * cell.states, strict=False):
            state = f"{tag}c{number}_{word}"
            lines += f"{state}_last = Squeeze({state}, axis0)\n"
            after.append(f"{state}_last")
            if mask:  # a row without a step stays where it began
                lines += f"{state}_begin = Mul({state}_last, {tag}zero)\n" if not begin else ""
                lines += f"{state}_kept = Where({tag}any, {state}_last, {begin or f'{state}_begin'})\n"
                after[-1] = f"{state}_kept"
    last = f"{tag}c{len(run.cells) - 1}_h_last"
    if run.sequences:
        lines += f"{tag}steps = Transpose <perm = [1, 0, 2]> ({tag}seq{len(run.cells)})\n"
        if not mask:
            return lines, f"{tag}steps", after
        lines += _spread(run, tag, mask)
        return lines, f"{tag}out", after
    if not mask:
        return lines, last, after
    lines += f"{tag}out0 = Where({tag}any, {last}, {tag}zero)\n"
    if not run.zero_masked:
        return lines, f"{tag}out0", after
    lines += integers(f"{tag}final", [-1]) + f"{tag}seen = Gather <axis = 1> ({mask}, {tag}final)\n"
    return lines + f"{tag}out = Where({tag}seen, {tag}out0, {tag}zero)\n", f"{tag}out", after


def _flipped(name: str, x: str) -> str:
    """A line: x with its steps in the other order."""
    return (
        integers(f"{name}_from", [-1])
        + integers(f"{name}_to", [-_LAST])
        + integers(f"{name}_by", [-1])
        + f"{name} = Slice({x}, {name}_from, {name}_to, axis1, {name}_by)\n"
    )


def _gathered(tag: str, x: str, mask: str) -> str:
    """Lines from x to `front`, each row's kept steps first; `count` is how many they are, `any` whether there are."""
    return (
        f"{tag}length = Shape <start = 1, end = 2> ({mask})\n{tag}end = Squeeze({tag}length, axis0)\n"
        f"{tag}nought = Constant <value_int = 0> ()\n{tag}unit = Constant <value_int = 1> ()\n"
        f"{tag}now = Range({tag}nought, {tag}end, {tag}unit)\n{tag}later = Add({tag}now, {tag}end)\n"
        f"{tag}places = Where({mask}, {tag}now, {tag}later)\n"
        f"{tag}sorted, {tag}order = TopK <axis = 1, largest = 0> ({tag}places, {tag}length)\n"
        f"{tag}wide = Unsqueeze({tag}order, axis2)\n{tag}shape = Shape({x})\n"
        f"{tag}which = Expand({tag}wide, {tag}shape)\n{tag}front = GatherElements <axis = 1> ({x}, {tag}which)\n"
        f"{tag}ones = Cast <to = 7> ({mask})\n{tag}sums = ReduceSum <keepdims = 0> ({tag}ones, axis1)\n"
        f"{tag}count = Cast <to = 6> ({tag}sums)\n{tag}some = Greater({tag}sums, {tag}nought)\n"
        f"{tag}any = Unsqueeze({tag}some, axis1)\n{tag}zero_f = Constant <value_float = 0.0> ()\n"
        f"{tag}zero = CastLike({tag}zero_f, {x})\n"
    )


def _spread(run: Run, tag: str, mask: str) -> str:
    """Lines from `steps`, which has the kept steps in front, to `out`: the last kept one's at each step."""
    lines = (
        f"{tag}scalar = Squeeze(axis1)\n{tag}running = CumSum({tag}ones, {tag}scalar)\n"
        f"{tag}place = Sub({tag}running, {tag}unit)\n{tag}safe = Max({tag}place, {tag}nought)\n"
        f"{tag}tall = Unsqueeze({tag}safe, axis2)\n{tag}size = Shape({tag}steps)\n"
        f"{tag}from = Expand({tag}tall, {tag}size)\n{tag}again = GatherElements <axis = 1> ({tag}steps, {tag}from)\n"
        f"{tag}begun = GreaterOrEqual({tag}place, {tag}nought)\n"
    )
    shown = mask if run.zero_masked else f"{tag}begun"
    return f"{lines}{tag}shown = Unsqueeze({shown}, axis2)\n{tag}out = Where({tag}shown, {tag}again, {tag}zero)\n"


def _cell_lines(cell: Cell, tag: str, x: str, count: str, states: list[str]) -> str:
    """Lines that run one cell over x, (steps, batch, features).

    They define `y`, (steps, 1, batch, units), and the states after it, `h` and `c`, (1, batch, units), as ONNX's
    operators do, or a Scan where these don't have the activation.
    """
    functions = [cell.activation]
    if cell.kind != "SimpleRNN":
        functions = [cell.recurrent_activation, cell.activation]
    if cell.kind == "LSTM":
        functions.append(cell.activation)
    if not {*functions} <= {*_ACTIVATIONS}:
        return scanned(cell, tag, x, count, states)
    lines = _matrix(cell, tag, "w", "kernel") + _matrix(cell, tag, "r", "recurrent_kernel") + _bias(cell, tag)
    begin = []
    for word, state in zip(("h", "c"), states, strict=False):
        lines += f"{tag}{word}_first = Unsqueeze({state}, axis0)\n"
        begin.append(f"{tag}{word}_first")
    inputs = [x, f"{tag}w", f"{tag}r", f"{tag}b" if cell.config["use_bias"] else "", count, *begin]
    while not inputs[-1]:
        inputs.pop()
    attributes = [f"hidden_size = {cell.units}"]
    names = ", ".join(f'"{_ACTIVATIONS[name][0]}"' for name in functions)
    attributes.append(f"activations = [{names}]")
    for word, place in (("alpha", 1), ("beta", 2)):
        numbers = [repr(number) for name in functions for number in _ACTIVATIONS[name][place]]
        if numbers:
            attributes.append(f"activation_{word} = [{', '.join(numbers)}]")
    if cell.kind == "GRU":
        attributes.append(f"linear_before_reset = {int(cell.reset_after)}")
    results = ", ".join(f"{tag}{word}" for word in ("y", "h", "c")[: 1 + cell.states])
    operator = {"SimpleRNN": "RNN"}.get(cell.kind, cell.kind)
    return f"{lines}{results} = {operator} <{', '.join(attributes)}> ({', '.join(inputs)})\n"


def _matrix(cell: Cell, tag: str, name: str, word: str) -> str:
    """Lines from a Keras kernel (inputs, gates * units) to (1, gates * units, inputs), an LSTM's gates as i o f c."""
    weight = cell.weight(word).replace("/", "_")
    lines = f"{tag}{name}_t = Transpose <perm = [1, 0]> ({weight})\n"
    return lines + _ordered(cell, tag, name, f"{tag}{name}_t") + f"{tag}{name} = Unsqueeze({tag}{name}_o, axis0)\n"


def _bias(cell: Cell, tag: str) -> str:
    """Lines to `b`, (1, 2 * gates * units): the bias of the inputs, then that of the state (a GRU, cuDNN's LSTM)."""
    if not cell.config["use_bias"]:
        return ""
    weight = cell.weight("bias").replace("/", "_")
    if cell.kind == "GRU" and cell.reset_after:
        return integers(f"{tag}b_shape", [1, -1]) + f"{tag}b = Reshape({weight}, {tag}b_shape)\n"
    if cell.two_biases:
        lines = f"{tag}b_t = Transpose <perm = [1, 0]> ({weight})\n" + _ordered(cell, tag, "b", f"{tag}b_t")
        lines += f"{tag}b_both = Transpose <perm = [1, 0]> ({tag}b_o)\n" + integers(f"{tag}b_shape", [1, -1])
        return lines + f"{tag}b = Reshape({tag}b_both, {tag}b_shape)\n"
    return (
        _ordered(cell, tag, "b", weight)
        + f"{tag}b_size = Shape({tag}b_o)\n{tag}b_zero = ConstantOfShape({tag}b_size)\n"
        + f"{tag}b_like = CastLike({tag}b_zero, {weight})\n{tag}b_both = Concat <axis = 0> ({tag}b_o, {tag}b_like)\n"
        + f"{tag}b = Unsqueeze({tag}b_both, axis0)\n"
    )


def _ordered(cell: Cell, tag: str, name: str, source: str) -> str:
    """A line to `name`_o: the gates along axis 0 in ONNX's order, which is Keras's but for an LSTM's i f c o."""
    if cell.kind != "LSTM":
        return f"{tag}{name}_o = Identity({source})\n"
    i, f, c, o = (f"{tag}{name}_{gate}" for gate in ("i", "f", "g", "p"))
    lines = f"{i}, {f}, {c}, {o} = Split <axis = 0, num_outputs = 4> ({source})\n"
    return f"{lines}{tag}{name}_o = Concat <axis = 0> ({i}, {o}, {f}, {c})\n"
