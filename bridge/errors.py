"""What can go wrong and whose it is to mend; each kind has its exit code."""

from __future__ import annotations

import importlib.util


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
