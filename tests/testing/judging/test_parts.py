"""Every input has a measurement and a resolution of its own: none hides behind a larger one."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.testing.failures import finding
from tinygrad_lab import testing as tgt

RNG = np.random.default_rng(5)


@tl.primitive
def flipped(x):
    return np.sin(x)


tl.defvjp(flipped, lambda g, y, x: -g * np.cos(x))

A, B = np.array([0.4, 1.1, -0.7]), np.array([0.3, -0.2])


SMALL_BESIDE_LARGE = {
    "sum": lambda wave: lambda a, b: 1e6 * np.sin(a).sum() + 1e-5 * wave(b).sum(),
    "quotient": lambda wave: lambda a, b: np.exp(a).sum() * 1e5 + wave(b).prod() / 1e4,
    "nested": lambda wave: lambda a, b: (a * (1e5 + 1e-4 * wave(b).sum())).sum(),
    "outputs": lambda wave: lambda a, b: [1e7 * np.cos(a), 1e-4 * wave(b)],
    "power": lambda wave: lambda a, b: (1e3 * a**2).sum() + (1e-2 * wave(b)).sum() ** 2 * 1e-3,
}


@pytest.mark.parametrize("f", SMALL_BESIDE_LARGE.values(), ids=SMALL_BESIDE_LARGE)
def test_a_wrong_gradient_by_a_small_input_beside_a_large_one(f):
    assert finding(f(flipped), A, B).input == 1
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
    x, weights = RNG.normal(size=(3, 4)), [RNG.normal(size=(4, 4)) for _ in range(16)]

    @tl.primitive
    def backwards(h, w):
        return h @ w

    tl.defvjp(backwards, None, lambda g, y, h, w: -h.T @ g)
    assert finding(layers(backwards, x), *weights, properties="numbers").input == 0
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
    a, b = (f"{report.resolutions[name]:.0e}" for name in "ab")
    assert f"  by input: a {a}, b {b}" in str(report)


def adapted(f, slope, factors):
    """A sum of ``f`` of elements, with the gradient times some factors."""
    return tgt.adapters.numpy(lambda x: np.sum(f(x)), lambda g, x: g * slope(x) * factors)


def one(n, k, value):
    factors = np.ones(n)
    factors[k] = value
    return factors


SPREAD = np.linspace(-2.1, 2.3, 40)
HIDDEN = {
    "a small slope beside large ones": (np.exp, np.exp, np.array([-22.0, 1.0, 2.0, 3.0]), 0, -1),
    "a small parameter": (np.sin, np.cos, np.array([1e8, 1e-8, 1e-8, 3.0]), 1, -1),
    "a small factor": (lambda x: x**2, lambda x: 2 * x, np.array([1e4, 2e-3, 5e3, 1.0]), 1, 0),
    "the smallest of many": (np.sinh, np.cosh, np.append(SPREAD * 8, 0.01), 40, 1.003),
    "a zero that is none": (np.tanh, lambda x: np.cosh(x) ** -2.0, SPREAD * 4, 0, 0),
    "one of a thousand": (np.cos, lambda x: -np.sin(x), np.linspace(0.01, 9, 1000), 513, 1.0001),
}


@pytest.mark.parametrize(("f", "slope", "x", "k", "factor"), HIDDEN.values(), ids=HIDDEN)
def test_a_wrong_element_beside_larger_ones(f, slope, x, k, factor):
    wrong = adapted(f, slope, one(x.size, k, factor))
    fault = finding(wrong, x, properties=["directional"])
    assert fault.index in ((k,), None)  # None of what long double alone can tell
    right = tgt.gradcheck(adapted(f, slope, 1.0), x, properties=["directional"])
    assert right.verdict == "pass"


def test_what_is_stated_would_have_been_seen_in_any_element():
    x = np.linspace(-3, 3, 13)
    right = tgt.gradcheck(adapted(np.sin, np.cos, 1.0), x, properties="numbers")
    for k in range(x.size):
        wrong = adapted(np.sin, np.cos, one(x.size, k, 1 + 1.1 * right.resolution))
        assert tgt.gradcheck(wrong, x, properties="numbers", raises=False).verdict != "pass", k


def test_the_jacobian_states_the_resolution_of_each_input():
    report = tgt.gradcheck(lambda a, b: np.sin(a) * 1e3 + np.tan(b[0]), A, B, properties="jacobian")
    assert [part.name for part in report.results[0].parts] == ["a", "b"]
    assert set(report.resolutions) == {"a", "b"}


# ---------------------------------------------------------------------------------------------
# Exact mode: whole numbers, where nothing is rounded


def by_differences(g, w, h=1.1e-6):
    """A gradient as difference quotients have it: right to nine digits, and rounded."""
    units = h * np.eye(w.size).reshape(w.size, *w.shape)
    slopes = [np.sum((w + e) ** 2) - np.sum((w - e) ** 2) for e in units]
    return np.reshape(slopes, w.shape) * g / (2 * h)


def test_a_rule_that_rounds_on_whole_numbers_is_right():
    f = tgt.adapters.numpy(lambda w: np.sum(w * w), by_differences)
    reports = [tgt.gradcheck(f, A, properties=["exact"], rng=seed) for seed in range(12)]
    assert all(report.passed for report in reports)
    assert "the rule rounds" in "".join(map(str, reports))


@pytest.mark.parametrize("factor", [1 + 1e-13, 1 + 1e-9, 0.5])
def test_a_small_factor_is_no_rounding(factor):
    f = tgt.adapters.numpy(lambda w: np.sum(w * w), lambda g, w: 2 * g * w * factor)
    fault = finding(f, A, properties=["exact"])
    assert any("at whole numbers: w = " in line for line in fault.lines)
    assert any("along w = " in line for line in fault.lines)


def test_exact_mode_blames_an_operation():
    @tl.primitive
    def squared(x):
        return x * x

    def rule(g, y, x):
        values = x.data if isinstance(x, tl.Tensor) else x
        return 2 * g * np.where(values == np.rint(values), x + 1, x)

    tl.defvjp(squared, rule)
    fault = finding(lambda x: squared(x) * 2 + x, A)
    assert fault.property == "exact"
    assert fault.index is not None
    assert fault.blame.guilty.what == "squared"
