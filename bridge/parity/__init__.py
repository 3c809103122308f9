"""Do these files compute the same? Outputs, layers, gradients and training steps; each framework in its own process."""

from bridge.parity.compare import RTOL, compare
from bridge.parity.report import Layer, Report, Row
from bridge.parity.training import GradientReport, TrainingReport, compare_gradients, compare_training

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
