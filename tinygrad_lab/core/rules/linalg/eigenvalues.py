"""Eigenvalues and eigenvectors."""

import numpy as np

from tinygrad_lab.core.operations import composed, defvjp
from tinygrad_lab.core.rules.linalg.matrices import as_diagonal, as_row, mH
from tinygrad_lab.core.rules.mathematical.elementwise import conj


def inverse_gaps(values):
    """1 / (w_j - w_i), and 0 where they coincide to rounding."""
    gaps = as_row(values) - values[..., None]
    if not values.shape[-1]:
        return gaps
    size = np.max(np.abs(values), axis=-1, keepdims=True)[..., None]
    equal = np.abs(gaps) <= 8 * float(np.finfo(values.dtype).eps) * size
    return np.where(equal, 0, 1 / np.where(equal, 1, gaps))


def _eigh(g, y, a, UPLO="L"):
    w, v = y
    inner = as_diagonal(g.of(0, y))
    if 1 in g:
        inner = inner + (mH(v) @ conj(g[1])) * inverse_gaps(w)
    grad = v @ inner @ mH(v)
    return conj(grad + mH(grad)) / 2


def _eig(g, y, a):
    w, v = y
    inner = as_diagonal(conj(g.of(0, y)))
    if 1 in g:  # the vectors have length 1, so that only what turns them counts
        vg = mH(v) @ conj(g[1])
        along = np.real(np.diagonal(vg, axis1=-2, axis2=-1))
        inner = inner + (vg - mH(v) @ v * as_row(along)) * conj(inverse_gaps(w))
    return conj(np.linalg.solve(mH(v), inner @ mH(v)))


defvjp(np.linalg.eigh, _eigh)
defvjp(np.linalg.eig, _eig)


@composed(np.linalg.eigvalsh)
def eigvalsh(a, UPLO="L"):
    return np.linalg.eigh(a, UPLO)[0]


@composed(np.linalg.eigvals)
def eigvals(a):
    return np.linalg.eig(a)[0]
