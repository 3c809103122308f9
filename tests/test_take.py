"""How a Keras weight becomes a torch tensor, and back."""

import numpy as np
import pytest

from bridge.torch_side.writing.part import Take

DEPTHWISE = ((2, 3), (), 0, 1)
MOVES = {
    "identity": None,
    "transpose": (1, 0),
    "permute (3, 2, 0, 1)": (3, 2, 0, 1),
    "permute ((2, 3), (), 0, 1)": DEPTHWISE,
}


@pytest.mark.parametrize(("move", "axes"), MOVES.items())
def test_a_move_comes_home_and_is_found_by_its_name(move, axes):
    keras = np.arange(24.0).reshape((4, 6) if move == "transpose" else (1, 2, 3, 4))
    take = Take("kernel", axes)
    assert str(take) == move
    assert Take.named("kernel", move) == take
    torch = take.to_torch(keras)
    assert tuple(torch.shape) == take.shape(keras.shape)
    assert take.to_keras(torch, keras.shape).tobytes() == keras.tobytes()


def test_merged_axes_follow_each_other():
    keras = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)  # height, width, in, multiplier
    torch = Take("kernel", DEPTHWISE).to_torch(keras)
    assert tuple(torch.shape) == (20, 1, 2, 3)
    assert all(torch[5 * i + m, 0, h, w] == keras[h, w, i, m] for h, w, i, m in np.ndindex(2, 3, 4, 5))


def test_a_keras_axis_is_found_in_the_torch_tensor():
    take = Take("kernel", DEPTHWISE)  # taken apart: in, multiplier, 1, height, width
    assert [take.axis(axis, 4) for axis in (0, 1, 2, 3, -1)] == [3, 4, 0, 1, 1]
    assert take.merged((2, 3, 4, 5)) == {0: (4, 5)}


@pytest.mark.parametrize("move", ["permute", "permute (0, -1)", "permute (0, ((1)))", "permute (1, __import__)"])
def test_what_is_no_order_of_axes_is_no_move(move):
    with pytest.raises(ValueError, match="unknown move"):
        Take.named("kernel", move)


@pytest.mark.parametrize("move", ["permute (0, 2)", "permute (0, 0)", "permute ((0, 1), 1)", "permute (2, 1, 0)"])
def test_an_order_of_other_axes_does_not_fit(move):
    assert not Take.named("kernel", move).fits(2)
