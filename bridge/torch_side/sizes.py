"""Inputs whose sizes a model leaves open, and which it can't be computed for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from bridge.errors import OTHER_SIZE, BridgeError, shortage
from bridge.torch_side.writing.build import is_built, plan_of


@contextlib.contextmanager
def told_of_sizes(module: nn.Module, inputs: Sequence[Tensor], origin: str = "") -> Iterator[None]:
    """Raises BridgeError where a model of open sizes fails on the user's inputs: it was proved on others.

    origin: what the user calls the data.
    """
    try:
        yield
    except (RuntimeError, IndexError) as error:
        graph = plan_of(module).graph if is_built(module) else None
        if shortage(error) or graph is None or all(None not in (value.shape or ())[1:] for value in graph.inputs):
            raise
        shapes = ", ".join(f"{v.name} {tuple(x.shape)}" for v, x in zip(graph.inputs, inputs, strict=False))
        said = str(error).strip().partition("\n")[0]
        raise BridgeError(
            f"{origin}{graph.name} can't be computed for inputs of {shapes}: {said[:200]}\n{OTHER_SIZE}"
        ) from error
