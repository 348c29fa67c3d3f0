"""Little test suites, each weak in one way, which its mutation score has to name.

The suites are written in plain NumPy, as somebody would who does not know the checker.
"""

import os

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


@tl.primitive
def leaky(x, slope=0.1):
    return np.where(x > 0, x, slope * x)


tl.defvjp(leaky, lambda g, y, x, slope=0.1: g * np.where(x > 0, 1.0, slope).astype(x.dtype))


@tl.primitive
def product(x, y):
    return x * y


tl.defvjp(product, lambda g, z, x, y: g * y, lambda g, z, x, y: g * x)

VECTOR = np.array([0.5, -1.0, 3.0, -25.0, 0.0])
MATRIX = np.array([[0.3, -0.7, 2.0], [0.8, -0.4, 30.0]])
EVERY = (
    VECTOR, MATRIX, MATRIX[:, :1], np.array(-0.5), np.zeros(0), np.linspace(-1, 1, 33),
    np.asfortranarray(MATRIX), VECTOR.astype(np.float32),
)  # fmt: skip


def suite(inputs=EVERY, ones=False, elements=slice(None), tolerance=1e-6, options=True):
    """Make a test of ``leaky``: at some inputs and upstreams, of some elements."""

    def test_leaky():
        for x in inputs:
            slopes = (0.1, 0.3) if options else (0.1,)
            for slope in slopes:
                t = tl.tensor(x, requires_grad=True)
                g = np.ones(x.shape) if ones else np.arange(2.0, 2.0 + x.size).reshape(x.shape)
                y = leaky(t) if slope == 0.1 else leaky(t, slope=slope)
                (y * g.astype(x.dtype)).sum().backward()
                expected = g * np.where(x > 0, 1, slope)
                pairs = t.grad.ravel()[elements], expected.ravel()[elements]
                np.testing.assert_allclose(*pairs, rtol=tolerance)

    return test_leaky


def only(condition):
    return [x[condition(x)] if x.ndim == 1 else np.where(condition(x), x, 0.6) for x in EVERY]


WEAK = {
    "only positive inputs": (suite(only(lambda x: x >= 0)), "wrong where the input is negative"),
    "only ones upstream": (suite(ones=True), "upstream taken for 1"),
    "only vectors": (
        suite([x for x in EVERY if x.ndim == 1]), "wrong where there are several axes",
    ),
    "only the first element": (suite(elements=slice(1)), "wrong in the last element"),
    "only float64": (suite(EVERY[:-1]), "wrong in float32"),
    "only default options": (suite(options=False), "wrong where slope is not 0.1"),
    "never at the kink": (suite(only(lambda x: x != 0)), "wrong where the input is 0"),
    "a tolerance of 1e-2": (suite(tolerance=1e-2), "0.1 % too large"),
    "only small inputs": (suite(only(lambda x: np.abs(x) < 9)), "wrong beyond 20"),
    "never without elements": (
        suite([x for x in EVERY if x.size]), "raises without elements",
    ),
    "never without axes": (suite([x for x in EVERY if x.ndim]), "wrong where there are no axes"),
}  # fmt: skip


def test_a_good_suite_notices_all_that_can_be():
    score = tgt.mutation_score(suite(), ops=[leaky])
    assert score.missed == []
    assert score.score == 1
    assert score.total == 16


@pytest.mark.parametrize("weakness", list(WEAK) if THOROUGH else list(WEAK)[::3])
def test_a_weakness_is_named_with_a_line_that_notices(weakness):
    weak, fault = WEAK[weakness]
    score = tgt.mutation_score(weak, ops=[leaky])
    assert fault in {name for _, name in score.missed}
    [suggestion] = [s for s in score.suggestions if s.fault == fault]
    assert suggestion.line.startswith("tgt.gradcheck(")

    def stronger():
        weak()
        exec(suggestion.line, {"tgt": tgt, "np": np, "leaky": leaky})

    assert tgt.mutation_score(stronger, ops=[leaky], faults=[fault]).score == 1


def of_product(pairs):
    def test_product():
        for x, y in pairs:
            a, b = tl.tensor(x, requires_grad=True), tl.tensor(y, requires_grad=True)
            z = product(a, b)
            g = np.arange(2.0, 2.0 + z.size).reshape(z.shape)
            (z * g).sum().backward()
            summed = lambda c, like: c.sum(0, keepdims=True) if c.shape != like.shape else c
            np.testing.assert_allclose(a.grad, summed(g * y, x))
            np.testing.assert_allclose(b.grad, summed(g * x, y))

    return test_product


def test_a_suite_that_never_broadcasts():
    faults, alike = ["wrong where it is broadcast"], (MATRIX, MATRIX + 1)
    row = MATRIX[:1]
    good = of_product([alike, (MATRIX, row), (row, MATRIX)])
    assert tgt.mutation_score(good, ops=[product], faults=faults).score == 1
    score = tgt.mutation_score(of_product([alike]), ops=[product], faults=faults)
    assert len(score.missed) == 2
    assert "tgt.tensors(2, broadcast=True)" in str(score)


def test_which_of_several_tests_notices_what():
    positive, loose = suite(only(lambda x: x >= 0)), suite(tolerance=1e-2)
    positive.__name__, loose.__name__ = "test_positive", "test_loose"
    faults = ["0.1 % too large", "wrong where the input is negative"]
    score = tgt.mutation_score([positive, loose], ops=[leaky], faults=faults)
    assert score.score == 1
    small, negative = [("leaky, by argument 0", fault) for fault in faults]
    assert score.by_test == {
        "test_positive": {"noticed": [small], "missed": [negative]},
        "test_loose": {"noticed": [negative], "missed": [small]},
    }


def test_a_region_where_a_function_is_not_defined_does_not_count():
    def logarithm(x):
        if np.any(x <= 0):
            raise ValueError("of positive numbers only")
        return np.log(x)

    adapted = tgt.adapters.numpy(logarithm, lambda g, x: g / x)
    negative = ["wrong where the input is negative"]
    score = tgt.mutation_score(lambda: tgt.gradcheck(adapted, MATRIX**2), faults=negative)
    assert score.total == 0
    assert score.without_effect == [("logarithm, by x", *negative)]


def test_a_suggestion_that_finds_a_wrong_gradient_says_so():
    wrong_below = tgt.adapters.numpy(
        lambda x: np.where(x > 0, x, 0.1 * x), lambda g, x: 1.0 * g, name="wrong_below"
    )
    score = tgt.mutation_score(
        lambda: tgt.gradcheck(wrong_below, np.array([0.5, 1.0])),
        faults=["wrong where the input is negative"],
    )
    assert "there the gradient is wrong as it is\n      tgt.gradcheck(wrong_below, " in str(score)
