"""One step of a planned module."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.graph import Node
from bridge.torch_side.writing.part import Part

Name = tuple[str, ...]  # ("encoder", "dense_1"): self.encoder.dense_1


@dataclass
class Step:
    """A node, the part that it is in torch, and the name of its module (None: an expression only)."""

    node: Node
    part: Part
    name: Name | None

    @property
    def mentioned(self) -> list[str]:
        """The inputs that the call uses; a rule may have put a constant's value into its text instead."""
        names = self.node.tensors
        return [n for i, n in enumerate(names) if self.part.call is None or f"{{{i}}}" in self.part.call]
