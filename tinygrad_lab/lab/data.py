"""What networks of the lab are trained on, by name or from a file: one record of arrays.

Not for how points are drawn (``points.py``) or files are read (``tables.py``), nor for data that do
not fit in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.lab import points

Array = NDArray[np.float64]
Rng = int | np.random.Generator | None

#: The data sets by the name that settings and the command line use.
DATA_NAMES = ("linear", "xor", "spirals", "moons", "circles", "digits")


class DataError(ValueError):
    """Data that networks cannot be trained on; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the rows of a table become a network's inputs, and its outputs names of classes.

    Attributes
    ----------
    columns, classes
        What inputs and classes are called.
    mean, scale
        A network is given ``(row - mean) / scale``; shape (inputs,), or one number for all.
    """

    columns: tuple[str, ...] = ("x0", "x1")
    classes: tuple[str, ...] = ("0", "1")
    mean: Array | float = 0.0
    scale: Array | float = 1.0

    def inputs(self, rows: Array) -> Array:
        """Return what a network is given of rows of numbers, shape (n, inputs)."""
        return (rows - self.mean) / self.scale

    def targets(self, labels: NDArray[np.int64]) -> Array:
        """Return the targets of classes 0, 1, ...: shape (n, 1) for two, (n, classes) for more."""
        if len(self.classes) == 2:
            return labels.reshape(-1, 1).astype(np.float64)
        return np.eye(len(self.classes))[labels]


@dataclass(frozen=True, slots=True)
class Data:
    """Examples and their classes, to train on and, where there are others, to test on.

    Attributes
    ----------
    x, y
        What is trained on: inputs, shape (n, inputs); and targets, 0.0 or 1.0, shape (n, 1) for
        two classes, or (n, classes) with a 1 in the column of the class.
    x_test, y_test
        A second, independent draw of the same size, or a held-out quarter; None for ``xor``, which
        is one fixed set.
    encoding
        What inputs and classes are called, and how the inputs were scaled.
    """

    x: Array
    y: Array
    x_test: Array | None = None
    y_test: Array | None = None
    encoding: Encoding = Encoding()

    def with_a_column_a_class(self) -> Data:
        """Return the same with targets of shape (n, 2) where two classes have one column."""
        y_test = None if self.y_test is None else with_a_column_a_class(self.y_test)
        return replace(self, y=with_a_column_a_class(self.y), y_test=y_test)


def with_a_column_a_class(y: Array) -> Array:
    """Return targets of shape (n, 2) for those of two classes in one column, others as they are."""
    return np.hstack([1 - y, y]) if y.shape[1] == 1 else y


def load(
    name: str,
    n: int = 100,
    rng: Rng = None,
    *,
    noise: float = 0.05,
    target: str | None = None,
    labels: str | None = None,
    digest: str | None = None,
) -> Data:
    """Return a data set by name or from a file, with what is tested on kept apart.

    Parameters
    ----------
    name
        ``"linear"``, ``"xor"``, ``"spirals"``, ``"moons"`` or ``"circles"``: points in the plane;
        ``"digits"``: scikit-learn's 1,797 images; or the path of a CSV or an IDX file.
    n
        Points in each draw of what is drawn; ``xor`` always has its 21.
    rng
        Seed or generator of the draws, or of the quarter that is held out.
    noise
        Standard deviation of what is added to spirals, moons and circles.
    target
        The column of a CSV file that names the class.  The others are the inputs, each scaled to
        mean 0 and variance 1 over what is trained on.
    labels
        The IDX file with the classes of the images in an IDX file.
    digest
        What the files must hold, as :func:`tinygrad_lab.lab.tables.digest` says it.

    Raises
    ------
    ValueError
        An unknown name, or ``n`` that is not positive.
    DataError
        A file that cannot be read, holds something else than it must, or has no classes to tell
        apart.

    Examples
    --------
    >>> data = load("linear", n=50, rng=0)
    >>> data.x.shape, data.y_test.shape
    ((50, 2), (50, 1))
    """
    generator = np.random.default_rng(rng)
    if name == "xor":
        return Data(*points.xor())
    if name == "linear":
        return Data(*points.linear(n, generator), *points.linear(n, generator))
    if is_noisy(name):
        draw: Any = getattr(points, name)
        return Data(*draw(n, noise, generator), *draw(n, noise, generator))
    from tinygrad_lab.lab import tables

    if name == "digits":
        return tables.digits(generator)
    if digest is not None:
        tables.check_digest(digest, name, labels)
    if target is not None:
        return tables.from_csv(name, target, generator)
    if labels is not None:
        return tables.from_idx(name, labels, generator)
    raise ValueError(f"unknown data {name!r}; there are: {', '.join(DATA_NAMES)}")


def is_drawn(name: str) -> bool:
    """Tell whether a data set has as many points as are asked for."""
    return name == "linear" or is_noisy(name)


def is_noisy(name: str) -> bool:
    """Tell whether the points of a data set are moved at random."""
    return name in ("spirals", "moons", "circles")
