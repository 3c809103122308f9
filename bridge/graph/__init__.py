"""The layered model: ONNX and numpy only."""

from bridge.graph import stored
from bridge.graph.bodies import (  # noqa: F401 (they register the bodies)
    activations,
    applications,
    attention,
    augmentation,
    clahe,
    conv_lstm,
    convolution,
    core,
    einsum,
    embedding,
    lookup,
    merging,
    normalization,
    own_code,
    padding,
    pooling,
    recurrent,
    reshaping,
    resize,
    spectral,
    spectrogram,
    time_distributed,
)
from bridge.graph.body import BODIES, Refused, body
from bridge.graph.changes.inline import inlined
from bridge.graph.files import read_proto, write_proto
from bridge.graph.layer import Graph, Layer, Node, Value, Weight
from bridge.graph.notes import notes_of
from bridge.graph.proto import from_proto, is_layered, to_proto

__all__ = [
    "BODIES",
    "Graph",
    "Layer",
    "Node",
    "Refused",
    "Value",
    "Weight",
    "body",
    "from_proto",
    "inlined",
    "is_layered",
    "notes_of",
    "read_proto",
    "stored",
    "to_proto",
    "write_proto",
]
