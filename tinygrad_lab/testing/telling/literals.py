"""Values as Python writes them, so that they can be pasted.

Not for: sentences (``words.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def shown(x: Any, limit: int = 200) -> str:
    """Write an array so that it can be pasted; of a large one only the shape and the range.

    Examples
    --------
    >>> import numpy as np
    >>> shown(np.array([[0.0, 1.0]]))
    'np.array([[0.0, 1.0]])'
    """
    text = literal(x)
    if len(text) <= limit or not isinstance(x, np.ndarray):
        return text
    return f"{x.dtype}{x.shape}, from {x.min():.3g} to {x.max():.3g}"


def literal(x: Any) -> str:
    """Write a value as Python, with every digit."""
    if not isinstance(x, (np.ndarray, np.generic)):
        return _sequence(x) if isinstance(x, (tuple, list)) else repr(x)
    dtype = "" if x.dtype in (np.float64, np.int64, np.bool_) else f", dtype=np.{x.dtype}"
    if x.size == 0:
        return f"np.zeros({x.shape}{dtype or (', dtype=' + _type_name(x))})"
    text = repr(x.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    return f"np.array({text}{dtype})"


def _type_name(x: Any) -> str:
    return {"f": "float", "i": "int", "b": "bool"}.get(x.dtype.kind, "float")


def _sequence(items: Sequence[Any]) -> str:
    inside = ", ".join(literal(item) for item in items)
    if isinstance(items, list):
        return f"[{inside}]"
    return f"({inside},)" if len(items) == 1 else f"({inside})"
