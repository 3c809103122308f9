"""Gradients of embeddings as Keras has them on TensorFlow: a row for each lookup; rows that repeat are not added up.

Its optimizers square such a gradient row by row: a token that stands twice in a batch adds g1**2 + g2**2 to Adam's
velocity, not (g1 + g2)**2. Where a weight is used in another way too (tied logits, a regularizer), TensorFlow adds all
up first, and the square is that of the sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bridge.errors import BridgeError
from bridge.torch_side.writing.build import plan_of

Squares = dict[nn.Parameter, Tensor]


@contextmanager
def recorded(module: nn.Module, squares: Squares) -> Iterator[None]:
    """While this lasts, every backward pass adds the squares of the lookups' gradients to `squares`, by weight."""
    handles = [
        part.register_forward_hook(lambda part, given, y: _watch(part.weight, given[0], y, squares))
        for part in _only_looked_up(module)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _watch(weight: nn.Parameter, index: Tensor, y: Tensor, squares: Squares) -> None:
    def add(gradient: Tensor) -> None:
        rows = gradient.reshape(-1, weight.shape[1])
        total = squares.setdefault(weight, torch.zeros_like(weight))
        total.index_add_(0, index.reshape(-1), rows.square())

    if y.requires_grad:
        y.register_hook(add)


def _only_looked_up(module: nn.Module) -> list[nn.Embedding]:
    """The trained embeddings whose weight has no other use."""
    owners = [id(p) for part in module.modules() for p in part.parameters(recurse=False)]
    also: set[int] = set()
    try:
        plan = plan_of(module)
    except BridgeError:  # a module of the user's own: nothing is known of its code
        pass
    else:
        read = {name for step in plan.all_steps if step.node.layer is None for name in step.node.inputs}
        keys = [m.key for path, m in plan.moves.items() if path in read or m.weight.regularizer is not None]
        also = {id(p) for key, p in module.named_parameters() if key in keys}
    return [
        part
        for part in module.modules()
        if type(part) is nn.Embedding
        and part.weight.requires_grad
        and owners.count(id(part.weight)) == 1
        and id(part.weight) not in also
    ]
