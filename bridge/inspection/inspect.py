"""Which kind of file is it, and who tells of it?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bridge.errors import BridgeError
from bridge.inspection.folder import inspect_folder
from bridge.inspection.keras_file import inspect_keras
from bridge.inspection.onnx_file import inspect_onnx
from bridge.inspection.result import Inspection
from bridge.inspection.tensors import inspect_safetensors
from bridge.keras_side.checkpoints.files import is_checkpoint
from bridge.keras_side.saved_model.folder import is_saved_model
from bridge.keras_side.source import KERAS_FILES, Paths, Source, listed


def inspect(
    path: str | Path,
    *,
    arch: str | None = None,
    mlp: str | None = None,
    unsafe: bool = False,
    from_layer: str | Iterable[str] = (),
    custom: Paths = (),
    rules: Paths = (),
    signature: str | None = None,
    backend: str | None = None,
) -> Inspection:
    """What is in a Keras file, an .onnx file, a bridge folder or a .safetensors file, and what convert would do.

    A SavedModel folder counts as Keras file, and so does a checkpoint of TensorFlow's.
    arch, mlp, unsafe, from_layer, custom, rules, signature, backend: as for convert; Keras files alone take them.
    Raises BridgeError if the file is damaged, or of none of these kinds.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    is_keras = suffix in KERAS_FILES or is_saved_model(file) or is_checkpoint(file)
    if not is_keras and not file.exists():
        raise BridgeError(f"{path}: no such file.")
    if is_keras:
        part, given = listed(from_layer), listed(custom)
        return inspect_keras(Source(str(path), arch, mlp, unsafe, part, given, listed(rules), signature, backend))
    if arch or mlp or unsafe or from_layer or custom or rules or signature or backend:
        options = "--arch, --mlp, --from-layer, --custom, --rules, --signature, --backend and --unsafe"
        raise BridgeError(f"{path}: is no Keras file; {options} are for those.")
    if file.is_dir():
        return inspect_folder(file)
    if suffix == ".onnx":
        return inspect_onnx(file)
    if suffix == ".safetensors":
        return inspect_safetensors(file)
    raise BridgeError(
        f"{path}: bridge knows Keras files (.keras, .h5, .hdf5, .weights.h5), SavedModel folders, checkpoints of "
        f"TensorFlow's (NAME.index), .onnx, .safetensors and bridge folders,\nnot {suffix or 'files without a suffix'}."
    )
