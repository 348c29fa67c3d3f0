"""Where the values of parameters come from before training.

Every initialiser is ``init(shape, rng, dtype)``: it draws from the generator it is given, and from
nothing else.  ``shape`` is that of a weight: (out, in), or (out, in, kh, kw).

Not for: which layer uses which (``layers/``).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn.names import look_up

__all__ = [
    "INITIALISERS",
    "constant",
    "initialiser",
    "kaiming_normal",
    "kaiming_uniform",
    "normal",
    "ones",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

NDArray = npt.NDArray[Any]
Shape = tuple[int, ...]
Init = Callable[[Shape, np.random.Generator, npt.DTypeLike], NDArray]


def normal(
    shape: Shape,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
    *,
    mean: float = 0.0,
    std: float = 1.0,
) -> NDArray:
    """Draw from the normal distribution.

    Examples
    --------
    >>> normal((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """
    return (rng.standard_normal(shape) * std + mean).astype(dtype)


def uniform(
    shape: Shape,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
    *,
    low: float = 0.0,
    high: float = 1.0,
) -> NDArray:
    """Draw uniformly from ``low`` to ``high``."""
    return rng.uniform(low, high, shape).astype(dtype)


def constant(
    shape: Shape,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - the signature that all share
    dtype: npt.DTypeLike = np.float64,
    *,
    value: float,
) -> NDArray:
    """Set every element to ``value``."""
    return np.full(shape, value, dtype)


def zeros(
    shape: Shape, rng: np.random.Generator | None = None, dtype: npt.DTypeLike = np.float64
) -> NDArray:
    """Set every element to 0."""
    return constant(shape, rng, dtype, value=0.0)


def ones(
    shape: Shape, rng: np.random.Generator | None = None, dtype: npt.DTypeLike = np.float64
) -> NDArray:
    """Set every element to 1."""
    return constant(shape, rng, dtype, value=1.0)


def xavier_uniform(
    shape: Shape, rng: np.random.Generator, dtype: npt.DTypeLike = np.float64, *, gain: float = 1.0
) -> NDArray:
    """Draw uniformly from plus or minus ``gain * sqrt(6 / (inputs + outputs))`` (Glorot, 2010)."""
    bound = gain * sqrt(6.0 / max(1, sum(fans(shape))))
    return uniform(shape, rng, dtype, low=-bound, high=bound)


def xavier_normal(
    shape: Shape, rng: np.random.Generator, dtype: npt.DTypeLike = np.float64, *, gain: float = 1.0
) -> NDArray:
    """Draw from the normal distribution of variance ``gain² * 2 / (inputs + outputs)``."""
    return normal(shape, rng, dtype, std=gain * sqrt(2.0 / max(1, sum(fans(shape)))))


def kaiming_uniform(
    shape: Shape, rng: np.random.Generator, dtype: npt.DTypeLike = np.float64, *, a: float = 0.0
) -> NDArray:
    """Draw uniformly from plus or minus ``sqrt(6 / ((1 + a²) inputs))`` (He, 2015).

    ``a`` is the negative slope of the rectifier that follows.  With ``a = sqrt(5)`` the bound is
    ``1 / sqrt(inputs)``, the default of PyTorch's layers.
    """
    bound = sqrt(6.0 / ((1 + a * a) * max(1, fans(shape)[0])))
    return uniform(shape, rng, dtype, low=-bound, high=bound)


def kaiming_normal(
    shape: Shape, rng: np.random.Generator, dtype: npt.DTypeLike = np.float64, *, a: float = 0.0
) -> NDArray:
    """Draw from the normal distribution of variance ``2 / ((1 + a²) inputs)``."""
    return normal(shape, rng, dtype, std=sqrt(2.0 / ((1 + a * a) * max(1, fans(shape)[0]))))


def fans(shape: Shape) -> tuple[int, int]:
    """How many inputs each output has, and how many outputs each input.

    Examples
    --------
    >>> fans((8, 3, 5, 5))
    (75, 200)
    """
    if len(shape) < 2:
        raise ValueError(f"a weight has two axes or more, (out, in, ...), not shape {shape}")
    elements = prod(shape[2:])
    return shape[1] * elements, shape[0] * elements


INITIALISERS: dict[str, Init] = {
    "normal": normal,
    "uniform": uniform,
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "kaiming_uniform": kaiming_uniform,
    "kaiming_normal": kaiming_normal,
    "zeros": zeros,
    "ones": ones,
}


def initialiser(init: str | Init) -> Init:
    """Find an initialiser by name; a function is taken as it is.

    Raises
    ------
    ValueError
        There is none of this name; the text lists those there are.
    """
    return init if callable(init) else look_up(init, INITIALISERS, "initialisation")
