"""What is finished of a report that is being made, kept beside it: an interrupted one goes on.

A folder beside the report has a file for each setting whose runs are all done, and for each section
that was made; each file is written beside and moved into place.  A file's name says of which
settings, seeds, program and libraries it is, so that nothing of another program is ever taken.  The
folder goes when the report is there.

Not for the report itself (``publishing.py``).
"""

from __future__ import annotations

import errno
import hashlib
import json
import platform
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import tinygrad_lab
from tinygrad_lab.files import write_file
from tinygrad_lab.lab.data import Encoding
from tinygrad_lab.lab.reports.locks import made_and_locked
from tinygrad_lab.lab.reports.publishing import can_be_replaced, place_for
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.training import Result

T = TypeVar("T")

Jobs = Iterable[tuple[Settings, Sequence[int]]]

_PREFIX = ".interrupted-"

_ARRAYS = ("losses", "accuracies", "x", "y", "prediction")
_NUMBERS = ("seed", "accuracy", "test_accuracy", "diverged_at")


class Store:
    """The finished settings and sections of one report.

    Attributes
    ----------
    folder
        Where they lie.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from tinygrad_lab.lab import train_many
    >>> setting, seeds = Settings(epochs=3), range(2)
    >>> with TemporaryDirectory() as folder:
    ...     store = Store(Path(folder))
    ...     store.keep(setting, seeds, train_many(setting, seeds))
    ...     len(store.results([(setting, seeds)])), len(store.results([(setting, range(3))]))
    (1, 0)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, settings: Settings, seeds: Sequence[int], results: Sequence[Result]) -> None:
        """Store the runs of a setting, one for each of its seeds.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        if any(r.snapshots or r.encoding != Encoding() for r in results):
            return  # more than a file holds: it is run again
        self._write(_name("runs", settings.to_row(), list(seeds)), _packed(results))

    def results(self, jobs: Jobs) -> dict[Settings, list[Result]]:
        """Return the stored runs of those settings that have them for all these seeds."""
        results: dict[Settings, list[Result]] = {}
        for settings, seeds in jobs:
            content = self._read(_name("runs", settings.to_row(), list(seeds)))
            runs = _or_none(_unpacked, settings, content)
            if runs is not None:
                results[settings] = runs
        return results

    def count(self, jobs: Jobs) -> int:
        """Count the settings that are stored."""
        names = (_name("runs", settings.to_row(), list(seeds)) for settings, seeds in jobs)
        return sum((self.folder / name).is_file() for name in names)

    def keep_text(self, about: Mapping[str, Any], text: str) -> None:
        """Store a text by what it is about."""
        self._write(_name("text", about), _sealed(text))

    def text(self, about: Mapping[str, Any]) -> str | None:
        """Return the stored text about something, if there is one."""
        return _or_none(_unsealed, self._read(_name("text", about)))

    def clear(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, name: str, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file(self.folder / name, content)

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return b""


@contextmanager
def opened(out: Path, kind: str) -> Iterator[Store]:
    """Give the store of a report, which is ours alone as long as we have it.

    Parameters
    ----------
    out
        The folder of the report.
    kind
        Reports of several kinds are stored apart: one that is made leaves the others their own.

    Raises
    ------
    OSError
        There can be no such report, or another one is being made there.
    """
    with place_for(out) as out:
        beside, inside = (home / f"{_PREFIX}{out.name[:80]}" for home in (out.parent, out))
        usual = beside if can_be_replaced(out) else inside
        folder = next((each for each in (usual, beside, inside) if each.is_dir()), usual)
        advice = "another report is being made there; wait for it, or name another folder"
        with made_and_locked(folder, taken=OSError(errno.EBUSY, advice)):
            try:
                yield Store(folder / kind)
            finally:
                with suppress(OSError):  # not there, or not empty
                    (folder / kind).rmdir()
                with suppress(OSError):
                    folder.rmdir()


# ---- names --------------------------------------------------------------------------------------


def _name(*about: Any) -> str:
    """Name a file by everything that its content follows from."""
    text = json.dumps([_program(), *about], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _program() -> str:
    """Return a fingerprint of everything that computes: our code, NumPy, Python, the machine."""
    package = Path(tinygrad_lab.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    libraries = (np.__version__, platform.python_version(), platform.platform())
    return " ".join((digest.hexdigest(), *libraries))


# ---- contents -----------------------------------------------------------------------------------


def _packed(results: Sequence[Result]) -> bytes:
    """Turn the runs of a setting into the bytes of an ``.npz`` file."""
    stacks: dict[str, Any] = {
        name: np.stack([getattr(r, name) for r in results]) for name in _ARRAYS
    }
    weights: dict[str, Any] = {
        f"weights.{name}": np.stack([r.weights[name] for r in results])
        for name in results[0].weights
    }
    numbers = [[getattr(r, name) for name in _NUMBERS] for r in results]
    stream = BytesIO()
    arrays: dict[str, Any] = {"epochs": results[0].epochs, "numbers": json.dumps(numbers)}
    np.savez(stream, **arrays, **stacks, **weights)
    return stream.getvalue()


def _unpacked(settings: Settings, content: bytes) -> list[Result]:
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        stacks = {name: arrays[name] for name in arrays.files}
    epochs, numbers = stacks.pop("epochs"), json.loads(str(stacks.pop("numbers")))
    start = "weights."
    return [
        Result(
            settings=settings,
            epochs=epochs,
            **dict(zip(_NUMBERS, each, strict=True)),
            **{name: stacks[name][index] for name in _ARRAYS},
            weights={
                name.removeprefix(start): stack[index]
                for name, stack in stacks.items()
                if name.startswith(start)
            },
        )
        for index, each in enumerate(numbers)
    ]


def _sealed(text: str) -> bytes:
    """Put a checksum before a text: a system that lost its power may have moved an empty file."""
    content = text.encode()
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _unsealed(content: bytes) -> str:
    checksum, _, text = content.partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != checksum:
        raise ValueError("the file is not what was written")
    return text.decode()


def _or_none(read: Callable[..., T], *arguments: Any) -> T | None:
    """Read a content; None for one that is not there, or not whole."""
    try:
        return read(*arguments)
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile):
        return None
