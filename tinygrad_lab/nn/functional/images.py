"""What functions of images share: how arrays of one to three image axes are called and batched.

Not for: any of these functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lab.nn.kernels.windows import Array

__all__ = ["AXES", "floats", "of_batch", "of_rank"]

#: The axes of a batch, behind its channels, by their number.
AXES = {1: "L", 2: "H, W", 3: "D, H, W"}

_KINDS = {1: "signals", 2: "images", 3: "volumes"}


def of_rank(ndim: int) -> str:
    """Name arrays of so many image axes.

    >>> of_rank(2)
    'images (N, C, H, W) or (C, H, W)'
    """
    return f"{_KINDS[ndim]} (N, C, {AXES[ndim]}) or (C, {AXES[ndim]})"


def of_batch(name: str, function: Callable[[Array], Any], input: Array, ndim: int) -> Any:
    """Call ``function`` with a batch: where ``input`` is one image, with a batch of this one.

    Raises
    ------
    ValueError
        It is neither.
    """
    if input.ndim == ndim + 2:
        return function(input)
    if input.ndim != ndim + 1:
        raise ValueError(f"{name} takes {of_rank(ndim)}, not {input.shape}")
    result = function(input.reshape((1, *input.shape)))
    if isinstance(result, tuple):
        return tuple(y.reshape(y.shape[1:]) for y in result)
    return result.reshape(result.shape[1:])


def floats(x: Array) -> Array:
    """Numbers whose sums do not overflow, as those of small integers would."""
    return x if x.dtype.kind in "fc" else x.astype(float)
