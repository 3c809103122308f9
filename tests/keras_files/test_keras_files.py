"""Keras files of every format: the same bits in, the same bits out, and what a description tells of them."""

import zipfile

import numpy as np
import pytest

ALL = ["mlp", "no_bias", "many", "functional", "with_operations", "nested", "frozen", "normalised"]


@pytest.mark.parametrize("case", [*ALL, "features"])
@pytest.mark.parametrize("file", ["model.keras", "model.h5", "model.weights.h5", "only.h5"])
def test_every_format_gives_the_bits_and_outputs_that_keras_had(keras, made, case, file):
    folder, truth = made(case)
    how = {} if file in ("model.keras", "model.h5") else {"arch": folder / "config.json"}
    got = keras("read", path=folder / file, **how)
    assert got["digests"] == truth["digests"]
    for mine, theirs in zip(got["outputs"], truth["outputs"], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert not got["compiled"]
    assert got["non_finite"] == []


@pytest.mark.parametrize("file", ["model.keras", "model.h5"])
def test_variables_are_filled_piece_by_piece(keras, made, file):
    folder, truth = made("normalised")
    got = keras("read", path=folder / file, chunk=16)
    assert got["digests"] == truth["digests"]
    for mine, theirs in zip(got["outputs"], truth["outputs"], strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(("case", "lent", "whole"), [("words", 6, None), ("tied", 3, 0)])
def test_a_float64_twin_may_be_lent_its_weights_and_takes_them_piece_by_piece(keras, case, lent, whole):
    told = keras("in_double_by_parts", case=case)
    assert told["lent"] >= lent
    assert told["difference"] < 1e-14
    assert told["kept"]
    assert whole is None or told["whole"] == whole


def test_an_archive_that_was_compressed_later_is_read_too(keras, made, tmp_path):
    folder, truth = made("mlp")
    with (
        zipfile.ZipFile(folder / "model.keras") as plain,
        zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert keras("read", path=tmp_path / "a.keras")["digests"] == truth["digests"]


@pytest.mark.parametrize("case", ["mlp", "functional", "nested", "frozen", "normalised"])
@pytest.mark.parametrize(
    ("name", "weights_only"), [("new.keras", False), ("new.h5", False), ("new.h5", True), ("new.weights.h5", False)]
)
def test_weights_go_home_bit_for_bit(keras, made, case, name, weights_only, tmp_path):
    folder, truth = made(case)
    keras("rewrite", path=folder / "model.keras", to=tmp_path / name, weights_only=weights_only)
    whole = name != "new.weights.h5" and not weights_only
    how = {} if whole else {"arch": folder / "config.json"}
    assert keras("read", path=tmp_path / name, **how)["digests"] == truth["digests"]
    if whole:
        assert keras("keras_reads", path=tmp_path / name) == truth["digests"]


@pytest.mark.parametrize("file", ["model.keras", "model.h5", "model.weights.h5"])
def test_optimizer_state_is_left_where_it_is(keras, made, file):
    folder, truth = made("mlp", compiled=True)
    how = {"arch": folder / "config.json"} if file == "model.weights.h5" else {}
    got = keras("read", path=folder / file, **how)
    assert got["digests"] == truth["digests"]
    assert not got["compiled"]


@pytest.mark.parametrize("file", ["model.keras", "model.weights.h5", "model.h5", "only.h5"])
def test_lora_adapters_are_merged_into_their_weights(keras, made, file):
    folder, truth = made("adapted")
    alone = {"arch": folder / "config.json"} if file in ("model.weights.h5", "only.h5") else {}
    got = keras("read", path=folder / file, **alone)
    assert len(got["digests"]) == 6
    np.testing.assert_allclose(got["outputs"], truth["outputs"], rtol=1e-6)


@pytest.mark.parametrize("file", ["only.h5", "model.weights.h5"])
def test_an_mlp_line_is_enough_for_a_plain_stack(keras, made, file):
    folder, truth = made("mlp")
    got = keras("read", path=folder / file, mlp="6-5:relu-5:relu-3:softmax")
    assert got["digests"] == truth["digests"]
    assert got["outputs"] == truth["outputs"]
    assert got["layers"] == ["dense", "dense_1", "dense_2"]


@pytest.mark.parametrize("file", ["only.h5", "model.weights.h5"])
def test_an_mlp_line_leaves_out_the_biases_that_the_file_leaves_out(keras, made, file):
    folder, truth = made("no_bias")
    assert keras("read", path=folder / file, mlp="6-5-3")["digests"] == truth["digests"]


def test_a_description_counts_what_keras_counts(keras, made):
    for case in ALL:
        folder, truth = made(case)
        count = sum(int(np.prod(shape)) for shape, _, _ in truth["digests"])
        for file in ("model.keras", "model.h5", "model.weights.h5", "only.h5"):
            told = keras("describe", path=folder / file)
            assert told["parameters"] == count, (case, file)
            assert told["refusals"] == []
            assert told["needs_architecture"] == (file in ("model.weights.h5", "only.h5"))


def test_a_description_names_layers_weights_and_shapes(keras, made):
    folder, _ = made("nested")
    for file in ("model.keras", "model.h5"):
        told = keras("describe", path=folder / file)
        layers = {layer["name"]: layer for layer in told["layers"]}
        assert layers["encoder/dense"]["class"] == "Dense"
        assert [(w["name"], w["shape"]) for w in layers["encoder/dense"]["weights"]] == [
            ("kernel", [4, 3]),
            ("bias", [3]),
        ]
        assert told["keras_version"].startswith("3.")
        assert told["model_class"] == "Functional"
    assert keras("describe", path=made("mlp")[0] / "only.h5")["mlp"] == "6-5:?-5:?-3:?"
    assert keras("describe", path=made("mlp", compiled=True)[0] / "model.keras")["training_config"]
    assert not keras("describe", path=made("mlp")[0] / "model.h5")["training_config"]


def test_weights_saved_frozen_find_their_places_in_an_unfrozen_model(keras, made):
    """Freezing changes the order in which the legacy layout lists the weights of a nested model."""
    folder, truth = made("frozen")
    got = keras("read", path=folder / "only.h5", arch=made("nested")[0] / "config.json")
    assert sorted(got["digests"]) == sorted(truth["digests"])
    assert got["outputs"] == truth["outputs"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "padded",
            r"huge: pad gives a tensor of 1 x 2000000004 x 3, 22\.4 GiB, .*; at most 2 are taken\. Nothing was run",
        ),
        ("of any length", r"huge: \S*up\S*Tile \(Tile\) gives a tensor of 5 x 7 x 100000000 x 3, 39\.1 GiB"),
        ("beyond whole numbers", r"Keras can't compute it for inputs of input_layer\w* \(5, 7, 3\)"),
        ("attention", r"scores\S*/MatMul \(BatchMatMulV2\) gives a tensor of 5 x 1000000 x 1000000"),
        ("between layers", r"Tile \(Tile\) gives a tensor of 1 x 4000000000, 14\.9 GiB"),
        ("program", r"saved: \S*Fill \(Fill\) gives a tensor of 100000 x 100000, 37\.3 GiB"),
    ],
)
def test_what_no_machine_can_hold_is_refused_before_it_is_computed(refusal, tmp_path, kind, text):
    refusal(text, "trace_huge", kind=kind, folder=tmp_path)
