"""Find the element of a gradient that is most wrong, by measuring the slope along each.

Not for: whether a gradient is wrong at all (``trial.py``), or what the pattern of its elements
looks like (``telling/diagnosis.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.judgement import Evidence
from tinygrad_lab.testing.judging.numerical import Estimate, direction_like, scales_of
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.slope import promised

EVERY_ELEMENT = 64  # up to so many elements, a wrong gradient is shown element by element


class Located(NamedTuple):
    """The element that is most wrong, among those that were looked at."""

    input: int
    place: tuple[int, ...]
    analytic: float
    estimate: Estimate
    promised: Array  # all elements that were looked at
    measured: Array
    errors: Array  # how far off the measured ones may be


def most_wrong(evidence: Evidence) -> Located | None:
    """Find the input, and the element of it, whose slope is furthest from the measured one."""
    point, weights, gradients = evidence.point, evidence.weights, evidence.gradients
    first = evidence.climb.ladder.steps[0]
    worst, located = -1.0, None
    moved = [i for i, u in enumerate(evidence.climb.directions) if np.any(u)]
    for i in _suspects(point, moved, weights, gradients):
        places = list(np.ndindex(*point.arrays[i].shape))
        some = np.linspace(0, len(places) - 1, min(len(places), EVERY_ELEMENT)).astype(int)
        places = [places[j] for j in some]
        values, errors = _measured(point, i, places, weights, first)
        gradient = np.asarray(gradients[i], float)
        own = np.array([gradient[place] for place in places])
        off = np.where(np.isfinite(own), np.abs(own - values), np.inf)
        k = int(np.argmax(off))
        if off[k] > max(worst, 5 * errors[k] + 1e-9 * abs(values[k])):
            worst = float(off[k])
            x = point.arrays[i]
            shape = x.shape if len(places) == x.size else (len(places),)
            looked_at = (part.reshape(shape) for part in (own, values, errors))
            estimate = Estimate(float(values[k]), float(errors[k]))
            located = Located(i, places[k], float(own[k]), estimate, *looked_at)
    return located


def _suspects(
    point: Point, moved: Sequence[int], weights: Array, gradients: Sequence[Array]
) -> Sequence[int]:
    """Choose the inputs to look at element by element: all, or the worst where there are many."""
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


def _measured(
    point: Point, i: int, places: Sequence[tuple[int, ...]], weights: Array, first: float
) -> tuple[Array, Array]:
    """Measure the slope along some elements of one input, with the estimated errors."""
    scales = scales_of(point.arrays[i])
    values, errors = np.zeros(len(places)), np.zeros(len(places))
    for j, place in enumerate(places):
        directions = point.direction(i, place)
        slope = point.measurer.climb(directions, first).ladder.slope(weights)
        if not np.isfinite(slope.value):
            slope = point.measurer.climb(directions, 2.0**-13).ladder.slope(weights)
        values[j], errors[j] = slope.value / scales[place], slope.error / scales[place]
    return values, errors
