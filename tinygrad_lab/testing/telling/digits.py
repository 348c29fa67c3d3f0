"""Numbers side by side, with as many digits as it takes to see that they differ.

Not for: the sentences around them (``words.py``), or values as Python (``pasted.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.testing.judging.numerical import Estimate

FEWEST, MOST = 6, 17  # significant digits
SMALL = 1e-3  # relative; a difference below is told itself


def side_by_side(a: float, b: float) -> tuple[str, str]:
    """Write two numbers with the fewest digits, of six at least, that show two of the difference.

    Examples
    --------
    >>> side_by_side(2.0, 0.5)
    ('2', '0.5')
    >>> side_by_side(4.8735941e-07, 4.8735912e-07)
    ('4.8735941e-07', '4.8735912e-07')
    """
    a, b = float(a), float(b)
    digits = FEWEST
    size = max(abs(a), abs(b))
    if a != b and math.isfinite(size):
        digits = math.ceil(math.log10(size) - math.log10(abs(a - b))) + 2
    digits = min(max(digits, FEWEST), MOST)
    return f"{a:.{digits}g}", f"{b:.{digits}g}"


def compared(promised: float, estimate: Estimate) -> tuple[str, str]:
    """Write a promised and a measured number, and by how much they differ, if that is little."""
    a, b = side_by_side(promised, estimate.value)
    numeric = f"{b} ± {estimate.error:.0e}"
    apart = abs(promised - estimate.value)
    if 0 < apart < SMALL * max(abs(promised), abs(estimate.value)):
        numeric += f", a difference of {apart:.2g}"
    return a, numeric


def ratio_of(a: float, b: float) -> str:
    """Write a ratio with three decimals, or as many as show that it is not 1."""
    ratio = float(a) / float(b)
    if not math.isfinite(ratio) or abs(ratio - 1) > SMALL:
        return f"{ratio:.3f}" if 0.01 <= abs(ratio) < 1e4 else f"{ratio:.3g}"
    return side_by_side(ratio, 1.0)[0]


def arrays_side_by_side(a: Any, b: Any, most: int = 4) -> tuple[str, str]:
    """Write the elements by which two arrays differ most, of large ones."""
    a, b = np.ravel(a), np.ravel(b)
    apart = np.nan_to_num(np.abs(a - b), nan=np.inf)
    chosen = np.sort(np.argsort(-apart, kind="stable")[:most])
    return _listed([side_by_side(a[i], b[i]) for i in chosen])


def _listed(pairs: Sequence[tuple[str, str]]) -> tuple[str, str]:
    left, right = zip(*pairs, strict=True) if pairs else ((), ())
    return f"[{', '.join(left)}]", f"[{', '.join(right)}]"
