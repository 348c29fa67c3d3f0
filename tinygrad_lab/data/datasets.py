"""Data sets: what has examples by number, or gives them one after the other.

A data set also gives many examples at once, by ``batch``: where it is arrays that is one indexing
of each, and no example is ever looked at alone.

Not for: the order of examples (``samplers.py``), loading them (``loader.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.data.collate import default_collate

__all__ = [
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]

Rng = int | np.random.Generator | None


class Dataset:
    """The base of data sets: define ``__getitem__`` and ``__len__``.

    Examples
    --------
    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 5
    ...     def __getitem__(self, i):
    ...         return float(i), float(i) ** 2
    >>> Squares().batch([1, 3])[1].data
    array([1., 9.])
    """

    def __getitem__(self, index: Any) -> Any:
        """Give an example."""
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__(self, index)")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])

    def batch(self, indices: Any) -> Any:
        """Give several examples as one batch: override it where that is less work than each."""
        return default_collate([self[int(i)] for i in indices])


class IterableDataset(Dataset):
    """The base of data sets that are read in one order: define ``__iter__``."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__(self)")


class TensorDataset(Dataset):
    """Tensors, or arrays, with an example in each row.

    Parameters
    ----------
    *tensors : array_like
        All of one length: inputs of shape (n, ...), targets of shape (n, ...).  They are not
        copied.

    Raises
    ------
    ValueError
        There are none, one is a single number, or their lengths differ.

    Examples
    --------
    >>> points = TensorDataset([[0.0, 1.0], [1.0, 1.0]], [0, 1])
    >>> x, y = points[1]
    >>> x.data, y.item(), len(points)
    (array([1., 1.]), 1, 2)
    >>> points
    TensorDataset(float64(2, 2), int64(2,))
    """

    def __init__(self, *tensors: Any) -> None:
        self.tensors = tuple(t if isinstance(t, Tensor) else Tensor(np.asarray(t)) for t in tensors)
        shapes = [t.shape for t in self.tensors]
        if not shapes or any(not shape for shape in shapes):
            raise ValueError(
                "TensorDataset(x, y) takes arrays with an example in each row, not "
                f"{'nothing' if not shapes else f'shapes {shapes}'}"
            )
        if len({shape[0] for shape in shapes}) > 1:
            raise ValueError(
                f"TensorDataset needs arrays of one length: these have {shapes}, so that the last "
                "rows of the longer ones would belong to nothing"
            )

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        """Give an example, or those of a slice or an array of numbers, as a tuple of tensors."""
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __repr__(self) -> str:
        return f"TensorDataset({', '.join(map(describe, self.tensors))})"

    def batch(self, indices: Any) -> list[Tensor]:
        """Index each tensor once."""
        return list(self[np.asarray(indices)])


class Subset(Dataset):
    """Some examples of a data set, by their numbers in it."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices
        self._indices = np.asarray(indices, dtype=np.intp)

    def __getitem__(self, index: Any) -> Any:
        """Give the example that has this number among those chosen."""
        return self.dataset[self._indices[index].tolist()]

    def __len__(self) -> int:
        return len(self._indices)

    def batch(self, indices: Any) -> Any:
        """Ask the data set behind for a batch."""
        return batch_of(self.dataset, self._indices[indices])


class ConcatDataset(Dataset):
    """Data sets behind one another."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset needs at least one data set")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise TypeError("ConcatDataset takes data sets of a known length, no IterableDataset")
        self.cumulative_sizes = np.cumsum([len(dataset) for dataset in self.datasets]).tolist()

    def __getitem__(self, index: int) -> Any:
        """Give an example; negative numbers count from the end."""
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"example {index} of a data set of {len(self)}")
        which = int(np.searchsorted(self.cumulative_sizes, place, side="right"))
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][place - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def batch_of(dataset: Any, indices: Any) -> Any:
    """Give a batch of anything that has examples by number, lists too."""
    if isinstance(dataset, Dataset):
        return dataset.batch(indices)
    return default_collate([dataset[int(i)] for i in indices])


def random_split(dataset: Any, lengths: Sequence[float], *, rng: Rng = None) -> list[Subset]:
    """Share the examples of a data set out at random, each to one part.

    Parameters
    ----------
    dataset : Dataset
        Anything with a length and examples by number.
    lengths : sequence of int, or of float
        How many examples each part has; or their shares, which add up to 1 (the examples that
        rounding leaves go to the first parts, one each).
    rng : int or numpy.random.Generator, optional
        Seed or generator of the draw.

    Returns
    -------
    list of Subset

    Raises
    ------
    ValueError
        The lengths do not add up to that of the data set, nor do they as shares.

    Examples
    --------
    >>> parts = random_split(range(10), [0.75, 0.25], rng=0)
    >>> [len(part) for part in parts]
    [8, 2]
    """
    number, sizes = len(dataset), np.asarray(lengths)
    if sizes.dtype.kind == "f" and np.isclose(sizes.sum(), 1) and (sizes >= 0).all():
        sizes = np.floor(sizes * number + 1e-9).astype(np.intp)
        sizes[np.arange(number - sizes.sum()) % len(sizes)] += 1
    if sizes.dtype.kind not in "iu" or sizes.sum() != number or (sizes < 0).any():
        raise ValueError(
            f"random_split: lengths {list(lengths)} add up to {sum(lengths):g}, and the data set "
            f"has {number} examples: give their numbers, or shares that add up to 1"
        )
    order = np.random.default_rng(rng).permutation(number)
    parts = np.split(order, np.cumsum(sizes)[:-1])
    return [Subset(dataset, part.tolist()) for part in parts]
