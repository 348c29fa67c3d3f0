"""check_op: that it looks everywhere it should, and how what it finds is made small."""

import os
import time

import numpy as np
import pytest
from hypothesis.errors import Unsatisfiable

import tinygrad_lab as tl
from benchmarks.checkers.primitives import CASES, name_of
from benchmarks.checkers.specimens import unbroadcast
from tinygrad_lab import testing as tgt
from tinygrad_lab.core.operations import OPERATIONS, planted
from tinygrad_lab.testing.adapters import numpy as by_hand
from tinygrad_lab.testing.inputs import search
from tinygrad_lab.testing.inputs.calls import DEGENERATE, Call, is_degenerate
from tinygrad_lab.testing.judging.judgement import Kind
from tinygrad_lab.testing.telling.finding import Finding, GradReport, raise_for


def doubled_where(degenerate):
    """A product whose gradients are twice too large where an operand has a certain shape."""

    def vjp(g, a, b):
        factor = 1 + any(degenerate(x.shape) for x in (a, b))
        return [factor * unbroadcast(g * other, x.shape) for x, other in ((a, b), (b, a))]

    return by_hand(np.multiply, vjp, name="product")


def flat_where_empty(g, x):
    """Lose the shape of what there is nothing of."""
    return np.full(x.shape if x.size else 0, g)


def keeps_axes_of_length_one(g, a, b):
    """Sum over axes that are missing in an operand, and not over those of length one."""
    return [(g * o).sum(axis=tuple(range(g.ndim - x.ndim))) for x, o in ((a, b), (b, a))]


WRONG = {
    "0-d": (doubled_where(lambda shape: shape == ()), tgt.broadcastable(2)),
    "zero-size": (by_hand(np.sum, flat_where_empty), tgt.tensors(1)),
    "axis of length one": (doubled_where(lambda shape: 1 in shape), tgt.broadcastable(2)),
    "axis of length one, stretched": (
        by_hand(np.multiply, keeps_axes_of_length_one, name="product"), tgt.broadcastable(2)
    ),
}  # fmt: skip
SEEDS = 10 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 3
seeds = pytest.mark.parametrize("rng", range(SEEDS))


@pytest.fixture
def no_shrinking(monkeypatch):
    monkeypatch.setattr(search, "SHRINKING", 0.0)


@seeds
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_at_degenerate_shapes_alone_is_always_found(name, rng, no_shrinking):
    op, inputs = WRONG[name]
    with pytest.raises(tgt.GradientError):
        tgt.check_op(op, inputs, rng=rng)


@seeds
@pytest.mark.parametrize("kind", DEGENERATE)
def test_that_is_no_luck(kind, rng, no_shrinking):
    """One ordinary example, and one of each kind."""
    is_kind, right = DEGENERATE[kind], OPERATIONS[np.sum].vjps

    def rule(g, y, x, *args, **kwargs):
        if is_kind(x.shape):
            raise IndexError("tuple index out of range")
        return right[0](g, y, x, *args, **kwargs)

    with planted(np.sum, rule), pytest.raises(tgt.GradientError):
        tgt.check_op(np.sum, examples=1, rng=rng)


def test_they_are_met_by_functions_that_the_catalogue_does_not_know():
    def first(x):
        return x.ravel()[:1] * 2.0

    calls = []
    tgt.check_op(first, examples=1, watch=lambda call, report: calls.append(call))
    for kind in DEGENERATE:
        assert any(is_degenerate(call, kind) for call in calls)


#: What has no value at such shapes, or is here called with a mask or an index of a fixed shape.
NONE_EXPECTED = {
    "zero-size": {
        "bincount", "choose", "convolve", "convolve_full-primitive",
        "convolve_valid-primitive", "corrcoef", "correlate",
        "extract", "hfft", "histogram", "histogram_bin_edges",
        "insert", "irfft", "irfft2", "irfftn", "piecewise", "poly",
        "polydiv", "polymul", "roots", "tensorinv", "tensorsolve",
    },
    "axis of length one": {
        "bincount", "extract", "histogram", "piecewise", "second_cofactors-primitive", "tensorinv",
        "tensorsolve",
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", NONE_EXPECTED)
def test_every_operation_of_the_catalogue_meets_them(kind):
    """Those of no axes aside, which most operations along an axis refuse."""
    reached = set()
    for op, calls in CASES.items():
        look = lambda call, only, op=op: reached.add(name_of(op))
        search.search_degenerate(look, calls, 1, 0, names=[kind])
    every = {name_of(op) for op in CASES}
    assert every - reached == NONE_EXPECTED[kind]


def test_what_takes_no_such_shapes_is_not_asked_to():
    report = tgt.check_op(np.matmul, tgt.tensors(2, shape=(2, 2)), examples=2)
    assert report.verdict == "pass"


# ---------------------------------------------------------------------------------------------
# Made small


class Looked:
    """A check that fails where ``wrong``, and remembers what it was asked to look at."""

    def __init__(self, wrong=lambda call: True, name="layouts"):
        self.wrong, self.name = wrong, name
        self.asked = []

    def __call__(self, call, only):
        self.asked.append((call, only))
        if self.wrong(call) and (only is None or self.name in only):
            finding = Finding(self.name, Kind.LAYOUT, f"of {len(self.asked)}")
            raise_for(GradReport("f", findings=[finding]))


CALLS = tgt.tensors(1).map(lambda x: Call("f(x)", np.sin, x))


def test_to_make_a_failure_small_only_what_failed_is_looked_at():
    check = Looked(lambda call: call.arrays[0].size > 3)
    with pytest.raises(tgt.GradientError) as caught:
        search.search(check, CALLS, 100, 0)
    first = next(i for i, (call, _) in enumerate(check.asked) if check.wrong(call))
    *shrinking, (smallest, only) = check.asked[first + 1 :]
    assert {only for _, only in shrinking} == {("well_formed", "layouts")}
    assert only is None
    assert smallest.arrays[0].size == 4
    assert str(caught.value) == f"f, of {len(check.asked)}"


def test_what_does_not_fail_by_itself_is_looked_at_wholly():
    check = Looked(lambda call: call.arrays[0].size > 3, name="call")
    check.wrong = lambda call: call.arrays[0].size > 3 and check.asked[-1][1] is None
    with pytest.raises(tgt.GradientError):
        search.search(check, CALLS, 100, 0)
    assert check.asked[-1][0].arrays[0].size == 4
    assert sum(only is not None for _, only in check.asked) == 1


def test_what_fails_but_once_is_told_as_it_was():
    check = Looked()
    check.wrong = lambda call: len(check.asked) == 1
    with pytest.raises(tgt.GradientError, match="f, of 1"):
        search.search(check, CALLS, 10, 0)


def test_making_it_small_takes_no_longer_than_it_may(monkeypatch):
    monkeypatch.setattr(search, "SHRINKING", 0.05)
    monkeypatch.setattr(search, "FEWEST", 0)
    check = Looked(lambda call: time.sleep(0.01) or call.arrays[0].size > 3)
    with pytest.raises(tgt.GradientError):
        search.search(check, CALLS, 100, 0)
    first = next(i for i, (call, _) in enumerate(check.asked) if call.arrays[0].size > 3)
    assert len(check.asked) - first <= 10


def test_what_a_check_raises_is_raised():
    def check(call, only):
        raise KeyError("weights")

    calls = tgt.tensors(1, shape=()).map(lambda x: Call("f(x)", np.sin, x))
    with pytest.raises(KeyError, match="weights"):
        search.search(check, calls, 10, 0)
    with pytest.raises(Unsatisfiable):
        search.search(check, calls.filter(lambda call: False), 10, 0)


# ---------------------------------------------------------------------------------------------
# Who watches


def test_whoever_watches_is_told_of_every_check():
    reports = []
    report = tgt.check_op(np.tanh, examples=4, watch=lambda call, report: reports.append(report))
    assert len(reports) == 4 + 3 + 2
    assert {each.verdict for each in reports} == {report.verdict} == {"pass"}


def test_of_a_failure_too():
    watched = []
    with planted(np.sin, lambda g, y, x: g), pytest.raises(tgt.GradientError) as caught:
        tgt.check_op(np.sin, examples=4, watch=lambda *pair: watched.append(pair))
    call, report = watched[-1]
    assert report is caught.value.report
    assert call.text == "sin(x)"


def test_inputs_where_an_operation_has_no_value_are_left_out():
    assert tgt.check_op(lambda x: np.sqrt(x), examples=20).verdict == "pass"
    assert tgt.check_op(lambda x: np.max(x, axis=0), examples=20).verdict == "pass"


def test_an_operation_that_has_a_value_nowhere_is_told_to():
    with pytest.raises(tgt.GradientError, match="raised KeyError"):
        tgt.check_op(lambda x: {}[x], examples=5)
    assert tgt.check_op(lambda x: np.log(-np.abs(x) - 1), examples=5).verdict == "inconclusive"


def test_arguments_without_a_derivative_are_held_fast():
    @tl.primitive
    def times(x, k):
        return x * k

    tl.defvjp(times, lambda g, y, x, k: g * k, None)
    assert tgt.check_op(times, examples=10).verdict == "pass"
    tl.defvjp(times, lambda g, y, x, k: g * k * 2, None)
    with pytest.raises(tgt.GradientError, match="twice too large"):
        tgt.check_op(times, examples=10)


def test_what_is_no_operation_and_no_number_of_examples():
    with pytest.raises(TypeError, match="takes an operation or a function, not 3"):
        tgt.check_op(3)
    with pytest.raises(ValueError, match="examples=0"):
        tgt.check_op(np.sin, examples=0)
    with pytest.raises(ValueError, match="lower end comes first"):
        tgt.Domain(3, 1)
