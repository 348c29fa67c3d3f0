"""The lab step: one full-batch training step of the reports' network.

2-3-3-1 with biases, sigmoid everywhere, mean squared error, plain gradient descent, 100 points,
float64. The arrays are tiny, so this times bookkeeping, not arithmetic.
"""

from itertools import pairwise

import numpy as np

from benchmarks.timing import Runner, Workload
from benchmarks.training import torch_layers, training

RATE = 0.1
SIZES = (2, 3, 3, 1)


def problem() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return points (100, 2), labels (100, 1), and the parameters weight, bias, weight, ..."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(100, 2))
    y = (x[:, :1] < x[:, 1:]).astype(float)
    shapes = [s for a, b in pairwise(SIZES) for s in ((b, a), (b,))]
    return x, y, [rng.standard_normal(shape) for shape in shapes]


def by_hand() -> Runner:
    """Straightforward NumPy, forward and backward written out."""
    x, y, (w1, b1, w2, b2, w3, b3) = problem()

    def gradients():
        a1 = 1 / (1 + np.exp(-(x @ w1.T + b1)))
        a2 = 1 / (1 + np.exp(-(a1 @ w2.T + b2)))
        a3 = 1 / (1 + np.exp(-(a2 @ w3.T + b3)))
        d3 = (a3 - y) * (2 / y.size) * a3 * (1 - a3)
        d2 = d3 @ w3 * a2 * (1 - a2)
        d1 = d2 @ w2 * a1 * (1 - a1)
        loss = ((a3 - y) ** 2).mean()
        return loss, (d1.T @ x, d1.sum(0), d2.T @ a1, d2.sum(0), d3.T @ a2, d3.sum(0))

    def step():
        _, slopes = gradients()
        for parameter, gradient in zip((w1, b1, w2, b2, w3, b3), slopes, strict=True):
            parameter -= RATE * gradient

    return Runner(step, lambda: gradients()[1])


def ours() -> Runner:
    """As a user writes it: a model, a loss, an optimizer."""
    import tinygrad_lab as tl

    x, y, start = problem()
    model = tl.nn.MLP(SIZES, activation="sigmoid", output_activation="sigmoid", rng=0)
    for parameter, value in zip(model.parameters(), start, strict=True):
        parameter.data = value
    optimizer = tl.optim.SGD(model.parameters(), lr=RATE)
    inputs, labels = tl.tensor(x), tl.tensor(y)

    def loss():
        return tl.nn.functional.mse_loss(model(inputs), labels)

    return training(loss, optimizer, list(model.parameters()))


def ours_bare() -> Runner:
    """The engine alone: tensors and NumPy functions, the update by hand."""
    import tinygrad_lab as tl

    x, y, start = problem()
    parameters = [tl.tensor(value, requires_grad=True) for value in start]

    def backward():
        w1, b1, w2, b2, w3, b3 = parameters
        a1 = tl.sigmoid(x @ w1.T + b1)
        a2 = tl.sigmoid(a1 @ w2.T + b2)
        a3 = tl.sigmoid(a2 @ w3.T + b3)
        ((a3 - y) ** 2).mean().backward()

    def step():
        backward()
        for parameter in parameters:
            parameter.data -= RATE * parameter.grad
            parameter.grad = None

    def gradients():
        backward()
        result = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            parameter.grad = None
        return result

    return Runner(step, gradients)


def torch_optim() -> Runner:
    """PyTorch as its tutorials write it."""
    import torch

    x, y, start = problem()
    model = torch.nn.Sequential(*torch_layers(SIZES, start, torch.nn.Sigmoid))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)

    def loss():
        return torch.nn.functional.mse_loss(model(inputs), labels)

    return training(loss, optimizer, list(model.parameters()))


def torch_eager() -> Runner:
    """PyTorch without modules and optimizer: tensors, and the update by hand."""
    import torch

    x, y, start = problem()
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    parameters = [torch.from_numpy(value).requires_grad_() for value in start]

    def loss():
        w1, b1, w2, b2, w3, b3 = parameters
        a1 = torch.sigmoid(inputs @ w1.T + b1)
        a2 = torch.sigmoid(a1 @ w2.T + b2)
        a3 = torch.sigmoid(a2 @ w3.T + b3)
        return ((a3 - labels) ** 2).mean()

    def step():
        gradients = torch.autograd.grad(loss(), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= RATE * gradient

    return Runner(step, lambda: [g.numpy() for g in torch.autograd.grad(loss(), parameters)])


def mygrad_() -> Runner:
    """MyGrad, its own sigmoid and gradients, its memory guard off."""
    import mygrad as mg

    x, y, start = problem()
    parameters = [mg.tensor(value) for value in start]
    sigmoid = mg.nnet.activations.sigmoid

    def backward():
        w1, b1, w2, b2, w3, b3 = parameters
        a1 = sigmoid(mg.matmul(x, w1.T) + b1)
        a2 = sigmoid(mg.matmul(a1, w2.T) + b2)
        a3 = sigmoid(mg.matmul(a2, w3.T) + b3)
        ((a3 - y) ** 2).mean().backward()

    def step():
        with mg.mem_guard_off:
            backward()
            for parameter in parameters:
                parameter.data -= RATE * parameter.grad
                parameter.null_grad()

    def gradients():
        backward()
        return [parameter.grad.copy() for parameter in parameters]

    return Runner(step, gradients)


def autograd_() -> Runner:
    """HIPS autograd: one gradient function over the list of parameters."""
    import autograd
    import autograd.numpy as anp

    x, y, parameters = problem()

    def loss(parameters):
        w1, b1, w2, b2, w3, b3 = parameters
        a1 = 1 / (1 + anp.exp(-(anp.dot(x, w1.T) + b1)))
        a2 = 1 / (1 + anp.exp(-(anp.dot(a1, w2.T) + b2)))
        a3 = 1 / (1 + anp.exp(-(anp.dot(a2, w3.T) + b3)))
        return anp.mean((a3 - y) ** 2)

    differentiate = autograd.grad(loss)

    def step():
        for parameter, gradient in zip(parameters, differentiate(parameters), strict=True):
            parameter -= RATE * gradient

    return Runner(step, lambda: differentiate(parameters))


def jax_jit() -> Runner:
    """JAX, the whole step compiled."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    x, y, start = problem()
    inputs, labels = jnp.asarray(x), jnp.asarray(y)

    def loss(parameters):
        w1, b1, w2, b2, w3, b3 = parameters
        a1 = jax.nn.sigmoid(inputs @ w1.T + b1)
        a2 = jax.nn.sigmoid(a1 @ w2.T + b2)
        a3 = jax.nn.sigmoid(a2 @ w3.T + b3)
        return ((a3 - labels) ** 2).mean()

    differentiate = jax.jit(jax.grad(loss))
    update = jax.jit(
        lambda ps: [p - RATE * g for p, g in zip(ps, jax.grad(loss)(ps), strict=True)]
    )
    state = [jnp.asarray(value) for value in start]

    def step():
        state[:] = jax.block_until_ready(update(state))

    return Runner(step, lambda: [np.asarray(g) for g in differentiate(state)])


WORKLOAD = Workload(
    name="lab-step",
    title="lab step: 2-3-3-1 sigmoid MLP, MSE, SGD, 100 points, float64",
    contenders={
        "NumPy by hand": by_hand,
        "tinygrad_lab": ours,
        "tinygrad_lab, bare": ours_bare,
        "PyTorch, torch.optim": torch_optim,
        "PyTorch, bare": torch_eager,
        "MyGrad": mygrad_,
        "autograd": autograd_,
        "JAX jit": jax_jit,
    },
    tolerance=1e-10,
    threads=1,
)
