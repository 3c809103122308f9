"""Arrays as tensors, and batches out of them: a chunk of rows is picked at once and then cut, without a copy."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from bridge.errors import BridgeError

CHUNK_BYTES = 1 << 20  # stays in the processor's cache until it is used
HELD = 0.25  # of a GPU's free memory, which the data may fill


def device_for(name: str) -> torch.device:
    """The device called `name`; "auto" is cuda, else mps, else cpu. Raises BridgeError if it isn't there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    kind = name.partition(":")[0]
    if kind not in there or not there[kind]:
        usable = ", ".join(["auto", *(kind for kind, usable in there.items() if usable)])
        raise BridgeError(f"device {name!r} can't be used by this PyTorch on this machine.\nChoose one of {usable}.")
    return torch.device(name)


def tensor(array: np.ndarray) -> torch.Tensor:
    """`array` as a tensor, without a copy where torch can look into its memory."""
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable")  # memory-mapped data: training never writes to it
        return torch.from_numpy(np.ascontiguousarray(array))


def columns(module: nn.Module, x: np.ndarray | Mapping[str, np.ndarray]) -> list[torch.Tensor]:
    """The inputs as tensors, in the order in which `module.forward` takes them."""
    if isinstance(x, np.ndarray):
        return [tensor(x)]
    names = getattr(module, "input_names", tuple(x))
    if missing := [name for name in names if name not in x]:
        raise BridgeError(f"the data has no input {missing[0]!r}.\nThe network has the inputs {', '.join(names)}.")
    return [tensor(x[name]) for name in names]


@dataclass(frozen=True)
class Rows:
    """Inputs and targets, row by row beside each other.

    inputs: tensors (rows, ...). targets: the same, one for each output.
    """

    inputs: list[torch.Tensor]
    targets: list[torch.Tensor]

    def __post_init__(self) -> None:
        counts = {len(column) for column in (*self.inputs, *self.targets)}
        if len(counts) != 1:
            raise BridgeError(f"the data's inputs and targets have different numbers of rows: {sorted(counts)}.")
        if counts == {0}:
            raise BridgeError("the data has no rows.")

    def __len__(self) -> int:
        return len(self.inputs[0])

    def near(self, device: torch.device) -> Rows:
        """These rows on `device` if it is a CUDA device with room for them: then no batch waits for its copy."""
        every = (*self.inputs, *self.targets)
        size = sum(column.numel() * column.element_size() for column in every)
        if device.type != "cuda" or size > HELD * torch.cuda.mem_get_info(device)[0]:
            return self
        return Rows([column.to(device) for column in self.inputs], [column.to(device) for column in self.targets])

    def batches(
        self, batch: int, device: torch.device, order: torch.Tensor | None = None
    ) -> Iterator[tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]]:
        """(inputs, targets) of `batch` rows each on `device`, the last one smaller; in `order` or as they lie.

        In `order`, inputs stay valid for a chunk only: the next one is picked into the same memory, which saves the
        system from handing out fresh pages again and again. Targets stay valid.
        """
        every = (*self.inputs, *self.targets)
        row_bytes = sum(column[0].numel() * column.element_size() for column in every)
        chunk = max(1, CHUNK_BYTES // max(1, row_bytes * batch)) * batch
        places = [torch.empty_like(column[:chunk]) for column in self.inputs] if order is not None else []
        if order is not None:
            order = order.to(every[0].device)
        for start in range(0, len(self), chunk):
            if order is None:
                picked = [column[start : start + chunk] for column in every]
            else:
                rows = order[start : start + chunk]
                picked = [
                    torch.index_select(column, 0, rows, out=place[: len(rows)])
                    for column, place in zip(self.inputs, places, strict=True)
                ]
                picked += [column.index_select(0, rows) for column in self.targets]
            parts = [column.to(device).split(batch) for column in picked]
            for cut in zip(*parts, strict=True):
                yield cut[: len(self.inputs)], cut[len(self.inputs) :]


def order(rows: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of an epoch's rows: it depends on these numbers only, so a resumed run needs no state for it."""
    mixed = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(mixed >> np.uint64(1)))
    return torch.randperm(rows, generator=generator)
