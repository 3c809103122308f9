"""ONNX's sequences, which are lists of tensors in Python. Each function stands alone."""

from __future__ import annotations

import torch
from torch import Tensor


def inserted(sequence: list[Tensor], x: Tensor, place: int | None = None) -> list[Tensor]:
    """The sequence with x before the element at a place, None: at the end."""
    place = len(sequence) if place is None else place
    return [*sequence[:place], x, *sequence[place:]]


def erased(sequence: list[Tensor], place: int = -1) -> list[Tensor]:
    """The sequence without the element at a place."""
    place = place % len(sequence)
    return [*sequence[:place], *sequence[place + 1 :]]


def split_up(x: Tensor, sizes: Tensor | None, axis: int, keep: bool) -> list[Tensor]:
    """x cut along an axis: into pieces of these sizes, of one size, or of size 1 (keep: the axis stays)."""
    if sizes is None:
        parts = x.split(1, axis)
        return [*parts] if keep else [part.squeeze(axis) for part in parts]
    return [*x.split(int(sizes) if sizes.ndim == 0 else sizes.tolist(), axis)]


def joined(sequence: list[Tensor], axis: int, new: bool) -> Tensor:
    """The elements along an axis, new: one that they don't have yet."""
    return torch.stack(sequence, axis) if new else torch.cat(sequence, axis)
