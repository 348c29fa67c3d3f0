"""What wrong numbers look like: each pattern is named where it made them, and not elsewhere."""

import numpy as np
import pytest

from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging.numerical import Estimate
from tinygrad_lab.testing.telling.counterfactuals import done_instead
from tinygrad_lab.testing.telling.digits import arrays_side_by_side, compared, side_by_side
from tinygrad_lab.testing.telling.ratios import Size, in_words
from tinygrad_lab.testing.telling.regions import region

RNG = np.random.default_rng(0)
SIX, TWELVE, FORTY = RNG.normal(size=6), 2 * RNG.normal(size=12), RNG.normal(size=40)
SQUARE, WIDE = RNG.normal(size=(3, 3)), RNG.normal(size=(4, 5))
WEIGHTS = np.arange(9.0).reshape(3, 3)


IMAGE = RNG.normal(size=(4, 3))


def assigned(x, index, values):
    dx = np.zeros(x.shape)
    dx[index] = values
    return dx


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def slope(x):
    return np.cos(x)


@pytest.mark.parametrize(
    ("f", "vjp", "x", "text"),
    [
        (np.sin, lambda g, x: slope(x), SIX, "the upstream is not used: it is taken for 1"),
        (np.sin, lambda g, x: slope(x) * g.mean(), SIX, "the upstream is averaged"),
        (np.sin, lambda g, x: slope(x) * np.abs(g), SIX, "the absolute value of the upstream"),
        (
            lambda x: np.sin(x) * WEIGHTS,
            lambda g, x: g.T * slope(x) * WEIGHTS,
            SQUARE,
            "the upstream is transposed",
        ),
        (
            lambda x: np.cumsum(x, 0),
            lambda g, x: np.repeat(g[-1:], 4, 0),
            WIDE,
            "of the upstream only the last along axis 0 is used",
        ),
        (
            softmax,
            lambda g, x: g * softmax(x) * (1 - softmax(x)),
            SIX,
            "only the diagonal of the Jacobian is used",
        ),
        (lambda x: x @ SQUARE, lambda g, x: g @ SQUARE, SIX[:3], "the Jacobian is not transposed"),
        (
            np.sin,
            lambda g, x: np.where(np.arange(40) < 32, g * slope(x), 0),
            FORTY,
            "zero there",
        ),
        (
            np.sin,
            lambda g, x: g * slope(x) * np.where(x < 0, 2, 1),
            TWELVE,
            "wrong where it is negative: ratio 2.000: twice too large",
        ),
        (
            np.sin,
            lambda g, x: g * slope(x) * np.where(np.abs(x) < 0.5, 3, 1),
            FORTY,
            "wrong where its absolute value is",
        ),
        (
            np.sin,
            lambda g, x: g * slope(x) * (1 + (np.arange(4) == 2))[:, None],
            WIDE,
            "ratio 2.000: twice too large",
        ),
        (
            lambda x: x @ x,
            lambda g, x: (g @ x.T + x.T @ g) * (1 + np.eye(3)),
            SQUARE,
            "wrong on the diagonal alone: ratio 2.000",
        ),
        (logistic, lambda g, x: g + 0, SIX, "the factor the result * (1 - the result) is missing"),
        (logistic, lambda g, x: g * logistic(x), SIX, "the factor 1 - the result is missing"),
        (np.tanh, lambda g, x: g * (1 - np.tanh(x)), SIX, "the factor 1 + the result is missing"),
        (lambda x: x**2, lambda g, x: 2 * g, SIX, "the factor x is missing"),
        (
            lambda w: np.sum(np.tanh(w)) + 0.05 * np.sum(w * w),
            lambda g, w: g * (1 - np.tanh(w) ** 2),
            SIX,
            "the term 0.1 * w is missing",
        ),
        (
            lambda p: np.log(p + 1e-7),
            lambda g, p: g / p,
            np.abs(SIX) + 0.1,
            "right up to 1e-07 beside p, a small constant in the forward pass",
        ),
        (lambda x: x.T * 1.0, lambda g, x: g * 1.0, SQUARE, "transposed"),
        (
            lambda w: np.array([np.sum(IMAGE[i : i + 2, :2] * w[::-1, ::-1]) for i in range(3)]),
            lambda g, w: sum(g[i] * IMAGE[i : i + 2, :2] for i in range(3)),
            SQUARE[:2, :2],
            "reversed along several axes",
        ),
        (
            lambda x: np.sin(x[[0, 2, 0, 1, 1]]),
            lambda g, x: assigned(x, [0, 2, 0, 1, 1], g * slope(x[[0, 2, 0, 1, 1]])),
            SIX[:4],
            "of several contributions to a place the last one alone is kept",
        ),
        (
            lambda x: np.cumsum(x @ SQUARE, axis=0),  # the later steps of a recurrence left out
            lambda g, x: g @ SQUARE.T,
            IMAGE,
            "of the results only those at the same index of axis 0 are used",
        ),
        (np.sin, lambda g, x: g * slope(x) * (1 + 3e-6), TWELVE, "right but for a small factor"),
    ],
)  # fmt: skip
def test_a_pattern_is_named_where_it_made_the_numbers(f, vjp, x, text):
    wrong = tgt.gradcheck(tgt.adapters.numpy(f, vjp), x, properties=["directional"], raises=False)
    (finding,) = wrong.findings
    assert text in finding.diagnosis


def test_numbers_of_chance_have_no_pattern():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        wrong = rng.normal(size=5)
        f = tgt.adapters.numpy(np.sin, lambda g, x, wrong=wrong: g * np.cos(x) + wrong)
        report = tgt.gradcheck(f, rng.normal(size=5), properties=["directional"], raises=False)
        assert not report.findings[0].diagnosis
        assert not done_instead(wrong, rng.normal(size=(4, 5)), [rng.normal(size=4)])


def test_few_elements_make_no_region():
    assert not region(np.array([True, False]), np.array([3.0, 1.0]))
    assert not region(np.array([True, True, True]), np.array([3.0, 1.0, 2.0]))
    assert region(np.arange(9) == 8) == "wrong at the last element of 9 alone"


ROWS, PIXELS = Size(8, "rows of X"), Size(24, "elements of Y")


@pytest.mark.parametrize(
    ("ratio", "sizes", "text"),
    [
        (8, [ROWS], "not divided by 8, the number of rows of X"),
        (-1 / 8, [ROWS], "sign flipped and divided by 8, the number of rows of X, once too often"),
        (12, [PIXELS], "24/2, of 24 elements of Y: a sum in place of a mean, without the 2 of a"),
        (2, [Size(2, "rows of X")], "twice too large; or not divided by 2, the number of rows"),
        (2, [Size(2, "elements", False)], "twice too large"),
        (8 / 7, [ROWS], "divided by 8 - 1 where it should be 8, of 8 rows of X"),
        (7 / 8, [ROWS], "divided by 8 where it should be 8 - 1, of 8 rows of X"),
        (8 * 24, [ROWS, PIXELS], "not divided by 192, of 8 rows of X and 24 elements of Y"),
        (88 / 8, [ROWS, Size(88, "results")], "divided by 8 where it should be 88"),
        (2 / 3, [ROWS], "a 2 in the place of a 3"),
        (1 + 1e-5, [], "right but for a small factor"),
        (np.pi, [], "a factor pi too many"),
    ],
)
def test_ratios_in_words(ratio, sizes, text):
    assert in_words(ratio, sizes).startswith(text)


def test_a_ratio_that_nothing_explains_has_no_words():
    assert in_words(1.234, [ROWS, PIXELS]) is None


def test_numbers_that_differ_are_seen_to_differ():
    assert side_by_side(4.8735941e-07, 4.8735912e-07) == ("4.8735941e-07", "4.8735912e-07")
    assert side_by_side(1.0, 1.0 + 2.0**-52) == ("1", "1.0000000000000002")
    assert side_by_side(2.0, 2.0) == ("2", "2")
    assert side_by_side(np.nan, np.inf) == ("nan", "inf")
    assert compared(1.0000001, Estimate(1.0, 1e-12))[1].endswith("a difference of 1e-07")
    narrow, wide = np.zeros(9), np.zeros(9)
    wide[7] = 1e-3
    assert arrays_side_by_side(narrow, wide, 2) == ("[0, 0]", "[0, 0.001]")


def test_a_message_shows_the_digits_that_differ():
    f = tgt.adapters.numpy(np.sin, lambda g, x: g * np.cos(x) * (1 + 1e-8))
    report = tgt.gradcheck(f, SIX, properties=["directional"], raises=False)
    line = report.findings[0].lines[0]
    by_rule, numeric = line.partition("rule gives ")[2].split(", numeric ")
    assert by_rule != numeric.split(" ± ")[0]
    assert "a difference of" in line
    assert "1.00000001" in line
