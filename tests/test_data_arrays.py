"""Arrays of the user: .npz, .npy and what pretends to be them."""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from bridge.data import read
from bridge.errors import BridgeError


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(1)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy_claiming(shape: str, descr: str = "'<f4'", body: bytes = b"") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


def zipped(path: Path, members: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["u1", "<f4", ">f8", "i8", "?", "f2"])
def test_an_npz_gives_x_and_y_as_numpy_reads_them(tmp_path, random, save, dtype):
    save(tmp_path / "d.npz", x=(random.random((5, 4, 3)) * 3).astype(dtype), y=np.arange(5))
    data = read(tmp_path / "d.npz")
    with np.load(tmp_path / "d.npz", allow_pickle=False) as expected:
        np.testing.assert_array_equal(data.inputs["x"], expected["x"])
        np.testing.assert_array_equal(data.targets, expected["y"])
        assert data.inputs["x"].dtype == expected["x"].dtype.newbyteorder("=")
    assert len(data) == 5
    assert data.origin == str(tmp_path / "d.npz")


def test_fortran_order_and_newer_header_versions_are_read_as_numpy_reads_them(tmp_path, random):
    x = np.asfortranarray(random.random((4, 3, 2)))
    for version in ((1, 0), (2, 0), (3, 0)):
        with (tmp_path / "x.npy").open("wb") as stream:
            np.lib.format.write_array(stream, x, version)
        got = read(tmp_path / "x.npy").inputs["x"]
        np.testing.assert_array_equal(got, x)
        assert got.flags.c_contiguous


def test_a_lone_npy_has_no_targets_and_a_pair_has_them(tmp_path, random):
    x, y = random.random((6, 2)), np.arange(6)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    assert read(str(tmp_path / "x.npy")).targets is None
    for spec in (f"{tmp_path}/x.npy,{tmp_path}/y.npy", (tmp_path / "x.npy", tmp_path / "y.npy")):
        data = read(spec)
        np.testing.assert_array_equal(data.inputs["x"], x)
        np.testing.assert_array_equal(data.targets, y)


@pytest.mark.parametrize("names", [("y_price", "y_kind"), ("y:price", "y:kind")])
def test_an_npz_names_several_inputs_and_outputs(tmp_path, names):
    np.savez(tmp_path / "d.npz", image=np.ones((3, 2)), size=np.ones(3), **{name: np.arange(3) for name in names})
    data = read(tmp_path / "d.npz")
    assert set(data.inputs) == {"image", "size"}
    assert set(data.targets) == {"price", "kind"}


def test_the_label_option_names_the_targets_of_an_npz_that_has_no_y(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.ones((3, 2)), digit=np.arange(3))
    assert set(read(tmp_path / "d.npz").inputs) == {"x", "digit"}
    data = read(tmp_path / "d.npz", label="digit")
    assert set(data.inputs) == {"x"}
    np.testing.assert_array_equal(data.targets, np.arange(3))


def test_a_file_with_kerass_names_is_read_by_parts(tmp_path, random):
    x, y = random.random((7, 2)), np.arange(7)
    np.savez(tmp_path / "m.npz", x_train=x[:5], y_train=y[:5], x_test=x[5:], y_test=y[5:])
    for part, rows in (("train", slice(5)), ("test", slice(5, 7)), ("all", slice(7))):
        data = read(tmp_path / "m.npz", part=part)
        np.testing.assert_array_equal(data.inputs["x"], x[rows])
        np.testing.assert_array_equal(data.targets, y[rows])


def test_a_missing_part_names_the_arrays_there(tmp_path):
    np.savez(tmp_path / "m.npz", x_train=np.ones((2, 2)), y_train=np.ones(2))
    with pytest.raises(BridgeError, match=r"m\.npz: no array 'x_test' for the part 'test'.*x_train, y_train"):
        read(tmp_path / "m.npz", part="test")


def test_parts_that_differ_in_shape_are_refused(tmp_path):
    one, other = np.ones((2, 2)), np.ones((2, 3))
    np.savez(tmp_path / "m.npz", x_train=one, y_train=one[:, 0], x_test=other, y_test=one[:, 0])
    with pytest.raises(BridgeError, match=r"rows of x differ between its parts: \[\(2,\), \(3,\)\]"):
        read(tmp_path / "m.npz", part="all")


def test_a_link_that_the_user_typed_is_followed(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.ones((2, 2)), y=np.arange(2))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "link.npz").symlink_to(tmp_path / "d.npz")
    assert len(read(tmp_path / "sub" / "link.npz")) == 2


def test_x_and_y_of_different_length_are_refused_with_both_counts(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.ones((3, 2)), y=np.arange(4))
    with pytest.raises(
        BridgeError, match=r"d\.npz: every array needs the same number of rows, found: x has 3, y has 4"
    ):
        read(tmp_path / "d.npz")


@pytest.mark.parametrize(("x", "match"), [(np.ones((0, 3)), "is empty"), (np.float32(1), "single number")])
def test_data_without_rows_is_refused(tmp_path, x, match):
    np.savez(tmp_path / "d.npz", x=x)
    with pytest.raises(BridgeError, match=match):
        read(tmp_path / "d.npz")


def test_an_npz_of_targets_alone_is_refused(tmp_path):
    np.savez(tmp_path / "d.npz", y=np.ones(3))
    with pytest.raises(BridgeError, match="no input array, only targets"):
        read(tmp_path / "d.npz")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("d.npz", b"hello", "not a whole .npz file .a zip archive."),
        ("d.npz", b"", "not a whole .npz file"),
        ("d.npy", b"hello, world", "not a .npy array"),
        ("d.npy", b"", "not a .npy array"),
        ("d.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': ", "header is damaged"),
        ("d.npy", npy_claiming("(2,)", body=b"1234"), r"truncated or damaged: its header says \(2,\)"),
        ("d.npy", npy(np.ones(3)) + b"more", "truncated or damaged"),
        ("d.npy", npy_claiming("(-2,)"), "header is damaged"),
        ("d.npy", npy_claiming("(9999999999, 9999999999)"), r"truncated or damaged: its header says \(9999999999"),
        ("d.npy", npy_claiming(f"({'9' * 5000},)"), "header is damaged"),
        ("d.npy", npy_claiming(f"({'1,' * 100})", body=b"1234"), "too many axes"),
        ("d.npy", npy_claiming("(0, 99999999999999999999)"), "is empty or has too many axes"),
        ("d.npy", npy_claiming("(1,)", "'<Q99999'"), "header is damaged"),
        ("d.npy", npy(np.array(["a", "b"])), "holds <U1, expected numbers"),
        ("d.npy", npy(np.array([1j])), "holds complex128, expected numbers"),
        ("d.npy", npy(np.zeros(2, [("a", "f4"), ("b", "f4")])), "not of a plain array of numbers"),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else None,
)
def test_a_foreign_or_damaged_array_file_is_refused(tmp_path, name, content, match):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BridgeError, match=match):
        read(tmp_path / name)


def test_a_pickled_array_is_refused_and_never_run(tmp_path):
    class Touch:
        def __reduce__(self):
            return Path.touch, (tmp_path / "was run",)

    hostile = np.array([Touch()], dtype=object)
    np.save(tmp_path / "x.npy", hostile, allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=hostile, y=np.ones(1))
    (tmp_path / "bare.npy").write_bytes(pickle.dumps(Touch()))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(BridgeError, match="Python objects, stored as a pickle, which bridge never reads"):
            read(tmp_path / name)
    with pytest.raises(BridgeError, match=r"not a .npy array"):
        read(tmp_path / "bare.npy")
    assert not (tmp_path / "was run").exists()


def test_every_truncation_of_an_npz_is_refused(tmp_path, random):
    np.savez_compressed(tmp_path / "d.npz", x=random.random((20, 4)), y=np.arange(20))
    whole = (tmp_path / "d.npz").read_bytes()
    for length in range(0, len(whole), 37):
        (tmp_path / "short.npz").write_bytes(whole[:length])
        with pytest.raises(BridgeError, match=r"not a whole .npz file"):
            read(tmp_path / "short.npz")


def test_a_damaged_member_is_refused(tmp_path, random):
    path = zipped(tmp_path / "d.npz", {"x.npy": npy(random.random((50, 4)))}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[700] ^= 255
    path.write_bytes(content)
    with pytest.raises(BridgeError, match=r"not a whole .npz file.*Bad CRC-32"):
        read(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    rows = 65 * 2**20
    path = zipped(tmp_path / "bomb.npz", {"x.npy": npy_claiming(f"({rows},)", "'|u1'", bytes(rows))})
    assert path.stat().st_size * 200 < rows
    with pytest.raises(BridgeError, match=r"claim to inflate to 68,\d+,\d+, more than 200 times.*\n.*numpy\.savez"):
        read(path)


def test_a_member_whose_sizes_lie_is_refused(tmp_path):
    path = zipped(tmp_path / "d.npz", {"x.npy": npy(np.ones(300))})
    content = path.read_bytes()
    real = len(npy(np.ones(300))).to_bytes(4, "little")
    for claimed in (100, 50_000_000):
        path.write_bytes(content.replace(real, claimed.to_bytes(4, "little")))
        with pytest.raises(BridgeError, match=r"truncated|not a whole \.npz"):
            read(path)


def test_a_header_that_claims_more_than_its_member_holds_is_refused(tmp_path):
    path = zipped(tmp_path / "d.npz", {"x.npy": npy_claiming("(1000000000000,)")})
    with pytest.raises(BridgeError, match=r"d\.npz: x: truncated or damaged: its header says \(1000000000000,\)"):
        read(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile warns while the test makes the file
def test_two_arrays_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", npy(np.ones(3)))
        archive.writestr("x.npy", npy(np.zeros(3)))
    with pytest.raises(BridgeError, match="two arrays are called 'x'"):
        read(tmp_path / "d.npz")


def test_a_zip_of_other_things_or_other_compression_is_refused(tmp_path):
    with pytest.raises(BridgeError, match=r"without any \.npy array"):
        read(zipped(tmp_path / "d.npz", {"readme.txt": b"hello"}))
    for how in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(BridgeError, match="x is compressed in a way numpy never uses"):
            read(zipped(tmp_path / "d.npz", {"x.npy": npy(np.ones(3))}, how))


def test_an_encrypted_member_is_refused(tmp_path):
    path = zipped(tmp_path / "d.npz", {"x.npy": npy(np.ones(3))})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(BridgeError, match="x is encrypted"):
        read(path)


def test_names_with_paths_in_a_zip_lead_nowhere(tmp_path):
    data = read(zipped(tmp_path / "d.npz", {"../../x.npy": npy(np.ones(3)), "/y.npy": npy(np.ones(3))}))
    assert set(data.inputs) == {"../../x", "/y"}
    assert [path.name for path in tmp_path.iterdir()] == ["d.npz"]


def test_a_name_that_can_not_be_printed_is_refused(tmp_path):
    with pytest.raises(BridgeError, match=r"the array name 'x\\x1b\[2J' has characters that can't be printed"):
        read(zipped(tmp_path / "d.npz", {"x\x1b[2J.npy": npy(np.ones(3))}))


def test_a_stream_that_ends_early_is_refused(tmp_path):
    whole = npy(np.ones(3000))
    squeezed = zlib.compressobj(wbits=-15)
    short = squeezed.compress(whole[:5000]) + squeezed.flush()
    path = zipped(tmp_path / "d.npz", {"x.npy": short}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    for at in (8, central + 10):
        content[at : at + 2] = zipfile.ZIP_DEFLATED.to_bytes(2, "little")
    for at in (22, central + 24):
        content[at : at + 4] = len(whole).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(BridgeError, match=r"x: truncated: it ends before its 24,128 bytes|not a whole .npz"):
        read(path)
