"""The digit step: one minibatch step of a classifier of 28×28 images.

784-128-64-10 with ReLU, cross-entropy, Adam, batch 64, float32. The matrix products are real here,
and Adam over 109,386 parameters is most of the rest.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.timing import Runner, Workload
from benchmarks.training import compiled_torch, jitted, torch_layers, training

SIZES = (784, 128, 64, 10)
RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8


def problem() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return images (64, 784), classes (64,), and the parameters weight, bias, weight, ..."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(64, SIZES[0])).astype(np.float32)
    y = rng.integers(10, size=64)
    start = []
    for fan_in, fan_out in pairwise(SIZES):
        bound = fan_in**-0.5
        start.append(rng.uniform(-bound, bound, size=(fan_out, fan_in)).astype(np.float32))
        start.append(rng.uniform(-bound, bound, size=fan_out).astype(np.float32))
    return x, y, start


class Adam:
    """Adam as it is usually written down in NumPy, temporaries and all."""

    def __init__(self, parameters):
        self.parameters = parameters
        self.m = [np.zeros_like(p) for p in parameters]
        self.v = [np.zeros_like(p) for p in parameters]
        self.t = 0

    def step(self, gradients):
        """Update every parameter in place."""
        self.t += 1
        for p, g, m, v in zip(self.parameters, gradients, self.m, self.v, strict=True):
            m *= BETA1
            m += (1 - BETA1) * g
            v *= BETA2
            v += (1 - BETA2) * g * g
            m_hat = m / (1 - BETA1**self.t)
            v_hat = v / (1 - BETA2**self.t)
            p -= RATE * m_hat / (np.sqrt(v_hat) + EPSILON)


def by_hand() -> Runner:
    """Straightforward NumPy, forward and backward written out."""
    x, y, parameters = problem()
    w1, b1, w2, b2, w3, b3 = parameters
    adam = Adam(parameters)
    rows = np.arange(len(y))

    def gradients():
        a1 = np.maximum(x @ w1.T + b1, 0)
        a2 = np.maximum(a1 @ w2.T + b2, 0)
        z = a2 @ w3.T + b3
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        total = p.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - z[rows, y]).mean()
        p /= total
        p[rows, y] -= 1
        d3 = p / np.float32(len(y))
        d2 = (d3 @ w3) * (a2 > 0)
        d1 = (d2 @ w2) * (a1 > 0)
        return loss, (d1.T @ x, d1.sum(0), d2.T @ a1, d2.sum(0), d3.T @ a2, d3.sum(0))

    return Runner(lambda: adam.step(gradients()[1]), lambda: gradients()[1])


def parts() -> tuple[Any, Any, Any]:
    """Return loss, optimizer and model, as a user writes them."""
    import tinygrad_lab as tl

    x, y, start = problem()
    model = tl.nn.MLP(SIZES, activation="relu", output_activation=None, dtype=np.float32, rng=0)
    for parameter, value in zip(model.parameters(), start, strict=True):
        parameter.data = value
    images = tl.tensor(x)
    loss = lambda: tl.nn.functional.cross_entropy(model(images), y)
    return loss, tl.optim.Adam(model.parameters(), lr=RATE), model


def torch_parts() -> tuple[Any, Any, Any]:
    """Return the same of PyTorch, as its tutorials write it."""
    import torch

    x, y, start = problem()
    model = torch.nn.Sequential(*torch_layers(SIZES, start, torch.nn.ReLU)[:-1])
    images, classes = torch.from_numpy(x), torch.from_numpy(y)
    loss = lambda: torch.nn.functional.cross_entropy(model(images), classes)
    return loss, torch.optim.Adam(model.parameters(), lr=RATE), model


def mygrad_() -> Runner:
    """MyGrad for the gradients, its memory guard off; it has no Adam, so ours by hand."""
    import mygrad as mg

    x, y, start = problem()
    parameters = [mg.tensor(value) for value in start]
    adam = Adam([parameter.data for parameter in parameters])
    relu = mg.nnet.activations.relu

    def gradients():
        w1, b1, w2, b2, w3, b3 = parameters
        a1 = relu(mg.matmul(x, w1.T) + b1)
        a2 = relu(mg.matmul(a1, w2.T) + b2)
        mg.nnet.losses.softmax_crossentropy(mg.matmul(a2, w3.T) + b3, y).backward()
        result = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            parameter.null_grad()
        return result

    def step():
        with mg.mem_guard_off:
            adam.step(gradients())

    return Runner(step, gradients)


def jax_jit() -> Runner:
    """JAX, gradients and Adam compiled together."""
    import jax
    import jax.numpy as jnp

    x, y, start = problem()
    images, classes = jnp.asarray(x), jnp.asarray(y)

    def loss(parameters):
        w1, b1, w2, b2, w3, b3 = parameters
        a1 = jax.nn.relu(images @ w1.T + b1)
        a2 = jax.nn.relu(a1 @ w2.T + b2)
        log_p = jax.nn.log_softmax(a2 @ w3.T + b3)
        return -jnp.take_along_axis(log_p, classes[:, None], axis=1).mean()

    return jax_training(loss, start)


def jax_training(loss: Callable[[Any], Any], start: list[np.ndarray]) -> Runner:
    """Return the step of a loss with Adam, compiled together."""
    import jax
    import jax.numpy as jnp

    def adam(p, g, m, v, t):
        m = BETA1 * m + (1 - BETA1) * g
        v = BETA2 * v + (1 - BETA2) * g * g
        m_hat, v_hat = m / (1 - BETA1**t), v / (1 - BETA2**t)
        return p - RATE * m_hat / (jnp.sqrt(v_hat) + EPSILON), m, v

    @jax.jit
    def update(ps, ms, vs, t):
        moved = [
            adam(p, g, m, v, t) for p, g, m, v in zip(ps, jax.grad(loss)(ps), ms, vs, strict=True)
        ]
        return [list(column) for column in zip(*moved, strict=True)]

    parameters = [jnp.asarray(value) for value in start]
    zeros = [jnp.zeros_like(value) for value in parameters]
    state = [parameters, zeros, zeros]
    count = [0]

    def step():
        count[0] += 1
        state[:] = jax.block_until_ready(update(*state, jnp.float32(count[0])))

    differentiate = jax.jit(jax.grad(loss))
    return Runner(step, lambda: [np.asarray(g) for g in differentiate(state[0])])


WORKLOAD = Workload(
    name="digit-step",
    title="digit step: 784-128-64-10 ReLU MLP, cross-entropy, Adam, batch 64, float32",
    contenders={
        "NumPy by hand": by_hand,
        "tinygrad_lab": lambda: training(*parts()),
        "tinygrad_lab, jit numpy": lambda: jitted(*parts(), backend="numpy"),
        "tinygrad_lab, jit numba": lambda: jitted(*parts(), backend="numba"),
        "PyTorch": lambda: training(*torch_parts()),
        "PyTorch, compiled": lambda: compiled_torch(*torch_parts()),
        "MyGrad": mygrad_,
        "JAX jit": jax_jit,
    },
    tolerance=1e-4,
)
