"""One step of training shared by two processes: each has a part of the batch, gradients are added.

The loss is a mean over the batch of n examples. Of a process that has nₖ of them, the gradient of
its own mean counts nₖ/n, so that unequal parts are right too; a plain average is the case of equal
ones. The step is that of the whole batch. With tinygrad_lab installed:

    python examples/data_parallel.py                     two processes of this machine
    python examples/data_parallel.py tcp://HOST:8786     the workers of a Dask cluster
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np

from tinygrad_lab import nn, optim

# -- what a process does ---------------------------------------------------------------------------


def build():
    return nn.MLP([4, 16, 3], activation="tanh", rng=0)


def gradients_of_part(state, x, y):
    """The mean loss over a part and its gradients, of a model with these parameters."""
    model = build()
    model.load_state_dict(state)
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    return loss.item(), {name: p.grad for name, p in model.named_parameters()}


# -- what this one does ----------------------------------------------------------------------------


def gradients_of_all(executor, model, parts):
    """The loss over all parts, with its gradients left in the model."""
    sent = [executor.submit(gradients_of_part, model.state_dict(), x, y) for x, y in parts]
    n = sum(len(y) for _, y in parts)
    total = 0.0
    model.zero_grad()
    for (_, y), future in zip(parts, sent, strict=True):
        loss, gradients = future.result()
        share = len(y) / n
        total += share * loss
        for name, p in model.named_parameters():
            g = share * gradients[name]
            p.grad = g if p.grad is None else p.grad + g
    return total


@contextmanager
def two_processes():
    """An executor: whatever has `submit` would do."""
    if not sys.argv[1:]:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            yield pool
        return
    from distributed import Client

    with Client(sys.argv[1], timeout=5) as client:
        yield client.get_executor(pure=False)


def main():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 4))
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    parts = [(x[:100], y[:100]), (x[100:], y[100:])]  # two thirds, one third

    shared, whole = build(), build()
    steps = [optim.Adam(model.parameters(), lr=0.05).step for model in (shared, whole)]
    with two_processes() as executor:
        for epoch in range(10):
            loss = gradients_of_all(executor, shared, parts)
            whole.zero_grad()
            expected = nn.functional.cross_entropy(whole(x), y)
            expected.backward()
            pairs = list(zip(shared.parameters(), whole.parameters(), strict=True))
            apart = max(abs(p.grad - q.grad).max() for p, q in pairs)
            print(f"epoch {epoch}: loss {loss:.6f}, gradients differ by {apart:.0e}")
            assert apart < 1e-10
            assert abs(loss - expected.item()) < 1e-10
            for step in steps:
                step()


if __name__ == "__main__":
    main()
