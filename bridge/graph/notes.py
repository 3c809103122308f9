"""What a user should know of a conversion that went well."""

from __future__ import annotations

from bridge.graph.bodies.augmentation import lacks
from bridge.graph.layer import Graph


def notes_of(graph: Graph) -> tuple[str, ...]:
    """What was noted while tracing, and what of Keras's training torch will lack."""
    return (*graph.source.get("notes", ()), *lacks(graph))
