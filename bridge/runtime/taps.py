"""What every layer of a layered ONNX file gives, with ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from bridge.graph import read_proto
from bridge.runtime.session import open_session


def run_layers(model: Path, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every node's first output by the node's name, in their order; nameless nodes are left out.

    Asking for them keeps ONNX Runtime from fusing across them: the model itself may still compute otherwise.
    """
    proto = read_proto(model)
    names = {node.name: node.output[0] for node in proto.graph.node if node.name and node.output and node.output[0]}
    known = {output.name for output in proto.graph.output}
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names.values() if name not in known)
    session = open_session(proto.SerializeToString(), folder=model.parent)
    cast = {v.name: np.ascontiguousarray(feeds[v.name], v.dtype) for v in session.inputs}
    values = session.run(cast, list(names.values()))
    return dict(zip(names, values, strict=True))
