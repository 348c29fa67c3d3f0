"""Orthogonal matrices of matrices without constraint: three maps, and their ways back.

Not for: where the result goes (``parametrizations.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["MAPS", "exponential", "householder_factors", "orthonormal", "reflected"]

Array = Any

_TERMS, _SQUARINGS = 14, 6  # exact to rounding for matrices of norm 32 and below


def exponential(a: Array) -> Array:
    """The exponential of a matrix: a Taylor polynomial of ``a / 2**6``, squared six times."""
    identity = np.eye(a.shape[-1], dtype=a.dtype)
    a, y = a / 2**_SQUARINGS, identity
    for i in range(_TERMS, 0, -1):
        y = identity + (a @ y) / i
    for _ in range(_SQUARINGS):
        y = y @ y
    return y


def _cayley(a: Array) -> Array:
    """``(I - a / 2)⁻¹ (I + a / 2)``."""
    identity = np.eye(a.shape[-1], dtype=a.dtype)
    return np.linalg.solve(identity - a / 2, identity + a / 2)


def _of_skew(x: Array, of: Any) -> Array:
    """A map of the skew-symmetric matrix with a lower triangle, its first columns."""
    n, k = x.shape[-2:]
    x = np.tril(x)
    if n != k:
        x = np.concatenate([x, np.zeros((*x.shape[:-1], n - k), x.dtype)], axis=-1)
    return of(x - np.conj(x.mT))[..., :k]


def reflected(x: Array) -> Array:
    """The product of reflections at vectors: 1 on the diagonal, and what ``x`` has below it."""
    n, k = x.shape[-2:]
    diagonal = np.eye(n, k, dtype=x.dtype)
    vectors = np.tril(x, -1) + diagonal
    y = diagonal
    for i in reversed(range(k)):
        v = vectors[..., i : i + 1]
        y = y - v * (
            (v * y).sum(axis=-2, keepdims=True) * (2 / (v * v).sum(axis=(-2, -1), keepdims=True))
        )
    return y * np.sign(np.diagonal(x, axis1=-2, axis2=-1))[..., None, :]


MAPS: dict[str, Any] = {
    "matrix_exp": lambda x: _of_skew(x, exponential),
    "cayley": lambda x: _of_skew(x, _cayley),
    "householder": reflected,
}


def householder_factors(q: Array) -> Array:
    """What :func:`reflected` makes a matrix of, if its columns are orthonormal."""
    reflectors, taus = np.linalg.qr(q, mode="raw")
    x = np.swapaxes(reflectors, -1, -2).copy()
    i = np.arange(x.shape[-1])
    x[..., i, i] = np.sign(x[..., i, i]) * np.where(taus == 0, -1, 1)
    return x


def orthonormal(a: Array) -> Array:
    """An orthogonal matrix whose first columns are those of ``a``, if these are orthonormal."""
    q, r = np.linalg.qr(a, mode="complete")
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    q[..., : a.shape[-1]] *= np.where(diagonal == 0, 1, np.sign(diagonal))[..., None, :]
    return q
