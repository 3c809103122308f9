"""What stands in the place of each built-in layer while a model is traced: a placeholder, and what its node says."""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.tensorflow import numpy as tf_numpy
from tensorflow.python.framework.func_graph import FuncGraph

from bridge.errors import BridgeError
from bridge.graph import BODIES, Layer, Node, Value
from bridge.graph.augmentation import AUGMENTATIONS
from bridge.graph.conv_lstm import CONV_LSTM
from bridge.graph.convolution import CONVOLUTIONS
from bridge.graph.layer import ACT_IN_TRAINING, dropout_of
from bridge.graph.recurrent import RECURRENT
from bridge.keras_side import attention, calls, layer_facts, own_layers, own_penalties, recurrent, time_distributed
from bridge.keras_side.control_flow import INSIDE, as_onnx_has_it, in_inner_graph, repeated_reason
from bridge.keras_side.in_training import Flag, drawing_by, state, with_flag
from bridge.keras_side.names import Names, own_word
from bridge.keras_side.nodes import PLACEHOLDER, Call, placeholder_number
from bridge.keras_side.old_layers import hard_sigmoid_of_keras2
from bridge.keras_side.own_code import Losses
from bridge.keras_side.refusals import BUILT_IN
from bridge.own_rules import Rules

# layers whose `activation` option becomes a node of its own
SPLITS_ACTIVATION = ("Dense", "EinsumDense", *CONVOLUTIONS)
_CAST = ("Dense", "BatchNormalization", "LayerNormalization")  # Keras computes them in float32 whatever they are given
_TAKE_ANY = (*_CAST, "Rescaling", "Normalization", "Flatten", "Reshape", "Permute", "RepeatVector", "Identity")
_TAKE_NUMBERS = ("Embedding", "CategoryEncoding", "IntegerLookup", "TimeDistributed")
_SCOPE = "layer_"  # what the names of operations within a layer's code begin with, as own_code.drawing reads them
_ANEW = "the model makes this layer anew in each call; make it once"
_CHANGED = "the model's code changes its weights"
_CTC = "it computes a CTC loss, which ONNX has no form for; take the model without it, as for its predictions"
_PENALTIES = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
_COMPOSITE = attention.HEADS  # the weights of the layers that they are made of are theirs


class Tracer:
    """Takes the calls of a model's layers, in their order."""

    def __init__(self, model: keras.Model, found: Names, inputs: Iterable[str], rules: Rules | None = None):
        self.model, self.found, self.rules = model, found, rules or Rules()
        self.taken = {*inputs, *found.variables}  # the names of values that are there before any node
        self.forks: set[int] = set()  # ids of the layers whose code does another thing in training
        self.begin({})

    def begin(self, values: dict[int, tf.Tensor]) -> None:
        """Forgets what was met before: TensorFlow may trace a function more than once. values: of the variables."""
        self.calls: list[Call] = []
        self.values = values
        self.masked: list[str] = []
        self.problems: list[str] = []  # gathered: Keras would wrap an error that is raised within a call in its own
        self.losses = Losses()
        self.own_gradients: list[str] = []
        self.uncropped = ""  # what to say if Keras then fails
        self.steps = time_distributed.Steps()
        self.unforked: dict[str, str] = {}  # the forks whose two ways can't be brought together, and why
        self._forking = False
        self._count: dict[str, int] = {}
        self._apart = False  # while a layer's own code is asked what it gives, no call is a node

    def owner(self, operation: str) -> str:
        """The layer in whose code a TensorFlow operation was made, by the scopes in its name; "" for none."""
        layer = self._maker(operation)
        return self.described(layer) if layer is not None else ""

    def short(self, operation: str) -> str:
        """The operation's name with the path of its layer in the place of TensorFlow's scopes."""
        layer, inner = self._maker(operation), re.split(rf"(?:^|(?<=/)|___){_SCOPE}[^/]+/", operation)[-1]
        return f"{self._path(layer)}/{inner}" if layer is not None else inner

    def _maker(self, operation: str) -> keras.Layer | None:
        scopes = [scope.removeprefix(_SCOPE) for scope in operation.split("/")[:-1] if scope.startswith(_SCOPE)]
        if not scopes:
            return None
        return self._by_scope.get(scopes[-1]) or self._by_scope.get(re.sub(r"_\d+$", "", scopes[-1]))

    @functools.cached_property
    def _by_scope(self) -> dict[str, keras.Layer]:
        """The layers, the outermost of a name first, by what their scopes are called; those of later calls have a
        number besides."""
        layers = [layer for layer in self.model._flatten_layers() if self.found.layers.get(id(layer))]
        return {_scope(layer): layer for layer in sorted(layers, key=lambda layer: -self._path(layer).count("/"))}

    def described(self, layer: keras.Layer) -> str:
        """ "encoder/sampling (Sampling)"."""
        return f"{self._path(layer) or layer.name} ({type(layer).__name__})"

    def called(self, scope: str) -> str:
        """The path of the layer that a name scope was made for; TensorFlow numbers the scopes of repeated calls."""
        paths = {_scope(layer): self._path(layer) for layer in self.model._flatten_layers()}
        return next((paths[name] for name in (scope, re.sub(r"_\d+$", "", scope)) if name in paths), scope)

    @contextlib.contextmanager
    def intercepting(self) -> Iterator[None]:
        """Puts placeholders in the place of what the known layers compute; Keras does all the rest of a call."""
        plain = keras.Operation.__call__

        def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
            result = None
            if self._apart:
                return plain(operation, *args, **kwargs)
            inside = in_inner_graph()
            if isinstance(operation, keras.Layer) and self._is_made_anew(operation):
                return self._anew(operation, plain, args, kwargs)
            if own_layers.is_ruled(operation, self.rules) and self._path(operation) and not inside:
                result = self._own(operation, args, kwargs)
            elif isinstance(operation, keras.Layer) and is_known(operation):
                apart = INSIDE if inside else _CHANGED if self._is_changed(operation) else ""
                reason = repeated_reason(operation, kwargs, apart) if apart else self._reason(operation, args, kwargs)
                if apart and not reason:
                    return plain(operation, *args, **kwargs)  # operator by operator, its weights under their paths
                if not reason and time_distributed.is_time_distributed(operation):
                    result = self._distributed(operation, args, kwargs)
                    reason = None if result is not None else "its layer has several outputs"
                elif not reason:
                    return self._own_penalty(layer_facts.acting(operation), self._layer(operation, args, kwargs))
                if reason:
                    self.problems.append(f"{self._path(operation)} ({type(operation).__name__}): {reason}")
            if result is None and id(operation) in self.forks and not self._forking:
                return self._in_both(operation, args, kwargs, own)
            return own(operation, args, kwargs, result)

        def own(operation: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any = None) -> Any:
            result = plain(operation, *args, **kwargs) if result is None else result
            if isinstance(operation, keras.Layer) and (loss := self.losses.take(operation)) is not None:
                path = self._path(operation) or operation.name
                result = Losses.put(result, lambda t: self._with_loss(operation, path, t, loss))
            if isinstance(operation, keras.Layer) and operation.activity_regularizer is not None:
                path = self._path(operation)
                if penalized_by_node(operation):
                    return keras.tree.map_structure(lambda t: self._penalized(operation, path, t), result)
            return self._own_penalty(operation, result)

        def scope(layer: keras.Layer) -> Any:
            return keras.src.backend.name_scope(_SCOPE + _scope(layer))

        with (
            mock.patch.object(keras.Operation, "__call__", call),
            # TensorFlow's graphs refuse names that Keras allows: "a b"
            mock.patch.object(keras.Layer, "_open_name_scope", scope),
            # Keras computes the penalty besides; L1 brings a tensor that no output needs, which stops tf2onnx
            mock.patch.object(keras.regularizers.L1, "__call__", lambda _, x: keras.ops.zeros((), x.dtype)),
            mock.patch.object(FuncGraph, "capture", _as_constant(FuncGraph.capture)),
            mock.patch.object(tf_numpy, "signbit", _signbit),
            mock.patch.object(tf, "stop_gradient", self._stopped),
            mock.patch.object(tf.nn, "ctc_loss", self._refused_loss),
            mock.patch.object(keras.Layer, "add_loss", self._add_loss()),
            as_onnx_has_it(),
        ):
            yield

    @contextlib.contextmanager
    def apart(self) -> Iterator[list[int]]:
        """While this lasts, layers compute what they compute; the list then has the layers that added losses."""
        before, self._apart, added = self.losses, True, []
        self.losses = Losses()
        try:
            yield added
            added += self.losses.owners
        finally:
            self.losses, self._apart = before, False

    def placeholders(
        self, layer: Layer, path: str, tensors: list[tf.Tensor], own: list[Any], outputs: list[tuple[Any, str]]
    ) -> list[tf.Tensor]:
        """The outputs of a node for one call of a layer."""
        return self._placeholders(layer, self._name(path), tensors, own, outputs)

    def _own(self, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a layer with a rule of the user's; None, and a problem, if it can't be a node."""
        try:
            return own_layers.call(self, layer, args, kwargs)
        except BridgeError as reason:
            self.problems.append(f"{self._path(layer)} ({type(layer).__name__}): {reason}")
            return None

    def _in_both(
        self, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any], call: Callable[..., Any]
    ) -> Any:
        """What a layer of the model's own gives in inference, or in training: a node takes one of them."""
        self._forking = True
        try:
            result = call(layer, args, kwargs)
            before = dict(state())
            with drawing_by(self._drawn):
                trained = call(layer, *with_flag(Flag(1), args, kwargs))
        finally:
            self._forking = False
        path = self._path(layer)
        after, mine = dict(state()), keras.tree.flatten(result)
        state().clear()
        state().update(before)
        theirs = keras.tree.flatten(trained)
        forms = [[(t.dtype, t.shape) if tf.is_tensor(t) else t for t in leaves] for leaves in (mine, theirs)]
        if forms[0] != forms[1]:
            self.unforked[self.described(layer)] = "what it gives is of another form in training"
            return result
        assigned = [v for v in layer.variables if id(v) in self.values and after[id(v)] is not before[id(v)]]
        for variable in assigned:
            place = next(i for i, t in enumerate(theirs) if tf.is_tensor(t))
            described = Layer("AssignedState", path, {"name": layer.name})
            given = [theirs[place], tf.cast(after[id(variable)], variable.dtype), self.values[id(variable)]]
            name = self._name(f"{path}/assigned")
            theirs[place] = self._placeholders(described, name, given, [], _like(given[0]), split=True)[0]
        places = [i for i, one in enumerate(mine) if tf.is_tensor(one) and one is not theirs[i]]
        if not places:
            return result
        given = [leaves[i] for leaves in (mine, theirs) for i in places]
        outputs = [(tuple(mine[i].shape), mine[i].dtype.name) for i in places]
        described = Layer("InTraining", path, {"name": layer.name})
        chosen = self._placeholders(described, self._name(f"{path}/chosen"), given, [], outputs, split=True)
        for place, tensor in zip(places, chosen, strict=True):
            if (mask := getattr(mine[place], "_keras_mask", None)) is not None:
                tensor._keras_mask = mask
            mine[place] = tensor
        return keras.tree.pack_sequence_as(result, mine)

    def _drawn(self, distribution: str, shape: Any) -> tf.Tensor:
        name = self._name(f"random/{distribution.lower()}")
        like = tf.zeros(shape)
        return self._placeholder(Layer(f"Random{distribution}", name, {"name": name}), name, like, like.shape)

    def needed(self, operation: tf.Operation) -> Iterable[tf.Tensor]:
        """The inputs of an operation that count in inference."""
        number = placeholder_number(operation.name) if operation.type == "PyFunc" else None
        chosen = number is not None and self.calls[number].node.kind == "InTraining"
        return operation.inputs[: len(operation.outputs)] if chosen else operation.inputs

    def _add_loss(self) -> Any:
        def add_loss(layer: keras.Layer, loss: Any) -> None:
            self.losses.add(layer, loss)

        return add_loss

    def _stopped(self, x: Any, name: str | None = None) -> tf.Tensor:
        """TensorFlow's stop_gradient as a node: ONNX has no such operator, and tf2onnx leaves it out."""
        x = tf.convert_to_tensor(x)
        if in_inner_graph():
            self.problems.append("its code calls stop_gradient inside a loop or a condition, which ONNX can't say")
            return x
        name = self._name("stop_gradient")
        return self._placeholder(Layer("StopGradient", name, {"name": name}), name, x, x.shape)

    def _refused_loss(self, labels: Any, *_: Any, **__: Any) -> tf.Tensor:
        """In the place of TensorFlow's CTC loss, a loop over tables that tf2onnx fails at without a name."""
        owner = self.owner(f"{tf.get_current_name_scope()}/loss")
        self.problems.append(f"{owner or 'its code'}: {_CTC}")
        return tf.zeros(tf.shape(labels)[:1])

    def _own_penalty(self, operation: Any, result: Any) -> Any:
        """What a layer gives, with the penalty on it of an activity regularizer of the user's own."""
        if not isinstance(operation, keras.Layer) or operation.activity_regularizer is None:
            return result
        if penalized_by_node(operation):
            return result
        if self.steps.told()[0]:
            self.problems.append(f"{self.described(operation)}: its activity regularizer takes all steps at once")
        path = self._path(operation) or operation.name
        return keras.tree.map_structure(
            lambda t: self._with_loss(operation, path, t, own_penalties.of_activity(operation, t)), result
        )

    def with_penalties(self, x: tf.Tensor) -> tf.Tensor:
        """An input of the model, with the penalties on weights that are the user's own code: they depend on none."""
        for name, loss in own_penalties.penalties(self.found, self.values):
            described = Layer("AddedLoss", name, {"name": name})
            x = self._placeholders(described, self._name(name), [x, loss], [], _like(x), split=True)[0]
        return x

    def _with_loss(self, layer: keras.Layer, path: str, x: tf.Tensor, loss: tf.Tensor) -> tf.Tensor:
        described = Layer("AddedLoss", path, {"name": layer.name})
        return self._placeholders(described, self._name(f"{path}/loss"), [x, loss], [], _like(x), split=True)[0]

    def _path(self, layer: keras.Layer) -> str:
        return self.found.layers.get(id(layer), layer.name)

    def _is_changed(self, layer: keras.Layer) -> bool:
        """Whether the model's code has assigned to a weight of it, as a masked convolution does before each call."""
        return any(state().get(id(v), self.values.get(id(v))) is not self.values.get(id(v)) for v in layer.variables)

    def _is_made_anew(self, layer: keras.Layer) -> bool:
        """Whether the model's code makes this layer for one call, which in training does nothing else."""
        if not is_known(layer) or id(layer) in self.found.layers:
            return False
        return not (type(layer).__name__ in ACT_IN_TRAINING or dropout_of(_plain(layer.get_config())))

    def _anew(self, layer: keras.Layer, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What it computes, operator by operator; one with weights would have others each time."""
        problem = f"{self._path(layer)} ({type(layer).__name__}): {_ANEW}"
        self.problems.append(problem)
        result = call(layer, *args, **kwargs)
        if not layer.variables:
            self.problems.remove(problem)
        return result

    def _reason(self, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Why this call of a known layer can't be a node, if so."""
        if id(layer) not in self.found.layers:
            return _ANEW
        if self._forking and not layer.built:
            return "it is called in training alone, and the file has no weights of it"
        acts = type(layer).__name__ in ACT_IN_TRAINING or dropout_of(_plain(layer.get_config()))
        training = kwargs.get("training")
        if training and not isinstance(training, Flag) and acts:
            return "the model's code calls it with training=True, so its output is random or depends on the batch"
        if args and isinstance(args[0], dict):
            return "it is given a dict (images with their labels, boxes or masks), only images so far"
        named = calls.arguments(layer, args, kwargs)
        if named is not None:  # its masks are tensors like others, of any type
            args, kwargs = tuple(calls.without_masks(named).values()), {}
        tensors = [t for t in keras.tree.flatten((args, {**kwargs, "mask": None})) if tf.is_tensor(t)]
        if any(t.shape.rank is None for t in tensors):
            return "its input has no known rank, which the conversion needs"
        kind, reverse = type(layer).__name__, kwargs.get("reverse", False)
        takes_any = kind in (*_TAKE_ANY, *_TAKE_NUMBERS) or (kind == "ReversibleEmbedding" and not reverse)
        wrong = (
            {t.dtype.name for t in layer_facts.of_one_type(layer, tensors)} - {"float32"} if not takes_any else set()
        )
        if wrong and kind == "SpectralNormalization":
            return (
                f"its input is {', '.join(sorted(wrong))}, and Keras makes such numbers of its output; give it float32"
            )
        if wrong:
            return f"its input is {', '.join(sorted(wrong))}, only float32 so far"
        return self.steps.reason(layer, tensors[0].shape.rank if tensors else 0)

    def _layer(self, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tf.Tensor:
        kind = type(layer).__name__
        path = self._path(layer)
        training = kwargs.pop("training", None)
        if kind in _CAST:
            args = keras.tree.map_structure(lambda t: tf.cast(t, tf.float32) if tf.is_tensor(t) else t, args)
        named = calls.arguments(layer, args, kwargs)
        kwargs.pop("mask", None)  # those that use it have it by name
        special = layer_facts.described(layer, kwargs)
        embeds = kind == "Embedding" or (kind == "ReversibleEmbedding" and not special["reverse"])
        if embeds and args[0].dtype not in (tf.int32, tf.int64):
            args = (tf.cast(args[0], tf.int32), *args[1:])  # as Keras does
        tensors = layer_facts.of_one_type(layer, [t for t in keras.tree.flatten((args, kwargs)) if tf.is_tensor(t)])
        if named is not None:
            tensors = list(calls.tensors(named).values())
        config = layer.get_config() | (calls.described(named) if named is not None else {}) | special
        if kind == "BatchNormalization":
            more, config = self._per_step(config, named or ("inputs",))
            tensors += more
        own = self._weights_of(layer)
        described = Layer(
            kind=kind,
            path=path,
            config=_plain(config),
            weights={word: self.found.weights[id(v)] for word, v in own.items()},
            trainable=bool(layer.trainable),
        )
        fixed = None if training is None or isinstance(training, Flag) else bool(training)
        acting = layer_facts.acting(layer)
        activation = getattr(acting, "activation", None) if type(acting).__name__ in SPLITS_ACTIVATION else None
        splits = activation is not None and activation is not keras.activations.linear
        penalized = penalized_by_node(acting) and kind != "ActivityRegularization"
        name = self._name(path)
        first = f"{name}/linear" if splits else f"{name}/value" if penalized else name
        if kind in AUGMENTATIONS:  # in inference they leave their input as it is, whatever they say of its shape
            out = _as_spec(tensors[0])
            if kind == "RandomCrop" and out.shape != layer.compute_output_shape(out.shape):
                self.uncropped = (
                    f"Keras {keras.__version__} itself can't run it: {path} ({kind}) crops in training only,\n"
                    "and what is behind it takes cropped images alone. Put a Resizing or a CenterCrop behind it."
                )
        else:
            spec = keras.tree.map_structure(_as_spec, (args, kwargs))
            out = layer.compute_output_spec(*spec[0], **spec[1])
        listed = keras.tree.flatten(out)
        if kind == "Activation":
            shapes = [_activated(layer.activation, listed[0].shape)]
        elif kind == "EinsumDense":
            shapes = [_einsum_shape(layer.equation, tuple(tensors[0].shape), listed[0].shape)]
        else:
            shapes = calls.output_shapes(layer, named, listed)
        outputs = [(tuple(shape), spec.dtype) for shape, spec in zip(shapes, listed, strict=True)]
        outputs = layer_facts.outputs(layer, tensors, outputs)
        results = self._placeholders(described, first, tensors, list(own.values()), outputs, training=fixed)
        if named is not None and attention.is_attention(layer):
            attention.pass_masks_on(layer, named, results)
        if len(results) > 1:
            names = [name, *(f"{name}/{i}/penalized" for i in range(1, len(results)))]
            if penalized:
                results = [self._penalized(layer, path, t, n) for t, n in zip(results, names, strict=True)]
            return keras.tree.pack_sequence_as(out, results)
        result = results[0]
        if splits:
            result = self._activate(acting, activation, f"{name}/value" if penalized else name, path, result)
        result = self._penalized(acting, path, result, name) if penalized else result
        layer_facts.pass_mask_on(layer, tensors[0], result, special)
        return result

    def _distributed(self, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        def placeholder(described: Layer, name: str, x: list[tf.Tensor], output: Any, *, split: bool) -> tf.Tensor:
            return self._placeholders(described, name, x, [], [output], split=split)[0]

        path = self._path(layer)
        return time_distributed.call(layer, path, self._name(path), self.steps, placeholder, *args, **kwargs)

    def _activate(self, layer: keras.Layer, activation: Any, name: str, path: str, x: tf.Tensor) -> tf.Tensor:
        if activation not in keras.src.activations.ALL_OBJECTS and activation is not hard_sigmoid_of_keras2:
            return activation(x)  # a layer, or the user's own function: traced as what it is
        config = {"name": layer.name, "activation": keras.activations.serialize(activation)}
        shape = _activated(activation, tuple(x.shape))
        return self._placeholder(Layer("Activation", path, config), name, x, shape)

    def _penalized(self, layer: keras.Layer, path: str, x: tf.Tensor, name: str | None = None) -> tf.Tensor:
        config = _plain(keras.regularizers.serialize(layer.activity_regularizer))
        more, told = self._per_step({"name": layer.name, "regularizer": config})
        name = name or self._name(f"{path}/penalized")
        return self._placeholder(Layer("ActivityRegularization", path, told), name, x, x.shape, more)

    def _per_step(self, config: dict[str, Any], names: Iterable[str] = ("inputs",)) -> tuple[list[tf.Tensor], Any]:
        """The tensors and the config of a call that treats the rows of each step together."""
        more, call = self.steps.told()
        if more:
            call = {**call, "tensors": [*names, *more]}
        return list(more.values()), {**config, **({"call": {**config.get("call", {}), **call}} if call else {})}

    def _placeholder(
        self, layer: Layer, name: str, x: tf.Tensor, shape: Any, more: Sequence[tf.Tensor] = ()
    ) -> tf.Tensor:
        """An option of a layer as a node of its own: it has no weights, and its output the type of its input."""
        return self._placeholders(layer, name, [x, *more], [], [(tuple(shape), x.dtype.name)], split=True)[0]

    def _placeholders(
        self,
        layer: Layer,
        name: str,
        tensors: list[tf.Tensor],
        own: list[Any],
        outputs: list[tuple[tuple[int | None, ...], str]],
        *,
        split: bool = False,
        training: bool | None = None,
    ) -> list[tf.Tensor]:
        """The outputs, of these shapes and types, of a node that stands for the layer; the first is called `name`."""
        first = f"{name}/output" if name in self.taken else name
        values = [Value(f"{name}/{i}" if i else first, shape, dtype) for i, (shape, dtype) in enumerate(outputs)]
        names = [value.name for value in values]
        node = Node(name, layer.kind, [], names, layer, training, {"split": True} if split else {})
        inputs = [Value("", tuple(t.shape), t.dtype.name) for t in tensors]
        number = len(self.calls)
        self.calls.append(Call(node, inputs, values))
        weights = [self.values[id(v)] for v in own]
        types = [tf.as_dtype(value.dtype) for value in values]
        out = tf.numpy_function(lambda *_: np.zeros(()), [*tensors, *weights], types, name=f"{PLACEHOLDER}{number}")
        return [tf.ensure_shape(tensor, value.shape) for tensor, value in zip(out, values, strict=True)]

    def _weights_of(self, layer: keras.Layer) -> dict[str, Any]:
        """The layer's variables by its own word for them; those of the layers in a composite one as `query/kernel`."""
        if type(layer).__name__ in (*RECURRENT, *CONV_LSTM):
            found = recurrent.weights(layer)
            return {word: v for word, v in found.items() if id(v) in self.found.weights}
        within = self._path(layer) + "/"
        inner = layer._flatten_layers(include_self=False) if type(layer).__name__ in _COMPOSITE else []
        acting = layer_facts.acting(layer)
        found: dict[str, Any] = {}
        for each in (*([acting] if acting is not layer else []), layer, *inner):
            for variable in [*each._trainable_variables, *each._non_trainable_variables]:
                if (weight := self.found.weights.get(id(variable))) is not None:
                    word = own_word(each, variable) if each in (layer, acting) else weight.path.removeprefix(within)
                    found[word] = variable
        return found

    def _name(self, path: str) -> str:
        self._count[path] = self._count.get(path, 0) + 1
        return path if self._count[path] == 1 else f"{path}#{self._count[path]}"


def _scope(layer: keras.Layer) -> str:
    """A layer's name as TensorFlow takes it for a scope."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", layer.name)


def _signbit(x: tf.Tensor) -> tf.Tensor:
    """Keras's function of this name without a look at the bits, which ONNX can't take; argmax and argmin call it."""
    x = tf.convert_to_tensor(x)
    return tf.logical_or(x < 0, 1 / x < 0) if x.dtype.is_floating else x < 0


def _as_constant(plain: Any) -> Any:
    """FuncGraph.capture that makes a constant of a tensor that a layer holds; TensorFlow's makes it an input."""

    def capture(graph: FuncGraph, tensor: Any, *args: Any, **kwargs: Any) -> Any:
        if not tf.is_tensor(tensor) or not hasattr(tensor, "numpy") or tensor.dtype in (tf.resource, tf.variant):
            return plain(graph, tensor, *args, **kwargs)
        with graph.as_default():
            return tf.constant(tensor.numpy())

    return capture


def penalized_by_node(layer: keras.Layer) -> bool:
    """Whether the layer has an activity regularizer of Keras's own, which is a node."""
    return type(layer.activity_regularizer) in _PENALTIES


def is_known(layer: keras.Layer) -> bool:
    """Whether the layer is one of Keras's own (no subclass of one), as are the cells in it, and has a body."""
    kind = type(layer).__name__
    return is_built_in(layer) and kind in BODIES and (kind not in RECURRENT or recurrent.is_own(layer))


def is_built_in(layer: keras.Layer) -> bool:
    return type(layer).__module__.startswith(BUILT_IN)


def _like(x: tf.Tensor) -> list[tuple[tuple[int | None, ...], str]]:
    return [(tuple(x.shape), x.dtype.name)]


def _activated(activation: Any, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The shape after an activation: glu halves the last axis, which Keras's own layers don't say."""
    halves = activation is keras.activations.glu and shape[-1] is not None
    return (*shape[:-1], shape[-1] // 2) if halves else shape


def _einsum_shape(equation: str, x: tuple[int | None, ...], said: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The shape of an EinsumDense's output: of several axes under `...` in front, Keras 3.15 reverses the order."""
    if not equation.startswith("..."):
        return said
    given, made = (len(term.removeprefix("...")) for term in (equation.partition(",")[0], equation.rpartition(">")[2]))
    return (*x[: len(x) - given], *said[len(said) - made :])


def _as_spec(value: Any) -> Any:
    return keras.KerasTensor(tuple(value.shape), dtype=value.dtype.name) if tf.is_tensor(value) else value


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """The config as JSON has it: tuples and arrays are lists, Keras's objects their own serialized form."""

    def listed(item: dict[str, Any]) -> Any:
        return item["config"]["value"] if item.get("class_name") in ("__numpy__", "__tensor__") else item

    return json.loads(json.dumps(config, default=keras.saving.serialize_keras_object), object_hook=listed)
