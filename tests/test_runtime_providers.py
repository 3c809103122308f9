"""Providers: names, and why one can't be used. What the machine has is faked, so that each case is seen anywhere."""

from __future__ import annotations

from types import SimpleNamespace

import onnx_samples
import pytest

from bridge.errors import BridgeError
from bridge.runtime import cuda, open_session, providers
from bridge.runtime.library import held_output, library, logged

GPU = ["CUDAExecutionProvider", "CPUExecutionProvider"]
MISSING_CUBLAS = (
    "\x1b[1;31m2026-01-02 03:04:05.678 [E:onnxruntime:Default, provider_bridge_ort.cc:2458 operator()] "
    "/onnxruntime_src/provider_bridge_ort.cc:2043 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() "
    "[ONNXRuntimeError] : 1 : FAIL : Failed to load library /site/libonnxruntime_providers_cuda.so with error: "
    "libcublasLt.so.13: cannot open shared object file: No such file or directory\n\x1b[m\n"
    "[0;93m2026-01-02 03:04:05.679 [W:onnxruntime:Default, x.cc:1 F] Failed to create CUDAExecutionProvider.\x1b[m\n"
)
GOOD_DRIVER = cuda.Driver(found=True, version=13000, devices=1)


@pytest.fixture
def machine(monkeypatch):
    """Sets what the machine seems to have; installed packages, driver, the providers of the wheel."""

    def seem(available=GPU, installed=("onnxruntime-gpu",), driver=GOOD_DRIVER, built_for="13.0", platform="linux"):
        fake = SimpleNamespace(
            get_available_providers=lambda: list(available),
            get_all_providers=lambda: [*providers.NAMES.values(), "AzureExecutionProvider"],
            cuda_version=built_for,
            __version__="1.31.0",
        )
        for module in (cuda, providers):
            monkeypatch.setattr(module, "library", lambda: fake)
        monkeypatch.setattr(cuda, "installed", lambda package: package in installed)
        monkeypatch.setattr(cuda, "driver", lambda: driver)
        monkeypatch.setattr("sys.platform", platform)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    return seem


def why(provider: str = "CUDAExecutionProvider", said: str = "") -> str:
    text = str(providers.unusable(provider, said))
    assert len(text.splitlines()) <= 3
    assert text.endswith("\nOr allow the CPU: --fallback cpu.")
    return text


@pytest.mark.parametrize(("name", "full"), sorted(providers.NAMES.items()))
def test_each_name_is_its_provider_however_it_is_written(name, full):
    assert providers.resolve(name) == providers.resolve(name.upper()) == providers.resolve(full) == full
    assert providers.resolve(providers.short(full)) == full


def test_a_provider_that_only_onnxruntime_knows_is_accepted(machine):
    machine()
    assert providers.resolve("azure") == "AzureExecutionProvider"


def test_an_unknown_provider_is_refused_with_the_known_ones():
    with pytest.raises(BridgeError, match=r"^--provider gpu: there is no such provider\.\nKnown are: cpu, cuda,"):
        providers.resolve("gpu")


def test_a_cpu_only_wheel_is_named_with_the_command_that_replaces_it(machine):
    machine(available=["CPUExecutionProvider"], installed=["onnxruntime"])
    text = why()
    assert text.startswith("provider cuda: no session can use it: the installed onnxruntime 1.31.0 is CPU-only.\n")
    assert 'pip uninstall -y onnxruntime && pip install "onnxruntime-gpu[cuda,cudnn]"' in text


def test_two_wheels_that_hide_each_other_are_both_named(machine):
    machine(available=["CPUExecutionProvider"], installed=["onnxruntime", "onnxruntime-gpu"])
    text = why()
    assert "both onnxruntime and onnxruntime-gpu are installed, and the CPU-only one hides the other" in text
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install" in text


def test_a_missing_driver_is_named(machine):
    machine(driver=cuda.Driver(found=False))
    assert "the NVIDIA driver is missing (libcuda.so.1).\nInstall the NVIDIA driver (in a container:" in why()


def test_a_missing_driver_is_named_with_its_windows_name(machine):
    machine(driver=cuda.Driver(found=False), platform="win32")
    assert "the NVIDIA driver is missing (nvcuda.dll)." in why()


def test_a_machine_without_device_is_told(machine):
    machine(driver=cuda.Driver(found=True, version=13000, error=cuda.NO_DEVICE))
    assert "the NVIDIA driver finds no device (CUDA error 100).\nSee what nvidia-smi lists" in why()


def test_a_device_hidden_by_the_environment_is_told(machine, monkeypatch):
    machine(driver=cuda.Driver(found=True, version=13000, error=cuda.NO_DEVICE))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES='' leaves no device.\nUnset CUDA_VISIBLE_DEVICES." in why()


def test_a_driver_that_fails_to_start_is_told_with_its_code(machine):
    machine(driver=cuda.Driver(found=True, version=13000, devices=1, error=999))
    assert "the NVIDIA driver does not start (CUDA error 999).\nSee what nvidia-smi says." in why()


def test_a_driver_too_old_for_the_wheel_is_told_with_both_versions(machine):
    machine(driver=cuda.Driver(found=True, version=12040, devices=1))
    expected = "knows CUDA up to 12.4, the installed onnxruntime-gpu needs CUDA 13.\nUpdate the NVIDIA driver."
    assert expected in why()


def test_a_missing_library_is_named_as_onnxruntime_named_it(machine):
    machine()
    text = why(said=MISSING_CUBLAS)
    assert "the CUDA library libcublasLt.so.13 is missing.\n" in text
    assert 'Install the CUDA libraries: pip install "onnxruntime-gpu[cuda,cudnn]"' in text


def test_a_missing_library_is_named_on_windows(machine):
    machine(platform="win32")
    said = 'Error loading "onnxruntime_providers_cuda.dll" which depends on "cublasLt64_13.dll" which is missing. (126)'
    assert "the CUDA library cublasLt64_13.dll is missing." in why(said=said)


def test_a_missing_driver_and_a_missing_library_are_told_together(machine):
    machine(driver=cuda.Driver(found=False))
    text = why(said=MISSING_CUBLAS)
    assert "driver is missing (libcuda.so.1) and the CUDA library libcublasLt.so.13 is missing." in text
    assert "Install the NVIDIA driver" in text
    assert "Install the CUDA libraries" in text


def test_any_other_cause_is_given_in_onnxruntimes_own_words(machine):
    machine()
    said = "2026-01-02 03:04:05.6 [E:onnxruntime:Default, cuda_call.cc:1 F] CUDA failure 2: out of memory ; GPU=0\n"
    text = why(said=said)
    assert "no session can use it: CUDA failure 2: out of memory ; GPU=0.\n" in text
    assert "needs CUDA 13 and cuDNN 9" in text


def test_cuda_on_macos_points_to_core_ml(machine):
    machine(platform="darwin", available=["CPUExecutionProvider"])
    assert "there is no CUDA on macOS.\nUse --provider coreml or --provider cpu." in why()


def test_core_ml_elsewhere_is_told(machine):
    machine()
    assert "provider coreml: no session can use it: Core ML exists on macOS only." in why("CoreMLExecutionProvider")


def test_a_provider_that_the_build_lacks_names_the_package_that_has_it(machine):
    machine()
    text = why("DmlExecutionProvider")
    assert "provider directml: no session can use it: the installed ONNX Runtime 1.31.0 was built without it." in text
    assert "Install onnxruntime-directml in the place of" in text


def test_another_provider_that_fails_gives_what_onnxruntime_said(machine):
    machine(available=["TensorrtExecutionProvider", *GPU])
    said = "EP Error /onnxruntime_src/state.cc:729 void f(A&, const B&) Please install TensorRT libraries."
    text = why("TensorrtExecutionProvider", said)
    assert "provider tensorrt: no session can use it: Please install TensorRT libraries.\nInstall what" in text


def test_what_onnxruntime_logs_becomes_one_plain_line():
    assert logged("") == ""
    assert logged(MISSING_CUBLAS).startswith("Failed to load library /site/libonnxruntime_providers_cuda.so with error")


def test_tf32_is_off_unless_asked_for():
    assert providers.options("CUDAExecutionProvider", tf32=False) == {"use_tf32": "0"}
    assert providers.options("CUDAExecutionProvider", tf32=True) == {"use_tf32": "1"}


def test_the_extras_that_the_advice_names_exist():
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        extras = metadata("onnxruntime-gpu").get_all("Provides-Extra")
    except PackageNotFoundError:
        pytest.skip("onnxruntime-gpu is not installed here")
    assert {"cuda", "cudnn"} <= set(extras)


def test_preloading_prints_nothing(capfd):
    cuda.preload()
    assert capfd.readouterr() == ("", "")


def test_held_output_keeps_what_native_code_writes(capfd):
    import os

    with held_output() as held:
        os.write(2, b"from native code\n")
        print("from python")
    print("after")
    assert sorted(held.text.splitlines()) == ["from native code", "from python"]
    assert capfd.readouterr() == ("after\n", "")


@pytest.mark.cuda
def test_a_cuda_session_really_runs_on_cuda():
    try:
        session = open_session(onnx_samples.mlp().SerializeToString(), "cuda")
    except BridgeError as error:
        pytest.skip(str(error).splitlines()[0])
    assert session.provider == "cuda"


def test_without_cuda_the_error_says_why_and_nothing_else_is_printed(capfd):
    if cuda.driver().found:
        pytest.skip("this machine has an NVIDIA driver")
    with pytest.raises(BridgeError, match=r"^provider cuda: no session can use it: .*\n.*\nOr allow the CPU"):
        open_session(onnx_samples.mlp().SerializeToString(), "cuda")
    assert capfd.readouterr() == ("", "")


def test_a_session_that_lists_cuda_but_runs_on_the_cpu_is_not_taken_for_cuda(monkeypatch, machine):
    """The silent fallback: the provider is available by its name, the session holds the CPU alone."""
    from bridge.runtime import session

    real = library()
    machine()
    fake = SimpleNamespace(
        get_available_providers=lambda: GPU,
        SessionOptions=real.SessionOptions,
        InferenceSession=lambda source, settings, providers, **rest: real.InferenceSession(
            source, settings, providers=["CPUExecutionProvider"]
        ),
    )
    monkeypatch.setattr(session, "library", lambda: fake)
    monkeypatch.setattr(cuda, "preload", lambda: None)
    model = onnx_samples.mlp().SerializeToString()
    with pytest.raises(BridgeError, match="provider cuda: no session can use it: ONNX Runtime gave no reason"):
        open_session(model, "cuda")
    fallen = open_session(model, "cuda", fallback="cpu")
    assert fallen.provider == "cpu"
    assert fallen.fell_back == "provider cuda: no session can use it: ONNX Runtime gave no reason"
