"""What is looked at after a failure, what is a note and no failure, and what a budget leaves."""

import logging
import time

import numpy as np
import pytest
from hypothesis import settings

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.session import session

X = np.array([0.5, -1.0, 2.0])
W = np.array([[0.3, -0.7, 1.1], [0.2, 0.5, -0.4]])


def report_of(f, vjp, *inputs, **options):
    adapted = f if vjp is None else tgt.adapters.numpy(f, vjp)
    return tgt.gradcheck(adapted, *inputs, raises=False, **options)


def kinds(report):
    return [finding.kind for finding in report.findings]


def overwriting(factor):
    """The backward pass of a ReLU that writes into its upstream, as is seen in courses."""

    def vjp(g, x):
        g[x < 0] = 0
        return factor * g

    return vjp


def relu(x):
    return np.maximum(x, 0)


class KeepsACache:
    """A layer that lets go of what it kept once it has gone back."""

    def forward(self, x):
        self.cache = x
        return np.sin(x)

    def backward(self, g, x):
        cached, self.cache = self.cache, None
        return g * np.cos(cached)


class Accumulates:
    """A layer that adds to the gradient of the pass before."""

    total = 0.0

    def __init__(self, factor=1.0):
        self.factor = factor

    def backward(self, g, x):
        self.total = self.total + self.factor * g * np.cos(x)
        return self.total


def writes_forward(x):
    x *= 2
    return x.sum()


# ---------------------------------------------------------------------------------------------
# All findings, the worst first


@pytest.mark.parametrize(
    ("f", "vjp", "inputs", "expected"),
    [
        (relu, overwriting(1.0), [X], ["mutates upstream"]),
        (relu, overwriting(2.0), [X], ["wrong", "mutates upstream"]),
        (writes_forward, lambda g, x: 2 * g * np.ones(3), [X], ["mutates input"]),
        (writes_forward, lambda g, x: 3 * g * np.ones(3), [X], ["wrong", "mutates input"]),
        (np.sin, lambda g, x: abs(g) * np.cos(x), [X], ["nonlinear"]),
        (np.sin, lambda g, x: 2 * abs(g) * np.cos(x), [X], ["nonlinear", "wrong"]),
        (np.sin, lambda g, x: np.cos(x), [X], ["nonlinear"]),
        (np.sin, Accumulates().backward, [X], ["not repeatable"]),
        (np.sin, Accumulates(0.5).backward, [X], ["wrong", "not repeatable"]),
        (
            np.matmul,
            lambda g, w, x: (2 * np.outer(g, x), (w.T @ g)[:, None]),
            [W, X],
            ["wrong", "shape"],
        ),
        (
            np.matmul,
            lambda g, w, x: (np.outer(g, x), 2 * (w.T @ g)[:2]),
            [W, X],
            ["shape"],
        ),
        (np.multiply, lambda g, a, b: (g * b, None), [X, X + 1], ["missing"]),
        (np.multiply, lambda g, a, b: (-g * b, None), [X, X + 1], ["wrong", "missing"]),
    ],
)
def test_one_mistake_is_told_once_and_two_are_told_the_worst_first(f, vjp, inputs, expected):
    report = report_of(f, vjp, *inputs)
    assert kinds(report) == expected
    text = str(report)
    assert all(finding.text in text for finding in report.findings)


def test_a_wrong_gradient_by_an_input_beside_one_of_the_wrong_shape_is_named():
    report = report_of(np.matmul, lambda g, w, x: (2 * np.outer(g, x), (w.T @ g)[:2]), W, X)
    assert [(f.kind, f.input) for f in report.findings] == [("wrong", 0), ("shape", 1)]


def test_the_error_is_of_the_worst_and_its_message_has_all():
    with pytest.raises(tgt.GradientError) as caught:
        tgt.gradcheck(tgt.adapters.numpy(relu, overwriting(2.0)), X)
    first, *rest = str(caught.value).splitlines()
    assert caught.value.finding.kind == "wrong"
    assert "is wrong (relative error 5.0e-01)" in first
    assert rest[rest.index("besides:") + 1].startswith("  the backward pass writes into its")
    assert "g[x < 0] = 0" in str(caught.value)


def test_an_error_in_one_property_does_not_end_the_check():
    def vjp(g, x):
        if not g.flags.c_contiguous:
            raise MemoryError("only C")
        return 2 * g * np.cos(x)

    report = report_of(np.sin, vjp, W)
    assert kinds(report) == ["wrong", "raises"]
    assert "only C" in str(report)


# ---------------------------------------------------------------------------------------------
# Notes


NOTES = [
    (np.transpose, lambda g, x: g.T, [W], "shares its memory with the upstream"),
    (np.add, lambda g, a, b: (1.0 * g, g.copy()), [X, X], None),
    (lambda x: x * (x > 0), lambda g, x: g * np.where(x > 0, 1, 0), [X], "for a float32 input"),
    (lambda a, b: np.sin(a), lambda g, a, b: (g * np.cos(a), np.zeros(3, int)), [X, X], "int64"),
    (lambda a: 2 * a, lambda g, a: float(2 * g), [np.array(0.3)], None),
    (np.sin, KeepsACache, [X], "second backward pass after one forward pass raises"),
]


@pytest.mark.parametrize(("f", "vjp", "inputs", "note"), NOTES)
def test_what_makes_no_number_wrong_by_hand_is_a_note(f, vjp, inputs, note):
    options = {}
    if vjp is KeepsACache:  # one layer, so that a call in between is its fault, and not looked at
        layer = KeepsACache()
        f, vjp, options = layer.forward, layer.backward, {"without": ["interleaved"]}
    report = report_of(f, vjp, *inputs, **options)
    assert report.verdict == "pass", str(report)
    if note is None:
        assert report.notes == []
    else:
        assert any(note in line for line in report.notes), report.notes
        assert f"note: {report.notes[0]}" in str(report)
        if vjp is not KeepsACache and "second" not in note:
            assert not report_of(f, vjp, *inputs, strict=True, **options).passed


@pytest.mark.parametrize(
    ("f", "vjp", "inputs", "kind"),
    [
        (np.sin, lambda g, x: (g * np.cos(x))[:, None], [X], "shape"),
        (np.sin, lambda g, x: (g * np.cos(x))[None], [X], "shape"),
        (lambda x, b: x + b, lambda g, x, b: (g + 0, g.sum()), [X, X[:1]], "shape"),
        (np.transpose, lambda g, x: g, [W], "shape"),
        (np.sin, lambda g, x: (g * np.cos(x)).astype(object), [X], "not float"),
        (np.sin, lambda g, x: g * np.cos(x) + 0j, [X], "not float"),
    ],
)
def test_what_can_make_a_number_wrong_is_a_failure_by_hand_too(f, vjp, inputs, kind):
    assert kinds(report_of(f, vjp, *inputs)) == [kind]


def test_a_step_may_be_taken_by_what_broadcasts_back():
    data = np.array([[1.0, -2.0, 0.5], [0.5, 0.25, 2.0]])
    row = X[None]

    def loss(b):
        return np.sum((data + b) ** 2)

    step = tgt.adapters.numpy(loss, grad=lambda b: np.sum(2 * (data + b), axis=0))
    by_hand = tgt.gradcheck(step, row)
    assert by_hand.passed
    assert "makes no difference" in by_hand.notes[0]
    assert not tgt.gradcheck(step, row, strict=True, raises=False).passed


# ---------------------------------------------------------------------------------------------
# The verdict of the whole


def test_a_pass_says_that_each_input_was_compared():
    report = report_of(lambda x, y: np.sqrt(x) + y, None, np.zeros(1), X[:1])
    assert report.verdict == "inconclusive"
    assert [part.name for part in report.not_compared] == ["x"]
    assert report_of(lambda x, y: np.sqrt(x) + y, None, np.array([0.0, 2.0]), X[:2]).passed
    assert report_of(np.sqrt, None, np.zeros((0, 3))).passed


def test_a_module_without_parameters_needs_inputs_of_floats():
    class Squashed(tl.nn.Module):
        def forward(self, x):
            return np.sin(x)

    assert tgt.check_module(Squashed(), X).passed
    with pytest.raises(TypeError, match="Squashed has no parameters and no inputs of floats"):
        tgt.check_module(Squashed(), np.arange(3))


# ---------------------------------------------------------------------------------------------
# Budgets


class Slow:
    """A clock that goes on by a second with each call of the function."""

    def __init__(self, monkeypatch):
        self.now, self.calls = 0.0, 0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def sin(self, x):
        self.now, self.calls = self.now + 1.0, self.calls + 1
        return np.sin(x)


@pytest.mark.parametrize("budget", [0.5, 3, 7.5, 20, 45])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_budget_is_kept_and_what_it_leaves_out_is_no_pass(monkeypatch, budget, factor):
    slow = Slow(monkeypatch)
    f = tgt.adapters.numpy(slow.sin, lambda g, x: factor * g * np.cos(x))
    report = tgt.gradcheck(f, X, budget=budget, raises=False)
    assert slow.now <= max(budget, 1.0)  # the first call is made in any case
    assert not report.passed
    if not report.findings:
        assert f"the budget of {budget:g} s was spent after" in str(report)


def test_an_ample_budget_changes_nothing(monkeypatch):
    slow = Slow(monkeypatch)
    f = tgt.adapters.numpy(slow.sin, lambda g, x: g * np.cos(x))
    with_budget = tgt.gradcheck(f, X, budget=1e6)
    assert with_budget.passed
    assert with_budget.results == tgt.gradcheck(f, X).results
    assert f"{slow.calls // 2}" in with_budget.notes[0] or "calls took" in with_budget.notes[0]


def test_a_failure_that_there_is_no_time_to_explain_is_told(monkeypatch):
    slow = Slow(monkeypatch)
    f = tgt.adapters.numpy(slow.sin, lambda g, x: 2 * g * np.cos(x))
    without = tgt.gradcheck(f, X, properties="directional", raises=False)
    assert without.findings[0].index is not None
    options = {"properties": "directional", "raises": False}
    reports = [tgt.gradcheck(f, X, budget=b, **options) for b in range(10, slow.calls, 10)]
    first = next(report for report in reports if report.findings)
    assert kinds(first) == ["wrong"]
    assert first.findings[0].error == pytest.approx(0.5)
    assert "no time left" in str(first)


def test_a_check_that_will_take_long_says_so_before(monkeypatch, caplog):
    slow = Slow(monkeypatch)
    f = tgt.adapters.numpy(slow.sin, lambda g, x: g * np.cos(x), name="slow")
    with caplog.at_level(logging.WARNING, "tinygrad_lab.testing"):
        tgt.gradcheck(f, X)
        tgt.gradcheck(np.sin, X)
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("slow takes 0.5 s a call")


def test_a_budget_is_some_time():
    with pytest.raises(ValueError, match="budget=0: it is a number of seconds"):
        tgt.gradcheck(np.sin, X, budget=0)


@pytest.mark.parametrize("budget", [0.5, 30, 100])
def test_a_budget_of_a_whole_operation_is_kept(monkeypatch, budget):
    slow = Slow(monkeypatch)
    report = tgt.check_op(slow.sin, tgt.tensors(1), budget=budget)
    assert slow.now <= max(budget, 1.0)
    assert report.verdict == "inconclusive"
    assert f"the budget of {budget:g} s was spent after" in report.results[0].note


def test_a_failure_found_within_the_budget_of_an_operation_is_told(monkeypatch):
    slow = Slow(monkeypatch)
    wrong = tgt.adapters.numpy(slow.sin, lambda g, x: 2 * g * np.cos(x))
    report = tgt.check_op(wrong, tgt.tensors(1), budget=300, raises=False)
    assert slow.now <= 300
    assert kinds(report)[0] == "wrong"


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "inconclusive"), (2.0, "fail")])
def test_a_budget_of_a_generated_test(monkeypatch, factor, verdict):
    slow = Slow(monkeypatch)

    @tl.primitive
    def sin(x):
        return slow.sin(x)

    tl.defvjp(sin, lambda g, y, x: factor * g * np.cos(x))

    @tgt.gradtest(budget=200, using=settings(database=None, max_examples=30))
    def generated(x):
        return sin(x)

    reports = []
    with session(listeners=(reports.append,)):
        if verdict == "fail":
            with pytest.raises(tgt.GradientError, match="is wrong"):
                generated()
        else:
            generated()
    assert slow.now <= 200
    assert reports[-1].verdict == verdict
