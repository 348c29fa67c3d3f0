"""What all losses share: shapes that must agree, weights, and the way to one number.

Not for: the losses (``losses.py``, ``classification.py``, ``margins.py``).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tinygrad_lab.core.levels import innermost_array
from tinygrad_lab.core.operations import NUMPYS

__all__ = [
    "Reduction", "alike", "check_reduction", "known", "nonzero", "reduced",
    "weighted_mean",
]  # fmt: skip

Array = Any  # a Tensor, or whatever speaks NumPy's protocols
Reduction = Literal["mean", "sum", "none"]


def alike(**arrays: Array) -> list[Array]:
    """Arrays of one shape, integers among them in the dtype of the first.

    Raises
    ------
    ValueError
        The shapes differ; the text has the names.
    """
    first, *others = arrays.values()
    shape, dtype = first.shape, first.dtype
    in_order = [first]
    for x in others:
        if x.shape != shape:
            *before, last = (f"{name} {x.shape}" for name, x in arrays.items())
            raise ValueError(
                f"{', '.join(before)} and {last} must have one shape; reshape one of them, because "
                "broadcasting here would compare every sample with every other"
            )
        is_integer = x.dtype is not dtype and x.dtype.kind in "biu" and dtype.kind == "f"
        in_order.append(x.astype(dtype) if is_integer else x)
    return in_order


def check_reduction(reduction: str, *more: str) -> None:
    """Raise ValueError if there is no such reduction."""
    if reduction not in ("mean", "sum", "none") and reduction not in more:
        names = "".join(f"{name!r}, " for name in more)
        raise ValueError(f"reduction={reduction!r}: expected {names}'mean', 'sum' or 'none'")


def known(x: Array) -> Any:
    """The values of an array, to be checked; None where they are not at hand (Dask's)."""
    values = innermost_array(x)
    return values if type(values) in NUMPYS else None


def nonzero(count: Any, name: str, dtype: np.dtype[Any]) -> Any:
    """A divisor of type ``dtype``; where the count is known to be 0, raise ValueError."""
    is_size = isinstance(count, int)
    is_known = is_size or isinstance(count, np.generic) or type(count) in NUMPYS
    if is_known and count == 0:
        raise ValueError(f"{name}: no sample to average over; say reduction='sum' for 0")
    return count if is_size else count.astype(dtype)


def reduced(loss: Array, reduction: str, weight: Array | None = None) -> Array:
    """The mean or sum of the losses of elements, each times its ``weight``, or all of them."""
    check_reduction(reduction)
    if weight is not None:
        if np.broadcast_shapes(weight.shape, loss.shape) != loss.shape:
            raise ValueError(f"weight of shape {weight.shape} for losses of shape {loss.shape}")
        loss = loss * weight
    if reduction == "mean":
        return loss.sum() / nonzero(loss.size, "the mean of a loss", loss.dtype)
    return loss.sum() if reduction == "sum" else loss


def weighted_mean(loss: Array, weight: Array, reduction: str) -> Array:
    """As :func:`reduced`, but the mean is of so many elements as the weights sum to."""
    loss, weight = alike(loss=loss, weight=weight)
    if reduction != "mean":
        return reduced(loss, reduction, weight)
    return (loss * weight).sum() / weight.sum()
