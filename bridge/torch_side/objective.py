"""What a training run minimises: the network's outputs, the losses on them, and its own penalties."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from bridge.errors import BridgeError
from bridge.torch_side import losses
from bridge.torch_side.metrics import Metric, accuracy_for

Loss = str | Mapping[str, str] | None
Targets = np.ndarray | Mapping[str, np.ndarray]
ACTIVATION = {"softmax": lambda logits: logits.softmax(-1), "sigmoid": torch.sigmoid}


class Objective:
    """The loss of `module` on a batch, through its logits where Keras would go through them.

    inputs: a few rows that show the outputs' shapes. loss: a name, one for each output, or None to choose.
    """

    def __init__(self, module: nn.Module, inputs: Sequence[torch.Tensor], y: Targets, loss: Loss):
        outputs = _outputs_of(module, inputs)
        self.names: tuple[str, ...] = tuple(outputs)
        self.shapes = {name: tuple(output.shape[1:]) for name, output in outputs.items()}
        self.final: str | None = getattr(module, "final", None) if hasattr(module, "logits") else None
        given = self._by_output(y, "targets")
        self.losses = {
            name: losses.choose(self.final, self.shapes[name], given[name]) if loss is None else losses.known(chosen)
            for name, chosen in self._by_output(loss or "", "loss").items()
        }
        first = self.names[0]
        self.loss_name = self.losses[first] if len(self.names) == 1 else "+".join(self.losses.values())
        self.logits = len(self.names) == 1 and losses.through_logits(self.loss_name, self.final)
        functions = losses.FROM_LOGITS if self.logits else losses.FROM_OUTPUT
        self._functions = [functions[self.losses[name]] for name in self.names]
        self._call: Callable[..., object] = module.logits if self.logits else module  # type: ignore[assignment]
        self._penalty: Callable[[], torch.Tensor] | None = getattr(module, "penalty", None)
        self.accuracy_name, self.accuracy = self._accuracy() if len(self.names) == 1 else (None, None)

    def targets(self, y: Targets, origin: str = "the targets") -> list[torch.Tensor]:
        """The targets as tensors, in the outputs' order. Raises BridgeError if they don't fit."""
        given = self._by_output(y, "targets")
        return [losses.target_tensor(self.losses[n], np.asarray(given[n]), self.shapes[n], origin) for n in self.names]

    def __call__(
        self, inputs: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean loss, prediction): the prediction is the first output or its logits."""
        result = self._call(*inputs)
        outputs = [result[name] for name in self.names] if isinstance(result, dict) else [result]
        loss = self._functions[0](outputs[0], targets[0])
        for function, output, target in zip(self._functions[1:], outputs[1:], targets[1:], strict=True):
            loss = loss + function(output, target)
        if self._penalty is not None:
            loss = loss + self._penalty()
        return loss, outputs[0]

    def _accuracy(self) -> tuple[str | None, Metric | None]:
        found = accuracy_for(self.loss_name, self.shapes[self.names[0]])
        if found is None:
            return None, None
        name, metric = found
        if self.logits and self.loss_name == losses.BINARY:
            activation = ACTIVATION[str(self.final)]
            return name, lambda logits, target: metric(activation(logits), target)
        return name, metric

    def _by_output(self, given: object, what: str) -> dict:
        if not isinstance(given, Mapping):
            if len(self.names) > 1 and what == "targets":
                raise BridgeError(
                    f"the network has the outputs {', '.join(self.names)}: give targets for each by name."
                )
            return dict.fromkeys(self.names, given)
        if len(given) == 1 and len(self.names) == 1:
            return {self.names[0]: next(iter(given.values()))}
        if missing := [name for name in self.names if name not in given]:
            raise BridgeError(f"no {what} for the output {missing[0]!r}.\nThe outputs are {', '.join(self.names)}.")
        return {name: given[name] for name in self.names}


def _outputs_of(module: nn.Module, inputs: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    training = [part for part in module.modules() if part.training]
    module.eval()
    with torch.no_grad():
        outputs = module(*inputs)
    for part in training:
        part.training = True
    return outputs if isinstance(outputs, dict) else {"output": outputs}
