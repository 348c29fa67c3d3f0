"""Samplers: the order in which a loader asks for examples.

Not for what an example is (``datasets.py``).  Any iterable of numbers does as a sampler.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tinygrad_lab.data.datasets import Rng

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


class Sampler:
    """The base of samplers: define ``__iter__``, which gives numbers of examples."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__(self)")


class SequentialSampler(Sampler):
    """All examples, in their order."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """All examples in another order each time; or ``num_samples`` draws, with replacement or not.

    The order is drawn when an iteration begins: one that is left early makes no difference to the
    next.
    """

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        *,
        rng: Rng = None,
    ) -> None:
        self.data_source, self.replacement = data_source, replacement
        self.num_samples = len(data_source) if num_samples is None else num_samples
        self.rng = np.random.default_rng(rng)

    def __iter__(self) -> Iterator[int]:
        size, number = len(self.data_source), self.num_samples
        if self.replacement:
            return iter(self.rng.integers(size, size=number).tolist())
        rounds = [self.rng.permutation(size) for _ in range(-(-number // max(size, 1)))]
        return iter(np.concatenate([*rounds, np.empty(0, np.intp)])[:number].tolist())

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """Some examples, by their numbers, in another order each time."""

    def __init__(self, indices: Sequence[int], *, rng: Rng = None) -> None:
        self.indices, self.rng = indices, np.random.default_rng(rng)

    def __iter__(self) -> Iterator[int]:
        return iter(self.rng.permutation(self.indices).tolist())

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """Examples drawn with probabilities in proportion to ``weights``."""

    def __init__(
        self, weights: ArrayLike, num_samples: int, replacement: bool = True, *, rng: Rng = None
    ) -> None:
        self.weights, self.num_samples = np.asarray(weights, dtype=np.float64), num_samples
        self.replacement, self.rng = replacement, np.random.default_rng(rng)
        if self.weights.ndim != 1 or not (self.weights >= 0).all() or not self.weights.sum() > 0:
            raise ValueError("WeightedRandomSampler: weights are numbers of 0 or more, not all 0")

    def __iter__(self) -> Iterator[int]:
        p = self.weights / self.weights.sum()
        return iter(self.rng.choice(len(p), self.num_samples, self.replacement, p).tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Numbers in lists of ``batch_size``; the last is shorter, or left out with ``drop_last``."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)):
            raise TypeError(f"batch_size is a number of examples, not {batch_size!r}")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: a batch has at least one example")
        self.sampler, self.batch_size, self.drop_last = sampler, int(batch_size), drop_last

    def __iter__(self) -> Iterator[list[int]]:
        return batches_of(iter(self.sampler), self.batch_size, self.drop_last)

    def __len__(self) -> int:
        number: int = len(self.sampler)  # type: ignore[arg-type]
        return number // self.batch_size if self.drop_last else -(-number // self.batch_size)


def batches_of(items: Iterator[Any], size: int, drop_last: bool) -> Iterator[list[Any]]:
    """Cut what comes into lists of one length."""
    while batch := list(islice(items, size)):
        if len(batch) == size or not drop_last:
            yield batch
