"""The ladder against functions whose slopes are known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_lab.testing.judging.numerical import (
    Estimate,
    climb,
    direction_like,
    exact_slope,
    quantized,
    scales_of,
)
from tinygrad_lab.testing.judging.trial import compare

ONE = np.ones(1)

# name: (function, slope, where); the places include what defeats a fixed step
FUNCTIONS = {
    "exp": (np.exp, np.exp, (-5, 5)),
    "sin": (np.sin, np.cos, (-9, 9)),
    "sin 30x": (lambda x: np.sin(30 * x), lambda x: 30 * np.cos(30 * x), (-1, 1)),
    "1e6 + sin": (lambda x: 1e6 + np.sin(x), np.cos, (-1, 1)),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2, (-18, 18)),
    "log near 0": (np.log, lambda x: 1 / x, (1e-4, 1e-2)),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x), (1e-3, 4)),
    "x**2 at 1e9": (np.square, lambda x: 2 * x, (1e8, 1e9)),
}


def ladder_at(f, x, first=2.0**-5):
    scale = scales_of(np.array([x]))
    with np.errstate(invalid="ignore"):
        return climb(lambda h: f(np.array([x]) + h * scale), first=first), scale[0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_false_alarm_and_a_slip_of_a_millionth_is_seen(name):
    f, slope, (low, high) = FUNCTIONS[name]
    verdicts = []
    for x in np.random.default_rng(0).uniform(low, high, 100):
        ladder, scale = ladder_at(f, x)
        measured = ladder.slope(ONE)
        right = float(slope(x)) * scale
        assert compare(right, measured).verdict != "fail", (x, right, measured)
        wrong = compare(right * (1 + 1e-6), measured)
        assert wrong.verdict != "pass" or wrong.resolution > 1e-6, (x, wrong)
        verdicts.append(wrong.verdict)
    if name not in DULL:
        assert verdicts.count("fail") >= 95


# Where little moves in much, a pass says by its resolution what it would have missed.
DULL = ("1e6 + sin", "tanh", "log near 0")


def test_uncertainty_is_honest():
    off = []
    for f, slope, (low, high) in FUNCTIONS.values():
        for x in np.random.default_rng(1).uniform(low, high, 50):
            ladder, scale = ladder_at(f, x)
            measured = ladder.slope(ONE)
            off.append(abs(measured.value - slope(x) * scale) / measured.error)
    assert np.quantile(off, 0.99) < 5


@given(x=st.floats(-3, 3).filter(lambda x: abs(x) > 0.1))
def test_kinks_are_told_from_curves_by_the_gap_ratio(x):
    curve, _ = ladder_at(lambda t: np.sin(t) + t * t, x)
    kink, _ = ladder_at(lambda t: np.sin(t) + np.abs(t - x), x)
    assert abs(curve.gap_ratio(ONE)) < 0.75
    assert kink.gap_ratio(ONE) == pytest.approx(1.0, abs=0.1)
    left, right, error = kink.sides()
    assert right[0] - left[0] == pytest.approx(2 * scales_of(np.array([x]))[0], rel=1e-6)
    assert error[0] < 1e-6


def test_exact_slopes_are_exact_and_only_where_they_can_be():
    assert exact_slope(lambda h: np.array([2 * h * h + 3 * h + 7]))[0] == 3
    assert exact_slope(lambda h: np.array([h**3])) is None
    assert exact_slope(lambda h: np.array([h**4])) is None
    assert exact_slope(lambda h: np.array([abs(h)])) is None
    assert exact_slope(lambda h: np.array([0.5 * h])) is None
    assert exact_slope(lambda h: np.array([np.nan])) is None


def test_a_function_that_is_not_finite_there_decides_nothing():
    ladder, _ = ladder_at(np.log, 1e-5)
    assert not ladder.finite
    assert compare(1.0, ladder.slope(ONE)).verdict == "inconclusive"


def test_verdicts():
    assert compare(0.0, Estimate(0.0, 1e-15), size=1.0).verdict == "pass"
    assert compare(math.nan, Estimate(0.0, 1e-15)).verdict == "fail"
    assert compare(math.nan, Estimate(math.nan, 1e-15)).verdict == "inconclusive"
    assert compare(1.0, Estimate(2.0, 0.01)).verdict == "inconclusive"
    assert compare(1.0, Estimate(2.0, 1e-4)).verdict == "fail"


def test_scales_are_powers_of_two_near_the_size():
    assert scales_of(np.array([0.0, 1.0, -5.0, 1e-9])).tolist() == [1, 1, 4, 2.0**-7]


def test_steps_are_taken_exactly():
    generator = np.random.default_rng(0)
    x = generator.normal(size=1000) * 10.0 ** generator.integers(-3, 6, 1000)
    u = quantized(x, direction_like(x, generator), 2.0**-5)
    for k in range(5):
        h = 2.0 ** -(5 + k)
        moved = (x + h * u) - x
        assert np.mean(moved == h * u) > 0.95
