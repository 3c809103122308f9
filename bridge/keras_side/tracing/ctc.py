"""CTC losses, which ONNX has no form for: a model that only adds one converts without it. Greedy decoding has one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from unittest import mock

import keras
import tensorflow as tf
from tensorflow.python.ops import ctc_ops

from bridge.keras_side.tracing.control_flow import in_inner_graph
from bridge.keras_side.tracing.own_code import Needed, reached

if TYPE_CHECKING:
    from bridge.keras_side.tracing.tracer import Tracer

_PLACE = "bridge_ctc_loss"  # in the names of the operations that stand for such losses
_REASON = "it computes a CTC loss, which ONNX has no form for; "


@contextlib.contextmanager
def standing_in(tracer: Tracer) -> Iterator[None]:
    """Puts zeros in the place of TensorFlow's CTC losses, which `is_in` knows again."""

    def losses(logits: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        place = tf.identity(tf.zeros(tf.shape(lengths), logits.dtype), name=_PLACE)
        if in_inner_graph():
            tracer.problems.append(f"{tracer.scopes.owner(place.op.name) or 'its code'}: {_reason(None)}")
        return place

    with _with(losses):
        yield


def unknown() -> contextlib.AbstractContextManager[None]:
    """Puts NaN in the place of CTC losses: a model that only adds one gives the same without."""
    return _with(lambda logits, lengths: tf.fill(tf.shape(lengths), tf.constant(float("nan"), logits.dtype)))


@contextlib.contextmanager
def _with(losses: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Iterator[None]:
    """losses: of logits and their lengths, one for each row of a batch."""

    def sparse(labels: Any, inputs: Any = None, sequence_length: Any = None, *_: Any, **options: Any) -> tf.Tensor:
        logits = options.get("logits") if inputs is None else inputs
        return losses(tf.convert_to_tensor(logits), tf.convert_to_tensor(sequence_length))

    def dense(labels: Any, logits: Any, label_length: Any, logit_length: Any, *_: Any, **__: Any) -> tf.Tensor:
        return losses(tf.convert_to_tensor(logits), tf.convert_to_tensor(logit_length))

    with (
        mock.patch.object(tf.nn, "ctc_loss", dense),
        mock.patch.object(ctc_ops, "_ctc_loss_impl", sparse),
        mock.patch.object(ctc_ops, "ctc_loss_dense", dense),
    ):
        yield


def is_in(loss: Any) -> bool:
    """Whether a CTC loss is a part of this one."""
    return tf.is_tensor(loss) and any(reached([loss], lambda operator: operator.inputs, _stands))


def lack(described: str) -> str:
    return f"Training in torch will lack the CTC loss that {described} adds: ONNX has none (torch: F.ctc_loss)."


def problems(tracer: Tracer, outputs: Iterable[tf.Tensor], needed: Needed) -> list[str]:
    """One line for each CTC loss that these outputs of the model depend on."""
    names = [operator.name for operator in reached(outputs, needed, _stands)]
    return [f"{tracer.scopes.owner(name) or 'its code'}: {_reason(tracer.scopes.maker(name))}" for name in names]


def _stands(operator: tf.Operation) -> bool:
    return operator.name.rpartition("/")[2].startswith(_PLACE)


def _reason(layer: keras.Layer | None) -> str:
    """With the way to the model without it, where one tensor that is no input of the model comes into the layer."""
    given = layer._inbound_nodes[0].input_tensors if layer is not None and layer._inbound_nodes else []
    makers = {t._keras_history.operation.name for t in given if hasattr(t, "_keras_history")}
    makers -= {t._keras_history.operation.name for t in given if _is_input(t)}
    if len(makers) != 1:
        return f"{_REASON}take the model without it, as for its predictions"
    return f"{_REASON}save the model up to it, keras.Model(inputs, model.get_layer({makers.pop()!r}).output), for that"


def _is_input(tensor: Any) -> bool:
    return isinstance(getattr(tensor, "_keras_history", (None,))[0], keras.layers.InputLayer)


def decoding(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Keras's ctc_decode whose greedy strategy is without sparse tensors."""

    def decode(
        inputs: Any, sequence_lengths: Any, strategy: str = "greedy", beam_width: int = 100, top_paths: int = 1,
        merge_repeated: bool = True, mask_index: int | None = 0,
    ) -> tuple[tf.Tensor, tf.Tensor]:  # fmt: skip
        if strategy != "greedy":
            return plain(inputs, sequence_lengths, strategy, beam_width, top_paths, merge_repeated, mask_index)
        inputs, lengths = tf.convert_to_tensor(inputs), tf.cast(sequence_lengths, tf.int32)
        inputs = tf.cast(inputs, keras.backend.result_type(inputs.dtype.name, "float32"))
        rows, steps, classes = tf.unstack(tf.shape(inputs))
        blank = -1 if mask_index is None else mask_index
        within = tf.range(steps) < lengths[:, None]
        best = tf.argmax(inputs, -1, output_type=tf.int32)
        kept = within & (best != (blank + classes if blank < 0 else blank))
        if merge_repeated:
            kept &= tf.concat([tf.ones_like(kept[:, :1]), best[:, 1:] != best[:, :-1]], 1)
        # what is left out goes to a place behind the last
        place = tf.where(kept, tf.cumsum(tf.cast(kept, tf.int32), 1) - 1, steps)
        row = tf.broadcast_to(tf.range(rows)[:, None], tf.shape(place))
        filled = tf.scatter_nd(tf.stack([row, place], -1), best + 1, tf.stack([rows, steps + 1]))
        scores = tf.reduce_sum(tf.where(within, tf.reduce_max(inputs, -1), 0.0), 1, keepdims=True)
        return (filled[:, :-1] - 1)[None], tf.stop_gradient(-scores)  # TensorFlow has no gradient of it either

    return decode
