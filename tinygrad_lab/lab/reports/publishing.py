"""A report in a folder that nobody sees until it is complete, and then as a whole.

It takes the place of an earlier report in one step: whoever reads finds the one or the other, page
and data of one run, and never a part.  What a run that was killed has left is removed by the next.

Where the folder holds anything else (notes of the reader, another program's files), or cannot be
replaced because it is the current folder, a mount point or in a folder that takes no new names, the
files are moved into it one by one, while there is no page: it comes last.

Not for what is in a report (``page.py``), nor for single files (``tinygrad_lab.files``).
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinygrad_lab.lab.reports.locks import locked, made_and_locked

PAGE, DATA = "index.html", "data"

# A folder that is being written, or that is in nobody's way; and one that is complete, and was to
# be moved into place in more than one step.
_UNFINISHED, _FINISHED = ".unfinished-", ".finished-"

_EXCHANGE = 2  # of Linux's renameat2 and of macOS's renamex_np alike


@contextmanager
def published(out: Path) -> Iterator[Path]:
    """Give a folder to write in; show its files as ``out`` if all goes well, else leave no trace.

    Raises
    ------
    OSError
        There can be no such folder, which is found out before anything is written.
    """
    with place_for(out) as out:
        _finish_what_was_left(out)
        with _locked_folder(out.parent if can_be_replaced(out) else out, out.name) as staging:
            yield staging
            _show(staging, out)


@contextmanager
def place_for(out: Path) -> Iterator[Path]:
    """Make the folders above a report, which go again if nothing comes of it; give its real path.

    Raises
    ------
    OSError
        There can be no report of this name.
    """
    out = Path(os.path.realpath(out))
    for folder in (out, out / DATA):
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if (out / PAGE).is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(out / PAGE))
    added = [folder for folder in out.parents if not folder.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield out
    except BaseException:
        for folder in added:
            with suppress(OSError):  # not empty: others use it too
                folder.rmdir()
        raise


# ---- taking the place of an earlier report ------------------------------------------------------


def _show(complete: Path, out: Path) -> None:
    """Make a complete folder visible as ``out``."""
    if not out.exists():
        complete.rename(out)
    elif not can_be_replaced(out):
        _move_into(_marked(complete), out)
    else:
        complete.chmod(stat.S_IMODE(out.stat().st_mode))
        if not _exchanged(complete, out):
            _replace(_marked(complete), out)


def can_be_replaced(out: Path) -> bool:
    """Tell whether another folder could stand in for this one, and nobody miss anything."""
    if not out.exists():
        return True
    may_be = all(os.access(folder, os.W_OK | os.X_OK) for folder in (out, out.parent))
    in_use = out.is_mount() or Path.cwd().is_relative_to(out)
    return may_be and not in_use and _is_ours(out) and _holds_a_report_alone(out)


def _is_ours(out: Path) -> bool:
    """Tell whether a new folder has the same owner and group."""
    status, parent = out.stat(), out.parent.stat()
    if sys.platform == "win32":
        return True
    group = parent.st_gid if parent.st_mode & stat.S_ISGID else os.getegid()
    return (status.st_uid, status.st_gid) == (os.geteuid(), group)


def _holds_a_report_alone(out: Path) -> bool:
    """Tell whether everything in a folder belongs to the report that is there."""
    parts = list(out.iterdir())
    if not all(path.name in (PAGE, DATA) for path in parts):
        return False  # before a look into folders, which may be large
    files = {path for part in parts for path in (part, *part.rglob("*")) if not _is_folder(path)}
    return files <= {out / PAGE, *(out / DATA / name for name in _data_of(out))}


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _data_of(out: Path) -> list[str]:
    """Return the names of the data that a report in a folder links to; of another page, none."""
    try:
        page = (out / PAGE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    names = re.findall(rf'href="{DATA}/(\w[\w.-]*)" download', page)
    return names if "runs.csv" in names else []


def _exchanged(complete: Path, out: Path) -> bool:
    """Swap two folders in one step where the system can; tell whether it did."""
    if sys.platform == "win32":
        return False
    library = ctypes.CDLL(None)
    names = os.fsencode(complete), os.fsencode(out)
    if hasattr(library, "renameat2"):
        return bool(library.renameat2(0, names[0], 0, names[1], _EXCHANGE) == 0)
    if hasattr(library, "renamex_np"):
        return bool(library.renamex_np(*names, _EXCHANGE) == 0)
    return False


def _replace(complete: Path, out: Path) -> None:
    """Replace a folder in two steps, between which there is none, or file by file."""
    earlier = _beside(out.parent, out.name)
    try:
        out.rename(earlier)
        complete.rename(out)
    except OSError:  # it is in use in a way that only the system knows
        _move_into(complete, out)
    shutil.rmtree(earlier, ignore_errors=True)


def _move_into(complete: Path, out: Path) -> None:
    """Move files into a folder, the page last; begun again, it is brought to its end."""
    earlier = complete / "earlier"
    if (complete / PAGE).exists():
        earlier.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            (out / PAGE).rename(earlier / PAGE)
        for name in _data_of(earlier):
            (out / DATA / name).unlink(missing_ok=True)
        (out / DATA).mkdir(exist_ok=True)
        for path in (complete / DATA).iterdir():
            path.replace(out / DATA / path.name)
        (complete / PAGE).replace(out / PAGE)
    shutil.rmtree(complete)


# ---- folders beside -----------------------------------------------------------------------------


def _beside(home: Path, name: str, prefix: str = _UNFINISHED) -> Path:
    """Return a new name for a folder; it says what it is for."""
    return home / f"{prefix}{name[:80]}-{secrets.token_hex(4)}"


def _marked(complete: Path) -> Path:
    """Rename a folder so that the next run brings to its end what is begun with it now."""
    if complete.name.startswith(_FINISHED):
        return complete
    name = complete.name.removeprefix(_UNFINISHED).rpartition("-")[0]
    return complete.rename(_beside(complete.parent, name, _FINISHED))


@contextmanager
def _locked_folder(home: Path, name: str) -> Iterator[Path]:
    """Make a folder that is ours as long as we live, and gone after that."""
    folder = _beside(home, name)
    try:
        with made_and_locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _finish_what_was_left(out: Path) -> None:
    """Bring to its end what earlier runs were killed in, and remove what they had not completed."""
    ours = re.compile(rf"\.(un)?finished-{re.escape(out.name[:80])}-[0-9a-f]{{8}}")
    left = [path for path in out.parent.iterdir() if ours.fullmatch(path.name)]
    if out.exists():
        left += [p for p in out.iterdir() if p.name.startswith((_UNFINISHED, _FINISHED))]
    for folder in sorted(filter(_is_folder, left), key=lambda folder: folder.name):
        # Those that are finished come first.  One that is in use, or not ours, is left alone.
        with suppress(OSError), locked(folder, BlockingIOError(), certain=True):
            if folder.name.startswith(_FINISHED):
                _show(folder, out)
            shutil.rmtree(folder, ignore_errors=True)
