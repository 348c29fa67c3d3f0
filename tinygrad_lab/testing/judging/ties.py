"""What a tie of computed values leaves to be said of a gradient.

At a tie every rule may give one of several slopes, and what comes of right rules need not be a
slope of the whole (J. Bolte and E. Pauwels, *Conservative set valued fields*, Math. Program. 188,
2021): of ``relu(x) - relu(-x)``, which is ``x``, it is 0 at 0.  But a rule that is wrong beside the
tie is wrong, and so is one that gives, at the tie, none of the slopes that its operation has.

Not for: finding ties (``slope.py``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.graph import history
from tinygrad_lab.testing.judging.arrays import bind
from tinygrad_lab.testing.judging.numerical import scales_of
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.slope import has_kinks
from tinygrad_lab.testing.judging.subject import TensorSubject

BESIDE = 2.0**-9  # so far away, relative to the scale of the inputs, is another point
POINTS = 4


def beside(point: Point) -> list[Point]:
    """Give points beside one, where ties are broken, as far as the function is defined there."""
    generator, points = np.random.default_rng(3), []
    for _ in range(POINTS):
        arrays = [
            x + BESIDE * scales_of(x) * generator.uniform(-1, 1, x.shape) for x in point.arrays
        ]
        try:
            points.append(replace(point, arrays=arrays, recorded=point.fresh(arrays)))
        except Exception:  # noqa: BLE001 - it need not be defined there
            continue
    return points


def operations_alone(point: Point) -> list[Point]:
    """Give every call of an operation with a kink, by itself, with what it was called with."""
    calls = [node for node in history(point.recorded.roots) if has_kinks(node)]
    return [alone for alone in map(_alone, calls) if alone is not None]


def _alone(node: Node) -> Point | None:
    places = [i for i, parent in enumerate(node.parents or ()) if parent is not None]
    options = node.kwargs or {}
    try:
        args = bind([np.asarray(x) if i in places else x for i, x in enumerate(node.args)], places)
        subject = TensorSubject(lambda *xs: node.op(*xs, **options), args)
        generator = np.random.default_rng(4)
        recorded = subject.record(args.arrays)
        ups = [generator.uniform(0.5, 1, y.shape) for y in recorded.outputs]
        return Point(subject, list(args.arrays), recorded, ups, generator, 1)
    except Exception:  # noqa: BLE001 - what cannot be called alone tells nothing
        return None
