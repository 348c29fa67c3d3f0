"""A folder that is ours alone, as long as we live.

Not for what is done in it (``publishing.py``, ``storing.py``).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def made_and_locked(folder: Path, taken: OSError | None = None) -> Iterator[None]:
    """Make a folder where there is none, and hold its lock; see :func:`locked`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as home, made_and_locked(folder := Path(home) / "a"):
    ...     folder.is_dir()
    True
    """
    while True:
        folder.mkdir(exist_ok=True)
        with locked(folder, taken):
            if folder.exists():  # else it was removed between these two lines
                yield
                return


@contextmanager
def locked(folder: Path, taken: OSError | None = None, *, certain: bool = False) -> Iterator[None]:
    """Hold the lock of a folder, which the system releases when our process ends in any way.

    Parameters
    ----------
    folder
        A folder that is there.
    taken
        The error to raise while another process holds it; by default it is waited for.
    certain
        Whether to raise OSError where folders have no locks, and so nobody can tell which are in
        use; by default the block is run without one.
    """
    if sys.platform == "win32":
        if certain:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            wait = 0 if taken is None else fcntl.LOCK_NB
            fcntl.flock(descriptor, fcntl.LOCK_EX | wait)
        except BlockingIOError as error:
            raise taken or error from None
        except OSError:  # the file system has no locks
            if certain:
                raise
        yield
    finally:
        os.close(descriptor)
