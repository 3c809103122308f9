"""Keras model -> layered graph.

While tf2onnx traces the model, every built-in layer that has a body is an opaque placeholder with its tensors and its
weights as inputs, so nothing in it can be folded, fused or dropped. What stands between such layers becomes standard
ONNX operators. All variables are inputs of the trace: a custom layer's weights stay visible too.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import onnx
import tensorflow as tf

from bridge.errors import BridgeError
from bridge.graph import Graph
from bridge.graph.changes.fold import folded
from bridge.graph.check import invalid
from bridge.graph.own_layers import own_functions
from bridge.graph.stored import Arrays
from bridge.keras_side.building.architecture import said
from bridge.keras_side.names import Names, names
from bridge.keras_side.precision import in_float32, note
from bridge.keras_side.running.sizes import refuse_huge_operations
from bridge.keras_side.saved_model import origin
from bridge.keras_side.signature import named_outputs, signature
from bridge.keras_side.tracing import ctc, dropping
from bridge.keras_side.tracing.carried import carried
from bridge.keras_side.tracing.direct import layers_alone
from bridge.keras_side.tracing.forks import needed
from bridge.keras_side.tracing.in_training import Flag, state
from bridge.keras_side.tracing.modes import Modes
from bridge.keras_side.tracing.nodes import fill
from bridge.keras_side.tracing.own_code import drawing, with_gradients_of_their_own
from bridge.keras_side.tracing.own_layers import refuse_idle
from bridge.keras_side.tracing.own_penalties import lacking
from bridge.keras_side.tracing.penalty_nodes import with_penalties
from bridge.keras_side.tracing.refusals import Unconvertible, refusals, refuse, without_what_is_within
from bridge.keras_side.tracing.tracer import Tracer
from bridge.keras_side.weights import numbers
from bridge.own_rules import Rules

ASKS = "its own code asks whether it is training; in torch's train() too it does what it does in inference"
DRAWS = "its own code draws random numbers in inference too; let it draw only if `training` is true"


def trace(model: keras.Model, source: dict[str, Any] | None = None, rules: Rules | None = None) -> Graph:
    """The layered graph of a built Keras model, with its weights; one of mixed precision as it is in float32.

    rules: the user's own, for layers of theirs.
    Raises BridgeError, listing every layer that can't be converted and why.
    """
    with in_float32(model) as policies:
        graph = _traced(model, source, rules or Rules())
    graph.keras_config = _config(model)
    origin.note(model, graph)
    if policies:
        graph.source["notes"] = [note(policies), *graph.source.get("notes", [])]
    return graph


def _traced(model: keras.Model, source: dict[str, Any] | None, rules: Rules) -> Graph:
    found = names(model)
    refuse_idle(model, found, rules)
    refused = refusals(model, found, rules)
    try:
        return _traced_through(model, source, found, rules, refused)
    except Unconvertible:
        raise
    except Exception:  # whatever comes of layers that can't be converted: these are told instead, else it is raised
        refuse(model, refused)
        raise


def _traced_through(
    model: keras.Model, source: dict[str, Any] | None, found: Names, rules: Rules, refused: list[str]
) -> Graph:
    """refused: what is known to stand in the way, which is told with what is found on the way."""
    inputs, _ = signature(model)
    if not all(layer.built for layer in model._flatten_layers()):
        _build(model)
        found = names(model)
    for layer in model._flatten_layers():
        if getattr(layer, "_flash_attention", None):
            layer._flash_attention = False  # a faster way to the same on other backends, an error on TensorFlow
    weights = list(found.weights.values())
    made, notes = _both_ways(model, found, rules, refused)
    tracer, proto, output_names = made.tracer, made.proto, made.output_names
    rename = {f"bridge_input_{i}": v.name for i, v in enumerate(inputs)}
    rename |= {f"bridge_weight_{i}": w.path for i, w in enumerate(weights)}
    graph = Graph(
        name=_model_name(model, source),
        inputs=inputs,
        outputs=[],
        nodes=[],
        weights={w.path: w for w in weights},
        arrays=Arrays({path: partial(numbers, variable) for path, variable in found.variables.items()}),
        source={"keras": keras.__version__, **(source or {}), "masked": tracer.masked},
    )
    fill(graph, proto, tracer.calls, rename, output_names, tracer.scopes.short)
    kept = {id(node) for node in graph.nodes}
    lost = [call.node.layer for call in tracer.calls if call.node.kind == "AddedLoss" and id(call.node) not in kept]
    refuse(model, [f"{layer}: it adds a loss, but no output of the model depends on its own" for layer in lost])
    refuse(model, carried(model, graph, made.assigned))
    notes += [*dict.fromkeys(tracer.lacking), *lacking(found)]
    if tracer.own_gradients:
        graph.source["own_gradients"] = tracer.own_gradients
    if notes:
        graph.source["notes"] = [*graph.source.get("notes", []), *notes]
    graph = folded(graph)
    graph.functions = own_functions(graph, rules)
    refuse(model, [_told(tracer, *reason) for reason in invalid(graph)])
    return graph


def _told(tracer: Tracer, operation: str, reason: str) -> str:
    """A reason with the layer whose code it is about, as far as the operation's name tells."""
    owner = tracer.scopes.owner(operation)
    return f"{owner + ': ' if owner else ''}{reason}" + (f" ({operation})" if operation else "")


@dataclass
class _Trace:
    """A model as tf2onnx saw it. assigned: the variables that its code assigns to in inference, by path."""

    tracer: Tracer
    proto: onnx.ModelProto
    output_names: list[str]
    assigned: dict[str, keras.Variable]


def _both_ways(model: keras.Model, found: Names, rules: Rules, refused: list[str]) -> tuple[_Trace, list[str]]:
    """The trace, with what the model's own code does in training where it does another thing then, and notes."""
    made = _as_onnx(model, found, rules, refused)
    dropped = made.tracer.dropping.values()
    within = [layer for layer in dropped if dropping.is_layer(layer)]
    modes = Modes(model, made.tracer, lambda **options: _Forward(model, found, rules, **options))
    layers = modes.layers + within
    failed: dict[int, str] = {}

    def traced(forks: list[keras.Layer]) -> _Trace | None:
        try:
            return _as_onnx(model, found, rules, [], forks)
        except Exception as error:  # whatever its code does in training, it must not stop a conversion without it
            failed.update({id(layer): said(error)[:200] for layer in forks})
            return None

    forked = traced(layers) if layers else None
    if layers and forked is None and len(layers) > 1:
        alone = [layer for layer in layers if traced([layer]) is not None]
        failed = {key: why for key, why in failed.items() if key not in {id(layer) for layer in alone}}
        forked = traced(alone) if alone else None
    made = forked or made
    inert = modes.inert(made.tracer) | made.tracer.forks.unforked
    described = made.tracer.scopes.described
    inert |= {described(layer): failed[id(layer)] for layer in layers if id(layer) in failed}
    own = {id(cell) for layer in within for cell in layer._flatten_layers()}
    cells = [described(layer) for layer in dropped if id(layer) not in own]
    asks = [f"{who}: {ASKS}{f' ({why})' if why else ''}" for who, why in inert.items()]
    return made, [*map(dropping.lack, cells), *asks]


class _Forward:
    """A model as a function that TensorFlow traces. forks: see Tracer. mode: the training flag, None: it stays open."""

    def __init__(
        self,
        model: keras.Model,
        found: Names,
        rules: Rules,
        forks: Iterable[keras.Layer] = (),
        mode: bool | None = None,
    ):
        self.model, (self.inputs, self._arguments) = model, signature(model)
        self.tracer = Tracer(model, found, [value.name for value in self.inputs], rules, map(id, forks), mode)
        self._flag = Flag() if mode is None else mode
        self._named, self._variables = found.variables, list(found.variables.values())
        self.outputs: dict[str, tf.Tensor] = {}
        self.assigned: dict[str, keras.Variable] = {}
        specs = [tf.TensorSpec(v.shape, v.dtype, name=f"bridge_input_{i}") for i, v in enumerate(self.inputs)]
        self.specs = specs + [
            tf.TensorSpec(v.shape, v.dtype, name=f"bridge_weight_{i}") for i, v in enumerate(self._variables)
        ]
        self.function = tf.function(self._forward, input_signature=self.specs, autograph=False)

    def trace(self) -> Any:
        return self.function.get_concrete_function()

    def _forward(self, *tensors: tf.Tensor) -> list[tf.Tensor]:
        tracer = self.tracer
        given, values = tensors[: len(self.inputs)], tensors[len(self.inputs) :]
        tracer.begin({id(v): value for v, value in zip(self._variables, values, strict=True)})
        with (
            tracer.intercepting(),
            keras.StatelessScope(state_mapping=list(zip(self._variables, values, strict=True))),
            tracer.drawing() if self._flag is True else contextlib.nullcontext(),
        ):
            args, kwargs = self._arguments([with_penalties(tracer, given[0]), *given[1:]])
            try:
                outputs = self.model(*args, training=self._flag, **kwargs)
            except ValueError as error:
                raise BridgeError(f"{self.model.name}: {tracer.uncropped}") if tracer.uncropped else error from None
            now = state()
            self.assigned = {path: v for path, v in self._named.items() if now[id(v)] is not tracer.values[id(v)]}
        self.outputs = named_outputs(self.model, outputs)
        # tf2onnx needs each output to be a tensor of its own
        return [tf.identity(t, name=f"bridge_output_{i}") for i, t in enumerate(self.outputs.values())]


def _as_onnx(
    model: keras.Model, found: Names, rules: Rules, refused: list[str], forks: Iterable[keras.Layer] = ()
) -> _Trace:
    forward = _Forward(model, found, rules, forks)
    tracer, traced = forward.tracer, forward.trace()
    named = forward.outputs
    draws = map(tracer.scopes.called, drawing(named.values(), partial(needed, tracer)))
    problems = [*refused, *tracer.problems, *(f"{name}: {DRAWS}" for name in draws)]
    problems += ctc.problems(tracer, named.values(), partial(needed, tracer))
    problems += [f"{name}: this output has no batch axis" for name, t in named.items() if t.shape.rank == 0]
    tracer.own_gradients = [tracer.scopes.called(name) for name in with_gradients_of_their_own(named.values())]
    tracer.masked = [name for name, t in named.items() if getattr(t, "_keras_mask", None) is not None]
    weight_bytes = sum(weight.nbytes for weight in found.weights.values())
    refuse_huge_operations(model.name, traced.graph.get_operations(), weight_bytes, tracer.scopes.short)
    proto = layers_alone(traced, [spec.name for spec in forward.specs])
    if proto is None:
        from bridge.keras_side.tracing.operators import NoForm, operators_too  # tf2onnx takes a while to import

        try:
            proto = operators_too(forward.function, forward.specs)
        except NoForm as error:
            problems += without_what_is_within([_told(tracer, *reason) for reason in error.reasons], problems)
    refuse(model, problems)
    assert proto is not None
    return _Trace(tracer, proto, list(named), forward.assigned)


def _build(model: keras.Model) -> None:
    """Calls the model once: a layer that is another's activation has no weights before."""
    inputs, arguments = signature(model)
    args, kwargs = arguments([keras.ops.zeros((1, *(size or 1 for size in v.shape[1:])), v.dtype) for v in inputs])
    model(*args, training=False, **kwargs)


def _config(model: keras.Model) -> str | None:
    try:
        return model.to_json()
    except (NotImplementedError, TypeError, ValueError):  # a subclassed model that does not say how it was made
        return None


def _model_name(model: keras.Model, source: dict[str, Any] | None) -> str:
    """The model's own name, or the file's where Keras made the name up."""
    made_up = re.fullmatch(r"(sequential|functional|model)(_\d+)?", model.name)
    file = str((source or {}).get("file", "")).split(".")[0]
    return re.sub(r"\W", "_", file if made_up and file else model.name)
