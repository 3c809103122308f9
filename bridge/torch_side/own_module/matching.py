"""Which tensor of a user's module may take which Keras weight: by name, by shape and by order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, product

import numpy as np
import torch
from torch import Tensor, nn

from bridge.errors import BridgeError
from bridge.torch_side.writing.part import Axes, Take
from bridge.torch_side.writing.plan import Move, Plan

Pairs = dict[str, "Slot"]  # by the Keras weight's path
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
_NORM_WORDS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
_NEUTRAL = {"bias": "zeros", "weight": "ones"}  # what computes the same as the weight's absence
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
_PRECISE = (torch.float32, torch.float64)
_EFFORT = 8_000  # steps of one search; as many as there are tensors are enough where the orders fit
_LAYOUTS = 16  # orders of axes tried for one pairing


@dataclass(frozen=True, eq=False)
class Slot:
    """A tensor of the user's module. aliases: its other keys, where modules share it."""

    key: str
    tensor: Tensor
    owner: nn.Module
    position: int  # in the state_dict
    aliases: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """The owner's name."""
        return self.key.rpartition(".")[0]

    @property
    def word(self) -> str:
        """The tensor's name in its owner: "weight"."""
        return self.key.rpartition(".")[2]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    @property
    def is_buffer(self) -> bool:
        return not isinstance(self.tensor, nn.Parameter)

    @property
    def is_norm(self) -> bool:
        return isinstance(self.owner, NORMS)

    @cached_property
    def is_whole(self) -> bool:
        """Whether the owner is one of torch's own layers, which takes all it has from one Keras layer."""
        return type(self.owner).__module__.startswith("torch.nn.") and not isinstance(self.owner, _CONTAINERS)

    def __str__(self) -> str:
        return f"{self.key} {self.shape}"


@dataclass(frozen=True)
class Assignment:
    """Where one tensor of the user's module comes from.

    weight: the Keras weight's path; None: `fill` says what the tensor holds ("zeros", "ones", "own").
    """

    slot: Slot
    weight: str | None
    axes: Axes = None
    fill: str = ""

    @property
    def move(self) -> str:
        """In words: "identity", "transpose", "zeros"."""
        return self.fill or str(Take(self.weight or "", self.axes))

    def value(self, arrays: Mapping[str, np.ndarray]) -> Tensor:
        """What the tensor shall hold; arrays: the Keras weights by path."""
        if self.weight is not None:
            return Take(self.weight, self.axes).to_torch(arrays[self.weight]).to(self.slot.tensor.dtype)
        if self.fill == "own":
            return self.slot.tensor.detach().clone()
        return torch.full_like(self.slot.tensor, 0.0 if self.fill == "zeros" else 1.0).detach()

    def fill_slot(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Gives the tensor what it shall hold, without a copy between."""
        if self.weight is not None:
            Take(self.weight, self.axes).fill(self.slot.tensor, arrays[self.weight])
        elif self.fill != "own":
            self.slot.tensor.fill_(0.0 if self.fill == "zeros" else 1.0)


@dataclass(frozen=True)
class Candidate:
    """A complete mapping. decided: by names, or by the order of the whole model; not by shapes alone."""

    assignments: list[Assignment]
    decided: bool


def slots_of(module: nn.Module) -> list[Slot]:
    """The tensors of a module's state_dict, each once. Raises BridgeError for types that can't hold float32."""
    persistent = module.state_dict(keep_vars=True)
    tensors = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    keys: dict[int, list[str]] = {}
    for key in persistent:
        if key in tensors and key.rpartition(".")[2] != "num_batches_tracked":  # a counter that Keras doesn't have
            keys.setdefault(id(tensors[key]), []).append(key)
    slots: list[Slot] = []
    for key, *aliases in keys.values():
        tensor = tensors[key]
        if tensor.is_floating_point() and tensor.dtype not in _PRECISE:
            raise BridgeError(f"{key} is of type {str(tensor.dtype)[6:]}, which can't hold Keras's float32 weights.")
        slots.append(Slot(key, tensor, module.get_submodule(key.rpartition(".")[0]), len(slots), tuple(aliases)))
    return slots


@dataclass
class Matcher:
    """The Keras weights of a plan and the tensors of a module.

    calls: the names of the module's submodules in the order of their first call.
    """

    plan: Plan
    slots: list[Slot]
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        layers = self.plan.graph.layers.values()
        self._layers = {weight.path: layer.path for layer in layers for weight in layer.weights.values()}
        self._roles = {weight.path: role for layer in layers for role, weight in layer.weights.items()}
        self._kinds = {
            weight.path: step.part.module.kind
            for step in self.plan.all_steps
            if step.node.layer and step.part.module
            for weight in step.node.layer.weights.values()
        }
        # Normalization counts the samples that it was adapted to, and never computes with the number.
        self.wanted = [move for path, move in self.plan.moves.items() if self.role(path) != "count"]
        kinds: dict[object, list[Slot]] = {}  # alike to `ways`: a large network has thousands of tensors of few kinds
        for slot in self.slots:
            kinds.setdefault((slot.word, slot.shape, slot.tensor.dtype, slot.is_buffer, type(slot.owner)), []).append(
                slot
            )
        self._fits = {
            move.weight.path: sorted(
                (slot for alike in kinds.values() if self.ways(move, alike[0]) for slot in alike),
                key=lambda slot: slot.position,
            )
            for move in self.wanted
        }

    def role(self, path: str) -> str:
        """The layer's own word for a weight: "kernel"."""
        return self._roles.get(path, path.rpartition("/")[2])

    def layer(self, path: str) -> str:
        """The path of the layer that a weight belongs to."""
        return self._layers.get(path, path.rpartition("/")[0])

    def ways(self, move: Move, slot: Slot) -> list[Axes]:
        """The orders of its axes in which a weight may stand in a tensor; none if it may not."""
        path, shape, role = move.weight.path, move.weight.shape, self.role(move.weight.path)
        same_type = np.issubdtype(move.weight.dtype, np.floating) == slot.tensor.is_floating_point()
        if move.weight.state != slot.is_buffer or not same_type:
            return []
        listed: list[Axes]
        if slot.is_norm:
            listed = [None] if _NORM_WORDS.get(role) == slot.word else []
        elif isinstance(slot.owner, nn.Linear):
            listed = [] if role in _NORM_WORDS else [(1, 0) if slot.word == "weight" else None]
        elif type(slot.owner) is self._kinds.get(path):
            listed = [move.take.axes] if move.key.rpartition(".")[2] == slot.word else []
        else:  # a tensor of the user's own: in Keras's layout or in torch's
            listed = [None, move.take.axes, (1, 0)]
        ranked = (axes for axes in dict.fromkeys(listed) if axes in (None, move.take.axes) or len(axes) == len(shape))
        return [axes for axes in ranked if Take(path, axes).shape(shape) == slot.shape]

    def candidates(self) -> Iterator[Candidate]:
        """Complete mappings, each once: first what names and orders say, then whatever the shapes allow."""
        seen = set()
        for decided, pairs in self._pairings():
            for axes in islice(self._layouts(pairs), _LAYOUTS):
                key = tuple((path, slot.key, axes[path]) for path, slot in pairs.items())
                if key not in seen:
                    seen.add(key)
                    yield Candidate(self.assign(pairs, axes), decided)

    def leftovers(self) -> tuple[list[Move], list[Slot]]:
        """What stays without a partner when names and order decide: Keras weights, and the module's tensors."""
        pairs = dict(self.named())
        for move in self.wanted:
            free = self._free(move.weight.path, pairs)
            if move.weight.path not in pairs and free:
                pairs[move.weight.path] = free[0]
        taken = {*pairs.values()}
        lonely = [s for s in self.slots if s not in taken and not self.fill(s, pairs)]
        return [move for move in self.wanted if move.weight.path not in pairs], lonely

    def named(self) -> Pairs:
        """The pairs that belong together by their names, wherever that is beyond doubt."""
        pairs: Pairs = {}
        for spell in (_exact, _alike, _alike_at_end):
            keras = {move.weight.path: {spell(name) for name in self._names(move)} for move in self.wanted}
            often = Counter(name for names in keras.values() for name in names)
            spelled = {slot: {spell(key) for key in (slot.key, *slot.aliases)} for slot in self.slots}
            taken = {*pairs.values()}
            for path, names in keras.items():
                known = {name for name in names if often[name] == 1}
                found = [slot for slot in self._fits[path] if known & spelled[slot]]
                if path not in pairs and len(found) == 1 and found[0] not in taken:
                    pairs[path] = found[0]
                    taken.add(found[0])
        return pairs

    def _names(self, move: Move) -> list[str]:
        path = move.weight.path.replace("/", ".")
        return [move.key, path, f"{path.rpartition('.')[0]}.{move.key.rpartition('.')[2]}"]

    def _pairings(self) -> Iterator[tuple[bool, Pairs]]:
        called = {name: number for number, name in enumerate(self.calls)}
        orders = [
            self.slots,
            sorted(self.slots, key=lambda s: (called.get(s.prefix, len(called)), s.position)),
            sorted(self.slots, key=lambda s: [int(w) if w.isdigit() else 0 for w in re.split(r"(\d+)", s.key)]),
        ]
        named = self.named()
        for preferred in (named, {}) if named else ({},):
            for order in orders:
                for pairs in islice(self._search(order, preferred), 1):
                    rest = [slot for path, slot in pairs.items() if preferred.get(path) is not slot]
                    among = {*rest}
                    if rest == [slot for slot in order if slot in among]:  # as Keras's shapes follow each other
                        yield True, pairs
        yield from ((False, pairs) for pairs in self._search(self.slots, named))

    def _search(self, order: list[Slot], preferred: Pairs) -> Iterator[Pairs]:
        """The ways to give each weight a tensor, those nearest to the preferred pairs and to the order first."""
        rank = {slot: number for number, slot in enumerate(order)}
        others = set(preferred.values())
        pairs: Pairs = {}

        def options(path: str) -> Iterator[Slot]:
            free = self._free(path, pairs)
            return iter(sorted(free, key=lambda s: (s is not preferred.get(path), s in others, rank[s])))

        paths = [move.weight.path for move in self.wanted]
        if not paths and self._is_complete(pairs):
            yield {}
        left = [options(path) for path in paths[:1]]  # what is still to be tried, for each weight so far
        for _ in range(max(_EFFORT, 4 * len(paths)) if left else 0):
            path, slot = paths[len(left) - 1], next(left[-1], None)
            pairs.pop(path, None)
            if slot is None:
                left.pop()
                if not left:
                    return
                continue
            pairs[path] = slot
            if len(left) < len(paths):
                left.append(options(paths[len(left)]))
            elif self._is_complete(pairs):
                yield dict(pairs)

    def _is_complete(self, pairs: Pairs) -> bool:
        taken = {*pairs.values()}
        return all(slot in taken or self.fill(slot, pairs) for slot in self.slots)

    def _free(self, path: str, pairs: Pairs) -> list[Slot]:
        """The tensors that a weight may still have.

        Torch's own layers get all that they have from one Keras layer, and it gives to one of them.
        """
        layer, used = self.layer(path), {*pairs.values()}
        whole = [(self.layer(other), slot.owner) for other, slot in pairs.items() if slot.is_whole]
        layers = {owner: other for other, owner in whole}
        owners = {owner for other, owner in whole if other == layer}

        def may_join(slot: Slot) -> bool:
            return not slot.is_whole or (layers.get(slot.owner, layer) == layer and owners <= {slot.owner})

        return [slot for slot in self._fits[path] if slot not in used and may_join(slot)]

    def _layouts(self, pairs: Pairs) -> Iterator[dict[str, Axes]]:
        """The orders of axes for these pairs; what a shape leaves open is tried as the module's other tensors are."""
        ways = {path: self.ways(self.plan.moves[path], slot) for path, slot in pairs.items()}
        own = [path for path, slot in pairs.items() if not slot.is_whole and len(slot.shape) > 1]
        decided = [ways[path][0] for path in own if len(ways[path]) == 1]
        if decided and None not in decided:
            ways = {path: listed[::-1] for path, listed in ways.items()}
        yield {path: listed[0] for path, listed in ways.items()}
        yield {path: listed[-1] for path, listed in ways.items()}
        yield from (dict(zip(ways, axes, strict=True)) for axes in product(*ways.values()))

    def assign(self, pairs: Pairs, axes: dict[str, Axes]) -> list[Assignment]:
        """The assignments of all tensors, in the module's order."""
        taken = {slot: path for path, slot in pairs.items()}
        return [
            Assignment(slot, taken[slot], axes[taken[slot]])
            if slot in taken
            else Assignment(slot, None, fill=self.fill(slot, pairs))
            for slot in self.slots
        ]

    def fill(self, slot: Slot, pairs: Pairs) -> str:
        """What a tensor without a Keras weight can hold so that the result stays the same; "" if nothing can."""
        if slot.is_buffer and not slot.is_norm:
            return "own"  # a constant of the user's module
        whole = slot.is_norm or (isinstance(slot.owner, nn.Linear) and slot.word == "bias")
        layers = {self.layer(path) for path, taken in pairs.items() if taken.owner is slot.owner}
        if not whole or not layers or slot.word not in _NEUTRAL:
            return ""
        there = {move.key.rpartition(".")[2] for path, move in self.plan.moves.items() if self.layer(path) in layers}
        return "" if slot.word in there else _NEUTRAL[slot.word]


def _exact(name: str) -> str:
    return name


def _alike(name: str) -> str:
    return re.sub(r"[^0-9a-z]", "", name.lower())


def _alike_at_end(name: str) -> str:
    return _alike("".join(name.split(".")[-2:]))
