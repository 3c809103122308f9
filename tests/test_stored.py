"""Weights outside of memory: arrays that are read when asked for, and handled piece by piece."""

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save
from torch import nn

from bridge.errors import BridgeError
from bridge.graph import stored
from bridge.graph.changes.initializers import initialize
from bridge.torch_side import tensors
from bridge.torch_side.run import in_double, precision
from bridge.torch_side.writing.part import Take

BASE = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
ARRAYS = {
    "contiguous": BASE,
    "transposed": BASE.transpose(3, 1, 0, 2),
    "one row": BASE[:1].transpose(0, 2, 1, 3),
    "columns": BASE[..., ::2],
    "scalar": np.array(3.5, np.float32),
    "empty": np.zeros((0, 4), np.float32),
    "bytes": np.arange(200, dtype=np.uint8),
}


@pytest.mark.parametrize("case", ARRAYS)
@pytest.mark.parametrize("chunk", [4, 64, 1 << 20])
def test_pieces_are_the_array_in_its_order(monkeypatch, case, chunk):
    monkeypatch.setattr(stored, "CHUNK", chunk)
    pieces = list(stored.pieces(ARRAYS[case]))
    assert b"".join(piece.tobytes() for piece in pieces) == ARRAYS[case].tobytes()
    assert all(piece.flags.c_contiguous for piece in pieces)
    assert len(pieces) == 1 or all(piece.nbytes <= max(chunk, piece.itemsize) for piece in pieces)


def test_what_is_not_finite_is_counted_in_every_piece(monkeypatch):
    monkeypatch.setattr(stored, "CHUNK", 16)
    array = BASE.copy()
    array[0, 0, 0, 0] = array[1, 2, 3, 4] = np.nan
    array[1, 0, 0, 0] = -np.inf
    assert stored.not_finite(array.transpose(2, 0, 3, 1)) == (2, 1)
    assert stored.not_finite(np.arange(9)) == (0, 0)
    assert stored.not_finite(
        np.array([1, np.nan], onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16))
    ) == (1, 0)


def test_arrays_are_made_anew_when_asked_for_and_can_be_put_over_others():
    asked = []
    arrays = stored.Arrays({"a": lambda: asked.append("a") or np.zeros(1)})
    both = {"a": np.ones(1), "b": np.ones(2)} | arrays | {"c": np.ones(3)}
    assert list(both) == ["a", "b", "c"]
    assert asked == []
    assert both["a"].tolist() == [0]
    assert both["b"].tolist() == [1, 1]
    assert len(both) == 3
    assert "d" not in both
    assert asked == ["a"]


def test_tensors_begin_where_they_can_be_mapped():
    assert stored.next_offset(0, 10) == 0
    assert stored.next_offset(10, 10) == stored.PAGE
    assert stored.next_offset(10, stored.LARGE) == stored.GRANULE


def test_a_weight_goes_into_a_tensor_as_it_would_be_copied():
    for take in (Take("w"), Take("w", (1, 0)), Take("w", (1, 0), gates=(0, 2, 1, 3))):
        array = np.random.default_rng(0).random((6, 8), np.float32)
        array.setflags(write=False)
        tensor = torch.empty(take.shape(array.shape))
        take.fill(tensor, array)
        assert torch.equal(tensor, take.to_torch(array))
        np.testing.assert_array_equal(take.seen(tensor, array.shape), array)
    with pytest.raises(ValueError, match="the tensor is"):
        Take("w").fill(torch.empty(8, 6), array)


def test_safetensors_are_written_as_the_formats_own_library_does(tmp_path):
    state = {
        "b.weight": torch.randn(3, 4).t(),
        "conv": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "a": torch.arange(5),
        "half": torch.randn(3).half(),
        "brain": torch.randn(3).bfloat16(),
        "flag": torch.tensor(True),
        "none": torch.zeros(0, 3),
    }
    digest = tensors.write(state, tmp_path / "a.safetensors", {"format": "pt"})
    own = save({key: value.contiguous() for key, value in state.items()}, {"format": "pt"})
    assert (tmp_path / "a.safetensors").read_bytes() == own
    assert len(digest) == 64
    found = tensors.Tensors(tmp_path / "a.safetensors")
    assert set(found) == set(load_file(tmp_path / "a.safetensors"))
    assert all(torch.equal(found[key], value) for key, value in state.items())


def test_safetensors_of_another_model_are_refused(tmp_path):
    tensors.write({"a": torch.zeros(2)}, tmp_path / "a", {})
    found = tensors.Tensors(tmp_path / "a")
    found.check({"a": ((2,), "float32")})
    for wanted, text in (
        ({"b": ((2,), "float32")}, r"is for another model: lacks \['b'\], has besides \['a'\]"),
        ({"a": ((3,), "float32")}, r"a is \(2,\), the model wants \(3,\)"),
        ({"a": ((2,), "float64")}, r"a is of type torch.float32, the model wants torch.float64"),
    ):
        with pytest.raises(BridgeError, match=text):
            found.check(wanted)
    (tmp_path / "a").write_bytes(b"none")
    with pytest.raises(BridgeError, match="is not a safetensors file, or it is damaged"):
        tensors.Tensors(tmp_path / "a")


@pytest.mark.parametrize("kind", ["GlorotUniform", "RandomNormal", "RandomUniform", "TruncatedNormal", "Ones"])
def test_many_values_are_drawn_in_pieces_from_the_same_distribution(monkeypatch, kind):
    config = {"class_name": kind, "config": {}}

    def drawn():
        return initialize(config, (30, 40), "float32", np.random.default_rng(0))

    whole = drawn()
    monkeypatch.setattr("bridge.graph.changes.initializers.MANY", 100)
    pieces = drawn()
    if kind == "TruncatedNormal":  # draws again what is too far out, within the piece
        assert 0.9 < pieces.std() / whole.std() < 1.1
    else:
        np.testing.assert_array_equal(pieces, whole)


def test_the_same_bits_are_told_piece_by_piece(monkeypatch):
    monkeypatch.setattr(stored, "CHUNK", 16)
    array = BASE.copy()
    array[1, 2, 3, 4] = np.nan
    assert stored.same_bits(array, array.copy())
    assert not stored.same_bits(array, BASE)
    assert not stored.same_bits(BASE, BASE.astype(np.float64))
    assert not stored.same_bits(np.zeros((2, 8)), -np.zeros((2, 8)))


class Reader(nn.Module):
    """Large tensors that are looked up, multiplied with, and used by code of its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.dense, self.read = nn.Embedding(30, 20), nn.Linear(20, 24), nn.LSTM(24, 8, batch_first=True)
        self.own, self.tied = nn.Parameter(torch.randn(8, 40)), nn.Parameter(torch.randn(50, 40))
        self.register_buffer("scale", torch.randn(40))

    def forward(self, words):
        y = self.read(torch.tanh(self.dense(self.table(words))))[0] @ self.own
        tied = self.tied @ self.own.T + nn.functional.linear(self.tied, self.own)
        y = torch.matmul((y * self.scale) @ self.tied.permute(1, 0), other=tied)
        return y.softmax(-1)


def test_large_tensors_become_float64_where_they_are_used(monkeypatch):
    words, plain, module = torch.arange(12).reshape(3, 4), Reader().double(), Reader()
    monkeypatch.setattr(stored, "LARGE", 100)
    monkeypatch.setattr(stored, "CHUNK", 1000)
    kept = in_double(module)
    assert {name for name, value in module.named_parameters() if id(value) in kept} == {
        *("table.weight", "dense.weight", "own", "tied")
    }
    with torch.no_grad(), precision(True, kept):
        found = module(words)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, plain(words), rtol=1e-14, atol=1e-16)
