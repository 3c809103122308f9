"""What random inputs are made of: numbers of things where a model looks things up."""

import onnx
import pytest
from onnx import TensorProto, helper

from bridge.errors import BridgeError
from bridge.graph import Graph, Value
from bridge.graph.looked_up import counted_in, looked_up_in
from bridge.graph.probe import probe_inputs, probe_rows, refuse_huge


def plain(text):
    """A model of these operators on x, (rows, 3) float32, with a table of 4 rows."""
    table = helper.make_tensor("table", TensorProto.FLOAT, (4, 2), [0.0] * 8)
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21]> g (float[rows, 3] x) => (float y) {{ {text} }}'
    )
    model.graph.initializer.append(table)
    return model


COLUMN = "k = Constant <value_ints = [0]> () c = Gather <axis = 1> (x, k)"
CAST = "i = Cast <to = 7> (x)"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{CAST} y = Gather (table, i)", 4),
        (f"{CAST} y = Gather <axis = 1> (table, i)", 2),
        (f"{COLUMN} {CAST.replace('x', 'c')} y = Gather (table, i)", 4),
        (f"j = Concat <axis = 0> (x, x) {CAST.replace('x', 'j')} f = Flatten (i) y = Gather (table, f)", 4),
        (f"s = Exp (x) {CAST.replace('x', 's')} y = Gather (table, i)", None),
        ("y = MatMul (x, table)", None),
    ],
)
def test_an_input_that_is_looked_up_is_a_number_of_things(text, found):
    below = counted_in(plain(text))
    assert below == ({} if found is None else {"x": found})
    made = probe_inputs([Value("x", (None, 3))], rows=50, below=below)["x"]
    assert found is None or sorted({*made.ravel().tolist()}) == list(range(found))
    every = text.startswith(CAST)
    assert looked_up_in(plain(text)) == ({"x": found} if every else {})


@pytest.mark.parametrize(("width", "count", "rows"), [(10**6, 1, 5), (2 * 10**8, 1, 2), (2 * 10**8, 7, 1)])
def test_a_model_with_large_tensors_is_proved_on_fewer_rows(width, count, rows):
    values = {f"y{number}": Value(f"y{number}", (None, width)) for number in range(count)}
    graph = Graph("wide", [], [], [], {}, {}, values=values)
    assert probe_rows(graph) == rows
    refuse_huge(graph, rows)
    graph.values["y0"] = Value("y0", (None, None, 10**9))
    with pytest.raises(
        BridgeError, match=r"wide: y0 gives a tensor of 1 x 7 x 1000000000, 26\.1 GiB, .* at most 2 are"
    ):
        refuse_huge(graph, probe_rows(graph))
    graph.values.update({f"y{number}": Value(f"y{number}", (None, 10**8)) for number in range(30)})
    with pytest.raises(BridgeError, match=r"its 30 tensors take 11\.2 GiB for 1 row of inputs.*at most 8 are"):
        refuse_huge(graph, probe_rows(graph))
