"""Eigenvalues and eigenvectors."""

import numpy as np

from tinygrad_lab.core.degenerate import largest
from tinygrad_lab.core.operations import composed, defvjp
from tinygrad_lab.core.rules.arguments import untracked
from tinygrad_lab.core.rules.linalg.matrices import as_diagonal, as_row, mH
from tinygrad_lab.core.rules.linalg.spectra import are_near, differences, shared, unmixed
from tinygrad_lab.core.rules.mathematical.elementwise import conj


def _gaps(w):
    return [differences(w)]


def _conjugate_gaps(w):
    return [conj(differences(w))]


def _eigh(g, y, a, UPLO="L"):
    v = y[1]

    def mixtures(g):  # of vectors turned into each other, which is all that they can do
        turns = mH(v) @ conj(g.of(1, y))
        return [(turns - mH(turns)) / 2]

    if 1 in g:
        inner = as_diagonal(g.of(0, y)) + unmixed(g, y, 0, mixtures, _gaps)[0]
    else:
        inner = as_diagonal(shared(g, y))
    grad = v @ inner @ mH(v)
    return conj(grad + mH(grad)) / 2


def _eig(g, y, a):
    w, v = y

    def mixtures(g):  # the vectors have length 1, so that only what turns them counts
        turns = mH(v) @ conj(g.of(1, y))
        along = np.real(np.diagonal(turns, axis1=-2, axis2=-1))
        return [turns - mH(v) @ v * as_row(along)]

    if 1 in g:
        inner = as_diagonal(conj(g.of(0, y))) + unmixed(g, y, 0, mixtures, _conjugate_gaps)[0]
    else:
        inner = as_diagonal(conj(shared(g, y)))
    inverse = np.linalg.inv(mH(v))
    size = largest(np.abs(untracked(inverse)), axis=(-2, -1))
    is_basis = size * float(np.finfo(w.dtype).eps) ** 0.75 < 1  # not so for Jordan blocks
    return conj(np.where(is_basis, inverse @ inner @ mH(v), np.nan))


defvjp(np.linalg.eigh, _eigh, degenerate=lambda w, v: are_near(w, _gaps))
defvjp(np.linalg.eig, _eig, degenerate=lambda w, v: are_near(w, _gaps))


@composed(np.linalg.eigvalsh)
def eigvalsh(a, UPLO="L"):
    return np.linalg.eigh(a, UPLO)[0]


@composed(np.linalg.eigvals)
def eigvals(a):
    return np.linalg.eig(a)[0]
