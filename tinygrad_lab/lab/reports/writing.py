"""The report: run the studies, and write one self-contained page with the data beside it.

Everything is written to a folder beside the target first, which takes its place at the end, so that
an interrupted or failing run leaves the report that was there; what is finished of it is stored
(``storing.py``), and the next run goes on from there.  Not for how it takes the place
(``publishing.py``), what is studied (``studies.py``), how it is judged (``judging.py``) or how it
looks (``templates/``).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tinygrad_lab.lab.reports import page, pictures
from tinygrad_lab.lab.reports.making import Making, Task
from tinygrad_lab.lab.reports.publishing import PAGE, published
from tinygrad_lab.lab.reports.sections import PARTS, Part, as_text
from tinygrad_lab.lab.reports.storing import Store, opened
from tinygrad_lab.lab.reports.studies import STUDIES
from tinygrad_lab.lab.reports.study import Runs, Study
from tinygrad_lab.lab.reports.tables import Section
from tinygrad_lab.lab.runner import run_all
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.streams import Forgiving
from tinygrad_lab.lab.training import Result
from tinygrad_lab.lab.workers import pool_of
from tinygrad_lab.nn.kernels.threads import processors

FULL_SEEDS, QUICK_SEEDS = 100, 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a report.

    Attributes
    ----------
    path
        The page.
    settings
        How many settings were run.
    seconds
        How long it took.
    """

    path: Path
    settings: int
    seconds: float


def make_report(
    out: str | os.PathLike[str] = "report",
    *,
    quick: bool = False,
    fresh: bool = False,
    studies: Sequence[Study] = STUDIES,
    parts: Sequence[Part] = PARTS,
    workers: int | None = None,
    progress: bool = True,
) -> Outcome:
    """Train the whole lab and write ``index.html``, with the data of its figures under ``data/``.

    Parameters
    ----------
    out
        The folder, made if it is missing.  A report that is there is replaced as a whole, in one
        step: a reader finds the earlier page with its data or the new page with its own.  In a
        folder that holds other files too, which stay, there is no page while files are moved.
    quick
        Five seeds a setting instead of a hundred, and XOR alone beyond the base runs.
    fresh
        Begin anew, where an interrupted run would be gone on with.
    studies
        What to run.
    parts
        The other sections.
    workers
        Processes; by default one a processor.
    progress
        Show progress on anything that takes over two seconds.

    Returns
    -------
    Outcome
        Where the page is, and how much is in it.

    Raises
    ------
    OSError
        The folder cannot be written, which is checked before anything is trained.
    ValueError
        Two studies have one key, or one has a key of the page's own.
    KeyboardInterrupt
        Ctrl-C: the report that was there stays; the settings that are finished are stored beside,
        and the next call with the same arguments goes on with them.
    """
    started = time.perf_counter()
    _check_keys([study.key for study in studies], [part.key for part in parts])
    if quick:
        studies = [short for study in studies if (short := _shortened(study)).rows]
    plan = _Plan(studies, parts, QUICK_SEEDS if quick else FULL_SEEDS, quick)
    with opened(Path(out), "quick" if quick else "full") as store:
        if fresh:
            store.clear()
        with published(Path(out)) as staging, _telling(store, plan):
            runs, drawn = _run(plan, store, workers, progress)
            seconds = time.perf_counter() - started
            files = page.files(
                *(studies, runs, drawn), parts=parts, seeds=plan.seeds, seconds=seconds, quick=quick
            )
            for name, text in files.items():
                target = staging / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8", newline="\n")
        store.clear()
    return Outcome(Path(out) / PAGE, len(runs), time.perf_counter() - started)


#: Keys of what is on every page, or beside it.
_TAKEN = ("runs", "findings", "contents", "top", "main", "unfold", "theme")


def _check_keys(studies: Sequence[str], parts: Sequence[str]) -> None:
    """Raise ValueError where a section of the page, or its data, would take another's place."""
    for key in studies:
        files = [f"{key}{ending}" for ending in pictures.FILES]
        taken = [*_TAKEN, *parts]
        if studies.count(key) > 1 or key in taken or set(files[1:]) & {*studies}:
            raise ValueError(
                f"the study {key!r} needs a key of its own: there is another one, or one of its "
                f"files ({', '.join(files)}), or it is among the page's own, which are "
                f"{', '.join(taken)}"
            )


def _shortened(study: Study) -> Study:
    """Leave out the rows that a quick report does without."""
    return replace(study, rows=tuple(row for row in study.rows if row.quick))


# ---- making it ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """What a report consists of."""

    studies: Sequence[Study]
    parts: Sequence[Part]
    seeds: int
    quick: bool

    @cached_property
    def jobs(self) -> dict[Settings, range]:
        """Every setting with its seeds, the most that a study wants."""
        jobs: dict[Settings, range] = {}
        for study in self.studies:
            for row in study.rows:
                seeds = range(row.seeds or self.seeds)
                jobs[row.settings] = max(seeds, jobs.get(row.settings, seeds), key=len)
        return jobs

    def about(self, part: Part) -> dict[str, Any]:
        """Return everything that a section follows from."""
        needed = part.needs(self.studies)
        runs = [(settings.to_row(), len(self.jobs[settings])) for settings in needed]
        return {"part": part.key, "quick": self.quick, "runs": runs}


@contextmanager
def _telling(store: Store, plan: _Plan) -> Iterator[None]:
    """Let Ctrl-C say what is stored, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        finished = store.count(plan.jobs.items())
        if not finished:
            raise KeyboardInterrupt from None
        raise KeyboardInterrupt(
            f"interrupted; {finished} of {len(plan.jobs)} settings are stored in "
            f"{store.folder.parent}, and the same command goes on with them"
        ) from None


def _run(
    plan: _Plan, store: Store, workers: int | None, progress: bool
) -> tuple[Runs, dict[str, Section | None]]:
    """Train every setting and make every section that is not stored, and store them."""
    finished = store.results(plan.jobs.items())
    about = {part.key: plan.about(part) for part in plan.parts}
    texts = {key: text for key in about if (text := store.text(about[key])) is not None}
    if progress and (finished or texts):
        of = f"{len(finished)} of {len(plan.jobs)} settings of an interrupted run"
        Forgiving(sys.stderr).write(f"going on with {of}\n")

    def keep(key: str, result: Any) -> None:
        if key in about:
            store.keep_text(about[key], result)

    with pool_of(workers or processors()) as pool:
        making = Making(_tasks(pool, plan), finished=texts, keep=keep)
        for settings, results in finished.items():
            making.add(settings, results)

        def add(settings: Settings, results: list[Result]) -> None:
            store.keep(settings, plan.jobs[settings], results)
            making.add(settings, results)

        jobs = list(plan.jobs.items())
        runs = run_all(jobs, progress=progress, finished=finished, keep=add, pool=pool)
        drawn = making.collect(progress=progress)
    for key in about:
        drawn[key] = Section.from_json(drawn[key]) if drawn[key] else None
    return runs, drawn


def _tasks(pool: Executor, plan: _Plan) -> dict[str, Task[Any]]:
    """Say what each section waits for, and how it is made: in another process."""
    tasks: dict[str, Task[Any]] = {}
    for part in plan.parts:
        needed = list(part.needs(plan.studies))

        def make(runs: Runs, part: Part = part, needed: list[Settings] = needed) -> Any:
            return pool.submit(as_text, part, {each: runs[each] for each in needed}, plan.quick)

        tasks[part.key] = Task(frozenset(needed), make)
    for study in plan.studies:

        def draw(runs: Runs, study: Study = study) -> Any:
            measured = page.measurements(study, runs)
            return pool.submit(pictures.section, study.key, study.title, measured)

        tasks[study.key] = Task(frozenset(row.settings for row in study.rows), draw)
    return tasks
