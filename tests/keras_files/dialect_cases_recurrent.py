"""Recurrent layers."""

from __future__ import annotations

from dialect_case import HARD, Dialect

CASES = [
    Dialect(
        "time_major",
        "2.2.4-tf",
        "LSTM",
        {"time_major": False, "recurrent_activation": "tanh"},
        {"recurrent_activation": "tanh"},
    ),
    Dialect(
        "time_major",
        "2.4.0",
        "SimpleRNN",
        {"time_major": True, "units": 2},
        {"layer": {"class_name": "SimpleRNN", "config": {"name": "layer", "units": 2}}},
        new="TimeMajor",
    ),
    Dialect("implementation", "2.1.6", "SimpleRNN", {"implementation": 1, "units": 2}, {"units": 2}),
    Dialect(
        "gru_reset_after",
        "2.1.2",
        "GRU",
        {"recurrent_activation": "tanh"},
        {"recurrent_activation": "tanh", "reset_after": False},
    ),
    Dialect("gates_by_default", "2.0.8", "LSTM", {"units": 2}, {"units": 2, "recurrent_activation": HARD}),
    Dialect(
        "conv_lstm_gates_by_default",
        "2.9.0",
        "ConvLSTM2D",
        {"filters": 2},
        {"filters": 2, "recurrent_activation": HARD},
    ),
    Dialect(
        "mask_beside_states",
        "2.2.4",
        "SimpleRNN",
        {"units": 2},
        {"units": 2},
        entry={"inbound_nodes": [[["x", 0, 0, {}], ["h", 0, 0, {}]]]},
    ),
    Dialect(
        "cudnn_lstm",
        "2.2.4",
        "CuDNNLSTM",
        {"units": 2},
        {"units": 2, "biases": 2},
        new="LSTM",
        layout="CuDNNLSTM",
    ),
    Dialect(
        "cudnn_gru",
        "2.2.4",
        "CuDNNGRU",
        {"units": 2},
        {"units": 2, "activation": "tanh", "use_bias": True, "recurrent_activation": "sigmoid", "reset_after": True},
        new="GRU",
        layout="CuDNNGRU",
    ),
]
