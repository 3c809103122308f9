"""The torch form of each standard ONNX operator that can stand between layers."""

from __future__ import annotations

from bridge.torch_side import operators_elementwise, operators_index, operators_reduce, operators_shape  # noqa: F401
from bridge.torch_side.operator_form import OPERATORS, Operator, operator, value_of

__all__ = ["OPERATORS", "Operator", "operator", "value_of"]
