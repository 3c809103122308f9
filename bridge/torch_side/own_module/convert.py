"""`--into`: Keras's weights in a torch module that the user wrote, with the proof that it then computes the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bridge.errors import BridgeError
from bridge.files import refuse_existing, refuse_input_as_output, whole_folder
from bridge.graph import Graph, write_proto
from bridge.graph.stored import Arrays
from bridge.torch_side.folder import WROTE, stamped, write_state
from bridge.torch_side.own_module.map_file import candidates_by_hand
from bridge.torch_side.own_module.matching import Assignment, Candidate, Matcher, slots_of
from bridge.torch_side.own_module.proof import Outcome, Reference
from bridge.torch_side.own_module.user_module import UserModule, split
from bridge.torch_side.writing.plan import Plan

_LIMIT = 64  # mappings tried
_SHOWN = 4  # things of a kind named in a message
_FILLS = {
    "zeros": "set to zeros, Keras has no bias there.",
    "ones": "set to ones, Keras has no scale there.",
    "own": "kept as your module makes it, it is no Keras weight.",
}


@dataclass(frozen=True)
class Mapping:
    """A user's module (in evaluation mode) that holds the Keras weights and was seen to compute the same.

    difference: from the module that bridge builds, on random inputs, relative to the outputs' scale.
    returns: "outputs", or "logits", "log_softmax", "logsigmoid" where the module stops short of Keras's final softmax
    or sigmoid. notes: what to know of it.
    """

    spec: str
    module: nn.Module
    plan: Plan
    assignments: list[Assignment]
    difference: float
    returns: str
    notes: tuple[str, ...] = ()

    @property
    def returns_logits(self) -> bool:
        """Whether it gives what comes before Keras's final softmax or sigmoid."""
        return self.returns == "logits"

    def state_dict(self) -> dict[str, Tensor]:
        """The user's module's state, each tensor with memory of its own."""
        return {key: tensor.detach().clone() for key, tensor in self.module.state_dict().items()}

    def describe(self) -> list[dict[str, Any]]:
        """One row a Keras variable, in Keras's order, as in map.json."""
        taken = {a.weight: a for a in self.assignments}
        return [
            {
                "keras": path,
                "torch": taken[path].slot.key,
                "move": taken[path].move,
                "keras_shape": list(move.weight.shape),
                "torch_shape": list(taken[path].slot.shape),
                "trainable": move.weight.trainable and not move.weight.state,
            }
            for path, move in self.plan.moves.items()
            if path in taken
        ]

    def weight_map(self) -> dict[str, Any]:
        """map.json."""
        return {
            "format": 1,
            "wrote": WROTE,
            "source": self.plan.graph.source,
            "into": self.spec,
            "returns": self.returns,
            "weights": self.describe(),
            "filled": {a.slot.key: a.fill for a in self.assignments if a.fill},
            "tied": {alias: a.slot.key for a in self.assignments for alias in a.slot.aliases},
        }


def convert_into(
    graph: Graph,
    spec: str,
    output: Path,
    map_file: Path | None = None,
    force: bool = False,
    written: Path | None = None,
) -> Mapping:
    """Maps the weights of a layered graph onto the module of FILE.py:Class and writes the folder of the result.

    The folder has model.safetensors (that module's state), map.json and model.onnx. written: the data file of a large
    model, if it is there already. Raises as `map_into`.
    """
    refuse_existing(output, force)
    refuse_input_as_output(output, split(spec)[0], map_file)
    mapping = map_into(graph, spec, map_file)
    with whole_folder(output, force) as part:
        digest = write_state(mapping.module.state_dict(), part / "model.safetensors")
        write_proto(stamped(graph, digest), part / "model.onnx", arrays=graph.arrays, written=written)
        (part / "map.json").write_text(json.dumps(mapping.weight_map(), indent=1) + "\n", encoding="utf-8")
    return mapping


def map_into(graph: Graph, spec: str, map_file: Path | None = None) -> Mapping:
    """Maps the weights of a layered graph onto the module that FILE.py:Class makes, and proves the mapping.

    Names decide first, then the order of the whole model, then the proof among what the shapes allow; map_file (JSON)
    decides by hand. Raises BridgeError if weights or tensors are left over, or if no mapping or several pass the proof.
    """
    split(spec)
    reference = Reference(graph)  # needs the model's memory once more, but no longer when the user's module is made
    user = UserModule(spec)
    fault, calls = None, []
    try:
        calls = user.calls(reference.inputs)
    except BridgeError as error:  # a missing layer can be the cause, which says more
        fault = error
    if any(is_lazy(tensor) for tensor in user.module.state_dict(keep_vars=True).values()):
        raise fault or BridgeError(f"{user.label}: a lazy layer has no shape after a call.")
    try:
        matcher = Matcher(reference.plan, slots_of(user.module), calls)
    except BridgeError as error:
        raise BridgeError(f"{user.label}: {error}") from None
    candidates = candidates_by_hand(map_file, matcher) if map_file else matcher.candidates()
    first = next(candidates, None)
    if first is None:
        raise _leftovers(user, matcher)
    if fault:
        raise fault
    trial = _Trial(user, reference, matcher, graph.arrays, map_file)
    chosen, outcome = trial.run(chain([first], candidates))
    _fill(chosen, graph.arrays)
    notes = tuple(_notes(reference, chosen, outcome))
    return Mapping(spec, user.module, reference.plan, chosen, outcome.difference, outcome.returns, notes)


@dataclass
class _Trial:
    user: UserModule
    reference: Reference
    matcher: Matcher
    arrays: Arrays | dict[str, np.ndarray]
    map_file: Path | None

    def run(self, candidates: Iterator[Candidate]) -> tuple[list[Assignment], Outcome]:
        """The mapping that passes: the first that names, order or the map decide, else the only one by shapes."""
        tried: list[tuple[Candidate, Outcome]] = []
        for candidate in islice(candidates, _LIMIT):
            _fill(candidate.assignments, self.arrays)
            outcome = self.reference.judge(self.user)
            if outcome.passed and candidate.decided:
                return candidate.assignments, outcome
            tried.append((candidate, outcome))
        passing = [(candidate.assignments, outcome) for candidate, outcome in tried if outcome.passed]
        if not passing:
            raise self._failed(tried)
        if any(not self._equal(passing[0][0], other) for other, _ in passing[1:]):
            raise self._several([assignments for assignments, _ in passing])
        return passing[0]

    def _equal(self, one: list[Assignment], other: list[Assignment]) -> bool:
        differing = [(a, b) for a, b in zip(one, other, strict=True) if (a.weight, a.move) != (b.weight, b.move)]
        return all(torch.equal(a.value(self.arrays), b.value(self.arrays)) for a, b in differing)

    def _failed(self, tried: list[tuple[Candidate, Outcome]]) -> BridgeError:
        nearest, outcome = min(tried, key=lambda t: (not t[0].decided, t[1].difference))
        _fill(nearest.assignments, self.arrays)
        if self.map_file:
            what = f"the mapping of {self.map_file} does not compute"
        else:
            what = f"none of {len(tried)} mappings computes" if len(tried) > 1 else "the mapping does not compute"
        line = f"{self.user.label}: {what} what the Keras model computes"
        differ = "the outputs differ" if len(tried) == 1 else "with the likeliest the outputs differ"
        line += f": {differ} by {outcome.difference:.2g} of their scale."
        if self.reference.judge(self.user) != self.reference.judge(self.user):
            hint = "Its forward gives another result at each call, in evaluation mode too: does it draw random numbers?"
            return BridgeError(f"{line}\n{hint}")
        where = self.reference.departure(self.user, nearest.assignments)
        options = f"Tried: {self._options([candidate.assignments for candidate, _ in tried])}."
        mend = f"Mend the module, or decide by hand with --map FILE.json{self._sample(nearest.assignments)}"
        return BridgeError(f"{line}\n{where}{' ' if where else ''}{options}\n{mend}")

    def _several(self, passing: list[list[Assignment]]) -> BridgeError:
        return BridgeError(
            f"{self.user.label}: {len(passing)} different mappings compute what the Keras model computes.\n"
            f"They are: {self._options(passing)}.\n"
            f"Decide by hand with --map FILE.json{self._sample(passing[0])}"
        )

    def _options(self, mappings: list[list[Assignment]]) -> str:
        """Each tensor with the weights that it was tried with; those with a choice first."""
        options: dict[str, dict[str, None]] = {}
        for assignment in (a for mapping in mappings for a in mapping if a.weight):
            own = assignment.slot.tensor.ndim > 1 and not assignment.slot.is_whole
            how = f" ({assignment.move})" if own else ""
            options.setdefault(assignment.slot.key, {})[f"{assignment.weight}{how}"] = None
        listed = sorted(options.items(), key=lambda item: len(item[1]) == 1)
        return _some([f"{key}: {_some(list(paths), ' or ')}" for key, paths in listed], "; ")

    def _sample(self, assignments: list[Assignment]) -> str:
        two = {a.slot.key: a.weight for a in assignments if a.weight}
        return f": {json.dumps(dict(islice(two.items(), 2)))[:-1]}, ...}}"


def _fill(assignments: list[Assignment], arrays: Arrays | dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        for assignment in assignments:
            assignment.fill_slot(arrays)


def _leftovers(user: UserModule, matcher: Matcher) -> BridgeError:
    weights, slots = matcher.leftovers()
    lines = [
        f"{user.label}: the Keras weights and the module's tensors don't pair up; each needs one of its kind and shape."
    ]
    if weights:
        lines.append(
            f"Keras weights without a tensor: {_some([f'{m.weight.path} {m.weight.shape}' for m in weights])}."
        )
    if slots:
        lines.append(f"Tensors without a Keras weight: {_some([str(slot) for slot in slots])}.")
    if not weights and not slots:
        lines.append(
            "Every one has a partner of its shape, but not within the same layer. Decide by hand: --map FILE.json."
        )
    return BridgeError("\n".join(lines))


def _notes(reference: Reference, assignments: list[Assignment], outcome: Outcome) -> Iterator[str]:
    if outcome.returns != "outputs":
        yield f"Your module returns {outcome.returns}; the Keras model ends in {reference.final}."
    for assignment in assignments:
        if assignment.fill:
            yield f"{assignment.slot.key}: {_FILLS[assignment.fill]}"
    for layer, slot in reference.partners(assignments):
        momentum = getattr(slot.owner, "momentum", None)
        if "momentum" in layer.config and momentum is not None and abs(momentum + layer.config["momentum"] - 1) > 1e-9:
            wanted = 1 - layer.config["momentum"]
            yield f"{slot.prefix}: momentum is {momentum:g}, Keras's {layer.path} has {wanted:g} in torch's meaning."


def _some(items: list[str], separator: str = ", ") -> str:
    more = f"{separator}{len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return separator.join(items[:_SHOWN]) + more
