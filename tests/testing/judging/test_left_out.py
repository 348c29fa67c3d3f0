"""Small constants of the forward function that a gradient leaves out, and what is no such thing."""

import numpy as np
import pytest

from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging.small_constants import small_constants, without

P = np.array([0.59, 0.28, 0.085, 0.064, 0.74])
Q = np.array([0.3, 0.9, 0.5, 1.4, 0.8])
T = np.array([1.0, 0.0, 1.0, 0.0, 0.0])
X = np.random.default_rng(0).normal(size=(6, 3))


def of(f, vjp, *inputs, **options):
    return tgt.gradcheck(tgt.adapters.numpy(f, vjp), *inputs, raises=False, **options)


def normalized(x):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


def normalized_back(g, x):
    s = np.sqrt(x.var(0))
    y = (x - x.mean(0)) / s
    return (g - g.mean(0) - y * (g * y).mean(0)) / s


EPS = 1e-9


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logarithm(p, eps=1e-8):
    return np.log(p + eps)


CLASSES = np.eye(3)[[0, 2, 1, 1, 0, 2]]


def cross_entropy(log):
    return lambda x: -np.sum(CLASSES * log(softmax(x)))


def cross_entropy_back(g, x):
    return g * (softmax(x) - CLASSES)


#: Where probabilities are small beside the constant.
EXTREME = 9 * X

DEEP = "a small constant in the forward pass, which it leaves out"
LEFT_OUT = [
    (lambda p: np.log(p + 1e-7), lambda g, p: g / p, (P,), "1e-07 beside p"),
    (lambda p: np.log(p + 1e-5), lambda g, p: g / p, (P[:1],), "1e-05 beside p"),
    (lambda p: -(T * np.log(p + 1e-6)).sum(), lambda g, p: -g * T / p, (P,), "1e-06 beside p"),
    (lambda x: np.sqrt(x + 1e-8), lambda g, x: g / (2 * np.sqrt(x)), (P,), "1e-08 beside x"),
    (lambda a, b: a / (b + 1e-6), lambda g, a, b: (g / b, -g * a / b**2), (P, Q), "beside b"),
    (lambda x: np.sqrt((x * x).sum() + 1e-8), lambda g, x: g * x / np.sqrt(x @ x), (P,), "leaves"),
    (normalized, normalized_back, (X,), f"right up to 1e-05, {DEEP}"),
    (
        cross_entropy(lambda p: np.log(p + 1e-7)),
        cross_entropy_back,
        (X,),
        f"right up to 1e-07, {DEEP}",
    ),
    (cross_entropy(logarithm), cross_entropy_back, (X,), f"right up to 1e-08, {DEEP}"),
    (
        cross_entropy(lambda p: np.log(np.maximum(p, 0) + EPS)),
        cross_entropy_back,
        (X,),
        f"right up to 1e-09, {DEEP}",
    ),
    (
        cross_entropy(lambda p: np.log(p + 1e-12)),
        cross_entropy_back,
        (EXTREME,),
        f"right up to 1e-12, {DEEP}",
    ),
]


@pytest.mark.parametrize(("f", "vjp", "inputs", "words"), LEFT_OUT)
def test_a_constant_that_is_left_out_is_named_and_can_be_allowed(f, vjp, inputs, words):
    report = of(f, vjp, *inputs)
    assert report.verdict == "fail"
    assert all("right up to" in finding.diagnosis for finding in report.findings)
    assert any(words in finding.diagnosis for finding in report.findings), str(report)
    allowing = [x for x in str(report).split() if x.startswith("tolerance=")]
    tolerance = max(float(x.partition("=")[2]) for x in allowing)
    allowed = of(f, vjp, *inputs, tolerance=tolerance)
    assert allowed.passed, str(allowed)
    assert allowed.notes[0].startswith(f"tolerance={tolerance:g} was needed: off by up to")
    assert allowed.resolution == tolerance


@pytest.mark.parametrize(
    "vjp",
    [
        lambda g, p: g / p * (1 + 1e-6),
        lambda g, p: g / p + 1e-6 * g,
        lambda g, p: g / p * np.array([1, 1, 1, 1 + 1e-5, 1]),
        lambda g, p: g * p**-1.000003,
    ],
)
def test_another_small_slip_is_not_called_one(vjp):
    report = of(np.log, vjp, P)
    assert report.verdict == "fail"
    assert "forward pass" not in str(report)
    assert of(np.log, vjp, P, tolerance=1e-4).passed


def test_a_tolerance_hides_nothing_larger():
    def f(a, b):
        return 1e6 * np.sin(a).sum() + np.sin(b).sum()

    report = of(f, lambda g, a, b: (1e6 * g * np.cos(a), -g * np.cos(b)), P, Q, tolerance=1e-3)
    assert [(finding.kind, finding.input) for finding in report.findings] == [("wrong", 1)]


def test_a_tolerance_that_was_not_needed_changes_nothing():
    report = of(np.sin, lambda g, x: g * np.cos(x), P, tolerance=1e-3)
    assert report.passed and not report.notes and report.resolution < 1e-7


def test_a_slip_besides_the_constant_is_more_than_the_constant():
    report = of(
        cross_entropy(lambda p: np.log(p + 1e-7)),
        lambda g, x: cross_entropy_back(g, x) * (1 + 1e-5),
        X,
    )
    assert report.verdict == "fail"
    assert "right up to" not in str(report)


def test_a_function_without_a_constant():
    f = cross_entropy(logarithm)
    assert small_constants(f) == [1e-8]
    bare = cross_entropy(np.log)
    assert np.array_equal(without(f, 1e-8)(X), bare(X)) and f(X) != bare(X)


@pytest.mark.parametrize("tolerance", [-1e-6, 1.0, "1e-6"])
def test_a_tolerance_is_relative(tolerance):
    with pytest.raises(ValueError, match="tolerance="):
        of(np.sin, np.cos, P, tolerance=tolerance)
