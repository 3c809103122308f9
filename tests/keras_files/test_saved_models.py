"""SavedModel folders: by Keras 2, by Keras 3, by TensorFlow alone; what is read from them and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from bridge.errors import BridgeError

SAVED = Path(__file__).with_name("saved_models")


def stored(name):
    """(inputs, outputs) as Keras 2 had them."""
    held = np.load(SAVED / f"{name.removesuffix('_2_4')}.npz")
    given = {key.removeprefix("in_"): held[key].tolist() for key in held.files if key.startswith("in_")}
    return given, [held[f"arr_{n}"] for n in range(len(held.files) - len(given))]


def close(found, expected):
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "cnn", "cnn_2_4", "two_inputs", "cudnn"])
def test_keras_2_layers_are_rebuilt_by_their_metadata(keras, name):
    given, outputs = stored(name)
    found = keras("saved_run", path=SAVED / name, arrays=given)
    assert found["class"] in ("Sequential", "Functional")
    assert not found["notes"]
    for output, expected in zip(found["outputs"].values(), outputs, strict=True):
        close(output, expected)
    assert all(len(keys) == 1 for keys in found["places"].values())


def test_a_class_of_its_own_is_read_operator_by_operator(keras):
    given, (output,) = stored("subclassed")
    found = keras("saved_run", path=SAVED / "subclassed", arrays=given)
    close(found["outputs"]["output_1"], output)
    assert list(found["places"]) == [
        "scale",
        *(f"scaled/{layer}/{weight}" for layer in ("dense", "dense_1") for weight in ("kernel", "bias")),
    ]
    assert "does not say what the class Scaled computes" in found["notes"][0]
    assert "Dropout is gone" in found["notes"][1]


def test_the_program_of_a_keras_model_can_be_asked_for(keras):
    given, (output,) = stored("mlp")
    found = keras(
        "saved_run", path=SAVED / "mlp", arrays={"dense_input": given["dense_input"]}, signature="serving_default"
    )
    assert found["class"] == "Operators"
    close(found["outputs"]["out"], output)


def test_a_config_that_cannot_be_used_is_told_and_the_program_taken(keras, tmp_path):
    folder, given = copy(tmp_path, "mlp"), stored("mlp")[0]
    file = folder / "keras_metadata.pb"
    file.write_bytes(file.read_bytes().replace(b'"class_name": "Dropout"', b'"class_name": "Dropper"'))
    found = keras("saved_run", path=folder, arrays=given)
    assert found["class"] == "Operators"
    assert "can't be used: layer 'dropout' has the custom class 'Dropper'" in found["notes"][0]
    close(found["outputs"]["out"], stored("mlp")[1][0])


def test_code_of_the_users_own_keeps_the_layers(keras, tmp_path):
    (tmp_path / "arch.py").write_text(
        "import keras\n"
        "class Scaled(keras.Model):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.inner, self.out = keras.layers.Dense(4, 'relu'), keras.layers.Dense(2)\n"
        "        self.scale = self.add_weight(shape=(4,), name='scale')\n"
        "    def call(self, x):\n"
        "        return self.out(self.inner(x) * self.scale)\n"
        "def build():\n"
        "    model = Scaled()\n"
        "    model(keras.ops.zeros((1, 3)))\n"
        "    return model\n"
    )
    given, (output,) = stored("subclassed")
    found = keras(
        "saved_run", path=SAVED / "subclassed", arrays={"x": given["input_1"]}, arch=f"{tmp_path}/arch.py:build"
    )
    assert found["class"] == "Scaled"
    assert not found["notes"]
    close(found["outputs"]["output"], output)
    assert len(found["places"]) == 5


@pytest.mark.parametrize(
    ("job", "options", "weights", "trainable"),
    [
        ("module", {"kind": "plain"}, ["first", "scale", "second", "embedding/table", "steps/0"], 4),
        ("module", {"kind": "control"}, ["first", "scale", "second", "embedding/table", "steps/0"], 4),
        ("compressed", {}, ["first", "scale", "second", "embedding/table", "steps/0"], 4),
        ("exported", {}, None, 6),
        ("of_tensorflow_1", {}, ["a/kernel", "a/bias"], 1),
    ],
)
def test_a_program_computes_what_tensorflow_computes(keras, saved, job, options, weights, trainable):
    folder, outputs = saved(job, **options)
    found = keras("saved_run", path=folder)
    for name, expected in outputs.items():
        close(found["outputs"][name], expected)
    assert found["lent"] < 1e-15
    assert len(found["trainable"]) == trainable
    assert weights is None or sorted(found["places"]) == sorted(weights)


def test_keras_3_saves_each_variable_twice_and_both_are_known(keras, saved):
    found = keras("saved_run", path=saved("exported")[0])
    assert len(found["places"]) == 8
    assert all(len(keys) == 2 for keys in found["places"].values())


def test_a_signature_is_asked_for_by_name_and_all_are_listed(keras, refusal, saved):
    folder, _ = saved("signatures")
    refusal(r"has several signatures.\nPass --signature with one of: each, mixed", "saved_run", path=folder)
    refusal(r"has no signature 'serve'.\nPass --signature with one of", "saved_run", path=folder, signature="serve")
    found = keras("saved_run", path=folder, signature="each")
    assert np.shape(found["outputs"]["y"]) == (5, 4)  # it was written for three rows, and does the same to any
    refusal(r"its program takes 3 rows at a time, no other", "saved_run", path=folder, signature="mixed")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("reads", r"operators that it may not hold: ReadFile\."),
        ("writes", r"operators that it may not hold: EagerPyFunc, WriteFile\."),
        ("sets", r"ReduceDataset, TensorDataset: it feeds a model from files, data sets or queues"),
        ("draws", r"RandomStandardNormal: it draws random numbers"),
        ("changes", r"AssignAddVariableOp: it changes variables"),
        ("text", r"LookupTableFindV2, StringLength: text and tables have no ONNX form"),
    ],
)
def test_a_program_that_does_more_than_compute_is_refused_before_tensorflow_has_it(refusal, saved, kind, text):
    folder, _ = saved("wrong", kind=kind)
    refusal(text, "read", path=folder)
    assert not Path("/tmp/written").exists()


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("function", r"may not hold: WriteFile\."),
        ("custom", r"may not hold: Evil>Operator\."),
        ("shadow", r"may not hold: ReadFile\."),
        ("asset", r"refers to the file '../../outside.txt', which lies outside"),
        ("constant", r"its constants \(large, ...\) would take over"),
        ("recursion", r"call each other without end"),
        ("absent", r"calls the function 'not_there', which it does not hold"),
        ("objects", r"its objects refer to others that are not there"),
        ("output", r"no node 'nothing', which its signature speaks of"),
    ],
)
def test_a_program_that_was_tampered_with_is_refused(refusal, saved, what, text):
    refusal(text, "read", path=saved("hidden", what=what)[0])


def copy(tmp_path, name="subclassed"):
    for file in sorted((SAVED / name).rglob("*")):
        if file.is_file():
            target = tmp_path / "copy" / file.relative_to(SAVED / name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return tmp_path / "copy"


INDEX, DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"


@pytest.mark.parametrize("name", ["saved_model.pb", INDEX, DATA])
def test_links_and_missing_files_are_refused(refusal, tmp_path, name):
    folder = copy(tmp_path)
    (folder / name).unlink()
    refusal(r"saved_model.pb|so its weights can't be read|are not complete|no such file", path=folder)
    (folder / name).symlink_to(SAVED / "subclassed" / name)
    refusal(r"is a link|are not complete", path=folder)


@pytest.mark.parametrize("name", ["saved_model.pb", "keras_metadata.pb", INDEX, DATA])
def test_damaged_files_are_told_so(keras, tmp_path, name):
    folder = copy(tmp_path)
    whole = (folder / name).read_bytes()
    random = np.random.default_rng(0)
    for length in [0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 1]:
        (folder / name).write_bytes(whole[:length])
        with pytest.raises(BridgeError):
            keras("read", path=folder)
    for place in random.integers(0, len(whole), 5):
        changed = bytearray(whole)
        changed[place] ^= int(random.integers(1, 256))
        (folder / name).write_bytes(changed)
        try:
            keras("read", path=folder)  # many bytes say nothing that counts
        except BridgeError:
            continue


def test_a_folder_without_its_variables_is_told_so(refusal, tmp_path):
    folder = copy(tmp_path)
    for file in (INDEX, DATA):
        (folder / file).unlink()
    refusal(
        r"its program has 5 variables, but there is no variables/variables.index beside it.\nGet the whole", path=folder
    )


def varint(number):
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])


def index_of(*entries):
    """A checkpoint's index of one block. entries: how much of a name the one before it has, the rest, what it says."""

    def block(entries):
        told = [varint(shared) + varint(len(name)) + varint(len(said)) + name + said for shared, name, said in entries]
        return b"".join(told) + bytes(4) + (1).to_bytes(4, "little")

    first = block(entries)
    blocks = block([(0, b"z", varint(0) + varint(len(first)))])
    footer = bytes(2) + varint(len(first) + 5) + varint(len(blocks))
    return first + bytes(5) + blocks + bytes(5) + footer.ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little")


def test_an_index_whose_names_would_fill_the_memory_is_refused(refusal, tmp_path):
    folder, head = copy(tmp_path), (0, b"", b"\x08\x01")
    long = [(1 << 16, b"%04d" % number, b"") for number in range(1000)]
    for entries in ([(0, b"a" * (1 << 16), b""), *long], [(0, b"a", b""), (0, b"a", b"")]):
        (folder / INDEX).write_bytes(index_of(head, *entries))
        refusal("it names a tensor twice, or by names that are too long", path=folder)


def test_what_a_folder_holds_is_told_without_building_it(keras):
    found = keras("describe", path=SAVED / "cnn")
    assert found["format"] == "SavedModel folder, Keras's metadata"
    assert {layer["name"]: layer["parameters"] for layer in found["layers"]}["batch_normalization"] == 12
    words = set(found)
    found = keras("describe", path=SAVED / "subclassed")
    assert set(found) == words
    assert found["facts"]["signatures"] == "serving_default"
    assert sum(layer["parameters"] for layer in found["layers"]) == 30


def test_a_folder_that_is_no_saved_model_is_told_so(refusal, tmp_path):
    (tmp_path / "other.txt").write_text("")
    refusal(r"is a folder, and no SavedModel", path=tmp_path)
    (tmp_path / "saved_model.pbtxt").write_text("")
    refusal(r"holds its program as text", path=tmp_path)
    (tmp_path / "saved_model.pb").write_text("")
    refusal(r"holds no graph, so it is no SavedModel", path=tmp_path)
