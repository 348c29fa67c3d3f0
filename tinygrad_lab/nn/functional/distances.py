"""Lengths, directions and distances of vectors along an axis.

Not for: losses made of them (``margins.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.levels import somewhere
from tinygrad_lab.core.rules.mathematical.lengths import out_of_range, unit
from tinygrad_lab.nn.arguments import takes_arrays

__all__ = ["cosine_similarity", "normalize", "pairwise_distance"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


@takes_arrays
def normalize(
    input: Array, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12
) -> Array:
    """Divide vectors along ``dim`` by their ``p``-norm, or by ``eps`` where that is larger.

    Examples
    --------
    >>> import numpy as np
    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    return direction(input, p, dim, eps)


@takes_arrays
def cosine_similarity(x1: Array, x2: Array, dim: int = 1, eps: float = 1e-8) -> Array:
    """The cosine of the angle between vectors along ``dim``; the arrays are broadcast.

    Norms are taken as at least ``eps``.

    Examples
    --------
    >>> import numpy as np
    >>> cosine_similarity(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([2.0, 0.0])).round(4)
    array([1.    , 0.7071])
    """
    x1, x2 = np.broadcast_arrays(x1, x2)
    return (direction(x1, 2, dim, eps) * direction(x2, 2, dim, eps)).sum(axis=dim)


@takes_arrays
def pairwise_distance(
    x1: Array, x2: Array, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Array:
    """The ``p``-norm of ``x1 - x2 + eps`` along the last axis; the arrays are broadcast.

    ``eps`` is added to each element, as in PyTorch: the distance of equal vectors has a slope.

    Examples
    --------
    >>> import numpy as np
    >>> pairwise_distance(np.array([[3.0, 4.0]]), np.zeros(2)).round(4)
    array([5.])
    """
    return np.linalg.norm(x1 - x2 + eps, p, axis=-1, keepdims=keepdim)


def direction(x: Array, p: float, dim: int | tuple[int, ...], eps: float) -> Array:
    """``x`` divided by its length, whatever that is, or by ``eps`` where that is larger."""
    # Of two axes, `norm` is a matrix's.
    norm: Any = np.linalg.norm if isinstance(dim, int) else np.linalg.vector_norm
    with np.errstate(over="ignore"):
        length = norm(x, ord=p, axis=dim, keepdims=True)
    least: Any = eps
    out = out_of_range(length, p) if 0 < p < np.inf else False
    if x.size and somewhere(out):
        size = unit(x, dim, out)
        x, least = x / size, eps / size
        length = norm(x, ord=p, axis=dim, keepdims=True)
    return x / np.clip(length, least, None)
