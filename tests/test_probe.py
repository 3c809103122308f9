"""What random inputs are made of: numbers of things where a model looks things up."""

import onnx
import pytest
from onnx import TensorProto, helper

from bridge.graph import Value
from bridge.graph.probe import counted_in_plain, probe_inputs


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
    below = counted_in_plain(plain(text))
    assert below == ({} if found is None else {"x": found})
    made = probe_inputs([Value("x", (None, 3))], rows=50, below=below)["x"]
    assert found is None or sorted({*made.ravel().tolist()}) == list(range(found))
