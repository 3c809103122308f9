"""A second wall behind `literal`: what the source of a converted model may consist of.

Values from a model file enter that source as literals only. Should one ever get past, this keeps the source to
arithmetic on tensors: a few kinds of syntax, and the names that bridge's own rules use.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re

from bridge.torch_side.layers import activations, space
from bridge.torch_side.operators import OPERATORS
from bridge.torch_side.operators import form as operator_form
from bridge.torch_side.writing import (
    control,
    penalties,
    plan,
    sizes,
    sizes_forms,
    sizes_items,
    source,
    source_choices,
    source_init,
    source_lines,
    source_methods,
)
from bridge.torch_side.writing.part import RULES

_ROOTS = frozenset({"torch", "nn", "F"})
_BUILTINS = frozenset({"super", "float", "int", "Tensor", "dict", "str", "tuple", "len", "self"})
_STATEMENTS = (
    ast.Module,
    ast.ClassDef,
    ast.FunctionDef,
    ast.Return,
    ast.Assign,
    ast.Expr,
    ast.If,
    ast.With,
    ast.withitem,
)
_EXPRESSIONS = (
    ast.Call,
    ast.Attribute,
    ast.Name,
    ast.Constant,
    ast.Tuple,
    ast.List,
    ast.Dict,
    ast.Subscript,
    ast.IfExp,
)
_PARTS = (ast.arguments, ast.arg, ast.keyword, ast.Load, ast.Store, ast.Slice, ast.Starred)
_ARITHMETIC = (ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop, ast.Compare, ast.cmpop, ast.BoolOp, ast.boolop)
_SYNTAX = (*_STATEMENTS, *_EXPRESSIONS, *_PARTS, *_ARITHMETIC)


def check(text: str, names: set[str], attributes: set[str], rules: str = "") -> None:
    """Raises AssertionError if the source holds anything else than a converted model's does.

    names: the classes and functions that the source may call. attributes: the module's own parts. rules: the text of
    the user's own rules, which write lines of it too.
    """
    nodes = list(ast.walk(ast.parse(text)))
    local = {node.arg for node in nodes if isinstance(node, ast.arg)}
    local |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    attributes = attributes | {node.name for node in nodes if isinstance(node, ast.FunctionDef)}  # its own methods
    bases = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    attributes = attributes | _words_of(rules) | _torch_names_of(rules)
    for node in nodes:
        if not isinstance(node, _SYNTAX) or not _is_expected(node, names, attributes, local, bases):
            raise AssertionError(f"unexpected in a model's source: {ast.unparse(node)[:200]}")


def _is_expected(node: ast.AST, names: set[str], attributes: set[str], local: set[str], bases: set[int]) -> bool:
    if isinstance(node, ast.Name):
        if node.id in _ROOTS:
            return id(node) in bases and isinstance(node.ctx, ast.Load)  # never by itself, under another name
        return node.id in names or node.id in local or node.id in _BUILTINS
    if isinstance(node, ast.Attribute):
        path = _dotted(node)
        if path is not None and path.split(".")[0] in _ROOTS:
            return path in attributes or path in _torch_names() or path.removeprefix("torch.") in source_init.DTYPES
        return node.attr in _words() or node.attr in attributes
    return not isinstance(node, ast.Call) or isinstance(node.func, ast.Name | ast.Attribute)


def _dotted(node: ast.expr) -> str | None:
    """a.b.c, if that is all the node is."""
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value)
        return None if base is None else f"{base}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else None


@functools.cache
def _text() -> str:
    """Everything that writes a line of a model's source."""
    writers = {inspect.getmodule(writer) for writer in (*RULES.values(), *OPERATORS.values())}
    own = (activations, control, operator_form, penalties, plan, sizes, sizes_forms, sizes_items, space)
    own += (source, source_choices, source_init, source_lines, source_methods)
    return "\n".join(inspect.getsource(module) for module in {*writers, *own} if module is not None)


@functools.cache
def _torch_names() -> frozenset[str]:
    """torch.exp, F.relu, nn.Linear, ...: as bridge's rules spell them, and the parts of longer ones."""
    return _torch_names_of(_text())


def _torch_names_of(text: str) -> frozenset[str]:
    found = re.findall(r"\b(?:torch|F|nn)(?:\.\w+)+", text)
    parts = (name.split(".") for name in found)
    return frozenset(".".join(words[:length]) for words in parts for length in range(2, len(words) + 1))


@functools.cache
def _words() -> frozenset[str]:
    """The attributes and methods that stand behind a dot somewhere in the rules; none begins with an underscore."""
    return _words_of(_text()) | {"__init__"}


def _words_of(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\.([a-zA-Z]\w*)", text))
