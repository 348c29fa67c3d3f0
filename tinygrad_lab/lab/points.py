"""Points in the plane, labelled 0 or 1: the two sets of the reports, and three harder ones.

Not for data from files (``tables.py``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rng = int | np.random.Generator | None


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


def spirals(n: int = 100, noise: float = 0.05, rng: Rng = None) -> tuple[Array, Array]:
    """Draw points on two arms of a spiral, one and a half turns each, that wind about each other.

    Parameters
    ----------
    n
        How many points; every second one is on the second arm, labelled 1.
    noise
        Standard deviation of what is added to both coordinates; neighbouring arms are 1/3 apart.
    rng
        Seed or generator of the draw.

    Returns
    -------
    x, y
        Points, shape (n, 2), about as far as 1 from the origin; labels, shape (n, 1).

    Raises
    ------
    ValueError
        ``n`` is not positive, or ``noise`` is negative or no finite number.

    Examples
    --------
    >>> x, y = spirals(4, noise=0.0, rng=0)
    >>> radius = np.hypot(*x.T)
    >>> np.allclose(x[0], radius[0] * np.array([np.cos(3 * np.pi * radius[0]),
    ...                                         np.sin(3 * np.pi * radius[0])]))
    True
    """
    generator, label = _begin("spirals", n, noise, rng)
    radius = np.sqrt(generator.uniform(0.0, 1.0, n))  # as many points to each piece of an arm
    angle = 3 * np.pi * radius + np.pi * label
    return _moved(radius * np.array([np.cos(angle), np.sin(angle)]), label, noise, generator)


def moons(n: int = 100, noise: float = 0.05, rng: Rng = None) -> tuple[Array, Array]:
    """Draw points on two half circles that reach into each other, as scikit-learn's ``make_moons``.

    Parameters
    ----------
    n
        How many points; every second one is on the lower half circle, labelled 1.
    noise, rng
        As for :func:`spirals`.

    Returns
    -------
    x, y
        Points, shape (n, 2), in [-1, 2] × [-0.5, 1]; labels, shape (n, 1).

    Raises
    ------
    ValueError
        As for :func:`spirals`.

    Examples
    --------
    >>> x, y = moons(100, noise=0.0, rng=0)
    >>> np.allclose(np.hypot(*x[::2].T), 1), np.allclose(np.hypot(*(x[1::2] - [1, 0.5]).T), 1)
    (True, True)
    """
    generator, label = _begin("moons", n, noise, rng)
    angle = generator.uniform(0.0, np.pi, n)
    upper = np.array([np.cos(angle), np.sin(angle)])
    lower = np.array([1 - np.cos(angle), 0.5 - np.sin(angle)])
    return _moved(np.where(label == 0, upper, lower), label, noise, generator)


def circles(n: int = 100, noise: float = 0.05, rng: Rng = None) -> tuple[Array, Array]:
    """Draw points on two circles about the origin, of radius 1 (label 0) and 0.5 (label 1).

    Parameters
    ----------
    n
        How many points; every second one is on the inner circle.
    noise, rng
        As for :func:`spirals`.

    Returns
    -------
    x, y
        Points, shape (n, 2); labels, shape (n, 1).

    Raises
    ------
    ValueError
        As for :func:`spirals`.

    Examples
    --------
    >>> x, y = circles(4, noise=0.0, rng=0)
    >>> np.hypot(*x.T).round(2).tolist(), y.ravel().tolist()
    ([1.0, 0.5, 1.0, 0.5], [0.0, 1.0, 0.0, 1.0])
    """
    generator, label = _begin("circles", n, noise, rng)
    angle = generator.uniform(0.0, 2 * np.pi, n)
    radius = np.where(label == 0, 1.0, 0.5)
    return _moved(radius * np.array([np.cos(angle), np.sin(angle)]), label, noise, generator)


def _begin(
    name: str, n: int, noise: float, rng: Rng
) -> tuple[np.random.Generator, NDArray[np.int64]]:
    if n < 1:
        raise ValueError(f"{name} need at least one point, got n = {n}")
    if not 0 <= noise < np.inf:
        raise ValueError(f"the noise of {name} is a number from 0 on, got noise = {noise}")
    return np.random.default_rng(rng), np.arange(n) % 2


def _moved(
    coordinates: Array, label: NDArray[np.int64], noise: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    x = coordinates.T + rng.normal(0.0, noise, coordinates.T.shape)
    return x, label.reshape(-1, 1).astype(np.float64)
