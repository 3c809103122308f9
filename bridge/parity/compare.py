"""Comparing files: outputs and layers of each with those of the first, and with a float64 reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bridge.data import Data
from bridge.errors import BridgeError
from bridge.graph import Value, stored
from bridge.graph.probe import ANY
from bridge.keras_side.source import Paths, Source, listed
from bridge.parity.arrays import RTOL, Judged, judge
from bridge.parity.inputs import check_rtol, check_seed, given, make_inputs, mismatch
from bridge.parity.report import File, Layer, Report, Row
from bridge.parity.subjects import Arrays, KerasFile, Subject, subjects


def compare(
    files: Sequence[str | Path],
    *,
    arch: str | None = None,
    mlp: str | None = None,
    unsafe: bool = False,
    from_layer: str | Iterable[str] = (),
    custom: Paths = (),
    rules: Paths = (),
    signature: str | None = None,
    backend: str | None = None,
    data: str | Path | Data | None = None,
    part: str = "test",
    label: str | None = "label",
    scale: float | None = None,
    rows: int | None = None,
    seed: int = 0,
    rtol: float = RTOL,
    layers: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Runs every file, each framework in its own process, and compares each with the first.

    files: Keras files, .onnx files and bridge folders; a folder counts twice, as its torch module and its model.onnx.
    arch, mlp, unsafe, from_layer, custom, backend: for the Keras files; signature: for the SavedModels. rules: for
    layers of your own, in the folders.
    data, part, label: as bridge.data.read takes them; run on its first `rows` rows (256), without it on `rows` (64)
    random ones.
    rtol: the largest scale-relative error that passes (see arrays.difference); more passes only where the first file's
    own float64 result shows that it is rounding (see arrays.judge). layers: compare these too.
    Raises BridgeError for a file that is no model, data that doesn't fit, or a framework that isn't installed.
    """
    check_rtol(rtol)
    check_seed(seed)
    chosen = given(data, label, part)
    parts = listed(from_layer), listed(custom), listed(rules)
    found = subjects(files, Source("", arch, mlp, unsafe, *parts, signature, backend))
    if len(found) < 2:
        raise BridgeError("parity compares at least two files, or one bridge folder with itself (torch and ONNX).")
    tell = progress or (lambda text: None)
    signatures = [subject.inputs() for subject in found]
    faults = [mismatch(values, signatures[0]) for values in signatures]
    usable = [i for i, fault in enumerate(faults) if not fault]
    run_by = [(found[i], signatures[i]) for i in usable]
    if chosen is None:
        below, length = _counted(run_by, signatures[0]), _length(run_by)
    else:
        below, length = _least([(s.looked_up(), values) for s, values in run_by], signatures[0]), ANY
    ordered = [_in_order(signatures[i], signatures[0]) for i in usable]
    inputs = make_inputs(ordered, chosen, scale, rows, seed, below, length)
    feeds = {i: inputs.for_file(signatures[i], signatures[0]) for i in usable}
    outputs = {}
    for i in usable:
        tell(f"{found[i].framework}: {found[i].path}")
        outputs[i] = found[i].run(feeds[i])
    notes = [f"{_letter(i)}: {subject.note}." for i, subject in enumerate(found) if subject.note]
    pairs = {i: _matched(outputs[i], outputs[0], _letter(i)) for i in usable}
    notes += [note for _, note in pairs.values() if note]

    def judged(exact: Arrays) -> list[Row]:
        listed = [_rows(_letter(i), pairs[i][0], outputs[i], outputs[0], exact, rtol) for i in usable]
        return [row for rows in listed for row in rows]

    result, exact = judged({}), None
    if found[0].weight_bytes > stored.HUGE and all(row.ok for row in result):
        notes.append(
            "A float64 reference was left out: the outputs agree, and so large a model takes long to run once more."
        )
    else:
        tell(f"float64: {found[0].path}")
        exact = found[0].in_double(feeds[0])
        result = judged(exact["outputs"] if exact else {})
    compared = []
    if layers:
        layered = {i: found[i] for i in usable if found[i].layered}
        compared = _layers(layered, feeds, exact["layers"] if exact else {}, rtol, tell)
    report = Report(
        files=[
            File(_letter(i), subject.path, subject.framework, subject.form, faults[i])
            for i, subject in enumerate(found)
        ],
        inputs=inputs.described,
        rtol=rtol,
        rows=result,
        layers=compared,
        reference=f"float64 with the weights of {_letter(0)}" if exact else None,
        notes=notes,
    )
    notes += _diagnosed(report)
    return report


def _in_order(values: list[Value], first: list[Value]) -> list[Value]:
    """A file's inputs in the order of the first file's, where they have the same names."""
    by_name = {value.name: value for value in values}
    return [by_name[v.name] for v in first] if set(by_name) == {v.name for v in first} else values


def _counted(usable: list[tuple[Subject, list[Value]]], first: list[Value]) -> dict[str, int]:
    """The first file's inputs that are numbers of things, with how many: as the files' graphs say, or else Keras."""
    told = [pair for pair in usable if not isinstance(pair[0], KerasFile)] or usable[:1]
    return _least([(subject.counted(), values) for subject, values in told], first)


def _least(told: list[tuple[dict[str, int], list[Value]]], first: list[Value]) -> dict[str, int]:
    """The smallest of the numbers that files tell of their inputs, by the first file's names."""
    found: dict[str, int] = {}
    for numbers, values in told:
        pairs = {mine.name: other.name for mine, other in zip(_in_order(values, first), first, strict=True)}
        for name, size in numbers.items():
            found[pairs[name]] = min(size, found.get(pairs[name], size))
    return found


def _length(usable: list[tuple[Subject, list[Value]]]) -> int:
    """How long axes are made that a file leaves open: as the files' graphs say, or else Keras."""
    if not any(None in (value.shape or ())[1:] for _, values in usable for value in values):
        return ANY
    apart = [subject for subject, _ in usable if isinstance(subject, KerasFile)]
    told = [subject for subject, _ in usable if subject.layered and subject not in apart] or apart[:1]
    return max((subject.length() for subject in told), default=ANY)


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else f"#{index + 1}"


def _matched(mine: Arrays, first: Arrays, letter: str) -> tuple[dict[str, str], str]:
    """First file's output -> this file's: by name, or in order where the names differ and the counts agree."""
    if set(mine) == set(first) or len(mine) != len(first):
        return {name: name for name in first}, ""
    pairs = dict(zip(first, mine, strict=True))
    named = ", ".join(f"{b} for {a}" for a, b in pairs.items() if a != b)
    return pairs, f"{letter}: outputs are matched in order, their names differ: {named}."


def _rows(letter: str, matched: dict[str, str], mine: Arrays, first: Arrays, exact: Arrays, rtol: float) -> list[Row]:
    rows = []
    for name, own in matched.items():
        if own in mine:
            judged = judge(mine[own], first[name], exact.get(name), rtol)
        else:
            judged = Judged(math.nan, False, cause="fault", fault=f"has no such output, only {', '.join(mine)}")
        rows.append(Row(**vars(judged), file=letter, output=name))
    for extra in sorted(set(mine) - set(matched.values())):
        fault = "the first file has no such output"
        rows.append(Row(math.nan, False, cause="fault", fault=fault, file=letter, output=extra))
    return rows


def _layers(
    layered: dict[int, Subject], feeds: dict[int, Arrays], exact: Arrays, rtol: float, tell: Callable[[str], None]
) -> list[Layer]:
    """Every layer that the first layered file and another one have, in the first's order, then by file.

    Keras itself has no value between a Dense layer and its activation (`dense/linear`): beside Keras it isn't compared.
    """
    if len(layered) < 2:
        return []
    values: dict[int, Arrays] = {}
    kinds: dict[str, str] = {}
    for i, subject in layered.items():
        tell(f"layers: {subject.path}")
        values[i] = subject.layers(feeds[i])
        kinds |= subject.kinds()
    # Keras counts all steps of a loop as calls, where graphs have one
    repeated = {path for subject in layered.values() for path in subject.repeated()}
    for i, subject in layered.items():
        if subject.framework == "Keras":
            values[i] = {path: y for path, y in values[i].items() if path.partition("#")[0] not in repeated}
    first, *others = values
    compared = []
    for path, wanted in values[first].items():
        for i in others:
            if path in values[i]:
                judged = judge(values[i][path], wanted, exact.get(path) if first == 0 else None, rtol)
                compared.append(Layer(**vars(judged), file=_letter(i), layer=path, kind=kinds.get(path, "")))
    return compared


def _diagnosed(report: Report) -> list[str]:
    """What the rows and layers together say."""
    notes = []
    for file in report.files:
        failed = any(row.file == file.letter and not row.ok and not row.fault for row in report.rows)
        seen = [layer for layer in report.layers if layer.file == file.letter]
        if failed and seen and not report.differing(file.letter):
            notes.append(
                f"{file.letter}: no layer differs when each is asked for, the whole model does: "
                f"look at what {file.framework} fuses or leaves out."
            )
    return notes
