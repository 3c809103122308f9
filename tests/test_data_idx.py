"""IDX files as MNIST has them: single, paired, in folders, packed and broken."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from bridge.data import read
from bridge.errors import BridgeError

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array: np.ndarray) -> bytes:
    code = CODES[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def images(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (rows, 4, 3), np.uint8)


def fill(folder: Path, stem: str, rows: int, suffix: str = "") -> tuple[np.ndarray, np.ndarray]:
    x, y = images(rows), np.arange(rows).astype(np.uint8)
    pack = gzip.compress if suffix == ".gz" else bytes
    (folder / f"{stem}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(x)))
    (folder / f"{stem}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(y)))
    return x, y


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_is_read_by_parts(tmp_path, suffix):
    stored = {"train": fill(tmp_path, "train", 5, suffix), "test": fill(tmp_path, "t10k", 2, suffix)}
    for part, (x, y) in stored.items():
        data = read(tmp_path, part=part)
        np.testing.assert_array_equal(data.inputs["x"], x)
        np.testing.assert_array_equal(data.targets, y)
        assert data.inputs["x"].dtype == np.uint8
    assert len(read(tmp_path, part="all")) == 7


def test_names_with_a_dot_are_found_too(tmp_path):
    x, _ = fill(tmp_path, "train", 3)
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / path.name.replace("-idx", ".idx"))
    np.testing.assert_array_equal(read(str(tmp_path)).inputs["x"], x)


@pytest.mark.parametrize("dtype", CODES)
def test_every_type_of_number_is_read(tmp_path, dtype):
    x = (np.random.default_rng(2).random((3, 2)) * 100).astype(dtype)
    (tmp_path / "x").write_bytes(idx(x))
    (tmp_path / "y").write_bytes(gzip.compress(idx(np.arange(3).astype("u1"))))
    data = read(f"{tmp_path}/x,{tmp_path}/y")
    np.testing.assert_array_equal(data.inputs["x"], x)
    assert data.inputs["x"].dtype == x.dtype
    np.testing.assert_array_equal(data.targets, np.arange(3))


def test_images_and_labels_in_the_wrong_order_are_refused(tmp_path):
    fill(tmp_path, "train", 3)
    pair = (tmp_path / "train-labels-idx1-ubyte", tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(BridgeError, match=r"expected images .2 or more axes., then labels .* found 1 and 3 axes"):
        read(pair)


def test_a_part_that_is_not_in_the_folder_is_named(tmp_path):
    fill(tmp_path, "train", 3)
    for part in ("test", "all"):
        with pytest.raises(BridgeError, match=f"no IDX pair for the part '{part}' there: t10k-images-idx3-ubyte"):
            read(tmp_path, part=part)


def test_different_counts_of_images_and_labels_are_refused(tmp_path):
    fill(tmp_path, "train", 3)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(BridgeError, match="x has 3, y has 4"):
        read(tmp_path)


def test_one_idx_file_alone_asks_for_the_other(tmp_path):
    fill(tmp_path, "train", 3)
    with pytest.raises(BridgeError, match=r"an IDX file alone. Give both: images,labels"):
        read(tmp_path / "train-images-idx3-ubyte")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "not an IDX file"),
        (b"PNG image", "not an IDX file"),
        (b"\0\0\x08\x03\0\0", "ends inside its header"),
        (idx(images(3))[:-1], r"truncated or damaged: its header says \(3, 4, 3\)"),
        (idx(images(3)) + b"x", "truncated or damaged"),
        (gzip.compress(idx(images(3))[:-1]), "truncated or damaged"),
        (gzip.compress(idx(images(3)) + b"x"), "truncated or damaged"),
        (gzip.compress(idx(images(3)))[:-9], "truncated or damaged"),
        (gzip.compress(idx(images(3)))[:40] + b"\xff" * 30, "truncated or damaged"),
        (gzip.compress(idx(images(3)), mtime=0)[:-6] + b"\xff" * 6, "truncated or damaged: CRC check failed"),
        (struct.pack(">BBBB2I", 0, 0, 8, 2, 0, 2**32 - 1), "the data is empty"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 60000, 2**31, 28), "truncated or damaged"),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else None,
)
def test_a_foreign_or_damaged_idx_file_is_refused(tmp_path, content, match):
    (tmp_path / "x-idx").write_bytes(content)
    (tmp_path / "y-idx").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(BridgeError, match=match):
        read((tmp_path / "x-idx", tmp_path / "y-idx"))


def test_a_name_in_gz_that_is_no_gzip_file_is_refused(tmp_path):
    fill(tmp_path, "train", 3, ".gz")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(idx(images(3)))
    with pytest.raises(BridgeError, match=r"not a gzip file, though its name ends in \.gz"):
        read(tmp_path)


def test_a_gzip_bomb_is_refused_by_its_header(tmp_path):
    bomb = gzip.compress(struct.pack(">BBBB2I", 0, 0, 8, 2, 1, 2**32 - 1) + bytes(2**20))
    (tmp_path / "x-idx.gz").write_bytes(bomb)
    (tmp_path / "y-idx").write_bytes(idx(np.zeros(1, np.uint8)))
    with pytest.raises(BridgeError, match="claim to inflate to 4,294,967,295, more than 200 times"):
        read((tmp_path / "x-idx.gz", tmp_path / "y-idx"))


def test_a_gzip_bomb_with_a_modest_header_is_not_unpacked_further(tmp_path):
    (tmp_path / "x-idx.gz").write_bytes(gzip.compress(idx(images(3)) + bytes(2**24)))
    (tmp_path / "y-idx").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(BridgeError, match="truncated or damaged"):
        read((tmp_path / "x-idx.gz", tmp_path / "y-idx"))


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    fill(tmp_path, "train", 3)
    fill(tmp_path / "data", "train", 3)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / "data" / name).unlink()
        (tmp_path / "data" / name).symlink_to(tmp_path / name)
        with pytest.raises(BridgeError, match=f"'{name}', which lies outside its own folder"):
            read(tmp_path / "data")
        (tmp_path / "data" / name).unlink()
        (tmp_path / "data" / name).write_bytes((tmp_path / name).read_bytes())
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert len(read(tmp_path / "link")) == 3
