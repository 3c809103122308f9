"""A traced model that has operators of its own between the layers, by way of tf2onnx."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Iterator
from typing import Any
from unittest import mock

import onnx
import tensorflow as tf
import tf2onnx
from keras.src.export.tf2onnx_lib import patch_tf2onnx
from tf2onnx.optimizer.identity_optimizer import IdentityOptimizer

from bridge.graph.body import OPSET
from bridge.keras_side.tracing import (  # noqa: F401 (they register handlers)
    handlers_derivatives,
    handlers_index,
    handlers_matrices,
    handlers_numbers,
    handlers_segments,
)
from bridge.keras_side.tracing.complex_numbers import without_complex
from bridge.keras_side.tracing.handlers import HANDLERS, Unwritten
from bridge.keras_side.tracing.nodes import as_placeholder, as_where, restore, without_form
from bridge.keras_side.tracing.unfed import large_inputs_unfed

logging.getLogger("tf2onnx").setLevel(logging.ERROR)


class NoForm(Exception):
    """What of a function has no form in ONNX: reasons, each with the name of TensorFlow's operation or ""."""

    def __init__(self, reasons: list[tuple[str, str]]):
        super().__init__("; ".join(reason for _, reason in reasons))
        self.reasons = list(dict.fromkeys(reasons))


def operators_too(function: Any, specs: list[tf.TensorSpec]) -> onnx.ModelProto:
    """The function as tf2onnx writes it, layers' placeholders left as they are. Raises NoForm for what it can't."""
    patch_tf2onnx()  # tf2onnx 1.17 does not know numpy 2
    handlers = {"PyFunc": (as_placeholder, []), "SelectV2": (as_where, [])}
    handlers |= {kind: (function, []) for kind, function in HANDLERS.items()}
    with _quickly(), large_inputs_unfed(), _failures() as (failed, behind):
        try:
            proto, _ = tf2onnx.convert.from_function(function, specs, opset=OPSET, custom_op_handlers=handlers)
        except Exception as error:  # its assertions, and whatever else its many parts fail with
            said = " ".join(str(error).split())[:200]
            raise NoForm(
                failed or [("", f"tf2onnx can't write it as ONNX ({type(error).__name__}: {said})")]
            ) from error
    restore(proto)
    told = {*behind, *(name for name, _ in failed)}
    if reasons := [*(each for each in without_form(proto.graph.node) if each[0] not in told), *failed]:
        raise NoForm(reasons)
    return proto


@contextlib.contextmanager
def _failures() -> Iterator[tuple[list[tuple[str, str]], set[str]]]:
    """Gathers what tf2onnx fails at, node by node, where it would stop at the first; and what is left with it."""
    failed: list[tuple[str, str]] = []
    behind: set[str] = set()

    class Gathering(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.args and str(record.args[0]) not in behind:
                error = record.exc_info[1]
                said = " ".join(str(error).split())[:160]
                reason = said if isinstance(error, Unwritten) else f"tf2onnx can't write it as ONNX ({said})"
                failed.append((str(record.args[0]), reason))  # type: ignore[index]

    plain = tf2onnx.tfonnx.tensorflow_onnx_mapping

    def mapping(graph: Any, *args: Any, **kwargs: Any) -> Any:
        reasons, left = without_complex(graph)
        failed.extend(reasons)
        behind.update(left)
        mapped, unmapped, _ = plain(graph, *args, **kwargs)
        return mapped, unmapped, []

    logger, gathering = logging.getLogger(tf2onnx.tfonnx.__name__), Gathering()
    logger.addHandler(gathering)
    propagates, logger.propagate = logger.propagate, False
    try:
        with mock.patch.object(tf2onnx.tfonnx, "tensorflow_onnx_mapping", mapping):
            yield failed, behind
    finally:
        logger.removeHandler(gathering)
        logger.propagate = propagates


@contextlib.contextmanager
def _quickly() -> Iterator[None]:
    """Two parts of tf2onnx, replaced by what does the same in a time that grows with the graph, not with its square."""
    plain = tf2onnx.optimizer.optimize_graph

    def optimized(graph: Any, catch_errors: bool = True, optimizers: Any = None) -> Any:
        kept = copy.deepcopy(graph)  # one copy for all passes, where tf2onnx makes one for each
        try:
            return plain(graph, False, optimizers)
        except Exception:  # whatever a pass fails with: then with a copy for each, which leaves that pass out
            return plain(kept, True, optimizers)

    def removed(graph: Any, identity: Any) -> bool:
        graph.replace_all_inputs(identity.output[0], identity.input[0])  # its users alone, not all nodes
        graph.remove_node(identity.name)
        return True

    with (
        mock.patch.object(tf2onnx.optimizer, "optimize_graph", optimized),
        mock.patch.object(IdentityOptimizer, "_handle_non_graph_output_identity", staticmethod(removed)),
    ):
        yield
