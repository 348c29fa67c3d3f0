"""A step of a hundred small networks: all at once by `vmap`, by hand in NumPy, and one by one.

Each is the network of the lab step, 2-3-3-1 with sigmoids, on 100 points of its own: what a study
over a hundred seeds does.
"""

from typing import Any

import numpy as np

from benchmarks.lab_step import RATE, SIZES, problem
from benchmarks.timing import Runner, Workload
from benchmarks.training import jitted, training

NETWORKS = 100


def stacks() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return points and labels of all, and their parameters, each with an axis for the networks."""
    rng = np.random.default_rng(0)
    _, _, start = problem()
    x = rng.uniform(size=(NETWORKS, 100, 2))
    y = (x[..., :1] < x[..., 1:]).astype(float)
    return x, y, [rng.standard_normal((NETWORKS, *value.shape)) for value in start]


def by_hand() -> Runner:
    """NumPy as one writes it for one network, with an axis more."""
    x, y, parameters = stacks()
    w1, b1, w2, b2, w3, b3 = parameters
    turned = lambda a: np.swapaxes(a, -1, -2)

    def gradients():
        a1 = 1 / (1 + np.exp(-(x @ turned(w1) + b1[:, None])))
        a2 = 1 / (1 + np.exp(-(a1 @ turned(w2) + b2[:, None])))
        a3 = 1 / (1 + np.exp(-(a2 @ turned(w3) + b3[:, None])))
        d3 = (a3 - y) * (2 / y.shape[1]) * a3 * (1 - a3)
        d2 = d3 @ w3 * a2 * (1 - a2)
        d1 = d2 @ w2 * a1 * (1 - a1)
        return [
            *(turned(d1) @ x, d1.sum(1)),
            *(turned(d2) @ a1, d2.sum(1)),
            *(turned(d3) @ a2, d3.sum(1)),
        ]

    def step():
        for parameter, gradient in zip(parameters, gradients(), strict=True):
            parameter -= RATE * gradient

    return Runner(step, gradients)


def network() -> Any:
    """Return one network, whose parameters are replaced."""
    import tinygrad_lab as tl

    return tl.nn.MLP(SIZES, activation="sigmoid", output_activation="sigmoid", rng=0)


def together() -> tuple[Any, Any, Any]:
    """Return loss, optimizer and a module of all networks, by `vmap` over their parameters."""
    import tinygrad_lab as tl
    from tinygrad_lab.lab.descent import Networks

    x, y, start = stacks()
    networks = Networks([network()] * NETWORKS)
    for stack, value in zip(networks.parameters(), start, strict=True):
        stack.data = value
    inputs = tl.tensor(x)
    loss = lambda: tl.nn.functional.mse_loss(networks(inputs), y, reduction="sum") / y.shape[1]
    return loss, tl.optim.SGD(networks.parameters(), lr=RATE), networks


def one_by_one() -> Runner:
    """Each network by itself, recorded by `jit` a single time for all."""
    import tinygrad_lab as tl

    x, y, start = stacks()
    model = network()
    slopes = tl.jit(
        tl.grad(
            lambda state, x, y: tl.nn.functional.mse_loss(tl.functional_call(model, state, x), y)
        ),
        backend="numpy",
    )
    names = [name for name, _ in model.named_parameters()]

    def gradients_of(i: int) -> list[np.ndarray]:
        return list(
            slopes({n: v[i] for n, v in zip(names, start, strict=True)}, x[i], y[i]).values()
        )

    def gradients():
        return [np.stack(parts) for parts in zip(*map(gradients_of, range(NETWORKS)), strict=True)]

    def step():
        for i in range(NETWORKS):
            for parameter, gradient in zip(start, gradients_of(i), strict=True):
                parameter[i] -= RATE * gradient

    return Runner(step, gradients)


WORKLOAD = Workload(
    name="ensemble",
    title=f"{NETWORKS} lab steps: 2-3-3-1 sigmoid MLPs, MSE, SGD, 100 points each, float64",
    contenders={
        "NumPy by hand, all": by_hand,
        "vmap": lambda: training(*together()),
        "vmap, jit numpy": lambda: jitted(*together(), backend="numpy"),
        "vmap, jit numba": lambda: jitted(*together(), backend="numba"),
        "jit numpy, one by one": one_by_one,
    },
    tolerance=1e-10,
    threads=1,
    unit="µs a step of all",
)
