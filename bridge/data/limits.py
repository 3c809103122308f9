"""How far a compressed file may inflate."""

from __future__ import annotations

from pathlib import Path

from bridge.errors import BridgeError

MULTIPLE = 200  # real data stays far below; deflate's bombs reach 1,000
FLOOR = 64 * 2**20  # bytes that any small file may inflate to


def refuse_bomb(path: Path, inflated: int, way_out: str) -> None:
    """Raises BridgeError if `inflated` bytes are more than 64 MiB and more than 200 times the size of `path`."""
    size = path.stat().st_size
    if inflated > max(FLOOR, MULTIPLE * size):
        raise BridgeError(
            f"{path}: its {size:,} bytes claim to inflate to {inflated:,}, "
            f"more than {MULTIPLE} times as much. It was not unpacked.\n{way_out}"
        )
