"""Several threads at once, and what memory is held: by a backward pass, and by errors."""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.interrupts import assert_all_or_none, interrupted_everywhere


def trained(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 1))
    model = tl.nn.MLP([2, 8, 1], rng=rng)
    optimizer = tl.optim.Adam(model.parameters(), lr=0.01)
    for step in range(60):
        with tl.no_grad():
            assert not model(x).requires_grad
        loss = tl.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            tl.hvp(lambda x, m=model: m(x).sum(), (x,), (x,))
    return [p.data for p in model.parameters()]


def test_four_threads_give_what_four_runs_give():
    one_after_the_other = [trained(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        side_by_side = list(pool.map(trained, range(4)))
    for expected, actual in zip(one_after_the_other, side_by_side, strict=True):
        for e, f in zip(expected, actual, strict=True):
            np.testing.assert_array_equal(f, e)


def test_the_peak_of_a_backward_pass_is_the_forward_pass_and_one_layer():
    layers, batch, width = 50, 256, 64
    rng = np.random.default_rng(0)
    weights = [
        tl.tensor(rng.normal(size=(width, width)) / 8, requires_grad=True) for _ in range(layers)
    ]
    x = rng.normal(size=(batch, width))
    gc.collect()
    tracemalloc.start()
    try:
        h = x
        for w in weights:
            h = np.tanh(h @ w)
        loss = (h * h).sum()
        del h
        forward, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        loss.backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    one_layer = 6 * batch * width * 8 + width * width * 8  # its values, slopes and cotangents
    assert peak <= forward + one_layer, (peak, forward, one_layer)


def test_nothing_is_lost_when_threads_add_to_one_leaf():
    x = tl.tensor(np.zeros(3), requires_grad=True)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda k: (x * float(k)).sum().backward(), range(400)))
    finally:
        sys.setswitchinterval(before)
    np.testing.assert_array_equal(x.grad, np.full(3, 400 * 399 / 2))


def test_a_mode_object_may_be_entered_in_many_threads_and_twice():
    quiet, start = tl.no_grad(), threading.Barrier(8)

    def enter(_: int) -> bool:
        start.wait()
        right = True
        for _ in range(200):
            with quiet:
                with quiet:
                    right &= not tl.is_grad_enabled()
                right &= not tl.is_grad_enabled()
            right &= tl.is_grad_enabled()
        return right

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(enter, range(8)))


class Unusual(Exception):
    """A user's exception, of no kind that is raised anew."""


@pytest.mark.parametrize("kind", [Unusual, ValueError, KeyError])
@pytest.mark.parametrize("where", ["rule", "forward", "hook"])
def test_a_caught_error_holds_no_memory(kind: type[Exception], where: str):
    def fail(*_: object) -> None:
        raise kind("no")

    @tl.primitive
    def failing(x):
        return fail() if where == "forward" else x * 1

    tl.defvjp(failing, fail if where == "rule" else lambda g, y, x: g)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(5):
            x = tl.tensor(np.ones(100_000), requires_grad=True)
            with suppress(kind):
                y = failing(x * 2)
                if where == "hook":
                    y.register_hook(fail)
                y.sum().backward()
            x = y = None
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
        gc.enable()


def test_when_a_hook_raises_no_leaf_has_a_gradient():
    leaves = [tl.tensor(float(i), requires_grad=True) for i in range(6)]
    results = [leaf * 2 for leaf in leaves]
    results[0].retain_grad()

    def fail(g: object) -> None:
        raise Unusual

    leaves[3].register_hook(fail)
    with pytest.raises(Unusual):
        sum(results).backward()
    assert all(leaf.grad is None for leaf in (*leaves, *results))


def test_an_interrupted_backward_pass_has_added_to_all_leaves_or_to_none():
    def make() -> list[tl.Tensor]:
        leaves = [tl.tensor(float(i), requires_grad=True) for i in range(1, 4)]
        for leaf in leaves[:2]:
            leaf.grad = np.array(1.0)
        return [*leaves, np.sin(leaves[0] * leaves[1]) + leaves[2]]

    assert_all_or_none(
        make, lambda tensors: tensors[-1].backward(), lambda tensors: [t.grad for t in tensors[:3]]
    )


def test_after_an_interrupted_pass_the_modes_and_the_lock_are_free():
    x = tl.tensor(2.0, requires_grad=True)

    def state(y: tl.Tensor) -> object:
        z = x * 3.0
        x.grad = None
        z.backward()
        return tl.is_grad_enabled(), np.geterr(), x.grad.item()

    before = state(x)
    for place, after in interrupted_everywhere(lambda: x * x, tl.Tensor.backward, state):
        assert after == before, place
