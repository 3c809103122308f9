"""Files of Keras 2, as tf.keras wrote them: read as they were meant, or refused."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest
from keras2_files import legacy_weights, sha

INITIALIZER = {"class_name": "GlorotUniform", "config": {"seed": None}}
ZEROS = {"class_name": "Zeros", "config": {}}


def dense(name, units, activation="linear", **more):
    settings = {
        "name": name,
        "trainable": True,
        "dtype": "float32",
        "units": units,
        "activation": activation,
        "use_bias": True,
        "kernel_initializer": INITIALIZER,
        "bias_initializer": ZEROS,
        "kernel_regularizer": None,
        "bias_regularizer": None,
        "activity_regularizer": None,
        "kernel_constraint": None,
        "bias_constraint": None,
    }
    return {"class_name": "Dense", "config": settings | more}


def input_layer(name, size):
    settings = {"batch_input_shape": [None, size], "dtype": "float32", "sparse": False, "ragged": False, "name": name}
    return {"class_name": "InputLayer", "config": settings}


def sequential(*layers, name="sequential"):
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


WEIGHTS = {
    "dense": {"kernel:0": random(4, 5), "bias:0": random(5)},
    "dense_1": {"kernel:0": random(5, 3), "bias:0": random(3)},
}
DIGESTS = [sha(v) for weights in WEIGHTS.values() for v in weights.values()]


def full(path, config, weights=WEIGHTS, version="2.15.0"):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"] = version.encode()
        file.attrs["backend"] = b"tensorflow"
        file.attrs["training_config"] = json.dumps({"loss": "mse", "optimizer_config": {"class_name": "Adam"}}).encode()
        legacy_weights(file.create_group("model_weights"), weights)
    return path


def forward(x, activation=lambda y: np.maximum(y, 0)):
    hidden = activation(x @ WEIGHTS["dense"]["kernel:0"] + WEIGHTS["dense"]["bias:0"])
    return hidden @ WEIGHTS["dense_1"]["kernel:0"] + WEIGHTS["dense_1"]["bias:0"]


def assert_reads(keras, path, **how):
    got = keras("read", path=path, **how)
    assert [digest[2] for digest in got["digests"]] == DIGESTS
    assert got["inputs"] == [[None, 4]]
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(3, 4)
    np.testing.assert_allclose(got["outputs"][0], forward(x), rtol=1e-5, atol=1e-6)
    assert not got["compiled"]


PLAIN = (dense("dense", 5, "relu"), dense("dense_1", 3))
FIRST = dense("dense", 5, "relu", batch_input_shape=[None, 4])


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(sequential(input_layer("dense_input", 4), FIRST, PLAIN[1]), id="tf.keras 2.2 to 2.15"),
        pytest.param(sequential(FIRST, PLAIN[1]), id="no InputLayer"),
        pytest.param({"class_name": "Sequential", "config": [FIRST, PLAIN[1]]}, id="a list for a config"),
        pytest.param(sequential(input_layer("i", 4), *PLAIN) | {"keras_version": "2.15.0"}, id="to_json"),
        pytest.param(
            sequential(
                input_layer("i", 4),
                dense("dense", 5, "relu", dtype={"class_name": "Policy", "config": {"name": "float32"}}),
                dense("dense_1", 3, kernel_initializer={"class_name": "RandomUniform", "config": {"dtype": "float32"}}),
            ),
            id="policies and initializers with a dtype",
        ),
        pytest.param(
            {
                "class_name": "Functional",
                "config": {
                    "name": "model",
                    "trainable": True,
                    "layers": [
                        input_layer("input_1", 4) | {"name": "input_1", "inbound_nodes": []},
                        PLAIN[0] | {"name": "dense", "inbound_nodes": [[["input_1", 0, 0, {}]]]},
                        PLAIN[1] | {"name": "dense_1", "inbound_nodes": [[["dense", 0, 0, {}]]]},
                    ],
                    "input_layers": [["input_1", 0, 0]],
                    "output_layers": [["dense_1", 0, 0]],
                },
            },
            id="functional",
        ),
    ],
)
def test_a_model_of_keras_2_is_read_as_it_was_meant(keras, tmp_path, config):
    assert_reads(keras, full(tmp_path / "a.h5", config))
    with h5py.File(tmp_path / "only.h5", "w") as file:
        legacy_weights(file, WEIGHTS)
    (tmp_path / "config.json").write_text(json.dumps(config | {"keras_version": "2.15.0", "backend": "tensorflow"}))
    assert_reads(keras, tmp_path / "only.h5", arch=tmp_path / "config.json")
    assert keras("describe", path=tmp_path / "a.h5")["refusals"] == []


def test_a_list_of_one_output_stays_one_output(keras, tmp_path):
    config = sequential(FIRST, PLAIN[1])
    assert len(keras("read", path=full(tmp_path / "a.h5", config))["outputs"]) == 1


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (
            dense("dense", 5, surprise=1),
            r"layer 'dense' \(Dense\) has the setting 'surprise', which Keras 3 does not know",
        ),
        (
            {"class_name": "TFOpLambda", "config": {"name": "tf.math.add"}},
            r"layer 'tf.math.add' \(TFOpLambda\) calls TensorFlow's None, which is not one of the functions",
        ),
        ({"class_name": "ThresholdRelu", "config": {"name": "t", "theta": 1.0}}, r"layer 't' has the custom class"),
        ({"class_name": "Dense", "config": [3]}, r"\(Dense\) has no config of its own"),
        (
            {"class_name": "Lambda", "config": {"name": "f", "function": ["4wEA", None, None]}},
            r"layer 'f' \(Lambda\) carries code",
        ),
    ],
)
def test_what_keras_3_would_misread_is_refused(refusal, keras, tmp_path, layer, text):
    path = full(tmp_path / "a.h5", sequential(input_layer("i", 4), layer, PLAIN[1]))
    refusal(text, path=path)
    assert any(line for line in keras("describe", path=path)["refusals"])


@pytest.mark.parametrize("layers", ["layers", "_layer_checkpoint_dependencies"])
def test_an_archive_of_keras_2_is_read_as_it_was_meant(keras, tmp_path, layers):
    """Keras 2.12 to 2.15 wrote .keras archives: Keras 2 configs with modules that are gone, its own names of groups."""
    nodes = [
        input_layer("i", 4) | {"name": "i", "inbound_nodes": []},
        PLAIN[0] | {"name": "dense", "inbound_nodes": [[["i", 0, 0, {}]]], "build_config": {"input_shape": [None, 4]}},
        PLAIN[1] | {"name": "dense_1", "inbound_nodes": [[["dense", 0, 0, {}]]]},
    ]
    initializer = {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None}
    nodes[1]["config"] = nodes[1]["config"] | {"bias_initializer": initializer}
    outer = {"input_layers": [["i", 0, 0]], "output_layers": [["dense_1", 0, 0]], "name": "model", "trainable": True}
    config = {
        "module": "keras.src.engine.functional",
        "class_name": "Functional",
        "config": outer | {"layers": [n | {"module": "keras.layers", "registered_name": None} for n in nodes]},
        "registered_name": "Functional",
        "build_config": {"input_shape": None},
        "compile_config": {"optimizer": "adam", "loss": "mse"},
    }
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        for name, values in WEIGHTS.items():
            for key, value in zip("01", values.values(), strict=True):
                file[f"{layers}/{name}/vars/{key}"] = value
        file["metrics/mean/vars/0"] = np.float32(1)
        file["optimizer/vars/0"] = np.int64(1)
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.13.1"}))
        archive.writestr("model.weights.h5", weights.getvalue())
    assert_reads(keras, tmp_path / "a.keras")
    told = keras("describe", path=tmp_path / "a.keras")
    assert (told["parameters"], told["keras_version"], told["refusals"]) == (43, "2.13.1", [])


@pytest.mark.parametrize("name", ["swish", "silu", "gelu", "leaky_relu", "mish"])
def test_every_activation_name_is_known(keras, tmp_path, name):
    path = full(tmp_path / "a.h5", sequential(input_layer("i", 4), dense("dense", 5, name), PLAIN[1]))
    assert [digest[2] for digest in keras("read", path=path)["digests"]] == DIGESTS


def test_a_version_that_nobody_knows_is_refused(refusal, tmp_path):
    path = full(tmp_path / "a.h5", sequential(FIRST, PLAIN[1]), version="7.3.1")
    refusal("was written by Keras 7.3.1, which bridge does not know", path=path)


def test_layers_with_other_names_are_matched_by_order(keras, tmp_path):
    renamed = {name.replace("dense", "hidden"): weights for name, weights in WEIGHTS.items()}
    with h5py.File(tmp_path / "only.h5", "w") as file:
        legacy_weights(file, renamed)
    assert_reads(keras, tmp_path / "only.h5", mlp="4-5:relu-3")


def test_layers_are_matched_by_name_where_all_names_agree(keras, tmp_path):
    with h5py.File(tmp_path / "only.h5", "w") as file:
        legacy_weights(file, dict(reversed(WEIGHTS.items())))
    (tmp_path / "config.json").write_text(json.dumps(sequential(FIRST, PLAIN[1])))
    assert_reads(keras, tmp_path / "only.h5", arch=tmp_path / "config.json")


def test_a_layer_list_in_parts_is_put_together(keras, tmp_path):
    with h5py.File(tmp_path / "only.h5", "w") as file:
        legacy_weights(file, WEIGHTS)
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"dense"], [b"dense_1"]
    assert_reads(keras, tmp_path / "only.h5", mlp="4-5:relu-3")


def test_numbers_of_another_precision_are_taken_only_when_none_changes(keras, refusal, tmp_path):
    exact = {name: {k: v.astype("float64") for k, v in weights.items()} for name, weights in WEIGHTS.items()}
    with h5py.File(tmp_path / "exact.h5", "w") as file:
        legacy_weights(file, exact)
    assert_reads(keras, tmp_path / "exact.h5", mlp="4-5:relu-3")
    exact["dense"]["kernel:0"] = exact["dense"]["kernel:0"] + 1e-12
    with h5py.File(tmp_path / "fine.h5", "w") as file:
        legacy_weights(file, exact)
    refusal(
        r'kernel is float64 in fine.h5.*the architecture wants float32.*\nBuild the architecture with dtype="float64"',
        path=tmp_path / "fine.h5",
        mlp="4-5:relu-3",
    )
