"""The inputs that right functions are asked at: six kinds, each drawn from a random generator.

Not for: which function gets which (a file a family).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["KINDS", "Draw", "Where", "above", "beside", "between", "drawn", "fixed", "log_uniform",
           "reals", "tied"]  # fmt: skip

KINDS = ("ordinary", "saturated", "huge", "tiny", "near ties", "domain end")
Array = Any
Draw = Callable[[np.random.Generator], tuple[Any, ...]]
Where = dict[str, Draw]
GAPS = (1e-13, 1e-3)  # how near to a tie, a kink, or an end
Range = tuple[float, float]


def log_uniform(rng: np.random.Generator, low: float, high: float, shape: Any = ()) -> Array:
    """Numbers whose logarithms are uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), shape))


def _of_either_sign(rng: np.random.Generator, size: Range, shape: Any) -> Array:
    return log_uniform(rng, *size, shape) * rng.choice([-1.0, 1.0], shape)


def drawn(draw: Callable[..., Array], *shapes: Any) -> Draw:
    """Draw an array of each shape."""
    return lambda rng: tuple(np.asarray(draw(rng, shape)) for shape in shapes)


def reals(
    *shapes: Any,
    ordinary: float = 1.5,
    saturated: Range | None = (4.0, 30.0),
    huge: Range | None = (1e2, 1e6),
    tiny: Range | None = (1e-12, 1e-2),
    kinks: Sequence[float] = (),
) -> Where:
    """Points for functions of all numbers; ``kinks`` are the ones to come close to."""
    shapes = shapes or ((3,),)
    where = {"ordinary": drawn(lambda rng, shape: rng.normal(0, ordinary, shape), *shapes)}
    for kind, size in (("saturated", saturated), ("huge", huge), ("tiny", tiny)):
        if size is not None:
            where[kind] = _sized(size, shapes)
    if kinks:
        where["near ties"] = drawn(
            lambda rng, shape: rng.choice(kinks, shape) + _of_either_sign(rng, GAPS, shape),
            *shapes,
        )
    return where


def _sized(size: Range, shapes: Sequence[Any]) -> Draw:
    return drawn(lambda rng, shape: _of_either_sign(rng, size, shape), *shapes)


def above(
    low: float,
    *shapes: Any,
    huge: Range | None = (1e2, 1e8),
    tiny: Range | None = (1e-3, 1e-1),
    end: Range | None = (1e-12, 1e-3),
) -> Where:
    """Points for functions of what lies above a number."""
    shapes = shapes or ((3,),)
    where = {"ordinary": drawn(lambda rng, shape: low + rng.uniform(0.2, 4, shape), *shapes)}
    for kind, size in (("huge", huge), ("tiny", tiny), ("domain end", end)):
        if size is not None:
            where[kind] = _over(low, size, shapes)
    return where


def _over(low: float, size: Range, shapes: Sequence[Any]) -> Draw:
    return drawn(lambda rng, shape: low + log_uniform(rng, *size, shape), *shapes)


def between(
    low: float, high: float, *shapes: Any, end: Range | None = (1e-12, 1e-3), middle: bool = True
) -> Where:
    """Points for functions of an interval; ``end`` is how near to its ends, relatively."""
    shapes, width = shapes or ((3,),), high - low

    def near(rng: np.random.Generator, shape: Any) -> Array:
        gap = width * log_uniform(rng, *(end or GAPS), shape)
        return np.where(rng.random(shape) < 0.5, low + gap, high - gap)

    inner = drawn(
        lambda rng, shape: rng.uniform(low + width / 20, high - width / 20, shape), *shapes
    )
    where = {"ordinary": inner}
    if end is not None:
        where["domain end"] = drawn(near, *shapes)
    if middle:
        centre = (low + high) / 2
        where["tiny"] = drawn(
            lambda rng, shape: centre + _of_either_sign(rng, (1e-10 * width, 1e-2 * width), shape),
            *shapes,
        )
    return where


def tied(*shapes: Any, axis: int = -1, size: Sequence[str] = ("huge", "tiny")) -> Where:
    """Points for what compares elements: along an axis two of them are all but equal."""
    shapes = shapes or ((5,),)

    def near(rng: np.random.Generator, shape: Any) -> Array:
        x = np.moveaxis(rng.normal(size=shape), axis, 0).copy()
        i, j = rng.choice(len(x), 2, replace=False)
        x[i] = x[j] + _of_either_sign(rng, GAPS, x[j].shape)
        return np.moveaxis(x, 0, axis)

    factors = {"huge": 1e6, "tiny": 1e-7}
    where = {"ordinary": drawn(lambda rng, shape: rng.normal(size=shape), *shapes)}
    for kind in size:
        where[kind] = _scaled_normal(factors[kind], shapes)
    where["near ties"] = drawn(near, *shapes)
    return where


def _scaled_normal(scale: float, shapes: Sequence[Any]) -> Draw:
    return drawn(lambda rng, shape: rng.normal(0, scale, shape), *shapes)


def fixed(*values: Any) -> Where:
    """The same value at every point: options, integers, masks."""
    return {"ordinary": lambda rng: values}


def beside(*parts: Where) -> Where:
    """The inputs of several, side by side; one that lacks a kind is ordinary there."""
    kinds = [kind for kind in KINDS if any(kind in part for part in parts)]
    return {kind: _joined([part.get(kind, part["ordinary"]) for part in parts]) for kind in kinds}


def _joined(draws: Sequence[Draw]) -> Draw:
    return lambda rng: tuple(x for draw in draws for x in draw(rng))
