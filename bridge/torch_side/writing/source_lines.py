"""The body of a function in a converted model's source: a line for each step."""

from __future__ import annotations

from collections import Counter

from bridge.graph import Node
from bridge.graph.changes.in_training import OWN_GRADIENT
from bridge.torch_side.writing.branches import branches
from bridge.torch_side.writing.part import literal
from bridge.torch_side.writing.plan import Plan, Step
from bridge.torch_side.writing.source_choices import chosen, with_gradient
from bridge.torch_side.writing.source_names import RESERVED, plan_names, variable
from bridge.torch_side.writing.source_text import Lines, bare, call_text, scalar
from bridge.torch_side.writing.variables import with_few


def lines_of(
    plan: Plan, steps: list[Step], parameters: dict[str, str], outputs: list[str], taps: bool = False
) -> Lines:
    """The lines that compute some values from those that are parameters; these by the names that they have there."""
    graph = plan.graph
    expressions = dict(parameters)
    expressions |= {path: move.take.back(f"self.{move.key}", move.weight.shape) for path, move in plan.moves.items()}
    # what a step assigns to is read as it was: autograd may need that for the backward pass
    states = {each.node.inputs[-1] for each in plan.steps if each.node.kind == "AssignedState"}
    expressions |= {state: f"{expressions[state]}.clone()" for state in states & expressions.keys()}
    expressions |= {value: f"self.{'.'.join(name)}" for value, name in plan.constants.items()}
    expressions |= {n: scalar(a) for n, a in graph.constants.items() if n not in plan.constants}
    return _body(plan, steps, outputs, expressions, list(parameters.values()), taps)


def _body(
    plan: Plan,
    steps: list[Step],
    outputs: list[str],
    expressions: dict[str, str],
    inputs: list[str],
    taps: bool = False,
) -> Lines:
    """The body of a function that runs these steps. expressions: of the values there are before; inputs: its own."""
    uses = Counter(name for step in steps for name in step.node.inputs)
    reserved = {*RESERVED, *plan_names(plan)}
    taken = {*expressions.values(), *reserved}
    lines, methods, expressions = [], [], dict(expressions)
    choices = {} if taps else branches(steps, outputs)
    inner = {id(step) for choice in choices.values() for step in choice.both}
    steps = [step for step in steps if id(step) not in inner]
    for position, step in enumerate(steps):
        node = step.node
        given = [expressions.get(name, "None") for name in node.tensors]
        if node.kind == "AssignedState":
            given[-1] = given[-1].removesuffix(".clone()")
        call = call_text(step, given)
        if id(step) in choices:
            write = with_gradient if node.kind == OWN_GRADIENT else chosen
            call, more = write(plan, step, choices[id(step)], expressions, _body)
            methods += more
        following = steps[position + 1].node if position + 1 < len(steps) else None
        output = node.outputs[0]
        if not taps and _flows_into(node, following, uses[output], output in outputs):
            expressions[output] = call  # the layer's own activation goes round it in the next line
            continue
        if following is None and len(node.outputs) == 1 and not taps and outputs.count(output) == 1:
            expressions[output] = call
            continue
        targets = []
        for name in node.outputs:
            targets.append(variable(name if node.layer else node.kind.lower(), taken))
            if name:
                expressions[name] = targets[-1]
        lines.append(f"{', '.join(targets)} = {bare(call)}")
        if taps:
            lines.append(f"values[{literal(node.name)}] = {targets[0]}")
    if taps:
        return Lines(lines, expressions, methods)
    lines, results = with_few(lines, [expressions[output] for output in outputs], inputs, reserved)
    return Lines(lines, dict(zip(outputs, results, strict=True)), methods)


def _flows_into(node: Node, following: Node | None, uses: int, is_output: bool) -> bool:
    return bool(
        following is not None
        and following.is_split
        and following.kind == "Activation"
        and following.inputs == node.outputs[:1]
        and uses == 1
        and not is_output
        and len(node.outputs) == 1
    )
