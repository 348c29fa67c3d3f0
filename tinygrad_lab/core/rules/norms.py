"""Norms of vectors and matrices, and condition numbers.

At kinks, and at 0, they take the zero subgradient; ties of the largest share evenly.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_lab.core.primitive import defvjp, instead, primitive
from tinygrad_lab.core.rules.elementwise import conj
from tinygrad_lab.core.rules.reductions import _keep


@primitive
def vector_norm(x, p, axis=None, keepdims=False):
    """The p-norm over ``axis``, one axis or several taken as one."""
    if p == 2:
        return np.sqrt(np.sum(np.real(conj(x) * x), axis=axis, keepdims=keepdims))
    return np.sum(np.abs(x) ** p, axis=axis, keepdims=keepdims) ** (1 / p)


def _vector_norm(g, y, x, p, axis=None, keepdims=False):
    g, whole = _keep(g, x, axis), _keep(y, x, axis)
    still = (x == 0) | (whole == 0)  # of a negative order, one zero holds the whole norm at 0
    whole = np.where(whole == 0, 1, whole)
    if p == 2:
        return g * (conj(x) / whole)
    size = np.where(x == 0, 1, np.abs(x))
    return g * np.where(still, 0, (size / whole) ** (p - 1) * (conj(x) / size))


defvjp(vector_norm, _vector_norm)


@instead(np.linalg.vector_norm)
def _(x, /, *, axis=None, keepdims=False, ord=2):
    if ord == 0:
        return np.sum(x != 0, axis=axis, keepdims=keepdims, dtype=np.abs(x).dtype)
    if ord in (np.inf, -np.inf):
        extreme = np.max if ord > 0 else np.min
        return extreme(np.abs(x), axis=axis, keepdims=keepdims)
    return vector_norm(x, ord, axis, keepdims)


@instead(np.linalg.matrix_norm)
def _(x, /, *, keepdims=False, ord="fro"):
    return np.linalg.norm(x, ord, (-2, -1), keepdims)


@instead(np.linalg.norm)
def _(x, ord=None, axis=None, keepdims=False):
    if ord is None:
        return vector_norm(x, 2, axis, keepdims)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) == 1 and not isinstance(ord, str):
        return np.linalg.vector_norm(x, axis=axes[0], keepdims=keepdims, ord=ord)
    if len(axes) != 2:
        raise ValueError(f"Invalid norm order {ord!r} for {len(axes)} axes.")
    result = _matrix_norm(np.moveaxis(x, axes, (-2, -1)), ord)
    return _keep(result, x, axes) if keepdims else result


def _matrix_norm(x, order):
    if order in ("fro", "f"):
        return vector_norm(x, 2, (-2, -1))
    if order in (1, -1, np.inf, -np.inf):
        sums = np.sum(np.abs(x), axis=-2 if abs(order) == 1 else -1)
        return np.max(sums, axis=-1) if order > 0 else np.min(sums, axis=-1)
    if order == "nuc":
        return np.sum(np.linalg.svdvals(x), axis=-1)
    if order in (2, -2):
        return np.linalg.svdvals(x)[..., 0 if order > 0 else -1]
    raise ValueError(f"Invalid norm order {order!r} for matrices.")


@instead(np.linalg.cond)
def _(x, p=None):
    if p in (None, 2, -2):
        s = np.linalg.svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return np.linalg.norm(x, p, (-2, -1)) * np.linalg.norm(np.linalg.inv(x), p, (-2, -1))
