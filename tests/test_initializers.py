"""New weights as Keras's initializers distribute them: by their formulas, and beside Keras's own draws."""

import json

import numpy as np
import pytest

from bridge.graph import Refused
from bridge.graph.changes.initializers import fans, initialize

SHAPES = [(300, 200), (3, 3, 20, 40), (4000,)]
NAMED = ["GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal"]
CONFIGS = [
    *({"class_name": name, "config": {"seed": None}} for name in NAMED),
    {"class_name": "RandomNormal", "config": {"mean": 0.5, "stddev": 0.2, "seed": 3}},
    {"class_name": "RandomUniform", "config": {"minval": -0.1, "maxval": 0.3, "seed": None}},
    {"class_name": "TruncatedNormal", "config": {"mean": 1.0, "stddev": 0.5, "seed": None}},
    {
        "class_name": "VarianceScaling",
        "config": {"scale": 0.7, "mode": "fan_out", "distribution": "untruncated_normal"},
    },
    {"class_name": "VarianceScaling", "config": {"scale": 3.0, "mode": "fan_avg", "distribution": "normal"}},
    {"class_name": "VarianceScaling", "config": {"mode": "fan_in", "distribution": "uniform"}},
    {"class_name": "HeUniform", "config": {"input_axes": [0], "output_axes": [-1]}},
]
DRAWN_BY_KERAS = """
import json, sys
import keras
import numpy as np
answer = []
for config, shape in json.loads(sys.argv[1]):
    keras.utils.set_random_seed(1)
    array = np.asarray(keras.initializers.get(config)(shape), "float64")
    answer.append([array.mean(), array.std(), array.min(), array.max()])
np.save(sys.argv[2], answer)
"""


def draw(config, shape, dtype="float32", seed=0):
    return initialize(config, shape, dtype, np.random.default_rng(seed))


def label(config):
    return "-".join([config["class_name"], *(str(value) for value in config["config"].values())])


@pytest.fixture(scope="module")
def keras_moments(keras, tmp_path_factory):
    """Mean, standard deviation, least and greatest value of Keras's own draws, for every config and shape."""
    questions = [json.dumps([config, shape]) for config in CONFIGS for shape in SHAPES]
    file = tmp_path_factory.mktemp("drawn") / "moments.npy"
    keras.script(DRAWN_BY_KERAS, f"[{', '.join(questions)}]", file)
    return dict(zip(questions, np.load(file), strict=True))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("config", CONFIGS, ids=label)
def test_the_distribution_is_the_one_that_keras_draws_from(config, shape, keras_moments):
    mean, std, least, most = keras_moments[json.dumps([config, shape])]
    ours = draw(config, shape).astype(np.float64)
    # two draws of n numbers: means differ by about std * sqrt(2/n), spreads by less than that
    error = 5 * std * np.sqrt(2 / ours.size)
    assert abs(ours.mean() - mean) < error
    assert abs(ours.std() - std) < error
    normal = "andomNormal" in config["class_name"] or config["config"].get("distribution") == "untruncated_normal"
    if not normal:  # the others end somewhere
        assert abs(ours.min() - least) < 0.1 * std
        assert abs(ours.max() - most) < 0.1 * std


def test_glorot_uniform_stays_within_its_limit_and_reaches_it():
    array = draw({"class_name": "GlorotUniform", "config": {}}, (400, 200))
    limit = np.sqrt(6 / 600)
    assert 0.999 * limit < np.abs(array).max() <= limit * (1 + 1e-6)
    np.testing.assert_allclose(array.std(), limit / np.sqrt(3), rtol=0.01)  # 80,000 draws: 0.2 % is one sigma


def test_he_normal_has_its_variance_after_truncation():
    array = draw({"class_name": "HeNormal", "config": {}}, (400, 300))
    std = np.sqrt(2 / 400)
    np.testing.assert_allclose(array.std(), std, rtol=0.01)  # 120,000 draws
    assert np.abs(array).max() <= 2 * std / 0.87962566103423978 * (1 + 1e-6)


@pytest.mark.parametrize(
    ("shape", "expected"), [((), (1, 1)), ((5,), (5, 5)), ((3, 4), (3, 4)), ((2, 3, 4, 5), (24, 30))]
)
def test_fans_are_counted_as_keras_counts_them(shape, expected):
    assert fans(shape) == expected


@pytest.mark.parametrize("shape", [(20, 8), (8, 20), (3, 2, 4, 10)], ids=str)
def test_orthogonal_weights_are_orthonormal_times_the_gain(shape):
    array = draw({"class_name": "Orthogonal", "config": {"gain": 2.0, "seed": None}}, shape, "float64")
    matrix = array.reshape(-1, shape[-1])
    product = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_constants_are_exact():
    np.testing.assert_array_equal(draw("zeros", (3, 2)), np.zeros((3, 2), np.float32))
    np.testing.assert_array_equal(draw({"class_name": "Ones", "config": {}}, ()), np.float32(1))
    np.testing.assert_array_equal(
        draw({"class_name": "Constant", "config": {"value": 0.3}}, (2,)), np.float32([0.3, 0.3])
    )
    array = {"class_name": "__numpy__", "config": {"value": [1.0, 2.0], "dtype": "float32"}}
    np.testing.assert_array_equal(draw({"class_name": "Constant", "config": {"value": array}}, (3, 2))[2], [1, 2])
    np.testing.assert_array_equal(draw({"class_name": "Identity", "config": {"gain": 3.0}}, (2, 3)), 3 * np.eye(2, 3))


def test_the_forget_gate_of_an_lstm_begins_with_ones():
    config = {"class_name": "UnitForgetBias", "config": {"bias_initializer": {"class_name": "Zeros", "config": {}}}}
    np.testing.assert_array_equal(draw(config, (8,)), [0, 0, 1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "bfloat16"])
def test_type_and_shape_are_the_weights_own(dtype):
    array = draw("he_normal", (3, 4), dtype)
    assert (array.dtype.name, array.shape, array.flags["C_CONTIGUOUS"]) == (dtype, (3, 4), True)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    np.testing.assert_array_equal(draw("glorot_uniform", (5, 5)), draw("glorot_uniform", (5, 5)))
    assert (draw("glorot_uniform", (5, 5)) != draw("glorot_uniform", (5, 5), seed=1)).any()


@pytest.mark.parametrize(
    ("config", "shape", "message"),
    [
        ({"class_name": "Mine", "config": {}}, (2,), "initializer 'Mine' is not one of Keras's"),
        (
            {"class_name": "Zeros", "config": {}, "module": "__main__", "registered_name": "Zeros"},
            (2,),
            "'Zeros' is not",
        ),
        ({"class_name": "Ones", "config": {}, "registered_name": "mine>Ones"}, (2,), "'Ones' is not one"),
        (None, (2,), "'None' is not one of Keras's"),
        ({"class_name": "Orthogonal", "config": {}}, (2,), r"Orthogonal can't be used for the shape \(2,\).*two axes"),
        ({"class_name": "Identity", "config": {}}, (2, 2, 2), "Identity can't be used for the shape"),
        ({"class_name": "VarianceScaling", "config": {"mode": "fan"}}, (2,), "VarianceScaling can't be used"),
        ({"class_name": "VarianceScaling", "config": {"distribution": "x"}}, (2,), "distribution 'x' is unknown"),
        ({"class_name": "VarianceScaling", "config": {"scale": -1.0}}, (2,), "VarianceScaling can't be used"),
        ({"class_name": "RandomNormal", "config": {"stddev": "much"}}, (2,), "RandomNormal can't be used"),
        ({"class_name": "Constant", "config": {"value": float("nan")}}, (2,), "not finite"),
    ],
)
def test_what_keras_does_not_know_or_the_shape_does_not_fit_is_refused(config, shape, message):
    with pytest.raises(Refused, match=message):
        draw(config, shape)
