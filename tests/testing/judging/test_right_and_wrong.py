"""Kinds of functions that are hard to judge: the right ones are never called wrong, and twins are.

Of each kind some functions and points that nothing was tuned to.  Black boxes, whose inside nobody
sees; a twin has a gradient that is twice as large, or has the wrong sign.
"""

import math

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging import trial
from tinygrad_lab.testing.judging.numerical import has_kink, is_white, noise_of

PROPERTIES = ["linear_in_upstream", "directional", "jacobian", "layouts"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def back_through_softmax(g, x):
    return softmax(x) * (g - g @ softmax(x))


def inside(low, high, f):
    def refusing(x):
        if not np.all((x > low) & (x < high)):
            raise ValueError("outside of the domain")
        return f(x)

    return refusing


def narrow(f):
    return lambda x: f(x.astype(np.float32)).astype(np.float64)


def elementwise(slope):
    return lambda g, x: g * slope(x)


def back_through_sort(g, x):
    out = np.zeros_like(x)
    out[np.argsort(x)] = g
    return out


FACTORS = np.array([[0.3, -1.7, 2.2], [1.1, 0.4, -0.9]], np.float32)

#: function, backward pass, points
ROUNDS = {
    "tanh": (np.tanh, elementwise(lambda x: 1 - np.tanh(x) ** 2), [[9.0], [10.3, 0.4], [-12.0]]),
    "y(1-y)": (sigmoid, elementwise(lambda x: sigmoid(x) * (1 - sigmoid(x))), [[20.0], [30.0, -2]]),
    "softplus as it is said": (
        lambda x: np.log(1 + np.exp(x)),
        elementwise(lambda x: np.exp(x) / (1 + np.exp(x))),
        [[-21.0], [-26.0, 2.0]],
    ),
    "softmax": (softmax, back_through_softmax, [[0.0, 22.0, 1.0], [14.0, -3.0]]),
    "near its expansion": (
        lambda x: x - np.arctan(x),
        elementwise(lambda x: 1 - 1 / (1 + x * x)),
        [[1e-2], [3e-3]],
    ),
    "a difference of squares": (
        lambda x: x[:1] ** 2 - x[1:] ** 2,
        lambda g, x: np.array([2, -2]) * x * g,
        [[1e8, 1e8 + 1], [1.0, 1 + 1e-9]],
    ),
    "a variance": (np.var, lambda g, x: 2 * g * (x - x.mean()) / x.size, [[1e5, 1e5 + 1, 1e5 - 3]]),
}
NARROW = {
    "sin": (narrow(np.sin), elementwise(narrow(np.cos)), [[0.3], [1.7, -2.2, 0.9]]),
    "softmax": (
        narrow(softmax),
        lambda g, x: back_through_softmax(g.astype(np.float32), x.astype(np.float32)).astype(float),
        [[0.1, 0.5, 2.0]],
    ),
    "a product": (
        narrow(lambda x: FACTORS @ x),
        lambda g, x: (FACTORS.T @ g.astype(np.float32)).astype(float),
        [[0.3, 1.0, -2.0]],
    ),
    "a length": (
        narrow(lambda x: np.sqrt(np.sum(x * x))),
        lambda g, x: g * narrow(lambda x: x / np.sqrt(np.sum(x * x)))(x),
        [[1e-3, 2.0, 5.0], [0.7, -0.2]],
    ),
    "the way back alone": (np.sin, elementwise(narrow(np.cos)), [[0.3, 1.1]]),
}
ENDS = {
    "log": (inside(0, np.inf, np.log), elementwise(lambda x: 1 / x), [[1e-4], [1e-9, 2.0]]),
    "math.sqrt": (
        lambda x: np.array([math.sqrt(v) for v in x]),
        elementwise(lambda x: 0.5 / np.sqrt(x)),
        [[1e-4], [1e-8, 3.0]],
    ),
    "a beta density": (
        inside(0, 1, lambda x: 2 * np.log(x) + 3 * np.log(1 - x)),
        elementwise(lambda x: 2 / x - 3 / (1 - x)),
        [[1e-6], [0.999999]],
    ),
    "a cube, up to 1": (
        inside(-1, 1 + 1e-15, lambda x: x**3),
        elementwise(lambda x: 3 * x * x),
        [[1.0]],
    ),
    "not a number beside it": (
        lambda x: np.where(np.abs(x - 1) < 5e-4, x, np.nan),
        elementwise(np.ones_like),
        [[1.0], [1.0001]],
    ),
    "arccos": (
        np.arccos,
        elementwise(lambda x: -1 / np.sqrt(1 - x * x)),
        [[1 - 1e-9], [1 - 1e-13]],
    ),
}
TIES = {
    "sort": (np.sort, back_through_sort, [[1, 1 + 1e-4, 2], [1, 1 + 1e-8, 2], [1, 1 + 1e-12, 2]]),
    "abs": (np.abs, elementwise(np.sign), [[1e-5], [-1e-9, 1.0], [3e-13]]),
    "clip": (
        lambda x: np.clip(x, -1, 1),
        elementwise(lambda x: np.abs(x) < 1),
        [[1 - 1e-3], [1 - 1e-7], [1 - 1e-12]],
    ),
    "steps on a slope": (
        lambda x: x * x + np.floor(x),
        elementwise(lambda x: 2 * x),
        [[1.001], [2 - 1e-6]],
    ),
}
FAST = {
    "a faster sin": (
        lambda x: np.sin(1e9 * x),
        elementwise(lambda x: 1e9 * np.cos(1e9 * x)),
        [[0.1, 0.7]],
    ),
    "sin": (lambda x: np.sin(1e6 * x), elementwise(lambda x: 1e6 * np.cos(1e6 * x)), [[0.3]]),
    "exp": (lambda x: np.exp(50 * x), elementwise(lambda x: 50 * np.exp(50 * x)), [[5.0, -5.0]]),
    "a high power": (lambda x: x**20, elementwise(lambda x: 20 * x**19), [[1e9], [1e-9]]),
    "a bell's tail": (
        lambda x: np.exp(-x * x),
        elementwise(lambda x: -2 * x * np.exp(-x * x)),
        [[10.0], [26.0]],
    ),
}
GROUPS = {"rounds": ROUNDS, "narrow": NARROW, "ends": ENDS, "ties": TIES, "fast": FAST}
KINDS = {f"{kind}: {name}": case for kind, of in GROUPS.items() for name, case in of.items()}


def reports(name, factor):
    f, vjp, points = KINDS[name]
    wrong = tgt.adapters.numpy(f, lambda g, x: factor * np.asarray(vjp(g, x), float))
    for x in points:
        yield x, tgt.gradcheck(wrong, np.array(x, float), properties=PROPERTIES, raises=False)


@pytest.mark.parametrize("longer", [True, False], ids=["with long double", "without"])
@pytest.mark.parametrize("name", KINDS)
def test_a_right_gradient_is_never_called_wrong(name, longer, monkeypatch):
    if not longer:
        monkeypatch.setattr(trial, "LONG_DOUBLE_IS_LONGER", False)
    for x, report in reports(name, 1.0):
        assert report.verdict != "fail", (x, str(report))


@pytest.mark.parametrize("factor", [-1.0, 2.0])
@pytest.mark.parametrize("name", KINDS)
def test_a_wrong_gradient_is_never_right(name, factor):
    """Where it cannot be told, the check says so: it is no pass that claims to have looked."""
    failed = 0
    for x, report in reports(name, factor):
        resolution = report.resolution or math.inf
        assert report.verdict != "pass" or resolution > 1, (x, str(report))
        failed += report.verdict == "fail"
    assert failed


@pytest.mark.parametrize("f", [np.tanh, tl.sigmoid], ids=["tanh", "sigmoid"])
@pytest.mark.parametrize("x", [9.0, 10.3, 12.0, 16.0])
def test_what_is_saturated_passes_and_says_how_little_was_seen(f, x):
    report = tgt.gradcheck(f, np.array([x]))
    assert report.verdict == "pass", str(report)


def test_noise_is_what_scatters_about_a_smooth_curve():
    x = 1 + np.arange(9) / 2**10
    scattered = np.sin(x) + 1e-6 * np.random.default_rng(0).normal(size=9)
    assert noise_of(np.sin(x)) < 1e-15
    assert 1e-7 < noise_of(scattered) < 4e-6
    assert is_white(scattered)
    assert not is_white(np.exp(200 * x))
    assert has_kink(np.abs(x - x[4]))
    assert not has_kink(np.sign(x - x[4] + 1e-9))
    assert not has_kink(scattered)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@pytest.mark.parametrize(
    ("f", "slope", "x"),
    [
        (_softplus, lambda x: 1 / (1 + np.exp(-x)), [0.0, 1.0]),
        (np.exp, np.exp, [0.0, -2.0]),
        (np.tanh, lambda x: 1 - np.tanh(x) ** 2, [0.0]),
    ],
)
def test_a_rule_that_is_wrong_at_one_point_alone(f, slope, x):
    right = tgt.adapters.numpy(f, lambda g, x: g * slope(x))
    wrong = tgt.adapters.numpy(f, lambda g, x: g * np.where(x == 0, 0.0, slope(x)))
    assert tgt.gradcheck(right, np.array(x)).passed
    report = tgt.gradcheck(wrong, np.array(x), raises=False)
    assert report.verdict == "fail"
    assert report.findings[0].kind == "wrong"


@pytest.mark.parametrize("border", [1.0, 20.0])
@pytest.mark.parametrize("factor", [2.0, 1.01])
def test_a_rule_that_is_wrong_from_the_point_on(border, factor):
    wrong = tgt.adapters.numpy(
        np.sin, lambda g, x: g * np.where(x >= border, factor, 1.0) * np.cos(x)
    )
    report = tgt.gradcheck(wrong, np.array([border, 0.25]), raises=False)
    assert report.verdict == "fail"
    assert report.findings[0].index == (0,)


@pytest.mark.parametrize("x", [2.2363, 2.24, 2.246])
def test_a_rule_that_is_wrong_in_an_interval(x):
    inside = lambda x: (x > 2.236) & (x < 2.2465)
    wrong = tgt.adapters.numpy(np.sin, lambda g, x: g * np.where(inside(x), 2, 1) * np.cos(x))
    assert tgt.gradcheck(wrong, np.array([x]), raises=False).verdict == "fail"
