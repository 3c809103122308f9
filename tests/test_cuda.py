"""Converted models on a CUDA device: torch's modules, and ONNX Runtime's CUDA provider.

On a machine without TensorFlow, with what Keras did recorded elsewhere: pytest tests/test_cuda.py --recorded FOLDER.
"""

import checks
import numpy as np
import onnx
import onnx_samples
import pytest
import torch
from gradients import apart, passes
from layer_cases import CASES
from model_cases import MODELS
from recording import named, tensors

import bridge
from bridge.data import Data
from bridge.errors import BridgeError
from bridge.runtime import cuda, evaluate, open_session

WITHOUT = not torch.cuda.is_available() and "this PyTorch finds no CUDA device"
EVERY = [*CASES, *(case for case in MODELS.values() if not case.refused)]
FLOAT32 = 3e-5  # of the scale: cuBLAS and cuDNN add up in other orders, and cuDNN's recurrence is 2.7e-5 off
BACKWARD = 1e-4

pytestmark = pytest.mark.cuda
on_device = pytest.mark.skipif(bool(WITHOUT), reason=str(WITHOUT))
every_case = pytest.mark.parametrize("case", EVERY if not WITHOUT else EVERY[:1], ids=str)


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Float32 products of float32 factors: cuDNN's convolutions would round these to 10 bits of mantissa."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@on_device
@every_case
def test_module_computes_on_cuda_what_keras_does(case, recorded):
    recording = recorded(case)
    module = recording.module().eval().to("cuda")
    with torch.no_grad():
        for rows in (1, 5):
            inputs = [t.to("cuda") for t in tensors(recording.under(f"x{rows}"))]
            for name, y in named(module(*inputs), recording.graph).items():
                checks.output_agrees(recording, f"y{rows}/{name}", y.cpu(), max(case.tolerance, FLOAT32), "on CUDA")


@on_device
@every_case
def test_gradients_on_cuda_are_tensorflows(case, recorded):
    for mode in ("eval", "train") if not case.random else ("eval",):
        kerass = recorded(case).under(f"double/{mode}") or recorded(case).under(mode)
        worst = apart(passes(recorded(case), mode, device="cuda"), kerass)
        checks.within(worst, max(case.gradient_tolerance, BACKWARD), f"{mode} on CUDA")


@pytest.fixture(scope="module")
def provider():
    """Skips where no session can use CUDA, with bridge's own reason."""
    try:
        assert open_session(onnx_samples.mlp().SerializeToString(), "cuda").provider == "cuda"
    except BridgeError as error:
        pytest.skip(str(error).splitlines()[0])


@pytest.mark.parametrize("case", EVERY if cuda.driver().found else EVERY[:1], ids=str)
def test_inlined_onnx_computes_on_cuda_what_keras_does(case, provider, recorded):
    recording = recorded(case)
    session = open_session(recording.inlined.SerializeToString(), "cuda")
    assert session.provider == "cuda"
    names = [value.name for value in recording.graph.outputs]
    for rows in (1, 5):
        for name, y in zip(names, session.run(recording.under(f"x{rows}"), names), strict=True):
            checks.output_agrees(recording, f"y{rows}/{name}", y, max(case.tolerance, FLOAT32), "on CUDA")


OPTIMIZERS = [
    {"name": "sgd", "momentum": 0.9, "nesterov": True},
    {"name": "adam", "clipnorm": 0.5},
    {"name": "adamw", "global_clipnorm": 0.5},
    {"name": "rmsprop", "centered": True, "clipvalue": 0.1},
]


@pytest.fixture
def classifier(recorded):
    """Tables, recurrence of every kind, a regularizer and a constraint; its module and rows."""
    random = np.random.default_rng(0)
    rows = Data({"words": random.integers(0, 10, (50, 6), np.int32)}, random.integers(0, 3, 50), "words")
    return recorded(MODELS["recurrent_classifier"]).module(), rows


@on_device
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer["name"])
def test_training_on_cuda_follows_training_on_the_cpu(optimizer, classifier):
    module, rows = classifier
    cpu, gpu = (
        bridge.finetune(module, rows, device=device, optimizer=optimizer, epochs=4, batch=8)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(gpu.history.losses, cpu.history.losses, rtol=BACKWARD)
    state = gpu.module.state_dict()
    for name, value in cpu.module.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=BACKWARD, atol=BACKWARD, msg=name)


@on_device
def test_a_run_on_cuda_goes_on_where_it_stopped(classifier, tmp_path):
    class Stop(Exception):
        pass

    def stop(row):
        if row["epoch"] == 2:
            raise Stop

    module, rows = classifier
    whole = bridge.finetune(module, rows, tmp_path / "whole", device="cuda", epochs=4)
    with pytest.raises(Stop):
        bridge.finetune(module, rows, tmp_path / "stopped", device="cuda", epochs=4, on_epoch=stop)
    rest = bridge.finetune(module, rows, tmp_path / "stopped", device="cuda", epochs=4, resume=True)
    assert rest.history.rows == whole.history.rows
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert files[0] == files[1]


@on_device
def test_a_module_on_cuda_is_saved_as_one_on_the_cpu_is(classifier, tmp_path):
    module, _ = classifier
    for device in ("cpu", "cuda"):
        bridge.save(module.to(device), tmp_path / device)
    for file in sorted((tmp_path / "cpu").iterdir()):
        assert (tmp_path / "cuda" / file.name).read_bytes() == file.read_bytes(), file.name


@on_device
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # torch's, of its own parts
@pytest.mark.parametrize("name", ["recurrent_classifier", "u_net_of_any_size"])
def test_torch_compile_takes_a_module_on_cuda(name, recorded):
    recording = recorded(MODELS[name])
    module = recording.module().eval().to("cuda")
    inputs = [t.to("cuda") for t in tensors(recording.under("x5"))]
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(module)(*inputs), module(*inputs), rtol=FLOAT32, atol=FLOAT32)


@pytest.mark.parametrize("batch", [None, 16])
def test_evaluation_on_cuda_is_that_of_the_cpu(batch, provider, tmp_path):
    onnx.save(onnx_samples.mlp(), tmp_path / "mlp.onnx")
    random = np.random.default_rng(0)
    rows = Data({"x": random.normal(size=(300, 12)).astype(np.float32)}, random.integers(0, 4, 300), "random")
    cpu, gpu = (evaluate(tmp_path / "mlp.onnx", rows, provider=name, batch=batch) for name in ("cpu", "cuda"))
    assert (gpu.provider, gpu.fell_back, gpu.rows) == ("cuda", None, 300)
    assert gpu.loss == pytest.approx(cpu.loss, rel=FLOAT32)
    assert gpu.accuracy == cpu.accuracy
