"""The CNN step: one minibatch step of a small convolutional classifier of 8×8 digits.

Two convolutions (8 and 16 filters of 3×3), each with ReLU and 2×2 max pooling, a linear layer,
cross-entropy, Adam, batch 64, float32. Without a contender by hand: nobody writes this one by hand.
"""

from typing import Any

import numpy as np

from benchmarks.timing import Runner, Workload
from benchmarks.training import compiled_torch, jitted, training

RATE, BATCH = 1e-3, 64
SHAPES = ((8, 1, 3, 3), (8,), (16, 8, 3, 3), (16,), (10, 64), (10,))


def problem() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return images (64, 1, 8, 8), classes (64,), and the parameters weight, bias, weight, ..."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(BATCH, 1, 8, 8)).astype(np.float32)
    y = rng.integers(10, size=BATCH)
    start = [0.3 * rng.standard_normal(shape).astype(np.float32) for shape in SHAPES]
    return x, y, start


def parts() -> tuple[Any, Any, Any]:
    """Return loss, optimizer and model, as a user writes them."""
    import tinygrad_lab as tl
    from tinygrad_lab import nn

    x, y, start = problem()
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, rng=0, dtype=np.float32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, rng=0, dtype=np.float32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10, rng=0, dtype=np.float32),
    )
    for parameter, value in zip(model.parameters(), start, strict=True):
        parameter.data = value
    images = tl.tensor(x)
    loss = lambda: nn.functional.cross_entropy(model(images), y)
    return loss, tl.optim.Adam(model.parameters(), lr=RATE), model


def torch_parts() -> tuple[Any, Any, Any]:
    """Return the same of PyTorch."""
    import torch
    from torch import nn

    x, y, start = problem()
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    for parameter, value in zip(model.parameters(), start, strict=True):
        parameter.data = torch.from_numpy(value)
    images, classes = torch.from_numpy(x), torch.from_numpy(y)
    loss = lambda: nn.functional.cross_entropy(model(images), classes)
    return loss, torch.optim.Adam(model.parameters(), lr=RATE), model


def jax_jit() -> Runner:
    """JAX, gradients and Adam compiled together."""
    import jax
    import jax.numpy as jnp

    from benchmarks.digit_step import jax_training

    x, y, start = problem()
    images, classes = jnp.asarray(x), jnp.asarray(y)

    def block(x, w, b):
        z = jax.lax.conv_general_dilated(x, w, (1, 1), ((1, 1), (1, 1))) + b[:, None, None]
        a = jax.nn.relu(z)
        return jax.lax.reduce_window(a, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def loss(parameters):
        w1, b1, w2, b2, w3, b3 = parameters
        a = block(block(images, w1, b1), w2, b2)
        log_p = jax.nn.log_softmax(a.reshape(BATCH, -1) @ w3.T + b3)
        return -jnp.take_along_axis(log_p, classes[:, None], axis=1).mean()

    return jax_training(loss, start)


WORKLOAD = Workload(
    name="cnn-step",
    title="CNN step: two 3×3 convolutions with pooling on 8×8 digits, Adam, batch 64, float32",
    contenders={
        "PyTorch": lambda: training(*torch_parts()),
        "tinygrad_lab": lambda: training(*parts()),
        "tinygrad_lab, jit numpy": lambda: jitted(*parts(), backend="numpy"),
        "tinygrad_lab, jit numba": lambda: jitted(*parts(), backend="numba"),
        "PyTorch, compiled": lambda: compiled_torch(*torch_parts()),
        "JAX jit": jax_jit,
    },
    tolerance=1e-3,
)
