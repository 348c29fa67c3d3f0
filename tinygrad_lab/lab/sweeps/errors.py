"""What can be wrong with a sweep, each in one sentence that says what to do.

Not for what is wrong with one trial, whose traceback is in its row.
"""

from __future__ import annotations

import sqlite3
from abc import ABCMeta
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Seconds to wait for another program that is writing to the database.
PATIENCE = 30.0


class SweepError(Exception):
    """A sweep that cannot be run, or cannot go on."""


class PlanError(SweepError):
    """A plan that cannot be run; the message says which file and key, and what is allowed."""


class ExecutorError(SweepError):
    """An executor that can run nothing any more."""


class WorkerEndedError(Exception, metaclass=ABCMeta):
    """The process that ran a task was ended, and the executor goes on without it.

    For the executors whose own error for it is registered here.
    """


class StoreError(SweepError):
    """A database that cannot be used; the message says which, why, and what would do."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as a StoreError that names the file and says what to do.

    Examples
    --------
    >>> with explained(Path("a.sqlite")):
    ...     sqlite3.connect("file:missing.sqlite?mode=ro", uri=True)
    Traceback (most recent call last):
      ...
    tinygrad_lab.lab.sweeps.errors.StoreError: cannot open a.sqlite: ...
    """
    try:
        yield
    except sqlite3.Error as error:
        # The low byte is the kind; SQLite's documents call the rest its extension.
        kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        template = _MESSAGES.get(kind, "cannot use {path}: {error}")
        raise StoreError(template.format(path=path, error=error)) from error


_GOES_ON = "what is finished is in it, and the same command goes on from there"

_MESSAGES = {
    sqlite3.SQLITE_FULL: f"the disk of {{path}} is full; {_GOES_ON} when there is room",
    sqlite3.SQLITE_IOERR: f"cannot write {{path}} ({{error}}; is its disk full?); {_GOES_ON}",
    sqlite3.SQLITE_BUSY: "another program has been writing to {path} for "
    f"{PATIENCE:g} s; {_GOES_ON} when that program lets go of it",
    sqlite3.SQLITE_READONLY: "cannot write {path}: it, or its folder, is read-only; name another "
    "with --db",
    sqlite3.SQLITE_CANTOPEN: "cannot open {path}: it is a folder, or you may not write it or its "
    "folder; name another with --db",
    sqlite3.SQLITE_NOTADB: "{path} is no SQLite database; name another with --db",
    sqlite3.SQLITE_CORRUPT: "{path} is a damaged database ({error}); `sqlite3 {path} .recover` may "
    "save what is in it",
}
