"""A recurrence step by step, as an ONNX Scan: for activations that ONNX's own recurrent operators don't have."""

from __future__ import annotations

from bridge.graph.bodies.activations import activation_lines
from bridge.graph.bodies.recurrent_runs import GATES, Cell
from bridge.graph.body import integers

_WORDS = {"LSTM": ("h", "c"), "GRU": ("h",), "SimpleRNN": ("h",)}


def scanned(cell: Cell, tag: str, x: str, count: str, states: list[str]) -> str:
    """Lines that run a cell over x, (steps, batch, features): `y` (steps, 1, batch, units), `h`, `c` (1, batch, units).

    count: name of the number of steps that count in each row, "" for all; states: those before, none for zeros.
    """
    kernel, two = cell.weight("kernel").replace("/", "_"), cell.kind == "GRU" and cell.reset_after
    lines = f"{tag}product = MatMul({x}, {kernel})\n"
    if cell.config["use_bias"]:
        bias = cell.weight("bias").replace("/", "_")
        if two:
            lines += f"{tag}b_x2, {tag}b_h2 = Split <axis = 0, num_outputs = 2> ({bias})\n"
            lines += f"{tag}b_x = Squeeze({tag}b_x2, axis0)\n{tag}b_h = Squeeze({tag}b_h2, axis0)\n"
            bias = f"{tag}b_x"
        lines += f"{tag}inputs = Add({tag}product, {bias})\n"
    else:
        lines += f"{tag}inputs = Identity({tag}product)\n"
    words = _WORDS[cell.kind]
    before = list(states)
    if not before:
        lines += f"{tag}rows = Shape <start = 1, end = 2> ({x})\n" + integers(f"{tag}width", [cell.units])
        lines += f"{tag}sizes = Concat <axis = 0> ({tag}rows, {tag}width)\n{tag}noughts = ConstantOfShape({tag}sizes)\n"
        lines += f"{tag}zeros = CastLike({tag}noughts, {x})\n"
        before = [f"{tag}zeros"] * len(words)
    scans, kept = [f"float[batch, {GATES[cell.kind] * cell.units}] {tag}z"], ""
    sources = [f"{tag}inputs"]
    if count:  # step number t of a row counts if t is below the row's count
        lines += (
            f"{tag}time_end = Shape <start = 0, end = 1> ({x})\n{tag}time_stop = Squeeze({tag}time_end, axis0)\n"
            f"{tag}time_0 = Constant <value_int = 0> ()\n{tag}time_1 = Constant <value_int = 1> ()\n"
            f"{tag}times = Range({tag}time_0, {tag}time_stop, {tag}time_1)\n"
            f"{tag}times_c = Unsqueeze({tag}times, axis1)\n{tag}counts = Cast <to = 7> ({count})\n"
            f"{tag}inside = Less({tag}times_c, {tag}counts)\n{tag}keep_all = Unsqueeze({tag}inside, axis2)\n"
        )
        scans.append(f"bool[batch, 1] {tag}keep")
        sources.append(f"{tag}keep_all")
        kept = "".join(f"{tag}{w}_new = Where({tag}keep, {tag}{w}_made, {tag}{w}_old)\n" for w in words)
    step = _step(cell, tag, two) + (kept or "".join(f"{tag}{w}_new = Identity({tag}{w}_made)\n" for w in words))
    shape = f"float[batch, {cell.units}]"
    inputs = ", ".join([*(f"{shape} {tag}{w}_old" for w in words), *scans])
    results = ", ".join([*(f"{shape} {tag}{w}_new" for w in words), f"{shape} {tag}out_now"])
    body = f"{step}{tag}out_now = Identity({tag}h_new)\n"
    lines += (
        f"{', '.join(f'{tag}{w}_end' for w in words)}, {tag}all = Scan <num_scan_inputs = {len(scans)}, "
        f"body = step ({inputs}) => ({results}) {{\n{body}}}> ({', '.join([*before, *sources])})\n"
    )
    lines += "".join(f"{tag}{w} = Unsqueeze({tag}{w}_end, axis0)\n" for w in words)
    return lines + f"{tag}y = Unsqueeze({tag}all, axis1)\n"


def _step(cell: Cell, tag: str, two: bool) -> str:
    """Lines from z, the inputs' part of the gates, and the old states to the made ones."""
    recurrent = cell.weight("recurrent_kernel").replace("/", "_")
    old, made = f"{tag}h_old", f"{tag}h_made"
    if cell.kind == "SimpleRNN":
        lines = f"{tag}u = MatMul({old}, {recurrent})\n{tag}s = Add({tag}z, {tag}u)\n"
        return lines + activation_lines(cell.activation, f"{tag}s", made)
    if cell.kind == "LSTM":
        lines = f"{tag}u = MatMul({old}, {recurrent})\n{tag}s = Add({tag}z, {tag}u)\n"
        lines += f"{tag}si, {tag}sf, {tag}sg, {tag}so = Split <axis = 1, num_outputs = 4> ({tag}s)\n"
        for gate in ("i", "f", "o"):
            lines += activation_lines(cell.recurrent_activation, f"{tag}s{gate}", f"{tag}g{gate}")
        lines += activation_lines(cell.activation, f"{tag}sg", f"{tag}gg")
        lines += f"{tag}keeps = Mul({tag}gf, {tag}c_old)\n{tag}adds = Mul({tag}gi, {tag}gg)\n"
        lines += f"{tag}c_made = Add({tag}keeps, {tag}adds)\n"
        return (
            lines
            + activation_lines(cell.activation, f"{tag}c_made", f"{tag}ac")
            + (f"{made} = Mul({tag}go, {tag}ac)\n")
        )
    lines = f"{tag}zz, {tag}zr, {tag}zh = Split <axis = 1, num_outputs = 3> ({tag}z)\n"
    lines += f"{tag}uz_w, {tag}ur_w, {tag}uh_w = Split <axis = 1, num_outputs = 3> ({recurrent})\n"
    if two and cell.config["use_bias"]:
        lines += f"{tag}bz, {tag}br, {tag}bh = Split <axis = 0, num_outputs = 3> ({tag}b_h)\n"
    for gate in ("z", "r"):
        lines += f"{tag}u{gate}_p = MatMul({old}, {tag}u{gate}_w)\n" + _biased(cell, tag, gate, two)
        lines += f"{tag}s{gate} = Add({tag}z{gate}, {tag}u{gate})\n"
        lines += activation_lines(cell.recurrent_activation, f"{tag}s{gate}", f"{tag}g{gate}")
    if cell.reset_after:
        lines += f"{tag}uh_p = MatMul({old}, {tag}uh_w)\n" + _biased(cell, tag, "h", two)
        lines += f"{tag}inner = Mul({tag}gr, {tag}uh)\n"
    else:
        lines += f"{tag}reset = Mul({tag}gr, {old})\n{tag}inner = MatMul({tag}reset, {tag}uh_w)\n"
    lines += f"{tag}sh = Add({tag}zh, {tag}inner)\n" + activation_lines(cell.activation, f"{tag}sh", f"{tag}gh")
    one = f"{tag}one_f = Constant <value_float = 1.0> ()\n{tag}one = CastLike({tag}one_f, {old})\n"
    lines += f"{one}{tag}rest = Sub({tag}one, {tag}gz)\n{tag}stays = Mul({tag}gz, {old})\n"
    return lines + f"{tag}comes = Mul({tag}rest, {tag}gh)\n{made} = Add({tag}stays, {tag}comes)\n"


def _biased(cell: Cell, tag: str, gate: str, two: bool) -> str:
    if two and cell.config["use_bias"]:
        return f"{tag}u{gate} = Add({tag}u{gate}_p, {tag}b{gate})\n"
    return f"{tag}u{gate} = Identity({tag}u{gate}_p)\n"
