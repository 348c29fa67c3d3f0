"""The two data sets of the reports: points in the unit square, labelled 0 or 1.

Not for reading files or for anything that is not a small array in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rng = int | np.random.Generator | None

#: The data sets by the name that settings and the command line use.
DATA_NAMES = ("linear", "xor")


@dataclass(frozen=True, slots=True)
class Data:
    """Points and labels to train on and, where a second draw means anything, to test on.

    Attributes
    ----------
    x, y
        Training points, shape (n, 2), and labels 0.0 or 1.0, shape (n, 1).
    x_test, y_test
        A second, independent draw of the same size; None for ``xor``, which is one fixed set.
    """

    x: Array
    y: Array
    x_test: Array | None = None
    y_test: Array | None = None


def linear(n: int = 100, rng: Rng = None) -> tuple[Array, Array]:
    """Draw points uniformly in the unit square, labelled by the side of the diagonal they are on.

    Parameters
    ----------
    n
        How many points.
    rng
        Seed or generator of the draw.

    Returns
    -------
    x, y
        Points, shape (n, 2); labels, shape (n, 1): 0 where ``x[:, 0] > x[:, 1]``, else 1.

    Raises
    ------
    ValueError
        ``n`` is not positive.

    Examples
    --------
    >>> x, y = linear(3, rng=0)
    >>> x.round(2).tolist(), y.ravel().tolist()
    ([[0.64, 0.27], [0.04, 0.02], [0.81, 0.91]], [0.0, 0.0, 1.0])
    """
    if n < 1:
        raise ValueError(f"linear data needs at least one point, got n = {n}")
    x = np.random.default_rng(rng).uniform(0.0, 1.0, (n, 2))
    return x, np.where(x[:, :1] > x[:, 1:], 0.0, 1.0)


def xor() -> tuple[Array, Array]:
    """Return the 21 points of two crossing diagonals, in the reports' order.

    For i = 0 ... 10 the point (0.1 i, 0.1 i) labelled 0 and, except in the middle where the
    diagonals cross, the point (0.1 i, 1 - 0.1 i) labelled 1.

    Returns
    -------
    x, y
        Points, shape (21, 2); labels, shape (21, 1).

    Examples
    --------
    >>> x, y = xor()
    >>> x[:4].tolist(), y[:4].ravel().tolist()
    ([[0.0, 0.0], [0.0, 1.0], [0.1, 0.1], [0.1, 0.9]], [0.0, 1.0, 0.0, 1.0])
    """
    points: list[tuple[float, float]] = []
    labels: list[float] = []
    for i in range(11):
        points.append((0.1 * i, 0.1 * i))
        labels.append(0.0)
        if i != 5:
            points.append((0.1 * i, 1 - 0.1 * i))
            labels.append(1.0)
    return np.array(points), np.array(labels).reshape(-1, 1)


def load(name: str, n: int = 100, rng: Rng = None) -> Data:
    """Return a data set by name, with separate draws for training and testing where it is drawn.

    Parameters
    ----------
    name
        ``"linear"`` or ``"xor"``.
    n
        Points in each draw of ``linear``; ``xor`` always has its 21.
    rng
        Seed or generator of the draws.

    Raises
    ------
    ValueError
        An unknown name, or ``n`` that is not positive.

    Examples
    --------
    >>> data = load("linear", n=50, rng=0)
    >>> data.x.shape, data.y_test.shape
    ((50, 2), (50, 1))
    """
    if name == "xor":
        return Data(*xor())
    if name == "linear":
        generator = np.random.default_rng(rng)
        return Data(*linear(n, generator), *linear(n, generator))
    raise ValueError(f"unknown data {name!r}; there are: {', '.join(DATA_NAMES)}")
