"""Small checkpoints of TensorFlow's for the tests, with what tf_keras computes: tests/keras_files/checkpoints.

Run it where tf_keras 2 is installed (pip install tf_keras; the tests need none): python tools/make_checkpoints.py
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

os.environ["CHECKPOINTS_BY"] = "tf_keras"
FILES = Path(__file__).parents[1] / "tests" / "keras_files"
FOLDER = FILES / "checkpoints"
sys.path.append(str(FILES))

import checkpoint_models  # noqa: E402 (by tf_keras, as was said above)
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402
from tf_keras.src import backend  # noqa: E402

v1 = tf.compat.v1


def filled(name: str) -> tuple[Any, np.ndarray]:
    """A model with random weights, and inputs for it."""
    keras.backend.clear_session()
    model, random = getattr(checkpoint_models, name)(), np.random.default_rng(5)
    model.set_weights([_values(random, variable) for variable in model.weights])
    shape = {"attributes": (3,), "stack": (3,)}.get(name, (4, 3))
    return model, random.normal(size=(5, *shape)).astype("float32")


def _values(random: np.random.Generator, variable: Any) -> np.ndarray:
    values = random.normal(0, 0.6, variable.shape)
    return np.abs(values) + 0.5 if "variance" in variable.name or "gamma" in variable.name else values


def kept(name: str, x: np.ndarray, y: Any) -> None:
    np.savez(FOLDER / f"{name}.npz", x=x, y=np.asarray(y))


def numbered() -> None:
    """By save_weights after a step of training with an older optimizer, whose slots lie beside the weights."""
    model, x = filled("numbered")
    model.compile(keras.optimizers.legacy.SGD(0.1, momentum=0.9), "mse")
    model.fit(x, np.ones((5, 2), "float32"), verbose=0)
    model.save_weights(FOLDER / "numbered" / "w.tf", save_format="tf")
    (FOLDER / "numbered" / "checkpoint").unlink()
    kept("numbered", x, model(x, training=False))


def attributes() -> None:
    """Two by a CheckpointManager, the optimizer with the model; the second is the newer one."""
    model, x = filled("attributes")
    model.compile(keras.optimizers.Adam(), "mse")
    whole = tf.train.Checkpoint(model=model, optimizer=model.optimizer, step=tf.Variable(3))
    manager = tf.train.CheckpointManager(whole, FOLDER / "attributes", 3)
    manager.save()
    model.fit(x, np.ones((5, 3), "float32"), verbose=0)
    manager.save()
    kept("attributes", x, model(x, training=False))


def named() -> None:
    """By the Saver of TensorFlow 1, with Adam's slots; a kernel of it in three slices."""
    model, x = filled("named")
    held = {weight.name.split(":")[0]: weight.numpy() for weight in model.weights}
    y = model(x, training=False).numpy()
    with tf.Graph().as_default(), v1.Session() as session:
        backend.set_session(session)
        twin = checkpoint_models.named()
        loss = tf.reduce_sum(twin.output**2)
        v1.train.AdamOptimizer().minimize(loss, v1.train.get_or_create_global_step(), twin.trainable_weights)
        with v1.variable_scope("", partitioner=v1.fixed_size_partitioner(3)):
            sliced = v1.get_variable("dense_1/kernel_in_slices", (3, 2))
        session.run(v1.global_variables_initializer())
        for variable in twin.weights:
            backend.set_value(variable, held[variable.name.split(":")[0]])
        for part, values in zip(sliced, np.split(held["dense_1/kernel"], 3), strict=True):
            session.run(part.assign(values))
        saved = {v.name.split(":")[0]: v for v in v1.global_variables() if "kernel_in_slices" not in v.name}
        saved["dense_1/kernel"] = sliced
        v1.train.Saver(saved).save(session, str(FOLDER / "named" / "model.ckpt"), 7, write_meta_graph=False)
    (FOLDER / "named" / "checkpoint").unlink()
    kept("named", x, y)


def several() -> None:
    """Two models in one checkpoint, in three data files."""
    (first, x), (second, _) = filled("stack"), filled("attributes")
    folder = FOLDER / "several"
    reader = tf.train.load_checkpoint(
        tf.train.Checkpoint(generator=first, discriminator=second).write(folder / "whole")
    )
    parts: dict[str, list[str]] = {}
    for key in sorted(reader.get_variable_to_shape_map()):
        parts.setdefault(str(folder / key.split("/")[0]), []).append(key)
    for part, keys in parts.items():
        tensors = [tf.constant(reader.get_tensor(key)) for key in keys]
        tf.raw_ops.SaveV2(prefix=part, tensor_names=keys, shape_and_slices=[""] * len(keys), tensors=tensors)
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=[*parts], destination_prefix=str(folder / "gan"))
    for file in (*folder.glob("whole.*"), *(Path(f"{part}.index") for part in parts)):
        file.unlink(missing_ok=True)
    kept("several", x, first(x))


if __name__ == "__main__":
    for make in (numbered, attributes, named, several):
        if make.__name__ in (sys.argv[1:] or make.__name__):
            shutil.rmtree(FOLDER / make.__name__, ignore_errors=True)
            (FOLDER / make.__name__).mkdir(parents=True)
            make()
