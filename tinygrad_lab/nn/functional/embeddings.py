"""Rows of a table by their numbers: embeddings, bags of them, and the rows of an identity matrix.

Not for: layers, which hold the table (``layers/embedding.py``).
"""

from __future__ import annotations

from operator import index
from typing import Any, Literal

import numpy as np

from tinygrad_lab.core.levels import innermost_array
from tinygrad_lab.core.operations import NUMPYS, defvjp, primitive
from tinygrad_lab.core.rules.indexing import getitem
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.names import look_up

__all__ = ["embedding", "embedding_bag", "one_hot"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


@takes_arrays
def embedding(
    input: Array,
    weight: Array,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Array:
    """The rows of ``weight`` with the numbers in ``input``.

    Shapes: ``input`` (...) of integers, ``weight`` (rows, D); the result is (..., D).

    Parameters
    ----------
    padding_idx : int, optional
        A row that gets no gradient.
    max_norm, norm_type : float
        Rows that are longer are scaled down to this norm.  ``weight`` itself stays as it is, where
        PyTorch's function writes into it; the gradient goes through the scale.
        (:class:`~tinygrad_lab.nn.Embedding` does put the shorter rows into its weight.)
    scale_grad_by_freq : bool
        Divide the gradient of each row by how often it is in ``input``.
    sparse : bool
        Has no effect: gradients are dense.

    Raises
    ------
    IndexError
        There is no such row; the text says which, and where.
    TypeError
        ``input`` is not of integers.

    Examples
    --------
    >>> import numpy as np
    >>> embedding(np.array([2, 0]), np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))
    array([[4., 5.],
           [0., 1.]])
    """
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight has shape {weight.shape}, expected (rows, D)")
    n = weight.shape[0]
    numbers = _expect_rows("embedding", input, n)
    rows = getitem(weight, numbers)
    if max_norm is not None:
        rows = rows * shrinkage(rows, max_norm, norm_type)
    if padding_idx is not None:
        rows = _with_slope(rows, (numbers != padding_row(padding_idx, n))[..., None])
    if scale_grad_by_freq:
        often = getitem(np.bincount(numbers.reshape(-1), minlength=n), numbers)
        rows = _with_slope(rows, (1 / often)[..., None].astype(rows.dtype))
    return rows


@primitive
def _with_slope(x: Array, factor: Array) -> Array:
    """``x``, whose gradient is multiplied by a factor on its way back."""
    return x


defvjp(_with_slope, lambda g, y, x, factor: g * factor)


def shrinkage(rows: Array, max_norm: float, norm_type: float) -> Array:
    """What makes rows that are too long as long as they may be, as PyTorch does."""
    length = np.linalg.norm(rows, norm_type, axis=-1, keepdims=True)
    return np.where(length > max_norm, max_norm / (length + 1e-7), 1).astype(rows.dtype)


def padding_row(padding_idx: int, n: int) -> int:
    """Which of ``n`` rows is padding; negative numbers count from the end."""
    if not -n <= padding_idx < n:
        raise ValueError(f"padding_idx={padding_idx}: there are {n} rows, {-n} to {n - 1}")
    return padding_idx % n


def _integers(name: str, numbers: Array) -> Array:
    """Take the values of integers, which have no history."""
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"{name}: rows are numbered by integers, not {numbers.dtype}")
    return numbers.data if isinstance(numbers, Tensor) else numbers


def _expect_rows(name: str, numbers: Array, n: int) -> Array:
    """Check the numbers of rows, where they are at hand."""
    numbers = _integers(name, numbers)
    values = innermost_array(numbers)
    if type(values) in NUMPYS:
        wrong = (values < 0) | (values >= n)
        if wrong.any():
            where = tuple(index(i) for i in np.argwhere(wrong)[0])
            raise IndexError(
                f"{name}: {values[where]} at {list(where)} is outside the rows 0 to {n - 1} "
                f"(there are {n})"
            )
    return numbers


@takes_arrays
def embedding_bag(
    input: Array,
    weight: Array,
    offsets: Array | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: Literal["sum", "mean", "max"] = "mean",
    sparse: bool = False,
    per_sample_weights: Array | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Array:
    """The sum, mean or largest elements of bags of rows.

    Parameters
    ----------
    input : array of int, shape (B, N) or (M,)
        ``B`` bags of ``N`` rows each; or all bags one behind the other, which ``offsets`` tells
        apart.
    weight : array, shape (rows, D)
        The table.
    offsets : array of int, shape (B,), optional
        Where in ``input`` each bag begins; with ``include_last_offset`` the last one is where the
        last bag ends.
    mode : {"sum", "mean", "max"}
        What is made of the rows of a bag; of none, it is 0.
    per_sample_weights : array, shape of ``input``, optional
        What each row of a sum is multiplied by.
    padding_idx : int, optional
        A row that counts in no bag.
    max_norm, norm_type, scale_grad_by_freq, sparse
        As for :func:`embedding`.

    Returns
    -------
    array, shape (B, D)

    Raises
    ------
    IndexError
        There is no such row.
    ValueError
        Shapes or offsets do not fit, or the mode is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> table = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> embedding_bag(np.array([0, 1, 2]), table, np.array([0, 2]), mode="sum")
    array([[2., 4.],
           [4., 5.]])
    """
    reduce: Any = look_up(mode, _REDUCTIONS, "mode")
    if per_sample_weights is not None and (
        mode != "sum" or per_sample_weights.shape != input.shape
    ):
        raise ValueError(
            f"embedding_bag: per_sample_weights of shape {per_sample_weights.shape} with "
            f"mode={mode!r}: they are for mode='sum', one for each of the input, {input.shape}"
        )
    rows = embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
    numbers = _integers("embedding_bag", input)
    counts = np.ones_like(numbers, bool)
    if padding_idx is not None:
        counts = numbers != padding_row(padding_idx, weight.shape[0])
    if input.ndim == 2 and offsets is None:
        return reduce(rows, counts[..., None], per_sample_weights)
    if input.ndim != 1 or offsets is None or offsets.ndim != 1:
        raise ValueError(
            f"embedding_bag: an input of shape {input.shape} with offsets of shape "
            f"{None if offsets is None else offsets.shape}: expected (B, N) and none, or (M,) and "
            "(B,), where each bag begins"
        )
    places, is_there = _places(offsets, input.shape[0], include_last_offset)
    if per_sample_weights is not None:
        per_sample_weights = getitem(per_sample_weights, places)
    counts = (is_there & getitem(counts, places))[..., None]
    return reduce(getitem(rows, places), counts, per_sample_weights)


def _places(offsets: Array, length: int, includes_last: bool) -> tuple[Array, Array]:
    """Where the members of each bag are in the input, (B, longest), and which of them there are."""
    starts = _integers("embedding_bag", offsets)
    if not includes_last:
        starts = np.concatenate([starts, [length]])
    sizes, longest = starts[1:] - starts[:-1], length
    known = innermost_array(sizes)
    if type(known) in NUMPYS:
        first, last = innermost_array(starts[0]), innermost_array(starts[-1])
        if not known.size or (first != 0).any() or (known < 0).any() or (last > length).any():
            raise ValueError(
                f"embedding_bag: offsets {offsets} with {length} numbers of rows: the first bag "
                "begins at 0, and each other one where the one before ends"
            )
        longest = index(known.max())
    steps = np.arange(longest)
    return np.minimum(starts[:-1, None] + steps, max(0, length - 1)), steps < sizes[:, None]


def _summed(rows: Array, counts: Array, weights: Array | None = None) -> Array:
    rows = rows if weights is None else rows * weights[..., None]
    return np.where(counts, rows, 0).sum(axis=1)


def _averaged(rows: Array, counts: Array, _: None) -> Array:
    many = np.maximum(counts.sum(axis=1), 1).astype(rows.dtype)
    return _summed(rows, counts) / many


def _largest(rows: Array, counts: Array, _: None) -> Array:
    if not rows.shape[1]:
        return _summed(rows, counts)
    return np.where(counts.any(axis=1), np.max(np.where(counts, rows, -np.inf), axis=1), 0)


_REDUCTIONS: dict[str, Any] = {"sum": _summed, "mean": _averaged, "max": _largest}


@takes_arrays
def one_hot(tensor: Array, num_classes: int = -1) -> Array:
    """Of each integer a row of zeros with a 1 in its place.

    Shapes: (...) to (..., num_classes).  Without ``num_classes`` it is the largest integer and 1.

    Raises
    ------
    IndexError
        A number lies outside the classes; the text says which, and where.
    TypeError
        They are not integers.

    Examples
    --------
    >>> import numpy as np
    >>> one_hot(np.array([2, 0]))
    array([[0, 0, 1],
           [1, 0, 0]])
    """
    tensor = _integers("one_hot", tensor)
    if num_classes == -1:
        if not tensor.size:
            raise ValueError("one_hot of nothing: say num_classes=")
        num_classes = index(tensor.max()) + 1
    if num_classes < 1:
        raise ValueError(f"one_hot: num_classes={num_classes}, expected 1 or more")
    numbers = _expect_rows("one_hot", tensor, num_classes)
    return (numbers[..., None] == np.arange(num_classes)).astype(np.int64)
