"""One batch of many examples: ``default_collate``.

Not for data sets that are arrays, which are indexed as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor

__all__ = ["default_collate"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack examples: arrays and numbers to tensors, tuples and dicts part by part.

    Texts stay as they are, and a tuple of parts becomes a list of them, as in PyTorch.

    Raises
    ------
    TypeError
        Something is none of these.
    ValueError
        Examples differ in shape, or in how many parts they have.

    Examples
    --------
    >>> x, name = default_collate([(1.0, "a"), (2.0, "b")])
    >>> x.data, name
    (array([1., 2.]), ('a', 'b'))
    """
    first = batch[0]
    if isinstance(first, Tensor):
        _check_alike(batch, [t.shape for t in batch])
        return np.stack(batch)
    if isinstance(first, (Number, np.generic, np.ndarray)):
        arrays = [np.asarray(item) for item in batch]
        _check_alike(batch, [array.shape for array in arrays])
        return Tensor(np.stack(arrays))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return {key: default_collate([item[key] for item in batch]) for key in first}
    if isinstance(first, Sequence):
        _check_alike(batch, [len(item) for item in batch])
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise TypeError(
        f"an example is {describe(first)}, which cannot be stacked: return arrays, numbers, texts, "
        "or tuples and dicts of these; or say collate_fn=, which gets the list of examples"
    )


def _check_alike(batch: Sequence[Any], sizes: list[Any]) -> None:
    other = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
    if other is not None:
        what = "shape" if isinstance(sizes[0], tuple) else "length"
        raise ValueError(
            f"example 0 of a batch of {len(batch)} has {what} {sizes[0]} and example {other} has "
            f"{sizes[other]}: make them alike, or say collate_fn=, which gets the list of examples"
        )
