"""Data sets with a name: bundled, cached, downloaded, and what stands in for them."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
from urllib.error import URLError

import numpy as np
import pytest
from test_data_idx import fill, idx

from bridge.data import NAMES, cifar, download, named, read
from bridge.data.download import Source
from bridge.errors import BridgeError, ExtraMissing


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty Keras cache, no Debian package, no network."""

    def no_network(url, timeout):
        raise URLError("no network in tests")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(download, "urlopen", no_network)
    monkeypatch.setattr(named, "DEBIAN_FASHION", tmp_path / "none")
    folder = tmp_path / "keras" / "datasets"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def serve(monkeypatch):
    """Makes the download answer with the given bytes; returns the addresses that were asked for."""

    def start(content: bytes) -> list[str]:
        asked: list[str] = []

        def opened(url, timeout):
            asked.append(url)
            return io.BytesIO(content)

        monkeypatch.setattr(download, "urlopen", opened)
        return asked

    return start


def keras_npz() -> bytes:
    stream, random = io.BytesIO(), np.random.default_rng(0)
    x = random.integers(0, 256, (7, 28, 28), np.uint8)
    np.savez(stream, x_train=x[:5], y_train=np.arange(5, dtype=np.uint8), x_test=x[5:], y_test=np.arange(2))
    return stream.getvalue()


def test_digits_are_real_digits_in_the_shape_of_mnist():
    from sklearn.datasets import load_digits

    stored, data = load_digits(), read("digits", part="all")
    x = data.inputs["x"]
    assert x.shape == (1797, 28, 28)
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(data.targets, stored.target)
    # corners lie beyond the outermost centres, where the edge repeats; means survive the enlargement
    np.testing.assert_array_equal(x[:, 0, 0], np.floor(stored.images[:, 0, 0] * 255 / 16 + 0.5))
    np.testing.assert_allclose(x.mean(axis=(1, 2)), stored.images.mean(axis=(1, 2)) * 255 / 16, atol=3)


def test_digits_are_enlarged_bilinearly():
    """Truth: interpolation of one axis after the other by numpy, on the half-pixel grid."""
    from sklearn.datasets import load_digits

    grid = (np.arange(28) + 0.5) * 8 / 28 - 0.5
    image = load_digits().images[11]
    wide = np.array([np.interp(grid, np.arange(8), row) for row in image])
    expected = np.array([np.interp(grid, np.arange(8), column) for column in wide.T]).T * 255 / 16
    got = read("digits", part="all").inputs["x"][11].astype(float)
    np.testing.assert_allclose(got, expected, rtol=0, atol=0.5 + 1e-9)  # rounded to whole grey levels


def test_digits_have_a_fixed_stratified_split():
    train, test, whole = (read("digits", part=part) for part in ("train", "test", "all"))
    assert (len(train), len(test)) == (1438, 359)
    np.testing.assert_allclose(np.bincount(test.targets) / np.bincount(whole.targets), 0.2, atol=0.005)
    seen = {image.tobytes() for image in train.inputs["x"]} | {image.tobytes() for image in test.inputs["x"]}
    assert seen == {image.tobytes() for image in whole.inputs["x"]}
    digest = hashlib.sha256(test.inputs["x"].tobytes()).hexdigest()
    assert digest.startswith("de77b1a59fc6dd6c"), "the test part changed: figures measured on it no longer compare"


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"data set digits needs the package sklearn.*\n.*bridge\[digits\]"):
        read("digits")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(BridgeError, match=r"fashion-mnist: no such file.*Did you mean fashion_mnist\?\n.*" + NAMES[0]):
        read("fashion-mnist")
    with pytest.raises(
        BridgeError, match=r"no data set of that name.\nbridge reads .*digits, mnist, fashion_mnist, cifar"
    ):
        read("zebras")


def test_a_missing_file_and_an_unknown_kind_are_refused(tmp_path):
    for name in ("gone.npz", "gone.csv", "sub/gone"):
        with pytest.raises(BridgeError, match=r"no such file .the data."):
            read(str(tmp_path / name))
    with pytest.raises(BridgeError, match=r"x.npy: no such file .the data."):
        read("x.npy,y.npy")
    (tmp_path / "d.pkl").write_bytes(b"")
    with pytest.raises(BridgeError, match=r"of a kind that bridge doesn't read.\nIt reads .npz, .csv"):
        read(tmp_path / "d.pkl")
    with pytest.raises(BridgeError, match=r"a pair is two .npy files, or IDX"):
        read("x.npy,y.csv")
    with pytest.raises(BridgeError, match=r"part 'valid': unknown. Known: train, test, all"):
        read("digits", part="valid")


def test_mnist_is_read_from_the_keras_cache(cache):
    (cache / "mnist.npz").write_bytes(keras_npz())
    assert len(read("mnist")) == 5
    assert len(read("mnist", part="all")) == 7
    data = read("mnist", part="test")
    assert data.inputs["x"].shape == (2, 28, 28)
    assert data.origin == "mnist"


def test_mnist_is_downloaded_once_and_its_hash_checked(cache, serve, monkeypatch):
    content = keras_npz()
    monkeypatch.setattr(named, "_MNIST", Source("https://example.org/m", hashlib.sha256(content).hexdigest()))
    asked = serve(content)
    assert len(read("mnist")) == len(read("mnist")) == 5
    assert asked == ["https://example.org/m"]
    assert [path.name for path in cache.iterdir()] == ["mnist.npz"]


def test_a_download_with_another_hash_is_not_kept(cache, serve):
    serve(keras_npz())
    with pytest.raises(BridgeError, match=r"mnist: the download is not the file that Keras uses.*\nDownload https://"):
        read("mnist")
    assert not list(cache.iterdir())


def test_a_download_that_is_too_large_is_given_up(cache, serve, monkeypatch):
    monkeypatch.setattr(download, "_MOST", 1000)
    serve(keras_npz())
    with pytest.raises(BridgeError, match="the download failed: it is larger than 1,000 bytes"):
        read("mnist")
    assert not list(cache.iterdir())


@pytest.mark.parametrize(("name", "file"), [("mnist", "mnist.npz"), ("fashion_mnist", "train-images"), ("cifar10", "")])
def test_without_cache_and_network_the_error_says_where_to_put_the_file(cache, name, file):
    with pytest.raises(BridgeError) as caught:
        read(name)
    first, second, third = str(caught.value).split("\n")
    assert first.startswith(f"{name}: not in the Keras cache, and the download failed: ")
    assert "no network in tests" in first
    assert second.startswith("Download https://")
    assert third.startswith(f"and put it at {cache}")
    assert file in third
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_cache_folder_that_can_not_be_made_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(BridgeError, match=r"mnist: .*can't be made: Not a directory.\nSet KERAS_HOME"):
        read("mnist")


def test_fashion_mnist_comes_from_the_cache_before_the_debian_package(cache, tmp_path, monkeypatch):
    debian = tmp_path / "debian"
    debian.mkdir()
    monkeypatch.setattr(named, "DEBIAN_FASHION", debian)
    fill(debian, "train", 3, ".gz")
    assert len(read("fashion_mnist")) == 3
    (cache / "fashion-mnist").mkdir()
    fill(cache / "fashion-mnist", "train", 4, ".gz")
    data = read("fashion_mnist")
    assert len(data) == 4
    assert data.origin == "fashion_mnist"
    assert data.classes[9] == "Ankle boot"


def test_fashion_mnist_is_downloaded_file_by_file_and_checked_unpacked(cache, serve, monkeypatch):
    content = idx(np.zeros((3, 28, 28), np.uint8))
    files = dict.fromkeys(named._FASHION["test"], hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(named._FASHION, "test", files)
    asked = serve(gzip.compress(content))
    with pytest.raises(BridgeError, match=r"expected images .2 or more axes., then labels"):
        read("fashion_mnist", part="test")  # the server answers with images for both
    assert [url.rsplit("/", 1)[1] for url in asked] == list(files)
    assert {path.name for path in (cache / "fashion-mnist").iterdir()} == set(files)


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"x" * 100)[:-5], gzip.compress(b"y")], ids=["foreign", "short", "other"]
)
def test_a_packed_download_that_is_damaged_is_not_kept(cache, serve, content):
    serve(content)
    with pytest.raises(BridgeError, match="fashion_mnist: the download is not the file that Keras uses"):
        read("fashion_mnist")
    assert not list((cache / "fashion-mnist").iterdir())


def text(value: bytes) -> bytes:
    """A Python 2 string in pickle protocol 2."""
    return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + len(value).to_bytes(4, "little") + value


def batch(pixels: np.ndarray, labels: list[int]) -> bytes:
    """A CIFAR-10 batch as Python 2's cPickle wrote it: opcodes by hand, Python 3 can't write them."""
    rows = len(pixels)
    shape = b"J" + rows.to_bytes(4, "little") + b"M\x00\x0c\x86"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85" + text(b"b") + b"\x87Rq\x0b(K\x01"
        + shape + b"cnumpy\ndtype\nq\x0c" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + text(pixels.tobytes()) + b"tb"
    )  # fmt: skip
    listed = b"]q\x05(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    names = b"](" + b"".join(text(b"boat_s_%d.png" % row) for row in range(rows)) + b"e"
    return (
        b"\x80\x02}q\x01(" + text(b"batch_label") + text(b"training batch 1 of 5") + text(b"labels") + listed
        + text(b"data") + array + text(b"filenames") + names + b"u."
    )  # fmt: skip


def cifar_rows(seed: int, rows: int = 4) -> tuple[np.ndarray, list[int]]:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (rows, 3072), np.uint8), random.integers(0, 10, rows).tolist()


def batch_files() -> dict[str, bytes]:
    return {name: batch(*cifar_rows(seed)) for seed, name in enumerate([*cifar._BATCHES["train"], "test_batch"])}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # numpy.core, and align=0, in the old pickle
def test_a_cifar_batch_is_read_as_pickle_would_read_it():
    pixels, labels = cifar_rows(3)
    content = batch(pixels, labels)
    unpickled = pickle.loads(content, encoding="bytes")  # the truth, on bytes that this test made
    x, y = cifar.parse_pickled(content, "batch")
    np.testing.assert_array_equal(x.transpose(0, 3, 1, 2).reshape(4, 3072), unpickled[b"data"])
    np.testing.assert_array_equal(y, unpickled[b"labels"])
    assert x.flags.c_contiguous


@pytest.mark.parametrize("folder", ["cifar-10-batches-py-target/cifar-10-batches-py", "cifar-10-batches-py"])
def test_cifar10_is_read_from_the_folders_of_keras(cache, folder):
    (cache / folder).mkdir(parents=True)
    for name, content in batch_files().items():
        (cache / folder / name).write_bytes(content)
    assert read("cifar10").inputs["x"].shape == (20, 32, 32, 3)
    assert len(read("cifar10", part="all")) == 24
    data = read("cifar10", part="test")
    assert data.targets.tolist() == cifar_rows(5)[1]
    assert data.classes[6] == "frog"


def test_cifar10_is_read_from_its_binary_version(cache):
    (cache / "cifar-10-batches-bin").mkdir()
    pixels, labels = cifar_rows(5)
    rows = np.concatenate([np.array(labels, np.uint8)[:, None], pixels], axis=1)
    file = cache / "cifar-10-batches-bin" / "test_batch.bin"
    file.write_bytes(rows.tobytes())
    data = read("cifar10", part="test")
    np.testing.assert_array_equal(data.inputs["x"], pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    assert data.targets.tolist() == labels
    file.write_bytes(rows.tobytes()[:-1])
    with pytest.raises(BridgeError, match="are not whole rows of 3,073"):
        read("cifar10", part="test")
    file.write_bytes(b"\x0a" + rows.tobytes()[1:])
    with pytest.raises(BridgeError, match="a label lies outside 0 to 9"):
        read("cifar10", part="test")


def archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as members:
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            members.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def test_cifar10_is_downloaded_and_read_from_its_archive(cache, serve, monkeypatch):
    content = archive(batch_files())
    monkeypatch.setattr(cifar, "SOURCE", Source("https://example.org/c", hashlib.sha256(content).hexdigest()))
    asked = serve(content)
    assert len(read("cifar10")) == 20
    assert read("cifar10", part="test").targets.tolist() == cifar_rows(5)[1]
    assert len(asked) == 1
    assert [path.name for path in cache.iterdir()] == ["cifar-10-batches-py-target_archive"]


def test_another_archive_in_the_cache_is_not_unpacked(cache):
    (cache / "cifar-10-batches-py-target_archive").write_bytes(archive(batch_files()))
    with pytest.raises(BridgeError, match=r"not the archive that Keras uses .another SHA-256., so it was not unpacked"):
        read("cifar10")


def test_a_pickle_that_would_run_code_is_refused_and_not_run(cache, tmp_path):
    class Touch:
        def __reduce__(self):
            return type(tmp_path).touch, (tmp_path / "was run",)

    pixels, labels = cifar_rows(5)
    hostile = pickle.dumps({"data": Touch(), "labels": labels}, protocol=2)
    folder = cache / "cifar-10-batches-py"
    folder.mkdir()
    for content in (hostile, batch(pixels, labels).replace(b"cnumpy\ndtype", b"cos\nsystem")):
        (folder / "test_batch").write_bytes(content)
        with pytest.raises(BridgeError, match=r"a pickle with more than data in it .*It was not run"):
            read("cifar10", part="test")
    assert not (tmp_path / "was run").exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "truncated, or not a CIFAR-10 batch"),
        (b"hello", "truncated, or not a CIFAR-10 batch|more than data"),
        (batch(*cifar_rows(1))[:9000], "truncated, or not a CIFAR-10 batch"),
        (batch(cifar_rows(1)[0], [1, 2, 3]), "3 labels for 12,288 bytes of pixels"),
        (batch(cifar_rows(1)[0], [1, 2, 3, 10]), "a label lies outside 0 to 9"),
        (b"\x80\x02}.", "0 labels for 0 bytes"),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else None,
)
def test_a_batch_that_is_damaged_is_refused(content, match):
    with pytest.raises(BridgeError, match=match):
        cifar.parse_pickled(content, "test_batch")


def test_a_batch_that_is_a_link_out_of_its_folder_is_refused(cache, tmp_path):
    (tmp_path / "elsewhere").write_bytes(batch(*cifar_rows(5)))
    (cache / "cifar-10-batches-py").mkdir()
    (cache / "cifar-10-batches-py" / "test_batch").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BridgeError, match="'test_batch', which lies outside its own folder"):
        read("cifar10", part="test")
