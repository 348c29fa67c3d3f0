"""Pooling: the largest, or the mean, of what a window of an image holds.

Each pooling and its gradient are linear in the upstream, so each pair closes under
differentiation: the gradient's own derivative gathers where the gradient scatters.

Not for: what users call, which checks and fills in defaults (``functional.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import numpy as np

from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.nn.windows import Array, Taps, fold, taps_of

__all__ = ["avg_pool2d", "max_pool2d"]


@primitive
def max_pool2d(x: Array, *, rows: Taps, columns: Taps) -> Array:
    """The largest element of each window; what lies outside is smaller than anything."""
    return reduce(np.maximum, taps_of(x, rows, columns, fill=_smallest(x)))


@primitive
def max_pool2d_input_gradient(g: Array, x: Array, y: Array, *, rows: Taps, columns: Taps) -> Array:
    """Give each window's gradient to its largest elements, in equal shares."""
    hits, ties = _hits(x, y, rows, columns)
    share = g / ties
    return fold((share * hit for hit in hits), x.shape[2:], rows, columns)


@primitive
def max_pool2d_gather(u: Array, x: Array, y: Array, *, rows: Taps, columns: Taps) -> Array:
    """The mean of ``u`` over each window's largest elements: the adjoint of the one above."""
    hits, ties = _hits(x, y, rows, columns)
    picked = taps_of(u, rows, columns)
    return reduce(np.add, [piece * hit for piece, hit in zip(picked, hits, strict=True)]) / ties


defvjp(
    max_pool2d,
    lambda g, y, x, **how: max_pool2d_input_gradient(g, x, y, **how),
    branch=lambda y, x, **how: max_pool2d_input_gradient(np.ones_like(y), x, y, **how) != 0,
)
# A small change of x leaves the largest elements where they are, almost everywhere, so the
# derivatives by x and by the maxima are 0.  They are declared, because a tracked argument without a
# rule is an error.
_flat = lambda u, y, g, x, top, **how: np.zeros_like(x)
_flat_top = lambda u, y, g, x, top, **how: np.zeros_like(top)
defvjp(
    max_pool2d_input_gradient,
    lambda u, y, g, x, top, **how: max_pool2d_gather(u, x, top, **how),
    _flat,
    _flat_top,
)
defvjp(
    max_pool2d_gather,
    lambda g, y, u, x, top, **how: max_pool2d_input_gradient(g, x, top, **how),
    _flat,
    _flat_top,
)


def _smallest(x: Array) -> float:
    return -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min


def _hits(x: Array, y: Array, rows: Taps, columns: Taps) -> tuple[list[Array], Array]:
    """Return for each tap where it read the largest element, and how many taps tie (NaN: 1)."""
    hits = [tap == y for tap in taps_of(x, rows, columns, fill=_smallest(x))]
    ties = reduce(np.add, [hit.astype(x.dtype) for hit in hits])
    return hits, np.maximum(ties, 1)


@primitive
def avg_pool2d(x: Array, *, rows: Taps, columns: Taps, divisor: Array) -> Array:
    """The sum of each window over its ``divisor``, a scalar or ``(Ho, Wo)``."""
    return reduce(np.add, taps_of(x, rows, columns)) / divisor


@primitive
def avg_pool2d_input_gradient(
    g: Array, *, size: tuple[int, int], rows: Taps, columns: Taps, divisor: Array
) -> Array:
    """Spread each window's gradient evenly over the window."""
    share = g / divisor
    return fold(_repeat(share, rows.kernel * columns.kernel), size, rows, columns)


defvjp(
    avg_pool2d,
    lambda g, y, x, **how: avg_pool2d_input_gradient(g, size=x.shape[2:], **how),
)
defvjp(
    avg_pool2d_input_gradient,
    lambda u, y, g, size, **how: avg_pool2d(u, **how),
)


def _repeat(piece: Array, times: int) -> Iterator[Array]:
    return (piece for _ in range(times))
