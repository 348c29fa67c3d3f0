"""What a composition asks of its arguments: plain values to look at, arrays to compute with.

Not for: anything about derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.operations import TENSORS
from tinygrad_lab.core.several import as_array

__all__ = ["as_array", "as_floats", "common_dtype", "untracked"]


def as_floats(a: Any) -> Any:
    """Make an array of floats: NumPy computes with integers as if they were float64."""
    a = as_array(a)
    return a.astype(float) if a.dtype.kind in "biu" else a


def common_dtype(*values: Any) -> Any:
    """Find the dtype NumPy computes in: numbers of Python's take on that of the arrays."""
    arrays = [as_array(v) if isinstance(v, (list, tuple)) else v for v in values]
    return np.result_type(*(getattr(a, "dtype", a) for a in arrays))


def untracked(x: Any) -> Any:
    """Return the plain array of a tensor, to look at; an array as it is."""
    return x.data if type(x) in TENSORS else x
