"""SavedModels that TensorFlow and Keras 3 make in the tests' Keras process, honest ones and others."""

from pathlib import Path
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from bridge.graph import stored
from bridge.keras_side.files.load import load
from bridge.keras_side.running.run import run
from bridge.keras_side.saved_model import origin, table
from bridge.keras_side.saved_model.model import Operators
from bridge.keras_side.source import Source

ROWS, NUMBERS = tf.TensorSpec((None, 6), tf.float32), tf.TensorSpec((None,), tf.int32)


def _variables(module):
    random = np.random.default_rng(5)
    for name, shape in {"first": (6, 4), "second": (4, 2), "table": (3, 2), "scale": ()}.items():
        values = random.normal(size=shape).astype("float32")
        word = {"first": "w", "second": "w", "table": "embedding/table"}.get(name)  # two of one name, one of none
        setattr(module, name, tf.Variable(values, name=word, trainable=name != "scale"))
    module.steps = [tf.Variable(random.normal(size=2).astype("float32"))]
    module.unread = tf.Variable(random.normal(size=3).astype("float32"), name="unread")
    module.text = tf.Variable(["some", "text"])
    return module


def _plain(m, x, i):
    hidden = tf.nn.relu(x @ m.first)
    return {
        "y": hidden @ m.second * m.scale + m.steps[0],
        "rows": tf.gather(m.table, i) + tf.nn.softmax(hidden @ m.second),
    }


def _control(m, x, i):
    given = _plain(m, x, i)
    _, y = tf.while_loop(
        lambda n, _: n < 3, lambda n, y: (n + 1, y * m.scale + m.steps[0]), [tf.constant(0), given["y"]]
    )
    return {"y": y, "rows": tf.cond(tf.reduce_sum(x) > 0, lambda: given["rows"] * m.scale, lambda: given["rows"] - 1.0)}


def module(folder, kind="plain"):
    """A tf.Module; gives its outputs for `inputs()`."""
    made, body = _variables(tf.Module()), {"plain": _plain, "control": _control}[kind]
    made.call = tf.function(lambda x, i: body(made, x, i))
    tf.saved_model.save(made, folder, signatures=made.call.get_concrete_function(ROWS, NUMBERS))
    given = inputs()
    return {k: v.numpy().tolist() for k, v in made.call(given["x"], given["i"]).items()}


def inputs():
    random = np.random.default_rng(2)
    return {"x": random.normal(size=(5, 6)).astype("float32"), "i": np.arange(5, dtype="int32") % 3}


def mobile(folder):
    """What a MobileNetV2 is made of, exported by Keras 3."""
    keras.utils.clear_session()
    layers = keras.layers
    image, normal = keras.Input((8, 8, 3), name="image"), layers.BatchNormalization
    x = layers.ReLU(6.0)(normal()(layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(image)))
    wide = layers.ReLU(6.0)(normal()(layers.Conv2D(6, 1, use_bias=False)(x)))
    deep = layers.ReLU(6.0)(normal()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(wide)))
    x = layers.Add()([x, normal()(layers.Conv2D(4, 1, use_bias=False)(deep))])
    model = keras.Model(image, layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(x)))
    random = np.random.default_rng(6)
    values = [random.normal(size=w.shape) for w in model.weights]
    kept = [w.path.endswith(("gamma", "variance")) for w in model.weights]
    model.set_weights([np.abs(v) + 0.5 if keep else v for v, keep in zip(values, kept, strict=True)])
    model.export(folder, verbose=False)


def compressed(folder):
    """A module whose list of tensors is packed by Snappy, as in the models of TensorFlow Hub."""
    outputs = module(folder)
    file = Path(folder, "variables", "variables.index")
    data = file.read_bytes()
    listed = table._handle(data[-48:], table._handle(data[-48:], 0)[1])[0]
    made, places = b"", {}
    for _, value in table._pairs(table._block(data, listed)):
        made, places[value] = _added(made, table._block(data, table._handle(value, 0)[0]))
    index = b"".join(b"\0" + _number(len(k)) + _number(len(p)) + k + p for k, p in [(b"~", places[v]) for v in places])
    made, place = _added(made, index + bytes(4) + (1).to_bytes(4, "little"))
    file.write_bytes(made + (_number(0) * 2 + place).ljust(40, b"\0") + data[-8:])
    return outputs


def _added(made, block):
    """The file with a block more, packed, and where it lies. Runs of a byte are packed as copies of the first."""
    packed, at = _number(len(block)), 0
    while at < len(block):
        run = next((n for n in range(11) if at < 1 or block[at + n : at + n + 1] != block[at - 1 : at]), 11)
        if run >= 4:
            packed, at = packed + bytes([1 | (run - 4) << 2, 1]), at + run
        else:
            packed, at = packed + b"\0" + block[at : at + 1], at + 1
    place = _number(len(made)) + _number(len(packed))
    return made + packed + b"\1" + _checksum(packed + b"\1"), place


def _checksum(data):
    """CRC-32C as LevelDB masks it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def _number(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _number(value >> 7)


def exported(folder):
    """What Keras 3 exports."""
    keras.utils.clear_session()
    steps = [keras.layers.Dense(4, "relu"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((6,), name="x"), *steps, keras.layers.Dense(3)])
    random = np.random.default_rng(4)
    model.set_weights([random.uniform(0.2, 1, w.shape) for w in model.weights])
    model.export(folder, verbose=False)
    return {"output_0": np.asarray(model(inputs()["x"], training=False)).tolist()}


def of_tensorflow_1(folder):
    """A session's variables, by name; one of the older kind, that is no resource; a feed without a batch of its own."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, (None, 6), name="x")
        keep = tf.compat.v1.placeholder_with_default(1.0, (), name="keep")
        start = tf.random_normal_initializer(seed=1)
        kernel = tf.compat.v1.get_variable("a/kernel", (6, 3), initializer=start, use_resource=False)
        bias = tf.compat.v1.get_variable("a/bias", (3,), initializer=start, use_resource=True, trainable=False)
        y = tf.nn.softmax(x @ kernel * keep + bias)
        session.run(tf.compat.v1.global_variables_initializer())
        builder = tf.compat.v1.saved_model.Builder(folder)
        signature = tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
        return {"y": session.run(y, {x: inputs()["x"]}).tolist()}


def signatures(folder):
    """Two, none of them the usual one; one takes batches of three rows, whatever is in them, one only three rows."""
    made = _variables(tf.Module())
    three = tf.TensorSpec((3, 6), tf.float32)
    each = tf.function(lambda x: {"y": tf.nn.relu(x @ made.first)})
    mixed = tf.function(lambda x: {"y": tf.reshape(tf.transpose(x @ made.first), (3, 4))})
    tf.saved_model.save(
        made,
        folder,
        signatures={"each": each.get_concrete_function(three), "mixed": mixed.get_concrete_function(three)},
    )


def _wrong():
    m = _variables(tf.Module())
    x = tf.TensorSpec((None, 6), tf.float32)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1, 2], ["a", "b"]), "")
    m.table_of_text = table
    bodies = {
        "reads": lambda x: x + tf.io.decode_raw(tf.io.read_file("/etc/hostname"), tf.float32)[0],
        "writes": lambda x: tf.py_function(lambda t: t, [x], tf.float32) + _written(x),
        "draws": lambda x: x + tf.random.normal(tf.shape(x)),
        "changes": lambda x: x @ m.first + m.scale.assign_add(1.0),
        "text": lambda x: tf.strings.length(table.lookup(tf.cast(x, tf.int32))),
        "sets": lambda x: tf.data.Dataset.from_tensors(x).reduce(0.0, lambda a, b: a + tf.reduce_sum(b)),
    }
    return m, {name: (tf.function(lambda x, body=body: {"y": body(x)}), x) for name, body in bodies.items()}


def _written(x):
    with tf.control_dependencies([tf.io.write_file("/tmp/written", "by a model")]):
        return tf.identity(x)


def wrong(folder, kind):
    """One whose signature does what none may."""
    made, bodies = _wrong()
    function, spec = bodies[kind]
    tf.saved_model.save(made, folder, signatures=function.get_concrete_function(spec))


def hidden(folder, what):
    """An honest one, but for what lies in a function that nothing calls, or in what nothing should believe."""
    module(folder)
    file = Path(folder) / "saved_model.pb"
    saved = SavedModel.FromString(file.read_bytes())
    graph = saved.meta_graphs[0]
    library, nodes = graph.graph_def.library.function, graph.graph_def.node
    if what == "function":
        node = library.add().node_def.add(name="x", op="WriteFile")
        library[-1].signature.name = "never_called"
        node.input.extend(["a", "b"])
    elif what == "custom":
        nodes.add(name="evil", op="Evil>Operator")
    elif what == "shadow":
        library.add().signature.name = "ReadFile"
        nodes.add(name="evil", op="ReadFile")
    elif what == "asset":
        graph.asset_file_def.add().filename = "../../outside.txt"
    elif what == "constant":
        node = nodes.add(name="large", op="Const")
        node.attr["dtype"].type = 1
        node.attr["value"].tensor.dtype = 1
        node.attr["value"].tensor.float_val.append(0)
        for _ in range(3):
            node.attr["value"].tensor.tensor_shape.dim.add().size = 1 << 20
    elif what == "recursion":
        for function in library:
            for node in function.node_def:
                if node.op.endswith("PartitionedCall"):
                    node.attr["f"].func.name = function.signature.name
    elif what == "absent":
        for node in nodes:
            if "f" in node.attr:
                node.attr["f"].func.name = "not_there"
    elif what == "objects":
        graph.object_graph_def.nodes[0].children.add(node_id=99999, local_name="steps2")
        graph.object_graph_def.nodes[0].children[0].node_id = 99999
    elif what == "output":
        graph.signature_def["serving_default"].outputs["y"].name = "nothing:0"
    file.write_bytes(saved.SerializeToString())


def saved_run(path, arrays=None, **how):
    """What bridge's own load of a folder gives, and what it says of it."""
    model = load(Source(path, **how))
    given = inputs() if arrays is None else {k: np.array(v, "float32") for k, v in arrays.items()}
    from bridge.keras_side.signature import signature as takes

    wanted = {value.name: given.get(value.name, given.get("x")) for value in takes(model)[0]}
    found, came = run(model, wanted), origin.of(model)
    return {
        "outputs": {name: array.tolist() for name, array in found.items()},
        "class": type(model).__name__,
        "notes": came.notes,
        "places": came.places,
        "trainable": sorted(v.path for v in model.trainable_variables),
        "lent": _lent(model, wanted) if isinstance(model, Operators) else None,
    }


def _lent(model, given):
    """How far its float64 outputs are apart when it takes its weights from the float32 model, in their scale."""
    own = run(model, given, double=True)
    with mock.patch.object(stored, "LARGE", 0), mock.patch.object(stored, "CHUNK", 64):
        found = run(model, given, double=True)
    return max(float(np.abs(found[name] - own[name]).max() / np.abs(own[name]).max()) for name in own)


def tensors(path):
    """Every tensor of a checkpoint, or of a SavedModel's, by TensorFlow itself."""
    reader = tf.train.load_checkpoint(f"{path}/variables/variables" if Path(path).is_dir() else path)
    values = {key: np.asarray(reader.get_tensor(key)) for key in reader.get_variable_to_shape_map()}
    return {
        key: [value.dtype.str, value.tobytes().hex() if value.dtype != object else repr(value)]
        for key, value in values.items()
    }


def served(path, arrays, dtypes):
    """What TensorFlow computes by a folder's default signature."""
    call = tf.saved_model.load(path).signatures["serving_default"]
    given = {key: tf.constant(np.array(value, dtypes[key])) for key, value in arrays.items()}
    return {key: value.numpy().tolist() for key, value in call(**given).items()}


JOBS = {
    job.__name__: job
    for job in (
        module,
        mobile,
        compressed,
        exported,
        of_tensorflow_1,
        signatures,
        wrong,
        hidden,
        saved_run,
        tensors,
        served,
    )
}
