"""How models hold their layers and calls."""

from __future__ import annotations

from dialect_case import ADD, ADDED, ENDS, Dialect, X, called, functional

DENSE = {"class_name": "Dense", "config": {"name": "dense", "units": 2}}

INPUT = {"class_name": "InputLayer", "config": {"batch_shape": [None, 3], "dtype": "float32", "name": "dense_input"}}

LOSS = [
    called("TFOpLambda", "tf.square", [["d", 0, 0, {}]], function="math.square"),
    called("AddLoss", "l", [[["tf.square", 0, 0, {}]]]),
]

MASKED = {
    "name": "s",
    "layers": [
        {"class_name": "Embedding", "config": {"name": "e", "mask_zero": True}},
        {"class_name": "MultiHeadAttention", "config": {"name": "m"}},
    ],
}

CASES = [
    Dialect(
        "sequential_as_a_list",
        "2.1.6",
        "Sequential",
        [INPUT, DENSE],
        {"name": "sequential", "layers": [INPUT, DENSE]},
        model=True,
    ),
    Dialect(
        "functional_class",
        "2.1.6",
        "Model",
        functional(X, ADD),
        functional(X, ADDED, **ENDS),
        new="Functional",
        model=True,
    ),
    Dialect(
        "input_layer_shape",
        "2.2.4",
        "InputLayer",
        {"batch_input_shape": [None, 2], "dtype": "int32", "sparse": True},
        {"batch_shape": [None, 2], "dtype": "int32"},
    ),
    Dialect(
        "ragged_input",
        "2.3.0",
        "InputLayer",
        {"batch_input_shape": [None, None], "ragged": True},
        {"batch_shape": [None, None], "dtype": "float32"},
    ),
    Dialect("input_layer_shape", "2.3.0", "InputLayer", {}, refused="has no shape"),
    Dialect(
        "sequential_input",
        "2.2.4",
        "Sequential",
        {
            "name": "s",
            "layers": [
                {"class_name": "Dense", "config": {"name": "dense", "batch_input_shape": [None, 3], "units": 2}}
            ],
        },
        {"name": "s", "layers": [INPUT, DENSE]},
        model=True,
    ),
    Dialect(
        "model_settings",
        "2.5.0",
        "Sequential",
        {"name": "s", "layers": [INPUT, DENSE], "shared_inputs": 1},
        {"name": "s", "layers": [INPUT, DENSE]},
        model=True,
    ),
    Dialect("added_losses", "2.4.0", "Functional", functional(X, ADD, *LOSS), functional(X, ADDED, **ENDS), model=True),
    Dialect("attention_without_masks", "2.9.0", "Sequential", MASKED, MASKED, model=True),
    Dialect("calls_of_layers", "2.4.0", "Functional", functional(X, ADD), functional(X, ADDED, **ENDS), model=True),
]
