"""Write a file as a whole: whoever reads it sees the old content or the new, never a part of one.

The content goes to a file of another name beside it first, which is moved into place when it is
complete.  In all else the file is as ``open`` would have made it: links are written through, a
file that was there keeps its owner and its rights, a new one has those of the process's umask.

Not for folders (``lab/reports/publishing.py``), nor for what is in a file.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from pathlib import Path

__all__ = ["write_file"]


def write_file(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file, which takes the place of one that is there only when it is complete.

    Several may write one name at once: it has the content of one of them.  Where no other file can
    take its place (a device, a pipe, a name among several of one file, a file of another user, a
    folder that takes no new names) it is written as ``open`` writes it.

    Parameters
    ----------
    path
        Its name.
    content
        All of it.

    Returns
    -------
    Path
        The name, as a path.

    Raises
    ------
    OSError
        What ``open(path, "wb")`` raises; a file that was there is as before.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_file(f"{folder}/a.txt", b"whole").read_bytes()
    b'whole'
    """
    path = Path(path)
    try:
        before = path.stat()
    except FileNotFoundError:
        before = None
    if before is None or _can_be_replaced(path, before):
        _move_into_place(path, content, before)
    else:
        path.write_bytes(content)
    return path


def _can_be_replaced(path: Path, status: os.stat_result) -> bool:
    """Tell whether another file could stand in for this one, and nobody notice."""
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_nlink == 1
        and _is_ours(status)
        and os.access(path, os.W_OK)
        and os.access(_followed(path).parent, os.W_OK | os.X_OK)
    )


def _is_ours(status: os.stat_result) -> bool:
    """Tell whether a new file can have the same owner and the same group."""
    if sys.platform == "win32":
        return True
    return status.st_uid == os.geteuid() and status.st_gid in {os.getegid(), *os.getgroups()}


def _followed(path: Path) -> Path:
    """Return what a link leads to, there or not."""
    return Path(os.path.realpath(path))


def _move_into_place(path: Path, content: bytes, before: os.stat_result | None) -> None:
    target = _followed(path)
    # Each writer has a name of its own, and none is too long where the target's is not.
    beside = target.with_name(f".{secrets.token_hex(8)}.part")
    # Nobody else's to read before it has the rights of the old one.
    rights = 0o666 if before is None else 0o600

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, rights)

    try:
        with open(beside, "xb", opener=opener) as stream:
            if before is not None:
                _make_alike(beside, before)
            stream.write(content)
        beside.replace(target)
    except OSError as error:
        # Of one name, which the caller knows; an error of two says "-> None" for ever.
        raise OSError(error.errno, error.strerror, str(path)) from error.__cause__
    finally:
        beside.unlink(missing_ok=True)


def _make_alike(beside: Path, before: os.stat_result) -> None:
    """Give a new file the group and the rights of the one that it replaces."""
    if sys.platform != "win32":
        os.chown(beside, -1, before.st_gid)
    beside.chmod(stat.S_IMODE(before.st_mode))
