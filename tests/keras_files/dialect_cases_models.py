"""How models hold their layers and calls."""

from __future__ import annotations

from typing import Any

from dialect_case import ADD, ADDED, ENDS, Dialect, X, called, functional, tensor

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


def part(number: int) -> dict[str, Any]:
    """What gives a GPU its part of the batch, as multi_gpu_model made it; of its code there is the name get_slice."""
    given = {"function": ["Z2V0X3NsaWNl", None, None], "arguments": {"i": number, "parts": 2}}
    return called("Lambda", f"lambda_{number}", [[["x", 0, 0, {}]]], **given)


def spread(*nodes: Any) -> dict[str, Any]:
    return {"class_name": "Model", "name": "inner", "config": functional(X, ADD), "inbound_nodes": list(nodes)}


CASES = [
    Dialect(
        "multi_gpu_model",
        "2.2.4",
        "Model",
        functional(
            X,
            *map(part, (0, 1)),
            spread([["lambda_0", 0, 0, {}]], [["lambda_1", 0, 0, {}]]),
            called("Concatenate", "d", [[["inner", 1, 0, {}], ["inner", 2, 0, {}]]], axis=0),
        ),
        functional(
            X,
            {
                "class_name": "Functional",
                "name": "inner",
                "config": functional(X, ADDED, **ENDS),
                "inbound_nodes": [{"args": [tensor("x")], "kwargs": {}}],
            },
            input_layers=["x", 0, 0],
            output_layers=["inner", 1, 0],
        ),
        new="Functional",
        model=True,
    ),
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
        "causal_attention",
        "2.4.0",
        "Model",
        functional(X, called("Attention", "d", [[["x", 0, 0, {}], ["x", 0, 0]]], causal=True)),
        functional(
            X,
            called("Attention", "d", [{"args": [[tensor("x"), tensor("x")]], "kwargs": {"use_causal_mask": True}}]),
            **ENDS,
        ),
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
