"""Solving equations and inverting matrices."""

import operator

import numpy as np

from tinygrad_lab.core.degenerate import largest
from tinygrad_lab.core.operations import composed, defvjp, primitive
from tinygrad_lab.core.rules.arguments import as_array, as_floats, untracked
from tinygrad_lab.core.rules.linalg.matrices import as_row, mH, mT
from tinygrad_lab.core.rules.mathematical.elementwise import conj


def _solve_left(g, y, a, b):
    g = _solve_right(g, y, a, b)
    return -g[..., None] * as_row(y) if np.ndim(b) == 1 else -(g @ mT(y))


def _solve_right(g, y, a, b):
    if np.ndim(b) == 1:  # NumPy: only then a vector
        return np.linalg.solve(mT(a), g[..., None])[..., 0]
    return np.linalg.solve(mT(a), g)


def _pinv(g, y, a, rcond=None, hermitian=False, **kwargs):
    up, p = conj(g), y
    ph, gh = mH(p), mH(up)
    outside_range = gh - a @ (p @ gh)
    outside_rows = gh - (gh @ p) @ a
    grad = conj(outside_range @ p @ ph + ph @ p @ outside_rows - ph @ up @ ph)
    return (grad + mH(grad)) / 2 if hermitian else grad


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
    least_squares, _least_squares_left, lambda g, y, a, b, rcond: mT(np.linalg.pinv(a, rcond)) @ g
)


@composed(np.linalg.lstsq, by=("a", "b"))
def lstsq(a, b, rcond=None):
    a, b = as_floats(a), as_floats(b)
    a = a.astype(np.result_type(a.dtype, b.dtype), copy=False)
    rcond = np.finfo(a.dtype).eps * max(a.shape) if rcond is None else rcond
    x, s = least_squares(a, b, rcond), np.linalg.svdvals(a)
    rank = operator.index(np.sum(s > rcond * largest(untracked(s))))
    left = b - a @ x
    squares = np.sum(np.real(conj(left) * left), axis=0).reshape(-1)
    overdetermined = rank == a.shape[1] < a.shape[0]
    return x, (squares if overdetermined else squares[:0]), rank, s


@composed(np.linalg.tensorinv)
def tensorinv(a, ind=2):
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    first, last = a.shape[:ind], a.shape[ind:]
    return np.linalg.inv(a.reshape((int(np.prod(first)), -1))).reshape((*last, *first))


@composed(np.linalg.tensorsolve, by=("a", "b"))
def tensorsolve(a, b, axes=None):
    a, b = as_array(a), as_array(b)
    for axis in axes or ():
        a = np.moveaxis(a, axis, -1)
    return np.linalg.solve(a.reshape((b.size, -1)), b.reshape(-1)).reshape(a.shape[b.ndim :])
