"""``primitive`` and ``defvjp``: operations of one's own, and arrays of somebody else's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.support import check_gradients
from tinygrad_lab.core.operations import OPERATIONS, planted


@tl.primitive
def softplus(x: Any) -> Any:
    """log(1 + exp(x))."""
    return np.logaddexp(0.0, x)


tl.defvjp(softplus, lambda g, y, x: g * tl.sigmoid(x))


@tl.primitive
def scaled(factor: Any, x: Any, *, power: int = 1) -> Any:
    return factor * x**power


tl.defvjp(
    scaled, lambda g, y, factor, x, power=1: g * factor * power * x ** (power - 1), argnums=[1]
)


def test_the_documented_example():
    x = np.linspace(-2, 2, 5)
    assert type(softplus(x)) is np.ndarray
    assert softplus.__name__ == "softplus"
    assert softplus.__doc__ == "log(1 + exp(x))."
    check_gradients(softplus, x, order=3)


def test_keyword_arguments_arrive_as_keywords():
    check_gradients(lambda x: scaled(2.0, x, power=3), np.array([0.5, -1.0]))
    x = tl.tensor([0.5, -1.0], requires_grad=True)
    scaled(2.0, x=x, power=3).sum().backward()
    np.testing.assert_allclose(x.grad, 6 * x.data**2)


def test_an_argument_without_a_derivative_is_refused_when_tracked():
    with pytest.raises(TypeError, match=r"scaled has no derivative by argument 0.*detach"):
        scaled(tl.tensor(2.0, requires_grad=True), np.ones(2))
    assert scaled(tl.tensor(2.0), tl.tensor([1.0], requires_grad=True)).requires_grad


@pytest.mark.parametrize(
    ("args", "kwargs", "kind"),
    [
        ((softplus, 3), {}, TypeError),
        ((3, lambda g, y, x: g), {}, TypeError),
        ((softplus, lambda g, y, x: g), {"argnums": (0, 1)}, ValueError),
        ((softplus, lambda g, y, x: g), {"argnums": (-1,)}, ValueError),
        ((softplus, None, None), {"argnums": (1, 1)}, ValueError),
    ],
)
def test_defvjp_refuses_nonsense_and_changes_nothing(args: Any, kwargs: Any, kind: Any):
    before = dict(OPERATIONS)
    with pytest.raises(kind, match="defvjp"):
        tl.defvjp(*args, **kwargs)
    assert before == OPERATIONS


def test_a_rule_may_be_given_to_a_numpy_function():
    x = tl.tensor([0.25, 0.5], requires_grad=True)
    with planted(np.i0, lambda g, y, t: g * t / 2 * (1 + t * t / 8)):
        np.i0(x).sum().backward()
    np.testing.assert_allclose(x.grad, x.data / 2 * (1 + x.data**2 / 8))


def test_a_rule_gets_read_only_views_of_nothing_it_may_spoil():
    """A rule may return its upstream itself, twice, and views of it."""

    @tl.primitive
    def both(a: Any, b: Any) -> Any:
        return a + b

    tl.defvjp(both, lambda g, y, a, b: g, lambda g, y, a, b: g[...])
    a, b = (tl.tensor(np.ones(3), requires_grad=True) for _ in range(2))
    y = both(a, b)
    (y + y).sum().backward()
    a.grad += 5
    np.testing.assert_array_equal(b.grad, [2, 2, 2])


def test_an_operation_may_take_a_list_of_arrays():
    @tl.primitive
    def total(arrays: Any, factor: Any = 1.0) -> Any:
        return sum(arrays) * factor

    a, b = (tl.tensor(np.full(3, x), requires_grad=True) for x in (1.0, 2.0))
    with pytest.raises(TypeError, match="total has no derivative rule"):
        total([a, b])
    tl.defvjp(total, lambda g, y, arrays, factor=1.0: [10 * g * factor for _ in arrays])
    for call in (lambda: total([a, b], 2.0), lambda: total(arrays=(a, np.ones(3)), factor=2.0)):
        np.testing.assert_array_equal(tl.gradients(call().sum(), a), np.full(3, 20.0))


# -- operations with several results -------------------------------------------------------------


@tl.primitive
def sin_and_cos(x: Any) -> Any:
    return np.sin(x), np.cos(x)


tl.defvjp(sin_and_cos, lambda g, y, x: g.of(0, y) * np.cos(x) - g.of(1, y) * np.sin(x))


def test_several_results_each_with_or_without_an_upstream():
    data = np.array([0.3, -1.0, 2.0])
    check_gradients(lambda x: sin_and_cos(x)[0] * sin_and_cos(x)[1], data)
    check_gradients(lambda x: sin_and_cos(x)[1], data)

    def all_of_it(x: Any) -> Any:
        s, c = sin_and_cos(x)
        return s * s * c + s + c * 2 + s

    check_gradients(all_of_it, data, order=3)
    assert all(type(part) is np.ndarray for part in sin_and_cos(data))


# -- foreign arrays ------------------------------------------------------------------------------


class Foreign:
    """An array class that knows ``softplus`` by name, or not, and doubles what it computes."""

    accepts = True

    def __init__(self, data: Any) -> None:
        self.data = np.asarray(data, dtype=float)
        self.shape, self.dtype, self.ndim, self.size = (
            self.data.shape, self.data.dtype, self.data.ndim, self.data.size,
        )  # fmt: skip

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if not self.accepts:
            return NotImplemented
        self.offered = (function, types)
        return ("mine", function.__name__)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return type(self)(ufunc(*[i.data if isinstance(i, Foreign) else i for i in inputs]))


class Declining(Foreign):
    """The same, but it knows none of our operations."""

    accepts = False


def test_a_foreign_array_is_offered_the_whole_operation():
    x = Foreign([1.0])
    assert softplus(x) == ("mine", "softplus")
    function, types = x.offered
    assert function is softplus
    assert Foreign in types


def test_when_it_declines_it_sees_the_parts():
    y = softplus(Declining([0.0, 1.0]))
    assert type(y) is Declining
    np.testing.assert_allclose(y.data, np.logaddexp(0.0, [0.0, 1.0]))


def test_a_subclass_is_asked_first():
    asked: list[str] = []

    class Loud(Foreign):
        def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
            asked.append(type(self).__name__)
            return NotImplemented

    class Louder(Loud):
        pass

    @tl.primitive
    def first(a: Any, b: Any) -> Any:
        return a

    first(Loud([1.0]), Louder([1.0]))
    assert asked == ["Louder", "Loud"]


def test_a_tensor_of_foreign_arrays_runs_the_same_rules():
    x = tl.Tensor(Declining([0.5, 1.0]), requires_grad=True)
    y = softplus(x)
    assert type(y.data) is Declining


def test_names_at_the_top_are_numpys_own():
    assert tl.sin is np.sin
    assert callable(tl.sigmoid)
    with pytest.raises(AttributeError, match="unique"):
        _ = tl.unique
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tl.nonsense
    assert "tensor" in dir(tl)


def test_a_joint_rule_is_called_once_for_what_is_asked_for():
    calls = []

    @tl.primitive
    def weighted(scale, *arrays):
        return scale * sum(arrays)

    def rule(argnums, g, y, scale, *arrays):
        calls.append(tuple(argnums))
        return [np.sum(g * y) / scale if n == 0 else g * scale for n in argnums]

    tl.defvjp_joint(weighted, rule)
    a, b, c = (tl.tensor([1.0, 2.0], requires_grad=True) for _ in range(3))
    weighted(tl.tensor(3.0, requires_grad=True), a, np.ones(2), b).sum().backward()
    assert calls == [(0, 1, 3)]
    np.testing.assert_array_equal([a.grad, b.grad], np.full((2, 2), 3.0))
    tl.gradients(weighted(3.0, a, b, c).sum(), c)
    assert calls[-1] == (3,)
    arrays = map(np.array, (2.0, [1.0, 2.0], [3.0, 4.0]))
    check_gradients(lambda s, x, y: weighted(s, x, y, x), *arrays)
    jacobian = tl.jacobian(lambda x: weighted(2.0, x, x))(np.ones(2))
    np.testing.assert_array_equal(jacobian, 4 * np.eye(2))


def test_a_joint_rule_for_some_arguments_refuses_the_others():
    shifted = tl.primitive(lambda x, n: x + n)
    tl.defvjp_joint(shifted, lambda argnums, g, y, x, n: [g], argnums=[0])
    with pytest.raises(TypeError, match="no derivative by argument 1"):
        shifted(tl.tensor(1.0, requires_grad=True), tl.tensor(1.0, requires_grad=True))


def test_a_joint_rule_that_gives_too_few_gradients_is_named():
    both = tl.primitive(lambda x, y: x + y)
    tl.defvjp_joint(both, lambda argnums, g, y, a, b: [g])
    x = tl.tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="gave 1 gradients where 2 were asked"):
        both(x, x).backward()


@pytest.mark.parametrize("answer", [None, 2.0, "no gradient", lambda g: g])
@pytest.mark.parametrize("order", [1, 2])
def test_a_rule_that_gives_no_array_is_told_what_it_gave(answer, order):
    square = tl.primitive(lambda x: x * x)
    rule = (lambda g, y, x: answer) if order == 1 else (lambda g, y, x: 2 * g * cut(x))
    cut = tl.primitive(lambda x: x + 0.0)
    tl.defvjp(cut, lambda g, y, x: answer)
    tl.defvjp(square, rule)
    slope = tl.grad(square) if order == 1 else tl.grad(tl.grad(square))
    with pytest.raises(TypeError, match=r"rule: it gave .*, which is no array") as caught:
        slope(3.0)
    assert ("`return`" in str(caught.value)) == (answer is None)


@pytest.mark.parametrize("rule", [lambda g: g, lambda g, x: g, lambda y, x: lambda g: g])
def test_a_rule_of_other_arguments_is_told_its_own(rule):
    square = tl.primitive(lambda x: x * x)
    tl.defvjp(square, rule)
    with pytest.raises(TypeError, match=r"operands: rule\(g, y, x0\)"):
        tl.grad(square)(3.0)


def test_an_error_inside_a_rule_is_its_own():
    square = tl.primitive(lambda x: x * x)
    tl.defvjp(square, lambda g, y, x: None.shape)
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'shape'"):
        tl.grad(square)(3.0)
