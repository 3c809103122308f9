"""The proofs that hold for every case, layer or whole model: each compares one side with Keras's recording."""

from __future__ import annotations

import copy

import numpy as np
import onnxruntime
import torch
from onnx import checker
from onnx.reference import ReferenceEvaluator
from recording import Recording, assert_close, named, tensors

from bridge.torch_side.build import arrays_from, plan_of


def outputs_agree(recording: Recording, tolerance: float) -> None:
    module = recording.module().eval()
    with torch.no_grad():
        for rows in (1, 5):
            found = named(module(*tensors(recording.under(f"x{rows}"))), recording.graph)
            expected = recording.under(f"y{rows}")
            assert list(found) == list(expected)
            for name, y in expected.items():
                assert_close(found[name], y, tolerance, f"{name}, batch {rows}")


def gradients_agree(recording: Recording, tolerance: float, mode: str) -> None:
    """Of sum(outputs * factors) + losses, by every weight that is trained and every float input."""
    module = recording.module().train(mode == "train")
    plan = plan_of(module)
    inputs = recording.under("x")
    given = [t.requires_grad_(t.is_floating_point()) for t in tensors(inputs)]
    found = named(module(*given), plan.graph)
    for name, y in recording.under(f"{mode}/y").items():
        assert_close(found[name], y, tolerance, name)
    factors = recording.under("factor")
    total = sum((y * torch.from_numpy(factors[name])).sum() for name, y in found.items())
    losses = module.penalty() if hasattr(module, "penalty") else torch.tensor(0.0)
    assert_close(losses.detach(), recording.entries[f"{mode}/losses"], tolerance, "the losses")
    sources = {f"input/{name}": t for name, t in zip(inputs, given, strict=True) if t.requires_grad}
    state = dict(module.named_parameters())
    for path, move in plan.moves.items():
        if move.key in state and state[move.key].requires_grad:
            sources[f"weight/{path}"] = state[move.key]
    expected = recording.under(f"{mode}/gradient")
    assert set(sources) == set(expected)
    total = total + losses
    values = (
        torch.autograd.grad(total, list(sources.values()), allow_unused=True, materialize_grads=True)
        if total.requires_grad
        else [torch.zeros_like(s) for s in sources.values()]
    )
    # one scale for all: what stands before a normalization has a gradient of zero but for rounding
    scale = max((float(np.abs(g).max()) for g in expected.values() if g.size), default=0.0)
    for (name, _), gradient in zip(sources.items(), values, strict=True):
        kind, path = name.split("/", 1)
        move = plan.moves.get(path)
        array = move.take.to_keras(gradient, move.weight.shape) if kind == "weight" else gradient.numpy()
        assert_close(array, expected[name], tolerance, f"the gradient of {name}", scale)


def weights_after_a_training_step_agree(recording: Recording, tolerance: float) -> None:
    """One forward in training mode: what Keras moves in it (statistics) moves alike, and nothing else does."""
    module = recording.module().train()
    before = recording.under("weight")
    module(*tensors(recording.under("x")))
    found = arrays_from(plan_of(module), module.state_dict())
    for path, after in recording.under("train/after").items():
        if np.array_equal(after, before[path]):
            assert np.array_equal(found[path], after), path
        else:
            assert_close(found[path], after, tolerance, path)


def onnx_agrees(recording: Recording, tolerance: float, reference: bool = True) -> None:
    checker.check_model(recording.proto, full_check=True)
    checker.check_model(recording.inlined, full_check=True)
    assert {node.domain for node in recording.inlined.graph.node} <= {"", "ai.onnx"}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = {
        kind: onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for kind, proto in (("layered", recording.proto), ("inlined", recording.inlined))
    }
    evaluator = ReferenceEvaluator(recording.inlined) if reference else None
    names = [value.name for value in recording.graph.outputs]
    for rows in (1, 5):
        inputs, expected = recording.under(f"x{rows}"), recording.under(f"y{rows}")
        for kind, session in sessions.items():
            for name, y in zip(names, session.run(names, inputs), strict=True):
                assert_close(y, expected[name], tolerance, f"{name}, {kind} in ONNX Runtime, batch {rows}")
        if evaluator is None:
            continue
        with np.errstate(all="ignore"):  # the reference computes both branches of a Where
            for name, y in zip(names, evaluator.run(names, inputs), strict=True):
                assert_close(y, expected[name], tolerance, f"{name}, in the reference evaluator, batch {rows}")


def weights_go_home(recording: Recording) -> None:
    module = recording.module()
    plan = plan_of(module)
    weights = recording.under("weight")
    home = arrays_from(plan, module.state_dict())
    assert list(home) == list(weights)
    for path, array in weights.items():
        assert home[path].dtype == array.dtype
        assert home[path].tobytes() == array.tobytes(), path
        assert home[path].shape == array.shape
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert trainable == recording.entries["trainable"]
    assert len(module.state_dict()) == len(plan.moves) + len(plan.constants)
    twin = copy.deepcopy(module)
    assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), twin.state_dict().values(), strict=True))


def constraints_agree(recording: Recording, tolerance: float) -> None:
    module = recording.module()
    expected = recording.under("weight") | recording.under("constrained")
    assert hasattr(module, "constrain") == bool(recording.under("constrained"))
    if hasattr(module, "constrain"):
        module.constrain()
    found = arrays_from(plan_of(module), module.state_dict())
    for path, array in expected.items():
        assert_close(found[path], array, tolerance, path)
