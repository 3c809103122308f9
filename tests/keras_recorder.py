"""Records what Keras does with the cases whose names come on its standard input: keras_recorder.py FOLDER [graphs].

One .npz a case: the layered model, the weights, and for random inputs the outputs, gradients, a step in training mode,
losses and constraints. Under "double/" the same in float64, of whole models; their gradients in float32 only where
Keras's own rounding is asked for too. A case that bridge refuses has the message in it instead. With "graphs": the
layered models alone, which is fast.
"""

import gc
import importlib
import json
import sys
import traceback
import warnings
import zlib
from itertools import zip_longest
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import training_truth
from keras.src.utils.backend_utils import TFGraphScope
from keras_double import twin_of
from layer_cases import CASES, REFUSED
from model_cases import MODELS
from model_cases_applications import FAMILIES

from bridge.errors import BridgeError
from bridge.graph import to_proto
from bridge.graph.bodies.applications import APPLICATIONS
from bridge.keras_side.examples import remembered
from bridge.keras_side.names import names
from bridge.keras_side.old.leaves import RandomHeight, RandomWidth
from bridge.keras_side.precision import in_float32
from bridge.keras_side.running.double import as_double, unrounded
from bridge.keras_side.running.run import run
from bridge.keras_side.signature import named_outputs, signature
from bridge.keras_side.tracing.trace import trace

KNOTS = np.array([-30, -6, -3, -1, -0.5, -0.0, 0.0, 0.5, 1, 1.5, 2, 3, 6, 30], np.float32)
GRAPHS_ALONE = sys.argv[2:] == ["graphs"]
OPEN = 3  # how long an axis is that the model leaves open
RANGES = ("bytes", "pixels", "tokens")  # values that training and gradients need too
MANY = 3000  # rows by which the statistics of dropped and noisy values are told
KINDS = {thing.__name__: thing for thing in vars(keras.layers).values() if isinstance(thing, type)}
KINDS |= {name: getattr(importlib.import_module(module), name) for name, module in APPLICATIONS.items()}
KINDS |= {kind.__name__: kind for kind in (RandomHeight, RandomWidth)}


def main(folder):
    gc.collect()
    gc.freeze()  # TensorFlow need not be looked through for garbage again and again
    gc.set_threshold(100_000, 20, 20)
    layers = {kind.__name__ for kind in KINDS.values() if issubclass(kind, keras.layers.Layer)} - {*APPLICATIONS}
    facts = {"activations": sorted(keras.src.activations.ALL_OBJECTS_DICT), "layers": sorted(layers)}
    write(folder / "facts.json", lambda part: part.write_text(json.dumps(facts)))
    makers = {str(case): (lambda case=case: of_layer(case), case.values, case.random, case.image) for case in CASES}
    makers |= {
        str(case): (case.make, case.values, case.random, 0, case.settled, not case.no_double)
        for case in [*MODELS.values(), *FAMILIES.values()]
    }
    for kind, options, shape in REFUSED:
        makers[f"refused-{kind}"] = (lambda k=kind, o=options, s=shape: plain(k, o, [s]), "normal", False)
    for line in sys.stdin:
        name = line.removesuffix("\n")
        if name.startswith("training-"):
            given = [folder / name / file for file in ("cases.json", "arrays.npz")]
            write(folder / f"{name}.npz", lambda part, given=given: training_truth.main(*given, part))
        else:
            record(folder / f"{name}.npz", *makers[name])
        print(name, flush=True)


class Alone(keras.Model):
    """A model of a layer that says that its output is its input, so that no functional model can hold it."""

    def __init__(self, layer, shape):
        super().__init__(name=type(layer).__name__)
        self.layer = layer
        self(np.zeros((1, *shape), np.float32))

    def call(self, x):
        return self.layer(x)


def plain(kind, options, shapes, dtype="float32", ready=lambda layer: None, named=(), call=None):
    types = ["bool" if name.endswith("mask") else dtype for name in named[: len(shapes)]] or [dtype] * len(shapes)
    inputs = [
        keras.Input(shape, name=f"x{i}", dtype=each) for i, (shape, each) in enumerate(zip(shapes, types, strict=True))
    ]
    layer = KINDS[kind](name="layer", **{name: made(value) for name, value in options.items()})
    ready(layer)
    if kind == "Equalization":
        return Alone(layer, shapes[0])
    if not named:
        return keras.Model(inputs, layer(inputs[0] if len(inputs) == 1 else inputs, **(call or {})), name=kind)
    given = dict(zip_longest(named, inputs, fillvalue=inputs[0]))
    if kind in ("Attention", "AdditiveAttention"):  # they take lists
        masks = [given.pop(name, None) for name in ("query_mask", "value_mask")]
        given = {"inputs": list(given.values()), "mask": masks if any(m is not None for m in masks) else None}
    elif "sequences" in given:
        states = [given.pop(name) for name in named if name.startswith("state")]
        given |= {"initial_state": states} if states else {}
    return keras.Model(inputs, layer(**given, **(call or {})), name=kind)


def made(option):
    """A layer, or a list of layers, that is an option of another one; other options are what they are."""
    if isinstance(option, list):
        return [made(each) for each in option]
    known = isinstance(option, dict) and option.get("class_name") in KINDS
    return KINDS[option["class_name"]](**{n: made(v) for n, v in option["config"].items()}) if known else option


def of_layer(case):
    def ready(layer):
        if case.adapt:
            shape = (20, *(OPEN if size is None else size for size in case.shapes[0]))
            random = np.random.default_rng(7)
            whole = case.dtype.startswith("int")
            layer.adapt(random.integers(0, 6, shape) if whole else random.normal(1, 2, shape).astype(np.float32))

    return plain(case.kind, case.options, case.shapes, case.dtype, ready, case.named, case.call)


def record(file, make, values, noisy, image=0, settled=False, double=False):
    keras.backend.clear_session(free_memory=False)  # its garbage collection takes longer than all the rest
    random = np.random.default_rng(zlib.crc32(file.stem.encode()))
    try:
        entries = observed(make, values, noisy, image, settled, double, random, file.stem)
    except BridgeError as error:
        entries = {"error": np.array(str(error))}
    except Exception:  # a bug fails its own case's tests, and hides no other's
        entries = {"bug": np.array(traceback.format_exc())}
    write(file, lambda part: np.savez(part, **entries))


def write(file, writer):
    """The file appears when it is whole: its reader waits for it."""
    part = file.with_name(f"part-{file.name}")
    writer(part)
    part.rename(file)


def observed(make, values, noisy, image, settled, double, random, name):
    with remembered():
        model = make()
    randomize(model, random)
    if settled:
        settle(model, random, values)
    graph = trace(model, {"file": f"{name}.keras"})
    if GRAPHS_ALONE:
        return {"proto": np.frombuffer(to_proto(graph).SerializeToString(deterministic=True), np.uint8)}
    with in_float32(model):
        twin = twin_of(model, make) if double else None
        return measured(model, twin, graph, values, noisy, image, settled, random)


def measured(model, twin, graph, values, noisy, image, settled, random):
    kept = {}
    kept["proto"] = np.frombuffer(to_proto(graph).SerializeToString(deterministic=True), np.uint8)
    kept["trainable"] = np.array(sum(v.shape.num_elements() for v in map(tf.constant, model.trainable_variables)))
    given = {}
    for key, rows, kind in (("x1", 1, values), ("x5", 5, values), ("x", 5, values if values in RANGES else "normal")):
        given[key] = {v.name: draw(random, (rows, *v.shape[1:]), v.dtype, kind) for v in graph.inputs}
    once = twin is None and values in (*RANGES, "normal")  # one forward pass of five rows is enough
    if once:
        given["x5"] = given["x"]
    kept |= {f"{key}/{name}": array for key, inputs in given.items() for name, array in inputs.items()}
    for rows in ("1",) if once else ("1", "5"):
        kept |= {f"y{rows}/{name}": array for name, array in run(model, given[f"x{rows}"]).items()}
        if twin is not None:
            with unrounded():
                exact = run(twin, as_doubles(given[f"x{rows}"]))
            kept |= {f"double/y{rows}/{name}": array for name, array in exact.items()}
    variables = names(model).variables
    start = {path: v.numpy() for path, v in variables.items()}
    kept |= {f"weight/{path}": array for path, array in start.items()}
    factors = {}
    for mode in ("eval",) if noisy else ("eval", "train"):
        if mode == "train" and twin is None and not asks_for_training(model):
            kept |= {f"train/{n.removeprefix('eval/')}": array for n, array in kept.items() if n.startswith("eval/")}
            continue
        if twin is not None:
            with unrounded():
                exact = step(twin, as_doubles(given["x"]), names(twin).variables, factors, mode, random, "float64")
            kept |= {f"double/{name}": array for name, array in exact.items()}
        if twin is None or settled:
            kept |= step(model, given["x"], variables, factors, mode, random)
    kept |= {f"factor/{name}": array for name, array in factors.items()}
    if once:
        kept |= {f"y5/{name}": kept[f"eval/y/{name}"] for name in factors}
    if noisy and len(graph.outputs) == 1:
        kept |= statistics(model, graph, image, random)
    for path, variable in variables.items():
        variable.assign(start[path])
        if variable.constraint is not None and variable.trainable:
            kept[f"constrained/{path}"] = np.asarray(variable.constraint(tf.constant(start[path])))
    return kept


def as_doubles(inputs):
    return {name: as_double(array) for name, array in inputs.items()}


def asks_for_training(model):
    """Whether any of its layers takes the argument `training`; else both modes are one and the same call."""
    containers = keras.Sequential | keras.src.models.Functional
    layers = [layer for layer in model._flatten_layers() if not isinstance(layer, containers)]
    return any(layer._call_has_training_arg for layer in layers)


def step(model, inputs, variables, factors, mode, random, kind="float32"):
    """Outputs, losses, gradients of sum(outputs * factors) + losses, and the weights after the call."""
    floats = {name: tf.constant(array) for name, array in inputs.items() if array.dtype.kind == "f"}
    trained = {path: v for path, v in variables.items() if v.trainable and v.dtype.startswith("float")}
    expected, arrange = signature(model)
    with TFGraphScope(), tf.GradientTape() as tape:  # the scope: as bridge.keras_side.running.run does it
        tape.watch(list(floats.values()))
        args, kwargs = arrange([floats.get(v.name, tf.constant(inputs[v.name])) for v in expected])
        outputs = named_outputs(model, model(*args, training=mode == "train", **kwargs))
        for name, output in outputs.items():
            if name not in factors:
                factors[name] = random.standard_normal(output.shape).astype(np.float32)
        losses = tf.add_n(model.losses) if model.losses else tf.constant(0.0, kind)
        total = tf.add_n([tf.reduce_sum(tf.cast(y, kind) * tf.cast(factors[n], kind)) for n, y in outputs.items()])
        total += losses
    sources = {f"weight/{p}": v.value for p, v in trained.items()} | {f"input/{n}": x for n, x in floats.items()}
    gradients = tape.gradient(total, list(sources.values()), unconnected_gradients="zero")
    kept = {f"{mode}/y/{name}": np.asarray(y) for name, y in outputs.items()}
    kept |= {
        f"{mode}/gradient/{n}": np.asarray(tf.convert_to_tensor(g)) for n, g in zip(sources, gradients, strict=True)
    }
    kept |= {f"{mode}/after/{path}": v.numpy() for path, v in variables.items()}
    kept[f"{mode}/losses"] = np.asarray(losses)
    return kept


def statistics(model, graph, image, random):
    """What training mode makes of a constant input in many rows, or of one random image in `image` rows."""
    (value,) = graph.inputs
    shape = [OPEN if size is None else size for size in value.shape[1:]]
    one = random.uniform(0, 255 if value.dtype == "uint8" else 1, shape) if image else np.full(shape, 1.5)
    x = np.tile(one.astype(value.dtype), (image or MANY, *[1] * len(shape)))
    with TFGraphScope():
        return {"noise/x": x, "noise/y": np.asarray(model(x, training=True))}


def randomize(model, random):
    """Random weights, biases and statistics included: zeros and ones hide swapped axes."""
    for path, variable in names(model).variables.items():
        if not variable.dtype.startswith("float"):
            continue
        if "variance" in path:
            value = random.uniform(0.5, 2, variable.shape)
        else:
            value = random.standard_normal(variable.shape) / max(1, *variable.shape[:1], 1) ** 0.5
        variable.assign(value.astype(np.float32))
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization) and layer.built:
            layer.finalize_state()


def settle(model, random, values):
    """Kernels by their fan-in, scales near 1, moving statistics near those of a batch: as in a trained network."""
    for path, variable in names(model).variables.items():
        word, shape = path.rpartition("/")[2], variable.shape
        if len(shape) > 1:
            variable.assign(random.standard_normal(shape) * (2 / np.prod(shape[:-1])) ** 0.5)
        elif word == "gamma":
            variable.assign(random.uniform(0.7, 1.3, shape))
        elif word in ("beta", "bias"):
            variable.assign(0.2 * random.standard_normal(shape))
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(draw(random, (8, *model.input_shape[1:]), "float32", values), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        variance = norm.moving_variance.numpy()
        spread = random.uniform(0.8, 1.25, variance.shape)
        norm.moving_variance.assign(spread * np.maximum(variance, variance.mean() / 4))  # a dead channel's is zero


def draw(random, shape, dtype, values):
    shape = tuple(OPEN if size is None else size for size in shape)
    if dtype == "bool":
        return random.random(shape) < 0.6
    if not dtype.startswith("float"):
        drawn = random.integers(0, 256 if dtype == "uint8" else 10, shape)
        if values == "tokens":  # 0 is padding: anywhere, in a part of the rows
            drawn[random.random(shape) < 0.4] = 0
        return drawn.astype(dtype)
    x = random.standard_normal(shape).astype(dtype)
    if values == "knots":
        place = random.random(shape) < 0.4
        x[place] = random.choice(KNOTS, int(place.sum()))
    elif values == "tiny":
        x *= np.array([1.0, 1e-3, 1e-7, 1e-13, 0.0], dtype)[: len(x)].reshape(-1, *[1] * (x.ndim - 1))
        if len(x) == 1:
            x *= np.float32(1e-8)
    elif values == "steps":
        place = random.random(shape[:-1]) < 0.5
        x[place] = random.choice([0.0, -1.0], int(place.sum()))[:, None]
        x[random.random(shape) < 0.2] = 0.0
    elif values == "large":
        x *= 1e4
    elif values == "pixels":
        x = random.uniform(0, 255, shape).astype(dtype)
    return x


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
