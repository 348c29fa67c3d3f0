"""The report: run the studies, and write one self-contained page with the data beside it.

Everything is written to a folder beside the target first, which takes its place at the end, so that
an interrupted or failing run leaves the report that was there.  Not for how it takes the place
(``publishing.py``), what is studied (``studies.py``), how it is judged (``judging.py``) or how it
looks (``templates/``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinygrad_lab.lab.reports import page
from tinygrad_lab.lab.reports.making import Making, Task
from tinygrad_lab.lab.reports.publishing import PAGE, published
from tinygrad_lab.lab.reports.sections import PARTS, Part
from tinygrad_lab.lab.reports.studies import STUDIES
from tinygrad_lab.lab.reports.study import Runs, Study
from tinygrad_lab.lab.reports.tables import Section
from tinygrad_lab.lab.runner import run_all
from tinygrad_lab.lab.settings import Settings
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
    Interrupted
        Ctrl-C; nothing is written.
    """
    started = time.perf_counter()
    _check_keys([study.key for study in studies], [part.key for part in parts])
    if quick:
        studies = [short for study in studies if (short := _shortened(study)).rows]
    seeds = QUICK_SEEDS if quick else FULL_SEEDS
    jobs = _jobs(studies, seeds)
    with published(Path(out)) as staging, pool_of(workers or processors()) as pool:
        making = Making(_tasks(pool, studies, parts, quick))
        runs = run_all(jobs, progress=progress, keep=making.add, pool=pool)
        drawn = making.collect(progress=progress)
        seconds = time.perf_counter() - started
        files = page.files(
            studies, runs, drawn, parts=parts, seeds=seeds, seconds=seconds, quick=quick
        )
        for name, text in files.items():
            target = staging / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
    return Outcome(Path(out) / PAGE, len(runs), time.perf_counter() - started)


#: Keys of what is on every page, or beside it.
_TAKEN = ("runs", "findings", "contents", "top")


def _check_keys(studies: Sequence[str], parts: Sequence[str]) -> None:
    """Raise ValueError where a section of the page, or its data, would take another's place."""
    for key in studies:
        curves = f"{key}-curves"
        if studies.count(key) > 1 or curves in studies or key in (*_TAKEN, *parts):
            raise ValueError(
                f"the study {key!r} needs a key of its own: there is another one, or {curves!r}, "
                f"or it is among the page's own, which are {', '.join((*_TAKEN, *parts))}"
            )


def _shortened(study: Study) -> Study:
    """Leave out the rows that a quick report does without."""
    return replace(study, rows=tuple(row for row in study.rows if row.quick))


def _jobs(studies: Sequence[Study], seeds: int) -> list[tuple[Settings, range]]:
    """List every row of every study with its seeds."""
    return [(row.settings, range(row.seeds or seeds)) for study in studies for row in study.rows]


def _tasks(
    pool: Executor, studies: Sequence[Study], parts: Sequence[Part], quick: bool
) -> dict[str, Task[Section | None]]:
    """Say what each section waits for, and how it is made: in another process."""
    tasks: dict[str, Task[Section | None]] = {}
    for part in parts:
        needed = list(part.needs(studies))

        def make(runs: Runs, part: Part = part, needed: list[Settings] = needed) -> Any:
            return pool.submit(part.make, {settings: runs[settings] for settings in needed}, quick)

        tasks[part.key] = Task(frozenset(needed), make)
    for study in studies:

        def draw(runs: Runs, study: Study = study) -> Any:
            measured = page.measurements(study, runs)
            return pool.submit(page.figures, study.key, study.title, measured)

        tasks[study.key] = Task(frozenset(row.settings for row in study.rows), draw)
    return tasks
