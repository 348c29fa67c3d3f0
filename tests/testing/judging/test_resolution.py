"""A resolution that is printed is true: no larger relative error passes."""

import os

import numpy as np
import pytest

from tinygrad_lab import testing as tgt

MOST = 5 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 2  # elements
RNG = np.random.default_rng(7)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


FUNCTIONS = {
    "terms that cancel in the slope": (
        lambda x: np.exp(x[0]) - np.mean(np.exp(x[1:])),
        lambda g, x: g * np.exp(x) * np.append(1, np.full(x.size - 1, -1 / (x.size - 1))),
        1 + 1e-4 * RNG.normal(size=5),
    ),
    "the value cancels": (
        lambda x: np.sum(x - np.tanh(x)),
        lambda g, x: g * np.tanh(x) ** 2,
        0.05 * RNG.normal(size=3),
    ),
    "both cancel": (
        lambda x: (1 - np.cos(x)) / x**2,
        lambda g, x: g * (x * np.sin(x) - 2 * (1 - np.cos(x))) / x**3,
        np.array([0.21, -0.04, 0.06]),
    ),
    "beside a large number": (
        lambda x: 1e6 + np.sin(x),
        lambda g, x: g * np.cos(x),
        RNG.normal(size=4),
    ),
    "terms of many sizes": (
        lambda x: np.sum(np.exp(x)),
        lambda g, x: g * np.exp(x),
        6 * RNG.normal(size=8),
    ),
    "small slopes": (
        lambda x: np.sum(np.cos(x)) - x.size,
        lambda g, x: -g * np.sin(x),
        1e-3 * RNG.normal(size=8),
    ),
    "softmax": (
        softmax,
        lambda g, x: softmax(x) * (g - g @ softmax(x)),
        3 * RNG.normal(size=5),
    ),
}


@pytest.mark.parametrize(("f", "vjp", "x"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_no_error_above_the_resolution_passes(f, vjp, x):
    right = tgt.gradcheck(tgt.adapters.numpy(f, vjp), x, raises=False, properties="numbers")
    if right.verdict != "pass":
        assert right.verdict == "inconclusive"
        return
    error = 1.2 * right.resolution
    every = np.full(x.size, 1 + error)
    for factors in (every, *(np.where(np.arange(x.size) == k, every, 1) for k in range(MOST))):
        wrong = tgt.adapters.numpy(f, lambda g, x, factors=factors: factors * vjp(g, x))
        report = tgt.gradcheck(wrong, x, raises=False, properties="numbers")
        assert report.verdict != "pass" or abs(error) <= report.resolution, str(report)


def test_one_side_is_not_believed_where_both_together_are_sharper():
    """From one side alone less is seen; what was seen from both is no kink."""
    x = np.array([0.054, 0.0215, 0.0355])
    wrong = tgt.adapters.numpy(
        lambda x: np.sum(x - np.tanh(x)),
        lambda g, x: g * np.tanh(x) ** 2 * np.array([1, 1 + 2e-9, 1]),
    )
    report = tgt.gradcheck(wrong, x, raises=False, properties=["jacobian"])
    assert report.verdict != "pass" or report.resolution > 2e-9
