"""ONNX Runtime: providers, sessions, evaluation. The only place that imports onnxruntime, and only on demand."""

from bridge.runtime.evaluate import evaluate
from bridge.runtime.result import Evaluation
from bridge.runtime.session import Session, open_session

__all__ = ["Evaluation", "Session", "evaluate", "open_session"]
