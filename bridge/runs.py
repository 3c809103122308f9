"""The runs by which a conversion is proved; where one fails, whether the user's own rules are the reason."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx

from bridge.errors import CheckFailed
from bridge.graph import Graph
from bridge.graph.changes.inner_layers import layer_nodes

if TYPE_CHECKING:
    from torch import nn


def in_onnx_runtime(
    proto: onnx.ModelProto, graph: Graph, inputs: dict[str, np.ndarray], folder: Path | None = None
) -> dict[str, np.ndarray]:
    """What ONNX Runtime gives. folder: where the weights of a large model are.

    Raises CheckFailed if it can't run the bodies of the user's own rules."""
    from bridge.runtime import open_session

    own = dict.fromkeys(node.kind for node in layer_nodes(graph) if node.name in graph.functions)
    try:
        session = open_session(proto.SerializeToString(), folder=folder)
        return dict(zip([value.name for value in session.outputs], session.run(inputs), strict=True))
    except Exception as error:  # ONNX Runtime's errors have no common class
        if not own:
            raise
        raise CheckFailed(
            f"{graph.name}: ONNX Runtime can't run it with your bodies of {', '.join(own)}: {_one_line(error)}.\n"
            "Nothing was written."
        ) from error


def in_torch(module: nn.Module, graph: Graph, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the torch module gives. Raises CheckFailed if the code of the user's own rules fails in it."""
    from bridge.torch_side.run import run

    if not graph.functions:
        return run(module, inputs)
    from bridge.torch_side.writing.own_rules import check_alone

    try:
        outputs = run(module, inputs)
    except Exception as error:  # anything can come out of the user's modules
        raise CheckFailed(
            f"{graph.name}: the torch module with your own rules fails: {type(error).__name__}: {_one_line(error)}.\n"
            "Nothing was written."
        ) from error
    check_alone(module)
    return outputs


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300].removesuffix(".")
