"""Sequences of several lengths in one batch: padded to one length, or packed without padding.

Lengths decide shapes, so they are numbers that are known: no gradient flows to them.

Not for: the layers that read them (``layers/recurrent.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols
Indices = npt.NDArray[np.int64]
Lengths = Sequence[int] | Array


class PackedSequence(NamedTuple):
    """Sequences without padding: the first elements of all, then all second ones, and so on.

    The longest comes first in each step.  Recurrent layers take one for an input and give one.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab.nn.utils.rnn import pack_sequence
    >>> packed = pack_sequence([np.array([1, 2, 3]), np.array([10, 20])])
    >>> packed.data, packed.batch_sizes
    (array([ 1, 10,  2, 20,  3]), array([2, 2, 1]))
    """

    data: Array
    #: How many sequences have a first step, a second one, and so on.
    batch_sizes: Indices
    #: Which of the sequences as they were passed comes first, second ...; None: in that order.
    sorted_indices: Indices | None = None
    #: Where each of them has gone.
    unsorted_indices: Indices | None = None


def pad_sequence(
    sequences: Iterable[Array],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Array:
    """Put sequences of shapes (length, ...) into one array: (T, N, ...), or (N, T, ...).

    Raises
    ------
    ValueError
        There is no sequence, their elements have several shapes, or the side is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab.nn.utils.rnn import pad_sequence
    >>> pad_sequence([np.array([1, 2, 3]), np.array([10, 20])], batch_first=True)
    array([[ 1,  2,  3],
           [10, 20,  0]])
    """
    sequences = [s if hasattr(s, "ndim") else np.array(s) for s in sequences]
    shapes = [s.shape for s in sequences]
    if not sequences or not all(s.ndim and s.shape[1:] == shapes[0][1:] for s in sequences):
        raise ValueError(
            "pad_sequence takes one or more sequences of shape (length, ...), alike but for their "
            f"lengths, not {shapes}"
        )
    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side={padding_side!r}: say 'left' or 'right'")
    longest = max(s.shape[0] for s in sequences)

    def padded(s: Array) -> Array:
        rest = np.full((longest - s.shape[0], *s.shape[1:]), padding_value, s.dtype)
        return np.concatenate([s, rest] if padding_side == "right" else [rest, s])

    return np.stack([padded(s) for s in sequences], axis=0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Array, lengths: Lengths, batch_first: bool = False
) -> list[Array]:
    """Take sequences of these lengths out of an array, as :func:`pad_sequence` gives it."""
    rows = padded_sequences if batch_first else np.swapaxes(padded_sequences, 0, 1)
    return [rows[i, :n] for i, n in enumerate(_lengths(lengths, rows.shape[0], rows.shape[1]))]


def pack_padded_sequence(
    input: Array, lengths: Lengths, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Leave out the padding of a batch of shape (T, N, ...), or (N, T, ...) with ``batch_first``.

    Raises
    ------
    ValueError
        A length is below 1 or above T, there are not N of them, or they do not fall while
        ``enforce_sorted`` says so.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab.nn.utils.rnn import pack_padded_sequence
    >>> rows = np.array([[10, 20, 0], [1, 2, 3]])
    >>> packed = pack_padded_sequence(rows, [2, 3], batch_first=True, enforce_sorted=False)
    >>> packed.data, packed.sorted_indices
    (array([ 1, 10,  2, 20,  3]), array([1, 0]))
    """
    steps = np.swapaxes(input, 0, 1) if batch_first else input
    counts = _lengths(lengths, steps.shape[1], steps.shape[0])
    order = None
    if not enforce_sorted:
        order = np.argsort(-counts, kind="stable")
        counts, steps = counts[order], steps[:, order]
    elif (np.diff(counts) > 0).any():
        raise ValueError(
            f"lengths {counts.tolist()} do not fall from the longest to the shortest: sort the "
            "sequences, or say enforce_sorted=False"
        )
    is_there = np.arange(max(counts))[:, None] < counts
    sizes = is_there.sum(axis=1)
    return PackedSequence(steps[np.nonzero(is_there)], sizes, order, invert_permutation(order))


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Array, Indices]:
    """Give the padded batch, (T, N, ...) or (N, T, ...), and the length of each sequence.

    Raises
    ------
    ValueError
        ``total_length``, which T is to be, is below the longest length.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab.nn.utils.rnn import pack_sequence, pad_packed_sequence
    >>> packed = pack_sequence([np.array([1, 2, 3]), np.array([10, 20])])
    >>> pad_packed_sequence(packed, batch_first=True)
    (array([[ 1,  2,  3],
           [10, 20,  0]]), array([3, 2]))
    """
    padded, is_there = steps_of(sequence)
    longest = padded.shape[0]
    if total_length is not None and total_length < longest:
        raise ValueError(f"total_length={total_length} is below the longest length, {longest}")
    padded = np.where(is_there.reshape((*is_there.shape, *(1,) * (padded.ndim - 2))),
                      padded, padding_value).astype(padded.dtype)  # fmt: skip
    if total_length is not None:
        rest = (total_length - longest, *padded.shape[1:])
        padded = np.concatenate([padded, np.full(rest, padding_value, padded.dtype)])
    lengths = is_there.sum(axis=0)
    if sequence.unsorted_indices is not None:
        padded = padded[:, sequence.unsorted_indices]
        lengths = lengths[sequence.unsorted_indices]
    return np.swapaxes(padded, 0, 1) if batch_first else padded, lengths


def pack_sequence(sequences: Sequence[Array], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences of shapes (length, ...)."""
    lengths = [len(sequence) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Array]:
    """Take the sequences out again, in the order in which they were passed."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))


def invert_permutation(permutation: Indices | None) -> Indices | None:
    """Where each place has gone: ``inverse[permutation[i]] == i``."""
    return None if permutation is None else np.argsort(permutation)


def steps_of(sequence: PackedSequence) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The steps of sorted sequences, (T, N, ...), with anything for padding, and which are there.

    The second is (T, N).
    """
    sizes = sequence.batch_sizes
    is_there = np.arange(sizes[0]) < sizes[:, None]
    places = np.where(is_there, np.cumsum(is_there).reshape(is_there.shape) - 1, 0)
    return sequence.data[places], is_there


def _lengths(lengths: Lengths, sequences: int, longest: int) -> Indices:
    counts = np.array([int(n) for n in lengths])
    if counts.shape != (sequences,):
        raise ValueError(
            f"{len(counts)} lengths for a batch of {sequences} sequences: is batch_first right?"
        )
    if ((counts < 1) | (counts > longest)).any():
        raise ValueError(
            f"lengths {counts.tolist()}: each is at least 1, and at most {longest}, the steps that "
            "the batch has"
        )
    return counts
