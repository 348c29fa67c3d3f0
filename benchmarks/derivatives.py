"""What derivatives of an MLP cost, in forward calls: gradient, jvp and hvp, by its input.

784-128-64-10 with ReLU, batch 64, float64. The promise is at most 4 forward calls for a jvp and 8
for an hvp; on much smaller networks bookkeeping is what is timed, and they cost more.
"""

from functools import partial
from typing import Any

import numpy as np

from benchmarks.timing import Runner, Workload

SIZES, BATCH = (784, 128, 64, 10), 64


def problem() -> tuple[Any, np.ndarray, np.ndarray]:
    """Return the network, a batch and a direction."""
    import tinygrad_lab as tl

    rng = np.random.default_rng(0)
    model = tl.nn.MLP(SIZES, activation="relu", output_activation=None, rng=rng)
    return model, rng.normal(size=(BATCH, SIZES[0])), rng.normal(size=(BATCH, SIZES[0]))


def forward() -> Runner:
    """One call of the model, recorded."""
    model, x, _ = problem()
    return Runner(partial(model, x), list)


def gradient() -> Runner:
    """The gradient of the sum of its outputs."""
    import tinygrad_lab as tl

    model, x, _ = problem()
    return Runner(partial(tl.grad(lambda x: model(x).sum()), x), list)


def jvp() -> Runner:
    """The change of all outputs along a direction."""
    import tinygrad_lab as tl

    model, x, direction = problem()
    return Runner(partial(tl.jvp, model, (x,), (direction,)), list)


def hvp() -> Runner:
    """The Hessian of a sum of squares, times a direction."""
    import tinygrad_lab as tl

    model, x, direction = problem()
    return Runner(partial(tl.hvp, lambda x: (model(x) ** 2).sum(), (x,), (direction,)), list)


WORKLOAD = Workload(
    name="derivatives",
    title=f"derivatives of an MLP {'-'.join(map(str, SIZES))} by its input, batch {BATCH}",
    contenders={"forward call": forward, "gradient": gradient, "jvp": jvp, "hvp": hvp},
    tolerance=0.0,
    threads=1,
    unit="µs",
)
