"""How far two arrays are apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

RTOL = 1e-5  # of the scale: how far results may be apart that count as the same


@dataclass(frozen=True)
class Difference:
    """error: scale-relative, NaN where it has no value. fault: why the arrays can't be the same whatever the error."""

    error: float
    fault: str = ""

    def within(self, rtol: float) -> bool:
        """Whether the error is no more than `rtol`; NaN never is."""
        return not self.fault and self.error <= rtol


@dataclass(frozen=True)
class Judged:
    """A difference and whether it passes.

    distance: how far `found` is from the float64 reference; None without one.
    cause: "rounding" or "fault" where the error is above the tolerance and a reference tells; else "".
    """

    error: float
    ok: bool
    distance: float | None = None
    cause: str = ""
    fault: str = ""


SIMILAR = 4.0  # how much farther from float64 than the first file a file may be and still differ by rounding alone
MEANINGLESS = 1e-2  # where float32 itself is that far off, nothing can be told


def judge(found: Array, wanted: Array, exact: Array | None, rtol: float) -> Judged:
    """Whether `found` is `wanted`: within `rtol`, or at the limit of what float32 can say.

    exact: what the file that gave `wanted` gives in float64. It tells rounding from a fault: above `rtol`, `found`
    passes if it is as near to it as `wanted` itself (up to a factor of SIMILAR).
    """
    apart = difference(found, wanted)
    near, first = (None if exact is None else _distance(array, exact) for array in (found, wanted))
    ok, cause = apart.within(rtol), ""
    if not ok and not apart.fault and near is not None and first is not None:
        ok = near <= SIMILAR * first and max(near, first) <= MEANINGLESS
        cause = "rounding" if ok else "fault"
    return Judged(apart.error, ok, near, "fault" if apart.fault else cause, apart.fault)


def _distance(array: Array, exact: Array) -> float | None:
    found = difference(array, exact, same_dtype=False)
    return None if found.fault else found.error


def difference(found: Array, wanted: Array, *, same_dtype: bool = True) -> Difference:
    """max|found - wanted| / max|wanted| over all elements, in float64.

    The scale is that of the whole array, so that small values among large ones don't ask for more digits than float32
    has. Where all of `wanted` is zero: 0 if `found` is, else infinity. NaN or infinity on either side is a fault, on
    both sides too; so is another shape or type.
    """
    if found.shape != wanted.shape:
        return Difference(math.nan, f"shape {_sizes(found)}, expected {_sizes(wanted)}")
    if same_dtype and found.dtype != wanted.dtype:
        return Difference(math.nan, f"type {found.dtype}, expected {wanted.dtype}")
    for array, whose in ((found, ""), (wanted, " in the file it is compared with")):
        if bad := not_finite(array):
            return Difference(math.nan, f"NaN or infinity in {bad} of {array.size} values{whose}")
    if not found.size:
        return Difference(0.0)
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(over="ignore"):  # two large values of opposite sign: infinity is the right word for it
        largest = float(np.abs(a - b).max())
    scale = float(np.abs(b).max())
    return Difference(largest / scale if scale else 0.0 if largest == 0 else math.inf)


def not_finite(array: Array) -> int:
    """How many values are NaN or infinite."""
    return 0 if array.dtype.kind in "biu" else int(array.size - np.count_nonzero(np.isfinite(array)))


def relative_l2(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> float:
    """||found - wanted|| / ||wanted|| in the L2 norm over all arrays together, in float64.

    Both hold the same names. NaN if any value is not finite. Where all of `wanted` is zero: 0 if `found` is, else
    infinity.
    """
    apart = sum(float(np.square(found[name].astype(np.float64) - wanted[name]).sum()) for name in wanted)
    scale = sum(float(np.square(wanted[name].astype(np.float64)).sum()) for name in wanted)
    if not (math.isfinite(apart) and math.isfinite(scale)):
        return math.nan
    return math.sqrt(apart / scale) if scale else 0.0 if apart == 0 else math.inf


def _sizes(array: Array) -> str:
    return " x ".join(map(str, array.shape)) or "scalar"
