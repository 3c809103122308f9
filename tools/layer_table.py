"""README's table of layers, from what the rules make of the test cases: python tools/layer_table.py writes it.

Which options a layer's cases prove, which torch modules and functions they become, of which ONNX operators their bodies
are. A rule's note (`@rule(kind, note=...)`) comes along.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from torch import nn

from bridge.graph import Graph, from_proto
from bridge.graph.body import DOMAIN
from bridge.torch_side.writing.part import NOTES, RULES, Part
from bridge.torch_side.writing.plan import make_plan

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- layers -->\n", "<!-- end of layers -->\n"
HEAD = "| Keras | options that tests prove | in torch | ONNX body |\n|---|---|---|---|\n"
EVERYWHERE = re.compile(r"trainable|seed|\w*_regularizer|\w*_constraint")  # options that every layer's engine sees to
SIZES = ("units", "filters", "input_dim", "output_dim", "num_tokens", "layer", "cell", "cells", "backward_layer")
# what only moves values, or makes them; shown where there is nothing else
PLUMBING = ("Constant", "CastLike", "Cast", "Identity", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Shape")
PLUMBING += ("Slice", "Gather", "Concat", "Range", "Expand", "ConstantOfShape", "Where", "Equal", "Not", "Split")
MOST = 6  # values of an option, operators of a body
TOGETHER = (
    ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"),
    ("LSTM", "GRU", "SimpleRNN", "RNN"),
)
ORDER = ("core", "activations", "normalization", "reshaping", "merging", "embedding", "einsum", "attention")


@dataclass
class Facts:
    """What the cases of one kind show, in the order in which it was met."""

    options: dict[str, dict[str, None]] = field(default_factory=dict)  # option -> its values, where these are words
    torch: dict[str, None] = field(default_factory=dict)
    operators: dict[str, int] = field(default_factory=dict)

    def add(self, other: Facts) -> None:
        for name, values in other.options.items():
            self.options.setdefault(name, {}).update(values)
        self.torch |= other.torch
        for name, count in other.operators.items():
            self.operators[name] = self.operators.get(name, 0) + count


def observe(found: dict[str, Facts], case: Any, proto: onnx.ModelProto, graph: Graph) -> None:
    """Adds what a case shows of its layer. case: tests/case.py's Case; proto, graph: the layered model of it."""
    facts = found.setdefault(case.kind, Facts())
    for option, value in [*case.options.items(), *case.call.items()]:
        if not EVERYWHERE.fullmatch(option) and option not in SIZES:
            words = facts.options.setdefault(option, {})
            words |= {value: None} if isinstance(value, str) and not value.count(",") else {}
    for name in case.named:
        facts.options.setdefault(name, {})
    for step in make_plan(graph).steps:
        if step.node.layer is not None and step.node.layer.kind == case.kind and not step.node.is_split:
            facts.torch |= dict.fromkeys(_in_torch(step.part))
    for function in proto.functions:
        if function.domain == DOMAIN and function.name == case.kind:
            for name in dict.fromkeys(node.op_type for node in function.node):
                facts.operators[name] = facts.operators.get(name, 0) + 1


def _in_torch(part: Part) -> list[str]:
    """The module's class, the functions of bridge's own, and what else the call is made of."""
    things = part.module.things if part.module else []
    named = [f"nn.{t.__name__}" if getattr(nn, t.__name__, None) is t else t.__name__ for t in things[-1:]]
    named += [function.__name__ for function in part.functions]
    if named:
        return named
    called = re.findall(r"(?:torch|F)\.\w+|\.\w+(?=\()", part.call or "")
    return [f"x{name}" if name.startswith(".") else name for name in called] or ["operators"]


def table(found: dict[str, Facts]) -> str:
    """The table as Markdown, a row for each family of layers."""
    rows: dict[tuple[str, ...], Facts] = {}
    for family in _families(found):
        rows[family] = Facts()
        for kind in family:
            rows[family].add(found[kind])
    listed = []
    for family, facts in rows.items():
        notes = dict.fromkeys(NOTES[kind] for kind in family if kind in NOTES)
        cells = (", ".join(family), _options(facts, notes), _limited(_ranks(_modules(facts))), _limited(_body(facts)))
        listed.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(listed)


def _families(found: dict[str, Facts]) -> list[tuple[str, ...]]:
    """The kinds in the order of the rules, those of one row together."""
    modules = [*ORDER, *sorted({RULES[kind].__module__.split(".")[-1] for kind in found} - {*ORDER})]
    kinds = [kind for kind in RULES if kind in found]
    kinds.sort(key=lambda kind: modules.index(RULES[kind].__module__.split(".")[-1]))
    families: dict[str, list[str]] = {}
    for kind in kinds:
        together = next((kinds[0] for kinds in TOGETHER if kind in kinds), re.sub(r"[123]D", "", kind))
        if {*found[kind].torch} == {"nn.Identity"}:  # by one rule, whatever its options
            together = RULES[kind].__name__
        families.setdefault(together, []).append(kind)
    return [tuple(sorted(kinds, key=lambda k: re.findall(r"[123]D", k))) for kinds in families.values()]


def _options(facts: Facts, notes: Iterable[str]) -> str:
    listed = []
    if {*facts.torch} == {"nn.Identity"}:
        facts = Facts()
    for name, values in facts.options.items():
        words = f" {_limited(values)}" if values else ""
        listed.append(f"`{name}`{words}")
    return ". ".join(["; ".join(listed)] * bool(listed) + [note[:1].upper() + note[1:] for note in notes])


def _modules(facts: Facts) -> list[str]:
    """What the layer is in torch; bare operators are told only where there is nothing else."""
    return [name for name in facts.torch if name != "operators"] or ["operators"]


def _body(facts: Facts) -> list[str]:
    ranked = sorted(facts.operators, key=lambda name: -facts.operators[name])
    return [name for name in ranked if name not in PLUMBING] or [name for name in ranked if name != "Constant"]


def _ranks(names: Iterable[str]) -> list[str]:
    """`nn.Conv2d` for all ranks is `nn.Conv1d, 2d, 3d`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"[123]d$", "", name), []).append(name)
    return [", ".join([group[0], *(name[-2:] for name in group[1:])]) for group in map(sorted, groups.values())]


def _limited(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:MOST]) + (f", ... ({len(listed)})" if len(listed) > MOST else "")


def in_readme(text: str) -> str:
    """The table that README holds."""
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def main() -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from conftest import Recorder
    from layer_cases import CASES
    from recording import Recording

    found: dict[str, Facts] = {}
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder), "graphs")
        recorder.ask([str(case) for case in CASES])
        for case in CASES:
            recording = Recording(recorder.wait(f"{case}.npz"))
            observe(found, case, recording.proto, from_proto(recording.proto))
        recorder.close()
    readme = ROOT / "README.md"
    text = readme.read_text()
    readme.write_text(text.replace(in_readme(text), table(found)))
    print(f"{readme}: {len(found)} layers of {len(CASES)} cases.")


if __name__ == "__main__":
    main()
