"""Files that are missing, cut short, or not what their name says."""

import re
from collections import Counter

import h5py
import numpy as np
import pytest


def test_a_missing_file_is_told_so(refusal, tmp_path):
    refusal(r"no.h5: no such file \(the Keras model\)", path=tmp_path / "no.h5")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.h5", b"hello, I am text\n", r"a.h5: is not an HDF5 file, it is text that begins with 'hello"),
        ("a.h5", b"", r"a.h5: is not an HDF5 file, it is empty"),
        ("a.keras", b"", r"a.keras: is not a .keras archive \(a zip file\), it is empty"),
        ("a.h5", b"version https://git-lfs.github.com/spec/v1\n", r"it is a Git LFS pointer: run git lfs pull"),
        ("a.keras", b"\x80\x04\x95", r"it begins with other bytes"),
        ("a.pkl", b"\x80\x04\x95", r"a.pkl: bridge reads Keras models from .keras, .h5, .hdf5 and .weights.h5"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", r"a.h5: is damaged or cut short. HDF5 says"),
    ],
)
def test_a_foreign_file_is_told_so(refusal, tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    refusal(text, path=tmp_path / name)
    refusal(text, job="describe", path=tmp_path / name)


def test_a_file_of_the_other_format_is_told_so(keras, refusal, made, tmp_path):
    folder, _ = made("mlp")
    (tmp_path / "a.keras").write_bytes((folder / "model.h5").read_bytes())
    (tmp_path / "a.h5").write_bytes((folder / "model.keras").read_bytes())
    refusal(
        "a.keras: is an HDF5 file, not a .keras archive.\nIf it is the right file, name it .h5",
        path=tmp_path / "a.keras",
    )
    refusal(
        "a.h5: is a zip archive, not an HDF5 file.\nIf it is the right file, name it .keras",
        path=tmp_path / "a.h5",
    )


def test_an_hdf5_file_without_weights_is_told_so(refusal, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["temperature"] = np.ones(3)
    refusal("a.h5: is an HDF5 file without Keras weights", path=tmp_path / "a.h5")
    refusal("a.h5: is an HDF5 file without Keras weights", job="describe", path=tmp_path / "a.h5")


@pytest.mark.parametrize("file", ["model.keras", "model.h5", "model.weights.h5", "only.h5"])
def test_a_truncated_file_is_told_so_at_every_length(refusal, made, tmp_path, file):
    folder, _ = made("mlp")
    content = (folder / file).read_bytes()
    for kept in [*range(0, 100, 24), *np.linspace(100, len(content) - 1, 8).astype(int)]:
        (tmp_path / file).write_bytes(content[:kept])
        refusal(
            rf"{re.escape(file)}.*(damaged or cut short|is not a)",
            path=tmp_path / file,
            arch=folder / "config.json",
        )


def test_a_user_block_before_the_hdf5_file_is_no_fault(keras, made, tmp_path):
    folder, truth = made("mlp")
    content = (folder / "model.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as to, h5py.File(folder / "model.h5") as source:
        to.attrs.update(source.attrs)
        source.copy("model_weights", to)
    assert (tmp_path / "a.h5").read_bytes()[:8] != content[:8]
    assert keras("read", path=tmp_path / "a.h5")["digests"] == truth["digests"]


def test_nan_and_infinity_are_loaded_and_reported(keras, made, tmp_path):
    folder, _ = made("mlp")
    path = tmp_path / "only.h5"
    path.write_bytes((folder / "only.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        kernel = (
            file["dense_1/sequential/dense_1/kernel"]
            if "dense_1/sequential" in file
            else file["dense_1/dense_1/kernel"]
        )
        kernel[0, :2] = np.nan, np.inf
    found = keras("read", path=path, mlp="6-5-5-3")["non_finite"]
    assert found == ["dense_1/kernel: 1 NaN, 1 infinite of 25"]
    assert keras("look", path=path, mlp="6-5-5-3")["non_finite"] == found


@pytest.mark.parametrize("file", ["model.keras", "model.h5"])
def test_inspect_looks_at_large_weights_where_they_lie(keras, made, file):
    folder, truth = made("normalised")
    told = keras("look", path=folder / file)
    assert not told["refusals"]
    assert not told["non_finite"]
    assert [weight["shape"] for weight in told["weights"]] == [shape for shape, _, _ in truth["digests"]]
    assert not Counter(tuple(w) for w, _, _ in truth["digests"] if w) - Counter(map(tuple, told["sizes"]))
