"""Promises 9 and 10: errors that teach, copies and files, and the one-line summary."""

from __future__ import annotations

import copy
import inspect
import operator
import pickle
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl


def leaf(data: Any = (1.0, 2.0)) -> tl.Tensor:
    return tl.tensor(data, dtype=float, requires_grad=True)


FAILING: dict[str, tuple[Any, type[Exception], list[str]]] = {
    "matmul": (lambda: leaf(np.ones((2, 3))) @ np.ones((2, 4)), ValueError, ["(2, 3)", "(2, 4)"]),
    "add": (lambda: leaf([1, 2]) + leaf([1, 2, 3]), ValueError, ["(2,)", "(3,)"]),
    "sum": (lambda: leaf().sum(axis=3), IndexError, ["(2,)", "axis=3"]),
    "reshape": (lambda: leaf(np.ones((2, 3))).reshape(4, 2), ValueError, ["(2, 3)", "(4, 2)"]),
    "concatenate": (
        lambda: np.concatenate([leaf(np.ones((2, 3))), np.ones((2, 2))]), ValueError, ["(2, 3)"],
    ),
    "stack": (lambda: np.stack([leaf(), leaf([1.0])]), ValueError, ["(2,)", "(1,)"]),
    "getitem": (lambda: leaf()[5], IndexError, ["(2,)", "5"]),
    "setitem": (lambda: operator.setitem(leaf() * 1, 0, [1.0, 2.0]), ValueError, ["(2,)"]),
    "einsum": (lambda: np.einsum("ij,j->i", leaf(), leaf()), ValueError, ["ij,j->i", "(2,)"]),
    "transpose": (lambda: np.transpose(leaf(), (0, 1)), ValueError, ["(2,)"]),
}  # fmt: skip


@pytest.mark.parametrize("op", FAILING)
def test_an_error_keeps_its_type_and_names_the_operation_and_the_shapes(op: str):
    use, kind, words = FAILING[op]
    with pytest.raises(kind, match=op) as failure:
        use()
    assert failure.value.__cause__ is not None
    assert all(text in str(failure.value) for text in words), str(failure.value)


def test_a_wrong_rule_is_named_with_the_shapes():
    @tl.primitive
    def lost(x: Any) -> Any:
        return x.sum(axis=0)

    tl.defvjp(lost, lambda g, y, x: np.ones(7))
    y = lost(leaf(np.ones((2, 3))))
    with pytest.raises(ValueError, match=r"lost.*\(2, 3\).*derivative rule.*\(7,\)"):
        y.sum().backward()


def test_an_error_inside_an_operation_inside_another_is_explained_once():
    with pytest.raises(ValueError) as failure:
        np.concatenate([leaf(np.ones((2, 3))), np.ones((2, 2))])
    assert str(failure.value).count("concatenate(") == 1


def test_an_error_of_an_operation_inside_a_rule_is_not_its_own_cause():
    twice = tl.primitive(lambda x: x * 2)
    tl.defvjp(twice, lambda g, y, x: np.take(g, 5))
    x = leaf()
    with pytest.raises(IndexError) as failure:
        tl.gradients(twice(x).sum(), x, create_graph=True)
    cause = failure.value.__cause__
    assert type(cause) is IndexError
    assert cause is not failure.value


# -- copies and files ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "through", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))], ids=["deepcopy", "pickle"]
)
def test_leaves_can_be_copied(through: Any):
    x = leaf()
    (x * x).sum().backward()
    for t in (x, tl.tensor([1, 2]), tl.tensor(np.float32(2.0)), leaf([])):
        other = through(t)
        assert other.requires_grad == t.requires_grad
        assert other.dtype == t.dtype
        np.testing.assert_array_equal(other.data, t.data)
        assert not np.shares_memory(other.data, t.data)
    other = through(x)
    np.testing.assert_array_equal(other.grad, x.grad)
    other.grad *= 0
    np.testing.assert_array_equal(x.grad, [2, 4])


def test_a_leaf_that_stands_twice_in_a_structure_does_so_in_the_copy():
    x = leaf()
    first, second = copy.deepcopy([x, x])
    assert first is second


@pytest.mark.parametrize("through", [copy.deepcopy, pickle.dumps, copy.copy])
def test_a_result_says_detach_first(through: Any):
    with pytest.raises(RuntimeError, match=r"result of multiply.*detach\(\)"):
        through(leaf() * 2)
    through((leaf() * 2).detach())


# -- one line of text ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: tl.tensor([1.0, 2.0]), "Tensor([1., 2.])"),
        (lambda: leaf(), "Tensor([1., 2.], requires_grad=True)"),
        (lambda: leaf().sum(), "Tensor(3.) ← sum"),
        (lambda: tl.tensor([1, 2], dtype="float32"), "Tensor([1., 2.], dtype=float32)"),
        (lambda: tl.tensor([]), "Tensor([], dtype=float64)"),
        (
            lambda: leaf(np.linspace(-1, 1, 40).reshape(4, 10)) + 1,
            "Tensor(4, 10) float64 x∈[0, 2] μ=1 σ=0.592 ← add",
        ),
    ],
)
def test_repr(make: Any, text: str):
    assert repr(make()) == text


def test_repr_warns_of_values_that_are_not_finite():
    data = np.ones(40)
    data[3], data[4] = np.nan, np.inf
    assert "NaN! Inf!" in repr(tl.tensor(data))
    assert "\n" not in repr(tl.tensor(np.ones((100, 100)), requires_grad=True))


def places_of_out():
    """Every function of NumPy's that can be told by position where to write its result."""
    for op in tl.operations.OPERATIONS:
        try:
            parameters = inspect.signature(op).parameters.values()
        except (TypeError, ValueError):
            continue
        names = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        if "out" in names and not isinstance(op, np.ufunc) and vars(np).get(op.__name__) is op:
            yield op, names[1 : names.index("out")]


@pytest.mark.parametrize("tracked", [True, False])
def test_out_is_refused_by_position_as_it_is_by_name(tracked):
    places = list(places_of_out())
    assert len(places) > 40
    for op, names in places:
        t, out = tl.tensor(np.ones((2, 2)), requires_grad=tracked), tl.tensor(np.full((2, 2), 9.0))
        for first in (t, t.data):
            args = [first, *(0 if name == "axis" else () for name in names), out]
            with pytest.raises(TypeError, match=r"\(\.\.\., out=\.\.\.\) writes in place"):
                op(*args)
        assert np.all(out.data == 9.0), op
    with pytest.raises(TypeError, match="writes in place"):
        tl.tensor([1.0, 2.0]).sum(0, None, np.zeros(()))
    assert np.sum(tl.tensor([1.0, 2.0]), 0, None, None) == 3.0
