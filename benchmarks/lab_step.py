"""The lab step: one full-batch training step of the reports' network.

2-3-3-1 with biases, sigmoid everywhere, mean squared error, plain gradient descent, 100 points,
float64. The arrays are tiny, so this times bookkeeping, not arithmetic.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.timing import Runner, Workload
from benchmarks.training import compiled_torch, jitted, torch_layers, training

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
    x, y, parameters = problem()
    w1, b1, w2, b2, w3, b3 = parameters

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
        for parameter, gradient in zip(parameters, slopes, strict=True):
            parameter -= RATE * gradient

    return Runner(step, lambda: gradients()[1], parameters)


def numba_gradients() -> Callable[..., Any]:
    """Return forward and backward as loops over samples and units, compiled by Numba."""
    from numba import njit

    @njit
    def gradients(x, y, w1, b1, w2, b2, w3, b3):
        g1, h1 = np.zeros_like(w1), np.zeros_like(b1)
        g2, h2 = np.zeros_like(w2), np.zeros_like(b2)
        g3, h3 = np.zeros_like(w3), np.zeros_like(b3)
        a1, a2, d2 = np.empty(3), np.empty(3), np.empty(3)
        for n in range(len(x)):
            for i in range(3):
                a1[i] = 1 / (1 + np.exp(-(w1[i, 0] * x[n, 0] + w1[i, 1] * x[n, 1] + b1[i])))
            z = b3[0]
            for i in range(3):
                total = w2[i, 0] * a1[0] + w2[i, 1] * a1[1] + w2[i, 2] * a1[2] + b2[i]
                a2[i] = 1 / (1 + np.exp(-total))
                z += w3[0, i] * a2[i]
            a3 = 1 / (1 + np.exp(-z))
            d3 = (a3 - y[n, 0]) * (2 / y.size) * a3 * (1 - a3)
            h3[0] += d3
            for i in range(3):
                g3[0, i] += d3 * a2[i]
                d2[i] = d3 * w3[0, i] * a2[i] * (1 - a2[i])
                h2[i] += d2[i]
            for k in range(3):
                d1 = (d2[0] * w2[0, k] + d2[1] * w2[1, k] + d2[2] * w2[2, k]) * a1[k] * (1 - a1[k])
                h1[k] += d1
                g1[k, 0] += d1 * x[n, 0]
                g1[k, 1] += d1 * x[n, 1]
                for i in range(3):
                    g2[i, k] += d2[i] * a1[k]
        return g1, h1, g2, h2, g3, h3

    return gradients


def numba_steps() -> Callable[..., Any]:
    """Return a function that makes some steps, compiled by Numba."""
    from numba import njit

    gradients = numba_gradients()

    @njit
    def steps(count, x, y, w1, b1, w2, b2, w3, b3):
        for _ in range(count):
            g1, h1, g2, h2, g3, h3 = gradients(x, y, w1, b1, w2, b2, w3, b3)
            w1 -= RATE * g1
            b1 -= RATE * h1
            w2 -= RATE * g2
            b2 -= RATE * h2
            w3 -= RATE * g3
            b3 -= RATE * h3

    return steps


def by_hand_numba() -> Runner:
    """The same arithmetic in loops, the whole step in one compiled call."""
    x, y, parameters = problem()
    gradients, steps = numba_gradients(), numba_steps()
    return Runner(lambda: steps(1, x, y, *parameters), lambda: gradients(x, y, *parameters))


def parts() -> tuple[Any, Any, Any]:
    """Return loss, optimizer and model, as a user writes them."""
    import tinygrad_lab as tl

    x, y, start = problem()
    model = tl.nn.MLP(SIZES, activation="sigmoid", output_activation="sigmoid", rng=0)
    for parameter, value in zip(model.parameters(), start, strict=True):
        parameter.data = value
    inputs, labels = tl.tensor(x), tl.tensor(y)
    loss = lambda: tl.nn.functional.mse_loss(model(inputs), labels)
    return loss, tl.optim.SGD(model.parameters(), lr=RATE), model


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


def torch_parts() -> tuple[Any, Any, Any]:
    """Return the same of PyTorch, as its tutorials write it."""
    import torch

    x, y, start = problem()
    model = torch.nn.Sequential(*torch_layers(SIZES, start, torch.nn.Sigmoid))
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    loss = lambda: torch.nn.functional.mse_loss(model(inputs), labels)
    return loss, torch.optim.SGD(model.parameters(), lr=RATE), model


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


def jax_functions() -> tuple[Callable[..., Any], list[Any]]:
    """Return JAX's gradients of the loss, and where the parameters begin."""
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

    return jax.grad(loss), [jnp.asarray(value) for value in start]


def jax_jit() -> Runner:
    """JAX, the whole step compiled."""
    import jax

    gradients, state = jax_functions()
    differentiate = jax.jit(gradients)
    update = jax.jit(lambda ps: [p - RATE * g for p, g in zip(ps, gradients(ps), strict=True)])

    def step():
        state[:] = jax.block_until_ready(update(state))

    return Runner(step, lambda: [np.asarray(g) for g in differentiate(state)])


WORKLOAD = Workload(
    name="lab-step",
    title="lab step: 2-3-3-1 sigmoid MLP, MSE, SGD, 100 points, float64",
    contenders={
        "NumPy by hand": by_hand,
        "Numba by hand": by_hand_numba,
        "tinygrad_lab": lambda: training(*parts()),
        "tinygrad_lab, bare": ours_bare,
        "tinygrad_lab, jit numpy": lambda: jitted(*parts(), backend="numpy"),
        "tinygrad_lab, jit numba": lambda: jitted(*parts(), backend="numba"),
        "PyTorch, torch.optim": lambda: training(*torch_parts()),
        "PyTorch, bare": torch_eager,
        "PyTorch, compiled": lambda: compiled_torch(*torch_parts()),
        "MyGrad": mygrad_,
        "autograd": autograd_,
        "JAX jit": jax_jit,
    },
    tolerance=1e-10,
    threads=1,
)


# -- many steps -----------------------------------------------------------------------------------

STEPS = 1000


def run_of(build: Callable[[], tuple[Callable[[], Any], Callable[[], Sequence[Any]]]]) -> Runner:
    """Return a run of many steps; what is compared is where another one like it leads."""

    def end():
        run, parameters = build()
        run()
        return [np.array(p) for p in parameters()]

    return Runner(build()[0], end)


def run_by_hand() -> Any:
    """The step of NumPy by hand, in a loop."""
    one = by_hand()
    return lambda: [one.step() for _ in range(STEPS)], lambda: one.parameters


def run_by_hand_numba() -> Any:
    """All steps in one compiled call."""
    x, y, parameters = problem()
    steps = numba_steps()
    return lambda: steps(STEPS, x, y, *parameters), lambda: parameters


def run_repeated(backend: Any) -> Any:
    """`tl.repeat` of the step."""
    import tinygrad_lab as tl

    if backend == "numba":
        import numba  # noqa: F401 - to say so where it is missing
    loss, optimizer, model = parts()
    step = tl.jit(training(loss, optimizer, model).step, backend=backend)
    return tl.repeat(step, STEPS), lambda: [p.data for p in model.parameters()]


def run_jax_scan() -> Any:
    """JAX, all steps in one compiled `scan`."""
    import jax

    gradients, state = jax_functions()

    @jax.jit
    def steps(ps):
        moved = lambda ps, gs: [p - RATE * g for p, g in zip(ps, gs, strict=True)]
        return jax.lax.scan(lambda ps, _: (moved(ps, gradients(ps)), None), ps, None, STEPS)[0]

    def run():
        state[:] = jax.block_until_ready(steps(state))

    return run, lambda: state


RUN = Workload(
    name="lab-run",
    title=f"lab run: {STEPS} of these steps",
    contenders={
        "NumPy by hand": lambda: run_of(run_by_hand),
        "Numba by hand": lambda: run_of(run_by_hand_numba),
        "tinygrad_lab, repeat numpy": lambda: run_of(lambda: run_repeated("numpy")),
        "tinygrad_lab, repeat numba": lambda: run_of(lambda: run_repeated("numba")),
        "JAX scan": lambda: run_of(run_jax_scan),
    },
    tolerance=1e-7,
    threads=1,
    per=STEPS,
)
