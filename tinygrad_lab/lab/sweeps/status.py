"""How far a sweep is: counts, the best trials, trials per second, time left.  For whoever asks.

It only reads, from any process, while a sweep runs or afterwards.  Not for writing (``store.py``).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_lab.lab.settings import Settings, command_of
from tinygrad_lab.lab.sweeps.errors import PATIENCE, StoreError, explained
from tinygrad_lab.lab.sweeps.store import SETTINGS, examine, is_in_use
from tinygrad_lab.lab.sweeps.trial import DONE

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Status:
    """How far a sweep is.

    Attributes
    ----------
    running
        Whether a process is at work on it now.
    trials
        How many there are in the plan that was run last.
    done, failed
        How many of them have been run, and how many could not be.
    before
        How many of those it was not to run when it was last started: they were in the store.
    stored
        Rows in the store: those of other plans too.
    rate
        Trials finished per second since the sweep was last started; None at its first moment.
    best
        The rows of the trials with the smallest final loss, the best first.
    """

    running: bool
    trials: int
    done: int
    failed: int
    before: int
    stored: int
    rate: float | None
    best: Sequence[Row]

    @property
    def waiting(self) -> int:
        """How many trials are still to be run."""
        return self.trials - self.done - self.failed

    @property
    def others(self) -> int:
        """How many rows of the store are of other plans."""
        return self.stored - self.done - self.failed

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take at this rate; None for a sweep that does not run."""
        return self.waiting / self.rate if self.running and self.rate else None


def status_of(path: str | os.PathLike[str], *, best: int = 5) -> Status:
    """Read how far the sweep of a store is.

    Parameters
    ----------
    path
        The store.
    best
        How many rows of the best trials to read.

    Raises
    ------
    StoreError
        There is no such file, or it is no store of this version.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from tinygrad_lab.lab.sweeps import Store, parse_plan, run_sweep
    >>> with Store("b.sqlite") as store, ThreadPoolExecutor(1) as threads:
    ...     status = run_sweep(parse_plan("settings.epochs = 2"), store, executor=threads)
    >>> status_of("b.sqlite").done
    1
    """
    path = Path(path)
    with reading(path) as connection:
        connection.execute("begin")  # everything below is of one moment
        [(stored,)] = connection.execute("select count(*) from trials")
        last = connection.execute("select * from runs order by run desc limit 1").fetchone()
        if last is None:
            return Status(is_in_use(path), 0, 0, 0, 0, stored, None, [])
        done, failed, latest = connection.execute(
            f"select total(status = '{DONE}'), total(status != '{DONE}'), max(finished_at) "
            "from trials where run = ?",
            (last["run"],),
        ).fetchone()
        running = last["ended_at"] is None and is_in_use(path)
        until = time.time() if running else last["ended_at"] or latest or last["started_at"]
        seconds = until - last["started_at"]
        return Status(
            running=running,
            trials=last["trials"],
            done=last["done_before"] + int(done),
            failed=last["failed_before"] + int(failed),
            before=last["done_before"] + last["failed_before"],
            stored=stored,
            rate=(done + failed) / seconds if seconds > 0 else None,
            best=best_rows(connection, best),
        )


def best_rows(connection: sqlite3.Connection, most: int) -> list[Row]:
    """Return the rows of the trials with the smallest final loss, the best first."""
    query = (
        f"select * from trials where status = '{DONE}' "
        "order by final_loss, accuracy desc, trial limit ?"
    )
    return [dict(row) for row in connection.execute(query, (most,))]


def settings_of(row: Row) -> Settings:
    """Return the settings of a row of ``trials``."""
    return Settings.from_row({name: row[name] for name in SETTINGS})


def command_of_row(row: Row) -> str:
    """Return the command line that repeats a row of ``trials``, to the last bit."""
    return command_of(settings_of(row), row["seed"])


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a store for reading; its rows have their columns by name.

    Raises
    ------
    StoreError
        There is no such file, or it is no store of this version.
    """
    if not path.exists():
        raise StoreError(f"there is no {path}; a sweep makes it when it is run")
    with explained(path):
        uri = f"{path.resolve().as_uri()}?{_mode(path)}"
        with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as connection:
            connection.execute("pragma query_only = on")
            if examine(connection, path):
                raise StoreError(f"{path} is empty: no sweep has been run into it")
            connection.row_factory = sqlite3.Row
            yield connection


def _mode(path: Path) -> str:
    """Return how to open a store to read it.

    For writing too, where that is allowed: whoever closes a database last tidies up the files
    beside it.  On a read-only disk SQLite can make no such files, and nobody needs them.
    """
    log = path.with_name(f"{path.name}-wal")
    if not os.access(path.parent, os.W_OK) and not log.exists():
        return "mode=ro&immutable=1"
    return "mode=rw"
