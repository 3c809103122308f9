"""An .onnx file, layered or plain, told by onnx alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from bridge.graph import Graph, from_proto, is_layered, notes_of, read_proto, stored
from bridge.graph.changes.inner import inner_nodes
from bridge.graph.own_layers import DOMAIN as OWN
from bridge.inspection.result import Inspection, Layer, Shape, Weight


def inspect_onnx(path: Path) -> Inspection:
    """What is in an .onnx file. Raises BridgeError if it is none, or damaged."""
    proto = read_proto(path, full_check=True)
    if is_layered(proto):
        return inspect_layered(path, proto)
    return Inspection(
        path=str(path),
        format="plain ONNX",
        facts=facts_of(proto) | {"operators": _counts(node.op_type for node in proto.graph.node)},
        layers=_nodes(proto),
        convert=["bridge eval and bridge parity run it."],
        refusals=["convert, finetune: a plain ONNX file does not say which Keras layer a node belongs to"],
        warnings=_not_finite(stored.arrays_of(_numbers(proto), path)),
    )


def inspect_layered(path: Path, proto: onnx.ModelProto) -> Inspection:
    """What is in a layered .onnx file that bridge wrote."""
    graph = from_proto(proto, str(path))
    between = _counts(node.kind for node in graph.nodes if node.layer is None)
    facts = facts_of(proto) | {"from": ", ".join(f"{k} {v}" for k, v in graph.source.items() if v and k != "masked")}
    return Inspection(
        path=str(path),
        format="layered ONNX",
        facts=facts | ({"between layers": between} if between else {}),
        layers=layers_of(graph),
        convert=["bridge finetune trains it, bridge eval runs it with ONNX Runtime.", *own_rules_line(proto)],
        warnings=_not_finite(graph.arrays),
        notes=list(notes_of(graph)),
    )


def own_rules_line(proto: onnx.ModelProto) -> list[str]:
    """What to pass for layers whose torch form is in the user's own rules."""
    own = {node.op_type: None for node in inner_nodes(proto.graph) if node.domain == OWN}
    return [f"Whatever runs it in torch needs your rules for {', '.join(own)}: --rules FILE.py."] if own else []


def layers_of(graph: Graph) -> list[Layer]:
    """The layers of a layered model with their weights by the layers' own words; then weights that have no layer."""
    outputs: dict[str, Shape | None] = {}
    for node in [*graph.nodes, *graph.inner.values()]:
        if (node.layer is not None and node.layer.path not in outputs) or node.is_split:
            value = graph.values.get(node.outputs[0])
            outputs[node.layer.path if node.layer else ""] = value.shape if value else None
    layers, used = [], set()
    for path, layer in graph.layers.items():
        weights = []
        for name, weight in layer.weights.items():
            used.add(weight.path)
            weights.append(Weight(name, weight.shape, weight.dtype, weight.trainable and not weight.state))
        layers.append(Layer(path, layer.kind, outputs.get(path), tuple(weights)))
    for path, weight in graph.weights.items():
        if path not in used:
            owner, _, name = path.rpartition("/")
            mine = Weight(name, weight.shape, weight.dtype, weight.trainable and not weight.state)
            layers.append(Layer(owner or "(no layer)", "", None, (mine,)))
    return layers


def facts_of(proto: onnx.ModelProto) -> dict[str, str]:
    """Versions, inputs and outputs, for people."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    opsets = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in proto.opset_import)
    producer = f"{proto.producer_name} {proto.producer_version}".strip()
    return {
        "ONNX": f"IR {proto.ir_version}, opset {opsets}" + (f", by {producer}" if producer else ""),
        "inputs": ", ".join(_described(v) for v in proto.graph.input if v.name not in constants),
        "outputs": ", ".join(_described(v) for v in proto.graph.output),
    }


def _nodes(proto: onnx.ModelProto) -> list[Layer]:
    inferred = onnx.shape_inference.infer_shapes(proto)
    shapes = {v.name: _sizes(v) for v in [*inferred.graph.value_info, *inferred.graph.output]}
    left = {tensor.name: tensor for tensor in proto.graph.initializer}
    layers = []
    for node in proto.graph.node:
        if node.op_type == "Constant":
            continue
        mine = [left.pop(name) for name in dict.fromkeys(node.input) if name in left]
        first = next((name for name in node.output if name), "")
        layers.append(Layer(node.name or first, node.op_type, shapes.get(first), tuple(map(_weight, mine))))
    if left:
        layers.append(Layer("(used by no node)", "", None, tuple(map(_weight, left.values()))))
    return layers


def _weight(tensor: onnx.TensorProto) -> Weight:
    return Weight(tensor.name, tuple(tensor.dims), _dtype(tensor.data_type))


def _dtype(elem_type: int) -> str:
    return onnx.TensorProto.DataType.Name(elem_type).lower() if elem_type else "?"


def _described(value: onnx.ValueInfoProto) -> str:
    sizes = _sizes(value)
    if sizes is None:
        return value.name
    text = " x ".join("batch" if n == 0 and s is None else "any" if s is None else str(s) for n, s in enumerate(sizes))
    kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
    return f"{value.name} ({text}) {kind}"


def _sizes(value: onnx.ValueInfoProto) -> Shape | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)


def _counts(kinds: Any) -> str:
    return ", ".join(f"{kind} {count}" if count > 1 else kind for kind, count in Counter(kinds).most_common())


def _not_finite(arrays: Mapping[str, np.ndarray]) -> list[str]:
    return [f"NaN or infinity in {name}" for name, array in arrays.items() if any(stored.not_finite(array))]


def _numbers(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [tensor for tensor in proto.graph.initializer if tensor.data_type != onnx.TensorProto.STRING]
