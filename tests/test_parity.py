"""bridge parity: what agrees passes, what differs is found and named, each framework in its own process."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_samples
import pytest
from click.testing import CliRunner
from onnx import helper
from parity_files import LAYERS, MODELS, change, spoil, write_h5

import bridge
from bridge.cli import cli
from bridge.convert import keras2onnx, keras2torch
from bridge.data import Data
from bridge.errors import BridgeError, CheckFailed
from bridge.graph import Value
from bridge.keras_side.source import Source
from bridge.parity import compare
from bridge.parity.arrays import difference, judge, relative_l2
from bridge.parity.inputs import make_inputs
from bridge.parity.subjects import KerasFile

ARCH = f"{MODELS}:normalised"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Weights, a bridge folder of them and an inlined ONNX file."""
    folder = tmp_path_factory.mktemp("parity")
    weights = write_h5(folder / "weights.h5", LAYERS["normalised"])
    keras2torch(weights, folder / "out", arch=ARCH)
    keras2onnx(weights, folder / "plain.onnx", arch=ARCH, inline=True)
    return folder


@pytest.fixture(scope="module")
def agreed(files):
    return compare([files / "weights.h5", files / "out", files / "plain.onnx"], arch=ARCH)


def test_a_keras_file_its_folder_and_its_plain_onnx_agree(agreed):
    assert agreed.ok
    assert [(f.letter, f.framework, f.form) for f in agreed.files] == [
        ("A", "Keras", "Keras file"),
        ("B", "PyTorch", "bridge folder"),
        ("C", "ONNX Runtime", "layered ONNX"),
        ("D", "ONNX Runtime", "plain ONNX"),
    ]
    assert all(row.output == "last" and row.error < 1e-6 for row in agreed.rows)
    assert agreed.first_difference is None


def test_each_file_is_measured_against_the_float64_of_the_first(agreed):
    assert agreed.reference == "float64 with the weights of A"
    assert all(0 < row.distance < 1e-6 for row in agreed.rows)


def test_layers_are_compared_in_the_order_of_execution(agreed):
    layers = [(layer.layer, layer.kind) for layer in agreed.layers if layer.file == "B"]
    assert layers == [("first", "Dense"), ("norm", "BatchNormalization"), ("last", "Dense")]
    assert {layer.file for layer in agreed.layers} == {"B", "C"}


def test_a_changed_weight_is_found_and_its_layer_named(files, tmp_path):
    bad = change(files / "out" / "model.onnx", tmp_path / "bad.onnx", "norm/gamma", spoil(2, 3.0))
    found = compare([files / "weights.h5", bad], arch=ARCH)
    assert not found.ok
    assert (found.first_difference.file, found.first_difference.layer) == ("B", "norm")
    assert (found.rows[1].cause, found.rows[0].cause) == ("fault", "")


def test_a_small_change_of_the_last_kernel_is_no_rounding(files, tmp_path):
    bad = change(files / "out" / "model.onnx", tmp_path / "bad.onnx", "last/kernel", lambda a: a * np.float32(1.0001))
    found = compare([files / "out", bad])
    assert not found.ok
    assert found.first_difference.layer == "last/linear"
    assert [row.cause for row in found.rows] == ["", "", "fault"]


def test_torch_weights_that_are_not_those_of_the_onnx_file_are_found(files, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(files / "out", tmp_path / "out")
    state = load_file(folder / "model.safetensors")
    state["first.bias"] = state["first.bias"] + np.float32(0.5)
    save_file(state, folder / "model.safetensors")
    found = compare([files / "weights.h5", folder], arch=ARCH)
    assert [row.ok for row in found.rows] == [True, False, True]
    assert found.first_difference.file == "B"


def test_nan_never_passes_even_beside_itself(files, tmp_path):
    bad = change(files / "out" / "model.onnx", tmp_path / "nan.onnx", "first/bias", spoil(0, np.nan))
    found = compare([bad, bad])
    assert not found.ok
    assert "NaN or infinity in 192 of 192 values" in found.rows[1].fault
    json.dumps(found.to_dict(), allow_nan=False)


def test_outputs_of_another_shape_are_a_fault(tmp_path):
    onnx.save(onnx_samples.mlp((12, 8, 4)), tmp_path / "four.onnx")
    onnx.save(onnx_samples.mlp((12, 8, 5)), tmp_path / "five.onnx")
    found = compare([tmp_path / "four.onnx", tmp_path / "five.onnx"])
    assert not found.ok
    assert found.rows[1].fault == "shape 64 x 5, expected 64 x 4"


def test_outputs_of_another_type_are_a_fault(tmp_path):
    proto = onnx_samples.mlp((12, 4))
    onnx.save(proto, tmp_path / "float.onnx")
    proto.graph.node.append(helper.make_node("Cast", ["y"], ["wide"], to=onnx.TensorProto.DOUBLE))
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("wide", onnx.TensorProto.DOUBLE, ["batch", 4]))
    onnx.save(proto, tmp_path / "double.onnx")
    found = compare([tmp_path / "float.onnx", tmp_path / "double.onnx"])
    assert found.rows[1].fault == "type float64, expected float32"


def test_outputs_with_other_names_are_matched_in_order_and_that_is_said(tmp_path):
    proto = onnx_samples.mlp((12, 4))
    onnx.save(proto, tmp_path / "y.onnx")
    proto.graph.node[-1].output[0] = proto.graph.output[0].name = "z"
    onnx.save(proto, tmp_path / "z.onnx")
    found = compare([tmp_path / "y.onnx", tmp_path / "z.onnx"])
    assert found.ok
    assert found.notes == ["B: outputs are matched in order, their names differ: z for y."]


def test_a_missing_output_is_a_fault(tmp_path):
    proto = onnx_samples.mlp((12, 8, 4))
    onnx.save(proto, tmp_path / "one.onnx")
    proto.graph.output.append(helper.make_tensor_value_info("hidden_0", onnx.TensorProto.FLOAT, ["batch", 8]))
    onnx.save(proto, tmp_path / "two.onnx")
    both = tmp_path / "two.onnx", tmp_path / "one.onnx"
    assert [row.fault for row in compare(both).rows] == ["", "", "", "has no such output, only y"]
    assert compare(both[::-1]).rows[-1].fault == "the first file has no such output"


def test_a_file_with_other_inputs_is_a_fault_and_not_run(tmp_path):
    onnx.save(onnx_samples.mlp((12, 4)), tmp_path / "twelve.onnx")
    onnx.save(onnx_samples.mlp((9, 4)), tmp_path / "nine.onnx")
    found = compare([tmp_path / "twelve.onnx", tmp_path / "nine.onnx"])
    assert not found.ok
    assert found.files[1].fault == "input x is 9 a row, the first file's x 12"


def test_a_fixed_batch_is_run_in_its_own_size(tmp_path):
    onnx.save(onnx_samples.mlp((12, 4)), tmp_path / "any.onnx")
    onnx.save(onnx_samples.mlp((12, 4), batch=5), tmp_path / "five.onnx")
    found = compare([tmp_path / "any.onnx", tmp_path / "five.onnx"], rows=12)
    assert found.ok
    assert found.inputs == "12 rows, random (seed 0)"


@pytest.mark.parametrize(("shape", "rows"), [((3,), 64), ((None, 3), 64), ((224, 224, 3), 2), ((512, 512, 3), 1)])
def test_random_rows_of_large_inputs_are_few(shape, rows):
    value = Value(name="x", dtype="float32", shape=(None, *shape))
    (made,) = make_inputs([[value]], None, None, None, 0).arrays.values()
    assert len(made) == rows


def test_given_data_is_fitted_to_the_model(tmp_path):
    onnx.save(onnx_samples.mlp((12, 4)), tmp_path / "m.onnx")
    rows = Data({"x": np.arange(300 * 12).reshape(300, 3, 4) % 251}, None, "rows.npy")
    found = compare([tmp_path / "m.onnx", tmp_path / "m.onnx"], data=rows, scale=251)
    assert found.ok
    assert found.inputs == "256 rows of 300 from rows.npy"


def test_architecture_options_are_for_the_files_that_need_them(files, tmp_path):
    from bridge.convert import torch2keras

    torch2keras(files / "out", tmp_path / "home.keras")
    found = compare([files / "weights.h5", tmp_path / "home.keras"], arch=ARCH, rows=3)
    assert found.ok
    assert {row.error for row in found.rows} == {0.0}


def test_the_weights_of_a_saved_model_count_with_all_its_files():
    folder = Path(__file__).parent / "keras_files" / "saved_models" / "mlp"
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert KerasFile(Source(str(folder))).weight_bytes == sum(file.stat().st_size for file in files)
    assert len(files) > 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["m.onnx"], "compares at least two files"),
        (["m.onnx", "absent.onnx"], r"absent\.onnx: no such file"),
        (["m.onnx", "notes.txt"], r"notes\.txt: parity runs Keras files"),
        (["m.onnx", "empty"], r"empty: is not a bridge folder"),
    ],
)
def test_files_that_are_no_models_are_refused(tmp_path, given, message):
    onnx.save(onnx_samples.mlp((12, 4)), tmp_path / "m.onnx")
    (tmp_path / "notes.txt").write_text("no model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BridgeError, match=message):
        compare([tmp_path / name for name in given])


def test_data_may_be_a_name_or_a_path(tmp_path):
    onnx.save(onnx_samples.mlp((784, 4)), tmp_path / "m.onnx")
    both = [tmp_path / "m.onnx"] * 2
    found = bridge.parity(*both, data="digits", scale=255, rows=3)
    assert (found.ok, found.inputs.startswith("3 rows of")) == (True, True)
    np.save(tmp_path / "x.npy", np.zeros((2, 784), np.float32))
    assert compare(both, data=tmp_path / "x.npy").inputs.startswith("2 rows from")


@pytest.mark.parametrize(("option", "value"), [("rtol", -1.0), ("rtol", math.nan), ("rows", 0), ("seed", -1)])
def test_options_out_of_range_are_refused(tmp_path, option, value):
    onnx.save(onnx_samples.mlp((12, 4)), tmp_path / "m.onnx")
    with pytest.raises(BridgeError, match=f"--{option} "):
        compare([tmp_path / "m.onnx"] * 2, **{option: value})


def test_difference_is_relative_to_the_largest_value():
    wanted = np.array([[1e-9, 200.0]], np.float32)
    assert difference(wanted + np.float32([[2e-3, 0]]), wanted).error == pytest.approx(1e-5, rel=1e-3)


def test_anything_beside_zeros_is_infinitely_far():
    zeros = np.zeros(3, np.float32)
    assert difference(zeros, zeros).error == 0
    assert difference(zeros + np.float32(1e-9), zeros).error == math.inf


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_passes_no_tolerance(value):
    good, bad = np.ones(3, np.float32), np.array([1, value, 1], np.float32)
    for pair in ((good, bad), (bad, good), (bad, bad)):
        assert not difference(*pair).within(math.inf)


def test_rounding_is_what_is_as_near_to_float64_as_the_first_file():
    exact = np.array([1.0, 2.0])
    first, as_near, far = (np.float32(exact + error) for error in (4e-5, -4e-5, 4e-4))
    assert judge(as_near, first, exact, 1e-5).cause == "rounding"
    assert judge(as_near, first, exact, 1e-5).ok
    assert judge(far, first, exact, 1e-5).cause == "fault"
    assert not judge(as_near, first, None, 1e-5).ok


def test_where_float32_itself_is_far_off_nothing_passes_as_rounding():
    exact = np.array([1.0, 2.0])
    assert not judge(np.float32(exact - 0.1), np.float32(exact + 0.1), exact, 1e-5).ok


def test_relative_l2_is_over_all_arrays_together():
    wanted = {"a": np.float32([3.0]), "b": np.float32([4.0])}
    assert relative_l2(wanted | {"a": np.float32([3.5])}, wanted) == pytest.approx(0.1)
    assert math.isnan(relative_l2(wanted | {"a": np.float32([np.nan])}, wanted))


def test_the_python_name_stays_callable_after_its_first_call(tmp_path):
    onnx.save(onnx_samples.mlp((12, 4)), tmp_path / "m.onnx")
    for _ in range(2):
        assert bridge.parity(tmp_path / "m.onnx", tmp_path / "m.onnx", rows=2).ok


def test_the_command_prints_a_table_within_80_columns(files):
    result = CliRunner().invoke(cli, ["parity", str(files / "out")], env={"COLUMNS": "80"}, catch_exceptions=False)
    assert "All agree" in result.stdout
    assert "first/linear" in result.stdout
    table = [line for line in result.stdout.splitlines() if str(files) not in line]
    assert max(map(len, table)) <= 80


def test_the_command_raises_a_failed_check_that_names_the_layer(files, tmp_path):
    bad = change(files / "out" / "model.onnx", tmp_path / "bad.onnx", "first/kernel", spoil(7, 5.0))
    result = CliRunner().invoke(cli, ["parity", str(files / "out"), str(bad), "--json"])
    assert isinstance(result.exception, CheckFailed)
    assert "C differs in the output last, first in the layer first/linear (Dense)" in str(result.exception)
    told = json.loads(result.stdout)
    assert (told["ok"], told["first_difference"]["layer"]) == (False, "first/linear")


def test_exit_codes_are_1_for_a_difference_and_2_for_a_mistake(tmp_path):
    onnx.save(onnx_samples.mlp((12, 4), seed=0), tmp_path / "a.onnx")
    onnx.save(onnx_samples.mlp((12, 4), seed=1), tmp_path / "b.onnx")

    def code(*arguments):
        command = [sys.executable, "-m", "bridge", "parity", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert code(tmp_path / "a.onnx", tmp_path / "b.onnx") == 1
    assert code(tmp_path / "a.onnx", tmp_path / "c.onnx") == 2
