"""What layers and losses are given and probably should not be: seen, and warned of.

Not for: what cannot be computed, which is an error where it is met.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.warnings import LossInputWarning, MixedPrecisionWarning, warn

__all__ = ["expect_log_probabilities", "expect_logits", "expect_one_precision"]

#: What gives the same numbers in another shape or order.
_RESHAPED = {"reshape", "squeeze", "expand_dims", "transpose", "swapaxes", "moveaxis", "astype"}
#: What a softmax that is written by hand ends with, or is looked at through.
_LAST_OF_SOFTMAX = {"divide", "multiply", "exp", "getitem"}


def expect_logits(input: Any, loss: str, instead: str) -> None:
    """Warn if the logits for a loss are probabilities, as their history tells."""
    if squashed := _squashed_by(input):
        warn(
            f"{loss} takes logits, and applies {instead} to them itself; this input is the result "
            f"of a {squashed} already, which makes all gradients small: leave that out",
            LossInputWarning,
        )


def expect_log_probabilities(input: Any, loss: str) -> None:
    """Warn if what should be logarithms of probabilities are probabilities."""
    if squashed := _squashed_by(input):
        warn(
            f"{loss} takes logarithms of probabilities, and this input is the result of a "
            f"{squashed}: say log_softmax(logits), or cross_entropy(logits, ...)",
            LossInputWarning,
        )


def _squashed_by(input: Any) -> str | None:
    """Name what has made probabilities of the input, as its history tells."""
    node = input.node if isinstance(input, Tensor) else None
    while node is not None and node.name in _RESHAPED and node.parents:
        node = node.parents[0]
    if node is None:
        return None
    if node.name in ("softmax", "sigmoid"):
        return node.name
    by_hand = node.name in _LAST_OF_SOFTMAX and _are_distributions(input.data)
    return "softmax" if by_hand else None


def _are_distributions(values: Any) -> bool:
    """Whether numbers are 0 to 1, and sum to 1 along the axis of classes."""
    axis = 1 if values.ndim > 1 else 0
    if not isinstance(values, np.ndarray) or values.ndim == 0 or values.shape[axis] < 2:
        return False
    if not values.size or values.min() < 0 or values.max() > 1:
        return False
    return bool((np.absolute(values.sum(axis=axis) - 1) < 1e-5).all())


def expect_one_precision(input: Any, weight: Any) -> None:
    """Warn if real data and weights are of two precisions, so that the wider one is computed in."""
    if input.dtype.kind not in "iuf" or weight.dtype.kind != "f":
        return
    result = np.result_type(input.dtype, weight.dtype)
    taken = input.dtype if input.dtype.kind == "f" else result
    if taken.itemsize != weight.dtype.itemsize:
        other = f", or model.to(np.{input.dtype})" if input.dtype.kind == "f" else ""
        warn(
            f"{input.dtype} data meets {weight.dtype} weights, so {result} is computed in: say "
            f"x.astype(np.{weight.dtype}){other}",
            MixedPrecisionWarning,
        )
