"""Numerical derivatives that say how wrong they may be.

A *ladder* evaluates a function at ±h, ±h/2, ±h/4 ... along one direction, and remembers every
value.  From the same values come the slope with its uncertainty (central differences, extrapolated
after Richardson), the slopes from either side (at a kink they differ), and the slope of every
other quantity that was computed on the way.

:func:`noise_of` says how much of some values is round-off, by how they scatter about a curve.

Not for: comparing them with gradients (``trial.py``), or choosing what to evaluate
(``slope.py``).  It knows arrays only, no tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array, weighed

FIRST_STEP = 2.0**-5  # times the scale of what is moved; a power of two, so that steps are exact
LEVELS = 5
FEWER_LEVELS = 3  # of a ladder very near to the point, or that only tells right from wrong
BAND = 5.0  # so many estimated errors are still agreement
AT_ONCE = 2**17  # numbers that are computed with at a time
CANCELLED = 1e-13  # of the size of the function: what a rule may leave where the slope vanishes

LONG_DOUBLE_IS_LONGER = bool(np.finfo(np.longdouble).eps < np.finfo(np.float64).eps / 100)


@dataclass(frozen=True)
class Estimate:
    """A number and how far off it may be."""

    value: float
    error: float
    rounding: float = 0.0  # how much of the error is what rounding may leave

    def __str__(self) -> str:
        return f"{self.value:.6g} ± {self.error:.0e}"


@dataclass(frozen=True)
class Ladder:
    """A function's values along a line: at the centre, and at ``+h`` and ``-h`` for every step."""

    steps: tuple[float, ...]  # from the longest to the shortest, each half of the one before
    centre: Array  # of shape (m,)
    above: Array  # of shape (levels, m): at +steps[k]
    below: Array  # at -steps[k]
    _sums: dict[int, _Sums] = field(default_factory=dict, repr=False)  # by the identity of weights
    _slopes: dict[tuple[int, float], Estimate] = field(default_factory=dict, repr=False)
    _sides: dict[tuple[int, float], dict[int, Estimate]] = field(default_factory=dict, repr=False)

    @property
    def finite(self) -> bool:
        """Whether every value is a finite number."""
        return all(bool(np.all(np.isfinite(x))) for x in (self.centre, self.above, self.below))

    @property
    def flat(self) -> bool:
        """Whether nothing moved at all, not by one bit."""
        return bool(np.all(self.above == self.centre) and np.all(self.below == self.centre))

    def size(self, weights: Array) -> float:
        """Give the largest magnitude of the terms of the weighted sum, over all points."""
        sums = self._weighed(weights)
        sizes = np.concatenate([sums.size[None], sums.size_above, sums.size_below])
        return float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))

    def movement(self, weights: Array) -> float:
        """Give how far the weighted sum moves from the centre, divided by the longest step."""
        sums = self._weighed(weights)
        moved = np.abs(np.concatenate([sums.rise_above, sums.rise_below]))
        return float(np.max(moved, initial=0.0, where=np.isfinite(moved))) / self.steps[0]

    def _weighed(self, weights: Array) -> _Sums:
        """Add up the elements, each with its weight; once, for there may be many."""
        known = self._sums.get(id(weights))
        if known is None:
            sizes = np.abs(weights)
            rise_above, rise_below = (
                weighed(x - self.centre, weights) for x in (self.above, self.below)
            )
            known = self._sums[id(weights)] = _Sums(
                weights, weighed(self.above, weights), weighed(self.below, weights),
                rise_above, rise_below, weighed(np.abs(self.centre), sizes),
                weighed(np.abs(self.above), sizes), weighed(np.abs(self.below), sizes),
                float(np.sum(sizes)),
            )  # fmt: skip
        return known

    def slopes(self) -> tuple[Array, Array]:
        """Give the slope of every element, and its estimated error."""
        rounding = self._rounding(self.above, self.below)
        value, error, _ = _central(self.steps, self.above, self.below, rounding)
        return value, error

    def slope(self, weights: Array, noise: float = 0.0) -> Estimate:
        """Give the slope of the weighted sum of the elements, whose values have some noise.

        In its one table errors of opposite sign have met, so it is more certain than the sum of
        the elements' own slopes.
        """
        sums = self._weighed(weights)
        key = id(weights), noise
        if key not in self._slopes:
            rounding = self._rounding(sums.size_above, sums.size_below, sums.weight) + 2 * noise
            above, below = sums.above[:, None], sums.below[:, None]
            (value,), (error,), (left,) = _central(self.steps, above, below, rounding[:, None])
            self._slopes[key] = Estimate(float(value), float(error), float(left))
        return self._slopes[key]

    def side(self, weights: Array, sign: int, noise: float = 0.0) -> Estimate:
        """Give the slope of the weighted sum from the right (+1), or from the left (-1)."""
        sums = self._weighed(weights)
        key = id(weights), noise
        if key not in self._sides:
            rises = np.stack([-sums.rise_below, sums.rise_above], axis=-1)
            sizes = np.stack([sums.size_below, sums.size_above], axis=-1)
            rounding = self._rounding(sizes, sums.size, sums.weight) + 2 * noise
            table = _one_sided(self.steps, rises, rounding)
            left, right = map(Estimate, *(row.tolist() for row in table))
            self._sides[key] = {-1: left, 1: right}
        return self._sides[key][sign]

    def sides(self) -> tuple[Array, Array, Array]:
        """Give each element's slope from the left and from the right, and their error."""
        (left, left_error, _), (right, right_error, _) = (
            _one_sided(
                self.steps, sign * (values - self.centre), self._rounding(values, self.centre)
            )
            for sign, values in ((-1, self.below), (1, self.above))
        )
        return left, right, np.maximum(left_error, right_error)

    def gap_ratio(self, weights: Array) -> float:
        """Say how the gap between the one-sided slopes changes when the step is halved.

        By a half where the function is smooth, by one at a kink; 0 where there is no gap.
        """
        sums = self._weighed(weights)
        bend = sums.rise_above + sums.rise_below
        size = sums.size_above + sums.size_below + 2 * sums.size
        round_off = 4 * np.finfo(self.centre.dtype).eps * size
        if not abs(bend[-1]) > 4 * round_off[-1] or bend[-2] == 0:
            return 0.0
        return float(2 * bend[-1] / bend[-2])

    def _rounding(self, a: Array, b: Array, number: float = 1.0) -> Array:
        """Give what rounding leaves in a difference of two results, or of sums of so many."""
        limits = np.finfo(self.centre.dtype)
        least = 4 * limits.smallest_subnormal * number
        return np.asarray(2 * limits.eps * (np.abs(a) + np.abs(b)) + least)


class _Sums(NamedTuple):
    """The weighted sum of a ladder's elements, and of their sizes, step by step."""

    weights: Array  # kept, so that no others get their identity
    above: Array  # of shape (levels,)
    below: Array
    rise_above: Array  # from the centre
    rise_below: Array
    size: Array  # of shape (): the sum of the sizes at the centre
    size_above: Array
    size_below: Array
    weight: float  # the sum of the sizes of the weights


def climb(
    f: Callable[[float], Array],
    centre: Array | None = None,
    first: float = FIRST_STEP,
    levels: int = LEVELS,
) -> Ladder:
    """Evaluate ``f``, from a step to a row, at 0 and at ``levels`` pairs of steps around it."""
    steps = tuple(first / 2**k for k in range(levels))
    above, below = (np.stack([f(side * h) for h in steps]) for side in (1, -1))
    return Ladder(steps, f(0.0) if centre is None else centre, above, below)


def noise_of(values: Array) -> Array:
    """Estimate the round-off in values of a smooth function at equal distances, column by column.

    Differences of high order of a smooth function vanish; those of round-off stay, and grow with
    the order as the binomial coefficients do (J. J. Moré and S. M. Wild, *Estimating
    computational noise*, SIAM J. Sci. Comput. 33, 2011).

    Examples
    --------
    >>> import numpy as np
    >>> x = 1 + np.arange(9) / 1024
    >>> bool(noise_of(np.sin(x)) < 1e-15), bool(1e-4 < noise_of(np.sin(x).round(3)) < 1e-3)
    (True, True)
    """
    highest = _by_order(values)[-max(1, len(values) // 3) :]
    return np.asarray(np.max(highest, axis=0))


def is_white(values: Array) -> bool:
    """Whether values scatter about a smooth curve, so that differences do not fall with the order.

    Where they fall, the curve bends more from point to point than the values scatter.
    """
    *_, before, _, last = _by_order(values) if len(values) > 4 else (1, 1, 0)
    return bool(last >= before / 16)


def has_kink(values: Array) -> bool:
    """Whether values at equal distances bend at one place, far more than anywhere else.

    Where they jump, they bend twice, there and back.
    """
    bends = np.diff(values, 2)
    if len(bends) < 4:
        return False
    k = int(np.argmax(np.abs(bends)))
    around = slice(max(k - 1, 0), k + 2)
    elsewhere = np.max(np.abs(np.delete(bends, around)))
    return bool(
        elsewhere < abs(bends[k]) / 32 and abs(np.sum(bends[around])) > np.max(np.abs(bends)) / 2
    )


def _by_order(values: Array) -> list[Array]:
    """Give the standard deviation of noise by differences of the first order, the second, ..."""
    largest = np.max(np.abs(values), initial=0.0, axis=0)
    unit = np.where(largest > 0, largest, 1.0)  # their squares need not be numbers
    values, deviations = values / unit, []
    for order in range(1, len(values) - 1):
        values = np.diff(values, axis=0)
        spread = np.sqrt(np.mean(np.square(values), axis=0) / math.comb(2 * order, order))
        deviations.append(spread * unit)
    return deviations


def _central(
    steps: Sequence[float], above: Array, below: Array, rounding: Array
) -> tuple[Array, Array, Array]:
    h = 2 * np.array(steps, dtype=above.dtype)[:, None]
    return _richardson((above - below) / h, rounding / h, 4.0)


def _one_sided(steps: Sequence[float], rise: Array, rounding: Array) -> tuple[Array, Array, Array]:
    h = np.array(steps, dtype=rise.dtype)[:, None]
    return _richardson(rise / h, rounding / h, 2.0)


def _richardson(quotients: Array, noise: Array, base: float) -> tuple[Array, Array, Array]:
    """Extrapolate difference quotients, row by row, to step 0; keep the least estimated error.

    That of an entry is its change from both entries that it is made of, and their round-off, which
    is given by itself as well.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        entries, rounding = quotients, noise
        none = np.full(quotients[-1:].shape, np.inf, dtype=quotients.dtype)
        values, errors = [entries[-1:], entries[1:]], [none, _rises(entries) + rounding[1:]]
        roundings = [rounding[-1:], rounding[1:]]
        for order in range(1, len(quotients)):
            power = base**order
            rise = (entries[1:] - entries[:-1]) / (power - 1)
            entries = entries[1:] + rise
            rounding = (power * rounding[1:] + rounding[:-1]) / (power - 1)
            values.append(entries)
            errors.append(np.abs(power * rise) + rounding)  # farther from the upper of the two
            roundings.append(rounding)
    table, error, left = map(np.concatenate, (values, errors, roundings))
    error[np.isnan(error)] = np.inf
    least = np.argmin(error, axis=0), np.arange(quotients.shape[1])
    return table[least], error[least], left[least]


def _rises(entries: Array) -> Array:
    return np.asarray(np.abs(entries[1:] - entries[:-1]))


def scales_of(x: Array) -> Array:
    """Measure steps at each element by a power of two near it, not below 2**-7; by 1 at zero."""
    size = np.abs(np.asarray(x, dtype=np.float64))
    with np.errstate(divide="ignore"):
        power = 2.0 ** np.floor(np.log2(np.where(size > 0, size, 1.0)))
    return np.maximum(power, 2.0**-7)


def direction_like(x: Array, generator: np.random.Generator) -> Array:
    """Draw a direction in which every element moves, each by its own amount and sign."""
    amount = generator.integers(26, 65, x.shape) / 64.0
    sign = generator.choice([-1.0, 1.0], x.shape)
    return np.asarray(amount * sign * scales_of(x))


def missed(x: Array, direction: Array, steps: Sequence[float], dtype: Any = np.float64) -> Array:
    """Say how far rounded steps fall beside what was meant, divided by the step, at the most."""
    most = np.zeros(x.shape)
    if not np.any(direction):
        return most
    wide, u = x.astype(dtype, copy=False), direction.astype(dtype, copy=False)
    rows = max(1, AT_ONCE // max(x.size, 1))
    for first in range(0, len(steps), rows):
        some = np.array(steps[first : first + rows], dtype).reshape(-1, *(1,) * x.ndim)
        taken = some * u
        off = np.abs(wide + taken - wide - taken) / np.abs(some)
        most = np.maximum(most, np.max(off, axis=0))
    return most


def quantized(x: Array, direction: Array, first: float) -> Array:
    """Round a direction so that every step of a ladder along it is taken exactly."""
    shortest = first / 2 ** (LEVELS - 1)
    return np.asarray(((x + shortest * direction) - x) / shortest)


def exact_slope(f: Callable[[float], Array]) -> Array | None:
    """Give the slope of every element at 0 without any error, or None where that cannot be had.

    Along a line an operation that is linear or bilinear is a polynomial of degree two or less, and
    then ``(f(1) - f(-1)) / 2`` is its slope.  On small integers nothing is rounded, so five
    values tell whether it is such a polynomial: their third and fourth differences vanish.
    """
    values = np.stack([f(float(h)) for h in (-2, -1, 0, 1, 2)])
    if not np.all(np.isfinite(values)) or np.any(np.abs(values) > 2.0**48):
        return None
    if np.any(values != np.rint(values)):
        return None
    third = values[4] - 2 * values[3] + 2 * values[1] - values[0]
    fourth = values[4] - 4 * values[3] + 6 * values[2] - 4 * values[1] + values[0]
    if np.any(third != 0) or np.any(fourth != 0):
        return None
    return np.asarray((values[3] - values[1]) / 2)
