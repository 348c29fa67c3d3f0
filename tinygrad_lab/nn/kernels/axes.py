"""A linear function along one axis of an image, by its matrix.

Not for: which matrix (``functional/pooling.py``, ``functional/resizing.py``).
"""

from __future__ import annotations

import numpy as np

from tinygrad_lab.nn.kernels.windows import Array, NDArray

__all__ = ["mapped", "means"]


def mapped(x: Array, axis: int, matrix: NDArray) -> Array:
    """Multiply each line of ``x`` along an axis by ``matrix`` ``(out, n)``, in the dtype of x."""
    matrix = matrix.astype(x.dtype)
    if axis == x.ndim - 1:
        return np.matmul(x, matrix.T)
    return np.moveaxis(np.matmul(matrix, np.moveaxis(x, axis, -2)), -2, axis)


def means(n: int, out: int) -> NDArray:
    """The matrix ``(out, n)`` of the means over ``out`` parts of ``n`` elements, about as long.

    Part ``i`` begins at ``floor(i n / out)`` and ends before ``ceil((i + 1) n / out)``.
    """
    i, places = np.arange(out)[:, None], np.arange(n)
    inside = (i * n // out <= places) & (places < -(-(i + 1) * n // out))
    return inside / inside.sum(axis=1, keepdims=True)
