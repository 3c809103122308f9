"""The recurrent operators: LSTM, GRU, RNN."""

from __future__ import annotations

from bridge.graph import Node, Refused
from bridge.torch_side.operators.form import Known, integer, number, operator, outputs, present, word
from bridge.torch_side.operators.functions import recurrent as functions
from bridge.torch_side.writing.part import Part, literal

_ACTIVATIONS = {
    "Sigmoid": "torch.sigmoid",
    "Tanh": "torch.tanh",
    "Relu": "torch.relu",
    "Softsign": "F.softsign",
    "Softplus": "F.softplus",
}


def _acts(node: Node, plain: tuple[str, ...], directions: int) -> str:
    """The activations of all directions as a tuple of torch's functions."""
    listed = [a.decode("ascii", "replace") for a in node.attributes.get("activations") or ()]
    listed = listed or [name for _ in range(directions) for name in plain]
    if len(listed) != directions * len(plain):
        raise Refused(f"{node.kind} with {len(listed)} activations for {directions * len(plain)}")
    if unknown := [name for name in listed if name not in _ACTIVATIONS]:
        raise Refused(f"{node.kind} with the activation {unknown[0]!r}")
    if node.attributes.get("activation_alpha") or node.attributes.get("activation_beta"):
        raise Refused(f"{node.kind} with activations that have parameters")
    return f"({', '.join(_ACTIVATIONS[name] for name in listed)}{',' if len(listed) == 1 else ''})"


def _call(node: Node, kind: str, plain: tuple[str, ...], inputs: int, more: str = "") -> str:
    direction = word(node, "direction", "forward", "reverse", "bidirectional")
    backwards = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[direction]
    given = ", ".join(f"{{{i}}}" if present(node, i) else "None" for i in range(inputs))
    acts = _acts(node, plain, len(backwards))
    clip = f", clip={number(node, 'clip', 0.0)!r}" if "clip" in node.attributes else ""
    return f"{kind}({given}, {literal(backwards)}, {bool(integer(node, 'layout', 0))}, {acts}{more}{clip})"


@operator("LSTM")
def lstm(node: Node, known: Known) -> Part:
    more = ", peep={7}" if present(node, 7) else ""
    more += ", coupled=True" if integer(node, "input_forget", 0) else ""
    call = _call(node, "lstm", ("Sigmoid", "Tanh", "Tanh"), 7, more)
    return Part(call=outputs(node, call, 3), functions=(functions.lstm, functions.lstm_step, functions.recurrent))


@operator("GRU")
def gru(node: Node, known: Known) -> Part:
    more = ", reset_after=True" if integer(node, "linear_before_reset", 0) else ""
    call = _call(node, "gru", ("Sigmoid", "Tanh"), 6, more)
    return Part(call=outputs(node, call, 2), functions=(functions.gru, functions.gru_step, functions.recurrent))


@operator("RNN")
def rnn(node: Node, known: Known) -> Part:
    call = _call(node, "rnn", ("Tanh",), 6)
    return Part(call=outputs(node, call, 2), functions=(functions.rnn, functions.rnn_step, functions.recurrent))
