"""Points like the one that is checked, where numbers are tame: of the size of 1, nearly.

What differs at a point by less than the last digits of what is computed there may be round-off, or
may be wrong.  What is wrong in a rule is wrong at other points as well; what a formula loses by
saturation, by cancelling or by overflow it loses where numbers are large or small.

Not for: how much round-off there is (``noise.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tinygrad_lab.testing.judging.point import Point

POWERS = (1 / 8, 1 / 16)  # of the sizes of inputs: 1e-8 becomes 0.1, and then 0.3


def tamer(point: Point) -> Iterator[Point]:
    """Give points where every number has the same sign, and is nearer to 1 or -1.

    They are fewer where the function is not defined there, or gives another number of results.
    """
    for power in POWERS:
        arrays = [np.sign(x) * np.abs(x) ** power for x in point.arrays]
        try:
            recorded = point.fresh(arrays)
            draw = np.random.default_rng(0)
            there = replace(point, arrays=arrays, recorded=recorded, generator=draw, is_tame=True)
        except Exception:  # noqa: BLE001 - it need not be defined there
            continue
        shapes = [y.shape for y in recorded.outputs], [u.shape for u in point.upstreams]
        if shapes[0] == shapes[1] and there.has_finite_value:
            yield there
