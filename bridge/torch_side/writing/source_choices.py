"""What depends on the mode in a converted model's source: an expression, and methods for what one mode alone needs."""

from __future__ import annotations

from collections.abc import Callable

from bridge.graph.changes.in_training import in_inference, in_training
from bridge.torch_side.writing.branches import Branches, arguments, gradients, upstream
from bridge.torch_side.writing.part import literal
from bridge.torch_side.writing.plan import Plan, Step
from bridge.torch_side.writing.source_names import method_name, plan_names, variable
from bridge.torch_side.writing.source_text import Lines, bare, is_variable, joined, method_text


def chosen(
    plan: Plan, step: Step, choice: Branches, expressions: dict[str, str], body_of: Callable[..., Lines]
) -> tuple[str, list[str]]:
    """The expression of a value that depends on the mode, and the methods for what one mode alone needs.

    body_of: writes the body of a function, as source_lines does.
    """
    calls, methods = [], []
    node = step.node
    assert node.layer is not None
    modes = {"inference": (in_inference(node), choice.inference), "training": (in_training(node), choice.training)}
    for mode, (values, steps) in modes.items():
        if not steps:
            calls.append(joined([expressions[value] for value in values]))
            continue
        made = {name for each in steps for name in each.node.outputs}
        taken = [*(name for each in steps for name in each.mentioned), *values]
        outer = [n for n in dict.fromkeys(taken) if n not in made and is_variable(expressions.get(n, "None"))]
        reserved = plan_names(plan)
        names = ["x"] if len(outer) == 1 else [variable(name, reserved) for name in outer]
        lines = body_of(plan, steps, values, expressions | dict(zip(outer, names, strict=True)), names)
        method = method_name(plan, f"{node.name.replace('/', '_').removesuffix('_chosen')}_in_{mode}")
        doc = f"What {literal(node.layer.path)[1:-1] or 'the model'} computes in {mode} alone."
        results = [lines.values[value] for value in values]
        body = [*lines.body, f"return {', '.join(map(bare, results))}"]
        result = "Tensor" if len(values) == 1 else f"tuple[{', '.join(['Tensor'] * len(values))}]"
        methods += [*lines.methods, method_text(method, names, doc, body, result)]
        calls.append(f"self.{method}({', '.join(expressions[name] for name in outer)})")
    return f"({calls[1]} if self.training else {calls[0]})", methods


def with_gradient(
    plan: Plan, step: Step, choice: Branches, expressions: dict[str, str], body_of: Callable[..., Lines]
) -> tuple[str, list[str]]:
    """The expression of values whose gradient the model's own code says, and the method that computes that."""
    node = step.node
    assert node.layer is not None
    come, values = upstream(node), gradients(node)
    steps = [each for each in choice.training if not {*each.node.outputs} & {*come}]
    made = {name for each in steps for name in each.node.outputs} | {*come}
    taken = [n for n in dict.fromkeys([*(n for each in steps for n in each.mentioned), *values]) if n not in made]
    # weights too: by the time of the backward pass torch.func's functional_call has put the module's own back
    outer = [n for n in taken if is_variable(given := expressions.get(n, "None")) or given.startswith("self.")]
    reserved = plan_names(plan)
    names = [variable(name, reserved) for name in [*come, *outer]]
    lines = body_of(plan, steps, values, expressions | dict(zip([*come, *outer], names, strict=True)), names)
    method = method_name(plan, f"backward_of_{node.name.replace('/', '_')}")
    doc = "The gradients that the model's own code says, from those that come to what it gives."
    body = [*lines.body, f"return {', '.join(bare(lines.values[value]) for value in values)}"]
    result = "Tensor" if len(values) == 1 else f"tuple[{', '.join(['Tensor'] * len(values))}]"

    def listed(values: list[str]) -> str:
        texts = [expressions[value] for value in values]
        return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"

    parts = ", ".join(map(listed, (outer, node.inputs[: len(node.outputs)], arguments(node))))
    call = f"with_gradient(self.{method}, {parts})"
    return call, [*lines.methods, method_text(method, names, doc, body, result)]
