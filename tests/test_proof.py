"""When a conversion's outputs are near enough to Keras's, by made-up outputs."""

from types import SimpleNamespace

import numpy as np
import pytest

from bridge import proof
from bridge.errors import CheckFailed
from bridge.graph import Graph, Layer, Node, Value
from bridge.keras_side.source import Source

ONES = np.ones((2, 3), np.float32)


def graph(activation: str) -> Graph:
    x, y = Value("x", (None, 3), "float32"), Value("y", (None, 3), "float32")
    node = Node("act", "Activation", ["x"], ["y"], Layer("Activation", "act", {"activation": activation}))
    return Graph("net", [x], [y], [node], {}, {}, {})


def kept(monkeypatch, activation="linear", exact=ONES, calm=ONES):
    """A model whose float64 outputs are `exact`, for smaller inputs `calm`; in float32 Keras gives ones there."""
    made = proof._Exact(Source("model.h5"), graph(activation))
    answers = {True: calm.astype(np.float64), False: ONES}
    monkeypatch.setattr(proof, "ask", lambda job, double=False, **_: {"outputs": {"y": answers[double]}})
    made.outputs = {"y": exact.astype(np.float64)}
    return made


def largest(made, got, wanted=ONES):
    return proof._largest(made, {"y": got}, {"y": wanted}, "torch")


def test_a_difference_that_is_keras_own_rounding_passes(monkeypatch):
    got, wanted = ONES * np.float32(1.00003), ONES * np.float32(1.00002)
    assert proof.TOLERANCE < largest(kept(monkeypatch), got, wanted) < proof.TOLERANCE * 2
    with pytest.raises(CheckFailed, match="torch and Keras differ"):
        largest(kept(monkeypatch), ONES * np.float32(1.0004), wanted)


def test_of_a_sigmoid_that_is_almost_zero_a_thousandth_counts(monkeypatch):
    tiny = ONES * np.float32(7e-9)
    assert largest(kept(monkeypatch, "sigmoid", tiny), tiny * 2, tiny) < proof.TOLERANCE
    for activation, wanted in (("linear", tiny), ("sigmoid", ONES / 100)):
        with pytest.raises(CheckFailed):
            largest(kept(monkeypatch, activation, wanted), wanted * 2, wanted)


def test_smaller_inputs_prove_only_what_keras_itself_is_unsure_of(monkeypatch):
    wild = kept(monkeypatch, exact=ONES * 2).calmer({"y": ONES})
    assert wild is not None
    assert wild.scale == 0.1
    assert "0.1 times that size" in wild.note
    assert np.abs(wild.inputs["x"]).max() < np.abs(kept(monkeypatch).inputs["x"]).max()
    assert kept(monkeypatch, exact=ONES).calmer({"y": ONES}) is None  # its rounding is small: a fault is a fault
    assert kept(monkeypatch, exact=ONES * 2, calm=ONES * 2).calmer({"y": ONES}) is None  # wild there too


def test_what_torch_alone_needs_smaller_inputs_for_is_told(monkeypatch):
    def ones(inputs, wild):
        return {"y": ONES * (wild if np.abs(inputs["x"]).max() > 1 else 1)}

    monkeypatch.setattr(proof, "ask", lambda job, inputs, double=False, **_: {"outputs": ones(inputs, 1 + double)})
    monkeypatch.setattr(proof, "in_torch", lambda module, graph, inputs: ones(inputs, 50))
    by_runtime, found = proof.Proof(0.0, notes=("said before",)), SimpleNamespace(outputs={"y": ONES})
    made = proof.proved_in_torch(Source("model.h5"), found, graph("linear"), None, by_runtime)
    assert (made.torch, made.notes[0], len(made.notes)) == (0.0, "said before", 2)
    assert "0.1 times that size" in made.notes[1]
    again = proof.proved_in_torch(Source("model.h5"), found, graph("linear"), None, made)
    assert again.notes == made.notes
