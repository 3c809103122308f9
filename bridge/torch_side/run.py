"""Running a module on numpy arrays."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from bridge.graph import stored


class _InDouble(TorchFunctionMode):
    """What makes float32 of a tensor, as a model does with bytes, or a new one, as its first state, makes float64.

    kept: tensors that are float32 still, and become float64 where something is computed with them.
    """

    def __init__(self, kept: dict[int, Tensor]):
        super().__init__()
        self.kept = kept

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.to:
            args = tuple(torch.float64 if arg is torch.float32 else arg for arg in args)
        elif kwargs.get("dtype") is torch.float32 and (
            # a range from, to, by is the model's; bridge's functions count pixels, in float32 as TensorFlow does
            (func is torch.arange and len(args) > 1) or (func is torch.full and args and args[0])
        ):
            kwargs = {**kwargs, "dtype": torch.float64}
        if self.kept and args and func in _TURNS and id(args[0]) in self.kept:
            result = func(*args, **kwargs)
            self.kept[id(result)] = result  # it has the same memory, and is float32 still
            return result
        if self.kept and getattr(func, "__name__", "__get__") not in _TELL:
            if func in _LOOKUPS:  # of a table only the rows that are looked up
                result = func(*args, **kwargs)
                return result.double() if result.dtype == torch.float32 else result
            if func is F.linear and len(args) > 1 and id(args[1]) in self.kept:
                return _by_rows(self._widened(args[0]), *args[1:], **kwargs)
            if func in _PRODUCTS and len(args) > 1 and id(args[1]) in self.kept:
                x, weight = self._widened(args[0]), args[1]
                if x.dim() > 1 and weight.dim() == 2:
                    return _by_rows(x, weight.T)
            args, kwargs = tree_map(self._widened, (args, kwargs))
        return (Tensor.double if func is Tensor.float else func)(*args, **kwargs)

    def _widened(self, value: Any) -> Any:
        return value.double() if id(value) in self.kept else value


_LOOKUPS = (F.embedding, torch.embedding)
_TURNS = (
    *(Tensor.permute, torch.permute, Tensor.transpose, torch.transpose, Tensor.t, torch.t),
    *(Tensor.T.__get__, Tensor.mT.__get__),  # type: ignore[attr-defined]
)
_PRODUCTS = (Tensor.__matmul__, Tensor.matmul, torch.matmul)
_TELL = ("__get__", "__set__", "size", "dim", "numel", "element_size", "is_floating_point", "is_complex", "detach")


def _by_rows(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """F.linear in float64 with a float32 weight, some rows of it at a time."""
    rows = max(1, stored.CHUNK // (8 * weight.shape[1]))
    y = torch.cat([F.linear(x, part.double()) for part in weight.split(rows)], -1)
    return y if bias is None else y + bias.double()


def in_double(module: nn.Module) -> dict[int, Tensor]:
    """Makes a module float64, in place, but for its large tensors; returns these, for `precision`.

    A recurrent layer of torch's own is float64 as a whole, because it looks at the type of its weights.
    """
    kept: dict[int, Tensor] = {}

    def wide(tensor: Tensor) -> Tensor:
        if tensor.dtype == torch.float32 and tensor.nbytes > stored.LARGE:
            return tensor
        return tensor.double() if tensor.is_floating_point() else tensor

    for part in module.modules():
        if isinstance(part, nn.RNNBase):
            part.double()
    module._apply(wide)
    for tensor in itertools.chain(module.parameters(), module.buffers()):
        if tensor.dtype == torch.float32:
            kept[id(tensor)] = tensor
    return kept


def precision(double: bool, kept: dict[int, Tensor] | None = None) -> contextlib.AbstractContextManager[Any]:
    """The context in which, if `double`, a module with float64 parameters computes in float64 whatever comes in.

    kept: its tensors that are float32 still, as in_double tells them.
    """
    return _InDouble(kept or {}) if double else contextlib.nullcontext()


def run(
    module: nn.Module, inputs: dict[str, np.ndarray], *, double: bool = False, given_up: bool = False
) -> dict[str, np.ndarray]:
    """The module's outputs in evaluation mode, by output name. inputs: by name, (rows, ...).

    double: in float64, on a copy of the module, or on itself if the caller has given it up.
    """
    from bridge.torch_side.writing.build import plan_of

    kept = None
    if double:
        from copy import deepcopy

        module = module if given_up else deepcopy(module)
        kept = in_double(module)
    plan, training = plan_of(module), module.training
    device = next(module.parameters(), torch.empty(0)).device
    tensors = [torch.from_numpy(np.ascontiguousarray(inputs[value.name])).to(device) for value in plan.graph.inputs]
    if double:
        tensors = [t.double() if t.is_floating_point() else t for t in tensors]
    module.eval()
    with torch.no_grad(), precision(double, kept):
        result = module(*tensors)
    module.train(training)
    named = result if isinstance(result, dict) else {plan.graph.outputs[0].name: result}
    return {name: tensor.cpu().numpy() for name, tensor in named.items()}
