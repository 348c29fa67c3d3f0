"""Every input has a measurement and a resolution of its own: none hides behind a larger one."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt

RNG = np.random.default_rng(5)


@tl.primitive
def flipped(x):
    return np.sin(x)


tl.defvjp(flipped, lambda g, y, x: -g * np.cos(x))

A, B = np.array([0.4, 1.1, -0.7]), np.array([0.3, -0.2])


def failure(fn, *inputs, **kwargs):
    with pytest.raises(tgt.GradientError) as caught:
        tgt.gradcheck(fn, *inputs, **kwargs)
    return caught.value.finding


SMALL_BESIDE_LARGE = {
    "sum": lambda wave: lambda a, b: 1e6 * np.sin(a).sum() + 1e-5 * wave(b).sum(),
    "quotient": lambda wave: lambda a, b: np.exp(a).sum() * 1e5 + wave(b).prod() / 1e4,
    "nested": lambda wave: lambda a, b: (a * (1e5 + 1e-4 * wave(b).sum())).sum(),
    "outputs": lambda wave: lambda a, b: [1e7 * np.cos(a), 1e-4 * wave(b)],
    "power": lambda wave: lambda a, b: (1e3 * a**2).sum() + (1e-2 * wave(b)).sum() ** 2 * 1e-3,
}


@pytest.mark.parametrize("f", SMALL_BESIDE_LARGE.values(), ids=SMALL_BESIDE_LARGE)
def test_a_wrong_gradient_by_a_small_input_beside_a_large_one(f):
    assert failure(f(flipped), A, B).input == 1
    right = tgt.gradcheck(f(np.sin), A, B)
    assert right.verdict == "pass"
    assert right.resolution == max(right.resolutions.values()) < 1e-6


def layers(first, x):
    def network(*ws):
        h = first(x, ws[0])
        for w in ws[1:]:
            h = tl.sigmoid(h) @ w
        return tl.sigmoid(h).sum()

    return network


def test_the_first_of_many_layers():
    x, weights = RNG.normal(size=(3, 4)), [RNG.normal(size=(4, 4)) for _ in range(22)]

    @tl.primitive
    def backwards(h, w):
        return h @ w

    tl.defvjp(backwards, None, lambda g, y, h, w: -h.T @ g)
    assert failure(layers(backwards, x), *weights, properties="numbers").input == 0
    report = tgt.gradcheck(layers(np.matmul, x), *weights, properties="numbers")
    assert report.verdict == "pass"  # the first by complex step: no difference is that fine
    assert len(report.resolutions) == len(weights)


def test_an_input_without_influence_claims_no_resolution():
    report = tgt.gradcheck(lambda a, b: np.sin(a).sum() + 0 * b.sum(), A, B)
    assert report.verdict == "pass"
    assert report.resolutions["a"] < 1e-7
    assert report.resolutions["b"] is None
    assert "b: nothing moves" in str(report)


def test_a_report_states_the_resolution_of_each_input():
    report = tgt.gradcheck(lambda a, b: np.sin(a).sum() * np.cos(b).sum(), A, B)
    assert "  by input: a 1e-09, b 1e-09" in str(report)
