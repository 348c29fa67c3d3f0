"""Inputs that are written into between a call and its way back: right rules do not notice."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt

X = np.array([0.5, -1.0, 2.0])


def with_rule(forward, rule):
    """Make a function whose derivative can see the Tensor that it was called with."""

    def f(x):
        operation = tl.primitive(lambda x: forward(x))
        tl.defvjp(operation, lambda g, y, _: rule(g, x))
        return operation(x)

    return f


LATE = {
    "an even slope": with_rule(np.sin, lambda g, x: g * np.cos(x.data)),
    "an odd slope": with_rule(np.square, lambda g, x: 2 * g * x.data),
    "a mask": with_rule(lambda x: np.maximum(x, 0), lambda g, x: g * (x.data > 0)),
    "a sign": with_rule(np.abs, lambda g, x: g * np.sign(x.detach().data)),
    "a slope of the fourth order": with_rule(np.cosh, lambda g, x: g * np.sinh(x.data)),
    "a product": with_rule(lambda x: x * x.sum(), lambda g, x: g * x.data.sum() + g @ x.data),
    "one element": with_rule(
        lambda x: np.array([x[0] ** 2, x[1], x[2]]), lambda g, x: g * [2 * x.data[0], 1, 1]
    ),
    "where it is not defined": with_rule(
        lambda x: x * np.sqrt(abs(x)), lambda g, x: 1.5 * g * _root(x.data)
    ),
}


def _root(x):
    if not np.array_equal(np.sign(x), np.sign(X)):
        raise ValueError("another sign")
    return np.sqrt(abs(x))


def kept(forward, rule):
    """Make an operation whose rule reads what it is handed."""
    operation = tl.primitive(lambda x: forward(x))
    tl.defvjp(operation, rule)
    return operation


RIGHT = {
    "the input": lambda x: x,
    "a view": lambda x: x[::-1],
    "an operation": kept(np.sin, lambda g, y, x: g * np.cos(x)),
    "of its result": kept(np.tanh, lambda g, y, x: g * (1 - y**2)),
    "a composition": lambda x: np.exp(-x * x) @ np.sin(x),
    "writing into a copy": lambda x: _with_zero(x * 1.0),
    "recomputed": lambda x: tl.checkpoint(lambda v: np.exp(v) * v, x),
    "mapped": lambda x: tl.vmap(lambda v: np.sin(v) * v)(x),
    "a gradient inside": lambda x: tl.grad(lambda v: (v**3).sum())(x),
    "a copy of the values": lambda x: x * np.array(x.detach()),
}


def _with_zero(x):
    x[1] = 0.0
    return x * x


def verdict(f, x):
    """Look at this property alone."""
    (result,) = tgt.gradcheck(f, x, properties=["changed_inputs"]).results
    return result.verdict


@pytest.mark.parametrize("name", LATE)
def test_a_rule_that_reads_late_is_found(name):
    report = tgt.gradcheck(LATE[name], X, raises=False)
    assert [finding.kind for finding in report.findings] == ["reads late"]
    assert "written into after the call" in str(report)


@pytest.mark.parametrize("name", RIGHT)
def test_others_do_not_notice(name):
    assert verdict(RIGHT[name], X) == "pass"


@pytest.mark.parametrize("x", [np.array(0.3), np.zeros((0, 2)), np.array([0.0, 1e300, 1e-300])])
def test_of_any_shape_and_size(x):
    assert verdict(lambda t: 2 * t, x) == "pass"


def test_by_hand_a_reference_is_the_convention():
    by_hand = tgt.adapters.numpy(np.sin, lambda g, x: g * np.cos(x))
    assert verdict(by_hand, X) == "not applicable"
