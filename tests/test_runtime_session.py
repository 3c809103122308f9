"""Sessions: what they refuse, and that what they compute is right."""

from __future__ import annotations

import numpy as np
import onnx_samples
import pytest
from onnx import TensorProto, helper

from bridge.errors import BridgeError
from bridge.process import worker
from bridge.runtime import open_session


@pytest.fixture
def x():
    return np.random.default_rng(1).normal(size=(7, 12)).astype(np.float32)


def test_a_session_computes_the_model_and_names_its_values(tmp_path, x):
    model = onnx_samples.mlp()
    session = open_session(onnx_samples.save(model, tmp_path / "m.onnx"))
    assert (session.provider, session.fell_back, session.final) == ("cpu", None, {"y": "softmax"})
    assert [(v.name, v.shape, v.dtype) for v in session.inputs] == [("x", (None, 12), np.float32)]
    assert [(v.name, v.shape) for v in session.outputs] == [("y", (None, 4))]
    np.testing.assert_allclose(session.run({"x": x})[0], onnx_samples.forward(model, x), rtol=1e-5, atol=1e-6)


def test_a_fallback_that_is_not_needed_is_not_taken():
    session = open_session(onnx_samples.mlp().SerializeToString(), "cpu", fallback="cuda", threads=1)
    assert (session.provider, session.fell_back) == ("cpu", None)


def test_a_padded_max_pool_of_negative_values_sees_the_zeros(tmp_path):
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["padded"]),
        helper.make_node("MaxPool", ["padded"], ["y"], kernel_shape=[3, 3], strides=[2, 2]),
    ]
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    model = onnx_samples.make(nodes, {"x": ["b", 1, 4, 4]}, {"y": ["b", 1, 2, 2]}, {"pads": pads})
    value = open_session(onnx_samples.save(model, tmp_path / "m.onnx")).run({"x": -np.ones((1, 1, 4, 4), np.float32)})
    assert value[0].reshape(-1).tolist() == [0, 0, 0, -1]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BridgeError, match=r"none.onnx: no such file \(the model\)"):
        open_session(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"", b"no protobuf at all", b"\x08\x0a" * 40], ids=["empty", "text", "noise"])
def test_a_file_that_is_no_onnx_is_refused(tmp_path, content):
    file = tmp_path / "m.onnx"
    file.write_bytes(content)
    with pytest.raises(BridgeError, match=r"m.onnx: is not a(n| valid) ONNX model"):
        open_session(file)


def test_a_truncated_file_is_refused(tmp_path):
    file = tmp_path / "m.onnx"
    file.write_bytes(onnx_samples.mlp().SerializeToString()[:-200])
    with pytest.raises(BridgeError, match=r"m.onnx: is not an ONNX model, or it is truncated"):
        open_session(file)


def test_bytes_that_are_no_model_are_refused(capfd):
    with pytest.raises(BridgeError, match=r"^the model: ONNX Runtime can't open this model\.\n."):
        open_session(b"no protobuf")
    assert capfd.readouterr() == ("", "")


def test_an_operator_that_onnxruntime_lacks_is_named(tmp_path, capfd):
    opsets = [*onnx_samples.OPSETS, helper.make_opsetid("nobody.knows", 1)]
    node = helper.make_node("Frobnicate", ["x"], ["y"], domain="nobody.knows")
    model = onnx_samples.make([node], {"x": ["b", 2]}, {"y": ["b", 2]}, opsets=opsets)
    with pytest.raises(BridgeError, match=r"(?s)m.onnx: ONNX Runtime \S+ lacks an operator of this model.*Frobnicate"):
        open_session(onnx_samples.save(model, tmp_path / "m.onnx"))
    assert capfd.readouterr() == ("", "")


def test_an_input_that_is_text_is_refused(tmp_path):
    model = onnx_samples.make([helper.make_node("Identity", ["x"], ["y"])], {"x": ["b"]}, {"y": ["b"]})
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.STRING
    with pytest.raises(BridgeError, match=r"x is tensor\(string\); only tensors of numbers"):
        open_session(onnx_samples.save(model, tmp_path / "m.onnx"))


def test_threads_below_one_are_refused():
    with pytest.raises(BridgeError, match="--threads 0: must be 1 or more"):
        open_session(b"", threads=0)


def test_a_call_that_onnxruntime_refuses_names_the_shapes(tmp_path, capfd):
    session = open_session(onnx_samples.save(onnx_samples.mlp(), tmp_path / "m.onnx"))
    with pytest.raises(BridgeError, match=r"could not run it on x float32 \(2, 5\)\.\n.*Got: 5 Expected: 12"):
        session.run({"x": np.zeros((2, 5), np.float32)})
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("BFCArena: Failed to allocate memory for requested buffer", r"\nTry a smaller --batch\.$"),
        ("CUDNN failure 1001: libcudnn_graph.so.9 not found", r'\nInstall cuDNN: pip install "onnxruntime-gpu\['),
    ],
)
def test_a_call_that_fails_for_a_known_cause_says_how_to_mend_it(monkeypatch, said, hint):
    session = open_session(onnx_samples.mlp().SerializeToString())

    def fail(outputs, feeds):
        raise RuntimeError(f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : {said}")

    monkeypatch.setattr(session._raw, "run", fail)
    with pytest.raises(BridgeError, match=hint) as refusal:
        session.run({"x": np.zeros((1, 12), np.float32)})
    assert len(str(refusal.value).splitlines()) == 3
    assert f"\n{said}\n" in str(refusal.value)


def test_the_worker_runs_a_model_given_as_a_file_or_as_bytes(tmp_path, x):
    model = onnx_samples.mlp()
    file = onnx_samples.save(model, tmp_path / "m.onnx")
    runtime = worker("runtime")
    with pytest.raises(BridgeError, match=r"its inputs are \['x'\], it was given \['z'\]"):
        runtime.call("run", model=file, inputs={"z": x})
    with pytest.raises(BridgeError, match="has no output z"):
        runtime.call("run", model=file, inputs={"x": x}, outputs=["z"])
    for given in (file, np.frombuffer(model.SerializeToString(), np.uint8)):
        result = runtime.call("run", model=given, inputs={"x": x}, outputs=["y"])
        assert result["provider"] == "cpu"
        np.testing.assert_allclose(result["outputs"]["y"], onnx_samples.forward(model, x), rtol=1e-5, atol=1e-6)
