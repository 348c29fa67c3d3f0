"""The report: run the studies, and write one self-contained page with the data beside it.

Everything is written to a folder beside the target first and moved into place at the end, so that
an interrupted or failing run leaves the report that was there.  Not for what is studied
(``studies.py``), how it is judged (``judging.py``) or how it looks (``templates/``).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tinygrad_lab.lab.reports import page
from tinygrad_lab.lab.reports.studies import STUDIES
from tinygrad_lab.lab.reports.study import Runs, Study
from tinygrad_lab.lab.runner import Interrupted, run_all

FULL_SEEDS, QUICK_SEEDS, ACCEPTANCE_SEEDS = 20, 5, 20


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
        The folder, made if it is missing; files of an earlier report are replaced.
    quick
        Five seeds a setting instead of twenty, and XOR alone beyond the base runs.
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
    Interrupted
        Ctrl-C before the first setting was finished; nothing is written.
    """
    started = time.perf_counter()
    if quick:
        studies = [_shortened(study) for study in studies]
    seeds = QUICK_SEEDS if quick else FULL_SEEDS
    with _staged(Path(out)) as staging:
        runs, wanted = _run(studies, seeds, workers, progress)
        seconds = time.perf_counter() - started
        files = page.files(studies, runs, seeds=seeds, wanted=wanted, seconds=seconds, quick=quick)
        for name, text in files.items():
            target = staging / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
    return Outcome(Path(out) / "index.html", len(runs), wanted, time.perf_counter() - started)


def _shortened(study: Study) -> Study:
    """Leave out the rows that a quick report does without."""
    return replace(study, rows=tuple(row for row in study.rows if row.quick))


def _run(
    studies: Sequence[Study], seeds: int, workers: int | None, progress: bool
) -> tuple[Runs, int]:
    """Run every row of every study; after Ctrl-C, what was finished, if anything was."""
    jobs = [
        (row.settings, range(ACCEPTANCE_SEEDS if study.exact_seeds else seeds))
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


@contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """Give a folder to write in; move its files into ``out`` if all goes well, else leave no trace.

    The page itself is moved last: it never stands beside data of another run.
    """
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=out))
    try:
        yield staging
        written = sorted(p.relative_to(staging) for p in staging.rglob("*") if p.is_file())
        for name in sorted(written, key=lambda name: name.suffix == ".html"):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).replace(out / name)
        is_new = False
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if is_new:
            out.rmdir()
