"""Arrays as the checker handles them: in one row, read-only, in real and imaginary parts.

Not for: which arrays a function is called with (``arguments.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.tensor import Tensor

Array = NDArray[Any]


def array_of(x: Any) -> Any:
    """Give the array of a Tensor, and anything else as it is."""
    return x.data if isinstance(x, Tensor) else x


def in_parts(z: Array) -> Array:
    """Give real and imaginary parts along a last axis."""
    return np.stack([np.real(z), np.imag(z)], axis=-1)


def flat(outputs: Sequence[Array]) -> Array:
    """Put all outputs into one row, at least in float64."""
    rows = [np.ravel(y) for y in outputs]
    row = rows[0] if len(rows) == 1 else np.concatenate(rows)
    return row if row.dtype.itemsize >= 8 else row.astype(np.float64)


def frozen(x: Array) -> Array:
    """Give a read-only view, so that a line that writes into it raises."""
    view = x[...]
    view.flags.writeable = False
    return view


def unit(like: Sequence[Array], i: int, index: tuple[int, ...], size: float = 1.0) -> list[Array]:
    """Give zeros in the place of some arrays, but for one element."""
    arrays = [np.zeros_like(x) for x in like]
    arrays[i][index] = size
    return arrays


def first_difference(a: Sequence[Array], b: Sequence[Array]) -> int | None:
    """Give the first position at which two lists of arrays differ by a bit."""
    pairs = enumerate(zip(a, b, strict=True))
    return next((i for i, (x, y) in pairs if not np.array_equal(x, y, equal_nan=True)), None)
