"""Which framework may live in a process."""

from __future__ import annotations

import sys

from bridge.errors import BridgeError

RIVAL = {"keras_side": "torch", "torch_side": "tensorflow"}


def claim(side: str) -> None:
    """Declares that this process is about to import the framework of `side`; refused if the other one is loaded."""
    rival = RIVAL.get(side)
    if sys.modules.get(rival or "") is not None:
        mine = "TensorFlow" if side == "keras_side" else "torch"
        raise BridgeError(
            f"{rival} is already imported in this process, and {mine} must not share a process with it (it can crash "
            "without a traceback).\nUse bridge from a process that has not imported it, or the command line."
        )
