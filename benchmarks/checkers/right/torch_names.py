"""PyTorch under NumPy's names, as far as the texts of right functions go.

Where a text goes further it raises, and the function is not asked about in PyTorch.

Not for: functions that have a text of their own for PyTorch (``nested.py``).
"""

from __future__ import annotations

from typing import Any

import numpy
import torch

__all__ = ["TORCH"]

WIDE = torch.float64


def _tensor(x: Any) -> Any:
    return x if isinstance(x, torch.Tensor) else torch.as_tensor(x, dtype=WIDE)


class _Torch:
    """``numpy``, of tensors."""

    linalg, fft, special = torch.linalg, torch.fft, torch.special
    float32, float64 = torch.float32, torch.float64
    pi = numpy.pi
    maximum = staticmethod(lambda a, b: torch.maximum(_tensor(a), _tensor(b)))
    minimum = staticmethod(lambda a, b: torch.minimum(_tensor(a), _tensor(b)))
    logaddexp = staticmethod(lambda a, b: torch.logaddexp(_tensor(a), _tensor(b)))
    zeros = staticmethod(lambda shape: torch.zeros(shape, dtype=WIDE))
    ones = staticmethod(lambda shape: torch.ones(shape, dtype=WIDE))
    eye = staticmethod(lambda n: torch.eye(n, dtype=WIDE))
    sort = staticmethod(lambda x, axis=-1: torch.sort(x, dim=axis).values)
    cumsum = staticmethod(lambda x, axis=0: torch.cumsum(x, axis))
    cumprod = staticmethod(lambda x, axis=0: torch.cumprod(x, axis))
    prod = staticmethod(lambda x: torch.prod(x))

    @staticmethod
    def asarray(x: Any, dtype: Any = None) -> Any:
        return torch.as_tensor(x).to(dtype) if dtype else torch.as_tensor(x)

    @staticmethod
    def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return torch.max(x) if axis is None else torch.amax(x, axis, keepdims)

    @staticmethod
    def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return torch.min(x) if axis is None else torch.amin(x, axis, keepdims)

    def __getattr__(self, name: str) -> Any:
        theirs = getattr(torch, name, None)
        if theirs is None or not callable(theirs):
            return getattr(numpy, name)

        def call(*args: Any, **options: Any) -> Any:
            parts = [y for x in args for y in (x if isinstance(x, (list, tuple)) else [x])]
            is_theirs = any(isinstance(x, torch.Tensor) for x in parts)
            return (theirs if is_theirs else getattr(numpy, name))(*args, **options)

        return call


TORCH: Any = _Torch()
