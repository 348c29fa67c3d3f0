"""``DataLoader``: batches of a data set, in an order, and made ahead by a thread if wanted.

Not for what is in a batch (``collate.py``, ``datasets.py``) or in which order (``samplers.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.data.collate import default_collate
from tinygrad_lab.data.datasets import IterableDataset, Rng, batch_of
from tinygrad_lab.data.samplers import BatchSampler, RandomSampler, SequentialSampler, batches_of

__all__ = ["DataLoader"]

_END = object()


class DataLoader:
    """Batches of a data set: iterate over it, once for each epoch.

    Parameters
    ----------
    dataset : Dataset
        Examples by number (a list is one, too), or an :class:`IterableDataset`.
    batch_size : int or None
        Examples a batch.  None: no batches, but one example after the other.
    shuffle : bool
        Another order each epoch.
    sampler, batch_sampler : iterable of int, of lists of int
        Instead of ``shuffle``, or of all of these: which examples, in which order.
    num_workers : int
        0, or more for a thread that makes batches ahead: ``num_workers * prefetch_factor`` of them.
        It is one thread, however many are asked for; its errors are raised where the batch would
        have been, with their own traceback.
    collate_fn : callable
        Makes a batch of a list of examples.  Left out, arrays and numbers are stacked
        (:func:`default_collate`), and a :class:`TensorDataset` is indexed as a whole.
    pin_memory, persistent_workers : bool
        PyTorch's; without effect.
    drop_last : bool
        Leave out the last batch if it is smaller.
    prefetch_factor : int
        Batches ahead for each worker.
    rng : int or numpy.random.Generator, optional
        Seed or generator of the shuffling.

    Raises
    ------
    TypeError, ValueError
        Arguments that contradict each other, a size that is none, something that is no data set.

    Examples
    --------
    >>> loader = DataLoader(range(5), batch_size=2, shuffle=True, rng=0)
    >>> [batch.data.tolist() for batch in loader]
    [[2, 4], [3, 0], [1]]
    >>> len(loader)
    3
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,  # noqa: ARG002 - there is one memory
        drop_last: bool = False,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,  # noqa: ARG002 - a thread costs nothing to begin
        rng: Rng = None,
    ) -> None:
        is_stream = isinstance(dataset, IterableDataset)
        if not is_stream and not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
            raise TypeError(
                f"DataLoader({describe(dataset)}): a data set has examples by number and a length: "
                "say TensorDataset(x, y) for arrays, or derive from Dataset or IterableDataset"
            )
        _check_choices(is_stream, batch_size, shuffle, sampler, batch_sampler, drop_last)
        check_number("num_workers", num_workers, 0)
        if prefetch_factor is not None:
            check_number("prefetch_factor", prefetch_factor, 1)
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.num_workers, self.prefetch_factor = num_workers, prefetch_factor or 2
        self.collate_fn = collate_fn
        self.rng = np.random.default_rng(rng)
        self.sampler = self.batch_sampler = None
        if batch_sampler is not None:
            self.batch_size, self.batch_sampler = None, batch_sampler
        elif not is_stream:
            order = RandomSampler(dataset, rng=self.rng) if shuffle else SequentialSampler(dataset)
            self.sampler = order if sampler is None else sampler
        if batch_sampler is None and batch_size is not None:
            batches = BatchSampler(self.sampler or (), batch_size, drop_last)
            self.batch_sampler = None if is_stream else batches

    def __iter__(self) -> Iterator[Any]:
        """Begin an epoch: its order is drawn now, and all of it, however far one goes."""
        batches = self._batches()
        ahead = self.num_workers * self.prefetch_factor
        return _made_ahead(batches, ahead) if ahead else batches

    def _batches(self) -> Iterator[Any]:
        if isinstance(self.dataset, IterableDataset):
            items = iter(self.dataset)
            if self.batch_size is None:
                return map(self.collate_fn or _as_it_is, items)
            return map(
                self.collate_fn or default_collate,
                batches_of(items, self.batch_size, self.drop_last),
            )
        if self.batch_sampler is not None:
            return map(self._batch, self.batch_sampler)
        single = self.collate_fn or _as_it_is
        return (single(self.dataset[i]) for i in iter(self.sampler or ()))

    def _batch(self, indices: Any) -> Any:
        if self.collate_fn is None:
            return batch_of(self.dataset, indices)
        return self.collate_fn([self.dataset[i] for i in indices])

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        if isinstance(self.dataset, IterableDataset):
            number = len(self.dataset)  # type: ignore[arg-type]  # which may refuse
            if self.batch_size is not None:
                return len(BatchSampler(range(number), self.batch_size, self.drop_last))
            return number
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """Where the generator of the order is, to go on from there bit for bit."""
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.rng.bit_generator.state = state["rng"]


def _made_ahead(batches: Iterator[Any], number: int) -> Iterator[Any]:
    """Let a thread make batches while those before are used; it ends with the iteration."""
    run: Any = copy_context().run  # `no_grad` holds in the thread as it does here
    with ThreadPoolExecutor(1, "DataLoader") as thread:
        ready = deque(thread.submit(run, next, batches, _END) for _ in range(number))
        try:
            while (batch := ready.popleft().result()) is not _END:
                ready.append(thread.submit(run, next, batches, _END))
                yield batch
        finally:
            for future in ready:
                future.cancel()


def _as_it_is(item: Any) -> Any:
    return item


def check_number(name: str, value: Any, least: int) -> None:
    """Check a number of things: an integer, and not too small."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name}={value!r}: expected an integer of {least} or more")


def _check_choices(
    is_stream: bool, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: Any
) -> None:
    """Refuse arguments that contradict each other."""
    if is_stream and (shuffle or sampler is not None or batch_sampler is not None):
        raise ValueError(
            "an IterableDataset gives its examples in its own order: leave out shuffle, sampler "
            "and batch_sampler"
        )
    if shuffle and sampler is not None:
        raise ValueError("shuffle=True and sampler= both say the order: leave one out")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler or drop_last):
        raise ValueError(
            "batch_sampler= says all about the batches: leave out batch_size, shuffle, sampler "
            "and drop_last"
        )
    if batch_size is None and drop_last:
        raise ValueError("batch_size=None makes no batches, so there is no last one to drop")
