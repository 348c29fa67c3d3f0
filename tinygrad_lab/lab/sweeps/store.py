"""The store of a sweep: an SQLite file with a row for each trial that was tried.

Each finished trial is one transaction, on the disk when it is over: whatever ends the sweep, what
was finished is there.  One sweep at a time writes to a store, which a lock beside it sees to; the
system lets go of the lock when its process ends in any way.  Others may read all the while.

``trials`` has plain columns: one a setting, the seed, what was measured.  ``curves`` has the
learning curve of each: ``epochs`` (``<i8``) and ``losses`` (``<f8``) as the bytes of arrays.
``runs`` has a row for each time a sweep was started.

Not for what is worked out from the rows (``status.py``, ``page.py``).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.sweeps.errors import PATIENCE, StoreError, explained
from tinygrad_lab.lab.sweeps.trial import DONE, FAILED, MEASURES, Trial, key_of

#: Says in the file's header whose it is, and of which schema.
APPLICATION_ID = int.from_bytes(b"tlsw")
SCHEMA_VERSION = 2

#: The columns of ``trials`` that say what was run.
SETTINGS = tuple(Settings().to_row())
COLUMNS = (
    *("trial", *SETTINGS, "seed", "status", *MEASURES),
    *("seconds", "traceback", "version", "finished_at", "run"),
)

_SCHEMA = f"""
create table trials (
    trial text primary key,
    {"".join(f"{name}, " for name in SETTINGS)}
    seed integer not null,
    status text not null check (status in ('{DONE}', '{FAILED}')),
    {"".join(f"{name}, " for name in MEASURES)}
    seconds real,
    traceback text,
    version text not null,
    finished_at real not null,
    run integer not null references runs
);
create table curves (
    trial text primary key references trials,
    epochs blob not null,
    losses blob not null
);
create table runs (
    run integer primary key,
    started_at real not null,
    ended_at real,
    plan text not null,
    trials integer not null,
    done_before integer not null,
    failed_before integer not null
);
pragma application_id = {APPLICATION_ID};
pragma user_version = {SCHEMA_VERSION};
"""


class Store:
    """A store that is open for writing, by this sweep alone.

    Parameters
    ----------
    path
        The file; made where there is none.
    patience
        Seconds to wait for another program that is writing to it.

    Raises
    ------
    StoreError
        It is another program's, of another schema, in use by another sweep, or cannot be written.

    Examples
    --------
    >>> with Store("a.sqlite") as store:
    ...     store.statuses()
    {}
    """

    def __init__(self, path: str | os.PathLike[str], *, patience: float = PATIENCE) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise StoreError(
                f"there is no folder {self.path.parent} for {self.path}; make it first"
            )
        with explained(self.path):
            self._connection = _connected(self.path, patience)
            try:
                examine(self._connection, self.path)  # of another program's file nothing is locked
                self._lock = _locked(self.path, min(patience, 1.0))
                if examine(self._connection, self.path):
                    self._create()
                self._use_write_ahead_log()
            except BaseException:
                self._connection.close()
                raise
        self._run = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
        self._lock.close()

    def statuses(self) -> dict[str, str]:
        """Return, for each trial by its key, whether it is done or has failed."""
        with explained(self.path):
            return dict(self._connection.execute("select trial, status from trials"))

    def begin(self, plan: str, trials: int, done: int, failed: int) -> None:
        """Note that a sweep starts, of how many trials, and how many of them need not be run."""
        names = "started_at, plan, trials, done_before, failed_before"
        with self._transaction() as connection:
            self._run = connection.execute(
                f"insert into runs ({names}) values (?, ?, ?, ?, ?) returning run",
                (time.time(), plan, trials, done, failed),
            ).fetchone()[0]

    def record(self, trial: Trial) -> None:
        """Write what came of a trial, as a whole or, if there is an error, not at all.

        Raises
        ------
        StoreError
            It cannot be written; what was there is as it was.
        """
        key = key_of(trial.settings, trial.seed)
        values = (
            *(key, *trial.settings.to_row().values(), trial.seed, trial.status),
            *(trial.measured.get(name) for name in MEASURES),
            *(trial.seconds, trial.traceback, trial.version, time.time(), self._run),
        )
        places = ", ".join("?" * len(COLUMNS))
        with self._transaction() as connection:
            connection.execute(f"replace into trials values ({places})", values)
            if trial.curve is not None:
                epochs, losses = trial.curve
                blobs = epochs.astype("<i8").tobytes(), losses.astype("<f8").tobytes()
                connection.execute("replace into curves values (?, ?, ?)", (key, *blobs))

    def end(self) -> None:
        """Note that the sweep has come to its end."""
        with self._transaction() as connection:
            connection.execute(
                "update runs set ended_at = ? where run = ?", (time.time(), self._run)
            )

    def _create(self) -> None:
        """Make the tables, all or none."""
        self._connection.execute("begin immediate")
        for statement in _SCHEMA.split(";"):
            self._connection.execute(statement)
        self._connection.execute("commit")

    def _use_write_ahead_log(self) -> None:
        """Let others read while this writes, and have each commit on the disk before it returns."""
        [(mode,)] = self._connection.execute("pragma journal_mode = wal")
        if mode != "wal":
            raise StoreError(f"{self.path} cannot be shared with readers here; use a local disk")
        self._connection.execute("pragma synchronous = full")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if not self.path.exists():  # SQLite would write on, into a file that nobody can open
            raise StoreError(
                f"{self.path} was deleted while a sweep was writing to it; run it again"
            )
        with explained(self.path):
            self._roll_back()  # what an interrupt may have left between two lines
            try:
                self._connection.execute("begin immediate")
                yield self._connection
                self._connection.execute("commit")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # on a full disk SQLite has done it itself
            self._connection.execute("rollback")


def examine(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell whether a database is empty, and so free to use; raise StoreError if it is not ours."""
    [(application,)] = connection.execute("pragma application_id")
    [(version,)] = connection.execute("pragma user_version")
    [(tables,)] = connection.execute("select count(*) from sqlite_master")
    if (application, version, tables) == (0, 0, 0):
        return True
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is another program's database; name another with --db")
    columns = tuple(row[1] for row in connection.execute("pragma table_info(trials)"))
    if version != SCHEMA_VERSION or columns != COLUMNS:
        raise StoreError(
            f"{path} was written by another version of tinygrad_lab, whose trials have other "
            "columns; name another file with --db"
        )
    return False


def curve_of(connection: sqlite3.Connection, trial: str) -> tuple[Any, Any]:
    """Return the epochs and losses of a trial by its key, shape (points,) both."""
    query = "select epochs, losses from curves where trial = ?"
    epochs, losses = connection.execute(query, (trial,)).fetchone()
    return np.frombuffer(epochs, "<i8"), np.frombuffer(losses, "<f8")


def is_in_use(path: Path) -> bool:
    """Tell whether a sweep is writing to a store now."""
    lock = _lock_of(path)
    if not lock.exists():
        return False
    connection = sqlite3.connect(f"{lock.resolve().as_uri()}?mode=ro", uri=True, timeout=0)
    try:
        connection.execute("select * from sqlite_master").fetchall()
    except sqlite3.OperationalError:
        return True
    finally:
        connection.close()
    return False


def _connected(path: Path, patience: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)


def _lock_of(path: Path) -> Path:
    path = path.resolve()
    return path.with_name(f"{path.name}-lock")


def _locked(path: Path, patience: float) -> sqlite3.Connection:
    """Hold the lock of a store, until it is closed: that of an empty database beside it.

    SQLite's own locks are those of the system, on every system.  Whoever asks whether it is held
    has a lock too, for a moment, which is worth some patience.
    """
    connection = _connected(_lock_of(path), patience)
    try:
        connection.execute("begin exclusive")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        raise StoreError(
            f"another sweep is writing to {path}; wait for it, or name another file with --db"
        ) from None
    return connection
