"""Promise 5: tensors are values, and what an optimizer may write in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.core.ownership import is_shared


def leaf(data: Any = (1.0, 2.0, 3.0)) -> tl.Tensor:
    return tl.tensor(data, dtype=float, requires_grad=True)


@pytest.mark.parametrize("symbol", ["+=", "-=", "*=", "/=", "**=", "%=", "@="])
def test_augmented_assignment_rebinds(symbol: str):
    x = leaf()
    names: dict[str, Any] = {"t": x * 1, "u": np.array([2.0, 1.0, 4.0])}
    old, before = names["t"], np.array(names["t"].data)
    exec(f"t {symbol} u", names)
    assert names["t"] is not old
    np.testing.assert_array_equal(old.data, before)
    (names["t"].sum() + old.sum()).backward()
    expected = eval(
        f"tl.gradients((x {symbol[:-1]} u).sum() + x.sum(), x)", {**names, "tl": tl, "x": x}
    )
    np.testing.assert_array_equal(x.grad, expected)


def test_old_holders_keep_value_and_gradient_when_an_element_is_set():
    x, v = leaf(), leaf(5.0)
    t = x * 2
    old, square = t.detach(), t * t
    t[1] = v
    np.testing.assert_array_equal(t.data, [2, 5, 6])
    np.testing.assert_array_equal(old.data, [2, 4, 6])
    np.testing.assert_array_equal(square.data, [4, 16, 36])
    (square + t).sum().backward()
    np.testing.assert_array_equal(x.grad, 8 * x.data + [2, 0, 2])
    assert v.grad == 1


def test_two_names_of_one_handle_see_the_update():
    t = leaf() * 1
    same = t
    t[0] = 9.0
    assert same is t
    assert same.data[0] == 9


def test_set_elements_with_duplicates_let_the_last_win():
    x, v = leaf(), leaf([10.0, 20.0, 30.0])
    t = x.copy()
    t[[0, 0, 2]] = v
    np.testing.assert_array_equal(t.data, [20, 2, 30])
    (t * np.array([1.0, 10.0, 100.0])).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 10, 0])
    np.testing.assert_array_equal(v.grad, [0, 1, 100])


def test_setting_an_element_of_a_constant_makes_it_tracked():
    t, v = tl.tensor(np.zeros((2, 3))), leaf(np.ones((1, 3)))
    t[0] = v
    assert t.requires_grad
    t[:, 1:].sum().backward()
    np.testing.assert_array_equal(v.grad, [[0, 1, 1]])


def test_a_leaf_is_not_changed_behind_its_gradient():
    x = leaf()
    with pytest.raises(RuntimeError, match=r"t\.copy\(\).*no_grad"):
        x[0] = 1.0
    with tl.no_grad():
        x[0] = 7.0
    assert x.requires_grad
    assert x.is_leaf
    assert x.data[0] == 7


def test_integers_cannot_take_a_tracked_value():
    t = tl.tensor([1, 2])
    with pytest.raises(TypeError, match="int64"):
        t[0] = leaf(1.0)


def test_plain_arrays_refuse_to_be_written_by_a_tracked_tensor():
    array = np.zeros(3)
    with pytest.raises(TypeError, match="out="):
        array += leaf()


# -- writing parameters in place -------------------------------------------------------------------


def step(parameter: tl.Tensor, by: Any) -> bool:
    """As an optimizer does: in place when nobody else can see the array; tells whether it was."""
    if is_shared(parameter.data):
        parameter.data = parameter.data - by
        return False
    parameter.data -= by
    return True


@pytest.mark.parametrize(
    "f",
    [
        lambda w: w * w,
        lambda w: np.exp(w),
        lambda w: w[1:] * w[:-1],
        lambda w: w.reshape(3, 1) @ w.reshape(1, 3),
        lambda w: np.stack([w, w]) ** 2,
        lambda w: w.T * np.flip(w),
        lambda w: np.einsum("i,j->ij", w, w),
        lambda w: np.broadcast_to(w, (2, 3)) ** 2,
    ],
)
def test_a_graph_retained_over_an_update_keeps_the_old_values(f: Any):
    w = leaf()
    total = f(w).sum()
    total.backward(retain_graph=True)
    expected, w.grad = w.grad, None
    assert not step(w, 0.5 * expected)
    total.backward()
    np.testing.assert_array_equal(w.grad, expected)


def test_an_update_after_an_ordinary_backward_is_in_place():
    w = leaf()
    loss = (w * w).sum()
    loss.backward()
    array = w.data
    del array
    assert step(w, w.grad)


def test_an_update_does_not_reach_whoever_holds_the_array():
    w = leaf()
    held = w.data
    assert not step(w, 1.0)
    np.testing.assert_array_equal(held, [1, 2, 3])
    detached = w.detach()
    assert not step(w, 1.0)
    np.testing.assert_array_equal(detached.data, [0, 1, 2])
    view = w.data[1:]
    assert not step(w, 1.0)
    np.testing.assert_array_equal(view, [0, 1])


def test_who_shares_an_array():
    class Owner:
        def __init__(self) -> None:
            self.data = np.zeros(3)

    owner = Owner()
    alone = is_shared(owner.data)  # asked outside `assert`, which holds on to what it looks at
    other = owner.data
    with_another = is_shared(owner.data)
    del other
    alone_again = is_shared(owner.data)
    keeps = [owner.data]
    in_a_list = is_shared(owner.data)
    assert (alone, with_another, alone_again, in_a_list) == (False, True, False, True)
    assert len(keeps) == 1
    assert is_shared(np.zeros(3)[1:])
    assert is_shared(3.0)
