"""Right gradients of functions that are hard to measure: none may be called wrong."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging import trial

HARD = {
    "cos of a large number": (np.cos, [1e9, 3e8]),
    "the square of a large number": (np.square, [1e9]),
    "1/x near its pole": (lambda x: 1 / x, [1e-12, 1.0]),
    "log of next to nothing": (np.log, [1e-300]),
    "sqrt of next to nothing": (np.sqrt, [1e-20]),
    "a fast oscillation": (lambda x: np.sin(1e6 * x), [0.3]),
    "one among a million": (lambda x: 1e6 + np.sin(x), [1.0]),
    "exp, nearly overflowing": (np.exp, [700.0]),
    "exp, underflowing": (np.exp, [-800.0]),
    "tanh, saturated": (np.tanh, [30.0, -30.0]),
    "log-sum-exp, written as it is said": (lambda x: np.log(np.sum(np.exp(x))), [1.0, 2.0, 300.0]),
    "whole numbers that cancel": (lambda x: (x + 1e8) - 1e8, [0.5, 1.0]),
}

#: Where the slope is nothing beside the value, and so is twice the slope.
NEXT_TO_NOTHING = ("exp, underflowing", "tanh, saturated")

FAR = np.array([1e15, 0.0])

#: What float64 does not hold, no finite difference can tell.
UNDECIDABLE = {
    "swallowed by a large number": (lambda x: (x + 1e15) - 1e15, [0.5, 1.0]),
    "swallowed, then bent": (lambda x: np.sin(x + 1e14 - 1e14), [0.5, 1.0]),
    "swallowed in one element": (lambda x: ((x + FAR - FAR) ** 2)[0], [0.5, 1.0]),
    "one among a million millions": (lambda x: 1e12 + np.sin(x), [1.0]),
    "cancellation, divided": (lambda x: (1 - np.cos(x)) / x**2, [1e-6]),
    "steps finer than any that is taken": (lambda x: np.round(x * 1e7) / 1e7 + 0 * x, [0.3]),
}
NOT_EVEN_BY_COMPLEX_STEP = {
    "underflow": (lambda x: x * tl.sigmoid(-700 * x), [1.0]),
    "terms that cancel": (lambda x: np.log(1 + x) - x, [1e-7]),
    "variance in one pass": (lambda x: np.mean(x * x) - np.mean(x) ** 2, [1e6, 1e6 + 1, 1e6 + 3]),
}


@pytest.mark.parametrize("name", HARD)
def test_no_false_alarm(name):
    f, x = HARD[name]
    assert tgt.gradcheck(f, np.array(x), order=1).verdict == "pass"


@pytest.mark.parametrize("name", NOT_EVEN_BY_COMPLEX_STEP)
def test_what_cannot_be_told_is_inconclusive(name, monkeypatch):
    f, x = NOT_EVEN_BY_COMPLEX_STEP[name]
    with monkeypatch.context() as patched:
        patched.setattr(trial, "LONG_DOUBLE_IS_LONGER", False)
        report = tgt.gradcheck(f, np.array(x))
        assert report.verdict == "inconclusive" or report.resolution > 1e-7, str(report)
    assert tgt.gradcheck(f, np.array(x), raises=False).verdict != "fail"


def as_a_black_box(f):
    """Our own gradient, of a function that shows nothing of its inside."""

    def vjp(g, x):
        leaf = tl.tensor(x, requires_grad=True)
        return tl.gradients(f(leaf), leaf, g)

    return tgt.adapters.numpy(lambda x: f(np.array(x)), vjp)


@pytest.mark.parametrize("name", UNDECIDABLE)
def test_what_no_difference_can_tell_a_complex_step_can(name, monkeypatch):
    f, x = UNDECIDABLE[name]
    monkeypatch.setattr(trial, "LONG_DOUBLE_IS_LONGER", False)
    black_box = tgt.gradcheck(as_a_black_box(f), np.array(x), without=["no_aliasing"])
    assert black_box.verdict == "inconclusive", str(black_box)
    report = tgt.gradcheck(f, np.array(x))
    assert report.verdict == "pass", str(report)
    assert any(r.note == "by complex step" for r in report.results)


@pytest.mark.parametrize("name", UNDECIDABLE)
def test_a_complex_step_sees_what_is_wrong(name):
    f, x = UNDECIDABLE[name]
    tripled = tl.primitive(lambda v: v * 1.0)
    tl.defvjp(tripled, lambda g, y, v: 3 * g)
    tgt.HOLOMORPHIC.add(tripled)
    try:
        report = tgt.gradcheck(lambda v: tripled(f(v)) + v, np.array(x), raises=False)
    finally:
        tgt.HOLOMORPHIC.remove(tripled)
    excused = {
        "steps finer than any that is taken": "pass",
        "cancellation, divided": "inconclusive",
    }
    assert report.verdict in ("fail", excused.get(name, "fail")), str(report)


@pytest.mark.parametrize("name", HARD)
def test_a_wrong_gradient_is_still_wrong_there(name):
    """A doubled gradient, at every place where the right one was hard to see."""
    f, x = HARD[name]
    doubled = tl.primitive(lambda v: v * 1.0)
    tl.defvjp(doubled, lambda g, y, v: 2 * g)
    if name in NEXT_TO_NOTHING:
        return
    report = tgt.gradcheck(lambda v: doubled(f(v)), np.array(x), raises=False)
    assert report.verdict == "fail", str(report)


def test_a_black_box_that_rounds_is_inconclusive(monkeypatch):
    monkeypatch.setattr(trial, "LONG_DOUBLE_IS_LONGER", False)
    f = tgt.adapters.numpy(lambda x: np.sin(x + 1e14 - 1e14), lambda g, x: g * np.cos(x))
    report = tgt.gradcheck(f, np.array([0.5, 1.0]))
    assert report.verdict == "inconclusive"
    assert any("round-off" in r.note for r in report.results)


def test_a_slope_that_is_promised_where_nothing_moves_is_wrong():
    f = tgt.adapters.numpy(lambda x: np.maximum(x, 0.0), lambda g, x: g * 1.0)
    with pytest.raises(tgt.GradientError):
        tgt.gradcheck(f, np.array([-0.01, -2.0]))


def test_float32_inputs_are_checked_in_float64():
    report = tgt.gradcheck(np.sin, np.array([1.0, 2.0], np.float32))
    assert report.verdict == "pass"
    assert report.resolution < 1e-8


def test_a_function_that_computes_in_float32_says_how_little_can_be_seen():
    def narrow(x):
        return np.sin(x.astype(np.float32)) * 2

    def vjp(g, x):
        return (g * 2 * np.cos(x)).astype(x.dtype)

    report = tgt.gradcheck(tgt.adapters.numpy(narrow, vjp), np.array([0.3, 1.7, -2.2]))
    assert report.verdict == "pass"
    assert 1e-7 < report.resolution < 1e-3


def powers(factor):
    """Elements whose powers differ by twenty orders of magnitude, one of them with a factor."""
    p, factors = np.array([3.0, 0.01, 2.5]), np.array([factor, 1.0, 1.0])
    return tgt.adapters.numpy(lambda x: x**p, lambda g, x: g * factors * p * x ** (p - 1))


def test_what_hides_along_a_direction_is_seen_entry_by_entry():
    x = np.array([1e-5, 0.5, 300.0])
    report = tgt.gradcheck(powers(1.0), x)
    assert report.verdict == "pass"
    assert report.resolution < 1e-6
    assert "entry by entry" in str(report)
    assert tgt.gradcheck(powers(1.001), x, raises=False).verdict == "fail"


def test_a_matrix_that_is_singular_in_float32_alone_is_no_failure():
    def vjp(g, a):
        return g * np.linalg.det(a) * np.linalg.inv(a).T

    det = tgt.adapters.numpy(lambda a: np.array(np.linalg.det(a)), vjp)
    assert tgt.gradcheck(det, np.array([[1.0, 2.0], [2.0, 4 + 1e-9]])).verdict == "pass"


def _detached(x):
    return x.data


@pytest.mark.parametrize(
    "f",
    [
        lambda x: 1e12 + np.sin(x) * _detached(x).sum(),
        lambda x: 1e12 + x * float(x.data[0]),
        lambda x: 1e12 + np.exp(x) / np.sum(x.data**2),
        lambda x: 1e12 + np.sum(x * x, initial=float(x.data[1])),
        lambda x: 1e12 + np.concatenate([x, x.data * 3.0]),
        lambda x: 1e12 + np.sin(tl.Tensor(x.data) * x),
    ],
)
def test_a_complex_step_does_not_believe_what_is_detached(f, monkeypatch):
    """It would drop the imaginary part of what goes through ``float``, and agree."""
    monkeypatch.setattr(trial, "LONG_DOUBLE_IS_LONGER", False)
    report = tgt.gradcheck(f, np.array([0.5, 1.5]), raises=False, properties=["directional"])
    assert report.verdict != "pass"
