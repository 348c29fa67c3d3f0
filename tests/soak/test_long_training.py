"""30,000 steps of training, and failing steps between them: nothing grows."""

import gc
import tracemalloc

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn, optim

STEPS = 30_000


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_training_does_not_grow(optimizer, tried):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 4)), rng.normal(size=(16, 1))
    model = nn.MLP([4, 8, 1], activation="tanh", rng=0)
    steps = getattr(optim, optimizer)(model.parameters(), lr=1e-3)

    def train(number):
        for step in range(number):
            steps.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            if step % 10 == 0:
                loss = loss + tl.checkpoint(model, x).mean()
            loss.backward()
            steps.step()
            if step % 100 == 0:
                with pytest.raises(ValueError, match="does not fit a weight"):
                    model(x[:, :3])

    train(500)
    tracemalloc.start(1)
    gc.collect()
    objects, (memory, _) = len(gc.get_objects()), tracemalloc.get_traced_memory()
    train(STEPS)
    gc.collect()
    grown, (later, peak) = len(gc.get_objects()) - objects, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 100
    assert later - memory < 100_000
    assert peak - memory < 1_000_000
    tried(
        f"{STEPS} steps: {grown} objects and {later - memory} bytes more, {peak - memory} at most"
    )


def test_failing_steps_free_their_graphs(tried):
    big = np.ones(250_000)
    w = tl.tensor(big, requires_grad=True)

    class Mine(Exception):
        pass

    @tl.primitive
    def failing(x):
        return x * 1.0

    def rule(g, y, x):
        raise Mine

    tl.defvjp(failing, rule)
    tracemalloc.start(1)
    peaks = []
    gc.disable()
    try:
        for _ in range(40):
            with pytest.raises(Mine):
                np.sum(failing(w * 2.0)).backward()
            peaks.append(tracemalloc.get_traced_memory()[0])
    finally:
        gc.enable()
        tracemalloc.stop()
    tried(f"40 failing steps hold {(peaks[-1] - peaks[2]) / 2**20:.1f} MB, with no collection")
    assert peaks[-1] - peaks[2] < 10 * big.nbytes
