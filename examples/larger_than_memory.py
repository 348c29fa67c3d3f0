"""Gradients over data that no process could hold: Dask arrays as tensors, on two workers.

The data are drawn chunk by chunk where they are needed; together they are larger than all that
both workers may use. A loss and its gradients are one Dask computation: what a chunk contributes
is added up, and the chunk forgotten. A pass through NumPy, one chunk after the other, gives the
same numbers. With tinygrad_lab[dask] installed:

    python examples/larger_than_memory.py [CHUNKS] [STEPS]
"""

import logging
import sys

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

import tinygrad_lab as tl
from tinygrad_lab import nn, optim

CHUNKS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
MB = 2**20
ROWS, FEATURES = 4096, 256  # of a chunk, which has 8 MB
LIMIT = 200 * MB  # of a worker; it uses 90 MB before it has any data


def draw():
    """What is to be drawn, each time the same: nothing is drawn before a chunk is needed."""
    x = da.random.default_rng(0).random((CHUNKS * ROWS, FEATURES), chunks=(ROWS, FEATURES))
    return x, x.map_blocks(lambda x: np.sin(6 * x[:, :1]) + x[:, 1:2], chunks=(ROWS, 1))


def loss_of(model, x, y):
    return nn.functional.mse_loss(model(tl.Tensor(x)), y)


def by_dask(model, x, y):
    """The loss over all data; gradients are left in the parameters, as after any `backward`."""
    model.zero_grad()
    loss = loss_of(model, x, y)  # a plan: nothing is computed here
    loss.backward()  # nor here: now every parameter has the plan of its gradient
    parameters = list(model.parameters())
    value, *gradients = dask.compute(loss.data, *[p.grad for p in parameters])  # but here, at once
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    return value


def by_numpy(model, x, y):
    """The same in this process, which has one chunk at a time: `backward` adds to gradients."""
    model.zero_grad()
    value = 0.0
    for i in range(CHUNKS):
        chunk = dask.compute(x.blocks[i], y.blocks[i], scheduler="synchronous")
        loss = loss_of(model, *chunk) / CHUNKS  # a mean of means, as chunks have equally many rows
        loss.backward()
        value += loss.item()
    return value


def most_memory(dask_worker):
    return max(dask_worker.monitor.quantities["memory"]) / MB


def main():
    x, y = draw()
    model = nn.MLP([FEATURES, 8, 1], activation="tanh", rng=0)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    expected = [by_numpy(model, x, y), *(p.grad for p in model.parameters())]

    print(f"{x.nbytes / MB:.0f} MB of data, two workers of {LIMIT / MB:.0f} MB")
    dask.config.set({"distributed.admin.system-monitor.interval": "50ms"})
    with (
        LocalCluster(2, threads_per_worker=1, memory_limit=LIMIT, dashboard_address="127.0.0.1:0",
                     silence_logs=logging.ERROR) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        for step in range(STEPS):
            loss = by_dask(model, x, y)
            print(f"step {step}: loss {loss:.6f}")
            if step == 0:
                actual = [loss, *(p.grad for p in model.parameters())]
                apart = max(np.abs(a - e).max() for a, e in zip(actual, expected, strict=True))
                print(f"NumPy's loss and gradients differ by {apart:.0e} at most")
                assert apart < 1e-10
            optimizer.step()
        for used in client.run(most_memory).values():
            print(f"a worker used {used:.0f} MB at most")


if __name__ == "__main__":
    main()
