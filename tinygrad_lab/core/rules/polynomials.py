"""Polynomials, given by their coefficients, highest power first."""

import numpy as np

from tinygrad_lab.core.arguments import beside
from tinygrad_lab.core.operations import composed, defvjp
from tinygrad_lab.core.rules.arguments import as_array, as_floats, untracked


@composed(np.polyval, by=("p", "x"))
def polyval(p, x):
    y = 0 * as_array(x)
    for coefficient in p:
        y = y * x + coefficient
    return y


@composed(np.polymul, by=("a1", "a2"))
def polymul(a1, a2):
    return np.convolve(_without_leading_zeros(a1), _without_leading_zeros(a2))


def _without_leading_zeros(p):
    p = np.atleast_1d(p)
    rest = np.trim_zeros(p, "f")
    return rest if rest.shape[0] else p[:1]


@composed(np.polyadd, by=("a1", "a2"))
def polyadd(a1, a2):
    return _term_by_term(np.add, a1, a2)


@composed(np.polysub, by=("a1", "a2"))
def polysub(a1, a2):
    return _term_by_term(np.subtract, a1, a2)


def _term_by_term(op, a1, a2):
    a1, a2 = np.atleast_1d(a1), np.atleast_1d(a2)
    n = max(a1.shape[0], a2.shape[0])
    return op(np.pad(a1, (n - a1.shape[0], 0)), np.pad(a2, (n - a2.shape[0], 0)))


@composed(np.polydiv, by=("u", "v"))
def polydiv(u, v):
    u, v = np.atleast_1d(u), np.atleast_1d(v)
    scale = v[0]
    quotient = []
    for _ in range(u.shape[0] - v.shape[0] + 1):
        quotient.append(u[0] / scale)
        u = u[1:] - np.pad(quotient[-1] * v[1:], (0, u.shape[0] - v.shape[0]))
    u = u if u.shape[0] else np.zeros(1, dtype=u.dtype)
    while u.shape[0] > 1 and np.isclose(u[0], 0):
        u = u[1:]
    return (np.stack(quotient) if quotient else 0 * u[:1]), u


@composed(np.polyder)
def polyder(p, m=1):
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    p = np.positive(p)
    for _ in range(m):
        p = p[:-1] * np.arange(p.shape[0] - 1, 0, -1)
    return p


@composed(np.polyint, by=("p", "k"))
def polyint(p, m=1, k=None):
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    p = np.positive(p)
    constants = as_array(0.0 if k is None else k).reshape(-1)
    if constants.shape[0] < m:
        constants = np.broadcast_to(constants, (m,))
    for i in range(m):
        p = np.concatenate([p / np.arange(p.shape[0], 0, -1), constants[i : i + 1]])
    return p


@composed(np.poly)
def poly(seq_of_zeros):
    zeros = np.linalg.eigvals(seq_of_zeros) if seq_of_zeros.ndim == 2 else seq_of_zeros
    zeros = zeros.astype(np.mintypecode(zeros.dtype.char))  # not float16
    p = np.ones(1, dtype=zeros.dtype)
    for zero in zeros:
        p = np.convolve(p, np.stack([np.ones_like(zero), -zero]))
    return np.real(p) if _are_conjugates(untracked(zeros)) else p


def _are_conjugates(zeros):
    """Tell whether complex numbers come in conjugate pairs, or are real."""
    return zeros.dtype.kind == "c" and bool(np.all(np.sort(zeros) == np.sort(np.conj(zeros))))


# A root moves by -dp(root) / p'(root): also from 0, where the last coefficients vanish.  Where the
# first do, roots lie at infinity, and no derivative says how they would return.


def _roots(g, y, p):
    degree = p.shape[0] - 1
    powers = np.vander(y, degree + 1)
    slopes = powers[:, 1:] @ (p[:-1] * beside(np.arange(degree, 0, -1), p))
    gone = np.cumsum(untracked(p) != 0) == 0
    return np.where(gone, np.nan, -(g / slopes) @ powers)


defvjp(np.roots, _roots)


@composed(np.polyfit, by=("x", "y", "w"))
def polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    if full or cov or np.ndim(deg):
        raise TypeError(
            "only the coefficients of one degree have a gradient: full=False, cov=False"
        )
    x, y = as_floats(x), as_floats(y)
    rcond = x.size * np.finfo(x.dtype).eps if rcond is None else rcond
    left, right = np.vander(x, deg + 1), y
    if w is not None:
        w = as_floats(w)
        left, right = left * w[:, None], (right.T * w).T
    scale = np.sqrt(np.sum(left * left, axis=0))
    scaled = np.linalg.lstsq(left / scale, right, rcond)[0]
    return (scaled.T / scale).T
