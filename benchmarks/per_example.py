"""A gradient for each example, and a Jacobian: `vmap` beside one gradient of the whole batch.

784-128-64-10 with ReLU and cross-entropy, 64 examples, float32. The gradients of all examples are
28 MB, which somebody must write: that, and not arithmetic, is most of the time.
"""

from functools import partial
from typing import Any

import numpy as np

from benchmarks.timing import Runner, Workload

SIZES, BATCH = (784, 128, 64, 10), 64


def problem() -> tuple[Any, np.ndarray, np.ndarray]:
    """Return the network, images and classes."""
    import tinygrad_lab as tl

    rng = np.random.default_rng(0)
    model = tl.nn.MLP(SIZES, activation="relu", rng=rng, dtype=np.float32)
    images = rng.normal(size=(BATCH, SIZES[0])).astype(np.float32)
    return model, images, rng.integers(10, size=BATCH)


def loss(model: Any, x: Any, y: Any) -> Any:
    """Of one example, or the mean over a batch."""
    from tinygrad_lab.nn import functional

    return functional.cross_entropy(model(x), y)


def of_batch() -> Runner:
    """The gradient of the mean, once."""
    import tinygrad_lab as tl

    model, x, y = problem()
    return Runner(partial(tl.grad(loss), model, x, y), list)


def of_each() -> Runner:
    """The gradient of each example."""
    import tinygrad_lab as tl

    model, x, y = problem()
    return Runner(partial(tl.vmap(tl.grad(loss), (None, 0, 0)), model, x, y), list)


def in_a_loop() -> Runner:
    """The same, one after the other."""
    import tinygrad_lab as tl

    model, x, y = problem()
    slope = tl.grad(loss)
    return Runner(lambda: [slope(model, *pair) for pair in zip(x, y, strict=True)], list)


def written() -> Runner:
    """Their memory alone: the outer products of the first layer."""
    _, x, _ = problem()
    g = np.ones((BATCH, SIZES[1], 1), np.float32)
    return Runner(lambda: g * x[:, None], list)


def jacobian() -> Runner:
    """All outputs by one input."""
    import tinygrad_lab as tl

    model, x, _ = problem()
    return Runner(partial(tl.jacobian(model), x[0]), list)


def jitted(what: str, backend: Any) -> Runner:
    """The gradient of each example, or the Jacobian, recorded."""
    import tinygrad_lab as tl

    if backend == "numba":
        import numba  # noqa: F401 - to say so where it is missing
    model, x, y = problem()
    if what == "each":
        each = tl.jit(tl.vmap(tl.grad(loss), (None, 0, 0)), backend=backend)
        return Runner(partial(each, model, x, y), list)
    return Runner(partial(tl.jit(tl.jacobian(model), backend=backend), x[0]), list)


def by_jax(what: str) -> Runner:
    """The gradient of each example, or the Jacobian, compiled by JAX."""
    import jax

    model, x, y = problem()
    state = [(p.data, q.data) for p, q in zip(*[iter(model.parameters())] * 2, strict=True)]

    def outputs(state: Any, x: Any) -> Any:
        for i, (w, b) in enumerate(state):
            x = w @ x + b
            x = jax.nn.relu(x) if i < len(state) - 1 else x
        return x

    if what == "each":
        of_one = jax.grad(lambda state, x, y: -jax.nn.log_softmax(outputs(state, x))[y])
        each = jax.jit(jax.vmap(of_one, (None, 0, 0)))
        return Runner(lambda: jax.block_until_ready(each(state, x, y)), list)
    rows = jax.jit(jax.jacrev(partial(outputs, state)))
    return Runner(lambda: jax.block_until_ready(rows(x[0])), list)


WORKLOAD = Workload(
    name="per-example",
    title=f"gradients of each of {BATCH} examples, MLP {'-'.join(map(str, SIZES))}, float32",
    contenders={
        "one gradient of all": of_batch,
        "of each": of_each,
        "of each, jit numpy": partial(jitted, "each", "numpy"),
        "of each, jit numba": partial(jitted, "each", "numba"),
        "of each, JAX jit": partial(by_jax, "each"),
        "of each, in a loop": in_a_loop,
        "memory of the first layer's": written,
        "Jacobian by one input": jacobian,
        "Jacobian, jit numpy": partial(jitted, "jacobian", "numpy"),
        "Jacobian, jit numba": partial(jitted, "jacobian", "numba"),
        "Jacobian, JAX jit": partial(by_jax, "jacobian"),
    },
    tolerance=0.0,
    threads=1,
    unit="µs",
)
