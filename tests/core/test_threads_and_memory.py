"""Four models in four threads, and the memory of a deep network's backward pass."""

from __future__ import annotations

import gc
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import tinygrad_lab as tl


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
