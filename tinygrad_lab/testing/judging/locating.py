"""Find the elements of a gradient that are wrong, by measuring the slope along some of them.

Few elements are measured one by one; among many, ranges along each axis, which are halved.

Not for: whether a gradient is wrong at all (``trial.py``), or what the pattern of its elements
looks like (``telling/diagnosis.py``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.bisection import Question, Run, runs, spaced
from tinygrad_lab.testing.judging.judgement import Evidence
from tinygrad_lab.testing.judging.numerical import (
    BAND,
    FEWER_LEVELS,
    LEVELS,
    Estimate,
    climb,
    direction_like,
    quantized,
    scales_of,
)
from tinygrad_lab.testing.judging.slope import promised

EVERY_ELEMENT = 64  # up to so many elements, a wrong gradient is shown element by element
MOST_QUESTIONS = 120  # so many slopes are measured to find the wrong ones among more
MANY = 24  # so many of more elements show what they have in common
SAME = 1e-6  # relative; differences by less are equal
HANDFUL = 5  # so many wrong elements are named one by one
SAMPLE = 8  # so many elements tell whether all are wrong

Place = tuple[int, ...]


class Located(NamedTuple):
    """The element that is most wrong, and where else the gradient by an input is wrong."""

    input: int
    place: Place
    analytic: float
    estimate: Estimate
    promised: Array  # elements that were looked at: of few all, of many those that are wrong
    measured: Array
    errors: Array  # how far off the measured ones may be
    places: list[Place]  # that are wrong, as far as they were looked at
    all_known: bool = False  # whether all others are right
    region: tuple[Run, ...] | None = None  # a range along each axis: all in it are wrong
    run: Run | None = None  # the same of the elements in C order


class _Slopes(NamedTuple):
    """Slopes along elements: those promised and those measured, and how far these may be off."""

    places: list[Place]
    promised: Array
    measured: Array
    errors: Array

    @property
    def off(self) -> Array:
        """How far the promised ones are off, beyond what is uncertain; 0 of those that are not."""
        off = np.abs(self.promised - self.measured)
        band = BAND * self.errors + 1e-9 * np.abs(self.measured)
        off = np.where(np.isfinite(self.promised), off, np.inf)
        return np.where(np.isfinite(self.measured) & (off > band), off, 0.0)

    @property
    def wrong(self) -> list[Place]:
        """The places at which they are off."""
        return [place for place, off in zip(self.places, self.off, strict=True) if off > 0]


class _Enough(Exception):  # noqa: N818 - it ends a search, and nobody hears of it
    """So many questions were asked as may be."""


class _Gradient:
    """The gradient by one input, to be asked which of its elements are wrong."""

    def __init__(self, evidence: Evidence, i: int) -> None:
        self.point, self.weights, self.i = evidence.point, evidence.weights, i
        self.x = evidence.point.arrays[i]
        self.gradient = np.asarray(evidence.gradients[i], float)
        moved = evidence.climb.directions
        self.among = moved[i] != 0  # the others are not known to be wrong
        measurer = evidence.point.measurer
        self.first = evidence.climb.ladder.steps[0] / measurer.shorter(moved)
        own = direction_like(self.x, np.random.default_rng(0))
        self.direction = np.where(self.among, own, 0.0)
        self.questions = 0

    def each(self, places: Iterable[Place]) -> _Slopes:
        """Measure the slope by some elements, one by one."""
        places, scales = list(places), scales_of(self.x)
        estimates = []
        for place in places:
            directions = self.point.direction(self.i, place)
            slope = self._measured(directions, self.first, LEVELS)
            if not np.isfinite(slope.value):
                slope = self._measured(directions, 2.0**-13, LEVELS)
            estimates.append((slope.value / scales[place], slope.error / scales[place]))
        values, errors = np.array(estimates).reshape(-1, 2).T
        own = np.array([self.gradient[place] for place in places])
        return _Slopes(places, own, values, errors)

    def is_wrong(self, block: tuple[slice, ...], flattened: bool = False) -> bool:
        """Whether any element of a block is wrong."""
        if self.questions == MOST_QUESTIONS:
            raise _Enough
        self.questions += 1
        u = np.zeros(self.x.shape)
        view, source = (
            (u.reshape(-1), self.direction.reshape(-1)) if flattened else (u, self.direction)
        )
        view[block] = source[block]
        if not np.any(u):
            return False
        directions = [np.zeros(x.shape) for x in self.point.arrays]
        directions[self.i] = u
        first = (
            self.first * self.point.measurer.shorter(directions) * 2.0 ** (FEWER_LEVELS - LEVELS)
        )
        slope = self._measured(directions, first, FEWER_LEVELS)
        analytic, terms = promised([self.gradient], [u])
        rounding = 16 * float(np.finfo(np.float64).eps) * terms
        off = abs(analytic - slope.value)
        return not off <= BAND * slope.error + rounding + 1e-9 * abs(slope.value)

    def _measured(self, directions: Sequence[Array], first: float, levels: int) -> Estimate:
        """Climb a ladder that nobody needs again."""
        arrays, measurer = self.point.arrays, self.point.measurer
        exact = [quantized(x, u, first) for x, u in zip(arrays, directions, strict=True)]
        ladder = climb(
            lambda h: measurer.row([_moved(x, u, h) for x, u in zip(arrays, exact, strict=True)]),
            measurer.centre, first, levels,
        )  # fmt: skip
        return ladder.slope(self.weights)

    # -- where it is wrong ------------------------------------------------------------------------

    def found_one_by_one(self) -> Located | None:
        """Look at every element."""
        slopes = self.each(np.ndindex(*self.x.shape))
        region = _region_of(slopes.wrong, self.x.shape)
        return self._located(slopes, slopes.wrong, region=region, all_known=True)

    def found_by_halving(self) -> Located | None:
        """Look at a few, and unless all of these are wrong, search for those that are."""
        everywhere = np.argwhere(self.among)
        sample = self.each(_spread(everywhere, SAMPLE))
        if len(sample.wrong) == len(sample.places):
            some = self.each(_spread(everywhere, MANY))
            everything = tuple((0, n) for n in self.x.shape)
            dense = len(some.wrong) == len(some.places)
            return self._located(some, some.wrong, region=everything if dense else None)
        try:
            located = self._along_axes() or self._in_order()
        except _Enough:
            located = None
        if located is None and sample.wrong:
            return self._located(sample, sample.wrong)
        return located

    def _along_axes(self) -> Located | None:
        """Search along each axis by itself; where the ranges cross are the wrong ones."""
        shape = self.x.shape
        axes = [runs(n, self._question(axis), HANDFUL) for axis, n in enumerate(shape)]
        crossings = list(itertools.islice(itertools.product(*axes), HANDFUL * HANDFUL))
        if len(crossings) == 1 and self._is_wrong_throughout(crossings[0]):
            some = self.each(_places_in(crossings[0], MANY))
            return self._located(some, some.wrong, region=crossings[0], all_known=True)
        if any(high - low > 1 for axis in axes for low, high in axis):
            return None
        slopes = self.each(tuple(low for low, _ in crossing) for crossing in crossings)
        fewer = all(len(axis) < HANDFUL for axis in axes)
        return self._located(slopes, slopes.wrong, all_known=fewer)

    def _question(self, axis: int) -> Question:
        before = (slice(None),) * axis
        return lambda low, high: self.is_wrong((*before, slice(low, high)))

    def _in_order(self) -> Located | None:
        """Search along all elements in the order in which they lie in memory."""
        every = runs(
            self.x.size, lambda low, high: self.is_wrong((slice(low, high),), True), HANDFUL
        )
        some = [k for low, high in every for k in spaced(low, high, EVERY_ELEMENT // HANDFUL)]
        slopes = self.each(tuple(map(int, np.unravel_index(k, self.x.shape))) for k in some)
        is_one = len(every) == 1 and len(slopes.wrong) == len(slopes.places)
        run = every[0] if is_one else None
        return self._located(slopes, slopes.wrong, run=run, all_known=is_one)

    def _is_wrong_throughout(self, region: tuple[Run, ...]) -> bool:
        places = _places_in(region, SAMPLE)
        return len(self.each(places).wrong) == len(places)

    def _located(self, slopes: _Slopes, wrong: list[Place], **where: Any) -> Located | None:
        if not wrong:
            return None
        off = slopes.off
        k = int(np.argmax(off >= (1 - SAME) * np.max(off)))  # the first of several equals
        estimate = Estimate(float(slopes.measured[k]), float(slopes.errors[k]))
        shape = self.x.shape if len(slopes.places) == self.x.size else (-1,)
        return Located(
            self.i, slopes.places[k], float(slopes.promised[k]), estimate,
            slopes.promised.reshape(shape), slopes.measured.reshape(shape),
            slopes.errors.reshape(shape), wrong, **where,
        )  # fmt: skip


def _spread(places: Array, most: int) -> list[Place]:
    """Choose some of many places, spread over them."""
    return [tuple(map(int, places[k])) for k in spaced(0, len(places), most)]


def _moved(x: Array, u: Array, h: float) -> Array:
    return x + h * u if np.any(u) else x.copy()


def most_wrong(evidence: Evidence) -> Located | None:
    """Find the input, and the elements of it, whose slope is further off than is uncertain."""
    moved = [i for i, u in enumerate(evidence.climb.directions) if np.any(u)]
    best: Located | None = None
    for i in _suspects(evidence, moved):
        gradient = _Gradient(evidence, i)
        few = gradient.x.size <= EVERY_ELEMENT
        located = gradient.found_one_by_one() if few else gradient.found_by_halving()
        if located is not None and (best is None or _off(located) > _off(best)):
            best = located
    return best


def _off(located: Located) -> float:
    return abs(located.analytic - located.estimate.value)


def _suspects(evidence: Evidence, moved: Sequence[int]) -> Sequence[int]:
    """Choose the inputs to look at element by element: all, or the worst where there are many."""
    point, weights, gradients = evidence.point, evidence.weights, evidence.gradients
    if len(moved) < 2 or point.size <= EVERY_ELEMENT:
        return moved
    off = []
    for i in moved:
        directions = [np.zeros(x.shape) for x in point.arrays]
        directions[i] = direction_like(point.arrays[i], point.generator)
        climbed = point.measurer.climb(directions, 2.0**-8)
        numeric = climbed.ladder.slope(weights)
        slope, _ = promised([gradients[i]], [climbed.directions[i]])
        off.append(abs(slope - numeric.value) / (abs(numeric.value) + 1e3 * numeric.error))
    return [moved[int(np.argmax(np.nan_to_num(off, nan=np.inf)))]]


def _region_of(places: Sequence[Place], shape: tuple[int, ...]) -> tuple[Run, ...] | None:
    """Give a range along each axis that holds these places and no others, if there is one."""
    if not places or not shape:
        return None
    axes = np.array(places).T
    region = tuple((int(axis.min()), int(axis.max()) + 1) for axis in axes)
    size = np.prod([high - low for low, high in region])
    return region if size == len(places) else None


def _places_in(region: tuple[Run, ...], most: int) -> list[Place]:
    """Choose some places of a region, spread over it."""
    shape = [high - low for low, high in region]
    some = spaced(0, int(np.prod(shape)), most)
    corner = [low for low, _ in region]
    return [
        tuple(int(a + b) for a, b in zip(corner, np.unravel_index(k, shape), strict=True))
        for k in some
    ]
