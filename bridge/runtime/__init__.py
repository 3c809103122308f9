"""ONNX Runtime: providers, sessions, evaluation. The only place that imports onnxruntime, and only on demand."""

import os

# before it is imported: it would write an id of the session into the temporary folder, and tell its maker of it
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from bridge.runtime.evaluate import evaluate
from bridge.runtime.result import Evaluation
from bridge.runtime.session import Session, open_session

__all__ = ["Evaluation", "Session", "evaluate", "open_session"]
