"""What the core's kernels say, in lines that need NumPy alone.

These are printed with a program that calls the kernel, and compute the same.

Not for: the kernels themselves (``core/rules/``), or those of networks
(``nn/kernels/definitions.py``).
"""

import numpy as np

from tinygrad_lab.core.rules import indexing
from tinygrad_lab.transforms.jit.kernels import kernel

__all__: list[str] = []


def scatter_add(values, shape, index):
    """Zeros of a shape, with values added at an index."""
    out = np.zeros(shape, values.dtype)
    np.add.at(out, index, values)
    return out


def assembled(*values, shape, places):
    """Zeros of a shape, with each of several values added at its place."""
    out = np.zeros(shape, values[0].dtype)
    for value, place in zip(values, places):
        np.add.at(out, place, value)
    return out


def setitem(x, *values, places):
    """A copy of an array, with each of several values at its place."""
    out = x.copy()
    for value, place in zip(values, places):
        out[place] = value
    return out


kernel(indexing.scatter_add, scatter_add)
kernel(indexing.assembled, assembled)
kernel(indexing.setitem, setitem)
