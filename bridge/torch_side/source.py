"""The torch module as Python source: what runs, and what a person reads in model.py."""

from __future__ import annotations

import builtins
import inspect
import itertools
import keyword
import re
import textwrap
from collections import Counter
from dataclasses import dataclass, replace

from bridge.errors import BridgeError
from bridge.graph import Node, Refused
from bridge.graph.activations import final_word
from bridge.graph.convolution import CONVOLUTIONS
from bridge.graph.in_training import IN_TRAINING, in_inference, in_training, needed
from bridge.graph.space import channels_last, rank_of
from bridge.torch_side.branches import Branches, branches
from bridge.torch_side.own_rules import is_users, needs, source_of
from bridge.torch_side.part import Part, literal
from bridge.torch_side.penalties import constraint_lines, penalty_terms
from bridge.torch_side.plan import Name, Plan, Step, identifier
from bridge.torch_side.variables import LETTERS, with_few

DTYPES = frozenset(
    {"bool", "float16", "bfloat16", "float32", "float64"} | {f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)}
)
_RESERVED = {"self", "torch", "nn", "F", "values", "outputs", "super", "float", "load_file", "Path"}
_LOAD = '''
def load(folder: str | Path = Path(__file__).parent) -> {name}:
    """The model with the weights of `folder`/model.safetensors, in evaluation mode."""
    model = {name}()
    model.load_state_dict(load_file(Path(folder) / "model.safetensors"))
    return model.eval()
'''


@dataclass(frozen=True)
class _Lines:
    """A function's body, the expression that each value has after it, and the methods that it calls."""

    body: list[str]
    values: dict[str, str]
    methods: list[str]


def class_name(plan: Plan) -> str:
    """The module class's name: the Keras model's in capital words."""
    name = "".join(word[:1].upper() + word[1:] for word in identifier(plan.graph.name).split("_"))
    return f"{name}Model" if name in plan_names(plan) or keyword.iskeyword(name) else name


def plan_names(plan: Plan) -> set[str]:
    """The names of classes and functions that the source brings along."""
    own = {thing.__name__ for part in plan.modules.values() if part.module for thing in part.module.things}
    return own | {f.__name__ for step in plan.all_steps for f in step.part.functions} | _RESERVED


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
    blocks = [_init(plan), *_forward_methods(plan), *_inner_methods(plan), *_training_methods(plan)]
    return "\n".join(head) + "\n\n" + "\n\n".join(textwrap.indent(block, "    ") for block in blocks) + "\n"


def _forward_methods(plan: Plan) -> list[str]:
    """`forward`; and `logits` where a softmax or sigmoid ends the model."""
    finals, outputs = final_steps(plan), [value.name for value in plan.graph.outputs]
    inputs = list(_input_names(plan).values())
    result = "Tensor" if len(outputs) == 1 else "dict[str, Tensor]"
    wanted = [finals[o].node.tensors[0] if o in finals else o for o in outputs]
    lines = _forward(plan, [step for step in plan.steps if step not in finals.values()], _input_names(plan), wanted)
    before = {o: lines.values[finals[o].node.tensors[0] if o in finals else o] for o in outputs}
    listed = ", ".join(f"{literal(name)}: {value}" for name, value in before.items())
    body = [*lines.body, f"return {before[outputs[0]] if len(outputs) == 1 else f'{{{listed}}}'}"]
    if not finals:
        return [*lines.methods, _method("forward", inputs, _doc(plan), body, result)]
    words = dict.fromkeys(str(_ending(plan, step)) for step in finals.values())
    doc = f"The outputs before the final {' or '.join(words)}"
    logits = _method("logits", inputs, f"{doc}: train on these.", body, result)
    inner = f"self.logits({', '.join(inputs)})"
    if len(outputs) == 1:
        body = [f"return {_call(finals[outputs[0]], [inner])}"]
    else:
        activated = [f"outputs[{literal(o)}] = {_call(step, [f'outputs[{literal(o)}]'])}" for o, step in finals.items()]
        body = [f"outputs = {inner}", *activated, "return outputs"]
    return [*lines.methods, logits, _method("forward", inputs, _doc(plan), body, result)]


def taps_source(plan: Plan) -> str:
    """A function (module, inputs) -> every node's output by the node's name, for comparing layer by layer."""
    inputs = list(_input_names(plan).values())
    outputs = [value.name for value in plan.graph.outputs]
    graph_made = {name for node in plan.graph.nodes for name in node.outputs}
    acting = {name for node in needed(plan.graph.nodes, outputs) for name in node.outputs}
    idle = graph_made - acting - {""}
    steps = [_in_inference(step) if step.node.kind == IN_TRAINING else step for step in plan.steps]
    steps = [step for step in steps if not {*step.node.outputs} & idle]
    lines = _forward(plan, steps, _input_names(plan), outputs, taps=True)
    return _method(
        "taps", inputs, "Every node's output, by name.", ["values = {}", *lines.body, "return values"], "dict"
    )


def _in_inference(step: Step) -> Step:
    """A choice between the modes as what it gives in inference."""
    return replace(step, part=Part(call=_joined([f"{{{i}}}" for i in range(len(step.node.outputs))])))


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


def own_things(plan: Plan) -> list[object]:
    """Classes and functions of bridge that the source uses, and those that these use, each after its needs."""
    wanted: list[object] = []
    for part in [*plan.modules.values(), *(step.part for step in plan.all_steps)]:
        if part.module is not None:
            wanted += [thing for thing in part.module.things if not thing.__module__.startswith("torch.")]
        wanted += part.functions
    wanted += [f for term in penalty_terms(plan) for f in term.functions]
    wanted += [f for line in constraint_lines(plan) for f in line.functions]
    ordered: dict[object, None] = {}
    begun: set[object] = set()  # the user's functions may call each other

    def add(thing: object) -> None:
        if is_users(thing):
            if thing not in begun:
                begun.add(thing)
                for other in needs(thing):
                    add(other)
                ordered.setdefault(thing)
            return
        module = inspect.getmodule(thing)
        for name in _mentioned(thing):
            other = getattr(module, name, None)
            if inspect.isfunction(other) and other.__module__ == module.__name__ and other is not thing:  # type: ignore[union-attr]
                add(other)
        ordered.setdefault(thing)

    for thing in wanted:
        add(thing)
    names = Counter(thing.__name__ for thing in ordered)  # type: ignore[attr-defined]
    if twice := [thing.__name__ for thing in ordered if is_users(thing) and names[thing.__name__] > 1]:  # type: ignore[attr-defined]
        raise BridgeError(
            f"{plan.graph.name}: two different things in its source are called {twice[0]}. Give the one in your rules "
            "another name."
        )
    return list(ordered)


def _mentioned(thing: object) -> list[str]:
    """The global names in the code of a function, or of a class's methods."""
    methods = vars(thing).values() if inspect.isclass(thing) else [inspect.unwrap(thing)]  # type: ignore[arg-type]
    return [name for method in methods if inspect.isfunction(method) for name in method.__code__.co_names]


def _init(plan: Plan) -> str:
    lines = ["super().__init__()"]
    made: set[Name] = set()

    def container(name: Name) -> None:
        for depth in range(1, len(name)):
            if name[:depth] not in made and name[:depth] not in plan.modules:
                made.add(name[:depth])
                lines.append(f"self.{'.'.join(name[:depth])} = nn.Module()")

    for name, part in plan.modules.items():
        container(name)
        assert part.module is not None
        lines.append(f"self.{'.'.join(name)} = {part.module.source}")
    for path, name in plan.free.items():
        container(name)
        weight = plan.graph.weights[path]
        *owner, last = name
        zeros = f"torch.zeros({literal(weight.shape)}{_dtype(weight.dtype)})"
        if weight.state:
            lines.append(f'{".".join(["self", *owner])}.register_buffer("{last}", {zeros})')
        else:
            lines.append(f"{'.'.join(['self', *name])} = nn.Parameter({zeros})")
    for value, name in plan.constants.items():
        container(name)
        array = plan.graph.constants[value]
        zeros = f"torch.zeros({literal(array.shape)}{_dtype(array.dtype.name)})"
        lines.append(f'{".".join(["self", *name[:-1]])}.register_buffer("{name[-1]}", {zeros})')
    for move in plan.moves.values():
        if not move.weight.state and not move.weight.trainable:
            lines.append(f"self.{move.key}.requires_grad_(False)")
    if _has_images(plan):
        lines.append("self.to(memory_format=torch.channels_last)  # kernels like their images: no copies")
    return "def __init__(self) -> None:\n" + textwrap.indent("\n".join(lines), "    ")


def _has_images(plan: Plan) -> bool:
    """Whether 2D convolutions get Keras's layout, in which torch wants their kernels too."""
    layers = plan.graph.layers.values()
    convolves = any(layer.kind in CONVOLUTIONS and rank_of(layer) == 2 and channels_last(layer) for layer in layers)
    ranks = [
        *(len(move.shape) for move in plan.moves.values()),
        *(plan.graph.constants[c].ndim for c in plan.constants),
    ]
    return convolves and 5 not in ranks  # torch has another word for those


def _dtype(name: str) -> str:
    if name not in DTYPES:
        raise Refused(f"a tensor of it is of type {name}, which torch does not have")
    return "" if name == "float32" else f", dtype=torch.{name}"


def _forward(
    plan: Plan, steps: list[Step], parameters: dict[str, str], outputs: list[str], taps: bool = False
) -> _Lines:
    """The lines that compute some values from those that are parameters; these by the names that they have there."""
    graph = plan.graph
    expressions = dict(parameters)
    expressions |= {path: move.take.back(f"self.{move.key}", move.weight.shape) for path, move in plan.moves.items()}
    expressions |= {value: f"self.{'.'.join(name)}" for value, name in plan.constants.items()}
    expressions |= {n: _scalar(a) for n, a in graph.constants.items() if n not in plan.constants}
    return _body(plan, steps, outputs, expressions, list(parameters.values()), taps)


def _body(
    plan: Plan,
    steps: list[Step],
    outputs: list[str],
    expressions: dict[str, str],
    inputs: list[str],
    taps: bool = False,
) -> _Lines:
    """The body of a function that runs these steps. expressions: of the values there are before; inputs: its own."""
    uses = Counter(name for step in steps for name in step.node.inputs)
    reserved = {*_RESERVED, *plan_names(plan)}
    taken = {*expressions.values(), *reserved}
    lines, methods, expressions = [], [], dict(expressions)
    choices = {} if taps else branches(steps, outputs)
    inner = {id(step) for choice in choices.values() for step in choice.both}
    steps = [step for step in steps if id(step) not in inner]
    for position, step in enumerate(steps):
        node = step.node
        call = _call(step, [expressions.get(name, "None") for name in node.tensors])
        if id(step) in choices:
            call, more = _chosen(plan, step, choices[id(step)], expressions)
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
            targets.append(_variable(name if node.layer else node.kind.lower(), taken))
            if name:
                expressions[name] = targets[-1]
        lines.append(f"{', '.join(targets)} = {_bare(call)}")
        if taps:
            lines.append(f"values[{literal(node.name)}] = {targets[0]}")
    if taps:
        return _Lines(lines, expressions, methods)
    lines, results = with_few(lines, [expressions[output] for output in outputs], inputs, reserved)
    return _Lines(lines, dict(zip(outputs, results, strict=True)), methods)


def _chosen(plan: Plan, step: Step, choice: Branches, expressions: dict[str, str]) -> tuple[str, list[str]]:
    """The expression of a value that depends on the mode, and the methods for what one mode alone needs."""
    calls, methods = [], []
    node = step.node
    assert node.layer is not None
    modes = {"inference": (in_inference(node), choice.inference), "training": (in_training(node), choice.training)}
    for mode, (values, steps) in modes.items():
        if not steps:
            calls.append(_joined([expressions[value] for value in values]))
            continue
        made = {name for each in steps for name in each.node.outputs}
        taken = [*(name for each in steps for name in each.mentioned), *values]
        outer = [n for n in dict.fromkeys(taken) if n not in made and _is_variable(expressions.get(n, "None"))]
        reserved = plan_names(plan)
        names = ["x"] if len(outer) == 1 else [_variable(name, reserved) for name in outer]
        lines = _body(plan, steps, values, expressions | dict(zip(outer, names, strict=True)), names)
        method = _method_name(plan, f"{node.name.replace('/', '_').removesuffix('_chosen')}_in_{mode}")
        doc = f"What {literal(node.layer.path)[1:-1] or 'the model'} computes in {mode} alone."
        results = [lines.values[value] for value in values]
        body = [*lines.body, f"return {', '.join(map(_bare, results))}"]
        result = "Tensor" if len(values) == 1 else f"tuple[{', '.join(['Tensor'] * len(values))}]"
        methods += [*lines.methods, _method(method, names, doc, body, result)]
        calls.append(f"self.{method}({', '.join(expressions[name] for name in outer)})")
    return f"({calls[1]} if self.training else {calls[0]})", methods


def _joined(expressions: list[str]) -> str:
    return expressions[0] if len(expressions) == 1 else f"({', '.join(expressions)})"


def _is_variable(expression: str) -> bool:
    return expression.isidentifier() and not keyword.iskeyword(expression)


def _method_name(plan: Plan, wish: str) -> str:
    parts = {name[0] for name in [*plan.modules, *plan.free.values(), *plan.constants.values()]}
    name = identifier(wish)
    while name in parts:
        name += "_"
    return name


def _inner_methods(plan: Plan) -> list[str]:
    """The bodies of loops and the branches of conditions."""
    blocks = []
    for method in plan.methods:
        taken = plan_names(plan)
        wishes = [*method.words, *LETTERS][: len(method.inputs)]
        wishes += ["value"] * (len(method.inputs) - len(wishes))
        parameters = {name: _variable(wish, taken) for name, wish in zip(method.inputs, wishes, strict=True)}
        lines = _forward(plan, method.steps, parameters, method.outputs)
        results = [lines.values.get(name, "None") for name in method.outputs]
        result = ", ".join(results) + ("," if len(results) == 1 and method.several else "")
        body = [*lines.body, f"return {result if len(results) > 1 else f'({result})' if method.several else result}"]
        kind = "tuple" if method.several else "Tensor"
        blocks.append(_method(method.name, list(parameters.values()), method.doc, body, kind))
    return blocks


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


def _call(step: Step, inputs: list[str]) -> str:
    module = f"self.{'.'.join(step.name)}" if step.name else ""
    template = step.part.call or "{self}(" + ", ".join(f"{{{i}}}" for i in range(len(inputs))) + ")"
    return template.format(*inputs, self=module)


def _bare(call: str) -> str:
    """The expression without parentheses round the whole of it."""
    if not call.startswith("(") or not call.endswith(")"):
        return call
    depths = list(itertools.accumulate({"(": 1, ")": -1}.get(letter, 0) for letter in call))
    whole = "'" not in call and '"' not in call and min(depths[:-1], default=0) > 0
    return call[1:-1] if whole and "," not in call else call


def _scalar(array: object) -> str:
    return literal(array.item()) if array.size == 1 else "None"  # type: ignore[attr-defined]


def _variable(name: str, taken: set[str]) -> str:
    base = identifier(name.rpartition("/")[2] if not name.endswith(("/linear", "/value")) else name)
    base = free = f"{base}_" if hasattr(builtins, base) else base
    number = 1
    while free in taken:
        free, number = f"{base}_{number}", number + 1
    taken.add(free)
    return free


def _input_names(plan: Plan) -> dict[str, str]:
    """The parameters of forward, by the names of the graph's inputs."""
    inputs = [value.name for value in plan.graph.inputs]
    if len(inputs) == 1:
        return {inputs[0]: "x"}
    taken = plan_names(plan)
    return {name: _variable(name, taken) for name in inputs}


def _method(name: str, inputs: list[str], doc: str, lines: list[str], result: str = "Tensor") -> str:
    head = f"def {name}({', '.join(['self', *(f'{i}: Tensor' for i in inputs)])}) -> {result}:"
    return f'{head}\n    """{doc}"""\n' + textwrap.indent("\n".join(lines), "    ")


def _doc(plan: Plan) -> str:
    def described(value: object) -> str:
        sizes = ", ".join(
            "batch" if i == 0 else "any" if s is None else str(s) for i, s in enumerate(value.shape or ())
        )  # type: ignore[attr-defined]
        return f"({sizes})"

    names = _input_names(plan)
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


def _training_methods(plan: Plan) -> list[str]:
    blocks = []
    if terms := penalty_terms(plan):
        doc = "Keras's regularization losses, of the trained weights and of the last forward's activations."
        body = ["penalty = torch.zeros(())"]
        for term in terms:
            add = f"penalty = penalty + {term.source}"
            body += [f"if {term.weight}.requires_grad:", f"    {add}"] if term.weight else [add]
        blocks.append(_method("penalty", [], doc, [*body, "return penalty"], "Tensor"))
    if lines := constraint_lines(plan):
        doc = "Keras's weight constraints: call after each step of the optimizer."
        body = ["with torch.no_grad():"]
        for line in lines:
            body += [f"    if {line.weight}.requires_grad:", f"        {line.source}"]
        blocks.append(_method("constrain", [], doc, body, "None"))
    return blocks
