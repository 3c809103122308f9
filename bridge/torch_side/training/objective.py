"""What a training run minimises: the network's outputs, the losses on them, and its own penalties."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from bridge.errors import BridgeError
from bridge.graph.ending import ends_linear
from bridge.torch_side.sizes import told_of_sizes
from bridge.torch_side.training import losses
from bridge.torch_side.training.metrics import Metric, accuracy_for
from bridge.torch_side.writing.build import is_built, plan_of

Loss = str | Mapping[str, str] | None
Targets = np.ndarray | Mapping[str, np.ndarray]
SHOWN = 16  # rows that an objective is shown
Activate = Callable[[torch.Tensor], torch.Tensor]
ACTIVATION: dict[str, Activate] = {"softmax": lambda logits: logits.softmax(-1), "sigmoid": torch.sigmoid}


class Objective:
    """The loss of `module` on a batch, through its logits where Keras would go through them.

    inputs: the first rows, by which the outputs' shapes are known, and whether they can be probabilities.
    loss: a name, one for each output, or None to choose. origin: what the user calls the data.
    from_logits: the outputs that are logits to their cross-entropy as they are: no softmax or sigmoid at their end.
    """

    def __init__(self, module: nn.Module, inputs: Sequence[torch.Tensor], y: Targets, loss: Loss, origin: str = ""):
        self._origin = f"{origin}: " if origin else ""
        outputs = _outputs_of(module, inputs, self._origin)
        self.names: tuple[str, ...] = tuple(outputs)
        self.shapes = {name: tuple(output.shape[1:]) for name, output in outputs.items()}
        finals = getattr(module, "final", None) if hasattr(module, "logits") else None
        finals = finals if isinstance(finals, Mapping) else {self.names[0]: finals}
        given = self._by_output(y, "targets")
        self.losses = {
            name: losses.choose(finals.get(name), self.shapes[name], given[name])
            if not chosen
            else losses.known(chosen)
            for name, chosen in self._by_output(loss or "", "loss").items()
        }
        self.loss_name = "+".join(self.losses.values())
        through = [losses.through_logits(self.losses[name], finals.get(name)) for name in self.names]
        open_ended = [n for n in self.names if not finals.get(n) and self.losses[n] in losses.CROSS_ENTROPIES]
        linear = _linear(module, self.names) if open_ended else {}
        self.from_logits = [n for n in open_ended if losses.are_logits(outputs[n], linear.get(n, False))]
        self.logits = any(through)
        self._call: Callable[..., object] = module.logits if self.logits else module  # type: ignore[assignment]
        self._functions = [
            (losses.FROM_LOGITS if straight or name in self.from_logits else losses.FROM_OUTPUT)[self.losses[name]]
            for name, straight in zip(self.names, through, strict=True)
        ]
        # what logits() left out of the outputs: those whose loss is not taken through it get it back here
        left_out = [ACTIVATION.get(finals.get(name) or "") if self.logits else None for name in self.names]
        self._activations = [None if straight else a for straight, a in zip(through, left_out, strict=True)]
        self._penalty: Callable[[], torch.Tensor] | None = getattr(module, "penalty", None)
        last = [a if s else None for s, a in zip(through, left_out, strict=True)]
        last = [torch.sigmoid if n in self.from_logits else a for n, a in zip(self.names, last, strict=True)]
        self.accuracies = self._accuracies(last)

    def targets(self, y: Targets, origin: str = "the targets") -> list[torch.Tensor]:
        """The targets as tensors, in the outputs' order. Raises BridgeError if they don't fit."""
        given = self._by_output(y, "targets")
        called = {n: f"{origin}_{n}" if origin.endswith(": y") and len(self.names) > 1 else origin for n in self.names}
        return [
            losses.target_tensor(self.losses[n], np.asarray(given[n]), self.shapes[n], called[n]) for n in self.names
        ]

    def __call__(
        self, inputs: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(mean loss, each output or its logits): several outputs' losses are added up, as Keras does."""
        result = self._call(*inputs)
        outputs = [result[name] for name in self.names] if isinstance(result, dict) else [result]
        if len(outputs) > 1:
            pairs = zip(outputs, self._activations, strict=True)
            outputs = [activate(output) if activate else output for output, activate in pairs]
        loss = self._functions[0](outputs[0], targets[0])
        for function, output, target in zip(self._functions[1:], outputs[1:], targets[1:], strict=True):
            loss = loss + function(output, target)
        if self._penalty is not None:
            loss = loss + self._penalty()
        return loss, outputs

    def _accuracies(self, activations: list[Activate | None]) -> dict[str, tuple[int, Metric]]:
        """By the name in the history: accuracy, or, of several outputs, OUTPUT_accuracy. activations: of logits."""
        found = {}
        for number, (name, activate) in enumerate(zip(self.names, activations, strict=True)):
            known = accuracy_for(self.losses[name], self.shapes[name])
            if known is None:
                continue
            title, metric = known
            if activate is not None and self.losses[name] == losses.BINARY:
                metric = _after(activate, metric)
            found[title if len(self.names) == 1 else f"{name}_{title}"] = (number, metric)
        return found

    def _by_output(self, given: object, what: str) -> dict:
        if not isinstance(given, Mapping):
            if len(self.names) > 1 and what == "targets":
                raise BridgeError(
                    f"{self._origin}the network has the outputs {', '.join(self.names)}: "
                    "give targets for each by name.\n"
                    f"In an .npz these are the arrays {', '.join(f'y_{name}' for name in self.names)}."
                )
            return dict.fromkeys(self.names, given)
        if len(given) == 1 and len(self.names) == 1:
            return {self.names[0]: next(iter(given.values()))}
        if missing := [name for name in self.names if name not in given]:
            raise BridgeError(
                f"{self._origin}no {what} for the output {missing[0]!r}, only for {', '.join(given)}.\n"
                f"The network's outputs are {', '.join(self.names)}; each needs {what}"
                + (", y_NAME in an .npz." if what == "targets" else ".")
            )
        return {name: given[name] for name in self.names}


def _linear(module: nn.Module, names: Sequence[str]) -> dict[str, bool]:
    """Whether each output ends in a linear map, as far as bridge knows the module."""
    if not is_built(module):
        return {}
    graph = plan_of(module).graph
    return {name: ends_linear(graph, value.name) for name, value in zip(names, graph.outputs, strict=True)}


def _after(activate: Activate, metric: Metric) -> Metric:
    return lambda logits, target: metric(activate(logits), target)


def _outputs_of(module: nn.Module, inputs: Sequence[torch.Tensor], origin: str) -> dict[str, torch.Tensor]:
    training = [part for part in module.modules() if part.training]
    module.eval()
    with torch.no_grad(), told_of_sizes(module, inputs, origin):
        outputs = module(*inputs)
    for part in training:
        part.training = True
    return outputs if isinstance(outputs, dict) else {"output": outputs}
