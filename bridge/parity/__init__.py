"""Do these files compute the same? Outputs, layers, gradients and training steps; each framework in its own process."""

import sys
from types import ModuleType
from typing import Any

from bridge.parity.arrays import RTOL
from bridge.parity.compare import compare
from bridge.parity.gradients import GradientReport, compare_gradients
from bridge.parity.report import Layer, Report, Row
from bridge.parity.training import TrainingReport, compare_training

__all__ = [
    "RTOL",
    "GradientReport",
    "Layer",
    "Report",
    "Row",
    "TrainingReport",
    "compare",
    "compare_gradients",
    "compare_training",
]


class _CallableModule(ModuleType):
    """`bridge.parity(A, B)`: importing this package puts it in the place of the function of that name."""

    def __call__(self, *files: Any, **options: Any) -> Report:
        return compare(files, **options)


sys.modules[__name__].__class__ = _CallableModule
