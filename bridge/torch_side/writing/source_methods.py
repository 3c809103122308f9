"""The methods of a converted model's class beside `forward`: bodies of loops, branches, what training asks for."""

from __future__ import annotations

from bridge.torch_side.writing.penalties import constraint_lines, penalty_terms
from bridge.torch_side.writing.plan import Plan
from bridge.torch_side.writing.source_lines import lines_of
from bridge.torch_side.writing.source_names import plan_names, variable
from bridge.torch_side.writing.source_text import method_text
from bridge.torch_side.writing.variables import LETTERS


def inner_methods(plan: Plan) -> list[str]:
    """The bodies of loops and the branches of conditions."""
    blocks = []
    for method in plan.methods:
        taken = plan_names(plan)
        wishes = [*method.words, *LETTERS][: len(method.inputs)]
        wishes += ["value"] * (len(method.inputs) - len(wishes))
        parameters = {name: variable(wish, taken) for name, wish in zip(method.inputs, wishes, strict=True)}
        lines = lines_of(plan, method.steps, parameters, method.outputs)
        results = [lines.values.get(name, "None") for name in method.outputs]
        result = ", ".join(results) + ("," if len(results) == 1 and method.several else "")
        body = [*lines.body, f"return {result if len(results) > 1 else f'({result})' if method.several else result}"]
        kind = "tuple" if method.several else "Tensor"
        blocks += lines.methods
        first, *others = [*parameters.values()] if method.counts else ["", *parameters.values()]
        given = [*([f"{first}: int"] if method.counts else []), *others]
        blocks.append(method_text(method.name, given, method.doc, body, kind))
    return blocks


def training_methods(plan: Plan) -> list[str]:
    blocks = []
    if terms := penalty_terms(plan):
        doc = "Keras's regularization losses, of the trained weights and of the last forward's activations."
        body = ["penalty = torch.zeros(())"]
        for term in terms:
            add = f"penalty = penalty + {term.source}"
            body += [f"if {term.weight}.requires_grad:", f"    {add}"] if term.weight else [add]
        blocks.append(method_text("penalty", [], doc, [*body, "return penalty"], "Tensor"))
    if lines := constraint_lines(plan):
        doc = "Keras's weight constraints: call after each step of the optimizer."
        body = ["with torch.no_grad():"]
        for line in lines:
            body += [f"    if {line.weight}.requires_grad:", f"        {line.source}"]
        blocks.append(method_text("constrain", [], doc, body, "None"))
    return blocks
