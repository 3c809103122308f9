"""CSV files: a header, one row a line, numbers in every column but the labels'."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bridge.data.dataset import Array, Data
from bridge.errors import BridgeError
from bridge.files import existing_file


def read_csv(path: str | Path, label: str | None = "label") -> Data:
    """Features "x" (rows, columns) float64 in the file's column order, targets from the column `label`.

    Labels that are numbers stay those numbers (int64 where all are whole, else float64). Labels that are text become
    0, 1, ... in sorted order, and the names are kept in `classes`. label=None: every column is a feature.
    Rows are counted from 1, the header apart. Raises BridgeError naming the row and column of a bad cell.
    """
    path = existing_file(path, "the data")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = csv.reader(stream)
            return _read(path, lines, label)
    except UnicodeDecodeError as error:
        raise BridgeError(f"{path}: not a UTF-8 text file (byte {error.start}). Save it as CSV, UTF-8.") from None
    except csv.Error as error:
        raise BridgeError(f"{path}: not a CSV file: {error}.") from None


def _read(path: Path, lines: Iterator[list[str]], label: str | None) -> Data:
    columns = [name.strip() for name in next(lines, [])]
    if not columns:
        raise BridgeError(f"{path}: the data is empty; expected a header and one row a line.")
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise BridgeError(f"{path}: two columns are called {twice!r} in its first line, the header.")
    for name in columns:
        if not name.isprintable():
            raise BridgeError(f"{path}: the column {name[:40]!r} has characters that can't be printed.")
    at = None if label is None else _label_column(path, columns, label)
    features = [name for i, name in enumerate(columns) if i != at]
    if not features:
        raise BridgeError(f"{path}: no feature column beside {columns}.")
    values, labels = array("d"), list[str]()
    row = 0
    for cells in lines:
        if not cells:
            continue
        row += 1
        if len(cells) != len(columns):
            raise BridgeError(f"{path}: row {row} has {len(cells)} cells, the header has {len(columns)}.")
        if at is not None:
            labels.append(cells.pop(at).strip())
        try:
            values.extend(map(float, cells))
        except ValueError:
            _refuse_cell(path, row, features, cells)
    if not row:
        raise BridgeError(f"{path}: the data is empty; it has a header and no rows.")
    x = np.frombuffer(values, np.float64).reshape(row, len(features))
    _refuse_not_finite(path, x, features)
    y, classes = _labels(path, labels, str(label)) if at is not None else (None, None)
    return Data({"x": x}, y, str(path), classes)


def _label_column(path: Path, columns: list[str], label: str) -> int:
    if label in columns:
        return columns.index(label)
    shown = ", ".join(columns[:12]) + (f", ... ({len(columns)} in all)" if len(columns) > 12 else "")
    way_out = "Choose one with --label NAME."
    if len(columns) == 1 and any(separator in columns[0] for separator in ";\t"):
        way_out = "Its columns are not separated by commas; save it with commas."
    raise BridgeError(f"{path}: no column {label!r}. Its columns: {shown}.\n{way_out}")


def _refuse_cell(path: Path, row: int, features: list[str], cells: list[str]) -> None:
    for name, cell in zip(features, cells, strict=True):
        try:
            float(cell)
        except ValueError:
            found = repr(cell[:40]) if cell.strip() else "empty"
            raise BridgeError(f"{path}: row {row}, column {name!r} is {found}, expected a number.") from None


def _refuse_not_finite(path: Path, x: Array, features: list[str]) -> None:
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0]
        raise BridgeError(
            f"{path}: row {row + 1}, column {features[column]!r} is {x[row, column]}, expected a finite number.\n"
            f"{len(bad):,} such cells in all. Fill them or leave those rows out."
        )


def _labels(path: Path, texts: list[str], label: str) -> tuple[Array, tuple[str, ...] | None]:
    numbers = [_number(text) for text in texts]
    text_only = all(number is None for number in numbers)
    for row, (number, text) in enumerate(zip(numbers, texts, strict=True), 1):
        # names are printed later, so that terminal escapes have no place in them
        good = text and text.isprintable() if text_only else number is not None and math.isfinite(number)
        if not good:
            found = repr(text[:40]) if text else "empty"
            raise BridgeError(
                f"{path}: row {row}, column {label!r} is {found}; "
                "labels must be all finite numbers or all printable text."
            )
    if text_only:
        names, numbered = np.unique(np.array(texts), return_inverse=True)
        return numbered.astype(np.int64), tuple(str(name) for name in names)
    y = np.array(numbers, np.float64)
    return (y.astype(np.int64) if np.all((y == np.rint(y)) & (np.abs(y) < 2**53)) else y), None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
