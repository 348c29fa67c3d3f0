"""Ladders around one point: what several of them have in common is evaluated once."""

import numpy as np
import pytest

from tinygrad_lab.testing.judging.arrays import Arguments
from tinygrad_lab.testing.judging.slope import Measurer
from tinygrad_lab.testing.judging.subject import TensorSubject


class Listed:
    """A function that lists the points it is called at."""

    def __init__(self):
        self.points = []

    def __call__(self, x):
        self.points.append((x.data.dtype.char, x.data.tobytes()))
        return np.exp(x) * 3


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
def test_a_longer_ladder_goes_on_from_a_shorter_one_of_the_same_direction(dtype):
    point, move = np.array([0.5, -1.25]), np.array([0.25, 1.0])
    f = Listed()
    measurer = Measurer(TensorSubject(f, Arguments((point,), (0,))), [point], [np.exp(point) * 3])
    few = measurer.quick([move], dtype)
    before = len(f.points)
    more = measurer.climb([move], 8 * few.ladder.steps[0], dtype)
    shared = set(few.ladder.steps) & set(more.ladder.steps)
    assert len(f.points) == len(set(f.points)), "some point twice"
    assert len(f.points) - before == 2 * len(set(more.ladder.steps) - shared), "others than needed"
    assert shared
    for sign, rows in ((1, more.ladder.above), (-1, more.ladder.below)):
        for h, row in zip(more.ladder.steps, rows, strict=True):
            there = point.astype(dtype) + sign * h * move.astype(dtype)
            assert row.dtype == dtype
            assert np.array_equal(row, np.exp(there) * 3)


def test_ladders_of_other_directions_and_precisions_have_nothing_in_common():
    point = np.array([0.5, -1.25])
    f = Listed()
    measurer = Measurer(TensorSubject(f, Arguments((point,), (0,))), [point], [np.exp(point) * 3])
    ladders = [
        measurer.climb([np.array(move)], dtype=dtype).ladder
        for move in ([0.25, 1.0], [0.25, -1.0], [1.0, 0.0])
        for dtype in (np.float64, np.longdouble)
    ]
    assert len({ladder.above.tobytes() for ladder in ladders}) == len(ladders)
