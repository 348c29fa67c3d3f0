"""Weights of a norm: what ``weight_norm`` and ``spectral_norm`` compute.

Not for: where the result goes (``parametrizations.py``, ``computed.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.levels import detached

__all__ = ["largest_stretch", "lengths", "matrix_of", "power_iteration", "unit", "with_lengths"]

Array = Any


def lengths(v: Array, dim: int | None) -> Array:
    """The Euclidean norms of slices along ``dim``, or of the whole."""
    if dim is None or dim == -1:  # which PyTorch takes for the whole too
        return np.sqrt(np.sum(v * v))
    axes = tuple(i for i in range(v.ndim) if i != dim % v.ndim)
    return np.sqrt(np.sum(v * v, axis=axes, keepdims=True))


def with_lengths(v: Array, g: Array, dim: int | None) -> Array:
    """``v`` with the norms ``g`` (Salimans and Kingma, 2016)."""
    return v * (g / lengths(v, dim))


def matrix_of(weight: Array, dim: int) -> Array:
    """A weight as a matrix, with a row for each slice along ``dim``."""
    return np.moveaxis(weight, dim, 0).reshape((weight.shape[dim], -1))


def unit(x: Array, eps: float) -> Array:
    """A vector of length 1 in a direction."""
    return x / np.maximum(np.sqrt(np.sum(x * x)), eps)


def power_iteration(
    matrix: Array, u: Array, v: Array, steps: int, eps: float, *, u_first: bool
) -> tuple[Array, Array]:
    """Singular vectors of the largest singular value, nearer to it by some steps."""
    matrix = detached(matrix)
    for _ in range(steps):
        if u_first:
            u = unit(matrix @ v, eps)
        v = unit(matrix.T @ u, eps)
        if not u_first:
            u = unit(matrix @ v, eps)
    return u, v


def largest_stretch(matrix: Array, u: Array, v: Array) -> Array:
    """The largest singular value, by its singular vectors, which are constants."""
    return u @ (matrix @ v)
