"""What Keras 2 wrote of its layers beside or into a SavedModel: classes and configs, by the numbers of objects."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from bridge.errors import BridgeError
from bridge.keras_side.saved_model.folder import METADATA, METADATA_LIMIT, Folder
from bridge.keras_side.saved_model.program import Program
from bridge.strict_json import object_of

_KERAS = "_tf_keras_"
_MODELS = ("Functional", "Model", "Sequential")


@dataclass(frozen=True)
class Metadata:
    """objects: number -> what Keras wrote of that layer or model; the model itself is 0."""

    objects: dict[int, dict[str, Any]]

    @property
    def version(self) -> str | None:
        found = self.objects[0].get("keras_version")
        return found if isinstance(found, str) else None

    @property
    def model_class(self) -> str:
        return str(self.objects[0].get("class_name"))

    @property
    def config(self) -> dict[str, Any] | None:
        """The model's config as its to_json has it; None for a class of its own, which only code can rebuild."""
        root = self.objects[0]
        config = root.get("model_config") or {"class_name": root.get("class_name"), "config": root.get("config")}
        known = isinstance(config, dict) and config.get("class_name") in _MODELS
        inner = config.get("config") if known else None
        layers = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, dict) else None
        return config if layers else None


def read(folder: Folder, program: Program) -> Metadata | None:
    """Keras's metadata of a SavedModel: of a file of their own, or, up to TensorFlow 2.4, in the object graph.

    None where it was not Keras that saved it.
    """
    if METADATA in folder.files:
        saved = _message()()
        try:
            saved.ParseFromString(folder.read(METADATA, METADATA_LIMIT))
        except DecodeError:
            saved.Clear()
        if not saved.nodes:
            raise BridgeError(f"{folder.path}: {METADATA} is damaged or cut short.")
        texts = {node.node_id: (node.identifier, node.metadata) for node in saved.nodes}
    else:
        nodes = enumerate(program.graph.object_graph_def.nodes)
        users = {number: node.user_object for number, node in nodes if node.HasField("user_object")}
        texts = {number: (user.identifier, user.metadata) for number, user in users.items() if user.metadata}
    damaged = f"{folder.path}: what Keras wrote of its layers is not valid JSON: damaged."
    objects = {n: object_of(text, damaged) for n, (kind, text) in texts.items() if kind.startswith(_KERAS) and text}
    return Metadata(objects) if 0 in objects else None


@functools.cache
def _message() -> Any:
    """The class of keras_metadata.pb, which Keras 3 no longer has."""
    file = descriptor_pb2.FileDescriptorProto(name="bridge/saved_metadata.proto", package="bridge", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    node = file.message_type.add(name="Node")
    node.field.add(name="node_id", number=2, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    for name, number in (("node_path", 3), ("identifier", 4), ("metadata", 5)):
        node.field.add(name=name, number=number, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    whole = file.message_type.add(name="Metadata")
    whole.field.add(
        name="nodes", number=1, type=field.TYPE_MESSAGE, label=field.LABEL_REPEATED, type_name=".bridge.Node"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bridge.Metadata"))
