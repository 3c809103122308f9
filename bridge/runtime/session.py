"""ONNX Runtime sessions that say which provider they really run on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bridge.errors import BridgeError
from bridge.graph.files import read_proto
from bridge.graph.looked_up import looked_up_in
from bridge.runtime import cuda, providers
from bridge.runtime.final import final_activation
from bridge.runtime.library import SILENT, errors, held_output, library, message

# ONNX Runtime 1.31 merges a Pad with zeros into the MaxPool that follows, which pads with -inf: wrong wherever
# all that a window covers is negative (ResNet50V2 was off by 0.16).
DISABLED_OPTIMIZERS = ["Pad_Fusion"]
FOLDER = "session.model_external_initializers_file_folder_path"
TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16} | {
    f"tensor({name})": np.dtype(name)
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
}


@dataclass(frozen=True)
class Value:
    """An input or output of a session: `shape` with the batch axis, None where a size is open."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype


class Session:
    """A model that is open in ONNX Runtime.

    provider: what the user would type for the provider that the session really runs on: "cpu", "cuda".
    fell_back: why it is not the provider that was asked for; None when it is.
    final: what each output ends in, as final_activation says; empty for a model that was given as bytes.
    below: the inputs that are looked up in tables, with their rows; empty for such a model too.
    """

    def __init__(self, raw: Any, name: str, fell_back: str | None, final: dict[str, str], below: dict[str, int]):
        self._raw = raw
        self._errors = errors()
        self.name = name
        self.provider = providers.short(raw.get_providers()[0])
        self.fell_back = fell_back
        self.final, self.below = final, below
        self.inputs = [_value(v, name) for v in raw.get_inputs()]
        self.outputs = [_value(v, name) for v in raw.get_outputs()]
        self.metadata: dict[str, str] = dict(raw.get_modelmeta().custom_metadata_map)

    def run(self, feeds: dict[str, np.ndarray], outputs: list[str] | None = None) -> list[np.ndarray]:
        """The outputs (all, or those named) for one batch. Raises BridgeError when ONNX Runtime refuses it."""
        try:
            values: list[np.ndarray] = self._raw.run(outputs, feeds)
        except self._errors as error:
            shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in feeds.items())
            said = message(error)
            raise BridgeError(
                f"{self.name}: ONNX Runtime ({self.provider}) could not run it on {shapes}.\n{said}{_hint(said)}"
            ) from error
        return values


def open_session(
    model: str | Path | bytes,
    provider: str = "cpu",
    fallback: str | None = None,
    threads: int | None = None,
    tf32: bool = False,
    folder: Path | None = None,
) -> Session:
    """Opens an .onnx file, or its bytes, on `provider`, or on `fallback` where no session can use `provider`.

    folder: where the data file of bytes is, if they have one.

    threads: how many an operator uses on the CPU; by default ONNX Runtime's choice, one for each core.
    tf32: lets CUDA round the factors of float32 products to 10 bits of mantissa.
    Raises BridgeError if the model is invalid or has operators that ONNX Runtime lacks, and if the session that was
    made does not use `provider` and there is no `fallback`.
    """
    if threads is not None and threads < 1:
        raise BridgeError(f"--threads {threads}: must be 1 or more.")
    source: str | bytes
    if isinstance(model, bytes):
        name, source, final, below = "the model", model, {}, {}
    else:
        proto = read_proto(model)  # refuses sizes and links that lie, before ONNX Runtime's parser sees the file
        name = source = str(model)
        final = {output.name: final_activation(proto, output.name) for output in proto.graph.output}
        below = looked_up_in(proto)
        del proto
    wanted = providers.resolve(provider)
    second = None if fallback is None else providers.resolve(fallback, "--fallback")
    raw, said = _create(source, name, wanted, threads, tf32, folder)
    if raw is not None:
        return Session(raw, name, None, final, below)
    fault = providers.unusable(wanted, said)
    if second is None:
        raise fault
    raw, said = _create(source, name, second, threads, tf32, folder)
    if raw is None:
        raise providers.unusable(second, said)
    reason = str(fault).splitlines()[0].removesuffix(".")
    return Session(raw, name, reason, final, below)


def _create(
    source: str | bytes, name: str, provider: str, threads: int | None, tf32: bool, folder: Path | None
) -> tuple[Any | None, str]:
    """A session on `provider`, or None and what ONNX Runtime said, when the provider can't be used."""
    ort = library()
    if provider not in ort.get_available_providers():
        return None, ""
    settings = ort.SessionOptions()
    settings.log_severity_level = SILENT
    if threads is not None:
        settings.intra_op_num_threads = threads
    if folder is not None:
        settings.add_session_config_entry(FOLDER, str(folder.resolve()))
    if provider == providers.CPU:
        try:
            return _session(source, settings, [provider]), ""
        except errors() as error:
            raise _refused(name, error) from error
    if provider == "CUDAExecutionProvider":
        cuda.preload()
    failure, raw = "", None
    with held_output() as held:  # the default logger writes there why a provider failed, whatever the session's level
        try:
            raw = _session(source, settings, [(provider, providers.options(provider, tf32)), providers.CPU])
        except errors() as error:
            failure = f"EP Error {error}"
    # The list of available providers promises more than a session can hold: what counts is the session's own.
    if raw is not None and raw.get_providers()[0] == provider:
        return raw, ""
    if raw is None:  # the model's fault or the provider's? The CPU alone tells.
        _create(source, name, providers.CPU, threads, tf32, folder)
    return None, f"{held.text}\n{failure}"


def _session(source: str | bytes, settings: Any, chosen: list[Any]) -> Any:
    # Without enable_fallback=0 ONNX Runtime prints a notice, goes to the CPU by itself, and in a later run too.
    return library().InferenceSession(
        source, settings, providers=chosen, disabled_optimizers=DISABLED_OPTIMIZERS, enable_fallback=0
    )


def _hint(said: str) -> str:
    """What mends a call that failed, where that is known; with the line break before it."""
    if re.search("out of memory|failed to allocate|bad_alloc", said, re.IGNORECASE):
        return "\nTry a smaller --batch."
    if "cudnn" in said.lower():  # loaded by the first operator that needs it, not when the session is made
        return f"\nInstall cuDNN: {cuda.EXTRAS}"
    return ""


def _refused(name: str, error: Exception) -> BridgeError:
    reason = message(error)
    if "NOT_IMPLEMENTED" in str(error) or "is not a registered function/op" in str(error):
        return BridgeError(f"{name}: ONNX Runtime {library().__version__} lacks an operator of this model.\n{reason}")
    return BridgeError(f"{name}: ONNX Runtime can't open this model.\n{reason}")


def _value(info: Any, name: str) -> Value:
    if info.type not in TYPES:
        raise BridgeError(f"{name}: {info.name} is {info.type}; only tensors of numbers can be evaluated.")
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in info.shape)
    return Value(info.name, shape, np.dtype(TYPES[info.type]))
