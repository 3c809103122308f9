"""The table of upgrades, entry by entry; nothing here needs a framework."""

import copy
import re

import numpy as np
import pytest
from dialect_case import ADD, HARD, X, called, functional, tensor
from dialect_cases import CASES

from bridge.keras_side.old.dialect import TABLE, Writer, upgraded
from bridge.keras_side.old.layouts import LAYOUTS, chosen


def upgraded_case(case):
    """The upgraded entry of the case, and all that was told of it."""
    config = {"name": "layer", **case.config} if isinstance(case.config, dict) and not case.model else case.config
    node = {"class_name": case.kind, "config": config, **case.entry}
    whole = node if case.model else {"class_name": "Sequential", "config": {"name": "s", "layers": [node]}}
    before = copy.deepcopy(whole)
    told = upgraded(whole, Writer(case.version, case.backend))
    assert whole == before, "the config that was given must stay as it is"
    layers = told.config["config"]["layers"] if not case.model else [told.config]
    return layers[-1], told


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_upgrade_does_what_its_entry_says(case):
    node, told = upgraded_case(case)
    if case.refused:
        assert any(re.search(case.refused, problem) for problem in told.problems), told.problems
        return
    assert not told.problems
    assert case.upgrade in told.done
    assert node["class_name"] == (case.new or case.kind)
    named = case.after if case.model else {"name": "layer", **case.after}
    assert node["config"] == named
    if case.layout:
        assert told.layouts == {"layer": case.layout}
        assert any(name.startswith(f"{case.layout}/") for name in LAYOUTS)


@pytest.mark.parametrize("name", TABLE)
def test_every_upgrade_has_a_case(name):
    assert any(case.upgrade == name for case in CASES)
    assert TABLE[name].what
    assert TABLE[name].source


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.model and case.upgrade != "other_module_names"], ids=str
)
def test_an_upgrade_does_nothing_to_the_newest_dialect(case):
    """What comes out is a fixed point: it is not upgraded once more."""
    node, told = upgraded_case(case)
    if case.refused or case.kind in ("TFOpLambda", "TensorFlowOpLayer", "ThresholdedReLU", "LocallyConnected1D"):
        return
    again = upgraded(told.config, Writer("2.15.0"))
    assert again.config["config"]["layers"][-1]["config"] == node["config"]


def test_the_version_chooses_the_dialect():
    layer = {"class_name": "GRU", "config": {"name": "gru", "recurrent_activation": "sigmoid"}}
    whole = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    old, new = (upgraded(whole, Writer(version)) for version in ("2.1.6", "2.3.1"))
    assert old.config["config"]["layers"][0]["config"]["reset_after"] is False
    assert "reset_after" not in new.config["config"]["layers"][0]["config"]
    assert Writer("2.2.4-tf").version == (2, 2, 4)
    assert Writer("2.2.4-tf").is_tf
    assert not Writer("2.3.1").is_tf
    assert Writer("2").version == (2,)


def test_wrapped_layers_and_activations_are_upgraded_too():
    leaky = {"class_name": "LeakyReLU", "config": {"name": "leaky", "alpha": 0.1}}
    inner = {"class_name": "CuDNNLSTM", "config": {"name": "lstm", "units": 2}}
    layers = [
        {"class_name": "Bidirectional", "config": {"name": "both", "layer": inner}},
        {"class_name": "Dense", "config": {"name": "dense", "activation": leaky}},
    ]
    told = upgraded({"class_name": "Sequential", "config": {"name": "s", "layers": layers}}, Writer("2.2.4"))
    both, dense = told.config["config"]["layers"]
    assert both["config"]["layer"]["class_name"] == "LSTM"
    assert told.layouts == {"both": "CuDNNLSTM"}
    assert dense["config"]["activation"]["config"] == {"name": "leaky", "negative_slope": 0.1}
    assert any(line.endswith("(both/lstm)") for line in told.lines())


def calls(*layers, **ends):
    told = upgraded({"class_name": "Functional", "config": functional(X, *layers, **ends)}, Writer("2.4.0"))
    assert not told.problems
    found = {layer["name"]: layer for layer in told.config["config"]["layers"]}
    return found, told.config["config"]


def test_tensors_among_the_keywords_and_constants():
    first = called(
        "TFOpLambda",
        "tf.sub",
        [["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0], "name": None}]],
        function="math.subtract",
    )
    second = called("MultiHeadAttention", "d", [[["x", 0, 0, {"value": ["tf.sub", 0, 0], "key": None}]]])
    found, _ = calls(first, second)
    assert found["tf.sub"]["config"]["arguments"] == [1.0, {"y": {"tensor": 0}}]
    assert found["tf.sub"]["inbound_nodes"] == [{"args": [[tensor("x")]], "kwargs": {}}]
    assert found["d"]["inbound_nodes"] == [{"args": [tensor("x")], "kwargs": {"value": tensor("tf.sub")}}]


def test_slices_that_are_put_together_in_another_order_stay_code():
    case = next(case for case in CASES if case.upgrade == "multi_gpu_model")
    config = copy.deepcopy(case.config)
    config["layers"][-1]["inbound_nodes"][0].reverse()
    told = upgraded({"class_name": "Model", "config": config}, Writer("2.2.4"))
    assert "multi_gpu_model" not in told.done
    assert [layer["class_name"] for layer in told.config["config"]["layers"]].count("Lambda") == 2


def test_states_in_the_list_of_inputs_are_initial_states():
    found, _ = calls(called("LSTM", "d", [[["x", 0, 0, {}], ["x", 0, 0, {}], ["x", 0, 0, {}]]]))
    assert found["d"]["inbound_nodes"] == [{"args": [tensor("x")], "kwargs": {"initial_state": [tensor("x")] * 2}}]


def test_the_calls_of_a_nested_model_are_counted_from_its_building():
    nodes = [[["x", 0, 0, {}]], [["inner", 1, 0, {}]]]
    inner = {"class_name": "Functional", "name": "inner", "config": functional(X, ADD), "inbound_nodes": nodes}
    found, config = calls(inner, output_layers=[["inner", 2, 0]])
    assert found["inner"]["inbound_nodes"][1]["args"] == [tensor("inner", 0)]
    assert config["output_layers"] == ["inner", 2, 0]  # there Keras 3 counts the building too


def test_a_call_on_a_layer_that_is_not_there_is_refused():
    told = upgraded(
        {"class_name": "Functional", "config": functional(called("Add", "d", [[["z", 0, 0, {}]]]))}, Writer("2.4.0")
    )
    assert len(told.problems) == 1
    assert told.problems[0].endswith("are called on (a layer 'z' is called on, but not there).")


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_has_an_inverse(name):
    shapes = {"CuDNNLSTM/bias": (24,), "CuDNNGRU/bias": (18,)}
    ranks = {"keras1_Conv1D": (3, 1, 2, 4), "keras1_1_Conv1D": (4, 2, 3, 1), "keras1_Conv3D": (2, 3, 4, 5, 6)}
    shape = shapes.get(name) or next((s for word, s in ranks.items() if name.startswith(word)), (2, 3, 4, 5))
    shape = (2, 3, 4, 20) if name.startswith("keras1_ConvLSTM2D") else shape  # four gates in one
    shape = (5, 12) if name.endswith("kernel") and name.startswith("CuDNN") else shape
    shape = (3, 12) if name.startswith("CuDNN") and name.endswith("recurrent_kernel") else shape
    array = np.random.default_rng(1).normal(size=shape).astype("float32")
    layout = LAYOUTS[name]
    back = layout.to_file(layout.to_keras(array))
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_one_bias_is_no_bias_of_cudnn():
    """As an older bridge kept it: what a folder of that time says can't be written as the file had it."""
    with pytest.raises(ValueError, match="have two biases"):
        LAYOUTS["CuDNNLSTM/bias"].to_file(np.ones(4, "float32"))


def test_kernels_of_keras_1_1_are_told_by_their_shape():
    assert chosen("keras1_Conv1D/kernel", np.zeros((3, 1, 2, 4)), (3, 2, 4)) == "keras1_Conv1D/kernel"
    assert chosen("keras1_Conv1D/kernel", np.zeros((4, 2, 3, 1)), (3, 2, 4)) == "keras1_1_Conv1D/kernel"


def test_hard_sigmoid_is_found_in_the_gates():
    layer = {
        "class_name": "LSTM",
        "config": {"name": "l", "activation": "tanh", "recurrent_activation": "hard_sigmoid"},
    }
    told = upgraded({"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}, Writer("2.2.4"))
    assert told.config["config"]["layers"][0]["config"]["recurrent_activation"] == HARD
