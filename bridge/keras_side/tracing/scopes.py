"""Which layer an operation of TensorFlow was made by: Keras opens a name scope round each layer's code."""

from __future__ import annotations

import functools
import re

import keras

from bridge.keras_side.names import Names

PREFIX = "layer_"  # what the names of operations within a layer's code begin with, as own_code.drawing reads them


class Scopes:
    """The layers of a model by the scopes of their code."""

    def __init__(self, model: keras.Model, found: Names):
        self.model, self.found = model, found

    def owner(self, operation: str) -> str:
        """The layer in whose code a TensorFlow operation was made, by the scopes in its name; "" for none."""
        layer = self.maker(operation)
        return self.described(layer) if layer is not None else ""

    def short(self, operation: str) -> str:
        """The operation's name with the path of its layer in the place of TensorFlow's scopes."""
        layer, inner = self.maker(operation), re.split(rf"(?:^|(?<=/)|___){PREFIX}[^/]+/", operation)[-1]
        return f"{self.path(layer)}/{inner}" if layer is not None else inner

    def maker(self, operation: str) -> keras.Layer | None:
        """The layer in whose code a TensorFlow operation was made."""
        scopes = [scope.removeprefix(PREFIX) for scope in operation.split("/")[:-1] if scope.startswith(PREFIX)]
        if not scopes:
            return None
        return self._by_scope.get(scopes[-1]) or self._by_scope.get(re.sub(r"_\d+$", "", scopes[-1]))

    @functools.cached_property
    def _by_scope(self) -> dict[str, keras.Layer]:
        """The layers, the outermost of a name first, by what their scopes are called; those of later calls have a
        number besides."""
        layers = [layer for layer in self.model._flatten_layers() if self.found.layers.get(id(layer))]
        return {_scope(layer): layer for layer in sorted(layers, key=lambda layer: -self.path(layer).count("/"))}

    def path(self, layer: keras.Layer) -> str:
        return self.found.layers.get(id(layer), layer.name)

    def described(self, layer: keras.Layer) -> str:
        """ "encoder/sampling (Sampling)"."""
        return f"{self.path(layer) or layer.name} ({type(layer).__name__})"

    def called(self, scope: str) -> str:
        """The path of the layer that a name scope was made for; TensorFlow numbers the scopes of repeated calls."""
        paths = {_scope(layer): self.path(layer) for layer in self.model._flatten_layers()}
        return next((paths[name] for name in (scope, re.sub(r"_\d+$", "", scope)) if name in paths), scope)


def opened(layer: keras.Layer) -> str:
    """The scope of a layer's code."""
    return PREFIX + _scope(layer)


def _scope(layer: keras.Layer) -> str:
    """A layer's name as TensorFlow takes it for a scope."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", layer.name)
