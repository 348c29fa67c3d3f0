"""Data that somebody collected: the digits of scikit-learn, CSV and IDX files.

A file is read once in each process, and again when its size or time of change is another.  A
quarter of each class is held out for testing.  Not for points that are drawn (``points.py``).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab import data as files
from tinygrad_lab.data.named import held_out
from tinygrad_lab.lab.data import Array, Data, DataError, Encoding

T = TypeVar("T")

# The share that is held out, of each class.
_TESTED = 0.25

# More of them are no classes: a column of numbers, or of names that are all different.
_MOST_CLASSES = 1000


def digits(rng: np.random.Generator) -> Data:
    """Return scikit-learn's 1,797 images of 8×8 pixels as rows of 64 numbers from 0 to 1."""
    try:
        train, test, columns, classes = files.load("digits", test=_TESTED, rng=rng)
    except ImportError as error:
        raise DataError(str(error)) from None
    encoding = Encoding(tuple(columns), tuple(classes))

    def arrays(part: files.TensorDataset) -> tuple[Array, Array]:
        images, labels = (tensor.data for tensor in part.tensors)
        return images.reshape(len(images), -1), encoding.targets(labels)

    return Data(*arrays(train), *arrays(test), encoding)


def from_csv(path: str, target: str, rng: np.random.Generator) -> Data:
    """Return the rows of a CSV file, each column scaled to mean 0 and variance 1 over the training.

    Raises
    ------
    DataError
        The file cannot be read, has no such column, or there are no classes in it.
    """
    header = _header(path)
    if header and target not in header:
        raise DataError(f"{path} has no column {target!r}; there are: {', '.join(header)}")
    rows, columns, names = read_csv(path, target)
    assert names is not None  # there is such a column
    classes = _classes_of(names, f"the column {target!r} of {path}")
    labels = labels_of(names, classes, path)
    tested = held_out(labels, _TESTED, rng)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = rows[~tested].mean(axis=0), rows[~tested].std(axis=0)
    if not np.isfinite(spread).all():
        column = columns[int(np.argmin(np.isfinite(spread)))]
        raise DataError(f"{path}, column {column!r}: its numbers are too large to be scaled")
    scale = np.where(spread > 0, spread, 1.0)
    return _split(rows, labels, tested, Encoding(columns, classes, mean, scale))


def from_idx(path: str, labels_path: str, rng: np.random.Generator) -> Data:
    """Return the images of an IDX file as rows of numbers; bytes become numbers from 0 to 1.

    Raises
    ------
    DataError
        One of the files cannot be read, or they do not fit each other.
    """
    rows, scale = read_images(path)
    names = read_labels(labels_path, len(rows))
    classes = _classes_of(names, labels_path)
    labels = labels_of(names, classes, labels_path)
    columns = tuple(f"pixel {i}" for i in range(rows.shape[1]))
    tested = held_out(labels, _TESTED, rng)
    return _split(rows, labels, tested, Encoding(columns, classes, 0.0, scale))


def _read_once(read: Callable[..., T]) -> Callable[..., T]:
    """Keep what was read of the last files, for as long as they are the same."""

    @lru_cache(maxsize=2)
    def kept(stamp: tuple[int, ...], path: str, *others: Any) -> T:  # noqa: ARG001 - tells files apart
        return read(path, *others)

    @wraps(read)
    def read_once(path: str, *others: Any) -> T:
        with reading(path):
            status = Path(path).stat()
        return kept((status.st_ino, status.st_size, status.st_mtime_ns), path, *others)

    return read_once


def digest(path: str, labels_path: str | None = None) -> str:
    """Return ``sha256:`` and 16 hexadecimal digits, which tell what a file holds, or two of them.

    Raises
    ------
    DataError
        One of them cannot be read.
    """
    parts = [path] if labels_path is None else [path, labels_path]
    return "sha256:" + hashlib.sha256(b"".join(map(_hash, parts))).hexdigest()[:16]


def check_digest(wanted: str, path: str, labels_path: str | None = None) -> None:
    """Raise DataError where the files are not those that a run was made with."""
    current = digest(path, labels_path)
    if current != wanted:
        names = path if labels_path is None else f"{path} or {labels_path}"
        raise DataError(
            f"{names} is not what it was: its digest is {current}, and {wanted} is asked for; put "
            "back the file of then, or take this one: train without the digest, predict with --data"
        )


@_read_once
def _hash(path: str) -> bytes:
    with reading(path):
        return hashlib.sha256(Path(path).read_bytes()).digest()


@_read_once
def _idx(path: str) -> NDArray[Any]:
    with reading(path):
        return files.read_idx(path)


@_read_once
def read_csv(path: str, target: str | None) -> tuple[Array, tuple[str, ...], list[str] | None]:
    """Return the rows of numbers, what their columns are called, and the classes of the rows.

    The classes are None where there is no such column.
    """
    header = _header(path)
    with reading(path):
        rows, y, columns, classes = files.read_csv(path, target if target in header else None)
    names = None
    if classes and y is not None:
        names = [classes[label] for label in y]
        if "" in names:
            place = f"{path}, row {names.index('') + 1}, column {target!r}"
            raise DataError(f"{place}: there is nothing; name the class, or take out the row")
    elif y is not None:
        if not np.array_equal(y, np.floor(y)):
            raise DataError(
                f"the column {target!r} of {path} has numbers such as {y[y != np.floor(y)][0]:g}, "
                "and no classes; tl.fit trains on numbers"
            )
        names = [f"{label:.0f}" for label in y]
    if not columns:
        raise DataError(f"{path} has no column beside {target!r} to tell its classes by")
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        place = f"{path}, row {row + 1}, column {columns[column]!r}"
        raise DataError(f"{place}: {rows[row, column]} is no finite number")
    return rows, tuple(columns), names


def read_images(path: str) -> tuple[Array, float]:
    """Return the images of an IDX file as rows, and what to divide them by: 255 for bytes."""
    images = _idx(path)
    if images.ndim < 2 or not images.size:
        raise DataError(f"{path} has shape {images.shape}, and no images; give the labels apart")
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    return images.reshape(len(images), -1).astype(np.float64), scale


def read_labels(path: str, examples: int) -> list[str]:
    """Return the classes of so many images, from an IDX file."""
    labels = _idx(path)
    if labels.shape != (examples,) or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path} holds {labels.dtype.name}{labels.shape}, which are no labels of {examples:,} "
            "images"
        )
    return [str(label) for label in labels.tolist()]


def labels_of(names: Sequence[str], classes: Sequence[str], path: str) -> NDArray[np.int64]:
    """Return 0, 1, ... for the names of classes, shape (n,)."""
    number = {name: label for label, name in enumerate(classes)}
    unknown = sorted(set(names) - set(number))
    if unknown:
        raise DataError(
            f"{path} has the class {unknown[0]!r}, and the network knows: {', '.join(classes)}"
        )
    return np.array([number[name] for name in names])


def _header(path: str) -> list[str]:
    """Return what the columns of a CSV file are called."""
    with reading(path), Path(path).open(encoding="utf-8-sig", newline="") as stream:
        header = [name.strip() for name in next(csv.reader(stream, skipinitialspace=True), [])]
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path} has two columns {twice!r}; give each a name of its own")
    return header


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Say in one line what is wrong with a file."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text in UTF-8, and so no CSV file") from None
    except (ValueError, csv.Error) as error:
        raise DataError(str(error) if path in str(error) else f"{path}: {error}") from None


def _classes_of(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the different names, numbers in their order."""
    try:
        classes = sorted(set(names), key=float)
    except ValueError:
        classes = sorted(set(names))
    if not 2 <= len(classes) <= _MOST_CLASSES:
        number = "1 value" if len(classes) == 1 else f"{len(classes):,} different values"
        raise DataError(
            f"{where} has {number}: classes are told apart, from 2 to {_MOST_CLASSES:,} of them"
        )
    return tuple(classes)


def _split(
    rows: Array, labels: NDArray[np.int64], tested: NDArray[np.bool_], encoding: Encoding
) -> Data:
    x, y = encoding.inputs(rows), encoding.targets(labels)
    if not tested.any():  # too few of each class
        return Data(x, y, encoding=encoding)
    return Data(x[~tested], y[~tested], x[tested], y[tested], encoding)
