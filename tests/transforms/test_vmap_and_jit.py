"""``vmap`` and recorded programs, one inside the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn, optim

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))
W = RNG.normal(size=3)


def wave(w: Any, x: Any) -> Any:
    return np.sin(w @ x) + (w * w * x).sum()


INSIDE_JIT = {
    "vmap": lambda w, x: tl.vmap(wave, (None, 0))(w, x),
    "vmap of vmap": lambda w, x: tl.vmap(tl.vmap(wave, (None, 0)), (0, None))(x, x),
    "vmap of grad": lambda w, x: tl.vmap(tl.grad(wave), (None, 0))(w, x),
    "vmap of hessian": lambda w, x: tl.vmap(tl.hessian(wave), (None, 0))(w, x),
    "jacobian": lambda w, x: tl.jacobian(lambda w: np.tanh(x @ w))(w),
    "places that all share": lambda w, x: tl.vmap(
        tl.grad(lambda x, w: (x[np.argsort(w)[:2]] ** 3).sum() + (x[w < 0] ** 2).sum()), (0, None)
    )(x, w),
    "grad of vmap": lambda w, x: tl.grad(lambda w: tl.vmap(wave, (None, 0))(w, x).sum())(w),
}


@pytest.mark.parametrize("name", INSIDE_JIT)
def test_inside_jit(name: str):
    f = INSIDE_JIT[name]
    jitted = tl.jit(f)
    for scale in (1.0, 2.0, 3.0, 4.0):  # recorded, simplified, and run
        np.testing.assert_array_equal(jitted(W * scale, X), f(W * scale, X))
    few, many = (tl.program(f)(W, x).cost.calls for x in (X, np.concatenate([X, X])))
    assert few == many  # no call for each example


@pytest.mark.parametrize("d", [lambda f: f, tl.grad, tl.hessian])
def test_a_jitted_function_inside(d: Any):
    plain, jitted = (tl.vmap(d(f), (None, 0))(W, X) for f in (wave, tl.jit(wave)))
    np.testing.assert_array_equal(jitted, plain)


def test_training_steps():
    losses = []
    for wrap in (tl.jit, lambda f: f):
        model = nn.MLP([3, 4, 2], rng=0)
        optimizer = optim.Adam(model.parameters(), lr=0.1)

        def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
            each = tl.vmap(lambda x, y: nn.functional.cross_entropy(model(x), y))(x, y)
            optimizer.zero_grad()
            each.mean().backward()
            optimizer.step()
            return each.mean()

        run = wrap(step)
        losses.append([run(model, optimizer, X, np.array([0, 1, 1, 0])).item() for _ in range(5)])
    assert losses[0] == losses[1]
