"""The smallest pieces of a converted model's source: calls, expressions, methods."""

from __future__ import annotations

import itertools
import keyword
import textwrap
from dataclasses import dataclass

from bridge.torch_side.writing.part import literal
from bridge.torch_side.writing.step import Step


@dataclass(frozen=True)
class Lines:
    """A function's body, the expression that each value has after it, and the methods that it calls."""

    body: list[str]
    values: dict[str, str]
    methods: list[str]


def call_text(step: Step, inputs: list[str]) -> str:
    module = f"self.{'.'.join(step.name)}" if step.name else ""
    template = step.part.call or "{self}(" + ", ".join(f"{{{i}}}" for i in range(len(inputs))) + ")"
    return template.format(*inputs, self=module)


def bare(call: str) -> str:
    """The expression without parentheses round the whole of it."""
    if not call.startswith("(") or not call.endswith(")"):
        return call
    depths = list(itertools.accumulate({"(": 1, ")": -1}.get(letter, 0) for letter in call))
    whole = "'" not in call and '"' not in call and min(depths[:-1], default=0) > 0
    return call[1:-1] if whole and "," not in call else call


def joined(expressions: list[str]) -> str:
    return expressions[0] if len(expressions) == 1 else f"({', '.join(expressions)})"


def is_variable(expression: str) -> bool:
    return expression.isidentifier() and not keyword.iskeyword(expression)


def scalar(array: object) -> str:
    return literal(array.item()) if array.size == 1 else "None"  # type: ignore[attr-defined]


def method_text(name: str, inputs: list[str], doc: str, lines: list[str], result: str = "Tensor") -> str:
    """inputs: of the method, tensors where they don't say another type."""
    typed = [given if ": " in given else f"{given}: Tensor" for given in inputs]
    head = f"def {name}({', '.join(['self', *typed])}) -> {result}:"
    return f'{head}\n    """{doc}"""\n' + textwrap.indent("\n".join(lines), "    ")
