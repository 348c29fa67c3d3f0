"""Functions of whole sequences: interpolation, convolution, correlation."""

import numpy as np

from tinygrad_lab.core.operations import composed, defvjp, primitive
from tinygrad_lab.core.rules.arguments import as_array
from tinygrad_lab.core.rules.indexing import getitem, scatter_add
from tinygrad_lab.core.rules.mathematical.elementwise import conj


@primitive
def interp(x, xp, fp, left, right):
    """Interpolate linearly, as NumPy does."""
    return np.interp(x, xp, fp, left, right)


def _segments(x, xp):
    """The segment that each x falls into, how far along it lies, and whether it is inside."""
    i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, max(xp.size - 2, 0))
    j = np.minimum(i + 1, xp.size - 1)
    width = getitem(xp, j) - getitem(xp, i)
    return i, j, np.where(width == 0, 1, width), (x >= xp[0]) & (x <= xp[-1])


def _interp_x(g, y, x, xp, fp, left, right):
    i, j, width, inside = _segments(x, xp)
    return np.where(inside, g * (getitem(fp, j) - getitem(fp, i)) / width, 0)


def _interp_xp(g, y, x, xp, fp, left, right):
    i, j, width, _ = _segments(x, xp)
    share = (x - getitem(xp, i)) / width
    moved = -_interp_x(g, y, x, xp, fp, left, right)
    return scatter_add(moved * (1 - share), xp.shape, (i,)) + scatter_add(
        moved * share, xp.shape, (j,)
    )


def _interp_fp(g, y, x, xp, fp, left, right):
    i, j, width, inside = _segments(x, xp)
    share = np.where(inside, (x - getitem(xp, i)) / width, 0)
    before = (x < xp[0]) & (left is None)
    after = (x > xp[-1]) & (right is None)
    low = np.where(inside | before, g * (1 - share), 0)
    high = np.where(inside, g * share, np.where(after, g, 0))
    return scatter_add(low, fp.shape, (i,)) + scatter_add(high, fp.shape, (j,))


defvjp(
    interp,
    _interp_x,
    _interp_xp,
    _interp_fp,
    lambda g, y, x, xp, fp, left, right: np.where(x < xp[0], g, 0),
    lambda g, y, x, xp, fp, left, right: np.where(x > xp[-1], g, 0),
    branch=lambda y, x, xp, fp, left, right: (
        np.searchsorted(xp, x),
        np.searchsorted(xp, x, "right"),
    ),
)


@composed(np.interp, by=("x", "xp", "fp", "left", "right", "period"))
def np_interp(x, xp, fp, left=None, right=None, period=None):
    x, xp, fp = as_array(x), as_array(xp), as_array(fp)
    if period is not None:
        period = abs(period)
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
    return interp(x, xp, fp, left, right)


@primitive
def convolve_full(a, v):
    """Every overlap of two sequences."""
    return np.convolve(a, v)


@primitive
def convolve_valid(a, v):
    """The overlaps of a sequence with the whole of one that is not longer."""
    return np.convolve(a, v, "valid")


defvjp(
    convolve_full,
    lambda g, y, a, v: convolve_valid(g, np.flip(v)),
    lambda g, y, a, v: convolve_valid(g, np.flip(a)),
)
defvjp(
    convolve_valid,
    lambda g, y, a, v: convolve_full(g, np.flip(v)),
    lambda g, y, a, v: np.flip(convolve_valid(a, np.flip(g))),
)


@composed(np.convolve, by=("a", "v"))
def convolve(a, v, mode="full"):
    a, v = (np.atleast_1d(x) for x in (a, v))
    return _overlaps(*((a, v) if a.size >= v.size else (v, a)), mode)


@composed(np.correlate, by=("a", "v"))
def correlate(a, v, mode="valid"):
    a, v = np.atleast_1d(a), conj(np.atleast_1d(v))
    if a.size >= v.size:
        return _overlaps(a, np.flip(v), mode)
    return np.flip(_overlaps(v, np.flip(a), mode))


def _overlaps(a, v, mode):
    """Convolve with a sequence that is not longer, and keep the overlaps of ``mode``."""
    if a.ndim != 1 or v.ndim != 1:
        raise ValueError("object too deep for desired array")
    if v.size == 0:
        raise ValueError("an empty sequence")
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    full = convolve_full(a, v)
    start = {"full": 0, "same": (v.size - 1) // 2, "valid": v.size - 1}[mode]
    length = {"full": full.size, "same": a.size, "valid": a.size - v.size + 1}[mode]
    return full[start : start + length]
