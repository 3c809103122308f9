"""The Keras process of the tests: JSON lines in, JSON lines out. Models (keras_models.py) are saved by Keras itself."""

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
from keras.src.legacy.saving import legacy_h5_format  # noqa: E402

sys.path.append(str(Path(__file__).parent))
import checkpoint_files  # noqa: E402
import saved_model_files  # noqa: E402
from huge_models import trace_huge  # noqa: E402
from keras_models import CASES, randomised, with_vocabularies  # noqa: E402

from bridge import user_code  # noqa: E402
from bridge.errors import BridgeError  # noqa: E402
from bridge.graph import stored  # noqa: E402
from bridge.keras_side import jobs, weights  # noqa: E402
from bridge.keras_side.custom import scope as own_classes  # noqa: E402
from bridge.keras_side.files import hdf5  # noqa: E402
from bridge.keras_side.files.load import load, non_finite  # noqa: E402
from bridge.keras_side.files.write import write  # noqa: E402
from bridge.keras_side.inspecting import looking  # noqa: E402
from bridge.keras_side.inspecting.survey import inputs_of, survey  # noqa: E402
from bridge.keras_side.jobs import job_describe as describe  # noqa: E402
from bridge.keras_side.old import origins  # noqa: E402
from bridge.keras_side.running.double import in_double  # noqa: E402
from bridge.keras_side.running.lent import Lent  # noqa: E402
from bridge.keras_side.running.run import run  # noqa: E402
from bridge.keras_side.saved_model import home as saved_model_home  # noqa: E402
from bridge.keras_side.source import Source  # noqa: E402
from bridge.keras_side.tracing.trace import trace  # noqa: E402
from bridge.keras_side.wayhome import go_home  # noqa: E402


def make_vocabularies(folder):
    """Saves the model with vocabularies; returns its outputs, and what its layers make of text."""
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
    """Traces the part that converts and takes it home by its config; how many weights it has."""
    with own_classes(custom or ()):
        how = {"custom": tuple(custom)} if custom else {"from_layer": ("topics", "embedding_1")}
        graph = trace(load(Source(path, **how)))
        go_home(graph, Path(to), None, False)
    return len(graph.weights)


def make_custom(case, folder, code):
    """Saves a model of the user's own classes, compiled with a loss of theirs; its weights and outputs."""
    keras.utils.clear_session(free_memory=False)
    model = randomised(user_code.make(Path(code), case, case, callable))
    model.compile("adam", keras.saving.get_custom_objects()["lib>my_loss"])
    for file in ("model.keras", "model.h5"):
        model.save(Path(folder) / file)
    return {"digests": digests(model), "outputs": outputs(model) if case != "subclassed" else None}


def digests(model):
    values = [np.asarray(weight) for weight in model.weights]
    return [[list(v.shape), str(v.dtype), hashlib.sha256(v.tobytes()).hexdigest()] for v in values]


def make(case, folder, compiled=False):
    """Saves one model in all of Keras's formats, by Keras; returns its weights' digests and its outputs."""
    keras.utils.clear_session(free_memory=False)
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
    """Loads with bridge; what it got. chunk: bytes that are read and assigned at a time."""
    chunk = chunk or weights.CHUNK
    with mock.patch.object(weights, "CHUNK", chunk), mock.patch.object(hdf5, "CHUNK", chunk):
        model = load(Source(path, **how))
    built = getattr(model, "inputs", None) is not None
    return {
        "digests": digests(model),
        "outputs": outputs(model) if built else None,
        "layers": [layer.name for layer in model.layers],
        "compiled": model.compiled,
        "inputs": [list(t.shape) for t in model.inputs] if built else None,
        "non_finite": non_finite(model),
        "said": origins.said(model),
    }


def look(path, **how):
    """What inspect tells of a model all of whose weights are large, and the sizes of those that took no memory."""
    sizes, plain = [], looking._untouched
    with (
        mock.patch.object(looking, "CHUNK", 4),
        mock.patch.object(hdf5, "CHUNK", 4),
        mock.patch.object(looking, "_untouched", lambda shape, dtype: sizes.append(list(shape)) or plain(shape, dtype)),
    ):
        told = survey(Source(path, **how))
    return {"sizes": sizes, **{key: told[key] for key in ("non_finite", "refusals", "weights")}}


def rewrite(path, to, weights_only=False, **how):
    write(load(Source(path, **how)), Path(to), weights_only=weights_only)


def old(path, to, home, **how):
    """Traces a file of an older Keras to `to`, takes it home to `home`, and tells what Keras computes of its inputs."""
    model = load(Source(path, **how))
    with np.load(Path(path).with_suffix(".npz")) as saved:
        given = [saved[f"x{i}"] for i in range(len(model.inputs))]
    found = keras.tree.flatten(model(given if len(given) > 1 else given[0], training=False))
    traced = jobs.job_trace({"path": path, **how})
    Path(to).write_bytes(traced["proto"].tobytes())
    jobs.job_home(traced["proto"], home, weights_only="arch" in how)
    names = [value.name for value in model.inputs]
    return {"outputs": [np.asarray(y).tolist() for y in found], "inputs": names, "non_finite": traced["non_finite"]}


def keras_reads(path):
    """Loads with Keras itself, for what bridge wrote."""
    return digests(keras.models.load_model(path, compile=False))


def in_double_by_parts(case):
    """How many weights a float64 twin is lent, how far its outputs are from those of one with its own, whether the
    model has the weights that it had, and how many of its weights became float64 as a whole."""
    model = randomised(CASES[case]())
    before, x = digests(model), np.arange(12).reshape(3, 4)
    given = {value["name"]: x.astype(value["dtype"]) for value in inputs_of(model)}
    (own,) = run(model, given, double=True).values()
    with mock.patch.object(stored, "LARGE", 100), mock.patch.object(stored, "CHUNK", 200):
        lent = sum(isinstance(variable, Lent) for variable in in_double(model, lend=True).variables)
        plain, whole = Lent.value.fget, []
        with mock.patch.object(Lent, "value", property(lambda lent: whole.append(lent.path) or plain(lent))):
            (parts,) = run(model, given, double=True).values()
    same, off = digests(model) == before, np.abs(own - parts).max() / np.abs(own).max()
    return {"lent": lent, "difference": float(off), "kept": same, "whole": len({*whole})}


def saved_in_parts(path, to):
    """Takes a SavedModel home with each of its variables in a data file of its own; the files' names."""
    traced = jobs.job_trace({"path": path})
    Path(to).mkdir()
    with mock.patch.object(saved_model_home, "MOST_TOGETHER", 0):
        jobs.job_home(traced["proto"], to)
    return sorted(file.name for file in (Path(to) / "variables").iterdir())


def script(text, words):
    """Runs a program with these arguments, as a process of its own would: what it sets and registers is gone then."""
    keras.utils.clear_session(free_memory=False)
    custom, policy = keras.saving.get_custom_objects(), keras.config.dtype_policy()
    with mock.patch.object(sys, "argv", ["-c", *words]), mock.patch.dict(custom):
        try:
            exec(compile(text, "script", "exec"), {"__name__": "__main__"})
        finally:
            keras.config.set_dtype_policy(policy)


JOBS = {"make": make, "read": read, "rewrite": rewrite, "describe": describe, "old": old, "keras_reads": keras_reads}
JOBS |= {"look": look, **saved_model_files.JOBS, **checkpoint_files.JOBS}
JOBS |= {
    "script": script,
    "make_custom": make_custom,
    "make_vocabularies": make_vocabularies,
    "part_outputs": part_outputs,
    "home_again": home_again,
    "in_double_by_parts": in_double_by_parts,
    "saved_in_parts": saved_in_parts,
    "trace_huge": trace_huge,
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
