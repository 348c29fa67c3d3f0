"""Promise 4: the backward pass."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab.core.engine import propagate


def leaf(data: Any = (1.0, 2.0, 3.0)) -> tl.Tensor:
    return tl.tensor(data, dtype=float, requires_grad=True)


def test_a_chain_of_100_000_goes_forward_and_backward():
    x = tl.tensor(0.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert (y.item(), x.grad) == (100_000, 1)


def test_a_long_chain_that_is_never_walked_is_let_go_without_recursion():
    y = tl.tensor(0.0, requires_grad=True)
    for _ in range(100_000):
        y = y + 1.0
    del y


def test_stacked_diamonds_are_visited_once_each():
    x = tl.tensor(1.0, requires_grad=True)
    y = x
    visits: list[Any] = []
    for _ in range(20):  # a pass that follows each of the 2**20 paths would end, and fail
        y = y + y
        y.register_hook(visits.append)
    y.backward()
    assert len(visits) == 20
    assert x.grad == 2.0**20


def test_each_node_is_visited_once_in_topological_order_with_its_contributions():
    a, b = leaf(), leaf(2.0)
    y = ((a * b) + a).sum()
    visited: list[Any] = []

    def visit(node: Any, g: Any, contributions: Any) -> None:
        assert node.parents is None or len(contributions) == len(node.parents)
        for parent, c in zip(node.parents or (), contributions, strict=False):
            assert (c is None) == (parent is None)
        visited.append(node)

    propagate([y.node], [np.ones(())], retain_graph=True, visit=visit)
    assert [n.name for n in visited[:3]] == ["sum", "add", "multiply"]
    assert len({n.order for n in visited}) == len(visited) == 5
    for node in visited:
        assert all(p is None or visited.index(p) > visited.index(node) for p in node.parents or ())


def test_gradients_accumulate_on_leaves_only():
    x = leaf()
    y = x * 2
    y.sum().backward()
    (x * 3).sum().backward()
    np.testing.assert_array_equal(x.grad, [5, 5, 5])
    assert y.grad is None
    x.grad = None
    assert x.grad is None


@pytest.mark.parametrize("again", ["the same", "another output over it"])
def test_a_freed_graph_is_refused(again: str):
    x = leaf()
    y = np.exp(x)
    total = y.sum()
    total.backward()
    with pytest.raises(RuntimeError, match=r"freed by an earlier backward.*retain_graph=True"):
        (total if again == "the same" else (y * 2).sum()).backward()


def test_a_retained_graph_gives_the_same_again():
    x = leaf()
    y = (np.exp(x) * x).sum()
    y.backward(retain_graph=True)
    first, x.grad = x.grad, None
    y.backward()
    np.testing.assert_array_equal(x.grad, first)


def test_a_leaf_is_its_own_graph():
    x = leaf()
    for _ in range(2):
        x.backward(np.ones(3))
    np.testing.assert_array_equal(x.grad, [2, 2, 2])


def test_backward_needs_an_upstream_for_more_than_one_element():
    y = leaf() * 2
    with pytest.raises(ValueError, match=r"shape \(3,\) needs an upstream"):
        y.backward()
    with pytest.raises(ValueError, match=r"shape \(2,\) for a tensor of shape \(3,\)"):
        y.backward(np.ones(2))
    with pytest.raises(RuntimeError, match="requires_grad=True on a leaf"):
        tl.tensor(1.0).backward()


@pytest.mark.parametrize("make", [list, np.array, tl.tensor], ids=["list", "array", "tensor"])
def test_an_upstream_may_be_anything_like_an_array(make: Any):
    x = leaf()
    (x * 2).backward(make([1.0, 0.0, 2.0]))
    assert type(x.grad) is np.ndarray
    np.testing.assert_array_equal(x.grad, [2, 0, 4])


def test_the_upstream_is_not_handed_on():
    x, upstream = leaf(), np.ones(3)
    y = x + 0
    y.retain_grad()
    y.backward(upstream)
    upstream[:] = 7
    np.testing.assert_array_equal(x.grad, [1, 1, 1])
    np.testing.assert_array_equal(y.grad, [1, 1, 1])


def test_gradients_of_two_leaves_are_two_arrays():
    a, b = leaf(), leaf()
    (a + b).sum().backward()
    a.grad *= 10
    np.testing.assert_array_equal(b.grad, [1, 1, 1])


def test_accumulating_does_not_write_into_an_array_someone_took():
    x = leaf()
    x.sum().backward()
    taken = x.grad
    x.sum().backward()
    np.testing.assert_array_equal(taken, [1, 1, 1])
    np.testing.assert_array_equal(x.grad, [2, 2, 2])


# -- infinities travel as in NumPy ---------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (x * np.inf - x * np.inf).sum(),
        lambda x: (x * np.array([[np.inf], [-np.inf]])).sum(),
    ],
    ids=["fan-out", "broadcast"],
)
def test_infinite_gradients_that_cancel_are_nan_and_no_error(f: Any):
    x = leaf([1.0])
    with np.errstate(invalid="ignore"):
        y = f(x)
    y.backward()
    assert np.isnan(x.grad).all()


def test_infinite_gradients_that_cancel_on_a_leaf_are_nan_and_no_error():
    x = leaf(1.0)
    (x * np.inf).backward()
    (x * -np.inf).backward()
    assert np.isnan(x.grad)


# -- hooks and retained gradients ----------------------------------------------------------------


def test_a_hook_sees_the_complete_gradient_once_and_may_replace_it():
    x = leaf()
    y = x * 2
    upstreams: list[Any] = []
    y.register_hook(lambda g: upstreams.append(g.copy()))
    remove = y.register_hook(lambda g: g * 10)
    (y + y * 3).sum().backward(retain_graph=True)
    assert len(upstreams) == 1
    np.testing.assert_array_equal(upstreams[0], [4, 4, 4])
    np.testing.assert_array_equal(x.grad, [80, 80, 80])
    remove()
    x.grad = None
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2, 2])


def test_one_function_registered_twice_is_removed_once():
    x = leaf()
    double = lambda g: g * 2
    remove = x.register_hook(double)
    x.register_hook(double)
    remove()
    x.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2, 2])


def test_a_hook_must_keep_shape_and_cannot_change_the_dtype():
    x = tl.tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    remove = x.register_hook(lambda g: g * np.float64(0.5))
    x.sum().backward()
    assert x.grad.dtype == np.float32
    remove()
    x.register_hook(lambda g: g.sum())
    with pytest.raises(ValueError, match="hook"):
        x.sum().backward()


def test_a_hook_sees_its_owners_error_state():
    x, states = leaf(), []
    y = x * 2
    y.register_hook(lambda g: states.append(np.geterr()["invalid"]))
    for wanted in ("ignore", "warn", "raise"):
        with np.errstate(invalid=wanted):
            y.sum().backward(retain_graph=True)
    assert states == ["ignore", "warn", "raise"]


def test_retain_grad_keeps_an_intermediate_gradient():
    x = leaf()
    y = x * 2
    y.retain_grad()
    (y * y).sum().backward()
    np.testing.assert_array_equal(y.grad, 2 * y.data)
    assert y.grad.flags.writeable


def test_hooks_need_a_gradient_and_a_callable():
    with pytest.raises(RuntimeError, match="requires no gradient"):
        tl.tensor(1.0).register_hook(print)
    with pytest.raises(RuntimeError, match="requires no gradient"):
        tl.tensor(1.0).retain_grad()
    with pytest.raises(TypeError, match="callable"):
        leaf().register_hook(3)


def test_a_hook_may_run_a_backward_pass_of_its_own():
    x, z = leaf(), leaf()
    y = x * 2
    y.register_hook(lambda g: (z * g).sum().backward())
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2, 2])
    np.testing.assert_array_equal(z.grad, [1, 1, 1])


# -- memory --------------------------------------------------------------------------------------


def train_a_little() -> list[weakref.ref[Any]]:
    w, references = leaf(np.ones((4, 4))), []
    for _ in range(3):
        h = np.tanh(w @ w)
        h.register_hook(lambda g: g * 1)
        h.retain_grad()
        loss = (h[0] * h.sum(axis=0)).mean() + np.where(h.data > 0, np.sqrt(h), 0).sum()
        slopes = tl.gradients(loss, w, create_graph=True)
        (slopes * slopes).sum().backward()
        w.grad = None
        references += [weakref.ref(t) for t in (h, loss, slopes)]
        references += [weakref.ref(t.node) for t in (h, loss, slopes)]
    return references


def test_no_reference_cycles_are_left():
    train_a_little()  # caches fill
    gc.collect()
    gc.disable()
    try:
        alive = [r for r in train_a_little() if r() is not None]
        assert not alive
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_graph_that_is_dropped_unwalked_leaves_nothing():
    gc.collect()
    gc.disable()
    try:
        x = leaf()
        nodes = [weakref.ref((np.exp(x) * x).sum().node)]
        assert nodes[0]() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_memory_falls_as_the_pass_goes():
    size = 8 * 100_000
    x = leaf(np.full(100_000, 0.5))
    tracemalloc.start()
    try:
        y = x
        for _ in range(40):
            y = np.sin(y)
        total = y.sum()
        del y
        held: list[int] = []
        forward = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        propagate(
            [total.node],
            [np.ones(())],
            visit=lambda *_: held.append(tracemalloc.get_traced_memory()[0]),
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert forward > 38 * size
    assert peak - forward < 5 * size
    assert held[20] < forward - 15 * size
    assert held[-1] < 5 * size


# -- higher orders -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "slopes"),
    [
        (lambda x: x**4, (32.0, 48.0, 48.0)),
        (np.exp, (np.exp(2.0),) * 3),
        (np.sin, (np.cos(2.0), -np.sin(2.0), -np.cos(2.0))),
        (np.log, (0.5, -0.25, 0.25)),
        (lambda x: 1 / x, (-0.25, 0.25, -0.375)),
        (lambda x: np.tanh(x) * 0 + x * x * x, (12.0, 12.0, 6.0)),
        (lambda x: np.einsum("i,i,i->", *[np.stack([x, x])] * 3) / 2, (12.0, 12.0, 6.0)),
    ],
)
def test_derivatives_to_third_order(f: Any, slopes: Any):
    x = leaf(2.0)
    y = f(x)
    for expected in slopes:
        y = tl.gradients(y, x, create_graph=True)
        np.testing.assert_allclose(y.item(), expected, rtol=1e-12)


@pytest.mark.parametrize("f", [lambda x: x + 1, np.sin, lambda x: x.reshape(3, 1) * 2])
def test_create_graph_leaves_tensors(f: Any):
    x = leaf()
    f(x).sum().backward(create_graph=True)
    assert isinstance(x.grad, tl.Tensor)
    again = leaf()
    f(again).sum().backward()
    np.testing.assert_array_equal(x.grad.data, again.grad)


def test_jvp_by_double_vjp_from_a_zero_upstream():
    x = leaf([0.0, 4.0, 9.0])
    y = np.where(x.data > 0, np.sqrt(x), 0.0)
    u = leaf(np.zeros(3))
    pulled = tl.gradients(y, x, u, create_graph=True)
    np.testing.assert_allclose(tl.gradients(pulled, u, np.ones(3)), [0, 1 / 4, 1 / 6])


# -- any graph -----------------------------------------------------------------------------------

BINARY = [np.add, np.subtract, np.multiply, np.maximum]
UNARY = [np.sin, np.tanh, np.negative, np.copy]
STEP = st.tuples(st.integers(0, 7), st.integers(0, 50), st.integers(0, 50), st.booleans())


@given(st.lists(STEP, max_size=12), st.integers(0, 3))
def test_any_graph_agrees_with_forward_derivatives(steps: Any, used: int):
    """Random programs: shared nodes, dead ends, detached parts, against tangents carried along."""
    x = leaf(0.75)
    values, tangents = [x, x * 0.5], [1.0, 0.5]
    for op, i, j, detached in steps:
        a, b = values[i % len(values)], values[j % len(values)]
        da, db = tangents[i % len(values)], tangents[j % len(values)]
        if detached and a is not x:
            a, da = a.detach(), 0.0
        if op < 4:
            y = BINARY[op](a, b)
            p, q = a.item(), b.item()
            share = 0.5 if p == q else float(p > q)
            dy = [da + db, da - db, da * q + p * db, share * da + (1 - share) * db][op]
        else:
            y = UNARY[op - 4](a)
            p = a.item()
            dy = [np.cos(p), 1 - np.tanh(p) ** 2, -1.0, 1.0][op - 4] * da
        values.append(y)
        tangents.append(dy)
    outputs = values[-1 - used % len(values) :]
    total, tangent = sum(outputs, start=x), 1.0 + sum(tangents[-len(outputs) :])
    total.backward(retain_graph=True)
    np.testing.assert_allclose(x.grad, tangent, rtol=1e-9, atol=1e-9)
    total.backward()
    np.testing.assert_allclose(x.grad, 2 * tangent, rtol=1e-9, atol=1e-9)
