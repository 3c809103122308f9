"""The two files of a comparison in training: one of Keras, one that torch runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bridge.errors import BridgeError
from bridge.folder import refuse_own_module
from bridge.parity.subjects import TorchFolder, is_keras


def keras_and_torch(files: Sequence[str | Path]) -> tuple[str, str]:
    """The Keras file, then the bridge folder or layered .onnx file. Raises BridgeError if they are others."""
    paths = [str(path) for path in files]
    keras = [path for path in paths if is_keras(path)]
    others = [path for path in paths if path not in keras]
    if len(keras) != 1 or len(others) != 1:
        raise BridgeError(
            "Training is compared of one Keras file with one bridge folder (or layered .onnx file); found "
            f"{len(keras)} and {len(others)}."
        )
    if Path(others[0]).is_dir():
        refuse_own_module(others[0])
        TorchFolder(others[0])  # its checks: torch is installed, the folder is one of bridge's
    return keras[0], others[0]
