"""The bridge folder: model.onnx, model.safetensors, model.py and map.json, each telling of the same network."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from torch import Tensor, nn

import bridge
from bridge.errors import BridgeError
from bridge.files import whole_folder
from bridge.folder import HASH_KEY, check_finite
from bridge.graph import Graph, to_proto, write_proto
from bridge.torch_side import tensors
from bridge.torch_side.writing.build import graph_of, plan_of
from bridge.torch_side.writing.build import wanted as state_of
from bridge.torch_side.writing.plan import Plan
from bridge.torch_side.writing.source import file_source

WROTE = f"bridge {bridge.__version__}"


def write_folder(
    module: nn.Module,
    folder: str | Path,
    *,
    force: bool = False,
    extra: dict[str, bytes | Path] | None = None,
    written: Path | None = None,
) -> None:
    """Writes a bridge folder whole: the module's weights as they are now, and the graph that it was built from.

    extra: further files by name, their content or a file to copy. written: the data file of a large model, if it is
    there already. Raises BridgeError if the folder exists and `force` is not given, or if the module
    is no longer what bridge built, and CheckFailed if its weights hold NaN or infinity.
    """
    refuse_changed(module)
    plan, graph = plan_of(module), graph_of(module)
    check_finite(graph.arrays, type(module).__name__)
    with whole_folder(folder, force) as part:
        digest = write_state(module.state_dict(), part / "model.safetensors")
        write_proto(stamped(graph, digest), part / "model.onnx", arrays=graph.arrays, written=written)
        (part / "model.py").write_text(file_source(plan, WROTE), encoding="utf-8")
        (part / "map.json").write_text(json.dumps(weight_map(plan), indent=1) + "\n", encoding="utf-8")
        for name, content in (extra or {}).items():
            if isinstance(content, Path):
                _linked(content, part / name)
            else:
                (part / name).write_bytes(content)


def _linked(source: Path, target: Path) -> None:
    """A file once more, without its bytes where the disk can do that: a checkpoint may be larger than the model."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def refuse_changed(module: nn.Module) -> None:
    """Raises BridgeError if the module's tensors are not those it was built with: their names, shapes and types."""
    plan = plan_of(module)
    found, wanted = _described(module.state_dict()), state_of(plan)
    if found == wanted:
        return
    name = type(module).__name__
    lacks, extra = [key for key in wanted if key not in found], [key for key in found if key not in wanted]
    if lacks or extra:
        here, there = (", ".join(keys[:4]) or "none" for keys in (extra, lacks))
        raise BridgeError(
            f"{name}: is no longer the module that bridge built: it has besides {here}, and lacks {there}.\n"
            "Its Keras model has no place for other layers. Save it with torch.save, or change the Keras model."
        )
    key = next(key for key in wanted if found[key] != wanted[key])
    (shape, dtype), (old_shape, old_dtype) = found[key], wanted[key]
    way = "Call module.float() first." if shape == old_shape else "For another head: bridge.finetune(..., classes=N)."
    raise BridgeError(
        f"{name}: {key} is {shape} {dtype}; bridge built it as {old_shape} {old_dtype}, as it is in the Keras model.\n"
        f"{way}"
    )


def _described(state: Mapping[str, Tensor]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {key: (tuple(value.shape), str(value.dtype).removeprefix("torch.")) for key, value in state.items()}


def write_state(state: Mapping[str, Tensor], file: Path) -> str:
    """Writes a state_dict as safetensors; returns the file's SHA-256."""
    return tensors.write(state, file, {"format": "pt"})


def stamped(graph: Graph, digest: str) -> onnx.ModelProto:
    """The layered model, marked with the SHA-256 of the torch weights that it holds."""
    proto = to_proto(graph)
    proto.metadata_props.add(key=HASH_KEY, value=digest)
    return proto


def weight_map(plan: Plan) -> dict[str, Any]:
    """map.json: which Keras variable became which torch tensor, and how; each stands in it exactly once."""
    return {
        "format": 1,
        "wrote": WROTE,
        "source": plan.graph.source,
        "weights": weight_rows(plan),
        "layers": [
            {"keras": layer.path, "kind": layer.kind, "torch": _module_of(plan, layer.path)}
            for layer in plan.graph.layers.values()
        ],
        "constants": {".".join(name): value for value, name in plan.constants.items()},
    }


def weight_rows(plan: Plan) -> list[dict[str, Any]]:
    """One row a Keras variable, in Keras's order."""
    return [
        {
            "keras": path,
            "torch": move.key,
            "move": str(move.take),
            "keras_shape": list(move.weight.shape),
            "torch_shape": list(move.shape),
            "trainable": move.weight.trainable and not move.weight.state,
        }
        for path, move in plan.moves.items()
    ]


def _module_of(plan: Plan, path: str) -> str | None:
    step = next(s for s in plan.all_steps if s.node.layer and s.node.layer.path == path and not s.node.is_split)
    return ".".join(step.name) if step.name else None
