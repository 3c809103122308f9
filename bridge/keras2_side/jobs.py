"""What the tf_keras process does when asked: the jobs of `bridge.process.worker("keras2_side")`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras

from bridge.keras_side.files import hdf5


def job_run(path: str, config: str, inputs: list[np.ndarray]) -> dict[str, Any]:
    """What tf_keras computes with the model of an .h5 file: {"outputs": [...], "version"}, or {"failed": why}.

    Only for files that bridge itself has read. config: the one that was converted, in which `bridge.keras2_side.trust`
    found nothing that would run; {"other": True} if the file holds another one (--arch), which may hold anything.
    """
    if _config(path) != config:
        return {"other": True}
    try:
        model = tf_keras.models.load_model(path, compile=False)
        result = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    except Exception as error:  # it checks little, so anything can come; and what it can't read is no fault of the file
        return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"}
    listed = (
        result if isinstance(result, list | tuple) else list(result.values()) if hasattr(result, "values") else [result]
    )
    return {"outputs": [np.asarray(output) for output in listed], "version": tf_keras.__version__}


def _config(path: str) -> Any:
    file = Path(path)
    with hdf5.opened(file, file.name, file.stat().st_size) as checked:
        return checked.attribute("", "model_config")


JOBS: dict[str, Callable[..., Any]] = {"run": job_run}
