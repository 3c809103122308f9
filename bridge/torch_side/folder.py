"""The bridge folder: model.onnx, model.safetensors, model.py and map.json, each telling of the same network."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import onnx
from safetensors.torch import save
from torch import Tensor, nn

import bridge
from bridge.files import whole_folder
from bridge.graph import Graph, to_proto, write_proto
from bridge.torch_side.build import graph_of, plan_of
from bridge.torch_side.plan import Plan
from bridge.torch_side.source import file_source

HASH_KEY = "bridge.torch_sha256"  # in model.onnx: which model.safetensors it was written with
WROTE = f"bridge {bridge.__version__}"


def write_folder(
    module: nn.Module, folder: str | Path, *, force: bool = False, extra: dict[str, bytes] | None = None
) -> None:
    """Writes a bridge folder whole: the module's weights as they are now, and the graph that it was built from.

    extra: further files, by name. Raises BridgeError if the folder exists and `force` is not given.
    """
    plan, graph = plan_of(module), graph_of(module)
    with whole_folder(folder, force) as part:
        digest = write_state(module.state_dict(), part / "model.safetensors")
        write_proto(stamped(graph, digest), part / "model.onnx")
        (part / "model.py").write_text(file_source(plan, WROTE), encoding="utf-8")
        (part / "map.json").write_text(json.dumps(weight_map(plan), indent=1) + "\n", encoding="utf-8")
        for name, content in (extra or {}).items():
            (part / name).write_bytes(content)


def write_state(state: dict[str, Tensor], file: Path) -> str:
    """Writes a state_dict as safetensors; returns the file's SHA-256."""
    data = save({key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}, {"format": "pt"})
    file.write_bytes(data)  # save_file would make a file that only its owner may read
    return hashlib.sha256(data).hexdigest()


def digest_of(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


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
    step = next(s for s in plan.steps if s.node.layer and s.node.layer.path == path and not s.node.is_split)
    return ".".join(step.name) if step.name else None
