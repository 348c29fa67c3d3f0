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
from dataclasses import dataclass, replace
from pathlib import Path

from tinygrad_lab.lab.reports import page
from tinygrad_lab.lab.reports.publishing import PAGE, published
from tinygrad_lab.lab.reports.studies import STUDIES
from tinygrad_lab.lab.reports.study import Runs, Study
from tinygrad_lab.lab.runner import Interrupted, run_all

FULL_SEEDS, QUICK_SEEDS = 100, 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a report.

    Attributes
    ----------
    path
        The page.
    finished, wanted
        Settings that were run, and that were to be run: fewer after Ctrl-C.
    seconds
        How long it took.
    """

    path: Path
    finished: int
    wanted: int
    seconds: float


def make_report(
    out: str | os.PathLike[str] = "report",
    *,
    quick: bool = False,
    studies: Sequence[Study] = STUDIES,
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
    workers
        Processes; by default one a processor.
    progress
        Show progress on anything that takes over two seconds.

    Returns
    -------
    Outcome
        Where the page is, and how much of it: after Ctrl-C it holds what was finished.

    Raises
    ------
    OSError
        The folder cannot be written, which is checked before anything is trained.
    ValueError
        Two studies have one key, or one has a key of the page's own.
    Interrupted
        Ctrl-C before the first setting was finished; nothing is written.
    """
    started = time.perf_counter()
    _check_keys([study.key for study in studies])
    if quick:
        studies = [_shortened(study) for study in studies]
    seeds = QUICK_SEEDS if quick else FULL_SEEDS
    with published(Path(out)) as staging:
        runs, wanted = _run(studies, seeds, workers, progress)
        seconds = time.perf_counter() - started
        files = page.files(studies, runs, seeds=seeds, wanted=wanted, seconds=seconds, quick=quick)
        for name, text in files.items():
            target = staging / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
    return Outcome(Path(out) / PAGE, len(runs), wanted, time.perf_counter() - started)


def _check_keys(keys: Sequence[str]) -> None:
    """Raise ValueError where a section of the page, or its data, would take another's place."""
    for key in keys:
        curves = f"{key}-curves"
        if keys.count(key) > 1 or curves in keys or key in page.OWN_KEYS:
            raise ValueError(
                f"the study {key!r} needs a key of its own: there is another one, or {curves!r}, "
                f"or it is among the page's own, which are {', '.join(page.OWN_KEYS)}"
            )


def _shortened(study: Study) -> Study:
    """Leave out the rows that a quick report does without."""
    return replace(study, rows=tuple(row for row in study.rows if row.quick))


def _run(
    studies: Sequence[Study], seeds: int, workers: int | None, progress: bool
) -> tuple[Runs, int]:
    """Run every row of every study; after Ctrl-C, what was finished, if anything was."""
    jobs = [
        (row.settings, range(row.seeds or seeds))
        for study in studies
        for row in study.rows
    ]
    try:
        runs = run_all(jobs, workers=workers, progress=progress)
    except Interrupted as interrupted:
        if not interrupted.finished:
            raise
        return interrupted.finished, interrupted.wanted
    return runs, len(runs)
