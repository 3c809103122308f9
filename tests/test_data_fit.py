"""Data brought to a model: shapes, scales, labels, targets, splits."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.data import Data, class_labels, fit_to, split, targets_for
from bridge.errors import BridgeError


def data_of(**arrays: np.ndarray) -> Data:
    y = arrays.pop("y", None)
    return Data(arrays, y, "d.npz")


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize(
    ("row", "wanted", "got"),
    [
        ((4, 3), (4, 3), (4, 3)),
        ((4, 3), (12,), (12,)),
        ((12,), (4, 3), (4, 3)),
        ((4, 3), (4, 3, 1), (4, 3, 1)),
        ((4, 3, 1), (4, 3), (4, 3)),
        ((4, 3), (1, 4, 3), (1, 4, 3)),
        ((4, 3), (None, None, 1), (4, 3, 1)),
        ((4, 3), (None, 3), (4, 3)),
        ((4, 3, 1), (None, None), (4, 3)),
        ((), (1,), (1,)),
        ((1,), (), ()),
    ],
)
def test_rows_take_the_models_shape_and_keep_their_values(random, row, wanted, got):
    x = random.integers(0, 256, (5, *row), np.uint8)
    fitted = fit_to(data_of(x=x), {"input": wanted}, 255)["input"]
    assert fitted.shape == (5, *got)
    assert fitted.dtype == np.float32
    assert fitted.flags.c_contiguous
    np.testing.assert_array_equal(fitted.ravel(), x.ravel().astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("dtype", ["u1", "i4", "i8", "u8", "f2", "f4", "f8", "?"])
@pytest.mark.parametrize("scale", [None, 3])
def test_every_dtype_becomes_float32(random, dtype, scale):
    x = (random.random((6, 2)) * 9).astype(dtype)
    expected = x.astype(np.float32) if scale is None else x.astype(np.float32) / np.float32(scale)
    np.testing.assert_array_equal(fit_to(data_of(x=x), {"i": (2,)}, scale)["i"], expected)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("given", ["u1", "i4", "i8", "f4", "f8", "?"])
def test_an_input_of_integers_gets_the_same_numbers_as_its_type(random, dtype, given):
    x = random.integers(0, 2, (6, 2)).astype(given)
    fitted = fit_to(data_of(x=x), {"i": (1, 2)}, types={"i": dtype})["i"]
    assert fitted.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(fitted.reshape(6, 2), x.astype(dtype))


def test_integers_beyond_float32_stay_exact():
    x = np.array([[2**24 + 1], [2**53 + 1]])
    np.testing.assert_array_equal(fit_to(data_of(x=x), {"i": (1,)}, types={"i": "int64"})["i"], x)


@pytest.mark.parametrize(
    ("value", "dtype", "match"),
    [
        (0.5, "int32", r"d.npz: x is 0.5 in row 1, position 0 \(counted from 0\); the model takes int32 there"),
        (np.nan, "int32", "x is nan in row 1"),
        (np.inf, "int64", "x is inf in row 1"),
        (2.0**40, "int32", "Give whole numbers within that type"),
        (-1.0, "uint8", "the model takes uint8 there"),
        (2.0, "bool", "the model takes bool there"),
    ],
)
def test_what_an_input_of_integers_can_not_hold_is_refused(value, dtype, match):
    x = np.ones((3, 2))
    x[1, 0] = value
    with pytest.raises(BridgeError, match=match):
        fit_to(data_of(x=x), {"i": (2,)}, types={"i": dtype})


@pytest.mark.parametrize(
    ("value", "way"), [(4.0, "\n"), (-1.0, r" Keras counts it from the end: add 4\.\n"), (-5.0, "\n")]
)
def test_a_number_that_no_row_of_a_table_has_is_refused(value, way):
    x = np.array([[0.0, 3.0], [1.0, value]])
    match = rf"x is {value:g} in row 1, position 1 .*in a table of 4, which knows 0 to 3\.{way}Give"
    with pytest.raises(BridgeError, match=match):
        fit_to(data_of(x=x), {"i": (2,)}, below={"i": 4})


def test_the_scale_is_for_floats_alone():
    data = data_of(a=np.full((2, 3), 4, np.uint8), b=np.full((2, 3), 4, np.uint8))
    fitted = fit_to(data, {"a": (3,), "b": (3,)}, 2, {"a": "int32", "b": "float32"})
    assert fitted["a"].tolist() == [[4] * 3] * 2
    assert fitted["b"].tolist() == [[2.0] * 3] * 2
    with pytest.raises(BridgeError, match=r"the model takes integers \(a, b\); leave the scale out"):
        fit_to(data, {"a": (3,), "b": (3,)}, 2, {"a": "int32", "b": "uint8"})


def test_views_of_any_layout_become_contiguous(random):
    x = random.random((4, 3, 2)).transpose(2, 1, 0)
    for scale in (None, 2):
        fitted = fit_to(data_of(x=x), {"i": (12,)}, scale)["i"]
        assert fitted.flags.c_contiguous
        np.testing.assert_array_equal(fitted, (x / (scale or 1)).astype(np.float32).reshape(2, 12))


def test_several_inputs_go_by_name_in_the_models_order(random):
    a, b = random.random((3, 2)), random.random((3, 4))
    fitted = fit_to(data_of(a=a, b=b), {"b": (4,), "a": (2,)})
    assert list(fitted) == ["b", "a"]
    np.testing.assert_array_equal(fitted["a"], a.astype(np.float32))


@pytest.mark.parametrize("names", [("a", "c"), ("a",), ("a", "b", "c")])
def test_inputs_whose_names_do_not_fit_are_refused_with_both_lists(names):
    data = data_of(**{name: np.ones((3, 2)) for name in names})
    with pytest.raises(BridgeError, match=rf"the model's inputs are a, b; the data has {', '.join(names)}"):
        fit_to(data, {"a": (2,), "b": (2,)})


@pytest.mark.parametrize(
    ("row", "wanted", "match"),
    [
        ((5,), (4,), r"a row of x is 5 values; the model's input i wants 4 values"),
        ((28, 28), (64,), "a row of x is 28 x 28; the model's input i wants 64 values"),
        ((3, 4, 4), (4, 4, 3), "wants 4 x 4 x 3.\nThe counts agree, the axes don't: transpose the data first"),
        ((2, 8), (4, 4), "The counts agree, the axes don't"),
        ((12,), (None, 3), "wants any x 3"),
        ((), (4,), "a row of x is 1 value; "),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_expected_and_found(row, wanted, match):
    with pytest.raises(BridgeError, match=match):
        fit_to(data_of(x=np.ones((2, *row))), {"i": wanted})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scale", [None, 255])
def test_a_value_that_is_not_finite_is_refused_with_its_place(value, scale):
    x = np.zeros((3000, 40, 50), np.float32)
    x[2990, 7, 9] = value
    with pytest.raises(BridgeError, match=rf"d.npz: x is {value} in row 2990, position 7, 9 .counted from 0."):
        fit_to(data_of(x=x), {"i": (2000,)}, scale)


def test_a_value_beyond_float32_is_refused():
    with pytest.raises(BridgeError, match="x is inf in row 1, position 0"):
        fit_to(data_of(x=np.array([[1.0], [1e300]])), {"i": (1,)})


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_that_is_no_positive_number_is_refused(scale):
    with pytest.raises(BridgeError, match="must be a positive number, such as 255"):
        fit_to(data_of(x=np.ones((2, 2))), {"i": (2,)}, scale)


@pytest.mark.parametrize(
    "given",
    [
        np.array([2, 0, 1], np.uint8),
        np.array([[2], [0], [1]], np.int32),
        np.array([2, 0, 1], np.uint64),
        np.array([2.0, 0.0, 1.0], np.float32),
        np.array([[2.0], [0.0], [1.0]]),
        np.eye(3, dtype=np.uint8)[[2, 0, 1]],
        np.eye(3)[[2, 0, 1]],
    ],
)
@pytest.mark.parametrize("classes", [3, None])
def test_labels_of_every_form_become_class_numbers(given, classes):
    for source in (given, data_of(x=np.ones(3), y=given)):
        labels = class_labels(source, classes)
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, [2, 0, 1])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (np.array([0, 3, 2, 9]), r"label in row 1 .from 0. is 3; the model has 3 classes, 0 to 2.\n.*--classes 10"),
        (np.array([0, 1, -1]), r"label in row 2 .from 0. is -1; classes count from 0 on"),
        (np.array([0, 2**63], np.uint64), "is 9223372036854775808; the model has 3 classes"),
        (np.array([0, 0.5]), r"label in row 1 .from 0. is 0.5, expected a class number"),
        (np.array([0, np.nan]), r"label in row 1 .from 0. is nan, expected a class number"),
        (np.array([0, 1e300]), r"label in row 1 .from 0. is 1e\+300"),
        (np.eye(4), r"one-hot rows of 4 classes; the model has 3 classes.\n.*--classes 4"),
        (np.array([[0, 1, 0], [1, 1, 0]]), r"row 1 .from 0. is not one-hot"),
        (np.array([[0, 1, 0], [0, 0, 0]]), r"row 1 .from 0. is not one-hot"),
        (np.array([[0, 1, 0], [0.5, 0.5, 0]]), r"row 1 .from 0. is not one-hot"),
        (np.ones((2, 2, 2)), r"a label is \(2, 2\); expected a class number or a one-hot row"),
    ],
)
def test_labels_that_are_no_classes_are_refused_with_the_first_row(given, match):
    with pytest.raises(BridgeError, match=f"d.npz: y: .*{match}"):
        class_labels(data_of(x=np.ones(len(given)), y=given), 3)


def test_targets_of_several_outputs_are_chosen_by_name():
    data = data_of(x=np.ones(2), y={"a": np.array([0, 1]), "b": np.array([0.5, 1.5])})
    np.testing.assert_array_equal(class_labels(data, 2, "a"), [0, 1])
    np.testing.assert_array_equal(targets_for(data, 1, "b"), [[0.5], [1.5]])
    for output in (None, "c"):
        with pytest.raises(BridgeError, match=f"no targets for the output {output!r}; it has them for a, b"):
            class_labels(data, 2, output)


def test_data_without_targets_is_refused_where_they_are_needed():
    for ask in (class_labels, targets_for):
        with pytest.raises(BridgeError, match=r"d.npz: has no targets"):
            ask(data_of(x=np.ones(2)), 1)


def test_targets_of_a_regression_are_float32_rows(random):
    y = random.random((4, 3))
    for given, units, expected in ((y, 3, y), (y[:, 0], 1, y[:, :1]), (y[:, :1], (), y[:, 0]), (y, (3,), y)):
        targets = targets_for(data_of(x=np.ones(4), y=given), units)
        assert targets.dtype == np.float32
        np.testing.assert_array_equal(targets, expected.astype(np.float32))


def test_targets_that_do_not_fit_or_are_not_finite_are_refused():
    with pytest.raises(BridgeError, match=r"a target is \(1,\); the model's output is \(10,\)"):
        targets_for(np.arange(4), 10)
    with pytest.raises(BridgeError, match=r"the targets is nan in row 2"):
        targets_for(np.array([0, 1, np.nan]), 1)


def test_a_split_has_every_row_once_and_repeats_with_its_seed(random):
    x = random.random((50, 3))
    data = Data({"a": x, "b": x[:, 0]}, {"t": np.arange(50), "u": np.arange(50)}, "d.npz", ("cat", "dog"))
    train, validation = split(data, 0.2, seed=5)
    assert (len(train), len(validation)) == (40, 10)
    rows = np.concatenate([train.targets["t"], validation.targets["t"]])
    assert sorted(rows) == list(range(50))
    assert rows.tolist() != list(range(50))
    for side in (train, validation):
        np.testing.assert_array_equal(side.inputs["a"], x[side.targets["u"]])
        np.testing.assert_array_equal(side.inputs["b"], x[side.targets["t"], 0])
        assert (side.origin, side.classes) == ("d.npz", ("cat", "dog"))
    np.testing.assert_array_equal(split(data, 0.2, seed=5)[1].targets["t"], validation.targets["t"])
    assert split(data, 0.2, seed=6)[1].targets["t"].tolist() != validation.targets["t"].tolist()


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2, float("nan")])
def test_a_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(BridgeError, match="it must lie between 0 and 1"):
        split(data_of(x=np.ones(10)), fraction, 0)


@pytest.mark.parametrize(("fraction", "side"), [(0.01, "validation"), (0.99, "training")])
def test_a_split_that_leaves_a_side_empty_is_refused(fraction, side):
    with pytest.raises(BridgeError, match=f"leaves no {side} rows, there are 10 in all"):
        split(data_of(x=np.ones(10)), fraction, 0)


def test_head_and_take_choose_rows():
    data = data_of(x=np.arange(6), y=np.arange(6) * 2)
    assert data.head(2).targets.tolist() == [0, 2]
    assert len(data.head(99)) == 6
    assert data.take(np.array([4, 1])).targets.tolist() == [8, 2]
    assert data_of(x=np.arange(6)).head(1).targets is None
