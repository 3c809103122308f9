"""The torch form of each standard ONNX operator that can stand between layers."""

from __future__ import annotations

from bridge.torch_side.operators import (  # noqa: F401 (they register the operators)
    attention,
    elementwise,
    index,
    normal,
    quantized,
    recurrent,
    reduce,
    sampling,
    sequences,
    shape,
    signal,
    windows,
)
from bridge.torch_side.operators.form import OPERATORS, Operator, operator, value_of

__all__ = ["OPERATORS", "Operator", "operator", "value_of"]
