"""New weights and new heads: on graphs of real Keras models, and back in Keras."""

import copy
import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

from bridge.errors import BridgeError
from bridge.graph import Node, Weight, from_proto, to_proto
from bridge.graph.changes.fresh import fresh
from bridge.graph.changes.head import head_layer, replace_head
from bridge.process import worker

MAKES_MODELS = """
import sys
import keras
import numpy as np
from keras import layers as L

keras.utils.set_random_seed(7)
x = keras.Input((6,), name="x")
body = L.Dense(5, activation="relu", name="body")(x)
nest = keras.Sequential([keras.Input((5,)), L.Dense(4), L.Dense(3, activation="softmax", name="top")], name="nest")
box = keras.Sequential([keras.Input((3,)), L.Softmax(name="soft")], name="box")
norm = L.Normalization(name="norm")
norm.adapt(np.random.default_rng(0).normal(3, 2, (50, 6)))
twice = L.Dense(6, name="top")
top = L.Dense(3, name="top")(body)
models = {
    "plain": keras.Sequential([
        keras.Input((6,)),
        L.Dense(5, name="body", kernel_initializer="he_normal"),
        L.BatchNormalization(name="bn", moving_mean_initializer=keras.initializers.Constant(0.25)),
        L.Dense(3, "softmax", name="top", bias_initializer=keras.initializers.Constant(0.5), kernel_regularizer="l2"),
    ]),
    "nested": keras.Model(x, L.Dropout(0.1, name="drop")(nest(body))),
    "sigmoid_split": keras.Sequential([keras.Input((6,)), L.Dense(1, activation="sigmoid", name="top")]),
    "sigmoid_layer": keras.Model(x, L.Activation("sigmoid", name="act")(L.Dropout(0.2)(L.Dense(1, name="top")(body)))),
    "labels": keras.Sequential([keras.Input((6,)), L.Dense(4, activation="sigmoid", name="top")]),
    "softmax_layer": keras.Sequential([keras.Input((4, 6)), L.Dense(3, name="top", use_bias=False), L.Softmax()]),
    "frozen": keras.Sequential([keras.Input((6,)), norm, L.Dense(2, name="top", trainable=False)]),
    "twice": keras.Model(x, twice(twice(x))),
    "residual": keras.Model(x, L.Dense(6, name="top")(x) + x),
    "reused": keras.Model(x, [top, L.ReLU(name="relu")(top)]),
    "beside": keras.Model(x, L.Dense(1)(L.Concatenate()([top, L.Softmax()(top)]))),
    "flat": keras.Model(x, L.Flatten(name="flat")(L.Dense(3, name="top")(x))),
    "bare": keras.Model(x, L.ReLU(name="relu")(x)),
    "boxed": keras.Model(x, box(L.Dense(3, name="top")(x))),
}
draw = np.random.default_rng(1)
for name, model in models.items():
    for variable in model.weights:
        if "norm/" not in variable.path:
            variable.assign(draw.uniform(0.5, 1.5, variable.shape))
    model.save(f"{sys.argv[1]}/{name}.keras")
"""
NAMES = ["plain", "nested", "sigmoid_split", "sigmoid_layer", "softmax_layer", "labels", "frozen"]
HEADS = dict.fromkeys(NAMES, "top") | {"nested": "nest/top"}
OWN_LAYER = """
import keras

@keras.saving.register_keras_serializable("mine")
class Scale(keras.layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=shape[-1:], initializer="ones")
        self.gain_initializer = keras.initializers.RandomUniform(2.0, 3.0)
        self.gain = self.add_weight(name="gain", shape=shape[-1:], initializer=self.gain_initializer)
    def call(self, x):
        return x * self.factor * self.gain

@keras.saving.register_keras_serializable("mine")
class Top(keras.layers.Layer):
    def build(self, shape):
        self.dense = keras.layers.Dense(2, name="dense")
        self.dense.build(shape)
    def call(self, x):
        return self.dense(x)

def build():
    return keras.Sequential([keras.Input((6,)), Scale(name="scale"), Top(name="top")])
"""


def source(path, **options):
    return {"path": str(path), **options}


@pytest.fixture(scope="module")
def folder(keras, tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    keras.script(MAKES_MODELS, place)
    return place


@pytest.fixture(scope="module")
def keras_worker():
    return worker("keras_side")


@pytest.fixture(scope="module")
def traced(folder, keras_worker):
    """The graph of a saved model; a copy, so that no test sees what another one did."""
    known = {}

    def graph(name):
        if name not in known:
            answer = keras_worker.call("trace", source=source(folder / f"{name}.keras"))
            known[name] = from_proto(onnx.load_from_string(answer["proto"].tobytes()))
        return copy.deepcopy(known[name])

    return graph


@pytest.fixture(scope="module")
def own_layers(keras, tmp_path_factory, keras_worker):
    """The graph of a model with layers of the user's own, from its code and a file of weights."""
    place = tmp_path_factory.mktemp("own")
    (place / "own.py").write_text(OWN_LAYER)
    weights = place / "own.weights.h5"
    keras.script(OWN_LAYER + "\nimport sys; build().save_weights(sys.argv[1])", weights)
    answer = keras_worker.call("trace", source=source(weights, arch=f"{place}/own.py:build"))
    return from_proto(onnx.load_from_string(answer["proto"].tobytes()))


def through_a_file(graph):
    return from_proto(onnx.load_from_string(to_proto(graph).SerializeToString()))


def predict(graph, inputs):
    proto = to_proto(graph)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {graph.inputs[0].name: inputs})[0]


def example(graph):
    return np.random.default_rng(2).normal(size=(3, *graph.inputs[0].shape[1:])).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_keras_builds_the_model_with_the_new_head_and_computes_the_same(name, traced, keras_worker, tmp_path):
    graph = replace_head(traced(name), 7, seed=3)
    x = example(graph)
    home = tmp_path / "home.keras"
    proto = np.frombuffer(to_proto(graph).SerializeToString(), np.uint8)
    keras_worker.call("home", proto=proto, output=str(home))
    answer = keras_worker.call("run", source=source(home), inputs={graph.inputs[0].name: x})
    (expected,) = answer["outputs"].values()
    assert expected.shape == (*x.shape[:-1], 7)
    np.testing.assert_allclose(predict(graph, x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_new_head_changes_the_head_alone(name, traced):
    graph, untouched = traced(name), traced(name)
    new = replace_head(graph, 7, seed=3)
    head = HEADS[name]
    assert {p for p, a in new.arrays.items() if a is not graph.arrays[p]} == {
        p for p in graph.arrays if p.startswith(f"{head}/")
    }
    layer = head_layer(new)
    assert (layer.path, layer.config["units"], layer.trainable) == (head, 7, True)
    assert all(new.weights[w.path] is w and w.shape == new.arrays[w.path].shape for w in layer.weights.values())
    assert all(w.shape[-1] == 7 and w.trainable for w in layer.weights.values())
    assert new.outputs[0].shape == (*graph.outputs[0].shape[:-1], 7)
    # the graph that was given is as it was
    assert graph.nodes == untouched.nodes
    assert graph.values == untouched.values
    assert (graph.weights, graph.outputs, graph.keras_config) == (
        untouched.weights,
        untouched.outputs,
        untouched.keras_config,
    )
    again = through_a_file(new)
    assert again.weights == new.weights
    assert again.layers == new.layers


def test_a_new_heads_weights_come_from_its_own_initializers(traced):
    new = replace_head(traced("plain"), 400, seed=3)
    limit = np.sqrt(6 / (5 + 400))  # glorot_uniform
    kernel = new.arrays["top/kernel"]
    assert 0.95 * limit < np.abs(kernel).max() <= limit
    assert (kernel != replace_head(traced("plain"), 400, seed=4).arrays["top/kernel"]).any()
    np.testing.assert_array_equal(new.arrays["top/bias"], np.full(400, 0.5, np.float32))
    assert new.weights["top/kernel"].regularizer is not None


@pytest.mark.parametrize("name", ["sigmoid_split", "sigmoid_layer"])
def test_a_sigmoid_over_one_unit_becomes_a_softmax_over_the_classes(name, traced):
    new = replace_head(traced(name), 2, seed=0)
    assert new.maker(new.outputs[0].name).layer.config["activation"] == "softmax"
    np.testing.assert_allclose(predict(new, example(new)).sum(-1), 1, rtol=1e-6)


def test_a_sigmoid_over_one_unit_stays_when_one_unit_is_asked_for(traced):
    new = replace_head(traced("sigmoid_split"), 1, seed=0)
    assert new.maker(new.outputs[0].name).layer.config["activation"] == "sigmoid"


def test_a_sigmoid_over_several_labels_stays_a_sigmoid(traced):
    new = replace_head(traced("labels"), 6, seed=0)
    assert new.maker(new.outputs[0].name).layer.config["activation"] == "sigmoid"


def test_the_recorded_shapes_behind_the_head_are_the_new_ones(traced):
    config = json.loads(replace_head(traced("nested"), 7, seed=0).keras_config)
    drop = next(layer for layer in config["config"]["layers"] if layer["name"] == "drop")
    assert drop["inbound_nodes"][0]["args"][0]["config"]["shape"] == [None, 7]
    nest = next(layer for layer in config["config"]["layers"] if layer["name"] == "nest")
    assert nest["inbound_nodes"][0]["args"][0]["config"]["shape"] == [None, 5]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("twice", r"top \(Dense\): the model calls this layer more than once"),
        ("residual", r"its head should be a Dense layer.*\nBefore the output stands .*Add"),
        ("reused", r"has 2 outputs \(.*\), so no single head"),
        ("flat", r"Before the output stands flat \(Flatten\). Build the new head in Keras"),
        ("bare", r"no layer with weights leads to its output"),
        ("boxed", r"box/soft: stands in a model of its own behind the head top"),
    ],
)
def test_a_model_without_a_head_that_can_be_replaced_says_what_was_found(name, message, traced):
    with pytest.raises(BridgeError, match=message):
        replace_head(traced(name), 5, seed=0)


def test_a_head_whose_result_or_weights_are_used_elsewhere_is_refused(traced):
    graph = traced("plain")
    graph.nodes.append(Node("spy", "Identity", ["top/linear"], ["seen"]))
    with pytest.raises(BridgeError, match=r"top \(Dense\): its result is used elsewhere"):
        replace_head(graph, 5, seed=0)
    graph.nodes[-1] = Node("spy", "Identity", ["top/kernel"], ["seen"])
    with pytest.raises(BridgeError, match="top/kernel: is used elsewhere in the model too"):
        replace_head(graph, 5, seed=0)


def test_the_head_of_the_last_layer_is_found_past_a_concatenation(traced):
    assert head_layer(traced("beside")).path.startswith("dense")


@pytest.mark.parametrize("name", ["plain", "softmax_layer"])
def test_a_softmax_over_one_class_is_refused(name, traced):
    with pytest.raises(BridgeError, match=r"a softmax over one class is always 1\. Ask for two classes or more"):
        replace_head(traced(name), 1, seed=0)


def test_a_damaged_graph_is_refused_with_what_is_wrong(traced):
    graph = replace(traced("labels"), keras_config="[1")
    with pytest.raises(BridgeError, match="Keras config is not a JSON object"):
        replace_head(graph, 5, seed=0)
    head = head_layer(graph)
    head.weights["kernel"] = replace(head.weights["kernel"], shape=(24,))
    with pytest.raises(BridgeError, match=r"top \(Dense\): its kernel is \(24,\), not \(features, units\)"):
        head_layer(graph)


def test_a_head_without_classes_is_refused(traced):
    with pytest.raises(BridgeError, match="A new head can't have 0 classes"):
        replace_head(traced("plain"), 0, seed=0)


def test_a_head_inside_a_layer_of_the_users_own_needs_the_code_on_the_way_home(own_layers):
    new = replace_head(own_layers, 5, seed=0)
    assert own_layers.keras_config is not None
    assert new.keras_config is None
    assert predict(new, example(new)).shape == (3, 5)


def test_fresh_weights_are_what_each_layers_config_says(traced):
    graph = traced("plain")
    new = fresh(graph, seed=5)
    assert list(new.arrays) == list(graph.arrays)
    assert all(a.shape == graph.arrays[p].shape and a.dtype == graph.arrays[p].dtype for p, a in new.arrays.items())
    np.testing.assert_array_equal(new.arrays["bn/moving_mean"], np.full(5, 0.25, np.float32))
    np.testing.assert_array_equal(new.arrays["bn/moving_variance"], np.ones(5, np.float32))
    np.testing.assert_array_equal(new.arrays["bn/beta"], np.zeros(5, np.float32))
    np.testing.assert_array_equal(new.arrays["top/bias"], np.full(3, 0.5, np.float32))
    for path in ("body/kernel", "top/kernel"):
        assert np.abs(new.arrays[path] - graph.arrays[path]).min() > 0
    np.testing.assert_array_equal(fresh(graph, seed=5).arrays["body/kernel"], new.arrays["body/kernel"])
    assert (fresh(graph, seed=6).arrays["body/kernel"] != new.arrays["body/kernel"]).all()
    assert graph.arrays["bn/moving_mean"].max() > 0.25  # the graph that was given is as it was


def test_what_a_normalization_measured_is_kept(traced):
    graph = traced("frozen")
    new = fresh(graph, seed=5)
    for name in ("mean", "variance", "count"):
        np.testing.assert_array_equal(new.arrays[f"norm/{name}"], graph.arrays[f"norm/{name}"])
    assert (new.arrays["top/kernel"] != graph.arrays["top/kernel"]).all()


def test_a_weight_whose_beginning_nobody_knows_is_named_with_the_way_out(own_layers):
    with pytest.raises(BridgeError, match=r"scale/factor: the model does not say.*\n.*--transfer parameters"):
        fresh(own_layers, seed=0)


def test_a_custom_layers_weight_begins_as_the_layers_own_initializer_says(own_layers):
    known = {"class_name": "Ones", "config": {}}
    factor = replace(own_layers.weights["scale/factor"], initializer=known)
    graph = through_a_file(replace(own_layers, weights=own_layers.weights | {factor.path: factor}))
    assert graph.weights["scale/factor"] == factor
    arrays = fresh(graph, seed=0).arrays
    assert ((arrays["scale/gain"] >= 2) & (arrays["scale/gain"] <= 3)).all()
    np.testing.assert_array_equal(arrays["scale/factor"], np.ones(6, np.float32))


def test_several_weights_of_unknown_beginning_are_counted(traced):
    graph = traced("labels")
    more = {f"own/{i}": Weight(f"own/{i}", (2,)) for i in range(3)}
    graph = replace(graph, weights=graph.weights | more)
    with pytest.raises(BridgeError, match=r"own/0: the model does not say .* and 2 more weights"):
        fresh(graph, seed=0)
