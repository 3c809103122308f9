"""Fine-tuning: Keras's training loop on a torch module, batch by batch the same numbers, without its overhead."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bridge.errors import BridgeError
from bridge.torch_side.training import checkpoint as checkpoints
from bridge.torch_side.training.feed import Rows, columns, device_for, order
from bridge.torch_side.training.freeze import train_mode
from bridge.torch_side.training.history import History
from bridge.torch_side.training.lookups import recorded
from bridge.torch_side.training.metrics import Running
from bridge.torch_side.training.objective import SHOWN, Loss, Objective, Targets
from bridge.torch_side.training.optimizers import KerasOptimizer
from bridge.torch_side.training.optimizers import optimizer as make_optimizer
from bridge.torch_side.training.resume import Best, checksum, frozen_checksum, restore, saved, settings

Inputs = np.ndarray | Mapping[str, np.ndarray]
ONE_THREAD_BELOW = 1_000_000  # multiplications a row; smaller networks lose more to waking threads than they win


def fit(
    module: nn.Module,
    x: Inputs,
    y: Targets,
    *,
    validation: tuple[Inputs, Targets] | None = None,
    optimizer: str | dict[str, Any] = "adam",
    learning_rate: float | None = None,
    loss: Loss = None,
    epochs: int = 10,
    batch: int = 32,
    seed: int = 0,
    shuffle: bool = True,
    device: str = "auto",
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
    checkpoint: Path | None = None,
    resume: bool | Path = False,
    asked: Mapping[str, Any] | None = None,
) -> History:
    """Trains the parameters of `module` that require gradients; it ends with the best epoch's weights, on its device.

    x: (rows, ...) or {input name: (rows, ...)}, float32 as the network takes it. y: targets by row, by output name
    where there are several. loss: a Keras name, None to choose by the final activation and the targets.
    optimizer: "adam" or {"name": "adam", "beta_1": 0.8}. on_epoch: called with each epoch's row of the history.
    on_step: called every few steps with (steps done in this epoch, steps of an epoch).
    checkpoint: folder that gets the run's state after each epoch; with `resume` a run found there (or in the folder
    that `resume` is) goes on, and ends bit for bit where the uninterrupted one would have.
    asked: what else a run must share with the one that it continues.
    Raises BridgeError for data, options or a checkpoint that don't fit, and when the loss is no longer finite.
    """
    if epochs < 1 or batch < 1:
        raise BridgeError(f"epochs and batch must be at least 1, found {epochs} and {batch}.")
    if seed < 0:
        raise BridgeError(f"seed must be a whole number >= 0, found {seed}.")
    target_device, home = device_for(device), next(module.parameters(), torch.empty(0)).device
    module.to(target_device)
    inputs = columns(module, x)
    objective = Objective(module, [column[:SHOWN].to(target_device) for column in inputs], y, loss)
    data = Rows(inputs, objective.targets(y)).near(target_device)
    held_out = validation and Rows(
        columns(module, validation[0]), objective.targets(validation[1], "the validation targets")
    ).near(target_device)
    stepper = make_optimizer(optimizer, _trainable(module), learning_rate)
    keeper = Best("val_loss" if held_out else "loss", checkpoint)
    history = History(settings=settings(stepper, objective, module, keeper))
    history.settings |= {"batch": batch, "seed": seed, "shuffle": shuffle, "rows": len(data)}
    history.settings |= {"validation rows": len(held_out) if held_out else 0, **(asked or {})}
    if checkpoint is not None:
        history.settings["frozen weights (checksum)"] = frozen_checksum(module)
        history.settings["data (checksum)"] = checksum(data)
        history.settings["validation (checksum)"] = checksum(held_out) if held_out else 0
    with (
        _quiet_machine(module, inputs, target_device),
        torch.random.fork_rng(_forked(target_device)),
        recorded(module, stepper.squares) if stepper.squares_lookups else nullcontext(),
    ):
        torch.manual_seed(seed)
        begun = checkpoint if resume is True else resume or None
        if begun is not None and (state := checkpoints.read(begun)) is not None:
            checkpoints.check_same(begun, state.facts["settings"], history.settings)
            restore(state, begun, module, stepper, history, keeper)
        elif checkpoint is not None:
            checkpoints.remove(checkpoint)  # an older run's, which must not be taken for this one's
        stepper.flatten()
        try:
            for epoch in range(len(history.rows) + 1, epochs + 1):
                started = time.perf_counter()
                row: dict[str, float] = {"epoch": epoch}
                shuffled = order(len(data), seed, epoch) if shuffle else None
                running = _train_epoch(module, objective, stepper, data, batch, epoch, shuffled, on_step)
                row |= running.means()
                if held_out:
                    row |= {
                        f"val_{name}": value for name, value in evaluate(module, objective, held_out, batch).items()
                    }
                history.losses += running.losses
                history.rows.append(row)
                history.seconds.append(time.perf_counter() - started)
                history.best = keeper.see(module, row)
                if checkpoint is not None:
                    saved(module, stepper, history, keeper, target_device).write(checkpoint)
                    keeper.keep(keeper.state, checkpoint / checkpoints.NAME)
                if on_epoch is not None:
                    on_epoch(row)
        finally:
            stepper.unflatten()
    keeper.give(module)
    module.to(home)
    module.eval()
    return history


def train_steps(
    module: nn.Module,
    optimizer: str | dict[str, Any],
    loss: Loss,
    x: Inputs,
    y: Targets,
    batch: int = 32,
    steps: int | None = None,
    epochs: int = 1,
) -> dict[str, Any]:
    """Trains `module` on the CPU on the rows in their order; the counterpart of keras_side.running.train.train_steps.

    Returns {"weights": {state_dict key: array}, "losses": (steps,) the loss of each batch before its step, "logits":
    whether each output's cross-entropy was taken from it as logits}.
    """
    inputs = columns(module, x)
    objective = Objective(module, [column[:SHOWN] for column in inputs], y, loss)
    data = Rows(inputs, objective.targets(y))
    stepper = make_optimizer(optimizer, _trainable(module))
    left = steps if steps is not None else epochs * -(-len(data) // batch)
    losses: list[float] = []
    with _quiet_machine(module, inputs, torch.device("cpu")), recorded(module, stepper.squares):
        stepper.flatten()
        try:
            while left > 0:
                part = Rows([c[: left * batch] for c in data.inputs], [c[: left * batch] for c in data.targets])
                losses += _train_epoch(module, objective, stepper, part, batch, 1, None, None).losses
                left = (steps or 0) - len(losses) if steps is not None else left - len(losses)
        finally:
            stepper.unflatten()
    weights = {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}
    logits = [name in objective.from_logits for name in objective.names]
    return {"weights": weights, "losses": np.array(losses), "logits": logits}


def evaluate(module: nn.Module, objective: Objective, data: Rows, batch: int) -> dict[str, float]:
    """Loss and accuracy of `module` in inference mode, every row with the same weight."""
    module.eval()
    running = Running(objective.accuracies)
    device = next(module.parameters(), torch.empty(0)).device
    with torch.no_grad():
        for inputs, targets in data.batches(max(batch, 256), device):
            value, predictions = objective(inputs, targets)
            running.add(value, predictions, targets)
    return running.means()


def _train_epoch(
    module: nn.Module,
    objective: Objective,
    stepper: KerasOptimizer,
    data: Rows,
    batch: int,
    epoch: int,
    shuffled: torch.Tensor | None,
    on_step: Callable[[int, int], None] | None,
) -> Running:
    train_mode(module)
    running = Running(objective.accuracies)
    constrain = getattr(module, "constrain", None)
    update, clear, add, steps = stepper.apply, stepper.clear, running.add, -(-len(data) // batch)
    no_grad = torch.no_grad()
    device = next(module.parameters()).device
    for inputs, targets in data.batches(batch, device, shuffled):
        value, predictions = objective(inputs, targets)
        value.backward()
        with no_grad:
            update()
            if constrain is not None:
                constrain()
        clear()
        if add(value, predictions, targets):
            _check_finite(running, epoch, stepper)
            if on_step is not None:
                on_step(len(running.losses), steps)
    running.compute()
    _check_finite(running, epoch, stepper)
    assert stepper.holds_values(), "a parameter's .data was replaced during training"
    return running


def _check_finite(running: Running, epoch: int, stepper: KerasOptimizer) -> None:
    recent = running.losses[-running.chunk :]
    if np.isfinite(recent).all():
        return
    bad = len(running.losses) - len(recent) + int(np.flatnonzero(~np.isfinite(recent))[0]) + 1
    rate = stepper.param_groups[0]["lr"]
    raise BridgeError(
        f"the loss became {running.losses[bad - 1]} at step {bad} of epoch {epoch}.\n"
        f"Try a smaller --learning-rate (now {rate:g}), scaled inputs (--scale 255), or clipnorm in the optimizer."
    )


def _trainable(module: nn.Module) -> list[nn.Parameter]:
    params = [p for p in module.parameters() if p.requires_grad]
    if not params:
        raise BridgeError("the network has no trainable parameter: all of them are frozen. Freeze fewer.")
    return params


def _forked(device: torch.device) -> list[int]:
    return [device.index or 0] if device.type == "cuda" else []


@contextmanager
def _quiet_machine(module: nn.Module, inputs: list[torch.Tensor], device: torch.device) -> Iterator[None]:
    """One thread for a small network, and no denormal numbers: TensorFlow has none, and they are slow."""
    threads, flushed = torch.get_num_threads(), float(torch.tensor([1e-40]) * 1.0) == 0.0
    small = sum(p.numel() for p in module.parameters()) < ONE_THREAD_BELOW and all(c.dim() == 2 for c in inputs)
    if device.type == "cpu" and small:
        torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(threads)
