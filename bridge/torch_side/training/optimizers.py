"""Keras 3's optimizers for torch: its defaults, its formulas, and its float32 arithmetic.

Rounding decides whether two runs stay together: Keras raises beta to the step, subtracts and takes the square root in
float32, and 1 - beta_2**t loses digits there that a float64 scalar keeps. So the scalars here are numpy float32 ones
(numpy's float32 power was found equal to TensorFlow's). Source: keras/src/optimizers, version 3.15.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from bridge.errors import BridgeError
from bridge.torch_side.training.flat import Flat, can_flatten

State = dict[str, torch.Tensor]


class KerasOptimizer(torch.optim.Optimizer):
    """What Keras's optimizers share: clipping, then weight decay, then the update of each parameter.

    learning_rate: a float; it is `lr` in `param_groups`, where torch's schedulers look for it.
    weight_decay: decoupled, on every parameter (Keras excludes none unless told to); an `exclude` list names those to
    leave out. clipnorm: each gradient's L2 norm; global_clipnorm: that of all together; clipvalue: each element. At
    most one of the three.
    """

    slots: tuple[str, ...] = ()
    squares_gradients = True  # whether the formula does
    defaults_of_keras: dict[str, Any] = {}  # noqa: RUF012 (torch's Optimizer has an instance attribute `defaults`)

    def __init__(
        self,
        params: Iterable[Any],
        *,
        exclude: Iterable[torch.nn.Parameter] = (),
        **options: Any,
    ):
        known = COMMON | self.defaults_of_keras
        if unknown := sorted(set(options) - set(known)):
            raise BridgeError(
                f"optimizer {type(self).__name__}: unknown option {unknown[0]!r}.\nIt has {', '.join(sorted(known))}."
            )
        chosen = known | options
        _check(type(self).__name__, chosen)
        chosen["lr"] = chosen.pop("learning_rate")
        super().__init__(params, chosen | {"iterations": 0})
        self._excluded = {id(p) for p in exclude}
        self._flats: dict[int, Flat] = {}
        self._flat_state: dict[int, State] = {}
        self.squares: dict[torch.nn.Parameter, torch.Tensor] = {}  # those of gradients that Keras squares by lookups
        self._rows: list[tuple[torch.Tensor, torch.Tensor]] = []  # the same, each with its place in the gradient

    def update(self, value: torch.Tensor, grad: torch.Tensor, state: State, group: dict[str, Any]) -> None:
        """One step of one tensor, in place. `grad` may be overwritten; `state` holds the slots."""
        raise NotImplementedError

    def slots_for(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Names of the tensors that this group's options need beside each parameter."""
        return self.slots

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        self.apply(keep_gradients=True)
        return result

    @property
    def squares_lookups(self) -> bool:
        """Whether it needs to know the squares of the gradients of lookups (`squares`)."""
        return self.squares_gradients or any(
            group["clipnorm"] is not None or group["global_clipnorm"] is not None for group in self.param_groups
        )

    def apply(self, keep_gradients: bool = False) -> None:
        """`step` without what torch wraps around it (profiler ranges, hooks); call it under `torch.no_grad`.

        keep_gradients: work on copies of them; else they are of no use afterwards.
        """
        for index, group in enumerate(self.param_groups):
            group["iterations"] += 1
            flat = self._flats.get(index)
            if flat is not None and flat.gather():
                self._clip(flat.params, flat.grad_parts, group)
                self._decay([flat.values], group)
                self.update(flat.values, flat.grads, self._flat_state[index], group)
                continue
            params = [p for p in group["params"] if p.grad is not None]
            grads = [p.grad.clone() if keep_gradients else p.grad for p in params]
            self._clip(params, grads, group)
            self._decay(params, group)
            rows = self._rows
            for param, grad in zip(params, grads, strict=True):
                self._rows = [(place, squares) for place, squares in rows if place is grad]
                self.update(param, grad, self._state_of(param, group), group)

    def clear(self) -> None:
        """`zero_grad` without what torch wraps around it."""
        for group in self.param_groups:
            for param in group["params"]:
                param.grad = None
        self.squares.clear()

    def flatten(self) -> None:
        """Moves each group's trainable parameters and their state into one vector: the same result, faster.

        The parameters become views of it until `unflatten`; who replaces a parameter's `.data` meanwhile is not seen.
        """
        for index, group in enumerate(self.param_groups):
            params = [p for p in group["params"] if p.requires_grad]
            decays_apart = group["weight_decay"] is not None and self._excluded
            if index in self._flats or decays_apart or len(params) < len(group["params"]) or not can_flatten(params):
                continue
            states = [self._state_of(p, group) for p in params]
            flat = self._flats[index] = Flat(params)
            self._flat_state[index] = {}
            for slot in self.slots_for(group):
                vector = self._flat_state[index][slot] = flat.like([state[slot] for state in states])
                for state, view in zip(states, flat.parts(vector), strict=True):
                    state[slot] = view

    def unflatten(self) -> None:
        """Gives the parameters and their state memory of their own again."""
        for flat in self._flats.values():
            flat.release()
            for param in flat.params:
                self.state[param] = {slot: tensor.clone() for slot, tensor in self.state[param].items()}
        self._flats.clear()
        self._flat_state.clear()

    def holds_values(self) -> bool:
        """Whether the flattened parameters still are what `step` updates."""
        return all(flat.holds_values() for flat in self._flats.values())

    def _state_of(self, param: torch.nn.Parameter, group: dict[str, Any]) -> State:
        state = self.state[param]
        for slot in self.slots_for(group):
            if slot not in state:
                state[slot] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return state

    def _clip(self, params: Sequence[torch.Tensor], grads: Sequence[torch.Tensor], group: dict[str, Any]) -> None:
        squares = [self.squares.get(param) for param in params] if self.squares else [None] * len(params)  # type: ignore[call-overload]
        _clip(grads, squares, group)
        by_lookups = zip(grads, squares, strict=True) if not group["clipvalue"] else ()  # Keras clips their sum
        self._rows = [(grad, square) for grad, square in by_lookups if square is not None]

    def _squared(self, grad: torch.Tensor) -> torch.Tensor:
        """grad**2, in its place."""
        grad.mul_(grad)
        for place, squares in self._rows:
            place.copy_(squares)
        return grad

    def _decay(self, values: Sequence[torch.Tensor], group: dict[str, Any]) -> None:
        if group["weight_decay"] is None:
            return
        for value in values:
            if id(value) not in self._excluded:
                value.sub_((value * group["weight_decay"]).mul_(float(np.float32(group["lr"]))))


class SGD(KerasOptimizer):
    """w -= lr * g; with momentum v = momentum * v - lr * g and w += v, or Nesterov's look-ahead of it."""

    squares_gradients = False
    defaults_of_keras = {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}  # noqa: RUF012

    def slots_for(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum",) if group["momentum"] else ()

    def update(self, value: torch.Tensor, grad: torch.Tensor, state: State, group: dict[str, Any]) -> None:
        rate, momentum = float(np.float32(group["lr"])), group["momentum"]
        if not momentum:
            value.add_(grad, alpha=-rate)
            return
        velocity = state["momentum"].mul_(momentum).add_(grad, alpha=-rate)
        value.add_(grad.mul_(-rate).add_(velocity, alpha=momentum) if group["nesterov"] else velocity)


class Adam(KerasOptimizer):
    """w -= alpha * m / (sqrt(v) + epsilon) with alpha = lr * sqrt(1 - beta_2**t) / (1 - beta_1**t), all float32."""

    defaults_of_keras = {  # noqa: RUF012
        "learning_rate": 0.001,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "amsgrad": False,
    }

    def slots_for(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum", "velocity", "velocity_hat") if group["amsgrad"] else ("momentum", "velocity")

    def update(self, value: torch.Tensor, grad: torch.Tensor, state: State, group: dict[str, Any]) -> None:
        one, step = np.float32(1), np.float32(group["iterations"])
        root = np.sqrt(one - np.float32(group["beta_2"]) ** step)
        alpha = np.float32(group["lr"]) * root / (one - np.float32(group["beta_1"]) ** step)
        momentum = state["momentum"].lerp_(grad, 1 - group["beta_1"])
        velocity = state["velocity"].lerp_(self._squared(grad), 1 - group["beta_2"])
        if group["amsgrad"]:
            velocity = torch.maximum(state["velocity_hat"], velocity, out=state["velocity_hat"])
        value.addcdiv_(momentum, _root(velocity, out=grad).add_(group["epsilon"]), value=-float(alpha))


class AdamW(Adam):
    """Adam with decoupled weight decay: w -= w * weight_decay * lr before the update, biases included as in Keras."""

    defaults_of_keras = Adam.defaults_of_keras | {"weight_decay": 0.004}

    def __init__(self, params: Iterable[Any], **options: Any):
        super().__init__(params, **options)
        if any(group["weight_decay"] is None for group in self.param_groups):
            raise BridgeError("optimizer AdamW: weight_decay must be a number, found None. Use adam without it.")


class RMSprop(KerasOptimizer):
    """v = rho * v + (1 - rho) * g**2; w -= lr * g / sqrt(v + epsilon), epsilon inside the root as Keras has it.

    centered: the mean gradient's square is subtracted from v. momentum: the increments are accumulated with it.
    """

    defaults_of_keras = {  # noqa: RUF012
        "learning_rate": 0.001,
        "rho": 0.9,
        "momentum": 0.0,
        "epsilon": 1e-7,
        "centered": False,
    }

    def slots_for(self, group: dict[str, Any]) -> tuple[str, ...]:
        names = ["velocity"]
        if group["momentum"] > 0:
            names.append("momentum")
        if group["centered"]:
            names.append("average_gradient")
        return tuple(names)

    def update(self, value: torch.Tensor, grad: torch.Tensor, state: State, group: dict[str, Any]) -> None:
        rate, rho = float(np.float32(group["lr"])), group["rho"]
        if self._rows:
            kept = grad.clone()
            velocity = state["velocity"].mul_(rho).add_(self._squared(grad), alpha=1 - rho)
            grad.copy_(kept)
        else:
            velocity = state["velocity"].mul_(rho).addcmul_(grad, grad, value=1 - rho)
        if group["centered"]:
            average = state["average_gradient"].mul_(rho).add_(grad, alpha=1 - rho)
            root = torch.addcmul(velocity, average, average, value=-1).add_(group["epsilon"])
        else:
            root = torch.add(velocity, group["epsilon"])
        _root(root, out=root)
        if group["momentum"] > 0:
            value.sub_(state["momentum"].mul_(group["momentum"]).addcdiv_(grad, root, value=rate))
        else:
            value.addcdiv_(grad, root, value=-rate)


COMMON: dict[str, Any] = {"weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None}
OPTIMIZERS: dict[str, type[KerasOptimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop}


def optimizer(spec: str | dict[str, Any], params: Iterable[Any], learning_rate: float | None = None) -> KerasOptimizer:
    """The optimizer that `spec` names: "adam" or {"name": "adam", "beta_1": 0.8}; Keras's defaults for the rest.

    Raises BridgeError for a name, an option or a value that isn't Keras's.
    """
    options = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = str(options.pop("name", "")).lower()
    if not name:
        raise BridgeError(f'optimizer {spec!r}: says no name, as in {{"name": "sgd", "momentum": 0.9}}.')
    if name not in OPTIMIZERS:
        raise BridgeError(f"optimizer {name!r} is not known.\nChoose one of {', '.join(OPTIMIZERS)}.")
    if learning_rate is not None:
        options["learning_rate"] = learning_rate
    return OPTIMIZERS[name](params, **options)


def _check(name: str, options: dict[str, Any]) -> None:
    positive = ("learning_rate", "epsilon", "clipnorm", "clipvalue", "global_clipnorm")
    for option, value in options.items():
        if isinstance(value, bool) or (value is None and option in COMMON):
            continue
        good = (
            isinstance(value, int | float) and np.isfinite(value) and (value > 0 if option in positive else value >= 0)
        )
        if option in ("momentum", "rho", "beta_1", "beta_2"):
            good = good and value <= 1
        if not good:
            wanted = "a positive number" if option in positive else "a number >= 0"
            raise BridgeError(f"optimizer {name}: {option} must be {wanted}, found {value!r}.")
    if sum(options[clip] is not None for clip in ("clipnorm", "clipvalue", "global_clipnorm")) > 1:
        raise BridgeError(f"optimizer {name}: only one of clipnorm, clipvalue and global_clipnorm can be given.")


def _root(values: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """The square root, correctly rounded.

    On the CPU by numpy: torch's takes five times as long where values are zero, and a network with unused inputs or
    silent units has many zeros in its velocities.
    """
    if values.device.type != "cpu" or values.dtype != torch.float32:
        return torch.sqrt(values, out=out)
    np.sqrt(values.numpy(), out=out.numpy())
    return out


def _clip(grads: Sequence[torch.Tensor], squares: Sequence[torch.Tensor | None], group: dict[str, Any]) -> None:
    """Clips `grads`, one for each parameter, in place; squares: of those that Keras squares by lookups."""

    def summed(grad: torch.Tensor, square: torch.Tensor | None) -> torch.Tensor:
        return grad.square().sum() if square is None else square.sum()

    if group["clipnorm"]:
        for grad, square in zip(grads, squares, strict=True):
            norm = summed(grad, square).sqrt_()
            grad.mul_(group["clipnorm"]).div_(norm.clamp_(min=group["clipnorm"]))
            if square is not None:
                square.mul_((group["clipnorm"] / norm) ** 2)
    elif group["global_clipnorm"]:
        norm = torch.stack([summed(*pair) for pair in zip(grads, squares, strict=True)]).sum().sqrt_()
        scale = torch.clamp(1 / norm, max=1 / group["global_clipnorm"]).mul_(group["global_clipnorm"])
        for grad, square in zip(grads, squares, strict=True):
            grad.mul_(scale)
            if square is not None:
                square.mul_(scale**2)
    elif group["clipvalue"]:
        for grad in grads:
            grad.clamp_(-group["clipvalue"], group["clipvalue"])
