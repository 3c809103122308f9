"""From a layered graph to a plan of the torch module: which part each node is, under which name, with which weights."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field, replace

from torch import nn

from bridge.errors import BridgeError
from bridge.graph import Graph, Node, Refused, Weight
from bridge.graph.body import UNREADABLE
from bridge.graph.layer import ACT_IN_TRAINING, without_dropout
from bridge.torch_side.layers import (  # noqa: F401 (they register the rules)
    activations,
    applications,
    attention,
    augmentation,
    clahe,
    conv_lstm,
    convolution,
    core,
    einsum,
    embedding,
    merging,
    normalization,
    own_code,
    padding,
    pooling,
    recurrent,
    reshaping,
    resize,
    spectral,
    spectrogram,
    time_distributed,
)
from bridge.torch_side.writing import own_rules
from bridge.torch_side.writing.control import Method, Methods
from bridge.torch_side.writing.from_end import with_negative_numbers
from bridge.torch_side.writing.part import RULES, Part, Take
from bridge.torch_side.writing.sizes import with_plain_sizes
from bridge.torch_side.writing.step import Name, Step

SHOWN = 6  # reasons in one message
OWN_GRADIENT = "a program says what its gradient is (custom_gradient), which torch would not follow"
_TAKEN = frozenset(dir(nn.Module())) | {"logits", "penalty", "constrain", "final", "input_names", "input_shapes"}


@dataclass(frozen=True)
class Move:
    """How one Keras weight is one torch tensor."""

    weight: Weight
    key: str  # in the state_dict: "dense_1.weight"
    take: Take

    @property
    def shape(self) -> tuple[int, ...]:
        return self.take.shape(self.weight.shape)


@dataclass
class Plan:
    graph: Graph
    steps: list[Step] = field(default_factory=list)
    modules: dict[Name, Part] = field(default_factory=dict)
    moves: dict[str, Move] = field(default_factory=dict)  # by the Keras weight's path
    free: dict[str, Name] = field(default_factory=dict)  # weights that belong to no known layer, by path
    constants: dict[str, Name] = field(default_factory=dict)  # arrays that are no weights, by value name
    methods: list[Method] = field(default_factory=list)  # bodies of loops, branches of conditions

    @property
    def all_steps(self) -> list[Step]:
        """Those of the methods too."""
        return [*self.steps, *(step for method in self.methods for step in method.steps)]


class Unconvertible(BridgeError):
    """A graph that can't become a torch module, for all these reasons."""

    def __init__(self, graph: Graph, reasons: list[str]):
        more = f" (and {len(reasons) - SHOWN} more; bridge inspect lists them)" if len(reasons) > SHOWN else ""
        super().__init__(f"{graph.name}: can't become a torch module: {'; '.join(reasons[:SHOWN])}{more}.")
        self.reasons = reasons


def make_plan(graph: Graph) -> Plan:
    """The plan for a layered graph.

    Raises BridgeError for what has no rule, and if a weight would be used twice or not at all.
    """
    plan = Plan(graph)
    names = _Names()
    layers: dict[str, Step] = {}
    problems = []

    def layer_step(node: Node) -> Step:
        """The step of a layer's node; a new module, and the weights of that, are put to the plan."""
        assert node.layer is not None
        try:
            step = _step(node, graph, names, layers)
        except UNREADABLE as error:
            raise Refused(f"its config can't be read ({type(error).__name__}: {str(error)[:80]})") from None
        if step.name is not None and step.name not in plan.modules:
            plan.modules[step.name] = step.part
            for torch_name, take in step.part.weights.items():
                _add(plan, Move(node.layer.weights[take.weight], ".".join([*step.name, torch_name]), take))
        return step

    methods = Methods(graph, layer_step)
    for node in graph.nodes:
        try:
            plan.steps += methods.steps(node) if node.layer is None else [layer_step(node)]
        except Refused as reason:
            problems.append(f"{node}: {reason}")
        except UNREADABLE as error:
            problems.append(f"{node}: it can't be read ({type(error).__name__}: {str(error)[:80]})")
    problems += methods.problems
    problems += [f"{name}: {OWN_GRADIENT}" for name in graph.source.get("own_gradients", [])]
    if problems:
        raise Unconvertible(graph, problems)
    for path, weight in graph.weights.items():
        if path not in plan.moves:  # a custom layer's own, or one that the outputs don't depend on
            plan.free[path] = names.of(path)
            _add(plan, Move(weight, ".".join(plan.free[path]), Take(path)))
    plan.moves = {path: plan.moves[path] for path in graph.weights}  # in Keras's order
    plan.steps = with_plain_sizes(plan.steps, graph, {value.name for value in graph.outputs})
    plan.methods = methods.all
    used = {name for step in plan.all_steps for name in step.mentioned}
    used |= {name for method in plan.methods for name in method.outputs}
    for value, array in graph.constants.items():
        if value in used and array.ndim:
            plan.constants[value] = names.of(f"constants/{value.replace('/', '_')}")
    return plan


def _add(plan: Plan, move: Move) -> None:
    if move.weight.path in plan.moves:
        raise BridgeError(f"{plan.graph.name}: the weight {move.weight.path} would be used twice.")
    plan.moves[move.weight.path] = move


def _step(node: Node, graph: Graph, names: _Names, layers: dict[str, Step]) -> Step:
    assert node.layer is not None
    if own_rules.is_own(node.layer):
        return _own_step(node, graph, names, layers)
    if node.layer.kind not in RULES:
        raise Refused("there is no rule for this kind of layer yet")
    path = node.layer.path
    if node.is_split and node.kind == "Activation":
        return Step(node, activations.activation_part(node.layer.config["activation"], as_module=False), None)
    if node.kind in ("ActivityRegularization", "AddedLoss"):  # a module for each call: it keeps that call's penalty
        part = RULES[node.kind](node.layer, [])
        return Step(node, part, names.of(f"{node.name}_penalty" if node.is_split else node.name))
    shapes = [graph.values[name].shape or () for name in node.tensors]
    layer = node.layer if node.training is not False else replace(node.layer, config=without_dropout(node.layer.config))
    part = RULES[node.kind](layer, shapes)
    if part.module is not None and node.training is not None:
        part = _with_fixed_mode(node, part)
    if part.module is not None and set(node.layer.weights) != {take.weight for take in part.weights.values()}:
        raise Refused(f"its rule does not use each of its weights once: {sorted(node.layer.weights)}")
    return _shared(node, with_negative_numbers(node, part, graph), path, names, layers)


def _own_step(node: Node, graph: Graph, names: _Names, layers: dict[str, Step]) -> Step:
    assert node.layer is not None
    shapes = [graph.values[name].shape or () for name in node.tensors]
    return _shared(node, own_rules.own_part(node.layer, shapes, graph.rules), node.layer.path, names, layers)


def _shared(node: Node, part: Part, path: str, names: _Names, layers: dict[str, Step]) -> Step:
    """One module a layer, however often it is called."""
    if part.module is None:
        return Step(node, part, None)
    if path not in layers:
        layers[path] = Step(node, part, names.of(path))
    elif layers[path].part.module.source != part.module.source:  # type: ignore[union-attr]
        raise Refused("it is called twice in ways that need different modules")
    return Step(node, part, layers[path].name)


def _with_fixed_mode(node: Node, part: Part) -> Part:
    """A call whose training flag the model's own code fixed: BatchNorm frozen, dropout and noise left out."""
    assert part.module is not None
    if node.kind not in ACT_IN_TRAINING:
        return part
    if node.training:
        raise Refused("the model's code calls it with training=True, so its output is random or depends on the batch")
    if node.kind in ("BatchNormalization", "SpectralNormalization"):
        part.module.kwargs["frozen"] = True
        return part
    return Part(call="{0}")


class _Names:
    """Attribute names for Keras paths: valid, unique, clear of what nn.Module itself has."""

    def __init__(self) -> None:
        self._of: dict[str, Name] = {}
        self._taken: set[Name] = set()

    def of(self, path: str) -> Name:
        """`encoder/dense_1` -> ("encoder", "dense_1"); the same path always gives the same name."""
        if path not in self._of:
            *folders, last = path.split("/")
            parent = self.of("/".join(folders)) if folders else ()
            name = free = identifier(last)
            number = 1
            while (*parent, free) in self._taken or free in _TAKEN:
                free, number = f"{name}_{number}", number + 1
            self._of[path] = (*parent, free)
            self._taken.add(self._of[path])
        return self._of[path]


def identifier(text: str) -> str:
    """A Python identifier that looks like `text`."""
    name = re.sub(r"[^0-9a-zA-Z_]", "_", text).lstrip("_") or "layer"
    return f"layer_{name}" if name[0].isdigit() else f"{name}_" if keyword.iskeyword(name) else name
