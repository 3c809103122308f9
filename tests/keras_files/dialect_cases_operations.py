"""Functions and operators between the layers."""

from __future__ import annotations

import json

from dialect_case import Dialect

NODE = json.dumps({"name": "add", "op": "AddV2", "attr": {"T": {"type": "DT_FLOAT"}}})

CASES = [
    Dialect("functions_between_layers", "2.7.0", "TFOpLambda", {"function": "math.add"}, {"function": "math.add"}),
    Dialect(
        "functions_between_layers",
        "2.7.0",
        "TFOpLambda",
        {"function": "io.read_file"},
        refused="calls TensorFlow's 'io.read_file'",
    ),
    Dialect(
        "operators_between_layers",
        "2.2.4-tf",
        "TensorFlowOpLayer",
        {"node_def": NODE, "constants": {"1": 2.0}, "dtype": "float32"},
        {"node_def": NODE, "constants": {"1": 2.0}},
    ),
    Dialect(
        "operators_between_layers",
        "2.2.4-tf",
        "TensorFlowOpLayer",
        {"node_def": 'name: "a"\nop: "PyFunc"'},
        refused="operator 'PyFunc'",
    ),
    Dialect(
        "operators_between_layers",
        "2.2.4-tf",
        "TensorFlowOpLayer",
        {"node_def": 'op: "Exp" "erimentalCSVDataset"'},  # side by side they are one string
        refused="operator None",
    ),
    Dialect(
        "methods_between_layers",
        "2.7.0",
        "ClassMethod",
        {"cls_symbol": "RaggedTensor", "method_name": "f"},
        refused="takes 'f' of",
    ),
]
