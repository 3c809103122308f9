"""Execution providers: their names, their options, and why one can't be used."""

from __future__ import annotations

import sys
from typing import Any

from bridge.errors import BridgeError
from bridge.runtime import cuda
from bridge.runtime.library import library, logged

CPU = "CPUExecutionProvider"
NAMES = {
    "cpu": CPU,
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
    "dml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
    "qnn": "QNNExecutionProvider",
}
WHEELS = {  # the package that holds a provider, where it is not onnxruntime itself
    "TensorrtExecutionProvider": "onnxruntime-gpu",
    "DmlExecutionProvider": "onnxruntime-directml",
    "OpenVINOExecutionProvider": "onnxruntime-openvino",
    "ROCMExecutionProvider": "onnxruntime-rocm",
    "MIGraphXExecutionProvider": "onnxruntime-migraphx",
    "QNNExecutionProvider": "onnxruntime-qnn",
}


def resolve(name: str, option: str = "--provider") -> str:
    """ONNX Runtime's name of the provider that the user calls `name`: "cuda" is "CUDAExecutionProvider".

    option: where the user wrote it.
    Raises BridgeError for a name that neither this table nor the installed ONNX Runtime knows.
    """
    plain = name.lower().removesuffix("executionprovider")
    if plain in NAMES:
        return NAMES[plain]
    for known in library().get_all_providers():
        if known.lower().removesuffix("executionprovider") == plain:
            return str(known)
    raise BridgeError(f"{option} {name}: there is no such provider.\nKnown are: {', '.join(NAMES)}.")


def short(provider: str) -> str:
    """The name a user types for ONNX Runtime's `provider`: "cuda" for "CUDAExecutionProvider"."""
    return next((name for name, full in NAMES.items() if full == provider), provider)


def options(provider: str, tf32: bool) -> dict[str, Any]:
    """The options that `provider` is created with."""
    if provider == "CUDAExecutionProvider":
        # On by default; rounds float32 products to 10 bits of mantissa, seen as differences of 1e-3.
        return {"use_tf32": str(int(tf32))}
    if provider == "TensorrtExecutionProvider":
        return {"trt_fp16_enable": "0"}
    return {}


def unusable(provider: str, said: str) -> BridgeError:
    """Why no session can use `provider` and how to mend it; `said` is what ONNX Runtime logged or raised."""
    name = short(provider)
    if provider == "CUDAExecutionProvider":
        reason, mend = cuda.diagnose(said)
    elif provider not in library().get_available_providers():
        wheel = WHEELS.get(provider, "a build of onnxruntime that has it")
        reason = f"the installed ONNX Runtime {library().__version__} was built without it"
        mend = f"Install {wheel} in the place of the installed onnxruntime package."
        if provider == "CoreMLExecutionProvider" and sys.platform != "darwin":
            reason, mend = "Core ML exists on macOS only", "Choose another provider."
    else:
        reason, mend = logged(said) or "ONNX Runtime gave no reason", f"Install what {name} needs."
    return BridgeError(f"provider {name}: no session can use it: {reason}.\n{mend}\nOr allow the CPU: --fallback cpu.")
