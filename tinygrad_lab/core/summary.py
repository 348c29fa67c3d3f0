"""A tensor in one line of text: its values when they are few, what matters about them otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.errors import name_of

__all__ = ["summary"]

_PRINTED_WHOLE = 12  # elements


def summary(data: Any, node: Node | None) -> str:
    """Describe an array and where it came from: ``Tensor(4, 10) float64 x∈[0, 2] ... ← add``."""
    is_leaf = node is None or node.op is None
    origin = "" if is_leaf else f" ← {name_of(node.op)}"  # type: ignore[union-attr]
    needs_grad = ", requires_grad=True" if node is not None and is_leaf else ""
    if type(data) is not np.ndarray:
        shape = ", ".join(map(str, data.shape))
        return f"Tensor({shape}) {data.dtype} on {type(data).__module__}{needs_grad}{origin}"
    if data.size <= _PRINTED_WHOLE:
        default = data.dtype in (np.dtype(float), np.dtype(int), np.dtype(bool)) and data.size
        dtype = "" if default else f", dtype={data.dtype}"
        text = np.array2string(data, separator=", ", prefix="Tensor(")
        return f"Tensor({text}{dtype}{needs_grad}){origin}"
    shape = ", ".join(map(str, data.shape))
    return f"Tensor({shape}) {data.dtype} {_statistics(data)}{needs_grad}{origin}"


def _statistics(data: np.ndarray[Any, Any]) -> str:
    if data.dtype.kind not in "iuf":
        return ""
    finite = data[np.isfinite(data)].astype(float)
    flags = " NaN!" * bool(np.isnan(data).any()) + " Inf!" * bool(np.isinf(data).any())
    if finite.size == 0:
        return flags.strip()
    low, high, mean, spread = finite.min(), finite.max(), finite.mean(), finite.std()
    return f"x∈[{low:.3g}, {high:.3g}] μ={mean:.3g} σ={spread:.3g}{flags}"
