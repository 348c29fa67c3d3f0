"""Array creation: copies, ranges and grids, matrices built from vectors."""

import numpy as np

from tinygrad_lab.core.levels import somewhere
from tinygrad_lab.core.operations import composed, constant, defvjp, primitive
from tinygrad_lab.core.rules.arguments import as_array, common_dtype
from tinygrad_lab.core.rules.indexing import onto_diagonal

# Copies


@primitive
def copied(x):
    """The same values in memory of their own."""
    return x.copy()


@primitive
def astype(x, dtype):
    """The same values in another float type."""
    return x.astype(dtype)


defvjp(copied, lambda g, y, x: g)
defvjp(astype, lambda g, y, x, dtype: g)  # the engine casts it back


@composed(np.copy)
def copy(a, order="K", subok=False):
    return copied(a)


@composed(np.astype)
def np_astype(x, dtype, /, *, copy=True, device=None):
    return x.astype(dtype, copy=copy)


@composed(np.array)
def array(object, dtype=None, *, copy=True, order="K", subok=False, ndmin=0):
    """Reached by ``np.array(..., like=t)`` alone: otherwise NumPy asks nobody."""
    a = copied(object)
    a = a.reshape((1,) * (ndmin - a.ndim) + a.shape)
    return a if dtype is None else a.astype(dtype)


@composed(np.full_like, by=("a", "fill_value"))
def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    shape = a.shape if shape is None else shape
    return np.broadcast_to(as_array(fill_value), shape).astype(a.dtype if dtype is None else dtype)


@primitive
def as_float(x):
    """The one element of an array, as a number of Python's."""
    return float(x)


# Ranges and grids


@composed(np.linspace, by=("start", "stop"))
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    exact = common_dtype(start, stop, 1.0)  # not integers
    start, stop = (as_array(end).astype(exact, copy=False) for end in (start, stop))
    parts = num - 1 if endpoint else num
    along = np.arange(num).reshape((-1,) + (1,) * max(start.ndim, stop.ndim))
    span = stop - start
    share = along / max(parts, 1)
    between = start + span * share.astype(span.dtype)
    samples = np.moveaxis(np.where(share == 1, stop, between), 0, axis)
    samples = samples if dtype is None else samples.astype(dtype)
    return (samples, span / parts if parts > 0 else np.nan) if retstep else samples


@composed(np.logspace, by=("start", "stop", "base"))
def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    exponents = np.linspace(start, stop, num, endpoint, axis=axis)
    samples = np.power(base if np.ndim(base) == 0 else np.expand_dims(base, axis), exponents)
    return samples if dtype is None else samples.astype(dtype)


@composed(np.geomspace, by=("start", "stop"))
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    start, stop = as_array(start), as_array(stop)
    if somewhere(start == 0) or somewhere(stop == 0):
        raise ValueError("Geometric sequence cannot include zero")
    wide = np.result_type(start.dtype, stop.dtype, np.float64 if dtype is None else dtype)
    start, stop = start.astype(wide), stop.astype(wide)
    share = np.linspace(np.zeros_like(stop / start), 1, num, endpoint)
    samples = np.moveaxis(start * (stop / start) ** share, 0, axis)
    return samples if dtype is None else samples.astype(dtype)


@composed(np.meshgrid)
def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    grids = [as_array(x).reshape((1,) * i + (-1,) + (1,) * (n - 1 - i)) for i, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        grids = [np.swapaxes(x, 0, 1) for x in grids]
    return tuple(grids) if sparse else np.broadcast_arrays(*grids)


# Matrices from vectors, and triangles


@primitive
def diagonal_matrix(v, k=0):
    """A matrix with ``v`` on its k-th diagonal."""
    n = v.shape[0] + abs(k)
    return onto_diagonal(v, np.zeros((n, n)), k, 0, 1)


defvjp(diagonal_matrix, lambda g, y, v, k=0: np.diagonal(g, k))


@composed(np.diag)
def diag(v, k=0):
    if v.ndim not in (1, 2):
        raise ValueError("Input must be 1- or 2-d.")
    return diagonal_matrix(v, k) if v.ndim == 1 else np.diagonal(v, k)


@composed(np.diagflat)
def diagflat(v, k=0):
    return diagonal_matrix(v.reshape(-1), k)


defvjp(np.tril, lambda g, y, x, k=0: np.tril(g, k))
defvjp(np.triu, lambda g, y, x, k=0: np.triu(g, k))


@composed(np.vander)
def vander(x, N=None, increasing=False):
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    powers = np.arange(x.shape[0] if N is None else N)
    return x[:, None] ** (powers if increasing else powers[::-1])


# No derivative: arrays made in the likeness of another

constant(np.zeros_like, np.ones_like, np.empty_like)
