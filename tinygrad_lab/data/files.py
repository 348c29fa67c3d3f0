"""Data sets in files: IDX (as MNIST comes) and CSV.

Not for models (``tl.load``), nor for fetching files from anywhere.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Table", "read_csv", "read_idx"]

# By the third byte: http://yann.lecun.com/exdb/mnist, "the IDX file format".
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_GZIP = b"\x1f\x8b"


def read_idx(path: str | PathLike[str]) -> NDArray[Any]:
    """Read an array from an IDX file, compressed by gzip or not.

    Parameters
    ----------
    path : path
        The file: ``train-images-idx3-ubyte.gz``, say.

    Returns
    -------
    numpy.ndarray
        Of the file's shape and dtype (in this machine's byte order).

    Raises
    ------
    ValueError
        It is no IDX file, or is longer or shorter than it says itself.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     size = Path(folder, "labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
    ...     read_idx(Path(folder, "labels"))
    array([7, 9], dtype=uint8)
    """
    content = Path(path).read_bytes()
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise ValueError(f"{path} is compressed by gzip, and broken: {error}") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise ValueError(
            f"{path} is no IDX file: it begins with {content[:4]!r}, and not with two zeros, a "
            "type (8 for bytes) and the number of axes"
        )
    dtype, begin = np.dtype(_IDX_TYPES[content[2]]), 4 + 4 * content[3]
    if len(content) < begin:
        raise ValueError(f"{path} ends within the {content[3]} sizes that it begins with")
    shape = tuple(np.frombuffer(content[4:begin], ">u4").tolist())
    expected = begin + prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ValueError(
            f"{path} says that it holds {dtype.name}{shape}, which makes {expected:,} bytes, and "
            f"has {len(content):,}: it is not complete, or not what it says"
        )
    return (
        np.frombuffer(content, dtype, offset=begin).reshape(shape).astype(dtype.newbyteorder("="))
    )


class Table(NamedTuple):
    """What :func:`read_csv` gives.

    Attributes
    ----------
    x
        The numbers, shape (lines, columns).
    y
        The target, shape (lines,): numbers, or classes 0, 1, ...; None without a target.
    columns
        What the columns of ``x`` are called.
    classes
        What the classes are called; empty for a target of numbers.
    """

    x: NDArray[Any]
    y: NDArray[Any] | None
    columns: list[str]
    classes: list[str]


def read_csv(
    path: str | PathLike[str],
    target: str | int | None = None,
    *,
    header: bool = True,
    delimiter: str = ",",
    dtype: DTypeLike = np.float64,
) -> Table:
    r"""Read a table of numbers, one column of which may be the target.

    Parameters
    ----------
    path : path
        The file, in UTF-8.  Empty lines count for nothing.
    target : str or int, optional
        The column to predict, by its name or its place.  If something in it is no number, it is
        taken for names of classes.
    header : bool
        Whether the first line has names.
    delimiter : str
        What is between two cells.
    dtype : dtype
        Of the numbers.

    Returns
    -------
    Table
        ``x, y, columns, classes``.

    Raises
    ------
    ValueError
        Something is no number, with its line and column; a line has more or fewer cells than the
        first; there is no such column; or no line.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     size = Path(folder, "a.csv").write_text("long,wide,kind\n1,2,rose\n3,4,lily\n")
    ...     table = read_csv(Path(folder, "a.csv"), target="kind")
    >>> table.x.tolist(), table.y.tolist(), table.columns, table.classes
    ([[1.0, 2.0], [3.0, 4.0]], [1, 0], ['long', 'wide'], ['lily', 'rose'])
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True)
        lines = [(reader.line_num, row) for row in reader if row]
    if len(lines) <= header:
        raise ValueError(f"{path} has no line of numbers")
    width = len(lines[0][1])
    for number, row in lines:
        if len(row) != width:
            raise ValueError(
                f"{path}, line {number}: {len(row)} cells between {delimiter!r}, and {width} in "
                f"line {lines[0][0]}"
            )
    names = [name.strip() for name in lines[0][1]] if header else [str(i) for i in range(width)]
    if header and all(_is_number(name) for name in names):
        raise ValueError(f"{path}: the first line is numbers, and no names: say header=False")
    lines = lines[header:]
    place = _place(path, target, names)
    columns = [i for i in range(width) if i != place]
    x = _numbers(path, lines, columns, names, np.dtype(dtype))
    y, classes = None, []
    if place is not None:
        cells = [row[place].strip() for _, row in lines]
        if all(map(_is_number, cells)):
            y = _numbers(path, lines, [place], names, np.dtype(dtype))[:, 0]
        else:
            labels, y = np.unique(cells, return_inverse=True)
            classes = labels.tolist()
    return Table(x, y, [names[i] for i in columns], classes)


def _place(path: Any, target: str | int | None, names: list[str]) -> int | None:
    if target is None:
        return None
    if isinstance(target, str) and target in names:
        return names.index(target)
    if not isinstance(target, str) and -len(names) <= target < len(names):
        return range(len(names))[target]
    raise ValueError(f"{path} has no column {target!r}: there are {', '.join(names)}")


def _numbers(
    path: Any, lines: list[tuple[int, list[str]]], columns: Sequence[int], names: Any, dtype: Any
) -> NDArray[Any]:
    """Convert cells, or say which of them is no number."""
    try:
        return np.array([[row[i] for i in columns] for _, row in lines]).astype(dtype)
    except ValueError:
        for number, row in lines:
            for i in columns:
                if not _is_number(row[i], dtype):
                    raise ValueError(
                        f"{path}, line {number}, column {names[i]!r}: {row[i]!r} is no number of "
                        f"{dtype}; only the column named by target= may be text"
                    ) from None
        raise


def _is_number(cell: str, dtype: DTypeLike = np.float64) -> bool:
    try:
        np.array(cell).astype(dtype)
    except ValueError:
        return False
    return True
