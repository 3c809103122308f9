"""The proofs that hold for every case, layer or whole model: each compares one side with Keras's recording."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnxruntime
import torch
from gradients import Decisions, apart, passes
from onnx import checker
from onnx.reference import ReferenceEvaluator
from recording import Recording, assert_close, named, tensors

from bridge.graph.changes.inner import inner_nodes
from bridge.proof import ROUNDING  # how many times as far from float64 as Keras's own float32
from bridge.torch_side.writing.build import arrays_from, plan_of


def outputs_agree(recording: Recording, tolerance: float) -> None:
    module = recording.module().eval()
    with torch.no_grad():
        for rows in (1, 5):
            found = named(module(*tensors(recording.under(f"x{rows}"))), recording.graph)
            assert list(found) == list(recording.under(f"y{rows}"))
            for name, y in found.items():
                output_agrees(recording, f"y{rows}/{name}", y, tolerance)


def output_agrees(recording: Recording, name: str, found: object, tolerance: float, where: str = "torch") -> None:
    """With Keras's own, or as near to Keras's float64 as it is but for the factor that rounding is allowed."""
    expected, exact = recording.entries[name], recording.entries.get(f"double/{name}")
    if exact is not None and exact.size:
        scale = np.abs(expected).max() or 1.0
        tolerance = max(tolerance, ROUNDING * float(np.abs(expected - exact).max() / scale))
        expected = exact.astype(expected.dtype)
    assert_close(found, expected, tolerance, f"{name}, {where}")


def gradients_agree(recording: Recording, case: Any, mode: str) -> None:
    """Of sum(outputs * factors) + losses, by every weight that is trained and every float input.

    In training mode what Keras moves (statistics) moves alike, and nothing else does. Where the recording has Keras's
    float64, torch's float64 agrees closer than any fault of a rule would let it.
    """
    tolerance = dict.fromkeys(("y", "losses", "gradient"), case.gradient_tolerance) | {"after": case.tolerance}
    exact = recording.under(f"double/{mode}")
    found = passes(recording, mode)
    within(apart(found, exact or recording.under(mode)), tolerance, "float32")
    nothing_else_moves(recording, found, exact or recording.under(mode))
    if exact:
        within(apart(passes(recording, mode, double=True), exact), case.double_tolerance, "float64")


def gradients_round_as_kerass(recording: Recording, case: Any, mode: str) -> None:
    """In float64 they agree; in float32 they are as near to that as TensorFlow's, once both decide alike.

    So what is left of a difference is rounding, and the ReLUs and max poolings that it decides.
    """
    exact, kerass = recording.under(f"double/{mode}"), recording.under(mode)
    within(apart(passes(recording, mode, double=True), exact), case.double_tolerance, "float64")
    decisions = Decisions()
    found = passes(recording, mode, around=decisions)
    nothing_else_moves(recording, found, kerass)
    same = passes(recording, mode, double=True, around=Decisions(decisions.noted))
    tolerance = {kind: max(1e-6, ROUNDING * relative) for kind, (relative, _) in apart(kerass, exact).items()}
    within(apart(found, same), tolerance, "float32")


def within(worst: dict[str, tuple[float, str]], tolerance: float | dict[str, float], where: str) -> None:
    for kind, (relative, name) in worst.items():
        allowed = tolerance[kind] if isinstance(tolerance, dict) else tolerance
        assert relative <= allowed, f"{name}, {where}: {relative:.3g} of the scale, {allowed:.3g} is allowed"


def nothing_else_moves(recording: Recording, found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for path, before in recording.under("weight").items():
        if np.array_equal(expected[f"after/{path}"], before):
            assert np.array_equal(found[f"after/{path}"], before), path


def onnx_agrees(recording: Recording, tolerance: float, reference: bool = True) -> None:
    checker.check_model(recording.proto, full_check=True)
    checker.check_model(recording.inlined, full_check=True)
    assert {node.domain for node in inner_nodes(recording.inlined.graph)} <= {"", "ai.onnx"}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = {
        kind: onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for kind, proto in (("layered", recording.proto), ("inlined", recording.inlined))
    }
    evaluator = ReferenceEvaluator(recording.inlined) if reference else None
    names = [value.name for value in recording.graph.outputs]
    for rows in (1, 5):
        inputs = recording.under(f"x{rows}")
        for kind, session in sessions.items():
            for name, y in zip(names, session.run(names, inputs), strict=True):
                output_agrees(recording, f"y{rows}/{name}", y, tolerance, f"{kind} in ONNX Runtime")
        if evaluator is None:
            continue
        with np.errstate(all="ignore"):  # the reference computes both branches of a Where
            for name, y in zip(names, evaluator.run(names, inputs), strict=True):
                output_agrees(recording, f"y{rows}/{name}", y, tolerance, "in the reference evaluator")


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
    assert hasattr(module, "constrain") == bool(recording.under("constrained"))
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert trainable == recording.entries["trainable"]
    assert len(module.state_dict()) == len(plan.moves) + len(plan.constants)
    twin = copy.deepcopy(module)
    assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), twin.state_dict().values(), strict=True))


def constraints_agree(recording: Recording, tolerance: float) -> None:
    module = recording.module()
    expected = recording.under("weight") | recording.under("constrained")
    if hasattr(module, "constrain"):
        module.constrain()
    found = arrays_from(plan_of(module), module.state_dict())
    for path, array in expected.items():
        assert_close(found[path], array, tolerance, path)
