"""CSV files: features, labels, and cells that are neither."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.data import read
from bridge.errors import BridgeError


@pytest.fixture
def table(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_features_keep_their_order_and_whole_labels_are_integers(table):
    data = read(table("width,label,height\n1.5,3,2\n-1e3,0, 4\n\n"))
    np.testing.assert_array_equal(data.inputs["x"], [[1.5, 2], [-1000, 4]])
    np.testing.assert_array_equal(data.targets, [3, 0])
    assert data.targets.dtype == np.int64
    assert data.classes is None


def test_the_label_column_can_have_another_name(table):
    data = read(str(table('"price, net",a\n1.5,2\n2.5,3\n')), label="price, net")
    np.testing.assert_array_equal(data.targets, [1.5, 2.5])
    np.testing.assert_array_equal(data.inputs["x"], [[2], [3]])


def test_text_labels_become_numbers_in_sorted_order_and_keep_their_names(table):
    data = read(table("a,label\n1,dog\n2,cat\n3,dog\n4, emu \n"))
    np.testing.assert_array_equal(data.targets, [1, 0, 1, 2])
    assert data.targets.dtype == np.int64
    assert data.classes == ("cat", "dog", "emu")


def test_without_a_label_every_column_is_a_feature(table):
    data = read(table("a,b\n1,2\n"), label=None)
    assert data.targets is None
    assert data.inputs["x"].shape == (1, 2)


def test_a_byte_order_mark_and_windows_line_ends_are_read(table):
    data = read(table(b"\xef\xbb\xbflabel,a\r\n1,2\r\n"))
    np.testing.assert_array_equal(data.inputs["x"], [[2]])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "the data is empty; expected a header"),
        ("a,label\n", "it has a header and no rows"),
        ("a,b\n1,2\n", r"no column 'label'. Its columns: a, b\.\nChoose one with --label NAME"),
        ("a;label\n1;2\n", r"Its columns: a;label\.\n.*not separated by commas"),
        ("a,a,label\n1,2,3\n", "two columns are called 'a'"),
        ("label\n1\n", "no feature column"),
        ("a,b,label\n1,2,3\n1,x,3\n", "row 2, column 'b' is 'x', expected a number"),
        ("a,b,label\n1,,3\n", "row 1, column 'b' is empty, expected a number"),
        ("a,b,label\n1,2,3\n1,2\n", "row 2 has 2 cells, the header has 3"),
        ("a,b,label\n1,2,3\n1,nan,3\n", "row 2, column 'b' is nan, expected a finite number"),
        ("a,b,label\n-inf,2,3\n1,nan,3\n", r"row 1, column 'a' is -inf.*\n2 such cells"),
        (
            "a,label\n1,2\n1,cat\n",
            "row 2, column 'label' is 'cat'; labels must be all finite numbers or all printable text",
        ),
        ("a,label\n1,cat\n1,\n", "row 2, column 'label' is empty; labels must be all"),
        ("a,label\n1,2\n1,\n", "row 2, column 'label' is empty"),
        ("a,label\n1,2\n1,nan\n", "row 2, column 'label' is 'nan'"),
        (b"a,label\n1,\xff\n", "not a UTF-8 text file .byte 10."),
        ("a,label\n1,\x1b[2J\n", r"row 1, column 'label' is '\\x1b\[2J'; labels must be .* printable text"),
        ("a\x1b[2J,label\n1,2\n", r"the column 'a\\x1b\[2J' has characters that can't be printed"),
        ("a,label\n1," + "9" * 200_000 + "\n", "not a CSV file: field larger"),
    ],
)
def test_a_table_with_a_fault_is_refused_with_its_place(table, text, match):
    with pytest.raises(BridgeError, match=match):
        read(table(text))
