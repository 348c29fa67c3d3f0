"""Checkpointing: the same gradients from less memory, and the same random numbers twice."""

from __future__ import annotations

import copy
import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl

RNG = np.random.default_rng(0)


def block(rng: int = 0) -> tl.nn.Sequential:
    nn = tl.nn
    return nn.Sequential(
        nn.Linear(3, 8, rng=rng), nn.Tanh(), nn.Dropout(0.5, rng=rng), nn.Linear(8, 3, rng=rng)
    )


def test_gradients_are_those_of_the_plain_call_with_dropout():
    plain, again = block(), block()
    x, same = (tl.tensor(np.ones((5, 3)), requires_grad=True) for _ in range(2))
    y = plain(plain(x)).sum()
    z = tl.checkpoint(again, tl.checkpoint(again, same)).sum()
    y.backward()
    z.backward()
    assert y.item() == z.item()
    np.testing.assert_array_equal(same.grad, x.grad)
    for p, q in zip(plain.parameters(), again.parameters(), strict=True):
        np.testing.assert_allclose(q.grad, p.grad, rtol=1e-14)
    assert plain(x).sum().item() == again(same).sum().item(), "the generator went on elsewhere"


def test_second_derivatives():
    f = lambda x: np.exp(np.sin(x)).sum()
    x = RNG.normal(size=3)
    inside = tl.hessian(lambda x: tl.checkpoint(f, x))(x)
    np.testing.assert_allclose(inside, tl.hessian(f)(x))


def test_the_values_of_the_first_time_are_used_after_a_step():
    model, x = tl.nn.Linear(2, 1, rng=0), tl.tensor(np.ones((1, 2)), requires_grad=True)
    y = tl.checkpoint(model, x).sum()
    weight = model.weight.data.copy()
    model.weight.data = model.weight.data + 1
    y.backward()
    np.testing.assert_array_equal(x.grad, weight)


def test_containers_and_constants_are_handed_over():
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    y = tl.checkpoint(lambda p, k: (p["w"] * p["w"]).sum() * k, {"w": w}, 3)
    y.backward()
    np.testing.assert_array_equal(w.grad, [6.0, 12.0])


def test_a_tracked_tensor_that_is_not_handed_over_is_refused():
    w = tl.tensor(2.0, requires_grad=True)
    x = tl.tensor(3.0, requires_grad=True)
    y = tl.checkpoint(lambda x: x * w, x)
    with pytest.raises(RuntimeError, match="hand it over"):
        y.backward()


def test_without_anything_tracked_it_is_the_plain_call():
    assert not tl.checkpoint(np.sin, tl.tensor(1.0)).requires_grad
    with tl.no_grad():
        assert not tl.checkpoint(np.sin, tl.tensor(1.0, requires_grad=True)).requires_grad
    with pytest.raises(TypeError, match="one tensor"):
        tl.checkpoint(lambda x: (x, x), tl.tensor(1.0, requires_grad=True))


def peak_of(step: Any) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_that_of_the_arguments():
    x = tl.tensor(np.ones(50_000), requires_grad=True)

    def long(x: Any) -> Any:
        for _ in range(20):
            x = np.sin(x)
        return x

    def plain() -> None:
        y = x
        for _ in range(5):
            y = long(y)
        y.sum().backward()

    def with_checkpoints() -> None:
        y = x
        for _ in range(5):
            y = tl.checkpoint(long, y)
        y.sum().backward()

    reference = peak_of(plain)
    x.grad = None
    assert peak_of(with_checkpoints) < 0.4 * reference


def test_a_deep_copy_draws_the_same_numbers():
    first = block(3)
    second = copy.deepcopy(first)
    x = np.ones((4, 3))
    np.testing.assert_array_equal(first(x).data, second(x).data)
