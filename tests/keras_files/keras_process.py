"""The Keras process of the tests: JSON lines in, JSON lines out. Models are made and saved by Keras itself."""

import hashlib
import json
import os
import sys
import traceback
from pathlib import Path
from unittest import mock

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import keras  # noqa: E402 (stdout is put aside first: TensorFlow writes to it)
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402
from keras.src.layers.preprocessing.feature_space import TFDConcat  # noqa: E402
from keras.src.legacy.saving import legacy_h5_format  # noqa: E402

sys.path.append(str(Path(__file__).parent))
import saved_model_files  # noqa: E402

from bridge import user_code  # noqa: E402
from bridge.errors import BridgeError  # noqa: E402
from bridge.graph import stored  # noqa: E402
from bridge.keras_side import home, jobs, weights  # noqa: E402
from bridge.keras_side.custom import scope as own_classes  # noqa: E402
from bridge.keras_side.files.load import load, non_finite  # noqa: E402
from bridge.keras_side.inspecting.survey import inputs_of  # noqa: E402
from bridge.keras_side.jobs import job_describe as describe  # noqa: E402
from bridge.keras_side.running.double import in_double  # noqa: E402
from bridge.keras_side.running.lent import Lent  # noqa: E402
from bridge.keras_side.running.run import run  # noqa: E402
from bridge.keras_side.saved_model import home as saved_model_home  # noqa: E402
from bridge.keras_side.source import Source  # noqa: E402
from bridge.keras_side.tracing.trace import trace  # noqa: E402
from bridge.keras_side.wayhome import go_home  # noqa: E402


def mlp():
    return keras.Sequential(
        [keras.Input((6,)), *[layers.Dense(n, activation=a) for n, a in ((5, "relu"), (5, "relu"), (3, "softmax"))]]
    )


def no_bias():
    return keras.Sequential([keras.Input((6,)), layers.Dense(5, use_bias=False), layers.Dense(3)])


def many():
    return keras.Sequential([keras.Input((4,)), *[layers.Dense(4) for _ in range(12)]])


def functional():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(4, name="shared", kernel_regularizer="l2")
    joined = layers.Concatenate()([shared(a), shared(b)])
    out = layers.Dense(2, name="out", activation="softmax")(layers.Dropout(0.5)(joined))
    return keras.Model([a, b], [out, layers.Dense(1, name="value")(joined)])


def with_operations():
    a = keras.Input((4,), name="a")
    x = TFDConcat(axis=-1)([layers.Dense(4)(a) * 2.0 + layers.Dense(4)(a), a])  # as a FeatureSpace joins
    return keras.Model(a, layers.Dense(2)(x)[:, 0])


def nested():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization()], name="encoder")
    a = keras.Input((4,))
    return keras.Model(a, layers.Dense(2)(inner(a)))


def frozen():
    model = nested()
    model.get_layer("encoder").trainable = False
    return model


def adapted():
    numbers = keras.Input((3,), dtype="int32")
    stack = [
        layers.Embedding(50, 4),
        layers.EinsumDense("abc,cd->abd", (None, 5)),
        layers.Conv1D(4, 2),
        layers.Dense(2),
    ]
    x = numbers
    for layer in stack:
        x = layer(x)
    model = keras.Model(numbers, x)
    for layer in stack:
        layer.enable_lora(2, lora_alpha=4)
    return model


def normalised():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(3, 2, (50, 4)).astype("float32"))
    steps = [
        layer,
        layers.Dense(4),
        layers.BatchNormalization(scale=False),
        layers.PReLU(),
        layers.LayerNormalization(),
    ]
    return keras.Sequential([keras.Input((4,)), *steps, layers.GaussianNoise(0.1), layers.Dense(2)])


def with_lambda():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Lambda(lambda x: x * 2, (3,), name="twice")])


def with_vocabularies():
    """Adapted to whole numbers, which convert, and to text, which doesn't."""
    numbers, words = keras.Input((3,), dtype="int64", name="numbers"), keras.Input((), dtype="string", name="words")
    places = layers.IntegerLookup(num_oov_indices=2, mask_token=0, name="places")
    weighted = layers.IntegerLookup(output_mode="tf_idf", name="weighted")
    for layer in (places, weighted):
        layer.adapt(np.array([[5, 2, 9], [5, 2, 4], [5, 7, 4]]))
    text = layers.TextVectorization(output_mode="tf_idf", name="text")
    text.adapt(["a b", "b c", "b"])
    look = layers.StringLookup(name="look")
    look.adapt(["x", "y", "y"])
    found = [layers.Flatten()(layers.Embedding(9, 2)(places(numbers))), weighted(numbers)]
    found += [layers.Dense(2, name="topics")(text(words)), layers.Embedding(4, 2)(look(words))]
    return keras.Model([numbers, words], layers.Dense(2, name="out")(layers.Concatenate(name="join")(found)))


def make_vocabularies(folder):
    """Saves that model; returns the outputs of what is behind its text, and what looks are given to it."""
    model = randomised(with_vocabularies())
    model.save(Path(folder) / "model.keras")
    x, words = np.array([[5, 2, 0], [4, 8, 7]]), np.array(["a b", "y"])
    text = [model.get_layer(name)(words) for name in ("text", "look")]
    return {"outputs": np.asarray(model([x, words])).tolist(), "text": [np.asarray(t).tolist() for t in text]}


def part_outputs(path, from_layer, inputs):
    """The outputs of a part of a model, and its inputs' names."""
    model = load(Source(path, from_layer=tuple(from_layer)))
    given = [np.array(inputs[t.name], t.dtype) for t in model.inputs]
    return {"outputs": np.asarray(model(given)).tolist(), "inputs": [[t.name, t.dtype] for t in model.inputs]}


def home_again(path, to, custom=None):
    """Traces the part that converts, takes it home by its config, and tells what that file computes."""
    with own_classes(custom or ()):
        how = {"custom": tuple(custom)} if custom else {"from_layer": ("topics", "embedding_1")}
        graph = trace(load(Source(path, **how)))
        go_home(graph, Path(to), None, False)
    return len(graph.weights)


def make_custom(case, folder, code):
    """Saves a model of the user's own classes, compiled with a loss of theirs; its weights and outputs."""
    keras.utils.clear_session()
    model = randomised(user_code.make(Path(code), case, case, callable))
    model.compile("adam", keras.saving.get_custom_objects()["lib>my_loss"])
    for file in ("model.keras", "model.h5"):
        model.save(Path(folder) / file)
    return {"digests": digests(model), "outputs": outputs(model) if case != "subclassed" else None}


def pictures():
    return keras.Sequential(
        [
            keras.Input((14, 10, 3)),
            layers.Conv2D(8, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="dw"),
            layers.SeparableConv2D(12, (3, 1), padding="same", activation="relu"),
            layers.PReLU(shared_axes=[1, 2]),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(4, activation="softmax"),
        ]
    )


def pooled():
    return keras.Sequential(
        [
            keras.Input((12, 12, 4)),
            layers.Conv2D(8, 3, strides=2),
            layers.Conv2D(6, 3, groups=2, activation="relu"),
            layers.BatchNormalization(scale=False),
            layers.GlobalAveragePooling2D(),
            layers.Dense(8, activation="relu"),
            layers.Dense(2),
        ]
    )


def words():
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(50, 8),
            layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
            layers.Conv1D(7, 2, activation="relu"),
            layers.GRU(5, reset_after=False),
            layers.LayerNormalization(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def pictures_from_codes():
    return keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(3 * 2 * 6, activation="relu"),
            layers.Reshape((3, 2, 6)),
            layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
            layers.Conv2D(1, 3, activation="sigmoid"),
        ]
    )


def tagged():
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(50, 3),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="sum"),
            layers.TimeDistributed(layers.Dense(5, activation="relu")),
            layers.GRU(3),
            layers.Dense(2),
        ]
    )


def frames():
    within = [layers.Conv2D(2, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
    steps = [layers.TimeDistributed(layer) for layer in within]
    return keras.Sequential([keras.Input((3, 6, 6, 1)), *steps, layers.LSTM(4), layers.Dense(2)])


CASES = {
    f.__name__: f
    for f in (
        *(mlp, no_bias, many, functional, with_operations, nested, frozen, normalised, with_lambda),
        *(pictures, pooled, words, tagged, frames, pictures_from_codes, adapted),
    )
}


def randomised(model, seed=1):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "int" not in weight.dtype:
            weight.assign(rng.uniform(0.1, 1, weight.shape))
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


def digests(model):
    values = [np.asarray(weight) for weight in model.weights]
    return [[list(v.shape), str(v.dtype), hashlib.sha256(v.tobytes()).hexdigest()] for v in values]


def make(case, folder, compiled=False):
    """Saves one model in all of Keras's formats, by Keras; returns its weights' digests and its outputs."""
    keras.utils.clear_session()
    model, folder = randomised(CASES[case]()), Path(folder)
    if compiled:
        model.compile("adam", "mse", metrics=["mae"])
        model.fit(*[np.ones((4, *t.shape[1:])) for t in (model.inputs[0], model.outputs[0])], verbose=0)
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    model.save_weights(folder / "model.weights.h5")
    (folder / "config.json").write_text(model.to_json())
    import h5py

    with h5py.File(folder / "only.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return {"digests": digests(model), "outputs": outputs(model)}


def outputs(model):
    shapes = [[3, *(4 if size is None else size for size in t.shape[1:])] for t in model.inputs]
    x = [np.linspace(-1, 1, int(np.prod(shape)), dtype="float32").reshape(shape) for shape in shapes]
    x = [
        values if t.dtype == "float32" else np.abs(40 * values).astype(t.dtype)
        for values, t in zip(x, model.inputs, strict=True)
    ]
    return [np.asarray(y).tolist() for y in keras.tree.flatten(model(x if len(x) > 1 else x[0], training=False))]


def read(path, chunk=None, **how):
    """Loads with bridge; what it got. chunk: bytes that are assigned at a time."""
    with mock.patch.object(weights, "CHUNK", chunk or weights.CHUNK):
        model = load(Source(path, **how))
    built = getattr(model, "inputs", None) is not None
    return {
        "digests": digests(model),
        "outputs": outputs(model) if built else None,
        "layers": [layer.name for layer in model.layers],
        "compiled": model.compiled,
        "inputs": [list(t.shape) for t in model.inputs] if built else None,
        "non_finite": non_finite(model),
    }


def rewrite(path, to, weights_only=False, **how):
    home.write(load(Source(path, **how)), Path(to), weights_only=weights_only)


def old(path, to, home):
    """Traces a file of an older Keras to `to`, takes it home to `home`, and tells what Keras computes of its inputs."""
    model = load(Source(path))
    with np.load(Path(path).with_suffix(".npz")) as saved:
        given = [saved[f"x{i}"] for i in range(len(model.inputs))]
    found = keras.tree.flatten(model(given if len(given) > 1 else given[0], training=False))
    traced = jobs.job_trace({"path": path})
    Path(to).write_bytes(traced["proto"].tobytes())
    jobs.job_home(traced["proto"], home)
    names = [value.name for value in model.inputs]
    return {"outputs": [np.asarray(y).tolist() for y in found], "inputs": names, "non_finite": traced["non_finite"]}


def keras_reads(path):
    """Loads with Keras itself, for what bridge wrote."""
    return digests(keras.models.load_model(path, compile=False))


def in_double_by_parts(case):
    """How many weights a float64 twin is lent, how far its outputs are from those of one with its own, which weights
    the model has afterwards and had before."""
    model = randomised(CASES[case]())
    before, x = digests(model), np.arange(12).reshape(3, 4)
    given = {value["name"]: x.astype(value["dtype"]) for value in inputs_of(model)}
    (own,) = run(model, given, double=True).values()
    with mock.patch.object(stored, "LARGE", 100), mock.patch.object(stored, "CHUNK", 200):
        lent = sum(isinstance(variable, Lent) for variable in in_double(model, lend=True).variables)
        (parts,) = run(model, given, double=True).values()
    return {"lent": lent, "difference": float(np.abs(own - parts).max()), "kept": digests(model) == before}


def saved_in_parts(path, to):
    """Takes a SavedModel home with each of its variables in a data file of its own; the files' names."""
    traced = jobs.job_trace({"path": path})
    Path(to).mkdir()
    with mock.patch.object(saved_model_home, "MOST_TOGETHER", 0):
        jobs.job_home(traced["proto"], to)
    return sorted(file.name for file in (Path(to) / "variables").iterdir())


def script(text, words):
    """Runs a program with these arguments, as a process of its own would: what it sets and registers is gone then."""
    keras.utils.clear_session()
    custom, policy = keras.saving.get_custom_objects(), keras.config.dtype_policy()
    with mock.patch.object(sys, "argv", ["-c", *words]), mock.patch.dict(custom):
        try:
            exec(compile(text, "script", "exec"), {"__name__": "__main__"})
        finally:
            keras.config.set_dtype_policy(policy)


JOBS = {"make": make, "read": read, "rewrite": rewrite, "describe": describe, "old": old, "keras_reads": keras_reads}
JOBS |= saved_model_files.JOBS
JOBS |= {
    "script": script,
    "make_custom": make_custom,
    "make_vocabularies": make_vocabularies,
    "part_outputs": part_outputs,
    "home_again": home_again,
    "in_double_by_parts": in_double_by_parts,
    "saved_in_parts": saved_in_parts,
}

if __name__ == "__main__":
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": JOBS[request["job"]](**request["arguments"])}
        except BridgeError as error:
            answer = {"refused": str(error)}
        except Exception:  # a bug fails its own test, and ends no other's process
            answer = {"bug": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)
