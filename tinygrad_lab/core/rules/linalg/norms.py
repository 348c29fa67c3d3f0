"""Norms, condition numbers, determinants, traces: matrices as numbers.

At kinks, and at 0, norms take the zero subgradient; ties of the largest share evenly.
"""

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_lab.core.arguments import beside
from tinygrad_lab.core.levels import somewhere
from tinygrad_lab.core.operations import composed, constant, defvjp, primitive
from tinygrad_lab.core.rules.arguments import untracked
from tinygrad_lab.core.rules.linalg.matrices import as_diagonal, as_row, mH, mT
from tinygrad_lab.core.rules.mathematical.elementwise import conj
from tinygrad_lab.core.rules.mathematical.lengths import (
    out_of_range,
    slope_at_zero,
    unit,
    vanishing,
)
from tinygrad_lab.core.rules.mathematical.sums import keep


@primitive
def vector_norm(x, p, axis=None, keepdims=False):
    """The p-norm over ``axis``, one axis or several taken as one."""
    if p == 2:
        return np.sqrt(np.sum(np.real(conj(x) * x), axis=axis, keepdims=keepdims))
    return np.sum(np.abs(x) ** p, axis=axis, keepdims=keepdims) ** (1 / p)


def _vector_norm(g, y, x, p, axis=None, keepdims=False):
    back, whole, part = keep(g, x, axis), keep(y, x, axis), x
    out = out_of_range(whole, p)
    if x.size and somewhere(out):
        part = x / unit(x, axis, out, np.max if p > 0 else np.min)
        whole = vector_norm(part, p, axis, True)
    still = (part == 0) | (whole == 0)  # of a negative order, one zero holds the whole norm at 0
    whole = np.where(whole == 0, 1, whole)
    if p == 2:
        back = back * (conj(part) / whole)
        bend = slope_at_zero(g, y)
    else:
        size = np.where(part == 0, 1, np.abs(part))
        back = back * np.where(still, 0, (size / whole) ** (p - 1) * (conj(part) / size))
        bend = slope_at_zero(g, y, at_kink=0 if p == 1 else np.inf, at_curve=np.inf)
    if bend is None:
        return back
    bend = keep(bend, x, axis)
    if 1 < p < 2:
        bend = np.where((untracked(x) == 0) & (untracked(keep(g, x, axis)) != 0), np.inf, bend)
    return back + vanishing(bend, conj(x))


def _side(y, x, p, axis=None, keepdims=False):
    return (np.sign(x) if p <= 1 and x.dtype.kind != "c" else x == 0) if p != 2 else y == 0


defvjp(vector_norm, _vector_norm, branch=_side)


@composed(np.linalg.vector_norm)
def np_vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    if ord == 0:
        return np.sum(x != 0, axis=axis, keepdims=keepdims, dtype=np.abs(x).dtype)
    if ord in (np.inf, -np.inf):
        extreme = np.max if ord > 0 else np.min
        return extreme(np.abs(x), axis=axis, keepdims=keepdims)
    return vector_norm(x, ord, axis, keepdims)


@composed(np.linalg.matrix_norm)
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    return np.linalg.norm(x, ord, (-2, -1), keepdims)


@composed(np.linalg.norm)
def norm(x, ord=None, axis=None, keepdims=False):
    if ord is None:
        return vector_norm(x, 2, axis, keepdims)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) == 1 and not isinstance(ord, str):
        return np.linalg.vector_norm(x, axis=axes[0], keepdims=keepdims, ord=ord)
    if len(axes) != 2:
        raise ValueError(f"Invalid norm order {ord!r} for {len(axes)} axes.")
    result = _matrix_norm(np.moveaxis(x, axes, (-2, -1)), ord)
    return keep(result, x, axes) if keepdims else result


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


@composed(np.linalg.cond)
def cond(x, p=None):
    if p in (None, 2, -2):
        s = np.linalg.svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return np.linalg.norm(x, p, (-2, -1)) * np.linalg.norm(np.linalg.inv(x), p, (-2, -1))


# Determinants.  Of a singular matrix there is no inverse, but there are cofactors: those of
# a = U S V are those of S, turned back by U and V.


@primitive
def cofactors(a):
    """The gradient of the determinant by each element, also of a singular matrix."""
    u, s, v = np.linalg.svd(a)
    each = beside(np.eye(a.shape[-1], dtype=bool), s)
    others = np.prod(np.where(each, 1, as_row(s)), axis=-1)
    return _turned_back(u, as_diagonal(others), v)


@primitive
def second_cofactors(g, a):
    """The gradient of ``sum(g * cofactors(a))`` by ``a``."""
    u, s, v = np.linalg.svd(a)
    each = beside(np.eye(a.shape[-1], dtype=bool), s)
    pair = each[:, None] | each
    others = np.where(each, 0, np.prod(np.where(pair, 1, s[..., None, None, :]), axis=-1))
    g = mH(u) @ g @ mH(v)
    diagonal = np.diagonal(g, axis1=-2, axis2=-1)
    return _turned_back(u, as_diagonal((others @ diagonal[..., None])[..., 0]) - others * mT(g), v)


def _third_cofactors(up, y, g, a):
    """By ``a``, which must have an inverse now: the cofactors are det(a) times its transpose."""
    i = mT(np.linalg.inv(a))
    with_g, with_up = (np.sum(x * i, axis=(-2, -1), keepdims=True) for x in (g, up))
    value = with_g * with_up - np.sum(up * (i @ mT(g) @ i), axis=(-2, -1), keepdims=True)
    by_inverse = up * with_g + g * with_up - up @ mT(i) @ g - g @ mT(i) @ up
    return np.linalg.det(a)[..., None, None] * (value * i - i @ mT(by_inverse) @ i)


def _turned_back(u, inner, v):
    sign = np.linalg.det(u) * np.linalg.det(v)
    return sign[..., None, None] * (conj(u) @ inner @ conj(v))


def _det(g, y, a):
    inverse_exists = not somewhere(y == 0)
    return g[..., None, None] * (
        y[..., None, None] * mT(np.linalg.inv(a)) if inverse_exists else cofactors(a)
    )


def _slogdet(g, y, a):
    sign, size = y
    slope = g.of(1, y)
    if a.dtype.kind == "c":
        slope = slope + np.imag(g.of(0, y) * sign) * 1j
    if somewhere(np.isneginf(size)):  # of a singular matrix: infinite along its cofactors
        inverse = cofactors(a) / (sign * np.exp(size))[..., None, None]
    else:
        inverse = mT(np.linalg.inv(a))
    return slope[..., None, None] * inverse


defvjp(np.linalg.det, _det)
defvjp(cofactors, lambda g, y, a: second_cofactors(g, a))
defvjp(second_cofactors, lambda up, y, g, a: second_cofactors(up, a), _third_cofactors)
defvjp(np.linalg.slogdet, _slogdet)


# Traces and diagonals


def _trace(g, y, x, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    ones = beside(np.eye(x.shape[axis1], x.shape[axis2], offset, dtype=bool), g)
    matrix = np.where(ones, g[..., None, None], 0)
    return np.moveaxis(matrix, (-2, -1), (axis1, axis2))


defvjp(np.trace, _trace)


@composed(np.linalg.diagonal)
def diagonal(x, /, *, offset=0):
    return np.diagonal(x, offset, -2, -1)


@composed(np.linalg.trace)
def trace(x, /, *, offset=0, dtype=None):
    return np.trace(x, offset, -2, -1, dtype)


constant(np.linalg.matrix_rank)
