"""Run the trials of a plan that a store has not: on any executor, each kept as soon as it is over.

A few tasks are with the executor at a time, each a setting with some of its seeds, which are run as
one.  What ends a worker costs the tasks that were being run, which are run again: those one after
the other, so that a trial that ends its worker each time is found out, and is the only one that
fails.  Not for what a plan is (``plan.py``) nor how trials are kept (``store.py``).
"""

from __future__ import annotations

import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

from tqdm import tqdm

from tinygrad_lab.lab.runner import progress_bar
from tinygrad_lab.lab.settings import Settings, pinned
from tinygrad_lab.lab.sweeps.errors import ExecutorError, PlanError, WorkerEndedError
from tinygrad_lab.lab.sweeps.plan import Plan
from tinygrad_lab.lab.sweeps.status import Status, status_of
from tinygrad_lab.lab.sweeps.store import Store
from tinygrad_lab.lab.sweeps.trial import DONE, FAILED, Trial, key_of, run_trials
from tinygrad_lab.lab.training import load_data
from tinygrad_lab.lab.workers import pool_of
from tinygrad_lab.nn.kernels.threads import processors

# Seeds of one setting that are run as one network: few enough to lose little to a killed worker.
_TOGETHER = 10

# A trial that ends its worker so often has failed.
_ENDURED = 3

_WAITING = "waiting"  # beside DONE and FAILED


def run_sweep(
    plan: Plan,
    store: Store,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    ahead: int | None = None,
    retry_failed: bool = False,
    progress: bool = True,
) -> Status:
    r"""Run every trial of a plan that has no row in the store yet.

    A trial is known by its settings and its seed: rows of other plans stay, and are used where this
    plan has the same trial.  Ctrl-C and errors leave what was finished in the store.

    Parameters
    ----------
    plan
        What to run.
    store
        Where to keep what came of it.
    executor
        What runs the trials: threads, processes, or a cluster
        (``distributed.Client(...).get_executor()``).  It is not shut down.  By default processes on
        this machine with one thread of linear algebra each, which are replaced if they are killed.
    workers
        How many processes, by default one a processor; of no use with an ``executor``.
    ahead
        Tasks with the executor at a time: by default twice the workers, so that none waits.
    retry_failed
        Run trials again whose rows say that they have failed.
    progress
        Show a bar with trials per second and time left, once it has taken two seconds.

    Returns
    -------
    Status
        Of the store afterwards.

    Raises
    ------
    PlanError
        The plan has settings that cannot be trained, or data that cannot be read; nothing is run.
    StoreError
        The store cannot be written any more, because its disk is full for instance.
    ExecutorError
        The ``executor`` can run nothing any more.

    Examples
    --------
    >>> from tinygrad_lab.lab.sweeps import parse_plan
    >>> plan = parse_plan("seeds = 3\nsettings.epochs = 5\ngrid.lr = [0.1, 1]")
    >>> with Store("c.sqlite") as store:
    ...     status = run_sweep(plan, store, workers=1, progress=False)
    >>> status.done, status.failed
    (6, 0)
    """
    statuses, pin = store.statuses(), _pinning(plan)
    counts = _count(map(pin, plan.settings()), plan.seeds, statuses)
    if retry_failed:
        statuses = {key: status for key, status in statuses.items() if status != FAILED}
        counts[_WAITING] += counts.pop(FAILED, 0)
    store.begin(plan.text, counts.total(), counts[DONE], counts[FAILED])
    workers = workers or processors()
    ahead = ahead or 2 * workers
    together = max(1, min(_TOGETHER, counts[_WAITING] // ahead))
    total, settled = counts.total(), counts.total() - counts[_WAITING]
    with progress_bar(total, "sweep", "trial", initial=settled, shown=progress) as bar:
        trials = _Trials(
            _tasks(map(pin, plan.settings()), plan.seeds, set(statuses), together), store, bar
        )
        if executor is None:
            trials.run_on_processes(workers, ahead)
        else:
            trials.run_on(executor, ahead)
    store.end()
    return status_of(store.path)


@dataclass(frozen=True, slots=True)
class _Task:
    """A setting with some of its seeds, and how many workers have ended while it was being run."""

    settings: Settings
    seeds: tuple[int, ...]
    deaths: int = 0

    def alone(self, deaths: int) -> list[_Task]:
        """Each seed as a task of its own."""
        return [_Task(self.settings, (seed,), deaths) for seed in self.seeds]


def _pinning(plan: Plan) -> Callable[[Settings], Settings]:
    """Return what gives settings for files the digest that these have when the sweep begins.

    So a file that changes while the sweep runs, or before it goes on, is found out; and one that
    cannot be read is one error, and not many trials.
    """

    @cache
    def digest(**files: str | None) -> str | None:
        named = Settings(**files)  # type: ignore[arg-type]
        try:
            load_data(named, seed=0)
            return pinned(named).digest
        except ValueError as error:
            raise PlanError(f"{plan.source}: {error}") from None

    def pin(settings: Settings) -> Settings:
        names = ("data", "target", "labels", "digest")
        current = digest(**{name: getattr(settings, name) for name in names})
        return settings if current == settings.digest else replace(settings, digest=current)

    return pin


def _count(
    trials: Iterable[Settings], seeds: Sequence[int], statuses: Mapping[str, str]
) -> Counter[str]:
    """Count trials by their status in the store; one that is drawn twice is one."""
    keys = {key_of(settings, seed) for settings in trials for seed in seeds}
    return Counter(statuses.get(key, _WAITING) for key in keys)


def _tasks(
    trials: Iterable[Settings], all_seeds: Sequence[int], settled: set[str], together: int
) -> Iterator[_Task]:
    """Make the tasks one by one, without the trials that are settled."""
    for settings in trials:
        seeds = []
        for seed in all_seeds:
            key = key_of(settings, seed)
            if key not in settled:
                settled.add(key)
                seeds.append(seed)
        for start in range(0, len(seeds), together):
            yield _Task(settings, tuple(seeds[start : start + together]))


class _Trials:
    """The trials of a sweep that are still to be run, on one executor after the other."""

    def __init__(self, tasks: Iterator[_Task], store: Store, bar: tqdm[None]) -> None:
        self._fresh = tasks
        self._again: deque[_Task] = deque()
        self._suspects: deque[_Task] = deque()  # one of them has ended its worker
        self._store = store
        self._bar = bar

    def run_on_processes(self, workers: int, ahead: int) -> None:
        """Run all on processes, with new ones where one of them was ended."""
        while True:
            with suppress(BrokenExecutor), pool_of(workers) as pool:
                self._run(self._next_suspect, pool, 1)
                self._run(self._next, pool, ahead)
                return

    def run_on(self, executor: Executor, ahead: int) -> None:
        """Run all on an executor that cannot be replaced."""
        try:
            while True:
                self._run(self._next, executor, ahead, recalls=True)
                if not self._suspects:
                    return
                self._run(self._next_suspect, executor, 1, recalls=True)
        except (BrokenExecutor, CancelledError) as error:
            raise ExecutorError(
                f"the executor can run nothing any more ({error!r}); what is "
                f"finished is in {self._store.path}: run the sweep again with another executor"
            ) from error

    def _run(
        self,
        take: Callable[[], _Task | None],
        executor: Executor,
        ahead: int,
        *,
        recalls: bool = False,
    ) -> None:
        """Run tasks until there are no more of them.

        ``recalls`` says whether an interrupt calls back what has not begun.
        """
        running: dict[Future[list[Trial]], _Task] = {}
        try:
            while True:
                while len(running) < ahead and (task := take()) is not None:
                    running[self._submitted(task, executor)] = task
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    if isinstance(error := future.exception(), BrokenExecutor):
                        raise error
                    self._settle(future, running[future])
                    del running[future]
        except BrokenExecutor:
            wait(running)
            self._settle_finished(running)
            raise
        except (KeyboardInterrupt, SystemExit):
            if recalls:  # processes of our own are ended anyway
                for future in running:
                    future.cancel()
            self._settle_finished(running)
            raise

    def _submitted(self, task: _Task, executor: Executor) -> Future[list[Trial]]:
        try:
            return executor.submit(run_trials, task.settings, task.seeds)
        except BrokenExecutor:
            self._again.append(task)
            raise

    def _next(self) -> _Task | None:
        return self._again.popleft() if self._again else next(self._fresh, None)

    def _next_suspect(self) -> _Task | None:
        return self._suspects.popleft() if self._suspects else None

    def _settle_finished(self, running: Mapping[Future[list[Trial]], _Task]) -> None:
        """Keep what is over by now."""
        for future, task in running.items():
            if future.done() and not future.cancelled():
                self._settle(future, task)

    def _settle(self, future: Future[list[Trial]], task: _Task) -> None:
        """Keep what came of a task, or see to it that what did not come of it is run again."""
        error = future.exception()
        if error is None:
            for trial in future.result():
                self._record(trial)
        elif isinstance(error, BrokenExecutor | WorkerEndedError):
            self._suspects.extend(self._after_death(task))
        elif len(task.seeds) > 1:  # each alone, so that the others are not lost with the one
            self._again.extend(task.alone(deaths=0))
        else:
            self._fail(task, "".join(traceback.format_exception(error)))

    def _after_death(self, task: _Task) -> Iterator[_Task]:
        """What to run after a worker has ended: the same, from the second time on seed by seed."""
        deaths = task.deaths + 1
        if deaths > 1 and len(task.seeds) > 1:
            yield from task.alone(deaths=1)
        elif deaths < _ENDURED:
            yield replace(task, deaths=deaths)
        else:
            self._fail(
                task,
                f"The process that ran this trial was ended {deaths} times, the last two times "
                "while it ran nothing else: by the system, if there was not enough memory.\n",
            )

    def _fail(self, task: _Task, reason: str) -> None:
        [seed] = task.seeds
        self._record(Trial(task.settings, seed, traceback=reason))

    def _record(self, trial: Trial) -> None:
        self._store.record(trial)
        self._bar.update()
