"""The torch module as Python source: what runs, and what a person reads in model.py."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from dataclasses import replace

from bridge.graph.bodies.activations import final_word
from bridge.graph.changes.in_training import KINDS, needed
from bridge.torch_side.writing.own_rules import source_of
from bridge.torch_side.writing.part import Part, literal
from bridge.torch_side.writing.plan import Plan, Step
from bridge.torch_side.writing.source_copies import own_things
from bridge.torch_side.writing.source_init import init
from bridge.torch_side.writing.source_lines import lines_of
from bridge.torch_side.writing.source_methods import inner_methods, training_methods
from bridge.torch_side.writing.source_names import class_name, input_names
from bridge.torch_side.writing.source_text import call_text, joined, method_text

_LOAD = '''
def load(folder: str | Path = Path(__file__).parent) -> {name}:
    """The model with the weights of `folder`/model.safetensors, in evaluation mode."""
    model = {name}()
    model.load_state_dict(load_file(Path(folder) / "model.safetensors"))
    return model.eval()
'''


def class_source(plan: Plan) -> str:
    """The module's class alone."""
    graph = plan.graph
    names = literal(tuple(value.name for value in graph.inputs))
    shapes = literal({value.name: (value.shape or ())[1:] for value in graph.inputs})
    head = [
        f"class {class_name(plan)}(nn.Module):",
        f"    {_class_doc(plan)}",
        "",
        f"    input_names = {names}",
        f"    input_shapes = {shapes}  # without the batch axis",
    ]
    words = {name: _ending(plan, step) for name, step in final_steps(plan).items()}
    if words:
        head.append(f"    final = {literal(words if len(graph.outputs) > 1 else next(iter(words.values())))}")
    blocks = [init(plan), *_forward_methods(plan), *inner_methods(plan), *training_methods(plan)]
    return "\n".join(head) + "\n\n" + "\n\n".join(textwrap.indent(block, "    ") for block in blocks) + "\n"


def _forward_methods(plan: Plan) -> list[str]:
    """`forward`; and `logits` where a softmax or sigmoid ends the model."""
    finals, outputs = final_steps(plan), [value.name for value in plan.graph.outputs]
    inputs = list(input_names(plan).values())
    result = "Tensor" if len(outputs) == 1 else "dict[str, Tensor]"
    wanted = [finals[o].node.tensors[0] if o in finals else o for o in outputs]
    lines = lines_of(plan, [step for step in plan.steps if step not in finals.values()], input_names(plan), wanted)
    before = {o: lines.values[finals[o].node.tensors[0] if o in finals else o] for o in outputs}
    listed = ", ".join(f"{literal(name)}: {value}" for name, value in before.items())
    body = [*lines.body, f"return {before[outputs[0]] if len(outputs) == 1 else f'{{{listed}}}'}"]
    if not finals:
        return [*lines.methods, method_text("forward", inputs, _doc(plan), body, result)]
    words = dict.fromkeys(str(_ending(plan, step)) for step in finals.values())
    doc = f"The outputs before the final {' or '.join(words)}"
    logits = method_text("logits", inputs, f"{doc}: train on these.", body, result)
    inner = f"self.logits({', '.join(inputs)})"
    if len(outputs) == 1:
        body = [f"return {call_text(finals[outputs[0]], [inner])}"]
    else:
        activated = [
            f"outputs[{literal(o)}] = {call_text(step, [f'outputs[{literal(o)}]'])}" for o, step in finals.items()
        ]
        body = [f"outputs = {inner}", *activated, "return outputs"]
    return [*lines.methods, logits, method_text("forward", inputs, _doc(plan), body, result)]


def taps_source(plan: Plan) -> str:
    """A function (module, inputs) -> every node's output by the node's name, for comparing layer by layer."""
    inputs = list(input_names(plan).values())
    outputs = [value.name for value in plan.graph.outputs]
    graph_made = {name for node in plan.graph.nodes for name in node.outputs}
    acting = {name for node in needed(plan.graph.nodes, outputs) for name in node.outputs}
    idle = graph_made - acting - {""}
    steps = [_in_inference(step) if step.node.kind in KINDS else step for step in plan.steps]
    steps = [step for step in steps if not {*step.node.outputs} & idle]
    lines = lines_of(plan, steps, input_names(plan), outputs, taps=True)
    return method_text(
        "taps", inputs, "Every node's output, by name.", ["values = {}", *lines.body, "return values"], "dict"
    )


def _in_inference(step: Step) -> Step:
    """A choice between the modes as what it gives in inference."""
    return replace(step, part=Part(call=joined([f"{{{i}}}" for i in range(len(step.node.outputs))])))


def file_source(plan: Plan, made_by: str) -> str:
    """The whole of model.py: imports, copies of the modules and functions it needs, the class, and `load`."""
    name = class_name(plan)
    copies = [source_of(thing) for thing in own_things(plan)]
    body = class_source(plan)
    text = "\n\n".join([*copies, body])
    imports = [
        "import math",
        "from collections.abc import Callable",
        "from pathlib import Path",
        "",
        "import torch",
        "from safetensors.torch import load_file",
    ]
    imports += ["from torch import Tensor, nn", "from torch.nn import functional as F"]
    imports = [line for line in imports if _is_used(line, text)]
    origin = literal(str(plan.graph.source.get("file", plan.graph.name)).replace("\n", " "))[1:-1].replace('"', "'")
    head = f'"""{name}, converted from {origin} by {made_by}.\n\n'
    head += '    model = load()  # needs torch and safetensors only\n"""'
    parts = [head, "from __future__ import annotations", "\n".join(imports) + "\n", text]
    return "\n\n".join(parts) + "\n" + _LOAD.format(name=name)


def _is_used(line: str, text: str) -> bool:
    words = {"import torch": r"\btorch\.", "from torch.nn import functional as F": r"\bF\."}
    words |= {"from collections.abc import Callable": r"\bCallable\b", "import math": r"\bmath\."}
    return line not in words or re.search(words[line], text) is not None


def final_steps(plan: Plan) -> dict[str, Step]:
    """The softmax or sigmoid that ends an output, by output: training goes through what is before it."""
    graph = plan.graph
    uses = Counter(name for step in plan.steps for name in step.node.inputs)
    makers = {name: step for step in plan.steps for name in step.node.outputs}
    return {
        value.name: makers[value.name]
        for value in graph.outputs
        if value.name in makers and not uses[value.name] and _ending(plan, makers[value.name]) is not None
    }


def _ending(plan: Plan, step: Step) -> str | None:
    """The final softmax or sigmoid that a step is."""
    value = plan.graph.values.get(step.node.outputs[0])
    return final_word(step.node.layer, len(value.shape or ())) if step.node.layer and value else None


def _doc(plan: Plan) -> str:
    def described(value: object) -> str:
        sizes = ", ".join(
            "batch" if i == 0 else "any" if s is None else str(s) for i, s in enumerate(value.shape or ())
        )  # type: ignore[attr-defined]
        return f"({sizes})"

    names = input_names(plan)
    inputs = ", ".join(f"{names[v.name]}: {described(v)}" for v in plan.graph.inputs)
    return f"{inputs} -> {', '.join(described(v) for v in plan.graph.outputs)}."


def _class_doc(plan: Plan) -> str:
    trainable = sum(_size(m.weight.shape) for m in plan.moves.values() if not m.weight.state and m.weight.trainable)
    return f'"""{trainable:,} trainable parameters."""'


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
