"""What the tests' Keras process does with checkpoints of TensorFlow's."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from bridge.keras_side import jobs
from bridge.keras_side.files.load import load
from bridge.keras_side.names import names
from bridge.keras_side.old import origins
from bridge.keras_side.saved_model import origin
from bridge.keras_side.saved_model.checkpoint import OBJECTS
from bridge.keras_side.source import Source


def checkpoint_run(path, x, **how):
    """What the model of a checkpoint gives in inference, what is told of it, and how many weights are there."""
    model = load(Source(path, **how))
    return {
        "outputs": np.asarray(model(np.array(x, "float32"), training=False)).tolist(),
        "notes": origins.said(model),
        "places": len({key for keys in origin.of(model).places.values() for key in keys}),
        "weights": len(names(model).variables),
    }


def checkpoint_as(prefix, given, wanted):
    """Saves two layers alike by Keras 3, called as given, and reads them into such as are wanted: which each one is."""
    keras.utils.clear_session()
    model = _alike(*given)
    model.set_weights([np.full(weight.shape, 1 + number // 2) for number, weight in enumerate(model.weights)])
    tf.train.Checkpoint(model).write(prefix)
    code = Path(f"{prefix}.py")
    code.write_text(f"import checkpoint_files\n\n\ndef build():\n    return checkpoint_files._alike(*{wanted!r})\n")
    read = load(Source(prefix, arch=f"{code}:build"))
    places = {layer.name: int(np.asarray(layer.kernel)[0, 0]) - 1 for layer in read.layers if layer.weights}
    return {name: given[place] for name, place in places.items()}


def _alike(first, second):
    layers = keras.layers
    steps = [layers.Dense(3, name=first), layers.Dropout(0.5), layers.Dense(3, name=second)]
    return keras.Sequential([keras.Input((3,)), *steps])


def tampered(source, prefix, what):
    """A copy of a checkpoint whose objects say something else."""
    reader = tf.train.load_checkpoint(source)
    held = {key: tf.constant(reader.get_tensor(key)) for key in sorted(reader.get_variable_to_shape_map())}
    graph = TrackableObjectGraph.FromString(held[OBJECTS].numpy())
    variable = next(node for node in graph.nodes if any("/kernel/" in said.checkpoint_key for said in node.attributes))
    if what == "far":
        graph.nodes[0].children[0].node_id = 9999
    elif what == "none":
        del graph.nodes[:]
    elif what == "loop":
        for node in graph.nodes:
            for child in node.children:
                child.node_id = 0
    elif what == "lacking":
        variable.attributes[0].checkpoint_key = "not/there"
    held[OBJECTS] = tf.constant(graph.SerializeToString())
    options = {"tensor_names": [*held], "shape_and_slices": [""] * len(held), "tensors": [*held.values()]}
    tf.raw_ops.SaveV2(prefix=prefix, **options)


def checkpoint_home(path, to, **how):
    traced = jobs.job_trace({"path": path, **how})
    jobs.job_home(traced["proto"], to)


JOBS = {job.__name__: job for job in (checkpoint_run, checkpoint_as, checkpoint_home, tampered)}
