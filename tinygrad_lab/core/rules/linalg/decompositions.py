"""Decompositions: Cholesky factor, QR, singular values."""

import numpy as np

from tinygrad_lab.core.arguments import beside
from tinygrad_lab.core.levels import innermost_array, somewhere
from tinygrad_lab.core.operations import composed, defvjp, primitive
from tinygrad_lab.core.rules.linalg.matrices import as_diagonal, as_row, mH, mT
from tinygrad_lab.core.rules.linalg.spectra import (
    are_near,
    differences,
    of_sizes,
    sums,
    unmixed,
)
from tinygrad_lab.core.rules.mathematical.elementwise import conj


def _cholesky(g, y, a, *, upper=False):
    factor, up = (mH(y), mT(g)) if upper or _is_upper(y) else (y, conj(g))
    lh = mH(factor)
    n = a.shape[-1]
    real = np.finfo(a.dtype).dtype
    half = beside(np.tri(n, dtype=real) - np.eye(n, dtype=real) / 2, up)
    middle = np.linalg.solve(lh, (lh @ up) * half)
    grad = mH(np.linalg.solve(lh, mH(middle)))
    return conj(grad + mH(grad)) / 2


def _is_upper(factor):
    """Tell what kind of factor another library gives: Dask's is upper, whatever is asked for."""
    factor = innermost_array(factor)
    return not isinstance(factor, np.ndarray) and somewhere(np.triu(factor, 1) != 0)


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
    square = _qr_tall(gq + rest @ mH(gr_rest), gr[..., :rows], q, r[..., :rows])
    return conj(np.concatenate([square, q @ gr_rest], axis=-1))


def _qr_tall(gq, gr, q, r):
    m = r @ mH(gr) - mH(gq) @ q
    lower = np.tril(m, -1)
    both = lower + mH(lower) + np.real(m) * beside(np.eye(m.shape[-1], dtype=bool), m)
    return mH(np.linalg.solve(r, mH(gq + q @ both)))


defvjp(qr, _qr)


@composed(np.linalg.qr)
def np_qr(a, mode="reduced"):
    if mode not in ("reduced", "r") and not (mode == "complete" and a.shape[-2] <= a.shape[-1]):
        raise ValueError(f"mode={mode!r} has no gradient, since it is not unique: say 'reduced'")
    return qr(a)[1] if mode == "r" else qr(a)


# Singular values


@primitive
def svd(a):
    """The reduced singular value decomposition."""
    return np.linalg.svd(a, full_matrices=False)


def _svd(g, y, a):
    u, _, vh = y
    v = mH(vh)
    rows, columns = a.shape[-2:]

    def mixtures(g):
        gu, gv = conj(g.of(0, y)), mH(conj(g.of(2, y)))
        uu, vv = mH(u) @ gu, mH(v) @ gv
        of_u, of_v = (uu - mH(uu)) / 2, (vv - mH(vv)) / 2
        beside = gu - u @ uu if rows > columns else gv - v @ vv
        return [of_u + of_v, of_u - of_v, beside][: 2 + (rows != columns)]

    if 0 not in g and 2 not in g:
        inner, beside = as_diagonal(of_sizes(g, y, 1)), []
    else:
        together, against, *beside = unmixed(g, y, 1, mixtures, _gaps_of(a))
        inner = as_diagonal(g.of(1, y)) + together + against
    grad = u @ inner @ vh
    for part in beside:
        grad = grad + (part @ vh if rows > columns else u @ mH(part))
    return conj(grad)


def _gaps_of(a):
    """What divides: of two values the difference and the sum, and for other vectors one value."""
    is_square = a.shape[-2] == a.shape[-1]
    return lambda s: [differences(s), sums(s), *([] if is_square else [as_row(s)])]


defvjp(svd, _svd, degenerate=lambda u, s, vh: are_near(s, _gaps_of(u @ vh)))


@composed(np.linalg.svd)
def np_svd(a, full_matrices=True, compute_uv=True, hermitian=False):
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
    v = np.take_along_axis(v, as_row(order), -1)
    return type(np.linalg.svd(np.eye(1)))(v, np.abs(w), mH(v * as_row(np.sign(w))))


@composed(np.linalg.svdvals)
def svdvals(x, /):
    return svd(x)[1]
