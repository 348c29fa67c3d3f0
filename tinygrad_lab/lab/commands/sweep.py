"""``tinygrad-lab sweep``: run a plan into a database, and say how far it is.

Not for the work itself (``lab/sweeps``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from tinygrad_lab.lab.commands.frame import CommandError, Json, check_target, doing, echo_json, fail
from tinygrad_lab.lab.sweeps import (
    Plan,
    Status,
    Store,
    SweepError,
    read_plan,
    run_sweep,
    status_of,
)
from tinygrad_lab.lab.sweeps.cluster import dask_executor
from tinygrad_lab.lab.sweeps.status import command_of_row

SOME_FAILED = 1

# Trials that nobody writes into a file of a few lines without meaning to, or so it is asked.
_MANY = 100_000


def command(
    plan: Annotated[
        Path | None, typer.Argument(metavar="PLAN.TOML", help="What to run.", show_default=False)
    ] = None,
    db: Annotated[
        Path | None,
        typer.Option(help="Where to keep the trials. [default: PLAN.sqlite]", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes. [default: one a processor]", show_default=False),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|local",
            help="Run on a Dask cluster: by the address of its scheduler, or one made here.",
            show_default=False,
        ),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Only say how far it is, while it runs or later.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run the trials again that have failed.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help=f"Run more than {_MANY:,} trials without asking.")
    ] = False,
    as_json: Json = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a page about it, afterwards.", show_default=False)
    ] = None,
) -> None:
    r"""Run every combination of some settings; go on where an earlier run was ended.

    PLAN.TOML says what to run, with the settings of `train` by their names:

    \b
        seeds = 5
        [settings]
        data = "xor"
        [grid]
        hidden = [[3, 3], [4, 4]]
        [random]
        trials = 20
        lr = { log_uniform = [0.01, 1.0] }

    Each trial is kept in an SQLite database as soon as it is finished, and never run twice.
    """
    path = _database(plan, db, only_looks=status or html is not None)
    if (plan is None or status) and (workers or retry_failed or yes):
        raise CommandError("this only looks: leave out --workers, --retry-failed and --yes")
    check_target(html, "--html", ("html",))
    with _errors_of_sweeps():
        if plan is None or status:
            outcome = status_of(path)
        else:
            outcome = _run(_checked(read_plan(plan), yes), path, _on(dask, workers), retry_failed)
        if html is not None:
            from tinygrad_lab.lab.sweeps.page import write_page

            with doing(f"write {html}"):
                write_page(path, html)
    if as_json:
        echo_json(_plain(outcome))
    else:
        typer.echo("\n".join(_lines(outcome, path)))
    if outcome.failed and plan is not None and not status:
        message = f"trials that failed: {outcome.failed:,}; {path} has their tracebacks, and "
        raise typer.Exit(fail(f"{message}--retry-failed runs them again", SOME_FAILED))


def _database(plan: Path | None, db: Path | None, only_looks: bool) -> Path:
    """Return where the trials are: beside the plan, if it is not said."""
    if plan is None and db is not None and only_looks:
        return db
    if plan is None:
        raise CommandError(
            "name a plan, such as grid.toml; or a database: --db FILE, with --status or --html"
        )
    if plan == db:
        raise CommandError(f"{plan} is the plan; name another file with --db")
    return db or plan.parent / f"{plan.stem}.sqlite"


def _checked(plan: Plan, yes: bool) -> Plan:
    if plan.size > _MANY and not yes:
        raise CommandError(f"{plan.source} has {plan.size:,} trials; add --yes if they are meant")
    return plan


@contextmanager
def _on(dask: str | None, workers: int | None) -> Iterator[dict[str, Any]]:
    """Start what runs the trials, and yield what ``run_sweep`` is told of it."""
    if dask is None:
        yield {"workers": workers}
        return
    with dask_executor(dask, workers) as (executor, threads):
        yield {"executor": executor, "ahead": 2 * threads}


def _run(
    plan: Plan, path: Path, where: AbstractContextManager[dict[str, Any]], retry_failed: bool
) -> Status:
    # In this order, so that there is no new database where there is no cluster.
    with where as options, Store(path) as store:
        try:
            return run_sweep(plan, store, retry_failed=retry_failed, **options)
        except KeyboardInterrupt:
            finished = f"trials in {path}: {len(store.statuses()):,}"
            message = f"interrupted; {finished}; the same command goes on from there"
            raise KeyboardInterrupt(message) from None


@contextmanager
def _errors_of_sweeps() -> Iterator[None]:
    try:
        yield
    except SweepError as error:
        raise CommandError(str(error)) from None


def _lines(status: Status, path: Path) -> Iterator[str]:
    """Say how far a sweep is, and which trials are the best."""
    now = status.done + status.failed - status.before
    parts = [f"{path}: {status.done:,} of {status.trials:,} trials are done"]
    if status.failed:
        parts.append(f"{status.failed:,} failed")
    if now and status.rate:
        parts.append(f"{now:,} since the last start, {status.rate:.3g} a second")
    if status.waiting:
        parts.append(f"still to run: {status.waiting:,}")
    if status.seconds_left:
        parts.append(f"{tqdm.format_interval(status.seconds_left)} left")
    if status.others:
        parts.append(f"rows of other plans: {status.others:,}")
    yield "; ".join(parts)
    for row in status.best:
        numbers = f"loss {row['final_loss']:<8.3g} accuracy {row['accuracy']:<6.1%}"
        yield f"{numbers} {command_of_row(row)}"


def _plain(status: Status) -> dict[str, Any]:
    """Return a status for JSON, which has no infinity: the loss of a diverged run is null."""
    best = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        | {"command": command_of_row(row)}
        for row in status.best
    ]
    more = {"waiting": status.waiting, "seconds_left": status.seconds_left, "best": best}
    return asdict(status) | more
