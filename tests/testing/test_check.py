"""gradcheck, its messages, and what is no gradient at all."""

import itertools
import linecache
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from benchmarks.checkers.faults import FAULTS
from tests.testing.failures import failure
from tinygrad_lab import testing as tgt
from tinygrad_lab.core.operations import planted, vjps_of
from tinygrad_lab.testing.judging.judgement import Kind, Reason
from tinygrad_lab.testing.judging.properties.form import layouts_of
from tinygrad_lab.testing.telling import words
from tinygrad_lab.testing.telling.diagnosis import diagnose, in_words, wrong_factor


@tl.primitive
def negated_log(x):
    return np.log(x)


tl.defvjp(negated_log, lambda g, y, x: -g / x)

X = np.array([[0.0, 1.0], [2.0, -1.0]])
AHEAD = ["forward_and_backward"]  # it would find a fault of second order before the numbers do


def log_sum_exp(x, axis=-1):
    return negated_log(np.exp(x).sum(axis=axis))


def test_a_message_says_where_how_much_what_pattern_who_and_how_to_see_it_again():
    text = str(failure(log_sum_exp, np.array([[0.0, 1.0]])))
    lines = text.splitlines()
    assert lines[0] == "log_sum_exp, gradient by input 0 (x) is wrong (relative error 2.0e+00)"
    assert lines[1] == "  input: x = np.array([[0.0, 1.0]])"
    assert lines[2].startswith("  at x[0, 1]: rule gives -")
    assert "ratio -1.000: sign flipped" in lines[2]
    assert "blame (sums to 100.00%):  #3 negated_log  100.00%  test_check.py:" in lines[3]
    assert "others <" in lines[3]
    assert lines[4] == "  reproduce:"


def test_an_operation_that_is_not_linear_in_the_upstream_is_named():
    @tl.primitive
    def careless(x):
        return np.sin(x)

    tl.defvjp(careless, lambda g, y, x: np.maximum(g, 0) * np.cos(x))
    error = failure(lambda x: np.exp(careless(np.tanh(x)) * 2), X)
    assert error.finding.kind == "nonlinear"
    assert error.finding.blame.guilty.what == "careless"


def test_the_operation_whose_derivative_is_not_finite_is_named():
    @tl.primitive
    def length(x):
        return np.hypot(x, 0.0)

    def slope(g, y, x):
        with np.errstate(all="ignore"):
            return g * x / y

    tl.defvjp(length, slope)
    error = failure(lambda x: np.cos(length(x * 2.0)), np.zeros(2))
    assert error.finding.kind == "not finite"
    assert "the derivative of length gave nan at index (0,)" in str(error)
    assert str(error).count("called at") == str(error).count("called at test_check.py:") == 1


def test_a_reproducer_runs_when_pasted():
    fault = next(f for f in FAULTS if f.number == 6)
    with fault.plant():
        error = failure(lambda x: np.tanh(np.sin(x * 2.0)), X, properties=["directional"])
        with pytest.raises(tgt.GradientError, match="sin"):
            exec(error.finding.reproducer, {})
    exec(error.finding.reproducer, {})


def nothing(x):
    return None


def raises(x):
    raise KeyError("weights")


def forgetful(x):
    return x.detach() * 2


def counting(x, calls=[0]):  # noqa: B006
    calls[0] += 1
    return x * calls[0]


def random(x):
    return x * np.random.standard_normal(x.shape)  # noqa: NPY002


@tl.primitive
def writing(x):
    x *= 2
    return x + 0


tl.defvjp(writing, lambda g, y, x: 2 * g)


@pytest.mark.parametrize(
    ("fn", "kind", "word"),
    [
        (nothing, "returns nothing", "None"),
        (raises, "raises", "KeyError"),
        (lambda x: x > 0, "not float", "bool"),
        (lambda x: "text", "not float", "text"),
        (lambda x: [], "returns nothing", "no number"),
        (forgetful, "untracked", "detach"),
        (counting, "global state", "state"),
        (random, "random", "random"),
        (writing, "mutates input", "x *= 2"),
    ],
)
def test_what_cannot_be_checked_is_named_for_what_it_is(fn, kind, word):
    error = failure(fn, X)
    assert error.finding.kind == kind
    assert error.finding.numeric is None
    assert word in str(error)


def test_inputs_that_are_no_floats():
    with pytest.raises(TypeError, match="nothing to differentiate by"):
        tgt.gradcheck(np.sin, np.array([1, 2]))
    with pytest.raises(TypeError, match="input 1"):
        tgt.gradcheck(np.add, X, np.array([1, 2]), wrt=1)
    with pytest.raises(TypeError, match=r"np\.array"):
        tgt.gradcheck(np.sin, [1.0, 2.0])
    with pytest.raises(TypeError, match="takes a function and then its inputs"):
        tgt.gradcheck(X, np.sin)
    with pytest.raises(ValueError, match=r"upstream has shape \(3,\), .* \(2, 2\)"):
        tgt.gradcheck(np.sin, X, upstream=np.ones(3))
    with pytest.raises(ValueError, match="order=0"):
        tgt.gradcheck(np.sin, X, order=0)
    with pytest.raises(ValueError, match="no property is called nonsense"):
        tgt.gradcheck(np.sin, X, properties=["nonsense"])


def test_a_report_can_be_had_instead_of_an_error():
    report = tgt.gradcheck(log_sum_exp, X, raises=False)
    assert report.verdict == "fail"
    assert not report.passed
    assert "sign flipped" in str(report)


def test_errors_of_one_kind_have_one_type_and_of_two_kinds_two():
    a, b = failure(log_sum_exp, X), failure(log_sum_exp, 2 * X)
    c = failure(forgetful, X)
    assert type(a) is type(b)
    assert type(a) is not type(c)
    assert isinstance(c, AssertionError)
    assert type(a).__name__ == "GradientError"


def test_properties_can_be_chosen_and_left_out():
    only = tgt.gradcheck(np.tanh, X, properties=["directional", "exact"])
    assert [r.property for r in only.results] == ["directional", "exact"]
    rest = tgt.gradcheck(np.tanh, X, without=["float32"])
    assert "float32" not in [r.property for r in rest.results]
    report = tgt.gradcheck(np.tanh, X, without={"float32": "it is never used so"})
    assert "left out: it is never used so" in str(report)
    assert report.passed


def test_linear_operations_are_checked_without_tolerance():
    report = tgt.gradcheck(np.matmul, X, X, properties=["exact"])
    assert report.results[0].verdict == "pass"
    assert report.results[0].resolution == 2.0**-53
    by_left = vjps_of(np.matmul)[0]
    with planted(np.matmul, lambda *call: by_left(*call) * (1 + 1e-14), argnums=[0]):
        assert failure(np.matmul, X, X).finding.property == "exact"


@pytest.mark.parametrize(
    "f", [np.abs, lambda x: np.maximum(x, 0), tl.relu, lambda x: np.max(x * 0), np.std]
)
def test_a_subgradient_at_a_kink_is_right(f):
    report = tgt.gradcheck(f, np.zeros((2, 2)))
    assert report.verdict == "pass"


@pytest.mark.parametrize("slope", [-0.2, 1.2, 2.0])
def test_what_is_no_subgradient_is_wrong(slope):
    f = tgt.adapters.numpy(
        lambda x: np.maximum(x, 0), lambda g, x: g * np.where(x == 0, slope, x > 0)
    )
    error = failure(f, np.array([0.0, 1.0]))
    assert error.finding.kind == "subgradient"


def test_a_kink_nearby_is_no_kink():
    assert tgt.gradcheck(np.abs, np.array([1e-3, -1e-4, 2.0])).verdict == "pass"
    black_box = tgt.adapters.numpy(np.abs, lambda g, x: g * np.sign(x))
    assert tgt.gradcheck(black_box, np.array([1e-3, -1e-4, 2.0])).verdict == "pass"


def test_inconclusive_is_not_a_pass():
    noisy = tgt.adapters.numpy(
        lambda x: np.round(np.sin(x), 3), lambda g, x: g * np.cos(x) * (1 + 1e-3)
    )
    report = tgt.gradcheck(noisy, np.array([0.3]), properties=["directional"])
    assert report.verdict == "inconclusive"
    assert not report.passed


def test_one_wrong_element_of_a_thousand():
    def vjp(g, x):
        out = g * np.cos(x)
        out[417] = 0
        return out

    f = tgt.adapters.numpy(np.sin, vjp)
    assert failure(f, np.linspace(0.1, 3, 1000)).finding.property == "directional"


def test_second_order():
    assert tgt.gradcheck(lambda x, w: np.tanh(x @ w) ** 2, X, X.T, order=2).passed
    fault = next(f for f in FAULTS if f.number == 62)
    with fault.plant():
        assert tgt.gradcheck(np.square, X).passed
        error = failure(np.square, X, order=2)
    assert error.finding.text.startswith("second order")


Z = np.array([1 + 2j, -0.5 + 0.3j])


@pytest.mark.parametrize(
    "f", [np.exp, np.square, np.conj, np.fft.fft, np.angle, np.abs, lambda z: np.vdot(z, 2 * z)]
)
def test_functions_of_complex_numbers(f):
    assert tgt.gradcheck(f, Z, order=2).verdict == "pass"


def test_a_wrong_gradient_by_a_complex_number():
    @tl.primitive
    def conjugated(z):
        return z.conj()

    tl.defvjp(conjugated, lambda g, y, z: g)  # right of real numbers alone
    assert tgt.gradcheck(lambda z: conjugated(z) * 2.0, Z.real).verdict == "pass"
    error = failure(lambda z: conjugated(z) * 2.0, Z)
    assert error.finding.input == 0
    assert "z = np.array([(1+2j)" in str(error)
    assert "].imag: rule gives" in str(error)
    assert error.finding.blame.guilty.what == "conjugated"


def test_where_the_value_is_not_finite_nothing_is_decided():
    assert tgt.gradcheck(np.sqrt, np.array([-1.0])).verdict == "inconclusive"


def test_an_infinite_slope_leaves_the_other_elements_to_be_checked():
    assert tgt.gradcheck(np.sqrt, np.array([0.0, 1.0])).verdict == "pass"

    def vjp(g, x):
        with np.errstate(divide="ignore"):
            return g / np.sqrt(x)  # without the half

    assert failure(tgt.adapters.numpy(np.sqrt, vjp), np.array([0.0, 1.0])).finding.kind == "wrong"


def test_blame_goes_through_complex_numbers():
    @tl.primitive
    def cubed(z):
        return z**3

    tl.defvjp(cubed, lambda g, y, z: g * 2.9 * z**2)

    def spectrum(x):
        z = np.fft.fft(x)
        return np.sum(np.abs(cubed(z))) + np.real(np.fft.ifft(z)).sum()

    error = failure(spectrum, np.array([0.5, 1.0, -0.3]))
    assert error.finding.kind == "wrong"
    assert error.finding.blame.guilty.what == "cubed"
    assert error.finding.blame.guilty.share == pytest.approx(1.0, abs=1e-9)


def test_a_fault_at_second_order_is_blamed_on_the_rule_and_its_line():
    @tl.primitive
    def squared(x):
        return x * x

    def rule(g, y, x):  # the line to find
        slope = 2 * (x.detach() if isinstance(x, tl.Tensor) else x)
        return g * slope

    tl.defvjp(squared, rule)
    error = failure(lambda x: np.exp(squared(np.tanh(x))), X, order=2, without=AHEAD)
    guilty = error.finding.blame.guilty
    assert guilty.what == "a constant of multiply in the rule of squared that moves with the inputs"
    assert guilty.origin.node.op is squared
    assert guilty.suspects == ["squared"]
    assert guilty.share == pytest.approx(1.0, abs=1e-6)
    file, line = guilty.site.split(":")
    text = linecache.getline(__file__, int(line))
    assert file == "test_check.py"
    assert "the line to find" in text
    assert "order=2, name='squared'" in error.finding.reproducer


def test_a_check_of_740_parameters_takes_few_evaluations():
    rng = np.random.default_rng(0)
    sizes = [(8, 16), (16,), (16, 16), (16,), (16, 4), (4,)]
    parameters = [rng.normal(size=s) for s in sizes]
    x = rng.normal(size=(32, 8))

    calls = itertools.count()

    def mlp(x, w1, b1, w2, b2, w3, b3):
        next(calls)
        h = np.tanh(np.tanh(x @ w1 + b1) @ w2 + b2)
        return ((h @ w3 + b3) ** 2).mean()

    assert tgt.gradcheck(mlp, x, *parameters).passed
    assert next(calls) < 250  # some 30 for each of 7 inputs


def test_modules():
    layer = tl.nn.Sequential(tl.nn.Linear(3, 4, rng=0), tl.nn.Tanh(), tl.nn.Linear(4, 2, rng=1))
    before = [p.data for p in layer.parameters()]
    x = np.random.default_rng(0).normal(size=(5, 3))
    assert tgt.check_module(layer, x).passed
    assert all(p.data is old for p, old in zip(layer.parameters(), before, strict=True))
    assert all(p.is_leaf and p.grad is None for p in layer.parameters())


@tgt.gradtest(inputs=tgt.tensors(2, broadcast=True), kwargs={"axis": tgt.axes()})
def test_the_decorator(x, y, axis):
    return np.sum(np.sin(x) * np.ones_like(x.data) + 0.0, axis=axis) * y.sum()


def test_the_decorator_finds_and_shrinks():
    @tgt.gradtest(inputs=tgt.tensors(1, domain=tgt.Domain(0.5, 2)), using=settings(database=None))
    def wrong(x):
        return negated_log(x)

    with pytest.raises(tgt.GradientError, match="smallest failing input") as caught:
        wrong()
    assert "sign flipped" in str(caught.value)


@given(graph=tgt.graphs(), data=st.data())
@settings(max_examples=20, deadline=None)
def test_random_graphs_have_right_gradients(graph, data):
    arrays = data.draw(tgt.tensors(2, shape=(3, 3), domain=tgt.Domain(-1, 1)))
    tgt.gradcheck(graph, *arrays, properties=["directional", "fan_out", "second_backward"])


def test_words_for_ratios():
    assert in_words(6.0, [(6, "elements")]) == "not divided by 6, the number of elements"
    assert in_words(0.1, [(10, "rows")]) == "divided by 10, the number of rows, once too often"
    right = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert diagnose(-right, right)[:2] == ("ratio -1.000: sign flipped", -1.0)
    assert diagnose(right.T, right).text == "transposed"
    a, g = np.array([0.2, 0.4, 0.9]), np.array([1.0, -2.0, 3.0])
    assert wrong_factor(g, g * a * (1 - a), {"A3": a}) == "the factor A3 * (1 - A3) is missing"
    assert wrong_factor(2 * g * a, g, {"A3": a}) == "the factor 2 * A3 is one too many"
    assert diagnose(np.arange(3.0), np.arange(3.0)[::-1]).text == "reversed along an axis"
    assert "overwritten" in diagnose(np.ones(3), np.array([1.0, 2.0, 3.0])).text
    assert diagnose(np.full(2, np.nan), np.ones(2)).text.startswith("nan")


def test_every_judgement_has_its_words():
    assert set(words._FAULTS) == set(Kind)
    assert set(words._REASONS) == set(Reason)


def test_the_documentation_names_every_property():
    page = Path(__file__).parents[2] / "docs" / "testing-reference.md"
    assert set(tgt.PROPERTIES) <= set(re.findall(r"`(\w+)`", page.read_text(encoding="utf-8")))


def test_a_rule_that_raises_at_second_order_alone_is_told():
    twice = tl.primitive(lambda x: x * 2)
    tl.defvjp(twice, lambda g, y, x: np.take(g, 5) if isinstance(g, tl.Tensor) else g * 2)
    error = failure(twice, np.ones(2), order=2)
    assert "IndexError" in str(error)


def test_layouts_are_the_same_values_with_other_strides():
    x = np.arange(6.0).reshape(2, 3)
    assert [a.strides for a in layouts_of(x)] == [(24, 8), (8, 16), (96, 16), (-24, -8)]
    for whole in (x, np.array(2.0), np.zeros((0, 3))):
        assert all(np.array_equal(a, whole) for a in layouts_of(whole))


class _Layer:
    def forward(self, x):
        return x

    def backward(self, g):
        return g


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda x: tgt.gradcheck(np.sin, np.cos, x), "adapters.numpy(f, grad=g)"),
        (lambda x: tgt.gradcheck(lambda a, b: a * b, (x, x)), "one by one: gradcheck(f, x, w)"),
        (lambda x: tgt.gradcheck(_Layer(), x), "adapters.layer(layer)"),
    ],
)
def test_what_is_handed_over_in_another_tools_way_is_told_ours(check, words):
    with pytest.raises((tgt.GradientError, TypeError)) as caught:
        check(np.array([0.5, 1.0]))
    assert words in str(caught.value)
