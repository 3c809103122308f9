"""Files made to do harm: nothing in them runs, nothing outside them is read, nothing large is allocated for them."""

import io
import json
import stat
import warnings
import zipfile

import h5py
import numpy as np
import pytest


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def with_config(made, path, change):
    """A .keras archive of the plain MLP whose config was changed in one place."""
    content = members(made("mlp")[0] / "model.keras")
    config = json.loads(content["config.json"])
    config = change(config) or config
    return write(path, content | {"config.json": json.dumps(config)})


def dense(config):
    return config["config"]["layers"][1]


CUSTOM = "Pass the code that defines it: --custom FILE.py, or code that builds the model: --arch FILE.py:function"
LAMBDA = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda d: d.update(module="evil", class_name="Evil"),
            rf"layer 'dense' has the custom class 'Evil'.\n{CUSTOM}$",
        ),
        (
            lambda d: d["config"].update(
                quantization_config={"module": "keras.quantizers", "class_name": "Int8QuantizationConfig", "config": {}}
            ),
            r"layer 'dense': quantized to int8; only float32 so far: take the model as it was before quantize\(\)",
        ),
        (lambda d: d.update(module="os"), rf"layer 'dense' has the custom class 'Dense'.\n{CUSTOM}"),
        (lambda d: d.update(registered_name="pkg>Dense"), r"layer 'dense' has the custom class 'pkg>Dense'"),
        (lambda d: d.update(module="keras.utils", class_name="get_file"), r"custom class 'get_file'"),
        (lambda d: d.update(module="keras.models", class_name="load_model"), r"custom class 'load_model'"),
        (lambda d: d.update(module="keras.src.saving.saving_lib", class_name="H5IOStore"), r"custom class 'H5IOStore'"),
        (
            lambda d: d.update(class_name="Lambda"),
            r"layer 'dense' \(Lambda\) carries code, .*\n.*trust the file with --unsafe",
        ),
        (lambda d: d.update(class_name="TFSMLayer"), r"layer 'dense' \(TFSMLayer\) carries code, which is not run"),
        (lambda d: d.update(class_name="TorchModuleWrapper"), r"layer 'dense' \(TorchModuleWrapper\) carries code"),
        (
            lambda d: d.update(class_name="StringLookup", config={"name": "dense", "vocabulary": "/etc/passwd"}),
            r"layer 'dense' \(StringLookup\) names a vocabulary file, which is not read",
        ),
        (lambda d: d.update(class_name=["Dense"]), r"has a class_name that is not a name"),
        (lambda d: d["config"].update(activation=LAMBDA), r"layer 'dense' \(lambda\) carries code, which is not run"),
        (
            lambda d: d["config"].update(activation="my_own"),
            rf"layer 'dense' has the custom activation 'my_own'.\n{CUSTOM}",
        ),
        (
            lambda d: d["config"].update(activation={"class_name": "function", "config": "system", "module": "os"}),
            r"layer 'dense' has the custom function 'system'",
        ),
        (
            lambda d: d["config"].update(kernel_initializer={"class_name": "Evil", "module": "evil", "config": {}}),
            r"layer 'dense' has the custom class 'Evil'",
        ),
        (
            lambda d: d["config"].update(dtype={"class_name": "__typespec__", "module": "os", "config": []}),
            r"custom class",
        ),
        (
            lambda d: d["config"].update(
                kernel_constraint={"class_name": "__numpy__", "config": {"dtype": "U9999999"}}
            ),
            r"layer 'dense' has a constant of the type 'U9999999', not of numbers",
        ),
        (
            lambda d: d["config"].update(units="many"),
            r"config.json: describes no model that Keras can build: Received an invalid value for `units`",
        ),
        (
            lambda d: d["config"].pop("units"),
            r"config.json: describes no model that Keras can build: .*missing 1 required",
        ),
        (
            lambda d: d["config"].update(units=10**9),
            r"wants over [\d,]+ bytes of weights, the file holds 332. Nothing was built",
        ),
        (
            lambda d: d["config"].update(units=7),
            r"config.json: describes no model that Keras can build: Input 0 .* is incompatible with the layer",
        ),
    ],
)
def test_a_config_chooses_nothing_that_is_imported_run_or_allocated(refusal, made, tmp_path, change, text):
    path = with_config(made, tmp_path / "a.keras", lambda config: change(dense(config)) and None)
    refusal(text, path=path)


def test_a_module_beside_the_file_is_not_imported(refusal, made, tmp_path):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    path = with_config(made, tmp_path / "a.keras", lambda c: dense(c).update(module="evil", class_name="Evil"))
    refusal("custom class 'Evil'", path=path)
    refusal("custom class 'Evil'", path=path, unsafe=True)
    assert not (tmp_path / "ran").exists()


def test_a_refused_layer_is_listed_by_describe(keras, made, tmp_path):
    def change(config):
        dense(config).update(class_name="Lambda")
        config["config"]["layers"][2]["config"]["activation"] = "my_own"

    told = keras("describe", path=with_config(made, tmp_path / "a.keras", change))
    assert [line.split(": ", 1)[1].split(" ")[1] for line in told["refusals"]] == ["'dense'", "'dense_1'"]


def test_a_lambda_layer_runs_with_unsafe_only(keras, refusal, tmp_path):
    truth = keras("make", case="with_lambda", folder=tmp_path)
    for file in ("model.keras", "model.h5"):
        refusal(r"layer 'twice' \(Lambda\) carries code, which is not run", path=tmp_path / file)
        assert keras("read", path=tmp_path / file, unsafe=True)["outputs"] == truth["outputs"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", r"config.json: is not valid JSON"),
        (b"\xff\xfe", r"config.json: is not valid JSON"),
        (b"[1, 2]", r"config.json: is not a model's config"),
        (b'{"class_name": "Sequential"}', r"config.json: is not a model's config"),
        (b"[" * 100_000, r"config.json: is nested too deeply"),
        (
            b'{"class_name": "Sequential", "config": {"layers": ' + b"[" * 300 + b"]" * 300 + b"}}",
            r"is nested too deeply",
        ),
        (
            b'{"class_name": "Dense", "config": {"units": 3}, "module": "keras.layers"}',
            r"describes a Dense, not a model",
        ),
        (b'{"class_name": "Sequential", "config": {"name": 3, "layers": 4}, "module": "keras"}', r"describes no model"),
        (b'{"class_name": "Functional", "config": {}, "module": "keras"}', r"describes no model"),
    ],
)
def test_a_config_that_is_none_is_told_so(refusal, made, tmp_path, text, said):
    content = members(made("mlp")[0] / "model.keras")
    refusal(said, path=write(tmp_path / "a.keras", content | {"config.json": text}))
    (tmp_path / "config.json").write_bytes(text)
    refusal(said, path=made("mlp")[0] / "only.h5", arch=tmp_path / "config.json") if b"Functional" not in text else None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("../evil.py", r"holds '../evil.py', which has no place in a .keras archive"),
        ("/etc/evil", r"holds '/etc/evil', which has no place"),
        ("evil.pkl", r"holds 'evil.pkl', which has no place"),
        ("assets/vocabulary.txt", r"holds 'assets/vocabulary.txt', which no layer of its model has a use for"),
        ("assets/../vocabulary.txt", r"holds 'assets/../vocabulary.txt', which has no place"),
        (
            "assets/layers/dense/vocabulary.txt",
            r"'assets/layers/dense/vocabulary.txt', which no layer of its model has",
        ),
    ],
)
def test_a_member_with_no_place_is_refused(refusal, made, tmp_path, name, text):
    refusal(text, path=write(tmp_path / "a.keras", members(made("mlp")[0] / "model.keras") | {name: b"x"}))


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_missing_member_is_told_so(refusal, made, tmp_path, name):
    content = members(made("mlp")[0] / "model.keras")
    del content[name]
    refusal(f"is a zip file without {name}, so it is not a .keras archive", path=write(tmp_path / "a.keras", content))


def test_a_member_that_is_there_twice_is_refused(refusal, made, tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's own, about the name written twice
        for name, data in [*members(made("mlp")[0] / "model.keras").items(), ("config.json", b"{}")]:
            archive.writestr(name, data)
    refusal("holds 'config.json' twice", path=path)


def test_a_member_that_is_a_link_is_refused(refusal, made, tmp_path):
    content = members(made("mlp")[0] / "model.keras")
    del content["model.weights.h5"]
    path = write(tmp_path / "a.keras", content)
    link = zipfile.ZipInfo("model.weights.h5")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refusal("model.weights.h5 is a link", path=path)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_zip_bomb_is_refused_before_it_is_inflated(refusal, made, tmp_path, name):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members(made("mlp")[0] / "model.keras").items():
            archive.writestr(member, bytes(64 << 20) if member == name else data)
    refusal(rf"{name} claims 67,108,864 bytes in an archive of [\d,]+. Nothing was read", path=path)


def test_many_small_members_are_no_way_round(refusal, made, tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members(made("mlp")[0] / "model.keras").items():
            archive.writestr(member, data)
        for number in range(3):
            archive.writestr(f"assets/a{number}/vocabulary.txt", bytes(1 << 19))
    refusal(r"vocabulary.txt claims 524,288 bytes in an archive of [\d,]+. Nothing was read", path=path)


def test_a_damaged_member_is_told_so(refusal, made, tmp_path):
    content = bytearray((made("mlp")[0] / "model.keras").read_bytes())
    at = content.index(b"HDF\r\n") + 2000
    content[at : at + 8] = b"XXXXXXXX"
    (tmp_path / "a.keras").write_bytes(content)
    refusal("a.keras: is damaged or cut short", path=tmp_path / "a.keras")


# HDF5


def hostile(kind, path, folder):
    """The weights-only file of the plain MLP with its second kernel replaced by something that is none."""
    path.write_bytes((folder / "only.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        place = f"dense_1/{file['dense_1'].attrs['weight_names'][0]}"
        values = file[place][()]
        if kind == "loop":
            file["dense_1/again"] = file["dense_1"]
            return
        if kind == "attribute":
            del file.attrs["layer_names"]
            file.attrs["layer_names"] = 3
            return
        if kind == "texts":  # as many as the file is long, which may all be one text
            file.attrs.create("layer_names", [f"{n:3000}" for n in range(4000)], dtype=h5py.string_dtype())
            return
        if kind == "spare":
            file["dense_1/spare"] = np.ones(3)
            return
        if kind == "twice":
            file.attrs["layer_names"] = ["dense", "dense"]
            return
        del file[place]
        if kind == "gone":
            return
        if kind == "soft":
            file["aside"] = values
            file[place] = h5py.SoftLink("/aside")
        elif kind == "outside":
            with h5py.File(path.with_name("other.h5"), "w") as other:
                other["x"] = values
            file[place] = h5py.ExternalLink("other.h5", "/x")
        elif kind == "external":
            path.with_name("raw").write_bytes(values.tobytes())
            file.create_dataset(place, values.shape, "f4", external=[(str(path.with_name("raw")), 0, values.nbytes)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout(values.shape, "f4")
            layout[:] = h5py.VirtualSource("other.h5", "x", values.shape)
            file.create_virtual_dataset(place, layout)
        elif kind == "text":
            file.create_dataset(place, data=["a", "b"])
        elif kind == "reference":
            file.create_dataset(place, data=file["dense"].ref, dtype=h5py.ref_dtype)
        elif kind == "compound":
            file.create_dataset(place, data=np.zeros(3, [("a", "f4")]))
        elif kind == "huge":
            file.create_dataset(place, (1 << 20, 1 << 12), "f4", chunks=(1024, 1024), compression="gzip")
        elif kind == "chunk":
            file.create_dataset(place, values.shape, "f4", chunks=(1 << 14, 1 << 12), maxshape=(None, None))
        elif kind == "bomb":
            file.create_dataset(place, data=np.zeros((24 << 20), "f4"), chunks=(1 << 20,), compression="gzip")
        elif kind == "plugin":
            create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            create.set_chunk(values.shape)
            create.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
            h5py.h5d.create(file.id, b"plugin", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(values.shape), create)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("soft", r"kernel is a link to another place. Keras writes no links"),
        ("outside", r"kernel is a link to another place"),
        ("external", r"kernel keeps its numbers in another file"),
        ("virtual", r"kernel is a virtual dataset"),
        ("loop", r"dense_1 is a second name for another object, or a loop|again is a second name"),
        ("text", r"kernel holds object, not numbers"),
        ("reference", r"kernel holds object, not numbers"),
        ("compound", r"kernel holds \[\('a', '<f4'\)\], not numbers"),
        ("huge", r"kernel claims 17,179,869,184 bytes and stores 0. Nothing was read"),
        ("chunk", r"kernel claims 268,435,456 bytes"),
        ("bomb", r"its numbers would take [\d,]+ bytes, more than 50 times the file's"),
        ("plugin", r"plugin needs an HDF5 plug-in to be read"),
        ("gone", r"lists dense_1/.*kernel but does not hold it"),
        ("spare", r"holds dense_1/spare, which its own list of weights does not name"),
        ("attribute", r"the attribute 'layer_names' of the root is not a list of names"),
        ("twice", r"names a layer twice"),
        ("texts", r"the attribute 'layer_names' claims more bytes than the file can hold"),
    ],
)
def test_an_hdf5_file_holds_plain_numbers_or_is_refused(refusal, made, tmp_path, kind, text):
    path = tmp_path / "a.h5"
    hostile(kind, path, made("mlp")[0])
    refusal(text, path=path, mlp="6-5-5-3")
    refusal(text, job="describe", path=path)


def test_the_weights_inside_an_archive_are_checked_too(refusal, made, tmp_path):
    content = members(made("mlp")[0] / "model.keras")
    inner = io.BytesIO(content["model.weights.h5"])
    with h5py.File(inner, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "/x")
    refusal(
        "is a link to another place", path=write(tmp_path / "a.keras", content | {"model.weights.h5": inner.getvalue()})
    )
    refusal(
        "a.keras is damaged|a.keras: is damaged or cut short",
        path=write(tmp_path / "a.keras", content | {"model.weights.h5": b"no HDF5"}),
    )
