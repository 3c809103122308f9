"""What can go wrong and whose it is to mend; each kind has its exit code."""

from __future__ import annotations

import errno
import importlib.util
import re


class BridgeError(Exception):
    """The user's to fix: one to three lines that say what, where, expected, found and what to do. Exit code 2."""

    exit_code = 2


class CheckFailed(Exception):
    """A check that the user asked for did not hold (parity, say): the result is printed, exit code 1."""

    exit_code = 1


class ExtraMissing(BridgeError):
    """An optional package is needed and not installed."""


def require(package: str, extra: str, purpose: str) -> None:
    """Raises ExtraMissing unless `package` can be imported; looks it up without importing it."""
    if importlib.util.find_spec(package) is None:
        raise ExtraMissing(
            f"{purpose} needs the package {package}, which is not installed.\n"
            f'Install it with: pip install "bridge[{extra}]"'
        )


_NO_MEMORY = re.compile(r"can't allocate memory|bad_?alloc|OOM when allocating|out of memory", re.IGNORECASE)
_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)
OTHER_SIZE = "Give it data of a size that the model was made for."
NEEDS = "A model needs about twice the memory of its weights and 1 GB, trained by Adam five times."


def shortage(error: BaseException) -> BridgeError | None:
    """What to tell the user of an error that is a lack of memory or of room on a disk; None for any other."""
    said = " ".join(str(error).split())
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or _NO_ROOM.search(said):
        return BridgeError(f"The disk is full: {said[:200]}.\nNo output was written. Make room or choose another disk.")
    if isinstance(error, MemoryError) or _NO_MEMORY.search(said):
        return BridgeError(f"The memory is too small: {said[:200] or 'out of memory'}.\nNo output was written. {NEEDS}")
    return None
