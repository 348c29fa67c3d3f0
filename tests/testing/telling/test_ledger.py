"""The account of a wrong gradient: a rule, the adding up, or a constant that moves."""

import contextlib
import os

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.testing.failures import finding
from tinygrad_lab import testing as tgt
from tinygrad_lab.core import engine
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.operations import planted, vjps_of
from tinygrad_lab.testing.telling.ledger import Part

EXAMPLES = 100 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 4
X = np.array([0.3, -0.8, 1.1])
M = np.random.default_rng(0).normal(size=(3, 3))


@tl.primitive
def cube(x):
    return x * x * x


tl.defvjp(cube, lambda g, y, x: g * 2 * x * x)


def detached(x):
    return (np.sin(x) * x.detach()).sum()


def of_data(x):
    h = np.tanh(x)
    return ((h + np.exp(h.data)) ** 2).sum()


def as_float(x):
    scale = float(x.sum())
    return (np.cos(x) * scale).sum()


def as_item(x):
    n = np.sum(x * x).item()
    return (x / n).sum()


def as_array(x):
    w = np.asarray(x.detach())
    return np.tanh(x @ w)


def made_anew(x):
    w = tl.Tensor(x.data, requires_grad=True)
    return np.tanh(x @ w)


def without_grad(x):
    with tl.no_grad():
        norm = np.sqrt(np.sum(x * x))
    return np.sin(x / norm).sum()


def chosen(x):
    return np.where(np.arange(3) > 0, x, 2 * x.data).sum() ** 2


def joined(x):
    return np.tanh(np.concatenate([x * 2.0, x.data * 3.0])).sum()


def by_keyword(x):
    return np.sum(x * x, initial=float(np.exp(x.data[0])))


def in_a_product(x):
    return np.sin(np.einsum("i,i->", x, x.data * 2))


def of_a_statistic(x):
    variance = np.var(x.data)
    return ((x - x.mean()) / np.sqrt(variance + 1e-5) * np.arange(3.0)).sum()


def in_a_recurrence(x):
    h = 0.5
    for k in range(3):
        h = np.tanh(x[k] + (h.data if k == 2 else h) * x[0])
    return h


def in_a_buffer(x, buffer=np.zeros(3)):  # noqa: B008
    buffer[:] = x.data * 2
    return (np.sin(x) * buffer).sum()


def in_complex_numbers(x):
    z = np.exp(1j * x)
    return np.abs(z * np.conj(z.detach()) + z).sum()


def in_a_checkpoint(x):
    return np.sin(tl.checkpoint(lambda a: np.sin(a) * a.detach(), x)).sum()


@pytest.mark.parametrize(
    ("fn", "op", "written"),
    [
        (detached, "multiply", "x.detach()"),
        (of_data, "add", "np.exp(h.data)"),
        (as_float, "multiply", "scale = float(x.sum()), test_ledger.py:"),
        (as_item, "divide", "n = np.sum(x * x).item(), test_ledger.py:"),
        (as_array, "matmul", "w = np.asarray(x.detach()), test_ledger.py:"),
        (made_anew, "matmul", "w = tl.Tensor(x.data, requires_grad=True), test_ledger.py:"),
        (without_grad, "divide", "norm = np.sqrt(np.sum(x * x)), test_ledger.py:"),
        (chosen, "where", "2 * x.data"),
        (joined, "concatenate", "x.data * 3.0"),
        (by_keyword, "sum", "float(np.exp(x.data[0]))"),
        (in_a_product, "einsum", "x.data * 2"),
        (
            of_a_statistic,
            "divide",
            "np.sqrt(variance + 1e-05), where variance = np.var(x.data), test_ledger.py:",
        ),
        (in_a_recurrence, "multiply", "h.data if k == 2 else h"),
        (in_a_buffer, "multiply", "buffer"),
        (in_complex_numbers, "multiply", "np.conj(z.detach())"),
        (in_a_checkpoint, "multiply", ""),
    ],
)
def test_a_constant_that_moves_has_an_entry_of_its_own(fn, op, written):
    x = M if fn in (as_array, made_anew) else X
    failure = finding(fn, x)
    guilty = failure.blame.guilty
    assert guilty.kind is Part.CONSTANT
    assert guilty.what == f"a constant of {op} that moves with the inputs"
    assert guilty.written.startswith(written)
    assert guilty.share == pytest.approx(1.0, abs=1e-5)
    assert guilty.site.startswith("test_ledger.py:")
    assert not guilty.suspects
    assert not failure.reproducer  # no call is wrong
    assert any("no gradient goes through this constant" in line for line in failure.lines)


def stable_softmax(x):
    largest = x.data.max()
    e = np.exp(x - largest)
    return np.log(e.sum()) + largest + (e / e.sum() * np.arange(3.0)).sum()


def masked(x):
    return (np.exp(x) * (x.data > 0)).sum() + x[np.argsort(x.data)][0]


@pytest.mark.parametrize("fn", [stable_softmax, masked])
def test_constants_that_may_move_are_not_blamed(fn):
    assert tgt.gradcheck(fn, X).verdict == "pass"
    with planted(np.exp, lambda g, y, x: 1.01 * g * y):
        assert finding(fn, X).blame.guilty.what == "exp"


def test_a_result_without_a_history_is_told():
    failure = finding(lambda x: (np.sin(x).sum(), np.cos(x.data).sum()), X)
    assert failure.blame.guilty.kind is Part.OUTPUT
    assert failure.blame.guilty.what == "output 1, which has no history"
    assert failure.blame.total == pytest.approx(1.0)


def test_an_input_that_no_gradient_reaches():
    failure = finding(lambda x, w: (x * np.tanh(w.data)).sum() + 0.0 * w.sum(), X, X + 1)
    assert failure.blame.guilty.written == "np.tanh(w.data)"


compiled = tl.jit(lambda a: cube(np.tanh(a)) * 2.0)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: np.sin(tl.checkpoint(lambda a: cube(a) * 2.0, x)).sum(),
        lambda x: np.sin(tl.vmap(lambda a: cube(np.tanh(a)))(x)).sum(),
        lambda x: np.sin(compiled(x)).sum(),
        lambda x: sum((cube(x[k] * 0.5) for k in range(3)), 0.0),
        lambda x: (np.tanh(x).sum(), cube(x)),
    ],
    ids=["checkpoint", "vmap", "jit", "loop", "several results"],
)
def test_what_is_inside_is_blamed(fn):
    failure = finding(fn, X)
    assert failure.blame.guilty.what == "cube"
    assert failure.blame.guilty.share == pytest.approx(1.0, abs=1e-5) or fn(X) is not None
    with pytest.raises(tgt.GradientError):
        exec(failure.reproducer, {})


def test_paths_that_part_further_away_are_followed_on_shorter_steps():
    def branching(x):
        return cube(x).sum() if x.data[0] > 0.5 else np.cos(x).sum()

    failure = finding(branching, np.array([0.501, 0.2]))
    assert failure.blame.guilty.what == "cube"


def test_paths_that_part_at_the_point_are_told():
    def branching(x):
        return cube(x).sum() if x.data[0] >= 0.5 else (x**3).sum()

    failure = finding(branching, np.array([0.5, 0.2]))
    assert "control flow depends on values: #1 is cube here, and power beside it" in (
        failure.blame.line()
    )
    with pytest.raises(ValueError, match="branching can be drawn up: control flow depends on"):
        tgt.blame(branching, np.array([0.5, 0.2]))


def test_an_array_that_is_written_to_after_it_was_used_is_told():
    buffer = np.zeros(200_000)

    def overwriting(x):
        buffer[:] = x.data.sum()
        return (x.sum() * buffer).sum()

    failure = finding(overwriting, X, properties=["directional"])
    assert "has been written to since" in failure.blame.line()


@contextlib.contextmanager
def dropping():
    """Keep the first contribution to a value, and forget the others."""
    right = engine.total
    engine.total = lambda a, _: a
    try:
        yield
    finally:
        engine.total = right


def test_what_is_not_added_up_has_a_reproducer():
    def used_twice(x):
        h = np.tanh(x * 2.0)
        return (h * np.exp(h)).sum()

    with dropping():
        failure = finding(used_twice, X)
        assert failure.blame.guilty.what == "adding up the gradient of tanh"
        with pytest.raises(tgt.GradientError):
            exec(failure.reproducer, {})
    exec(failure.reproducer, {})


OPERATIONS = [np.add, np.multiply, np.subtract, np.sin, np.tanh, np.matmul, np.mean, np.power]
FAULTS = {
    "sign": lambda c: -c,
    "factor": lambda c: 1.5 * c,
    "small factor": lambda c: (1 + 1e-5) * c,
    "one element": lambda c: c * np.where(np.arange(c.size).reshape(c.shape) == c.size // 2, 2, 1),
}


@given(
    tgt.graphs(), st.sampled_from(OPERATIONS), st.sampled_from(sorted(FAULTS)), st.integers(0, 99)
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_wrong_rule_in_a_random_graph_is_blamed_and_shown(graph, op, fault, seed):
    inputs = list(np.random.default_rng(seed).uniform(-1, 1, (2, 3, 3)))
    tensors = [tl.Tensor(x, requires_grad=True) for x in inputs]
    assume(op in {node.op for node in history([graph(*tensors).node])})
    rule = vjps_of(op)[0]
    wrong = lambda g, *call, **kw: FAULTS[fault](np.asarray(rule(g, *call, **kw)))
    with planted(op, wrong, argnums=[0]):
        report = tgt.gradcheck(graph, *inputs, properties=["directional"], raises=False)
        assume(report.verdict == "fail")
        failure = report.findings[0]
        assert failure.blame.guilty.what == op.__name__
        assert failure.blame.total == pytest.approx(1.0, abs=1e-3)
        with pytest.raises(tgt.GradientError):
            exec(failure.reproducer, {})
    exec(failure.reproducer, {})


CUTS = {
    "detach": lambda t: t.detach(),
    "data": lambda t: t.data,
    "made anew": lambda t: tl.Tensor(t.data, requires_grad=True),
    "asarray": lambda t: np.asarray(t.data) * 1.0,
}


@given(tgt.graphs(), tgt.graphs(), st.sampled_from(sorted(CUTS)), st.integers(0, 99))
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_constant_between_two_random_graphs_is_blamed(before, behind, cut, seed):
    def composed(x, y):
        z = np.tanh(x * before(x, y))
        return before(x, y) + behind(z, CUTS[cut](np.sin(z + y)))

    inputs = list(np.random.default_rng(seed).uniform(-1, 1, (2, 3, 3)))
    report = tgt.gradcheck(composed, *inputs, properties=["directional"], raises=False)
    assume(report.verdict == "fail")
    for failure in report.findings:
        assert failure.blame.guilty.kind is Part.CONSTANT
        assert failure.blame.total == pytest.approx(1.0, abs=1e-3)
        assert not failure.reproducer


def test_what_arrives_from_indexing_is_counted_once():
    def picked(x):
        h = np.tanh(x)
        return (h[[0, 0, 2]] * 2.0).sum() * h.sum()

    ledger = tgt.blame(picked, X)
    assert all(entry.kind is Part.RULE for entry in ledger.entries)
    assert max(abs(entry.amount) for entry in ledger.entries) < 1e-10
