"""Memory that a thread keeps between convolutions and poolings, for what they compute on the way.

Not for: results, which others may hold.
"""

from __future__ import annotations

import threading
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SCRATCH"]


class _Scratch(threading.local):
    """Buffers by number, each as large as the largest array that was asked of it.

    Fresh memory costs more than the copy into it, because the system zeroes it page by page.  A
    buffer begins at a cache line: products of vectors that straddle two are slower by a fifth.
    """

    largest = 4 << 20  # bytes; more than that is not worth keeping
    line = 64  # bytes

    def __init__(self) -> None:
        self._buffers: dict[int, npt.NDArray[np.uint8]] = {}

    def take(self, slot: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an uninitialised array, in the memory that ``slot`` used before."""
        dtype = np.dtype(dtype)
        needed = prod(shape) * dtype.itemsize
        if needed > self.largest:
            return np.empty(shape, dtype)
        buffer = self._buffers.get(slot)
        if buffer is None or buffer.nbytes < needed:
            buffer = np.empty(needed + self.line, np.uint8)
            start = -buffer.ctypes.data % self.line
            buffer = self._buffers[slot] = buffer[start : start + needed]
        return np.ndarray(shape, dtype, buffer)

    def clear(self) -> None:
        """Give the memory of this thread back."""
        self._buffers.clear()


SCRATCH = _Scratch()
