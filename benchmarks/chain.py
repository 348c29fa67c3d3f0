"""The chain: 900 elementwise operations on 16 float64 values, forward and backward.

What one recorded operation costs, whatever it computes. The factors are close to 1, so that no
value leaves the range where arithmetic is fast.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.timing import Runner, Workload

TURNS = 300
OPERATIONS = 3 * TURNS


def problem() -> tuple[np.ndarray, np.ndarray]:
    """Return the starting values and the constants, both (16,)."""
    rng = np.random.default_rng(0)
    return rng.uniform(0.5, 1.5, size=16), rng.uniform(0.999, 1.001, size=16)


def chain(y: Any, c: Any) -> Any:
    """Return y after `OPERATIONS` operations, each between the running value and a constant."""
    for _ in range(TURNS):
        y = y * c
        y = y + c
        y = y - c
    return y


def by_hand() -> Runner:
    """Forward, and the backward pass written out: a product a turn, and nothing else."""
    x, c = problem()

    def step():
        chain(x, c)
        g = np.ones_like(x)
        for _ in range(TURNS):
            g = g * c
        return g

    return Runner(step, lambda: [step()])


def with_backward(tensor: Callable[[np.ndarray], Any], constant: Any) -> Runner:
    """Return the step of a library whose tensors have `backward` and `grad`."""
    x, _ = problem()

    def step():
        leaf = tensor(x)
        chain(leaf, constant).sum().backward()
        return leaf.grad

    return Runner(step, lambda: [np.asarray(step())])


def ours() -> Runner:
    """The constants are arrays, as a user's would be."""
    import tinygrad_lab as tl

    return with_backward(lambda x: tl.tensor(x, requires_grad=True), problem()[1])


def ours_jitted(backend: Any) -> Runner:
    """The gradient of the chain, recorded."""
    import tinygrad_lab as tl

    if backend == "numba":
        import numba  # noqa: F401 - to say so where it is missing
    x, c = problem()
    build = lambda: tl.jit(tl.grad(lambda x: np.sum(chain(x, c))), backend=backend)
    gradient, another = build(), build()
    return Runner(lambda: gradient(x), lambda: [another(x) for _ in range(3)][-1:])


def jax_jit() -> Runner:
    """JAX, compiled."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    x, c = map(jnp.asarray, problem())
    gradient, another = (jax.jit(jax.grad(lambda x: jnp.sum(chain(x, c)))) for _ in range(2))
    return Runner(lambda: jax.block_until_ready(gradient(x)), lambda: [np.asarray(another(x))])


def torch_eager() -> Runner:
    """PyTorch, with constants that are tensors of its own."""
    import torch

    constant = torch.from_numpy(problem()[1])
    return with_backward(lambda x: torch.tensor(x, requires_grad=True), constant)


def mygrad_() -> Runner:
    """MyGrad as installed, with its memory guard."""
    import mygrad as mg

    return with_backward(mg.tensor, problem()[1])


def mygrad_unguarded() -> Runner:
    """MyGrad as its documentation advises for speed."""
    import mygrad as mg

    guarded = mygrad_()

    def step():
        with mg.mem_guard_off:
            return guarded.step()

    return Runner(step, lambda: [step()])


def autograd_() -> Runner:
    """HIPS autograd."""
    import autograd
    import autograd.numpy as anp

    x, c = problem()
    differentiate = autograd.grad(lambda x: anp.sum(chain(x, c)))
    return Runner(lambda: differentiate(x), lambda: [differentiate(x)])


WORKLOAD = Workload(
    name="chain",
    title=f"chain: {OPERATIONS} elementwise operations on 16 float64 values, forward and backward",
    contenders={
        "NumPy by hand": by_hand,
        "tinygrad_lab": ours,
        "tinygrad_lab, jit numpy": lambda: ours_jitted("numpy"),
        "tinygrad_lab, jit numba": lambda: ours_jitted("numba"),
        "PyTorch": torch_eager,
        "MyGrad": mygrad_,
        "MyGrad, guard off": mygrad_unguarded,
        "autograd": autograd_,
        "JAX jit": jax_jit,
    },
    tolerance=1e-12,
    threads=1,
    unit="µs an operation",
    per=OPERATIONS,
)
