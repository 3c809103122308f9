"""Layered .onnx files that were damaged or made to mislead: one message each, no traceback, nothing run."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from bridge.errors import BridgeError
from bridge.graph import from_proto, read_proto, stored, to_proto
from bridge.keras_side.client import traced
from bridge.keras_side.source import Source
from bridge.torch_side.writing.build import build

ARCH = """
import keras
L = keras.layers
def build():
    return keras.Sequential([keras.Input((6,), name="x"), L.Dense(4, activation="relu", kernel_regularizer="l2"),
        L.BatchNormalization(), L.Dropout(0.5), L.LeakyReLU(0.1), L.Reshape((2, 2)), L.Permute((2, 1)), L.Flatten(),
        L.Dense(3, activation="softmax")], name="net")
"""


@pytest.fixture(scope="module")
def written(keras, tmp_path_factory):
    file = tmp_path_factory.mktemp("damaged") / "m.keras"
    keras.script(ARCH + "\nimport sys; build().save(sys.argv[1])", file)
    return traced(Source(str(file))).proto


@pytest.fixture
def model(written):
    copy = onnx.ModelProto()
    copy.CopyFrom(written)
    return copy


def layer(model, kind):
    return next(node for node in model.graph.node if node.op_type == kind)


def attribute(node, name):
    return next(a for a in node.attribute if a.name == name)


def configured(model, kind, **changes):
    """The layer's config with other values; None takes a value away."""
    told = attribute(layer(model, kind), "config")
    config = json.loads(told.s) | changes
    told.s = json.dumps({key: value for key, value in config.items() if value is not None}).encode()


def test_the_file_as_it_was_written_is_read(model):
    build(from_proto(model, "m.onnx"))
    again = from_proto(to_proto(from_proto(model, "m.onnx")), "again")
    assert [n.name for n in again.nodes] == [n.name for n in from_proto(model).nodes]


BROKEN = {
    "a value is missing": lambda m: configured(m, "LeakyReLU", negative_slope=None),
    "text for a number": lambda m: configured(m, "LeakyReLU", negative_slope="__import__('os')"),
    "a list for a number": lambda m: configured(m, "BatchNormalization", epsilon=[1]),
    "infinity": lambda m: configured(m, "LeakyReLU", negative_slope=1e400),
    "text for sizes": lambda m: configured(m, "Reshape", target_shape=["2", "x"]),
    "a number for sizes": lambda m: configured(m, "Permute", dims=3),
    "another function": lambda m: configured(m, "BatchNormalization", epsilon=0.5),
    "an activation that isn't one": lambda m: configured(m, "Activation", activation="os.system"),
    "an activation of another type": lambda m: configured(m, "Activation", activation=[1]),
    "no config": lambda m: attribute(layer(m, "Dropout"), "config").CopyFrom(helper.make_attribute("config", 3)),
    "config that is no JSON": lambda m: attribute(layer(m, "Dropout"), "config").CopyFrom(
        helper.make_attribute("config", "{")
    ),
    "weights that are no names": lambda m: attribute(layer(m, "Dense"), "weights").CopyFrom(
        helper.make_attribute("weights", 7)
    ),
    "weights with code for names": lambda m: attribute(layer(m, "Dense"), "weights").CopyFrom(
        helper.make_attribute("weights", ["a) => (y) {", "b"])
    ),
    "a path of numbers": lambda m: attribute(layer(m, "Dense"), "path").CopyFrom(helper.make_attribute("path", 7)),
    "a path without end": lambda m: attribute(layer(m, "Dense"), "path").CopyFrom(
        helper.make_attribute("path", "/".join("a" * 5000))
    ),
    "another opset": lambda m: m.opset_import[0].CopyFrom(helper.make_opsetid("", 9)),
    "another format": lambda m: next(p for p in m.metadata_props if p.key == "bridge.format").__setattr__("value", "2"),
    "facts that are none": lambda m: next(p for p in m.metadata_props if p.key == "bridge.facts").__setattr__(
        "value", "[]"
    ),
    "a weight that is missing": lambda m: m.graph.initializer.pop(),
    "text as a tensor": lambda m: m.graph.initializer.append(helper.make_tensor("t", TensorProto.STRING, [1], [b"x"])),
    "an unknown domain": lambda m: layer(m, "Dropout").__setattr__("domain", "evil"),
    "a layer of no kind": lambda m: layer(m, "Dropout").__setattr__("op_type", "Exec"),
    "shapes that are gone": lambda m: m.graph.ClearField("value_info"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_damaged_model_is_one_message(model, case):
    BROKEN[case](model)
    with pytest.raises(BridgeError, match=r"^m\.onnx: ") as told:
        build(from_proto(model, "m.onnx"))
    assert len(str(told.value).splitlines()) <= 3
    assert len(str(told.value)) < 500


def test_a_dropout_rate_that_is_code_never_reaches_the_source(model):
    """The rate is no part of the ONNX function, so the rule itself must refuse it."""
    configured(model, "Dropout", rate={"a": "b"})
    with pytest.raises(BridgeError, match="a layer's config can't be read"):
        build(from_proto(model, "m.onnx"))


def outside(tmp_path, places=((0, 4000),), location="data.bin", size=8000, **named):
    """A model whose tensors lie in one data file of so many bytes, each at its place: (offset, length)."""
    (tmp_path / "data.bin").write_bytes(bytes(size))
    made = []
    for i, (offset, length) in enumerate(places):
        tensor = TensorProto(name=f"t{i}", data_type=TensorProto.FLOAT, dims=[1000], data_location=TensorProto.EXTERNAL)
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        made.append(tensor)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1000])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1000])
    node = helper.make_node("Add", ["x", "t0"], ["y"])
    if named.get("of_a_node"):
        constant = helper.make_node("Constant", [], ["t0"], value=made.pop(0))
        graph = helper.make_graph([constant, node], "g", [x], [y])
    else:
        graph = helper.make_graph([node], "g", [x], [y], made)
    file = tmp_path / "m.onnx"
    file.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())
    return file


def test_external_data_is_read_from_beside_the_file(tmp_path):
    file = outside(tmp_path, [(4000, 4000), (0, 4000)])
    (tmp_path / "data.bin").write_bytes(np.arange(2000, dtype=np.float32).tobytes())
    arrays = stored.arrays_of(read_proto(file).graph.initializer, file)
    np.testing.assert_array_equal(arrays["t0"], np.arange(1000, 2000))
    np.testing.assert_array_equal(arrays["t1"], np.arange(1000))


def test_external_data_of_a_node_is_read_at_once(tmp_path):
    file = outside(tmp_path, of_a_node=True)
    assert len(read_proto(file).graph.node[0].attribute[0].t.raw_data) == 4000


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"places": [(0, 4000)] * 100}, r"its tensors 't0' and 't1' overlap in data\.bin"),
        ({"places": [(0, 4000), (3996, 4000)]}, r"its tensors 't0' and 't1' overlap in data\.bin"),
        ({"location": "../data.bin"}, "lies outside its own folder"),
        ({"location": "/etc/passwd"}, "lies outside its own folder"),
        ({"location": "gone.bin"}, r"its data file gone\.bin is missing"),
        ({"location": ""}, "its data file .* is missing"),
        ({"size": 100}, "reaches beyond the end of data.bin"),
        ({"places": [(4004, 4000)]}, "reaches beyond the end of data.bin"),
        ({"places": [(-4, 4000)]}, "has a bad place in its data file: '-4'"),
        ({"places": [(10**30, 4000)]}, "has a bad place in its data file"),
        ({"places": [(0, 400)]}, r"claims 4000 bytes by its sizes, 400 in data\.bin"),
        ({"places": [(0, 10**12)]}, r"claims 4000 bytes by its sizes, 1000000000000 in data\.bin"),
        ({"of_a_node": True, "location": "/etc/passwd"}, "lies outside its own folder"),
    ],
)
def test_external_data_that_misleads_is_refused(tmp_path, options, text):
    with pytest.raises(BridgeError, match=text):
        read_proto(outside(tmp_path, **options))


@pytest.mark.parametrize("where", ["outside", "beside"])
def test_external_data_behind_a_link_is_refused(tmp_path, where):
    (tmp_path / "in").mkdir()
    file = outside(tmp_path / "in")
    secret = tmp_path / "secret" if where == "outside" else tmp_path / "in" / "secret"
    (tmp_path / "in" / "data.bin").rename(secret)
    (tmp_path / "in" / "data.bin").symlink_to(secret)
    with pytest.raises(BridgeError, match="lies outside its own folder" if where == "outside" else "is a link"):
        read_proto(file)


@pytest.mark.parametrize("content", [b"", b"no model", bytes(range(256)) * 8], ids=["empty", "text", "bytes"])
def test_what_is_no_onnx_is_refused(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(BridgeError, match="is not a"):
        read_proto(tmp_path / "m.onnx")


def test_truncated_anywhere_a_model_is_refused_or_still_whole(tmp_path, model):
    data = model.SerializeToString()
    for length in np.linspace(1, len(data) - 1, 25).astype(int):
        (tmp_path / "m.onnx").write_bytes(data[:length])
        with pytest.raises(BridgeError):
            build(from_proto(read_proto(tmp_path / "m.onnx"), "m.onnx"))


def test_a_claim_of_size_is_checked_before_memory_is_taken(tmp_path, model):
    model.graph.initializer[0].dims[:] = [1 << 40, 1 << 20]
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BridgeError, match=r"claims .* bytes and holds"):
        read_proto(tmp_path / "m.onnx")


def test_an_activation_beyond_memory_is_refused(keras, tmp_path):
    arch = "import keras\nL = keras.layers\n"
    arch += "def build(): return keras.Sequential([keras.Input((3,)), L.Dense(2), L.RepeatVector(10**10)])\n"
    (tmp_path / "arch.py").write_text(arch)
    keras.script(arch + "import sys; build().save_weights(sys.argv[1])", tmp_path / "m.weights.h5")
    with pytest.raises(
        BridgeError,
        match=r"repeat_vector gives a tensor of 1 x 10000000000 x 2, 74\.5 GiB.*at most 2 are taken\. Nothing was run",
    ):
        traced(Source(str(tmp_path / "m.weights.h5"), arch=f"{tmp_path / 'arch.py'}:build"))


OWN_CODE = """
<ir_version: 10, opset_import: ["" : 18, "keras" : 1]>
agraph (float[batch, 2] x) => (float[batch, 2] y) <float[batch, 2] twice> {
    y = keras.InTraining <path = "own", split = 1, config = "{\\"name\\": \\"own\\", \\"trained\\": [\\"twice\\"]}"> (x)
}
<domain: "keras", opset_import: ["" : 18]>
InTraining <path, config, weights, split, training, trainable> (x) => (y) { y = Identity(x) }
<domain: "keras", opset_import: ["" : 18, "keras" : 1]>
TrainingOnly (x) => (twice) { two = Constant <value = float {2.0}> ()  twice = Mul(x, two) }
"""


def own_code(old="", new=""):
    made = onnx.parser.parse_model(OWN_CODE.replace(old, new))
    helper.set_model_props(made, {"bridge.format": "1", "bridge.facts": '{"weights": {}, "source": {}}'})
    return made


def test_what_a_file_says_of_training_is_read():
    graph = from_proto(own_code())
    assert [node.kind for node in graph.nodes] == ["Mul", "InTraining"]
    module, x = build(graph), torch.ones(1, 2)
    assert torch.equal(module.train()(x), 2 * x)
    assert torch.equal(module.eval()(x), x)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('\\"twice\\"', '\\"twice\\", \\"x\\"', "own does not say what training gives"),
        ("InTraining", "OwnGradient", "own does not say what training gives"),
        (', \\"trained\\": [\\"twice\\"]', "", "nothing uses 'twice', which it holds for training"),
        (
            "twice = Mul(x, two)",
            "twice = Mul(x, two) other = Exp(x)",
            "nothing uses 'other', which it holds for training",
        ),
        ("twice = Mul(x, two)", "twice = Loop(two)", "can't become a torch module|twice"),
    ],
)
def test_a_part_for_training_that_fits_nowhere_is_refused(old, new, message):
    with pytest.raises(BridgeError, match=message):
        build(from_proto(own_code(old, new)))
