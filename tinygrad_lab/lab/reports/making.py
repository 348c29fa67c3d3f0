"""Sections of the page, made in other processes as soon as the runs that they need are finished.

Not for what is in a section (``page.py``, ``sections``) nor for training (``runner.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar

from tinygrad_lab.lab.reports.study import Results, Runs
from tinygrad_lab.lab.runner import progress_bar
from tinygrad_lab.lab.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """What waits for runs: the settings it needs, and how it is begun when they are there."""

    needs: frozenset[Settings]
    begin: Callable[[Runs], Future[T]]


class Making(Generic[T]):
    """Tasks by name, each begun as soon as what it needs is there.

    Parameters
    ----------
    tasks
        What is to be done.
    finished
        Results of earlier tasks, which are not begun again.
    keep
        Called with a name and its result, soon after it is there.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> pool = ThreadPoolExecutor(1)
    >>> task = Task(frozenset({Settings()}), lambda runs: pool.submit(len, runs))
    >>> making = Making({"one": task})
    >>> making.add(Settings(), [])
    >>> making.collect(progress=False)
    {'one': 1}
    """

    def __init__(
        self,
        tasks: Mapping[str, Task[T]],
        *,
        finished: Mapping[str, T] = MappingProxyType({}),
        keep: Callable[[str, T], None] | None = None,
    ) -> None:
        self._waiting = {key: task for key, task in tasks.items() if key not in finished}
        self._results = dict(finished)
        self._keep = keep
        self._runs: dict[Settings, Results] = {}
        self._futures: dict[Future[T], str] = {}
        self._begin()

    def add(self, settings: Settings, results: Results) -> None:
        """Take the runs of a setting, and begin what waited for them."""
        self._runs[settings] = results
        self._begin()
        for future in [future for future in self._futures if future.done()]:
            self._take(future)

    def _take(self, future: Future[T]) -> None:
        key, result = self._futures.pop(future), future.result()
        self._results[key] = result
        if self._keep is not None:
            self._keep(key, result)

    def _begin(self) -> None:
        ready = [key for key, task in self._waiting.items() if task.needs <= self._runs.keys()]
        for key in ready:
            self._futures[self._waiting.pop(key).begin(self._runs)] = key

    def collect(self, *, progress: bool) -> dict[str, T]:
        """Wait for everything that was begun, and return it by name."""
        with progress_bar(len(self._futures), "sections", "section", shown=progress) as bar:
            for future in as_completed(list(self._futures)):
                self._take(future)
                bar.update()
        return self._results
