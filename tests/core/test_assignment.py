"""Writing into tensors: elements, `+=` and its like, and what others hold meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.support import check_gradients
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.ownership import COPIED


def leaf(data: Any = (1.0, 2.0, 3.0)) -> tl.Tensor:
    return tl.tensor(data, dtype=float, requires_grad=True)


INDICES: list[Any] = [
    0, -1, slice(0, 2), slice(None, None, -1), [0, 2], [1, 1, 0], np.array([True, False, True]),
    Ellipsis, (None, 1), np.array(2),
]  # fmt: skip


@given(places=st.lists(st.sampled_from(range(len(INDICES))), min_size=1, max_size=5))
def test_a_row_of_assignments_is_differentiated_as_numpy_computes_it(places: list[int]):
    def filled(x: Any, zeros: Any) -> Any:
        for number, place in enumerate(places):
            index = INDICES[place]
            zeros[index] = x[number] * np.ones(np.zeros(3)[index].shape)
        return (zeros * np.array([1.0, 2.0, 4.0])).sum()

    x = np.arange(1.0, 6.0)
    assert filled(tl.tensor(x), tl.tensor(np.zeros(3))).item() == filled(x, np.zeros(3))
    check_gradients(lambda x: filled(x, x[:3] * 0), x)


def test_a_row_of_assignments_is_one_call_and_nobody_else_sees_it():
    x, t = leaf(np.ones(50)), tl.tensor(np.zeros(50))
    for i in range(50):
        t[i] = x[i] * 2
    assert sum(node.name == "setitem" for node in history([t.node])) == 1
    recorded, before, same_data = t * 1.0, t.detach(), np.array(t.data)
    t[0] = 9.0
    np.testing.assert_array_equal(before.data, same_data)
    t[1] = x[0]
    (recorded.sum() + t.sum()).backward()
    np.testing.assert_array_equal(x.grad, [4 + 0 - 1, 2 + 0, *[4] * 48])


def test_what_a_call_recorded_stays_when_the_next_element_is_assigned():
    x = leaf()

    def steps(x: Any) -> Any:
        t = np.concatenate([x * 0, x[:1]])
        t[0] = x[0]
        for i in range(3):
            t[i + 1] = np.sin(t[i]) * x[i]
        return (t * t).sum()

    check_gradients(steps, x.data)


@pytest.mark.parametrize(
    "write",
    [
        lambda t: exec("t[0][1] = 5.0", {"t": t}),
        lambda t: exec("t[0][1][0:1] = 5.0", {"t": t}),
        lambda t: exec("t.T[0] = 5.0", {"t": t}),
        lambda t: exec("(t * 2)[0] = 5.0", {"t": t}),
        lambda t: exec("t[0][1] += 5.0", {"t": t}),
    ],
)
def test_a_write_to_a_value_that_nobody_holds_is_refused(write: Any):
    with pytest.raises(TypeError, match=r"nobody holds.*t\[i, j\] = v"):
        write(tl.tensor(np.zeros((2, 3, 2))))


def test_a_write_to_what_a_name_an_attribute_or_a_list_holds_is_made():
    t = tl.tensor(np.zeros((2, 3)))
    row, rows, holder = t[0], [t[1]], type("Holder", (), {})()
    row[1] = 5.0
    rows[0][1] = 6.0
    holder.row = row
    holder.row[2] = 7.0
    np.testing.assert_array_equal(row.data, [0, 5, 7])
    np.testing.assert_array_equal(rows[0].data, [0, 6, 0])


SYMBOLS = ["+=", "-=", "*=", "/=", "//=", "**=", "%="]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_under_no_grad_augmented_assignment_moves_the_leaf_itself(symbol: str):
    p, u = leaf(), np.array([2.0, 1.0, 4.0])
    names: dict[str, Any] = {"p": p, "u": u, "a": np.array(p.data)}
    with tl.no_grad():
        exec(f"p {symbol} u", names)
    exec(f"a {symbol} u", names)
    assert names["p"] is p
    assert p.requires_grad
    np.testing.assert_array_equal(p.data, names["a"])


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_on_a_leaf_augmented_assignment_says_what_to_do(symbol: str):
    with pytest.raises(RuntimeError, match=r"t\.copy\(\).*tl\.no_grad\(\)"):
        exec(f"p {symbol} 2.0", {"p": leaf()})


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_augmented_assignment_moves_plain_tensors_in_a_loop(symbol: str):
    tensors = [tl.tensor([1.0, 2.0]), tl.tensor([3.0])]
    arrays = [np.array(t.data) for t in tensors]
    for t, a in zip(tensors, arrays, strict=True):
        exec(f"t {symbol} 2.0; a {symbol} 2.0", {"t": t, "a": a})
    for t, a in zip(tensors, arrays, strict=True):
        np.testing.assert_array_equal(t.data, a)


def test_augmented_assignment_keeps_shape_and_dtype_as_numpys_does():
    p = tl.tensor(np.ones(3, np.float32), requires_grad=True)
    with tl.no_grad():
        p -= np.full(3, 0.5)
        assert p.dtype == np.float32
        with pytest.raises(TypeError, match=r"in place: it gives float64\(2, 3\)"):
            p += np.ones((2, 3))
    counts = tl.tensor([1, 2])
    with pytest.raises(TypeError, match=r"in place: it gives float64\(2,\)"):
        counts *= 0.5


def test_a_manual_loop_of_gradient_descent_with_momentum_moves_the_weights():
    parameters = [leaf([1.0, -2.0]), leaf(3.0)]
    velocities = [tl.tensor(np.zeros(p.shape)) for p in parameters]
    expected = [np.array(p.data) for p in parameters]
    for step in range(3):
        sum((p * p).sum() for p in parameters).backward()
        with tl.no_grad():
            for p, v in zip(parameters, velocities, strict=True):
                v *= 0.5
                v += p.grad
                p -= 0.1 * v
                p.grad = None
        expected = [_moved(start, step + 1) for start in ([1.0, -2.0], 3.0)]
    for p, e in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(p.data, e, rtol=1e-15)


def _moved(start: Any, steps: int) -> Any:
    p, v = np.array(start), 0.0
    for _ in range(steps):
        v = 0.5 * v + 2 * p
        p = p - 0.1 * v
    return p


# What others write meanwhile

CALLS: dict[str, Any] = {
    "an operator": lambda t, x: t * x,
    "the other operand": lambda t, x: x / t,
    "matmul": lambda t, x: x @ t,
    "a function": lambda t, x: np.where(x > 0, t, x * t),
    "an array among others": lambda t, x: np.stack([t, x]) ** 2,
    "a tensor that is not tracked": lambda t, x: t * tl.Tensor(x),
    "a view": lambda t, x: np.convolve(t, x[::-1], "valid"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("size", [5, 40_000])
def test_an_array_changed_before_backward_is_noticed_or_does_not_matter(call: Any, size: int):
    t, x = leaf(np.full(size, 1.5)), np.ones(size)
    expected = tl.gradients(call(t, x).sum(), t)
    y = call(t, x).sum()
    x[:] = 2.0
    if size > COPIED:
        with pytest.raises(RuntimeError, match="has been written to since"):
            y.backward()
    else:
        np.testing.assert_array_equal(tl.gradients(y, t), expected)


def test_an_index_changed_before_backward_does_not_matter():
    t, rows, columns = leaf(np.ones((3, 3))), np.array([0, 1]), np.array([2, 2])
    y = t[rows, columns].sum()
    rows[:], columns[:] = 2, 0
    y.backward()
    np.testing.assert_array_equal(t.grad, [[0, 0, 1], [0, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize("size", [2, 5_000])
def test_places_and_settings_changed_before_backward_do_not_matter(size: int):
    x, index = leaf(np.ones(size)), np.arange(size)
    t = x * 1.0
    t[index] = x * 3.0
    t[index,] = x * 5.0
    index[:] = 0
    t.sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(size, 5.0))
    x.grad, mask = None, np.arange(size) > 0
    total = np.sum(x, where=mask)
    mask[:] = False
    total.backward()
    np.testing.assert_array_equal(x.grad, np.arange(size) > 0)


def test_debug_notices_one_element_of_a_large_array_and_of_a_tensor():
    t = leaf(np.ones(40_000))
    for changed in (np.ones(40_000), t.data):
        with tl.debug():
            y = (t * (changed if changed is not t.data else 1.0) * t).sum()
        changed[12_345] = 2.0
        with pytest.raises(RuntimeError, match="has been written to since"):
            y.backward()
