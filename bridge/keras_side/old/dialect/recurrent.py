"""Recurrent layers: settings without an equal, defaults that changed, cuDNN's own layers."""

from __future__ import annotations

from bridge.keras_side.old.dialect.gone import own
from bridge.keras_side.old.dialect.table import Entry, upgrade

RECURRENT = ("SimpleRNN", "GRU", "LSTM", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
CELLS = ("SimpleRNNCell", "GRUCell", "LSTMCell")


@upgrade(
    "a recurrent layer on (steps, batch, features), as one on (batch, steps, features) between two transpositions",
    "tensorflow 1.14 to keras 2.15: layers/rnn/base_rnn.py, bidirectional.py; gone in keras 3.0",
    kinds=(*RECURRENT, "Bidirectional"),
)
def time_major(entry: Entry) -> bool:
    """A Bidirectional layer is turned around as a whole."""
    inner = [entry.config.get(key) for key in ("layer", "backward_layer")] if entry.kind == "Bidirectional" else []
    configs = [entry.config, *(node["config"] for node in inner if isinstance(node, dict) and "config" in node)]
    found = [config.pop("time_major") for config in configs if isinstance(config, dict) and "time_major" in config]
    if True in found:
        whole = {"class_name": entry.kind, "config": entry.config}
        shape = {key: entry.config.pop(key) for key in ("batch_input_shape",) if key in entry.config}
        entry.node["config"] = {"name": entry.name, "layer": whole, **shape}
        entry.kind = "TimeMajor"
        own(entry)
    return bool(found)


@upgrade(
    "how a recurrent layer was computed, all ways to the same result",
    "keras 2.0: layers/recurrent.py; gone in keras 3.0",
    kinds=(*RECURRENT, *CELLS, "Bidirectional"),
)
def implementation(entry: Entry) -> bool:
    found = [entry.config.pop(key, "absent") != "absent" for key in ("implementation", "num_constants", "input_dim")]
    found.append(entry.config.pop("input_length", "absent") != "absent")
    if entry.kind.startswith("Conv"):
        found.append(entry.config.pop("unroll", "absent") != "absent")
    return any(found)


@upgrade(
    "the reset gate before the matrix product, as it was when there was no choice",
    "keras 2.1.3, commit 2802c08202: layers/recurrent.py, GRU; the default since keras 2.3 is after",
    kinds=("GRU", "GRUCell"),
    until=(2, 3),
    means=True,
)
def gru_reset_after(entry: Entry) -> bool:
    if "reset_after" in entry.config:
        return False
    entry.config["reset_after"] = False
    return True


@upgrade(
    "hard_sigmoid for gates where none is named",
    "keras 2.3.0 release notes: the default recurrent_activation of LSTM and GRU became sigmoid",
    kinds=("GRU", "GRUCell", "LSTM", "LSTMCell"),
    until=(2, 3),
    means=True,
)
def gates_by_default(entry: Entry) -> bool:
    return _with_hard_sigmoid_gates(entry)


@upgrade(
    "hard_sigmoid for a ConvLSTM's gates where none is named",
    "keras 2.0 to 2.15: layers/convolutional_recurrent.py; sigmoid in keras 3.0",
    kinds=("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
    means=True,
)
def conv_lstm_gates_by_default(entry: Entry) -> bool:
    return _with_hard_sigmoid_gates(entry)


def _with_hard_sigmoid_gates(entry: Entry) -> bool:
    if "recurrent_activation" in entry.config:
        return False
    entry.config["recurrent_activation"] = "hard_sigmoid"
    return _of_keras2(entry)


def _of_keras2(entry: Entry) -> bool:
    from bridge.keras_side.old.dialect.settings import hard_sigmoid

    return hard_sigmoid(entry)


@upgrade(
    "the mask of a sequence beside given states, which Keras 3 would not use",
    "keras 2.0: layers/recurrent.py, Recurrent.call; keras 3.0: layers/layer.py, __call__",
    kinds=(*RECURRENT, "Bidirectional"),
)
def mask_beside_states(entry: Entry) -> bool:
    """The model is built so that it does: see old_calls."""
    nodes = entry.node.get("inbound_nodes")
    return isinstance(nodes, list) and any(isinstance(node, list) and len(node) > 1 for node in nodes)


@upgrade(
    "cuDNN's LSTM as an LSTM with two biases, whose sum counts; its weights lie in another order in the file",
    "keras 2.0.9: layers/cudnn_recurrent.py; tf-keras: saving/legacy/hdf5_format.py, _convert_rnn_weights",
    kinds=("CuDNNLSTM",),
    means=True,
)
def cudnn_lstm(entry: Entry) -> bool:
    _cudnn(entry, "LSTM", {"biases": 2})
    own(entry)
    return True


@upgrade(
    "cuDNN's GRU as a GRU with its reset gate after the matrix product; its weights lie in another order in the file",
    "keras 2.0.9: layers/cudnn_recurrent.py; tf-keras: saving/legacy/hdf5_format.py, _convert_rnn_weights",
    kinds=("CuDNNGRU",),
    means=True,
)
def cudnn_gru(entry: Entry) -> bool:
    settings = {"activation": "tanh", "use_bias": True, "recurrent_activation": "sigmoid", "reset_after": True}
    _cudnn(entry, "GRU", settings)
    return True


def _cudnn(entry: Entry, kind: str, settings: dict[str, object]) -> None:
    entry.layouts[entry.owner] = entry.kind
    entry.kind = kind
    entry.node["config"] = {**entry.config, **settings}
    for key in ("implementation", "time_major", "unit_forget_bias"):
        entry.config.pop(key, None)
