"""Why ONNX Runtime can't use CUDA here: the wheel, the driver, the device or the libraries; and how to mend each."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import re
import sys
import warnings
from dataclasses import dataclass

from bridge.runtime.library import held_output, library, logged

NO_DEVICE = 100  # cuda.h: CUDA_ERROR_NO_DEVICE
EXTRAS = 'pip install "onnxruntime-gpu[cuda,cudnn]"'  # cuBLAS comes with the extra cudnn
MISSING_LIBRARY = re.compile(
    r"(lib[\w+-]+\.so[.\d]*): cannot open shared object|depends on \"?([\w-]+\.dll)\"? which is"
)


@dataclass(frozen=True)
class Driver:
    """What the NVIDIA driver says of itself; `version` is 12040 for CUDA 12.4, `error` a CUresult."""

    found: bool
    version: int = 0
    devices: int = 0
    error: int = 0


def preload() -> None:
    """Loads the CUDA and cuDNN libraries of the nvidia-* wheels, which the loader does not find by itself."""
    preload_dlls = getattr(library(), "preload_dlls", None)
    if preload_dlls is not None:
        with held_output(), warnings.catch_warnings(action="ignore"):  # it reports each library that it can't load
            preload_dlls()


def diagnose(said: str) -> tuple[str, str]:
    """The reason why no session can use CUDA, and what mends it; `said` is what ONNX Runtime logged."""
    if sys.platform == "darwin":
        return "there is no CUDA on macOS", "Use --provider coreml or --provider cpu."
    if "CUDAExecutionProvider" not in library().get_available_providers():
        return _wheel()
    found = [*_driver_faults(driver()), *_library_faults(said)]
    if not found:
        reason = logged(said) or "ONNX Runtime gave no reason"
        return reason, f"The installed onnxruntime-gpu needs CUDA {_built_for() or 'libraries'} and cuDNN 9: {EXTRAS}"
    reasons, mends = zip(*found, strict=True)
    return " and ".join(reasons), " ".join(mends)


def _wheel() -> tuple[str, str]:
    plain, gpu = installed("onnxruntime"), installed("onnxruntime-gpu")
    if plain and gpu:
        return (
            "both onnxruntime and onnxruntime-gpu are installed, and the CPU-only one hides the other",
            f"Mend it with: pip uninstall -y onnxruntime onnxruntime-gpu && {EXTRAS}",
        )
    name = "onnxruntime" if plain else "package"
    return (
        f"the installed {name} {library().__version__} is CPU-only",
        f"Mend it with: pip uninstall -y onnxruntime && {EXTRAS}",
    )


def _driver_faults(driver: Driver) -> list[tuple[str, str]]:
    built_for = _built_for()
    if not driver.found:
        name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
        mend = "Install the NVIDIA driver (in a container: start it with --gpus all)."
        return [(f"the NVIDIA driver is missing ({name})", mend)]
    if driver.error == NO_DEVICE or not driver.devices:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        if hidden is not None:
            return [(f"CUDA_VISIBLE_DEVICES={hidden!r} leaves no device", "Unset CUDA_VISIBLE_DEVICES.")]
        mend = "See what nvidia-smi lists (in a container: start it with --gpus all)."
        return [(f"the NVIDIA driver finds no device{_code(driver.error)}", mend)]
    if driver.error:
        return [(f"the NVIDIA driver does not start{_code(driver.error)}", "See what nvidia-smi says.")]
    if built_for and driver.version // 1000 < built_for:
        known = f"{driver.version // 1000}.{driver.version % 1000 // 10}"
        return [
            (
                f"the NVIDIA driver knows CUDA up to {known}, the installed onnxruntime-gpu needs CUDA {built_for}",
                "Update the NVIDIA driver.",
            )
        ]
    return []


def _code(error: int) -> str:
    return f" (CUDA error {error})" if error else ""


def _library_faults(said: str) -> list[tuple[str, str]]:
    names = [one or other for one, other in MISSING_LIBRARY.findall(said)]
    missing = list(dict.fromkeys(name for name in names if "nvinfer" not in name and not name.startswith("libcuda.so")))
    if not missing:
        return []
    return [(f"the CUDA library {', '.join(missing)} is missing", f"Install the CUDA libraries: {EXTRAS}")]


def _built_for() -> int | None:
    """The CUDA major version that the installed ONNX Runtime was built for."""
    version = str(getattr(library(), "cuda_version", "") or "")
    return int(version.split(".")[0]) if version[:1].isdigit() else None


def installed(package: str) -> bool:
    """Whether pip knows `package` as installed."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def driver() -> Driver:
    """Asks the NVIDIA driver itself, which needs neither the CUDA libraries nor a running session."""
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return Driver(found=False)
    version, devices = ctypes.c_int(0), ctypes.c_int(0)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    error = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(devices))
    return Driver(found=True, version=version.value, devices=devices.value, error=error)
