"""Makes the files of old versions of Keras in tests/keras_files/old: `python tools/make_old_files.py`, with tf_keras.

Names behind it make those alone.
tf_keras builds each model, gives it random weights, saves it and records what it computes of fixed inputs. Then the
file's config, and its weights where they lay in another way, are written as the named version of Keras wrote them.
"""

import copy
import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import h5py
import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

OUTPUT = Path(__file__).parent.parent / "tests" / "keras_files" / "old"
MAKERS = {}


def file(version, backend="tensorflow"):
    def register(make):
        MAKERS[make.__name__] = (make, version, backend)
        return make

    return register


def nodes(config):
    """All layer entries, at any depth."""
    if isinstance(config, dict):
        if isinstance(config.get("config"), dict) and "class_name" in config:
            yield config
        for value in config.values():
            yield from nodes(value)
    elif isinstance(config, list):
        for value in config:
            yield from nodes(value)


def older(config, drop=("module", "registered_name", "build_config", "shared_object_id")):
    """Without what tf_keras 2.13 and later write besides."""
    if isinstance(config, list):
        return [older(item) for item in config]
    if not isinstance(config, dict):
        return config
    return {key: older(value) for key, value in config.items() if key not in drop}


@file("2.0.5", "theano")
def sequential_of_theano():
    model = keras.Sequential(
        [
            layers.Conv2D(3, (2, 3), activation="selu", input_shape=(5, 6, 2), name="conv2d_1"),
            layers.BatchNormalization(name="batch_normalization_1"),
            layers.LeakyReLU(0.2, name="leaky_re_lu_1"),
            layers.Flatten(name="flatten_1"),
            layers.Dense(3, activation="hard_sigmoid", name="dense_1"),
        ]
    )

    def rewrite(config):
        config["config"] = config["config"]["layers"][1:]
        for node in nodes(config["config"]):
            node["config"].pop("data_format", None) if node["class_name"] == "Flatten" else None
            if node["class_name"] == "LeakyReLU":
                node["config"]["alpha"] = {"type": "ndarray", "value": 0.2}
            if node["class_name"] == "Conv2D":
                node["config"].pop("groups")
        return config

    def rearrange(weights):
        kernel = weights["conv2d_1"]["conv2d_1/kernel:0"]
        weights["conv2d_1"]["conv2d_1/kernel:0"] = kernel[::-1, ::-1]

    return model, rewrite, rearrange


@file("2.1.6")
def recurrent():
    x = keras.Input((5,), name="input_1")
    y = layers.Embedding(7, 3, mask_zero=True, input_length=5, name="embedding_1")(x)
    gates = {"recurrent_activation": "hard_sigmoid", "return_sequences": True}
    y = layers.GRU(3, reset_after=False, name="gru_1", **gates)(y)
    y = layers.Bidirectional(layers.LSTM(2, name="lstm_1", **gates), name="bidirectional_1")(y)
    y, h, c = layers.LSTM(3, return_state=True, name="lstm_2", **gates)(y)
    y = layers.LSTM(3, name="lstm_3", recurrent_activation="hard_sigmoid")(y, initial_state=[h, c])
    model = keras.Model(x, layers.Dense(2, activation="softsign", name="dense_1")(y), name="model_1")

    def rewrite(config):
        config["class_name"] = "Model"
        for node in nodes(config):
            for key in ("time_major", "reset_after", "zero_output_for_mask"):
                node["config"].pop(key, None)
            if node["class_name"] == "Bidirectional":
                node["config"]["num_constants"] = 0
            if node["class_name"] in ("GRU", "LSTM"):
                node["config"]["implementation"] = 1
        return config

    return model, rewrite, None


@file("2.2.4")
def cudnn():
    x = keras.Input((4, 3), name="input_1")
    y = layers.Bidirectional(layers.LSTM(2, return_sequences=True, name="lstm_1"), name="bidirectional_1")(x)
    y = layers.GRU(3, reset_after=True, return_sequences=True, name="gru_1")(y)
    model = keras.Model(x, layers.LSTM(2, name="lstm_2")(y), name="model_1")

    def rewrite(config):
        config["class_name"] = "Model"
        kept = ["name", "trainable", "return_sequences", "return_state", "go_backwards", "stateful", "units"]
        kept += [
            f"{a}_{b}" for a in ("kernel", "recurrent", "bias") for b in ("initializer", "regularizer", "constraint")
        ]
        for node in nodes(config):
            if node["class_name"] in ("LSTM", "GRU"):
                extra = {"unit_forget_bias": True} if node["class_name"] == "LSTM" else {}
                node["class_name"] = f"CuDNN{node['class_name']}"
                node["config"] = {k: v for k, v in node["config"].items() if k in kept} | extra
        return config

    def rearrange(weights):
        random = np.random.default_rng(3)
        for layer in weights.values():
            for name, array in layer.items():
                count = 3 if "gru" in name else 4
                if name.endswith("recurrent_kernel:0"):
                    layer[name] = np.hstack([gate.T for gate in np.hsplit(array, count)])
                elif name.endswith("kernel:0"):
                    gates = np.hsplit(array, count)
                    layer[name] = np.hstack([gate.T.reshape(gate.shape) for gate in gates])
                elif "gru" in name:
                    layer[name] = array.reshape(-1)
                else:  # two biases whose sum rounds to the one
                    other = random.normal(size=array.shape).astype("float32")
                    layer[name] = np.concatenate([array - other, other])

    return model, rewrite, rearrange


@file("2.2.4-tf")
def operator_layers():
    """TensorFlowOpLayer can't be made any more: a Lambda-free model whose addition and mean are put in by hand."""
    x, y = keras.Input((4,), name="input_1"), keras.Input((4,), name="input_2")
    added = layers.Add(name="tf_op_layer_add")([layers.Dense(4, activation="selu", name="dense")(x), y])
    model = keras.Model([x, y], layers.Dense(2, name="dense_1")(layers.Rescaling(2.0, name="tf_op_layer_mul")(added)))

    def rewrite(config):
        config["class_name"] = "Model"
        for node in nodes(config):
            if node["class_name"] == "Dense":
                node["config"]["activation"] = {"class_name": "function", "config": node["config"]["activation"]}
        for name, operator, constants in (("tf_op_layer_add", "AddV2", {}), ("tf_op_layer_mul", "Mul", {"1": 2.0})):
            node = next(n for n in nodes(config) if n.get("name") == name)
            definition = {"name": name, "op": operator, "input": ["a", "b"], "attr": {"T": {"type": "DT_FLOAT"}}}
            node["class_name"] = "TensorFlowOpLayer"
            node["config"] = {"name": name, "trainable": True, "dtype": "float32", "constants": constants}
            node["config"]["node_def"] = json.dumps(definition)
        return config

    return model, rewrite, None


@file("2.4.0")
def functions():
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
    a = layers.Dense(4, name="dense")(x)
    b = tf.nn.relu(a * 2.0 + y - 1.0)
    c = tf.concat([a, b], axis=-1)
    d = tf.reshape(c[:, 1:7:2], (-1, 1, 3))
    e = tf.expand_dims(tf.reduce_mean(c, axis=1, keepdims=True), 1)
    z = layers.Flatten(name="flatten")(tf.concat([tf.matmul(d, tf.transpose(d, [0, 2, 1])), e], -1))
    z = 1.0 / (1.0 + tf.exp(-z)) + tf.cast(tf.cast(z * 10.0, tf.int32), tf.float32)
    s = tf.squeeze(tf.stack([x, y], axis=1)[..., tf.newaxis], -1)[:, 0]
    model = keras.Model([x, y], [layers.Dense(2, name="out")(z), s**2, tf.where(x > 0.0, x, y)])
    model.add_loss(tf.reduce_mean(tf.square(a)))
    model.add_metric(tf.reduce_mean(a), name="mean")
    return model, lambda config: config, None


@file("2.7.0")
def nested():
    i = keras.Input((6, 6, 2), name="i")
    kept = layers.SeparableConv2D(3, 3, name="separable")(i)
    base = keras.Model(i, layers.DepthwiseConv2D(2, name="depthwise")(kept), name="base")
    head = keras.Sequential(
        [layers.Conv2DTranspose(2, 2, input_shape=(3, 3, 3), name="t"), layers.SpatialDropout2D(0.2), layers.Flatten()],
        name="head",
    )
    scaled = layers.Rescaling(1 / 255.0, name="scaled")
    x, y = keras.Input((6, 6, 2), name="a/x"), keras.Input((6, 6, 2), name="y")
    joined = layers.Concatenate(name="joined")([head(base(scaled(x), training=False)), head(base(scaled(y)))])
    model = keras.Model([x, y], layers.Dense(2, name="block/dense.1")(joined))

    def rewrite(config):
        for node in nodes(config):
            if node["class_name"] == "Dense":
                node["config"]["dtype"] = {"class_name": "Policy", "config": {"name": "float32"}}
        return config

    return model, rewrite, None


@file("2.10.0")
def gone():
    x = keras.Input((6, 5, 2), name="input_1")
    y = layers.LocallyConnected2D(3, (2, 3), strides=(2, 1), activation="relu", name="local_2d")(x)
    y = layers.Reshape((9, 3), name="reshape")(y)
    y = layers.LocallyConnected1D(2, 3, strides=2, name="local_1d")(y)
    return keras.Model(x, layers.ThresholdedReLU(0.3, name="thresholded")(y)), lambda config: config, None


@file("2.9.0")
def late():
    """Sparse kernels, steps before the batch, masks that the attention does not see, rows of any length."""
    x, i = keras.Input((5, 4, 2), name="x"), keras.Input((6,), dtype="int32", name="i")
    y = layers.LocallyConnected2D(2, (2, 3), padding="same", implementation=3, strides=(2, 1), name="local_3")(x)
    y = layers.LocallyConnected2D(2, 2, implementation=2, name="local_2", kernel_regularizer="l2")(y)
    y = layers.Reshape((6, 2), name="reshape")(layers.RandomHeight(0.2, name="height")(y))
    y = layers.LocallyConnected1D(3, 2, implementation=3, data_format="channels_first", name="local_first")(y)
    w = layers.Embedding(5, 4, mask_zero=True, name="embedding")(i)
    u = layers.Reshape((6, 4), name="unmasked")(w)  # passes no mask on; it is left out of the file
    a = layers.MultiHeadAttention(2, 3, name="mha")(u, u)
    s = layers.LSTM(3, time_major=True, return_sequences=True, name="steps")(tf.transpose(a, [1, 0, 2]))
    both = layers.Bidirectional(layers.GRU(2, time_major=True), name="both")(s)
    return keras.Model([x, i], [y, both, layers.GRU(2, name="masked")(w)]), rewrite_late, None


def rewrite_late(config):
    text = json.dumps(without(config, {"unmasked": "embedding"}))
    config = json.loads(text.replace('"value": ["unmasked", 0, 0]', '"value": ["embedding", 0, 0]'))
    for node in nodes(config):
        if node["class_name"] == "InputLayer":
            node["config"]["ragged"] = node["config"]["name"] == "i"
    return config


def without(config, left):
    """The config without some layers, each as what it is called on."""
    config["config"]["layers"] = [node for node in config["config"]["layers"] if node["config"]["name"] not in left]
    for node in config["config"]["layers"]:
        for call in node["inbound_nodes"]:
            if isinstance(call[0], list):
                call[0][0] = left.get(call[0][0], call[0][0])
    return config


@file("2.15.0")
def attention():
    norm = layers.Normalization(name="normalization")
    norm.adapt(np.random.default_rng(5).normal(1, 3, (20, 5, 6)).astype("float32"))
    x, i = keras.Input((5, 6), name="x"), keras.Input((1,), dtype="int64", name="i")
    y = norm(x)
    y = layers.LayerNormalization(name="layer_normalization")(layers.MultiHeadAttention(2, 3, name="mha")(y, y) + y)
    y = layers.TimeDistributed(layers.Dense(3, activation="hard_sigmoid", name="dense"), name="timed")(y)
    y = layers.RNN(layers.StackedRNNCells([layers.LSTMCell(2), layers.GRUCell(3)]), name="rnn")(y)
    j = layers.CategoryEncoding(4, name="category_encoding")(i)
    model = keras.Model([x, i], layers.Concatenate(name="concatenate")([y, j]))
    return model, None, None


@file("1.2.2", "tensorflow")
def keras1():
    """channels_first, as most files of Keras 1: its convolution needs oneDNN or the transposed model that is made."""
    x, z = keras.Input((5, 6, 2), name="image"), keras.Input((4, 3), name="steps")
    y = layers.Conv2D(4, (2, 3), strides=(1, 2), padding="same", activation="relu", name="convolution2d_1")(x)
    y = layers.BatchNormalization(name="batchnormalization_1", epsilon=1e-5)(y)
    y = layers.GlobalAveragePooling2D(name="pool")(y)
    s = layers.Conv1D(2, 2, padding="valid", name="convolution1d_1")(z)
    s = layers.Bidirectional(
        layers.LSTM(2, recurrent_activation="hard_sigmoid", return_sequences=True, name="lstm_1"), name="both"
    )(s)
    s = layers.GRU(3, reset_after=False, recurrent_activation="hard_sigmoid", name="gru_1")(s)
    joined = layers.Concatenate(name="merge_1")([layers.Dropout(0.3, name="dropout_1")(y), s])
    model = keras.Model([x, z], layers.Dense(2, name="dense_1", kernel_regularizer="l2")(joined), name="model_1")
    names = {"Conv2D": "Convolution2D", "Conv1D": "Convolution1D", "Concatenate": "Merge"}

    def rewrite(config):
        config["class_name"] = "Model"
        for node in nodes(config):
            kind, old = node["class_name"], node["config"]
            node["class_name"] = names.get(kind, kind)
            new = {"name": old.get("name"), "trainable": True}
            common = {"W_regularizer": None, "b_regularizer": None, "activity_regularizer": None}
            common |= {"W_constraint": None, "b_constraint": None, "bias": True, "init": "glorot_uniform"}
            recurrent = {"output_dim": old.get("units"), "init": "glorot_uniform", "inner_init": "orthogonal"}
            recurrent |= {"activation": "tanh", "inner_activation": "hard_sigmoid", "dropout_W": 0.0, "dropout_U": 0.0}
            recurrent |= {f"{w}_regularizer": None for w in "WUb"}
            recurrent |= {k: old.get(k) for k in ("return_sequences", "go_backwards", "stateful", "unroll")}
            recurrent |= {"consume_less": "cpu", "input_dim": None, "input_length": None}
            if kind == "Conv2D":
                new |= common | {"nb_filter": 4, "nb_row": 2, "nb_col": 3, "border_mode": "same", "subsample": [1, 2]}
                new |= {"dim_ordering": "th", "activation": "relu"}
            elif kind == "Conv1D":
                new |= common | {"nb_filter": 2, "filter_length": 2, "border_mode": "valid", "subsample_length": 1}
                new |= {"activation": "linear", "input_dim": 3, "input_length": None}
            elif kind == "BatchNormalization":
                new |= {"mode": 0, "axis": 1, "epsilon": 1e-5, "momentum": 0.99}
                new |= {"gamma_regularizer": None, "beta_regularizer": None}
            elif kind == "LSTM":
                new |= recurrent | {"forget_bias_init": "one"}
            elif kind == "GRU":
                new |= recurrent
            elif kind == "Dropout":
                new["p"] = 0.3
            elif kind == "GlobalAveragePooling2D":
                new["dim_ordering"] = "th"
            elif kind == "Concatenate":
                new |= {"mode": "concat", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "output_shape": None}
            elif kind == "Dense":
                weight = {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01}
                new |= common | {"W_regularizer": weight, "output_dim": 2, "activation": "linear", "input_dim": 7}
            elif kind == "InputLayer":
                shape = [None, 2, 5, 6] if old["name"] == "image" else old["batch_input_shape"]
                new |= {"batch_input_shape": shape, "input_dtype": "float32", "sparse": False}
            else:
                continue
            if kind != "Bidirectional":
                node["config"] = new
        for node in nodes(config):
            if node["class_name"] == "Bidirectional":
                node["config"] = {
                    k: v for k, v in node["config"].items() if k in ("name", "trainable", "layer", "merge_mode")
                }
        return config

    def rearrange(weights):
        for layer, arrays in list(weights.items()):
            new = {}
            for name, array in arrays.items():
                owner, word = name.split("/")[-2], name.split("/")[-1].removesuffix(":0")
                owner = next(w for w in reversed(name.split("/")[:-1]) if not w.endswith("_cell"))
                letter = {"kernel": "W", "recurrent_kernel": "U", "bias": "b"}.get(word, word)
                letter = {"moving_mean": "running_mean", "moving_variance": "running_std"}.get(letter, letter)
                if "lstm" in name or "gru" in name:
                    letters = "ifco" if "lstm" in name else "zrh"
                    new |= {
                        f"{owner}_{letter}_{g}:0": a
                        for g, a in zip(letters, np.split(array, len(letters), -1), strict=True)
                    }
                elif layer == "convolution2d_1" and word == "kernel":
                    new[f"{owner}_W:0"] = array.transpose(3, 2, 0, 1)
                elif layer == "convolution1d_1" and word == "kernel":
                    new[f"{owner}_W:0"] = array[:, None]
                else:
                    new[f"{owner}_{letter}:0"] = array
            order = lambda n: "icfozrh".find(n.split(":")[0][-1]) * 3 + "WUb".find(n.split("_")[-2])  # noqa: E731
            if any("lstm" in n or "gru" in n for n in new):
                new = {
                    n: new[n]
                    for side in dict.fromkeys(n.split("_")[0] for n in new)
                    for n in sorted((m for m in new if m.split("_")[0] == side), key=order)
                }
            weights[layer] = new

    return model, rewrite, rearrange


def randomised(model, random):
    for weight in model.weights:
        if weight.dtype == tf.float32 and weight.name not in ("mean:0", "variance:0"):  # those were adapted
            values = random.normal(size=weight.shape) * 0.5
            weight.assign(np.abs(values) + 0.2 if "variance" in weight.name else values)
    return model


def drawn(tensor, model, random):
    shape = (3, *tensor.shape[1:])
    words = any(isinstance(layer, layers.Embedding) for layer in model.layers)
    if tensor.dtype != tf.float32 or words:
        return random.integers(0, 4, shape).astype(tensor.dtype.as_numpy_dtype)
    return random.normal(size=shape).astype("float32")


def main():
    OUTPUT.mkdir(exist_ok=True)
    for name, (make, version, backend) in MAKERS.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        keras.backend.clear_session()
        random = np.random.default_rng(len(name))
        model, rewrite, rearrange = make()
        randomised(model, random)
        inputs = [drawn(tensor, model, random) for tensor in model.inputs]
        outputs = tf.nest.flatten(model(inputs if len(inputs) > 1 else inputs[0], training=False))
        path = OUTPUT / f"{name}.h5"
        model.save(path)
        with h5py.File(path) as saved:
            group = saved["model_weights"]
            order = [n.decode() if isinstance(n, bytes) else n for n in group.attrs["layer_names"]]
            weights = {n: {w: group[n][w][()] for w in group[n].attrs["weight_names"]} for n in order}
            config = json.loads(saved.attrs["model_config"])
        if rewrite is not None:
            config = rewrite(older(copy.deepcopy(config)))
        if rearrange is not None:
            rearrange(weights)
        if name == "keras1":
            inputs[0] = inputs[0].transpose(0, 3, 1, 2)
        write(path, config, weights, version, backend)
        arrays = {f"x{i}": x for i, x in enumerate(inputs)} | {f"y{i}": np.asarray(y) for i, y in enumerate(outputs)}
        np.savez_compressed(OUTPUT / f"{name}.npz", **arrays)
        print(name, path.stat().st_size)


def write(path, config, weights, version, backend):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"] = version.encode()
        if backend:
            file.attrs["backend"] = backend.encode()
        # settings that no Keras can read any more must not stop a load
        training = {
            "loss": "a_loss_of_old",
            "metrics": ["acc", "fmeasure"],
            "optimizer_config": {"class_name": "Nadam"},
        }
        file.attrs["training_config"] = json.dumps(training).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        group.attrs["keras_version"] = version.encode()
        if backend:
            group.attrs["backend"] = backend.encode()
        for name, arrays in weights.items():
            below = group.create_group(name)
            below.attrs["weight_names"] = [word.encode() for word in arrays]
            for word, array in arrays.items():
                below[word] = array


if __name__ == "__main__":
    main()
