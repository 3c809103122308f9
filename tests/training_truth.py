"""Keras's own training of small networks, in the Keras process of the tests: main(CASES.json, ARRAYS.npz, OUT.npz).

A case: {"name", "sizes", "hidden", "final", "loss", "optimizer", "batch", "steps"} or, to run `fit`, "epochs" in place
of "steps". Its arrays are NAME/x, NAME/y and NAME/w0, w1, ... in Keras's layout; "shared" names another case's.
A case {"name", "model", "loss", "optimizer", "batch", "steps"} trains the model case of that name, as Keras begins it,
on NAME/x/INPUT and NAME/y; what comes out is the layered model as it was before, NAME/proto, and NAME/weight/PATH.
"""

import json

import keras
import numpy as np
from keras import ops
from model_cases import MODELS

from bridge.graph import to_proto
from bridge.keras_side.examples import remembered
from bridge.keras_side.running.train import FROM_LOGITS, optimizer_from, train_steps
from bridge.keras_side.tracing.trace import trace

# the same functions as softmax and sigmoid, but of a kind that Keras can't look through to the logits
OPAQUE = {
    "opaque softmax": lambda x: ops.exp(x) / ops.sum(ops.exp(x), -1, keepdims=True),
    "opaque sigmoid": lambda x: 1 / (1 + ops.exp(-x)),
}


def build(case, weights):
    inputs = keras.Input((case["sizes"][0],))
    x = inputs
    for units in case["sizes"][1:-1]:
        x = keras.layers.Dense(units, activation=case["hidden"])(x)
    final = case["final"]
    x = keras.layers.Dense(case["sizes"][-1], activation=None if final in OPAQUE else final)(x)
    if final in OPAQUE:
        x = keras.layers.Lambda(OPAQUE[final])(x)
    model = keras.Model(inputs, x)
    model.set_weights(weights)
    return model


def trained_model(case, arrays):
    name = case["name"]
    keras.utils.set_random_seed(0)
    with remembered():
        model = MODELS[case["model"]].make()
    proto = to_proto(trace(model)).SerializeToString()
    x = {key.removeprefix(f"{name}/x/"): arrays[key] for key in arrays.files if key.startswith(f"{name}/x/")}
    trained = train_steps(model, case["optimizer"], case["loss"], x, arrays[f"{name}/y"], case["batch"], case["steps"])
    results = {f"{name}/weight/{path}": weight for path, weight in trained["weights"].items()}
    return results | {f"{name}/proto": np.frombuffer(proto, np.uint8), f"{name}/losses": trained["losses"]}


def main(cases, arrays, out):
    arrays = np.load(arrays)
    results = {}
    with open(cases) as file:
        cases = json.load(file)
    for case in cases:
        if "model" in case:
            results |= trained_model(case, arrays)
            continue
        name, source = case["name"], case.get("shared", case["name"])
        x, y = arrays[f"{source}/x"], arrays[f"{source}/y"]
        weights = [arrays[f"{source}/w{i}"] for i in range(2 * len(case["sizes"]) - 2)]
        model = build(case, weights)
        if "epochs" in case:
            held_out = len(x) // 3
            model.compile(optimizer=optimizer_from(case["optimizer"]), loss=case["loss"], metrics=["accuracy"])
            history = model.fit(
                x[held_out:],
                y[held_out:],
                batch_size=case["batch"],
                epochs=case["epochs"],
                shuffle=False,
                validation_data=(x[:held_out], y[:held_out]),
                verbose=0,
            )
            for key, values in history.history.items():
                results[f"{name}/{key}"] = np.array(values)
        else:
            logits = [case["final"] == "linear" and case["loss"] in FROM_LOGITS]
            trained = train_steps(
                model, case["optimizer"], case["loss"], x, y, case["batch"], case["steps"], logits=logits
            )
            results[f"{name}/losses"] = trained["losses"]
            for i, weight in enumerate(trained["weights"].values()):
                results[f"{name}/w{i}"] = weight
    np.savez(out, **results)
