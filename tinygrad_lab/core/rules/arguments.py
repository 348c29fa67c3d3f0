"""What a composition asks of its arguments: plain values to look at, arrays to compute with.

Not for: anything about derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.operations import TAKES


def untracked(x: Any) -> Any:
    """Return the plain array of a tensor, to look at; an array as it is."""
    return x.data if type(x) in TAKES else x


def as_array(a: Any) -> Any:
    """Give a number or a list the methods of an array; leave every array as it is."""
    return a if hasattr(a, "ndim") else np.asarray(a)
