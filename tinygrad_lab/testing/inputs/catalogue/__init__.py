"""The catalogue: for each of NumPy's functions that has a derivative, how its calls are generated.

One row adds an operation: ``np.sqrt: unary(0.5, 4)`` in the table of its heading, which is that of
``core/rules`` and of NumPy's documentation.  A call has float64 arrays, and a function of those
arrays alone, with everything else (axis, index, mask, subscripts) settled.  The arrays lie away
from kinks and poles, so that finite differences can judge; ``generated.py`` puts zeros, ties and
extremes in their place.

Not for: how a family of calls is drawn (``families.py``), or what is checked (``judging``).
"""

from __future__ import annotations

from tinygrad_lab.testing.inputs.catalogue import (
    fft, indexing, linalg, manipulation, mathematical, polynomials, statistics,
)  # fmt: skip
from tinygrad_lab.testing.inputs.catalogue.families import Cases

__all__ = ["CASES"]

CASES: Cases = {
    **mathematical.CASES, **statistics.CASES, **manipulation.CASES, **indexing.CASES,
    **linalg.CASES, **fft.CASES, **polynomials.CASES,
}  # fmt: skip
