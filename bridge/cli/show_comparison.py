"""What a comparison of files found, on the terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bridge.cli.show import number
from bridge.graph import BODIES
from bridge.parity import Report

MOST_LAYERS = 40  # rows of the table of layers; --json has them all
COLUMNS = 5  # files beside each other in it


def show(console: Console, report: Report) -> None:
    """Prints the files, their outputs, their layers, and what it comes to."""
    for file in report.files:
        form = "" if file.form == "Keras file" or file.framework == "PyTorch" else f", {file.form}"
        line = f"{file.letter}  {escape(file.path)}  [dim]{file.framework}{form}[/dim]"
        console.print(line, soft_wrap=True)
    console.print(f"[dim]{escape(report.inputs)}; each file beside {report.files[0].letter}.[/dim]", soft_wrap=True)
    if report.reference:
        console.print(f"[dim]Reference: {escape(report.reference)}.[/dim]", soft_wrap=True)
    _show_outputs(console, report)
    _show_layers(console, report)
    for note in report.notes:
        console.print(note, markup=False)
    if report.ok:
        seen = max(row.error for row in report.rows)
        allowed = f"{report.rtol:g} is allowed"
        if any(row.cause for row in report.rows):
            allowed += f", and rounding: {report.files[0].letter} itself is that far from its float64"
        console.print(f"All agree: the largest error is {number(seen) or '0'}; {allowed}.")


def _show_outputs(console: Console, report: Report) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("output", overflow="fold")
    table.add_column("error", justify="right")
    if report.reference:
        table.add_column("from float64", justify="right")
    table.add_column("", overflow="fold")
    for row in report.rows:
        error = "" if row.file == report.files[0].letter else number(row.error)
        distance = [number(row.distance)] if report.reference else []
        word = ("rounding" if row.cause else "ok") if row.ok else row.fault or "DIFFERS"
        table.add_row(row.file, row.output, error, *distance, word, style=None if row.ok else "red")
    for file in report.files:
        if file.fault:
            table.add_row(file.letter, "", "", *([""] if report.reference else []), file.fault, style="red")
    console.print(table)


def _show_layers(console: Console, report: Report) -> None:
    letters = list(dict.fromkeys(layer.file for layer in report.layers))[:COLUMNS]
    if not letters:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer", overflow="fold")
    table.add_column("kind")
    for letter in letters:
        table.add_column(f"error of {letter}", justify="right")
    by_layer: dict[str, dict[str, Any]] = {}
    for layer in report.layers:
        by_layer.setdefault(layer.layer, {})[layer.file] = layer
    # operators between the layers are shown where they differ
    names = [
        n
        for n, found in by_layer.items()
        if any(r.kind in BODIES or ">" in r.kind or not (r.kind and r.ok) for r in found.values())
    ]
    shown = names if len(names) <= MOST_LAYERS else _around(names, report)
    for name in shown:
        found = by_layer[name]
        kind = next(layer.kind for layer in found.values())
        cells = [_cell(found.get(letter)) for letter in letters]
        table.add_row(name, kind, *cells, style=None if all(layer.ok for layer in found.values()) else "red")
    console.print(table)
    if len(shown) < len(names):
        console.print(f"{len(shown)} of {len(names)} layers; --json lists them all.")
    if len(names) < len(by_layer):
        count = len(by_layer) - len(names)
        told = f"{count} operators between the layers agree" if count > 1 else "operator between the layers agrees"
        console.print(f"The {told} too.", highlight=False)


def _around(names: list[str], report: Report) -> list[str]:
    """As many layers as the table takes, with the first that differs among them."""
    first = report.first_difference
    start = max(0, names.index(first.layer) - MOST_LAYERS // 2) if first else 0
    return names[start : start + MOST_LAYERS]


def _cell(layer: Any) -> str:
    if layer is None:
        return ""
    return layer.fault.split(" ")[0] if layer.fault else number(layer.error)  # "NaN", "shape", "type"


def differences(report: Report) -> list[str]:
    """What a comparison that failed comes to: a line for each file."""
    lines = []
    for file in report.files:
        bad = [row for row in report.rows if row.file == file.letter and not row.ok]
        layers = report.differing(file.letter)
        where = ""
        if layers:
            kind = f" ({layers[0].kind})" if layers[0].kind else ""
            where = f", first in the layer {layers[0].layer}{kind}"
        if file.fault:
            lines.append(f"{file.letter} can't be run on the same inputs: {file.fault}.")
        elif bad:
            reason = bad[0].fault or f"by {number(bad[0].error)}, {report.rtol:g} is allowed"
            lines.append(f"{file.letter} differs in the output {bad[0].output}{where}: {reason}.")
    return lines
