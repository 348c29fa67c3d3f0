"""How much of the numbers near a point is the round-off of their own arithmetic.

It is measured, because nothing tells it beforehand: neither the dtype of a result (a function may
compute in float32 inside, and return float64) nor its size (terms may have cancelled in it).
What is exact lies on a smooth curve; what scatters about that is noise (``noise_of``).

Not for: what noise means for a verdict (``trial.py``).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array, flat, frozen, weighed
from tinygrad_lab.testing.judging.numerical import has_kink, is_white, noise_of
from tinygrad_lab.testing.judging.subject import Recorded, Subject

AROUND = range(-4, 5)  # so many points, at equal distances
FEWEST = 5  # of these have to be defined
NEAR = 2.0**-20  # the usual distance
FARTHER = (1.37 * 2.0**-12, 1.19 * 2.0**-9, 0.71 * 2.0**-7)  # where bits change that do not near
NEARER = (
    2.0**-30,
    2.0**-40,
)  # where a kink is left out, and an oscillation does not look like noise
MUCH = 2.0**-10  # of the size of the values: more noise than float16 has
NARROW = float(np.finfo(np.float32).eps) / 4  # of the size of values that float32 holds
MULTIPLES = 2.0**-9  # of the upstream: relative distances


class Rounding(NamedTuple):
    """Standard deviations of round-off."""

    value: float  # in the weighted sum of the outputs
    slope: float  # in the slope that the gradients promise


@dataclass(frozen=True)
class Noise:
    """The round-off near a point, as it is over short and over longer distances."""

    at: dict[float, Rounding]  # by distance between the points
    pulled: Sequence[Callable[[], Array]]  # measure that of all gradients, which may be large
    shapes: tuple[tuple[int, ...], ...]  # of each gradient
    of_slope: float = 0.0  # of the slope, which is pulled at the point, whatever the step
    is_narrow: bool = False  # whether float32 holds every value, as where a function computes in it
    is_full: bool = False  # whether it takes all digits of float32, as no whole numbers do

    @functools.cached_property
    def gradients(self) -> list[Array]:
        """How much there is in each element of each gradient."""
        by_element = functools.reduce(np.maximum, (measure() for measure in self.pulled))
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        rows = np.split(by_element, ends[:-1])
        return [row.reshape(shape) for row, shape in zip(rows, self.shapes, strict=True)]

    def up_to(self, step: float) -> Rounding:
        """Give the most that there is within a step, the shortest distance always included."""
        within = [r for distance, r in self.at.items() if distance <= max(step / 4, NEAR)]
        slopes = (r.slope for r in within)
        return Rounding(max(r.value for r in within), max(self.of_slope, *slopes))

    @property
    def stairs(self) -> float:
        """How high the steps of values are that do not move, or move evenly, over short distances.

        They are as high over any distance; what kinks make is less over shorter ones.
        """
        far = [self.at[distance].value for distance in FARTHER if distance in self.at]
        return next((value for value in far if value > max(far) / 64), 0.0)


def noise_around(
    subject: Subject,
    arrays: Sequence[Array],
    directions: Sequence[Array],
    upstreams: Sequence[Array],
) -> Noise:
    """Measure the noise of values and gradients around a point, along a direction.

    Gradients are also pulled back from multiples of the upstream: what does not depend on the
    inputs, as in a linear function, still loses digits of the upstream.
    """
    sampler = _Sampler(subject, arrays, directions, upstreams)
    near, multiples = sampler.along(NEAR), sampler.of_multiples()
    if near.is_doubtful:
        beside = (sampler.beside(sign * NEAR) for sign in (1, -1) if near.has_kink)
        nearer = (sampler.along(distance) for distance in NEARER)
        other = next((s for s in itertools.chain(beside, nearer) if not s.is_doubtful), near)
        near = near if other.is_flat and not near.has_kink else other
    slope, rows, measure = near.slope, near.gradients, _noise
    if near.jumps and sampler.along(FARTHER[0]).jumps:
        # Round-off steps here and there; a rule that is wrong at the point, or from it on, does
        # so just there, whatever the distance.
        rows, measure = near.aside.gradients, _scatter
        slope = float(_scatter(near.aside.slopes))
    slope = max(slope, multiples.slope)
    value = near.value
    if near.is_flat:
        far = next((s for s in map(sampler.along, FARTHER) if not s.is_flat), near)
        near, value, slope = far, far.value, max(far.slope, slope)
    if sampler.is_narrow and not near.is_flat:  # stairs may be as even as the points
        value = max(value, NARROW * float(np.max(np.abs(near.values), initial=0.0)))
    shapes = tuple(x.shape for x in arrays)
    pulled = functools.partial(measure, rows), functools.partial(_noise, multiples.gradients)
    at = {NEAR: Rounding(value, slope)}
    is_full = sampler.is_narrow and sampler.is_full
    return Noise(at, pulled, shapes, is_narrow=sampler.is_narrow, is_full=is_full)


def noise_farther_around(
    noise: Noise,
    subject: Subject,
    arrays: Sequence[Array],
    directions: Sequence[Array],
    upstreams: Sequence[Array],
) -> Noise:
    """Add what there is over longer distances: stairs may be wider than the usual one."""
    sampler = _Sampler(subject, arrays, directions, upstreams)
    at = dict(noise.at)
    samples = {distance: sampler.along(distance) for distance in FARTHER}
    jump = all(sample.jumps for sample in samples.values())
    for distance, far in samples.items():
        slopes = far.aside.slopes if jump else sampler.slopes_without_borders(far)
        at[distance] = Rounding(
            far.value if is_white(far.values) and not far.is_doubtful else 0.0,
            float(_scatter(slopes)) if is_white(slopes) and not far.is_doubtful else 0.0,
        )
    # Where slopes differ by much over a distance, what is left of them there is no round-off.
    small = (at[d].slope for d, far in samples.items() if 8 * at[d].slope < far.smallest_slope)
    return replace(noise, at=at, of_slope=max(small, default=0.0))


@dataclass(frozen=True)
class _Sample:
    """Numbers at points beside each other along a direction, as far as they are defined."""

    values: Array  # of shape (points,)
    slopes: Array  # likewise
    gradients: Array  # of shape (points, elements)

    @property
    def is_flat(self) -> bool:
        return not np.any(self.values != self.values[:1])

    @property
    def has_kink(self) -> bool:
        return has_kink(self.values)

    @property
    def is_doubtful(self) -> bool:
        """Whether what scatters may be something else than round-off."""
        ends = len(self.values) < len(AROUND)  # where a slope may grow without bounds
        largest = float(np.max(np.abs(self.values), initial=0.0))
        return ends or self.has_kink or self.value > MUCH * largest

    @property
    def value(self) -> float:
        return float(_noise(self.values))

    @property
    def slope(self) -> float:
        return float(_noise(self.slopes))

    @property
    def smallest_slope(self) -> float:
        return float(np.min(np.abs(self.slopes), initial=np.inf))

    @property
    def aside(self) -> _Sample:
        """The same without the point itself, on the side that scatters more."""
        here = AROUND.index(0)
        sides = (np.s_[:here], np.s_[here + 1 :])
        halves = [_Sample(self.values[s], self.slopes[s], self.gradients[s]) for s in sides]
        return max(halves, key=lambda half: float(np.max(_scatter(half.slopes), initial=0.0)))

    @property
    def jumps(self) -> bool:
        """Whether slopes are others at the point, or on one side of it, and smooth elsewhere."""
        if len(self.slopes) < len(AROUND):
            return False
        return bool(_scatter(self.slopes) > 16 * _scatter(self.aside.slopes))


def _scatter(values: Array) -> Array:
    """Give the noise of few values."""
    return np.asarray(noise_of(values)) if len(values) > 2 else np.zeros(values.shape[1:])


def _jumps(values: Array, digit: float) -> Array:
    """Say between which neighbours, in each column, there is a jump that is no round-off.

    A rule with a border, right on one side of it, jumps there and nowhere else.  Round-off jumps
    by few last digits where it does so seldom.
    """
    rises = np.diff(values, axis=0)
    apart = np.abs(rises - _median(rises))
    return np.asarray(apart > np.maximum(16 * _median(apart), 64 * digit))


def _median(rows: Array) -> Array:
    """Give the median of each column: of few rows sorting is the fastest."""
    ordered, n = np.sort(rows, axis=0), len(rows)
    return np.asarray((ordered[(n - 1) // 2] + ordered[n // 2]) / 2)


def _noise(values: Array) -> Array:
    """Give the noise of each column, or none where too few points are defined to tell."""
    noise = noise_of(values) if len(values) >= FEWEST else np.zeros(values.shape[1:])
    return np.where(np.isfinite(noise), noise, 0.0)


class _Sampler:
    """Evaluates a subject, and pulls back, at points beside each other."""

    def __init__(
        self,
        subject: Subject,
        arrays: Sequence[Array],
        directions: Sequence[Array],
        upstreams: Sequence[Array],
    ) -> None:
        self.subject, self.arrays = subject, arrays
        self.directions, self.upstreams = directions, upstreams
        self.direction = np.concatenate([u.ravel() for u in directions])
        self.moved = slice(None) if np.all(self.direction) else np.flatnonzero(self.direction)
        self.weights = flat(upstreams)
        self.is_narrow = True  # whether float32 holds all results: so it is where that is used
        self.is_full = False  # whether some of them have its last digit

    @property
    def digit(self) -> float:
        """The last digit of numbers near 1, or of the largest input, in the slope."""
        largest = max(float(np.max(np.abs(x), initial=1.0)) for x in self.arrays)
        moved = max(float(np.max(np.abs(u), initial=0.0)) for u in self.directions)
        eps = np.finfo(np.float32 if self.is_narrow else np.float64).eps
        return float(eps) * largest * moved * sum(float(np.sum(np.abs(u))) for u in self.upstreams)

    def slopes_without_borders(self, sample: _Sample) -> Array:
        """Give slopes of the elements whose gradients cross no border of their rule."""
        if len(sample.slopes) < FEWEST:
            return sample.slopes
        crossing = np.any(_jumps(sample.gradients, self.digit), axis=0)
        if not np.any(crossing):
            jumps = np.flatnonzero(_jumps(sample.slopes, self.digit))
            return max(np.split(sample.slopes, jumps + 1), key=len)
        gradients = np.where(self.direction != 0, sample.gradients, 0.0)  # others may be infinite
        return weighed(gradients, np.where(crossing, 0.0, self.direction))

    def along(self, distance: float) -> _Sample:
        """Move the inputs."""
        return self._sample([self._row(self._call(k * distance), 1.0) for k in AROUND])

    def beside(self, distance: float) -> _Sample:
        """Move the inputs, all of the points to one side."""
        points = range(1, len(AROUND) + 1)
        return self._sample([self._row(self._call(k * distance), 1.0) for k in points])

    def of_multiples(self) -> _Sample:
        """Multiply the upstream, of one call."""
        call = self._call(0.0)
        return self._sample([self._row(call, 1 + k * MULTIPLES) for k in AROUND])

    def _sample(self, points: Sequence[Array | None]) -> _Sample:
        rows = _longest_run(points)
        elements = sum(x.size for x in self.arrays)
        table = np.stack(rows) if rows else np.zeros((0, 2 + elements))
        return _Sample(table[:, 0], table[:, 1], table[:, 2:])

    def _call(self, h: float) -> Recorded | None:
        """Call the function near the point; give None where it is undefined."""
        moved = [frozen(x + h * u) for x, u in zip(self.arrays, self.directions, strict=True)]
        try:
            call = self.subject.record(moved)
        except Exception:  # noqa: BLE001 - every function and library raises in its own way
            return None
        for y in call.outputs:
            in_float32 = np.asarray(y, np.float32)
            self.is_narrow &= bool(np.all(y == in_float32))
            self.is_full |= bool(np.any(in_float32.view(np.uint32) & 1))
        return call

    def _row(self, call: Recorded | None, factor: float) -> Array | None:
        """Give value, slope and gradients of a call; None where there are none."""
        if call is None:
            return None
        try:
            pulled = call.pull([frozen(np.asarray(factor * u, u.dtype)) for u in self.upstreams])
            row = np.concatenate([np.ravel(np.asarray(g, np.float64)) for g in pulled])
            value = float(weighed(flat(call.outputs), self.weights))
        except Exception:  # noqa: BLE001 - the way back as well
            return None
        if row.shape != self.direction.shape:
            return None
        slope = float(weighed(row[self.moved], self.direction[self.moved]))
        row = np.concatenate([[value, slope / factor], row / factor])
        return row if np.all(np.isfinite(row[:2])) else None


def _longest_run(rows: Sequence[Array | None]) -> list[Array]:
    """Give the longest run of neighbours that are all there."""
    best: list[Array] = []
    run: list[Array] = []
    for row in rows:
        run = [] if row is None else [*run, row]
        best = max(best, run, key=len)
    return best
