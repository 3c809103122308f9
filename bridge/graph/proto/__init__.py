"""A layered model as ONNX: every Keras layer one node, its body a model-local function, its weights untouched."""

from bridge.graph.proto.read import from_proto, is_layered
from bridge.graph.proto.write import to_proto

__all__ = ["from_proto", "is_layered", "to_proto"]
