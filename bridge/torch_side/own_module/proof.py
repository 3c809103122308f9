"""The proof that a user's module computes what the Keras model does, and where it departs if it does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridge.errors import BridgeError
from bridge.graph import Graph, Layer
from bridge.graph.probe import probe_of
from bridge.torch_side.own_module.matching import Assignment, Slot
from bridge.torch_side.own_module.user_module import UserModule
from bridge.torch_side.run import in_double, precision
from bridge.torch_side.writing.build import build, plan_of, taps

TOLERANCE = 1e-5  # relative to the output's largest value, besides the rounding that the reference itself shows
_ROWS = 8
_SCALES = (1.0, 0.1, 100.0)  # small ones keep a softmax from saturating, large ones suit a model that rescales pixels
_ROUNDING = 10  # how much worse than the reference's own another order of the same operations may round
_ALIKE = 1e-4  # of a layer's largest value, in a message about where modules part
_LOGARITHMS = {"softmax": ("log_softmax", lambda x: F.log_softmax(x, -1)), "sigmoid": ("logsigmoid", F.logsigmoid)}

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """difference: the largest, relative to the outputs' scale. returns: what the user's module gives.

    returns is "outputs" (what Keras gives), "logits" (without the final softmax or sigmoid), or their logarithm.
    """

    passed: bool
    difference: float
    returns: str


@dataclass(frozen=True)
class _Expected:
    inputs: Values
    forms: dict[str, Values]  # in float64
    rounding: dict[str, Values]


class Reference:
    """What the Keras model gives for seeded random inputs, by the module that bridge builds of it.

    Raises BridgeError if that can prove nothing: NaN, infinity, or the same result for every input.
    """

    def __init__(self, graph: Graph):
        module = build(graph).eval()
        self.plan = plan_of(module)
        self.final = getattr(module, "final", None)
        self.outputs = [value.name for value in graph.outputs]
        self.expected: list[_Expected] = []
        batches = [
            {
                name: array * np.asarray(scale, array.dtype) if array.dtype.kind == "f" else array
                for name, array in probe_of(graph, _ROWS).items()
            }
            for scale in _SCALES
        ]
        in_float32 = [self._forms(module, inputs) for inputs in batches]
        kept = in_double(module)  # in place: two of them, beside the user's, would be too many of a large model
        in_float64 = [self._forms(module, inputs, kept) for inputs in batches]
        del module, kept
        for inputs, forms, rounded in zip(batches, in_float64, in_float32, strict=True):
            rounding = {
                form: {name: np.abs(rounded[form][name] - value) for name, value in values.items()}
                for form, values in forms.items()
            }
            if all(np.isfinite(value).all() for values in rounding.values() for value in values.values()):
                self.expected.append(_Expected(inputs, forms, rounding))
        if not self.expected:
            raise BridgeError(f"{graph.name}: the Keras model gives NaN or infinity, so no mapping can be proved.")
        if not any(_varies(value) for e in self.expected for form in e.forms.values() for value in form.values()):
            raise BridgeError(
                f"{graph.name}: the Keras model gives the same for every input, so no mapping can be proved."
            )

    @property
    def inputs(self) -> Values:
        """The first of the batches, by input name."""
        return self.expected[0].inputs

    def judge(self, user: UserModule) -> Outcome:
        """Compares the user's module, as its weights are now, on all batches."""
        found = [self._named(user, user(expected.inputs)) for expected in self.expected]
        outcomes = [self._compared(form, found) for form in self.expected[0].forms]
        return next((o for o in outcomes if o.passed), min(outcomes, key=lambda o: o.difference))

    def departure(self, user: UserModule, assignments: Iterable[Assignment]) -> str:
        """Where the user's module first differs from the Keras model, for a message; "" if that can't be told."""
        inputs = [torch.from_numpy(self.inputs[value.name]) for value in self.plan.graph.inputs]
        given = taps(build(self.plan.graph).eval(), inputs)
        theirs = user.results(self.inputs)
        nodes = {s.node.layer.path: s.node.name for s in self.plan.steps if s.node.layer and not s.node.is_split}
        partners = {layer.path: (layer, slot) for layer, slot in self.partners(assignments)}
        last = ""
        for path in (path for path in nodes if path in partners and partners[path][1].prefix in theirs):
            layer, slot = partners[path]
            mine, other = given[nodes[path]], theirs[slot.prefix]
            if mine.shape == other.shape and (mine - other).abs().max() <= _ALIKE * mine.abs().max():
                activation = layer.config.get("activation", "linear")
                before = f" before its {activation}" if isinstance(activation, str) and activation != "linear" else ""
                last = f"{slot.prefix} still gives what Keras's {path} gives{before}"
                continue
            eps = getattr(slot.owner, "eps", None)
            if eps is not None and eps != layer.config.get("epsilon", eps):
                kind = "BatchNorm" if layer.kind == "BatchNormalization" else type(slot.owner).__name__
                return f"{slot.prefix}: {kind} eps is {eps:g}, Keras's is {layer.config['epsilon']:g} in {path}."
            differs = f"{slot.prefix} is the first that differs (Keras's {path})."
            return f"{last}; {differs}" if last else differs
        return f"{last}; what follows differs." if last else ""

    def partners(self, assignments: Iterable[Assignment]) -> list[tuple[Layer, Slot]]:
        """The Keras layers that became one of torch's own layers each, with one of that layer's tensors."""
        layers = {weight.path: layer for layer in self.plan.graph.layers.values() for weight in layer.weights.values()}
        found = {layers[a.weight].path: a for a in assignments if a.weight in layers and a.slot.is_whole}
        return [(layers[a.weight], a.slot) for a in found.values() if a.weight]

    def _forms(self, module: nn.Module, inputs: Values, kept: dict[int, Tensor] | None = None) -> dict[str, Values]:
        """What the module gives; kept: in float64, with these of its tensors in float32 still."""
        precise = kept is not None
        tensors = [torch.from_numpy(inputs[value.name]) for value in self.plan.graph.inputs]
        tensors = [t.double() if precise and t.is_floating_point() else t for t in tensors]
        with torch.no_grad(), precision(precise, kept):
            forms = {"outputs": module(*tensors)}
            if hasattr(module, "logits"):
                forms["logits"] = module.logits(*tensors)  # type: ignore[operator]
                if isinstance(module.final, str):
                    name, logarithm = _LOGARITHMS[module.final]
                    forms[name] = logarithm(forms["logits"])
        return {
            form: _arrays(value if isinstance(value, dict) else {self.outputs[0]: value})
            for form, value in forms.items()
        }

    def _named(self, user: UserModule, result: Any) -> Values:
        if isinstance(result, Tensor):
            result = [result]
        if isinstance(result, dict):
            ordered = [result[n] for n in self.outputs] if set(self.outputs) <= set(result) else list(result.values())
        else:
            ordered = list(result) if isinstance(result, tuple | list) else []
        if len(ordered) != len(self.outputs) or not all(isinstance(value, Tensor) for value in ordered):
            kinds = ", ".join(type(value).__name__ for value in ordered) or type(result).__name__
            wanted = "one tensor" if len(self.outputs) == 1 else f"{len(self.outputs)} tensors: {self.outputs}"
            raise BridgeError(f"{user.label}: forward returned {kinds}, the Keras model gives {wanted}.")
        found = _arrays(dict(zip(self.outputs, ordered, strict=True)))
        for name, value in found.items():
            expected = self.expected[0].forms["outputs"][name].shape
            if value.shape != expected:
                raise BridgeError(f"{user.label}: forward returned {value.shape}, the Keras model gives {expected}.")
        return found

    def _compared(self, form: str, found: list[Values]) -> Outcome:
        passed, worst = True, 0.0
        for expected, values in zip(self.expected, found, strict=True):
            for name, wanted in expected.forms[form].items():
                scale = float(np.abs(wanted).max(initial=0)) or 1.0
                difference = float(np.abs(values[name] - wanted).max(initial=0))
                rounding = float(expected.rounding[form][name].max(initial=0))
                passed &= difference <= TOLERANCE * scale + _ROUNDING * rounding  # false for NaN
                worst = max(worst, difference / scale) if np.isfinite(difference) else float("inf")
        return Outcome(passed, worst, form)


def _arrays(values: dict[str, Tensor]) -> Values:
    return {name: value.detach().double().numpy() for name, value in values.items()}


def _varies(value: np.ndarray) -> bool:
    return bool(np.ptp(value, axis=0).max(initial=0) > TOLERANCE * np.abs(value).max(initial=0))
