"""The torch form of each standard ONNX operator that can stand between layers."""

from __future__ import annotations

from bridge.torch_side import (  # noqa: F401 (they register the operators)
    operators_attention,
    operators_elementwise,
    operators_index,
    operators_normal,
    operators_quantized,
    operators_recurrent,
    operators_reduce,
    operators_sampling,
    operators_sequences,
    operators_shape,
    operators_signal,
    operators_windows,
)
from bridge.torch_side.operator_form import OPERATORS, Operator, operator, value_of

__all__ = ["OPERATORS", "Operator", "operator", "value_of"]
