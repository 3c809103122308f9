"""Whole models against Keras: structure, names, sharing, freezing, masks, and what is refused."""

import re

import checks
import numpy as np
import pytest
import torch
from model_cases import MODELS
from recording import named, tensors

from bridge.errors import BridgeError
from bridge.graph import notes_of
from bridge.torch_side.layers.modules_normalization import BatchNorm
from bridge.torch_side.run import run
from bridge.torch_side.writing.build import arrays_from, plan_of
from bridge.torch_side.writing.source import class_source

CONVERTED = [case for case in MODELS.values() if not case.refused]
REFUSED = [case for case in MODELS.values() if case.refused]
ASKS = "its own code asks whether it is training; in torch's train() too it does what it does in inference"
every_model = pytest.mark.parametrize("case", CONVERTED, ids=str)


@pytest.fixture
def module(recorded):
    return lambda name: recorded(MODELS[name]).module()


@every_model
@pytest.mark.usefixtures("alone")  # whose process then works beside
def test_module_computes_what_keras_does(case, recorded):
    checks.outputs_agree(recorded(case), case.tolerance)


@every_model
def test_gradients_are_tensorflows(case, recorded):
    checks.gradients_agree(recorded(case), case, "eval")


@pytest.mark.parametrize("case", [case for case in CONVERTED if not case.random], ids=str)
def test_training_step_is_kerass(case, recorded):
    checks.gradients_agree(recorded(case), case, "train")


@every_model
def test_onnx_computes_what_keras_does(case, recorded):
    checks.onnx_agrees(recorded(case), case.tolerance, reference=not case.no_reference)


@every_model
def test_weights_go_home_bit_for_bit(case, recorded):
    checks.weights_go_home(recorded(case))


@every_model
def test_constraints_are_kerass(case, recorded):
    checks.constraints_agree(recorded(case), 1e-6)


@every_model
def test_model_py_alone_computes_the_same(case, recorded, ran_alone):
    for rows in (1, 5):
        for name, y in ran_alone(case, rows).items():
            checks.output_agrees(recorded(case), f"y{rows}/{name}", y, case.tolerance)


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_cannot_be_converted_is_refused_by_name(case, recorded):
    message = recorded(case).refusal
    if message is None:  # it has an ONNX form, but none in torch
        with pytest.raises(BridgeError) as refusal:
            recorded(case).module()
        message = str(refusal.value)
    assert re.search(case.refused, message), message
    assert len(message.splitlines()) <= 3


def test_a_shared_layer_is_one_module_called_twice(module):
    shared = module("a_layer_used_twice")
    assert [name for name, child in shared.named_modules() if isinstance(child, torch.nn.Linear)] == ["shared"]
    assert sum(p.numel() for p in shared.parameters()) == 4 * 4 + 4


def test_parameter_names_are_keras_paths(module):
    keys = set(module("nested_models_with_the_same_inner_names").state_dict())
    layers = ["left.dense", "left.out", "right.dense", "right.out", "dense"]
    assert keys == {f"{layer}.{word}" for layer in layers for word in ("weight", "bias")}
    keys = set(module("custom_layer").state_dict())
    assert {"gate.w", "gate.count", "gate.inner.weight", "gate.norm.running_var", "head.bias"} <= keys


def test_several_outputs_come_in_a_dict_by_kerass_names(module):
    y = module("inputs_and_outputs_in_dicts")(torch.zeros(2, 4), torch.zeros(2, 4))
    assert {name: tuple(value.shape) for name, value in y.items()} == {"score": (2, 2), "hidden": (2, 4)}
    y = module("several_inputs_and_outputs_in_lists")(torch.zeros(2, 4), torch.zeros(2, 3))
    assert list(y) == ["small", "large"]


def test_inputs_keep_kerass_names_and_shapes(module):
    both = module("several_inputs_and_outputs_in_lists")
    assert both.input_names == ("a", "b")
    assert both.input_shapes == {"a": (4,), "b": (3,)}


def test_frozen_layers_stay_frozen(module):
    frozen = module("frozen_layers")
    trained = {name for name, parameter in frozen.named_parameters() if parameter.requires_grad}
    layers = [n for n, child in frozen.named_modules() if isinstance(child, torch.nn.Linear | BatchNorm)]
    assert trained == {f"{layer}.{word}" for layer in layers[2:] for word in ("weight", "bias")}


@pytest.mark.parametrize("name", ["frozen_layers", "frozen_base", "subclassed_with_a_frozen_call"])
def test_a_frozen_batch_normalization_stays_in_inference_mode(name, module):
    frozen = module(name).train()
    norms = [child for child in frozen.modules() if isinstance(child, BatchNorm) and child.frozen]
    assert len(norms) == 1
    before = {key: value.clone() for key, value in norms[0].state_dict().items()}
    frozen(torch.randn(8, 4))
    assert all(torch.equal(value, before[key]) for key, value in norms[0].state_dict().items())


def test_dropout_called_with_training_false_never_drops(module):
    frozen = module("subclassed_with_a_frozen_call")
    x = torch.randn(16, 4)
    assert torch.equal(frozen.train()(x), frozen.eval()(x))


def test_an_unused_layers_weights_are_kept(module):
    spare = module("an_unused_layer")
    assert {"unused/kernel", "unused/bias"} <= {*arrays_from(plan_of(spare), spare.state_dict())}
    assert {"unused.kernel", "unused.bias"} <= {*spare.state_dict()}


def test_negative_numbers_are_counted_from_the_end_of_a_table_where_the_model_computes_them(recorded):
    source = class_source(plan_of(recorded(MODELS["numbers_from_the_end_of_a_table"]).module()))
    assert "self.words(x)" in source
    assert source.count("counted_from_end(") == 2


def test_zero_biases_stay_parameters(module):
    assert [p.numel() for n, p in module("zero_biases").named_parameters() if n.endswith("bias")] == [4, 3]


def test_no_bias_stays_no_bias(module):
    assert not [n for n in module("no_biases").state_dict() if "bias" in n]


@pytest.mark.parametrize(
    ("name", "final"),
    [
        ("mlp", "softmax"),
        ("sequential_built_by_a_call", "sigmoid"),
        ("softmax_layer_at_the_end", "softmax"),
        ("activation_layer_at_the_end", "sigmoid"),
    ],
)
def test_a_final_softmax_or_sigmoid_can_be_left_out(name, final, recorded):
    case = recorded(MODELS[name])
    module, inputs = case.module().eval(), tensors(case.under("x5"))
    assert module.final == final
    logits = module.logits(*inputs)
    y = logits.softmax(-1) if final == "softmax" else logits.sigmoid()
    assert torch.equal(y, module(*inputs))


def test_other_models_have_no_logits(module):
    assert not hasattr(module("no_biases"), "logits")
    assert not hasattr(module("no_biases"), "final")


def test_a_mask_at_the_output_is_told(recorded):
    assert recorded(MODELS["a_mask_at_the_output"]).graph.source["masked"] == ["dense"]
    assert recorded(MODELS["masking_before_layers_that_pass_it_on"]).graph.source["masked"] == []


def test_code_that_asks_whether_it_is_training_is_told(recorded):
    notes = recorded(MODELS["another_form_in_training"]).graph.source["notes"]
    gamma, wider = sorted(notes)
    assert re.fullmatch(rf"gamma \(Gamma\): {re.escape(ASKS)} \(.*RandomGamma.* has no ONNX form .*\)", gamma)
    assert wider == f"wider (Wider): {ASKS} (what it gives is of another form in training)"
    (cell,) = recorded(MODELS["dropout_around_functions_of_ones_own"]).graph.source["notes"]
    assert cell.startswith("Training in torch will lack the dropout of own/cell (SimpleRNNCell), which")
    (ctc,) = recorded(MODELS["a_reader_of_texts_as_it_is_trained"]).graph.source["notes"]
    assert ctc.startswith("Training in torch will lack the CTC loss that ctc (Loss) adds")
    for name in ("subclassed", "variational_autoencoder", "noise_of_every_kind", "the_flag_in_every_way"):
        assert recorded(MODELS[name]).graph.source.get("notes", []) == []


@pytest.mark.parametrize("name", ["stochastic_depth_of_ones_own", "noise_of_every_kind"])
def test_what_own_code_draws_in_training_has_kerass_statistics(name, recorded):
    torch.manual_seed(0)
    x, expected = recorded(MODELS[name]).under("noise")["x"], recorded(MODELS[name]).under("noise")["y"]
    module = recorded(MODELS[name]).module().train()
    with torch.no_grad():
        y, again = module(torch.from_numpy(x)).numpy(), module(torch.from_numpy(x)).numpy()
    deviation = expected.std(axis=0) + 1e-6
    assert np.all(np.abs(y.mean(axis=0) - expected.mean(axis=0)) <= 5 * deviation * (2 / len(x)) ** 0.5)
    np.testing.assert_allclose(y.std(axis=0), deviation, rtol=0.15)
    assert not np.array_equal(y, again)


def test_paths_are_dropped_a_row_at_a_time_and_each_by_its_own_draw(recorded):
    case = recorded(MODELS["stochastic_depth_of_ones_own"])
    module, rows = case.module().train(), np.tile(case.under("x")["x"][:1], (200, 1, 1))
    torch.manual_seed(0)
    with torch.no_grad():
        kinds, counts = np.unique(module(torch.from_numpy(rows)).numpy().round(4), axis=0, return_counts=True)
    assert len(kinds) == 4  # each of two paths dropped or not, independently
    assert counts.min() >= 25


def test_a_layer_of_ones_own_samples_in_training_alone(recorded):
    case = recorded(MODELS["variational_autoencoder"])
    module, inputs = case.module(), tensors(case.under("x"))
    first, second = module.train()(*inputs), module(*inputs)
    assert torch.equal(first["mean"], second["mean"])
    assert not torch.equal(first["image/output"], second["image/output"])
    first["image/output"].sum().backward()
    assert module.encoder.spread.weight.grad.abs().max() > 0  # through the noise that it scales
    assert torch.equal(module.eval()(*inputs)["image/output"], module(*inputs)["image/output"])


def test_weights_of_layers_in_a_loop_are_parameters_under_their_paths(module):
    keys = {name for name, _ in module("layers_in_a_loop").named_parameters()}
    layers = ["repeated.dense", "repeated.norm", "head"]
    assert keys == {f"{layer}.{word}" for layer in layers for word in ("weight", "bias")}


def test_dropout_of_a_recurrent_layer_that_is_operators_is_alive_in_training(module):
    wave, x = module("dropout_around_functions_of_ones_own"), torch.ones(4, 3, 4)
    assert not torch.equal(wave.train()(x), wave(x))
    assert torch.equal(wave.eval()(x), wave(x))


def test_dropout_in_a_loop_draws_anew_in_each_step(module):
    dropping, seen = module("dropout_in_a_loop").train(), []
    dropping.loop.drop.register_forward_hook(lambda _, given, left: seen.append(left))
    torch.manual_seed(0)
    dropping(torch.ones(500, 6))
    kept = [(left != 0).float().mean().item() for left in seen]
    assert kept == pytest.approx([1 / 2, 1 / 4, 1 / 8], abs=0.03)
    assert torch.equal(dropping.eval()(torch.ones(2, 6)), dropping(torch.ones(2, 6)))


COMPILED = ["mlp", "a_layer_used_twice", "custom_layer", "operators_between_layers", "bytes_in", "small_cnn"]
COMPILED += ["a_loop_of_fixed_length", "a_loop_within_a_loop", "a_scan_over_time", "an_array_of_tensors"]
COMPILED += ["a_scan_over_time_of_any_length", "layers_in_a_loop", "loops_over_steps_and_their_numbers"]
COMPILED += ["sizes_in_every_operation", "an_equation_in_derivatives", "forces_between_atoms"]
COMPILED += ["a_fourier_neural_operator"]
COMPILED += [
    "time_distributed_network_of_any_length",
    "masked_images_into_a_convolutional_lstm",
    "masks_into_multiply",
    "discriminator_called_twice",
    "statistics_of_ones_own",
    "subclassed_model_with_a_head_for_training",
]


WHOLE = ["vision_transformer", "tagger_with_a_custom_embedding", "translator", "language_model_with_tied_weights"]
WHOLE += ["vector_quantized_autoencoder", "subclassed_research_model", "operations_that_choose"]


@pytest.mark.parametrize("name", [*COMPILED, *WHOLE, "residual_network_of_any_size", "causal_stack"])
def test_torch_compiles_and_exports_the_module(name, recorded):
    case = recorded(MODELS[name])
    module, inputs = case.module().eval(), tuple(tensors(case.under("x5")))
    expected = named(module(*inputs), case.graph)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    any_rows = tuple({0: torch.export.Dim("rows")} for _ in inputs)
    exported = torch.export.export(module, inputs, dynamic_shapes=any_rows).module()
    for variant in (compiled, exported):
        for output, y in named(variant(*inputs), case.graph).items():
            assert torch.equal(y, expected[output])
    fewer = [x[:3] for x in inputs]
    expected = named(module(*fewer), case.graph)
    for output, y in named(exported(*fewer), case.graph).items():
        torch.testing.assert_close(y, expected[output])


@pytest.mark.parametrize("name", ["images_changed_in_training", "stochastic_depth_of_ones_own"])
def test_what_training_draws_compiles_whole_and_is_drawn_anew_in_each_call(name, recorded):
    case = recorded(MODELS[name])
    module, inputs = case.module().train(), tensors(case.under("x"))
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert not torch.equal(compiled(*inputs), compiled(*inputs))
    assert torch.equal(module.eval()(*inputs), module(*inputs))


@pytest.mark.parametrize("name", ["bytes_in", "augmentation_that_does_nothing"])
def test_a_model_that_takes_bytes_is_computed_in_float64(name, recorded):
    case = recorded(MODELS[name])
    (y,) = run(case.module(), case.under("x5"), double=True).values()
    (expected,) = case.under("y5").values()
    assert y.dtype == np.float64
    assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()


def test_what_training_lacks_is_told_of_calls_that_train(recorded):
    assert notes_of(recorded(MODELS["augmentation_that_does_nothing"]).graph) == ()
    (line,) = notes_of(recorded(MODELS["images_changed_in_training"]).graph)
    assert line.startswith("Training in torch will lack pipe/hue (RandomHue), which in Keras's training")


def test_a_training_step_compiles_whole(recorded):
    case = recorded(MODELS["every_training_rule_at_once"])
    module, inputs = case.module().train(), tensors(case.under("x"))
    expected = case.under("double/train/y")

    def loss(*given):
        y = module(*given)
        return y, module.penalty()

    y, penalty = torch.compile(loss, backend="eager", fullgraph=True)(*inputs)
    np.testing.assert_allclose(y.detach().numpy(), next(iter(expected.values())), rtol=0, atol=1e-6)
    np.testing.assert_allclose(penalty.item(), case.entries["double/train/losses"], rtol=1e-6)
