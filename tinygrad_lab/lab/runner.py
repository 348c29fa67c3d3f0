"""Run settings over seeds in parallel processes, with a progress bar; Ctrl-C loses nothing done.

Not for what is run (``studies.py``), the training (``training.py``) or the processes
(``workers.py``).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any

from tqdm import tqdm

from tinygrad_lab.lab.data import is_drawn
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.streams import Forgiving
from tinygrad_lab.lab.training import Result, train_many
from tinygrad_lab.lab.workers import pool_of
from tinygrad_lab.nn.kernels.threads import processors

# Numbers that a hidden layer gives for all networks of one task: enough to amortise Python's
# overhead, few enough to stay in the cache, to move the progress bar, and to stop soon when asked
# to.  The networks of 50 seeds on 100 points, with 4 units.
_NUMBERS_AT_ONCE = 20_000

#: Seconds before progress shows: what is over sooner needs no bar.
PATIENCE = 2.0

# Seconds between two lines of progress where it is written to a file.
_LOGGED_EVERY = 10.0


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with what was finished by then.

    Attributes
    ----------
    finished
        Every setting whose seeds are all done.
    wanted
        How many settings there were to run.
    """

    def __init__(self, finished: dict[Settings, list[Result]], wanted: int) -> None:
        super().__init__(f"interrupted: {len(finished)} of {wanted} settings finished")
        self.finished = finished
        self.wanted = wanted

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.finished, self.wanted), vars(self)


def run_all(
    jobs: Sequence[tuple[Settings, Sequence[int]]],
    *,
    workers: int | None = None,
    progress: bool = True,
    finished: Mapping[Settings, Sequence[Result]] = MappingProxyType({}),
    keep: Callable[[Settings, list[Result]], None] | None = None,
    pool: Executor | None = None,
) -> dict[Settings, list[Result]]:
    """Train every setting with each of its seeds.

    Parameters
    ----------
    jobs
        Settings, each with its seeds; a setting named twice is run once, with its longest list.
    workers
        Processes; by default the processors this process may use.
    progress
        Show a bar once it has taken two seconds.
    finished
        Results of an earlier call, which are not run again.
    keep
        Called with a setting and its results as soon as all its seeds are run.
    pool
        Where to run, in place of processes of its own.

    Returns
    -------
    dict
        For each setting its results, in the order of the seeds.

    Raises
    ------
    Interrupted
        Ctrl-C; it carries what was finished.

    Examples
    --------
    >>> runs = run_all([(Settings(epochs=5), range(2))], workers=1, progress=False)
    >>> [result.seed for result in runs[Settings(epochs=5)]]
    [0, 1]
    """
    wanted: dict[Settings, Sequence[int]] = {}
    for settings, seeds in jobs:
        if len(seeds) > len(wanted.get(settings, ())):
            wanted[settings] = seeds
    done = {
        settings: {r.seed: r for r in finished.get(settings, ()) if r.seed in seeds}
        for settings, seeds in wanted.items()
    }

    def add(results: Sequence[Result]) -> None:
        settings = results[0].settings
        done[settings] |= {result.seed: result for result in results}
        if keep is not None and (whole := _finished(wanted, done, [settings])):
            keep(settings, whole[settings])

    with pool_of(workers or processors()) if pool is None else nullcontext(pool) as processes:
        parts = sorted(_parts(wanted, done), key=_cost, reverse=True)
        futures = [processes.submit(train_many, settings, seeds) for settings, seeds in parts]
        try:
            _collect(futures, add, sum(len(seeds) for _, seeds in parts), progress)
        except KeyboardInterrupt:
            raise Interrupted(_finished(wanted, done, wanted), len(wanted)) from None
    return _finished(wanted, done, wanted)


def _collect(
    futures: Sequence[Future[list[Result]]],
    add: Callable[[Sequence[Result]], None],
    runs: int,
    progress: bool,
) -> None:
    with progress_bar(runs, "training", "run", shown=progress) as bar:
        for future in as_completed(futures):
            results = future.result()
            add(results)
            bar.update(len(results))


def progress_bar(
    total: int, what: str, unit: str, *, initial: int = 0, shown: bool = True
) -> tqdm[None]:
    """Return a bar on the terminal for what takes longer than ``PATIENCE``, lines in a log.

    Where it cannot be written, the work goes on without it.
    """
    stream = Forgiving(sys.stderr)
    return tqdm(
        total=total,
        initial=initial,
        desc=what,
        unit=unit,
        file=stream,
        delay=PATIENCE,
        mininterval=0.1 if stream.isatty() else _LOGGED_EVERY,
        disable=not shown,
    )


def _finished(
    wanted: Mapping[Settings, Sequence[int]],
    done: Mapping[Settings, Mapping[int, Result]],
    among: Iterable[Settings],
) -> dict[Settings, list[Result]]:
    return {
        settings: [done[settings][seed] for seed in wanted[settings]]
        for settings in among
        if len(done[settings]) == len(wanted[settings])
    }


def _parts(
    wanted: Mapping[Settings, Sequence[int]], done: Mapping[Settings, Mapping[int, Result]]
) -> Iterator[tuple[Settings, list[int]]]:
    for settings, seeds in wanted.items():
        missing = [seed for seed in seeds if seed not in done[settings]]
        numbers = len(missing) * _points(settings) * max(settings.hidden)
        count = min(len(missing), math.ceil(numbers / _NUMBERS_AT_ONCE))
        for part in range(count):
            yield settings, missing[part::count]


def _cost(part: tuple[Settings, list[int]]) -> float:
    """Roughly how many microseconds a part takes: the longest first keeps every process busy."""
    settings, seeds = part
    numbers = len(seeds) * _points(settings) * sum(settings.hidden)
    return settings.epochs * (60 + 0.006 * numbers)


def _points(settings: Settings) -> int:
    """Roughly how many there are: what is read from a file is not known before it is read."""
    if is_drawn(settings.data):
        return settings.n
    return 21 if settings.data == "xor" else 1000
