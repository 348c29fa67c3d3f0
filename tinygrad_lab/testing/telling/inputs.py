"""The inputs of a check in one line of a message, which can be pasted as long as it is short.

Not for: writing one value (``pasted.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.testing.telling.pasted import literal

LONGEST = 200  # characters
_ENOUGH = 120  # of one of several inputs
_REST = len(", and 999 more")


def line_of(names: Sequence[str], values: Sequence[Any], room: int = LONGEST) -> str:
    """Write inputs as ``x = np.array([1.0]), 3``: of long ones the shape, of many the first.

    A value with an empty name stands for itself.
    """
    written: list[str] = []
    enough = max(_ENOUGH, room // max(len(names), 1))
    for name, value in zip(names, values, strict=True):
        left = room - sum(len(text) + 2 for text in written)
        text = _assigned(name, value, min(left, enough))
        last = len(written) + 1 == len(names)
        if written and len(text) > left - (0 if last else _REST):
            return f"{', '.join(written)}, and {len(names) - len(written)} more"
        written.append(text)
    return ", ".join(written)


def _assigned(name: str, value: Any, room: int) -> str:
    equals = f"{name} = " if name else ""
    if isinstance(value, np.ndarray) and value.size > room:  # of a digit each, at least
        return equals + _in_short(value)
    exactly = equals + literal(value)
    if len(exactly) <= room:
        return exactly
    return equals + (_in_short(value) if isinstance(value, np.ndarray) else describe(value))


def _in_short(x: np.ndarray[Any, Any]) -> str:
    """Give the shape of an array, and the range of its numbers."""
    text = f"{x.dtype}{x.shape}"
    if x.dtype.kind not in "fiu" or not np.any(np.isfinite(x)):
        return text
    finite = x[np.isfinite(x)]
    text += f" from {finite.min():.3g} to {finite.max():.3g}"
    return text if finite.size == x.size else f"{text}, and {x.size - finite.size} not finite"
