"""Notation that the rules of linear algebra share, for stacks of matrices."""

import numpy as np

from tinygrad_lab.core.arguments import beside
from tinygrad_lab.core.rules.mathematical.elementwise import conj


def mT(x):  # noqa: N802 - NumPy's name
    """Exchange the last two axes."""
    return x.T if x.ndim == 2 else np.swapaxes(x, -1, -2)


def mH(x):  # noqa: N802 - the field's name
    """The conjugate transpose."""
    return conj(mT(x))


def as_row(d):
    """Make a row of the last axis: multiplied with a matrix, it scales the columns."""
    return d[..., None, :]


def as_diagonal(d):
    """Make a diagonal matrix of the last axis."""
    return d[..., None] * beside(np.eye(d.shape[-1], dtype=bool), d)
