"""Old files held against legacy Keras: only where it is installed, and never with a file that carries code."""

import importlib.util
import json

import numpy as np
import pytest

from bridge import proof
from bridge.errors import CheckFailed
from bridge.graph import Graph, Layer, Node, Value
from bridge.graph.looked_up import counted
from bridge.graph.probe import probe_inputs
from bridge.keras2_side import check
from bridge.keras2_side.trust import holds_code
from bridge.keras_side.source import Source

DENSE = {"class_name": "Dense", "config": {"name": "dense", "units": 2, "activation": "relu"}}


@pytest.mark.parametrize(
    "hidden",
    [
        {"class_name": "Lambda", "config": {"function": ["4wEA", None, None], "function_type": "lambda"}},
        {"class_name": "Dense", "module": "os", "config": {}},
        {"class_name": "Dense", "registered_name": "own>Dense", "config": {}},
        {"class_name": "function", "config": "system", "module": "os"},
        {"function_type": "lambda"},
        {"class_name": "TFOpLambda", "config": {"function": "io.gfile.rmtree"}},
        {"class_name": "TensorFlowOpLayer", "config": {"node_def": 'op: "ReadFile"'}},
        {"class_name": "TensorFlowOpLayer", "config": {"node_def": 'op: "Exp" "erimentalCSVDataset"'}},
        {"class_name": "ClassMethod", "config": {}},
    ],
)
def test_code_is_found_wherever_it_stands(hidden):
    assert holds_code({"class_name": "Sequential", "config": {"layers": [DENSE | {"spare": [{"deep": hidden}]}]}})


def test_a_plain_config_holds_no_code():
    known = {"class_name": "TFOpLambda", "config": {"function": "math.add"}}
    assert not holds_code({"class_name": "Sequential", "config": {"layers": [DENSE, known]}})
    assert not holds_code({"class_name": "Sequential", "config": {"layers": [DENSE | {"module": "keras.layers"}]}})


def graph(config=None):
    value = Value("y", (None, 2))
    origin = {"origin": {"config": json.dumps(config or DENSE)}}
    return Graph("model", [Value("x", (None, 3))], [value], [], {}, {}, source=origin)


class Worker:
    """Stands for the tf_keras process."""

    def __init__(self, answer):
        self.answer = answer

    def call(self, job, **arguments):
        assert job == "run"
        assert arguments["config"] == json.dumps(DENSE)
        return self.answer


@pytest.fixture
def legacy(monkeypatch):
    def install(answer):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
        monkeypatch.setattr(check, "worker", lambda side: Worker(answer))

    return install


def said(config=None):
    """The note of a conversion whose outputs are ones."""
    exact = proof._Exact(Source("model.h5"), graph(config))
    exact.inputs = {"x": np.ones((5, 3))}
    exact.outputs = None
    return proof._legacy(exact, {"y": np.ones((5, 2), "float32")})


def test_without_tf_keras_nothing_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert said() == ()


def test_what_tf_keras_computes_alike_is_told(legacy):
    legacy({"outputs": [np.ones((5, 2), "float32")], "version": "2.21.0"})
    assert said() == ("tf_keras 2.21.0 reads the file as bridge does: its outputs differ by 0.0e+00 of their scale.",)


def test_another_result_of_tf_keras_stops_the_conversion(legacy):
    legacy({"outputs": [np.zeros((5, 2), "float32")], "version": "2.21.0"})
    with pytest.raises(CheckFailed, match=r"tf_keras 2\.21\.0 and Keras differ on random inputs"):
        said()


def test_what_tf_keras_cannot_read_is_told(legacy):
    legacy({"failed": "TypeError: no"})
    assert said() == ("Not compared with tf_keras, which can't read the file itself (TypeError: no).",)


def test_a_file_with_another_config_is_not_compared(legacy):
    legacy({"other": True})
    assert said() == ("Not compared with tf_keras: the file's own config is not the one that was converted.",)


def test_a_file_with_code_is_never_given_to_tf_keras(legacy):
    legacy({"failed": "it was asked"})
    (note,) = said({"class_name": "Lambda", "config": {}})
    assert note == "Not compared with tf_keras: the file names code, which tf_keras would run."


def test_inputs_that_are_numbers_of_things_stay_below_their_count():
    words, cast = Value("words", (None, 4)), Value("cast", (None, 4), "int32")
    layer = Layer("Embedding", "embedding", {"input_dim": 3})
    nodes = [Node("c", "Cast", ["words"], ["cast"]), Node("e", "Embedding", ["cast"], ["y"], layer)]
    made = Graph("model", [words], [Value("y", (None, 4, 2))], nodes, {}, {}, values={"cast": cast})
    assert counted(made) == {"words": 3}
    found = probe_inputs(made.inputs, below=counted(made))["words"]
    assert found.dtype == np.float32
    assert {*found.reshape(-1).tolist()} <= {0.0, 1.0, 2.0}
