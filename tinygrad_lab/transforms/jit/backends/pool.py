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
        order = kind.order or tuple(range(len(kind.shape)))
        self.shape, self.dtype = [kind.shape[i] for i in order], kind.dtype
        self.axes = [order.index(i) for i in range(len(order))] if kind.order else None
        self.memories: deque[np.ndarray[Any, Any]] = deque(maxlen=2)

    def take(self) -> np.ndarray[Any, Any]:
        """Give an array that nobody else holds; what is in it is nothing."""
        for _ in range(len(self.memories)):
            try:
                memory = self.memories.popleft()  # no other thread has it now
            except IndexError:
                break
            is_free = sys.getrefcount(memory) == _ALONE  # a view of it holds it
            self.memories.append(memory)
            if is_free:
                return self._ordered(memory)
        memory = np.empty(self.shape, self.dtype)
        self.memories.append(memory)
        return self._ordered(memory)

    def _ordered(self, memory: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return memory if self.axes is None else memory.transpose(self.axes)


def _alone() -> int:
    """Count the references to what one variable holds, as this Python counts them."""
    array = np.empty(0)
    return sys.getrefcount(array)


_ALONE = _alone()
