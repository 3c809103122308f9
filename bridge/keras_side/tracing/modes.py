"""Which layers of a model do another thing in training, by tracing it with a real True and a real False."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from bridge.keras_side.building.architecture import said
from bridge.keras_side.tracing.deeds import Deeds, apart, is_own
from bridge.keras_side.tracing.tracer import Tracer

_MOST = 6  # layers in layers, outwards from the one that asks to the one that is given the flag


class Modes:
    """The layers to trace in both ways, and which of them are not what they are in Keras after that.

    open: the trace with a flag that is the caller's choice. forward: makes a trace of the model, not done yet.
    """

    def __init__(self, model: keras.Model, open: Tracer, forward: Callable[..., Any]):
        self._described, self._forward = open.scopes.described, forward
        self._real: dict[bool, Deeds] = {}
        self._failed: dict[str, str] = {}
        self.layers: list[keras.Layer] = []
        if not any(is_own(layer) for layer in model._flatten_layers()):
            return
        for mode in (False, True):
            tracer, failure = self._traced(mode=mode)
            if tracer is None:
                self._failed = {self._described(model): failure}
                return
            self._real[mode] = tracer.deeds
        self.layers = self._alive(list({id(layer): layer for layer in self._others(open)}.values()))

    def inert(self, tracer: Tracer) -> dict[str, str]:
        """The layers that do not do in a trace what they do in Keras; with the reason, if it is known."""
        return self._failed | {self._described(layer): "" for layer in self._others(tracer)}

    def _traced(self, **options: Any) -> tuple[Tracer | None, str]:
        forward = self._forward(**options)
        try:
            forward.trace()
        except Exception as error:  # whatever the model's code does when it is told that it is training
            return None, said(error)[:200]
        return forward.tracer, ""

    def _others(self, tracer: Tracer) -> list[keras.Layer]:
        if not self._real:
            return []
        return [layer for mode, deeds in self._real.items() for layer in apart(tracer.deeds, deeds, mode)]

    def _alive(self, layers: list[keras.Layer]) -> list[keras.Layer]:
        """These layers, or those in whose code they are called where what they do depends on that."""
        for _ in range(_MOST):
            tracer, _ = self._traced(forks=layers) if layers else (None, "")
            if tracer is None:
                return layers
            wrong = {id(layer) for layer in self._others(tracer)}
            parents = self._real[True].parents
            outer = [parents.get(id(layer), layer) if id(layer) in wrong else layer for layer in layers]
            outer = list({id(layer): layer for layer in outer}.values())
            if not wrong or [*map(id, outer)] == [*map(id, layers)]:
                return layers
            layers = outer
        return layers
