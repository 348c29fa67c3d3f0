"""Inverses, determinants and decompositions of matrices, batched over the leading axes.

Sources: M. B. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008), for inverse, determinant, Cholesky factor, eigen- and singular values; for
the pseudoinverse, G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10 (1973).

Conventions.  A function that reads one triangle of a symmetric matrix (``cholesky``, ``eigh``) has
the symmetric gradient, as if it had read both.  Where eigenvalues or singular values coincide,
their vectors are not unique: the terms that mix such vectors count as 0.  That is right for
symmetric functions of the equal values, and for the subspace that their vectors span together; what
else depends on the vectors within it has no derivative there.  A complex vector's phase is not
unique either: the gradient is right for what does not depend on it.  The determinant of a singular
matrix has its gradient, the cofactors, and the second derivative; a third is refused.
"""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_lab.core.primitive import as_array, constant, defvjp, instead, primitive, values
from tinygrad_lab.core.rules.elementwise import conj
from tinygrad_lab.core.rules.linalg import mT


def _mH(x):  # noqa: N802 - the conjugate transpose
    return conj(mT(x))


def _matrix(d):
    """A diagonal matrix of the last axis."""
    return d[..., None] * np.eye(d.shape[-1], dtype=bool)


def _row(d):
    return d[..., None, :]


# Determinants.  Where the inverse exists not, the cofactors do: a = U S V has those of S, turned.


@primitive
def cofactors(a):
    """The gradient of the determinant by each element, also of a singular matrix."""
    u, s, v = np.linalg.svd(a)
    each = np.eye(a.shape[-1], dtype=bool)
    others = np.prod(np.where(each, 1, _row(s)), axis=-1)
    return _turned_back(u, _matrix(others), v)


@primitive
def second_cofactors(g, a):
    """The gradient of ``sum(g * cofactors(a))`` by ``a``."""
    u, s, v = np.linalg.svd(a)
    each = np.eye(a.shape[-1], dtype=bool)
    pair = each[:, None] | each
    others = np.where(each, 0, np.prod(np.where(pair, 1, s[..., None, None, :]), axis=-1))
    g = _mH(u) @ g @ _mH(v)
    diagonal = np.diagonal(g, axis1=-2, axis2=-1)
    return _turned_back(u, _matrix((others @ diagonal[..., None])[..., 0]) - others * mT(g), v)


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
    inverse_exists = not np.any(y == 0)
    return g[..., None, None] * (
        y[..., None, None] * mT(np.linalg.inv(a)) if inverse_exists else cofactors(a)
    )


def _slogdet(g, y, a):
    sign, size = y
    slope = g.of(1, y)
    if a.dtype.kind == "c":
        slope = slope + np.imag(g.of(0, y) * sign) * 1j
    if np.any(np.isneginf(size)):  # of a singular matrix: infinite along its cofactors
        inverse = cofactors(a) / (sign * np.exp(size))[..., None, None]
    else:
        inverse = mT(np.linalg.inv(a))
    return slope[..., None, None] * inverse


defvjp(np.linalg.det, _det)
defvjp(cofactors, lambda g, y, a: second_cofactors(g, a))
defvjp(second_cofactors, lambda up, y, g, a: second_cofactors(up, a), _third_cofactors)
defvjp(np.linalg.slogdet, _slogdet)


# Inverses and linear systems


def _solve_left(g, y, a, b):
    g = _solve_right(g, y, a, b)
    return -g[..., None] * _row(y) if np.ndim(b) == 1 else -(g @ mT(y))


def _solve_right(g, y, a, b):
    if np.ndim(b) == 1:  # NumPy: only then a vector
        return np.linalg.solve(mT(a), g[..., None])[..., 0]
    return np.linalg.solve(mT(a), g)


def _pinv(g, y, a, rcond=None, hermitian=False, **kwargs):
    up, p = conj(g), y
    ph, gh = _mH(p), _mH(up)
    outside_range = gh - a @ (p @ gh)
    outside_rows = gh - (gh @ p) @ a
    grad = conj(outside_range @ p @ ph + ph @ p @ outside_rows - ph @ up @ ph)
    return (grad + _mH(grad)) / 2 if hermitian else grad


defvjp(np.linalg.inv, lambda g, y, a: -(mT(y) @ g @ mT(y)))
defvjp(np.linalg.solve, _solve_left, _solve_right)
defvjp(np.linalg.pinv, _pinv)


@primitive
def least_squares(a, b, rcond):
    """The solution of least norm of least-squares problems, one a column of ``b``."""
    return np.linalg.lstsq(a, b, rcond)[0]


def _least_squares_left(g, y, a, b, rcond):
    g, b = (x[:, None] if b.ndim == 1 else x for x in (g, b))
    return _pinv(g @ mT(b), np.linalg.pinv(a, rcond), a)


defvjp(
    least_squares,
    _least_squares_left,
    lambda g, y, a, b, rcond: mT(np.linalg.pinv(a, rcond)) @ g,
)


@instead(np.linalg.lstsq)
def _(a, b, rcond=None):
    a, b = as_array(a), as_array(b)
    rcond = np.finfo(a.dtype).eps * max(a.shape) if rcond is None else rcond
    x, s = least_squares(a, b, rcond), np.linalg.svdvals(a)
    rank = int(np.sum(s > rcond * np.max(values(s), initial=0)))
    left = b - a @ x
    squares = np.sum(np.real(conj(left) * left), axis=0).reshape(-1)
    overdetermined = rank == a.shape[1] < a.shape[0]
    return x, (squares if overdetermined else squares[:0]), rank, s


@instead(np.linalg.tensorinv)
def _(a, ind=2):
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    first, last = a.shape[:ind], a.shape[ind:]
    return np.linalg.inv(a.reshape((int(np.prod(first)), -1))).reshape((*last, *first))


@instead(np.linalg.tensorsolve)
def _(a, b, axes=None):
    a, b = as_array(a), as_array(b)
    for axis in axes or ():
        a = np.moveaxis(a, axis, -1)
    return np.linalg.solve(a.reshape((b.size, -1)), b.reshape(-1)).reshape(a.shape[b.ndim :])


# Powers and chains


@instead(np.linalg.matrix_power)
def _(a, n):
    one = np.linalg.matrix_power(values(a), 0)  # and NumPy's refusals
    if n == 0:
        return one + 0 * a
    if n < 0:
        a, n = np.linalg.inv(a), -n
    result = None
    while n:
        if n % 2:
            result = a if result is None else result @ a
        n //= 2
        a = a @ a if n else a
    return result


@instead(np.linalg.multi_dot)
def _(arrays, *, out=None):
    arrays = [as_array(a) for a in arrays]
    if len(arrays) < 2:
        raise ValueError("Expecting at least two arrays.")
    if arrays[-1].ndim == 1:  # from the vector's side, every product is a vector
        return functools.reduce(lambda right, left: np.dot(left, right), reversed(arrays))
    return functools.reduce(np.dot, arrays)


# Cholesky factor, QR


def _cholesky(g, y, a, *, upper=False):
    factor, up = (_mH(y), mT(g)) if upper else (y, conj(g))
    lh = _mH(factor)
    n = a.shape[-1]
    real = np.finfo(a.dtype).dtype
    half = np.tri(n, dtype=real) - np.eye(n, dtype=real) / 2
    middle = np.linalg.solve(lh, (lh @ up) * half)
    grad = _mH(np.linalg.solve(lh, _mH(middle)))
    return conj(grad + _mH(grad)) / 2


defvjp(np.linalg.cholesky, _cholesky)


@primitive
def qr(a):
    """The reduced QR decomposition."""
    return np.linalg.qr(a)


def _qr(g, y, a):
    q, r = y
    gq, gr = conj(g.of(0, y)), conj(g.of(1, y))
    rows, columns = a.shape[-2:]
    if rows >= columns:
        return conj(_qr_tall(gq, gr, q, r))
    # A wide matrix is a square one beside the rest, and Q decomposes the square one.
    rest, gr_rest = a[..., rows:], gr[..., rows:]
    square = _qr_tall(gq + rest @ _mH(gr_rest), gr[..., :rows], q, r[..., :rows])
    return conj(np.concatenate([square, q @ gr_rest], axis=-1))


def _qr_tall(gq, gr, q, r):
    m = r @ _mH(gr) - _mH(gq) @ q
    lower = np.tril(m, -1)
    both = lower + _mH(lower) + np.real(m) * np.eye(m.shape[-1], dtype=bool)
    return _mH(np.linalg.solve(r, _mH(gq + q @ both)))


defvjp(qr, _qr)


@instead(np.linalg.qr)
def _(a, mode="reduced"):
    if mode not in ("reduced", "r") and not (mode == "complete" and a.shape[-2] <= a.shape[-1]):
        raise ValueError(f"mode={mode!r} has no gradient, since it is not unique: say 'reduced'")
    return qr(a)[1] if mode == "r" else qr(a)


# Eigenvalues and singular values


def _inverse_gaps(values):
    """1 / (w_j - w_i), and 0 where they coincide to rounding."""
    gaps = _row(values) - values[..., None]
    if not values.shape[-1]:
        return gaps
    size = np.max(np.abs(values), axis=-1, keepdims=True)[..., None]
    equal = np.abs(gaps) <= 8 * float(np.finfo(values.dtype).eps) * size
    return np.where(equal, 0, 1 / np.where(equal, 1, gaps))


def _eigh(g, y, a, UPLO="L"):
    w, v = y
    inner = _matrix(g.of(0, y))
    if 1 in g:
        inner = inner + (_mH(v) @ conj(g[1])) * _inverse_gaps(w)
    grad = v @ inner @ _mH(v)
    return conj(grad + _mH(grad)) / 2


def _eig(g, y, a):
    w, v = y
    inner = _matrix(conj(g.of(0, y)))
    if 1 in g:  # the vectors have length 1, so that only what turns them counts
        vg = _mH(v) @ conj(g[1])
        along = np.real(np.diagonal(vg, axis1=-2, axis2=-1))
        inner = inner + (vg - _mH(v) @ v * _row(along)) * conj(_inverse_gaps(w))
    return conj(np.linalg.solve(_mH(v), inner @ _mH(v)))


defvjp(np.linalg.eigh, _eigh)
defvjp(np.linalg.eig, _eig)


@instead(np.linalg.eigvalsh)
def _(a, UPLO="L"):
    return np.linalg.eigh(a, UPLO)[0]


@instead(np.linalg.eigvals)
def _(a):
    return np.linalg.eig(a)[0]


@primitive
def svd(a):
    """The reduced singular value decomposition."""
    return np.linalg.svd(a, full_matrices=False)


def _svd(g, y, a):
    u, s, vh = y
    inner = _matrix(g.of(1, y))
    if 0 not in g and 2 not in g:
        return conj(u @ inner @ vh)
    v, gaps = _mH(vh), _inverse_gaps(s * s)
    inverse = np.where(s == 0, 0, 1 / np.where(s == 0, 1, s))
    gu, gv = conj(g.of(0, y)), _mH(conj(g.of(2, y)))
    uu, vv = _mH(u) @ gu, _mH(v) @ gv
    inner = inner + (uu - _mH(uu)) * gaps * _row(s) + s[..., None] * ((vv - _mH(vv)) * gaps)
    if a.dtype.kind == "c":
        inner = inner + 1j * _matrix(np.imag(np.diagonal(uu, axis1=-2, axis2=-1)) * inverse)
    outside = (gu - u @ uu) * _row(inverse) @ vh + u * _row(inverse) @ _mH(gv - v @ vv)
    return conj(u @ inner @ vh + outside)


defvjp(svd, _svd)


@instead(np.linalg.svd)
def _(a, full_matrices=True, compute_uv=True, hermitian=False):
    if hermitian:
        return _svd_of_hermitian(a, compute_uv)
    if not compute_uv:
        return np.linalg.svdvals(a)
    if full_matrices and a.shape[-1] != a.shape[-2]:
        raise ValueError(
            "the extra vectors of full_matrices=True are not unique, so they have no gradient: "
            "say full_matrices=False"
        )
    return svd(a)


def _svd_of_hermitian(a, compute_uv):
    w, v = np.linalg.eigh(a)
    order = np.argsort(np.abs(w), axis=-1)[..., ::-1]
    w = np.take_along_axis(w, order, -1)
    if not compute_uv:
        return np.abs(w)
    v = np.take_along_axis(v, _row(order), -1)
    return type(np.linalg.svd(np.eye(1)))(v, np.abs(w), _mH(v * _row(np.sign(w))))


@instead(np.linalg.svdvals)
def _(x, /):
    return svd(x)[1]


constant(np.linalg.matrix_rank)
