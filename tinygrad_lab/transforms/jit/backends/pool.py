"""Memory for large results, used again when nobody holds what was in it.

A large array is new pages of the system's, which cost more than what a kernel writes into them.  A
training step gives a new array for each parameter and drops the one before; so the one before that
is free.  Whoever holds an array, or a view of it, keeps it: its references are counted.

Not for: small arrays, which NumPy allocates faster than this looks.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

import numpy as np

from tinygrad_lab.transforms.jit.program import Kind

__all__ = ["LARGE", "Pool"]

LARGE = 1 << 15  # bytes, from where on it pays to use memory again


class Pool:
    """Arrays of one kind that were given out."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.arrays: deque[np.ndarray[Any, Any]] = deque(maxlen=2)

    def take(self) -> np.ndarray[Any, Any]:
        """Give an array that nobody else holds; what is in it is nothing."""
        for _ in range(len(self.arrays)):
            try:
                array = self.arrays.popleft()  # no other thread has it now
            except IndexError:
                break
            is_free = sys.getrefcount(array) == _ALONE
            self.arrays.append(array)
            if is_free:
                return array
        array = np.empty(self.kind.shape, self.kind.dtype)
        self.arrays.append(array)
        return array


def _alone() -> int:
    """Count the references to what one variable holds, as this Python counts them."""
    array = np.empty(0)
    return sys.getrefcount(array)


_ALONE = _alone()
