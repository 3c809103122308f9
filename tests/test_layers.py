"""Every layer rule against Keras: outputs, gradients, training, ONNX, the way home, and the source alone."""

import json

import checks
import numpy as np
import pytest
import torch
from layer_cases import CASES, REFUSED
from layer_cases_activations import ACTIVATIONS

from bridge.graph import BODIES
from bridge.graph.bodies.activations import _ALIASES
from bridge.graph.bodies.activations import ACTIVATIONS as BODY_ACTIVATIONS
from bridge.graph.bodies.applications import APPLICATIONS
from bridge.graph.bodies.own_code import OWN_CODE
from bridge.graph.changes.fresh import fresh
from bridge.graph.refused import BASES, REASONS, SEEN_THROUGH
from bridge.torch_side.layers.activations import ACTIVATIONS as TORCH_ACTIVATIONS
from bridge.torch_side.writing.part import RULES
from bridge.torch_side.writing.plan import make_plan  # noqa: F401 (registers the rules)

every_case = pytest.mark.parametrize("case", CASES, ids=str)
RANDOM = [case for case in CASES if case.random and not case.image]
STEADY = [case for case in CASES if not case.random]
CONSTRAINED = [case for case in CASES if "_constraint" in str(case.options)]


@every_case
@pytest.mark.usefixtures("alone")  # whose process then works beside
def test_module_computes_what_keras_does(case, recorded):
    checks.outputs_agree(recorded(case), case.tolerance)


@every_case
def test_gradients_are_tensorflows(case, recorded):
    checks.gradients_agree(recorded(case), case, "eval")


@pytest.mark.parametrize("case", STEADY, ids=str)
def test_training_step_is_kerass(case, recorded):
    checks.gradients_agree(recorded(case), case, "train")


@every_case
def test_onnx_computes_what_keras_does(case, recorded):
    checks.onnx_agrees(recorded(case), case.tolerance, reference=not case.no_reference)


@every_case
def test_weights_go_home_bit_for_bit(case, recorded):
    checks.weights_go_home(recorded(case))


@pytest.mark.parametrize("case", CONSTRAINED, ids=str)
def test_constraints_are_kerass(case, recorded):
    checks.constraints_agree(recorded(case), 1e-6)


@every_case
def test_model_py_alone_computes_the_same(case, recorded, ran_alone):
    for rows in (1, 5):
        for name, y in ran_alone(case, rows).items():
            checks.output_agrees(recorded(case), f"y{rows}/{name}", y, case.tolerance)


@pytest.mark.parametrize("case", RANDOM, ids=str)
def test_noise_has_kerass_statistics(case, recorded):
    """Mean and spread of what training makes of a constant; the values themselves where they are few."""
    torch.manual_seed(0)
    x, expected = recorded(case).under("noise")["x"], recorded(case).under("noise")["y"]
    mixes = bool(recorded(case).graph.weights)  # a row's draws with one another, so that only rows are independent
    with torch.no_grad():
        y = recorded(case).module().train()(torch.from_numpy(x)).numpy()
    assert y.shape == expected.shape
    shared = _shared_axes(case, x.ndim)
    draws = len(y) if mixes else y.size / np.prod([y.shape[axis] for axis in shared])
    if case.kind.endswith("Attention") and not mixes:  # drops keys, so the features of a step come from one draw
        draws /= y.shape[-1]
    if case.kind.startswith("ConvLSTM"):  # a row's steps share a draw, which their spreads tell
        assert np.all(np.abs(y.mean(0) - expected.mean(0)) <= 5 * expected.std(0) * (2 / draws) ** 0.5 + 1e-6)
        np.testing.assert_allclose(y.std(0), expected.std(0), rtol=0.15, atol=1e-6)
    spread = float(expected.std())
    if draws > 1000:  # five standard errors of a difference
        assert y.mean() == pytest.approx(expected.mean(), abs=5 * (spread + 1e-7) * (2 / draws) ** 0.5)
        assert y.std() == pytest.approx(spread, rel=0.1, abs=1e-7)
    assert np.ptp(y, axis=shared).max() <= 1e-6 if shared else True  # one draw for all along a shared axis
    for axis in {*range(x.ndim)} - {*shared}:
        alike = x.shape[axis] == 1 or np.ptp(expected, axis=axis).max() < 1e-6  # in Keras too
        assert spread == 0 or alike or np.ptp(y, axis=axis).max() > 0.1
    if case.kind in ("Dropout", "AlphaDropout") or case.kind.startswith("SpatialDropout"):
        values = np.unique(expected.round(5))
        np.testing.assert_allclose(np.unique(y.round(5)), values, atol=2e-5)


def _shared_axes(case, rank):
    """The axes along which one draw counts for all."""
    if case.kind == "StochasticDepth":
        return tuple(range(1, rank))
    if case.kind.startswith("Spatial"):
        last = case.options.get("data_format") != "channels_first"
        return tuple(range(1, rank - 1)) if last else tuple(range(2, rank))
    noise_shape = case.options.get("noise_shape") or [None] * rank
    return tuple(axis for axis, size in enumerate(noise_shape) if size == 1)


@pytest.mark.parametrize("kind", [kind for kind, _, _ in REFUSED])
def test_other_layers_are_refused_by_name(kind, recorded):
    message = recorded(f"refused-{kind}").refusal
    assert message == f"{kind}: can't be converted yet: layer ({kind}): {REASONS[kind]}."


def test_every_layer_has_a_body_a_rule_and_a_case():
    kinds = {case.kind for case in CASES} | {"TimeDistributed", *OWN_CODE}  # parts of whole models, so proved in these
    assert set(BODIES) == set(RULES) == kinds
    assert len({str(case) for case in CASES}) == len(CASES)


def test_every_layer_of_keras_is_converted_or_refused_for_a_reason(recorder):
    """A new release of Keras shows here what is missing: give it a body, a rule and cases, or an entry in REASONS."""
    exported = set(json.loads(recorder.wait("facts.json").read_text())["layers"])
    assert not exported - {*BODIES, *REASONS, *SEEN_THROUGH, *BASES}
    assert not {*REASONS} & {*BODIES}, "these are converted now: delete their entries"
    elsewhere = {"FeatureSpace", *APPLICATIONS, *OWN_CODE}  # in keras.utils and keras.applications
    assert {*REASONS, *SEEN_THROUGH, *BASES, *BODIES} - exported == elsewhere


def test_every_activation_of_keras_is_covered(recorder):
    facts = json.loads(recorder.wait("facts.json").read_text())
    assert {*ACTIVATIONS, "threshold"} == set(facts["activations"])  # threshold can't be called without arguments
    own = {"hard_sigmoid_of_keras2"}  # for old files, by no name of Keras's
    assert set(TORCH_ACTIVATIONS) == set(BODY_ACTIVATIONS) == {*ACTIVATIONS, *own} - set(_ALIASES)


def test_batch_normalization_trains_on_a_single_row(recorded):
    """Keras's result: the row is its own mean, so beta is left; every parameter gets a gradient."""
    case = next(case for case in CASES if str(case) == "BatchNormalization-plain")
    module = recorded(case).module().train()
    y = module(torch.randn(1, 6))
    assert torch.equal(y[0], module.layer.bias)
    y.sum().backward()
    assert torch.equal(module.layer.weight.grad, torch.zeros(6))
    assert torch.equal(module.layer.bias.grad, torch.ones(6))


@pytest.mark.parametrize("name", ["Attention-masks", "MultiHeadAttention-axes_mask_for_others", "Softmax-mask_axes"])
def test_masks_hold_in_half_precision(name, recorded):
    """Keras's least number of float16 is -3e4 or -65504: -1e9 is infinite there, and a row of it no number."""
    recording = recorded(next(case for case in CASES if str(case) == name))
    inputs = [torch.from_numpy(array) for array in recording.under("x5").values()]
    with torch.no_grad():
        y = recording.module().half()(*[x.half() if x.is_floating_point() else x for x in inputs])
        expected = recording.module()(*inputs)
    for found, wanted in zip(*(v.values() if isinstance(v, dict) else [v] for v in (y, expected)), strict=True):
        torch.testing.assert_close(found.float(), wanted, rtol=0, atol=2e-2)


def test_group_normalization_trains_on_images_that_need_no_gradient(recorded):
    case = next(case for case in CASES if str(case) == "GroupNormalization-rank4")
    module = recorded(case).module().train()
    module(torch.randn(2, 2, 3, 4)).square().sum().backward()  # torch's own crashes the process here
    assert module.layer.weight.grad.abs().min() > 0


def test_the_forget_gate_of_a_new_lstm_begins_open(recorded):
    graph = recorded(next(case for case in CASES if str(case) == "LSTM-plain")).graph
    assert fresh(graph, 0).arrays["layer/lstm_cell/bias"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("name", "path", "inputs", "outputs"),
    [
        ("EinsumDense-heads", "layer/kernel", [0], [1, 2]),
        ("EinsumDense-dense_turned", "layer/kernel", [1], [0]),
        ("MultiHeadAttention-self", "layer/query/kernel", [0], [1, 2]),
        ("MultiHeadAttention-self", "layer/attention_output/kernel", [0, 1], [2]),
    ],
)
def test_a_projection_begins_with_the_spread_that_keras_gives_it(name, path, inputs, outputs, recorded):
    """GlorotUniform over the axes that the layer says are inputs and outputs: sqrt(6 / (fan_in + fan_out)) at most."""
    graph = recorded(next(case for case in CASES if str(case) == name)).graph
    config, shape = graph.weights[path].initializer["config"], graph.weights[path].shape
    assert (config["input_axes"], config["output_axes"]) == (inputs, outputs)
    limit = np.sqrt(6 / sum(np.prod([shape[axis] for axis in axes]) for axes in (inputs, outputs)))
    assert 0.75 * limit < np.abs(fresh(graph, 0).arrays[path]).max() <= limit
