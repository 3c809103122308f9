"""The variables of a converted model's `forward`: few, so that a tensor is free as soon as nothing needs it any more.

In a function of a thousand lines in which each result has a name of its own, all of them stay in memory to its end.
"""

from __future__ import annotations

import io
import math
import tokenize
from collections.abc import Iterable, Sequence

LETTERS = ("x", "y", "z", "u", "v", "w")


def with_few(
    lines: Sequence[str], results: Sequence[str], inputs: Sequence[str], taken: Iterable[str]
) -> tuple[list[str], list[str]]:
    """The lines of a function, in which each variable is assigned once, and its results, with variables used again.

    lines: "name = expression" or "name, name = expression". inputs: the function's parameters, which may be assigned
    to as well. taken: names that no variable may have.
    """
    split = [line.partition(" = ") for line in lines]
    made = [[name.strip() for name in targets.split(",")] for targets, _, _ in split]
    variables = {*inputs, *(name for names in made for name in names)}
    last = dict.fromkeys(variables, -1)
    for number, (_, _, expression) in enumerate(split):
        last |= dict.fromkeys(_mentioned(expression, variables), number)
    for result in results:
        last |= dict.fromkeys(_mentioned(result, variables), math.inf)
    letters = [letter for letter in LETTERS if letter not in {*taken} - {*inputs}]
    names = {name: name for name in inputs}
    written = []
    for number, ((_, _, expression), targets) in enumerate(zip(split, made, strict=True)):
        expression = _renamed(expression, names)
        names = {variable: name for variable, name in names.items() if last[variable] > number}
        for target in targets:
            live = {*names.values()}
            names[target] = next((letter for letter in letters if letter not in live), target)
        written.append(f"{', '.join(names[target] for target in targets)} = {expression}")
        names = {variable: name for variable, name in names.items() if last[variable] > number}
    return written, [_renamed(result, names) for result in results]


def _words(text: str) -> list[tuple[int, int, str]]:
    """(start, end, name) of the names in an expression that are no attribute, no keyword of a call and no text."""
    found, before = [], ""
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.string.strip()]
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        is_keyword = after is not None and after.string == "="
        if token.type == tokenize.NAME and before != "." and not is_keyword:
            found.append((token.start[1], token.end[1], token.string))
        before = token.string
    return found


def _mentioned(text: str, variables: set[str]) -> set[str]:
    return {name for _, _, name in _words(text)} & variables


def _renamed(text: str, names: dict[str, str]) -> str:
    for start, end, name in reversed(_words(text)):
        if name in names:
            text = f"{text[:start]}{names[name]}{text[end:]}"
    return text
