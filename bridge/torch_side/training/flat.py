"""Many parameters in one piece of memory, so that an optimizer updates them all by a handful of operations."""

from __future__ import annotations

from collections.abc import Sequence

import torch

MOST_BYTES = 1 << 30


def can_flatten(params: Sequence[torch.nn.Parameter]) -> bool:
    """Whether all of `params` have one dtype, one device and a dense layout, each in memory of its own.

    And are no more than what gains by it: moving them takes their memory twice.
    """
    return (
        len(params) > 1
        and sum(p.numel() * p.element_size() for p in params) <= MOST_BYTES
        and len({(p.dtype, p.device, p.layout) for p in params}) == 1
        and all(p.layout == torch.strided and _dense(p) for p in params)
        and len({p.untyped_storage().data_ptr() for p in params}) == len(params)
    )


def _dense(tensor: torch.Tensor) -> bool:
    """Whether the elements fill their memory without gaps or overlaps, in whatever order of the axes."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return tensor.numel() > 0


class Flat:
    """The values of `params` moved into one vector; each parameter becomes a view of it, strides kept.

    values: (n,) what the parameters now look into. grads: (n,) filled by `gather`, free to be overwritten after.
    """

    def __init__(self, params: Sequence[torch.nn.Parameter]):
        self.params = list(params)
        self.values = self.like([p.detach() for p in self.params])
        self.grads = torch.zeros_like(self.values)
        self.grad_parts = self.parts(self.grads)
        for param, view in zip(self.params, self.parts(self.values), strict=True):
            param.data = view

    def like(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        """A vector that holds `tensors`, one for each parameter, in the parameters' places."""
        vector = torch.empty(sum(p.numel() for p in self.params), dtype=tensors[0].dtype, device=tensors[0].device)
        for view, tensor in zip(self.parts(vector), tensors, strict=True):
            view.copy_(tensor)
        return vector

    def parts(self, vector: torch.Tensor) -> list[torch.Tensor]:
        """The views of `vector` that stand in the parameters' places."""
        views, start = [], 0
        for param in self.params:
            views.append(torch.as_strided(vector, param.shape, param.stride(), start))
            start += param.numel()
        return views

    def gather(self) -> bool:
        """Copies the parameters' gradients into `grads`; False if one of the parameters has none."""
        grads = [p.grad for p in self.params]
        if any(grad is None for grad in grads):
            return False
        torch._foreach_copy_(self.grad_parts, grads)
        return True

    def holds_values(self) -> bool:
        """Whether every parameter still looks into `values` (nobody has replaced its `.data`)."""
        return all(
            p.data_ptr() == view.data_ptr() for p, view in zip(self.params, self.parts(self.values), strict=True)
        )

    def release(self) -> None:
        """Gives every parameter memory of its own again."""
        for param in self.params:
            param.data = param.detach().clone(memory_format=torch.preserve_format)
