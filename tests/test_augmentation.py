"""Layers that change images in training: what they draw, against what Keras drew for the same image in many rows."""

import numpy as np
import pytest
import torch
from layer_cases_image import DRAWN, IN_TRAINING

from bridge.graph.bodies.augmentation import lacks
from bridge.graph.layer import LACKED

LACKING = [case for case in IN_TRAINING if case.kind in LACKED]
ALIVE = [case for case in IN_TRAINING if case.kind not in LACKED]
CROPS = [case for case in DRAWN if case.kind == "RandomCrop"]  # one draw a batch


def _trained(recording):
    x, expected = recording.under("noise")["x"], recording.under("noise")["y"]
    with torch.no_grad():
        return x, recording.module().train()(torch.from_numpy(x.copy())).numpy(), expected


@pytest.mark.parametrize("case", [case for case in ALIVE if str(case) not in {*map(str, CROPS)}], ids=str)
def test_images_change_as_in_kerass_training(case, recorded):
    """Each number over the rows has Keras's distribution; where Keras has nothing to draw, it is Keras's number."""
    torch.manual_seed(0)
    x, y, expected = _trained(recorded(case))
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    drawn = np.ptp(expected, axis=0) > 1e-6
    if not drawn.any():
        assert expected.shape != x.shape or not np.allclose(expected, x)
        np.testing.assert_allclose(y, expected, rtol=0, atol=2e-6)
        return
    ours, kerass = (np.sort(a.reshape(len(a), -1)[:, drawn.ravel()], axis=0) for a in (y, expected))
    places = np.linspace(0, len(x) - 1, 41).astype(int)
    for column in range(ours.shape[1]):
        # Kolmogorov-Smirnov: 0.062 apart happens once in 100,000 pairs of 3,000 draws
        for a, b in ((ours, kerass), (kerass, ours)):
            values = a[places, column]
            below = [
                np.searchsorted(a[:, column], values - 1e-5),
                np.searchsorted(b[:, column], values + 1e-5, "right"),
            ]
            assert ((below[0] - below[1]) / len(x) < 0.062).all()
    spread = ours[-1] - ours[0]
    np.testing.assert_allclose(spread, kerass[-1] - kerass[0], rtol=0.05, atol=0.02)
    assert len(np.unique(y.round(4), axis=0)) == pytest.approx(len(np.unique(expected.round(4), axis=0)), rel=0.1)


@pytest.mark.parametrize("case", CROPS, ids=str)
def test_a_batch_is_cropped_at_one_random_place(case, recorded):
    torch.manual_seed(0)
    x, expected = recorded(case).under("noise")["x"][:2], recorded(case).under("noise")["y"]
    module, places = recorded(case).module().train(), set()
    for _ in range(150):
        y = module(torch.from_numpy(x)).numpy()
        assert np.array_equal(y[0], y[1])
        places.add(y[0].tobytes())
    first = case.options.get("data_format") == "channels_first"
    height, width = case.shapes[0][1:] if first else case.shapes[0][:2]
    assert len(places) == (height - case.options["height"] + 1) * (width - case.options["width"] + 1)
    assert expected[0].tobytes() in places
    assert not np.ptp(expected, axis=0).any()


@pytest.mark.parametrize("case", LACKING, ids=str)
def test_what_training_lacks_in_torch_is_told(case, recorded):
    recording = recorded(case)
    x, y, expected = _trained(recording)
    assert np.array_equal(y, x)
    # these mix the same images here; and those of Keras 2 stand for layers that Keras 3 doesn't have
    same = ("CutMix", "MixUp", "RandomHeight", "RandomWidth")
    assert case.kind in same or not np.allclose(expected, x)
    (line,) = lacks(recording.graph)
    assert line.startswith(f"Training in torch will lack layer ({case.kind}), which in Keras's training ")


@pytest.mark.parametrize("case", ALIVE, ids=str)
def test_nothing_is_lacking_where_torch_does_the_same(case, recorded):
    assert lacks(recorded(case).graph) == ()
