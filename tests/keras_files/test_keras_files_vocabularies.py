"""Layers that were adapted to a vocabulary: it lies beside the weights in a .keras file, and goes home with them."""

import numpy as np
import pytest
from test_keras_files_hostile import members, write

PART = ["topics", "embedding_1"]


@pytest.fixture(scope="module")
def saved(keras, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabularies")
    return folder / "model.keras", keras("make_vocabularies", folder=folder)


@pytest.fixture(scope="module")
def inputs(saved):
    text, look = saved[1]["text"]
    return {"numbers": [[5, 2, 0], [4, 8, 7]], "text": text, "look": look}


def test_adapted_layers_come_back_with_their_vocabulary(keras, saved, inputs):
    found = keras("part_outputs", path=saved[0], from_layer=PART, inputs=inputs)
    assert found["inputs"] == [["numbers", "int64"], ["text", "float32"], ["look", "int64"]]
    np.testing.assert_array_equal(found["outputs"], saved[1]["outputs"])


def test_the_vocabulary_goes_home_with_the_weights(keras, saved, inputs, tmp_path):
    assert keras("home_again", path=saved[0], to=tmp_path / "home.keras") == 6
    found = keras("part_outputs", path=tmp_path / "home.keras", from_layer=["out"], inputs={"join": [[1.0] * 16]})
    assert len(found["outputs"]) == 1
    found = keras("part_outputs", path=tmp_path / "home.keras", from_layer=PART, inputs=inputs)
    np.testing.assert_array_equal(found["outputs"], saved[1]["outputs"])


def test_a_full_h5_that_would_lose_the_vocabulary_is_refused(refusal, saved, tmp_path):
    text = r"(weighted|places): Keras leaves the vocabulary of adapted layers out of a full .h5. Write a .keras"
    refusal(text, job="home_again", path=saved[0], to=tmp_path / "home.h5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"0\n-1\n-1\n5\nten\n", r"places \(IntegerLookup\): its vocabulary is not one of int64"),
        (b"5\n5\n", r"places \(IntegerLookup\): its vocabulary does not fit the layer"),
        (b"", r"places \(IntegerLookup\): its vocabulary does not fit the layer: Cannot set an empty vocabulary"),
    ],
)
def test_a_damaged_vocabulary_is_told_so(refusal, saved, tmp_path, text, said):
    content = members(saved[0])
    name = next(name for name in content if name.startswith("assets/layers/integer_lookup/"))
    refusal(said, path=write(tmp_path / "a.keras", content | {name: text}))
