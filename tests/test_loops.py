"""Loops of ONNX in torch: those that count run over a range, and take as many steps as ONNX says."""

import operator
import sys

import numpy as np
import onnx.parser
import pytest
import torch
from operator_runner import graph_of

from bridge.torch_side.writing.build import build, plan_of
from bridge.torch_side.writing.source import class_source

SIGNS = {
    "Less": operator.lt,
    "LessOrEqual": operator.le,
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
}
# s + i in each step, i from `start` on; the shape of x says how long x is
LOOP = """
<ir_version: 8, opset_import: ["" : 18]>
agraph (float[n] x) => (float[n] y, float[m, n] each, int64 last)
<int64 start = {{{start}}}, int64 by = {{{by}}}, int64 fixed = {{{end}}}, int64 most = {{{most}}}>
{{
    shape = Shape(x)
    rows = Squeeze(shape)
    end = {given}
    going = {kind}({first})
    y, last, each = Loop (most, going, x, start) <body = step (int64 k, bool c, float[n] s, int64 i)
        => (bool more, float[n] t, int64 j, float[n] u) {{
        f = CastLike(i, s)
        t = Add(s, f)
        u = Add(t, f)
        j = {grow}(i, by)
        more = {kind}({later})
    }}>
}}
"""


def model(
    start=0, by=1, kind="Less", end=3, most=sys.maxsize, grow="Add", symbolic=False, swapped=False, first="start"
):
    operands = ("end, {}" if swapped else "{}, end").format
    given = "Add(rows, fixed)" if symbolic else "Identity(fixed)"
    values = {"start": start, "by": by, "kind": kind, "end": end, "most": most, "grow": grow, "given": given}
    return onnx.parser.parse_model(LOOP.format(**values, first=operands(first), later=operands("j")))


def told(
    x, start=0, by=1, kind="Less", end=3, most=sys.maxsize, grow="Add", symbolic=False, swapped=False, first="start"
):
    """What ONNX's words for Loop say comes out."""
    end = end + len(x) if symbolic else end

    def goes_on(i):
        return SIGNS[kind](end, i) if swapped else SIGNS[kind](i, end)

    y, i, k, each, going = x.copy(), start, 0, [], goes_on(by if first == "by" else start)
    while k < most and going:
        y = y + np.float32(i)
        each.append(y + np.float32(i))
        i = i - by if grow == "Sub" else i + by
        going, k = goes_on(i), k + 1
    return y, np.array(each, np.float32).reshape(-1, len(x)), i


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"start": 2, "end": 9, "by": 3},
        {"kind": "LessOrEqual"},
        {"kind": "Greater", "start": 5, "end": 1, "by": -2},
        {"kind": "GreaterOrEqual", "start": 5, "end": 1, "by": 2, "grow": "Sub"},
        {"kind": "Greater", "swapped": True},
        {"kind": "GreaterOrEqual", "swapped": True, "end": 4},
        {"most": 2},
        {"most": 0},
        {"symbolic": True, "end": 0},
        {"symbolic": True, "end": -1, "start": 1, "by": 2},
        {"symbolic": True, "end": 0, "kind": "LessOrEqual", "most": 4},
        {"symbolic": True, "end": 0, "kind": "Greater", "swapped": True},
    ],
    ids=str,
)
def test_a_loop_that_counts_runs_over_a_range(options):
    module = build(graph_of(model(**options), {})).eval()
    assert "repeat(" in class_source(plan_of(module))
    for rows in (1, 5):
        check(module, rows, options)


@pytest.mark.parametrize(
    "options",
    [
        {"symbolic": True, "end": 0, "first": "by"},  # it begins by another comparison than it goes on by
        {"kind": "Greater", "start": 5, "symbolic": True, "end": 0, "by": -1},
        {"by": 0, "most": 3},
    ],
    ids=str,
)
def test_other_loops_ask_in_each_step(options):
    module = build(graph_of(model(**options), {})).eval()
    assert "repeat(" not in class_source(plan_of(module))
    check(module, 3, options)


def check(module, rows, options):
    x = np.arange(rows, dtype=np.float32)
    expected = told(x, **options)
    for found, wanted in zip(module(torch.from_numpy(x)).values(), expected, strict=True):
        if np.size(wanted):  # of what no step left behind, sizes that the graph does not say are 0
            np.testing.assert_array_equal(np.asarray(found), wanted)
        assert found.numel() == np.size(wanted)
