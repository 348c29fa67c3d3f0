"""What checking a gradient costs: an MLP of three layers, by its input and six parameters.

A check that passes, one that fails, and the part of the failing one that finds the operation to
blame: only a failing check pays for that, and less than a fifth is promised. PyTorch's slow
and fast `gradcheck` of the same network stand beside them.
"""

from functools import partial
from typing import Any

import numpy as np

from benchmarks.timing import Runner, Workload

SHAPES = [(32, 8), (8, 16), (16,), (16, 16), (16,), (16, 4), (4,)]
WRONG = 1.001


def arrays() -> list[np.ndarray]:
    """Return a batch and the parameters."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in SHAPES]


def network(tanh: Any, x: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
    """Return the mean square of what comes out."""
    hidden = tanh(tanh(x @ w1 + b1) @ w2 + b2)
    return ((hidden @ w3 + b3) ** 2).mean()


def right(*inputs: Any) -> Any:
    """Return the network, of Tensors."""
    return network(np.tanh, *inputs)


def wrong() -> Any:
    """Return the network with a rule that is a thousandth too large."""
    import tinygrad_lab as tl

    tanh = tl.primitive(lambda x: np.tanh(x))
    tl.defvjp(tanh, lambda g, y, x: g * (1 - y * y) * WRONG)
    return partial(network, tanh)


def passing() -> Runner:
    """All properties of one gradient."""
    from tinygrad_lab import testing as tgt

    return Runner(lambda: tgt.gradcheck(right, *arrays()), list)


def failing() -> Runner:
    """The same with a wrong rule: the check fails, and names the elements and the operation."""
    from tinygrad_lab import testing as tgt

    f = wrong()
    return Runner(lambda: tgt.gradcheck(f, *arrays(), raises=False, name="mlp"), list)


def blame() -> Runner:
    """The account alone, from a ladder that has been climbed."""
    from tinygrad_lab.testing.judging.arrays import bind
    from tinygrad_lab.testing.judging.judgement import Evidence
    from tinygrad_lab.testing.judging.numerical import direction_like
    from tinygrad_lab.testing.judging.point import Point
    from tinygrad_lab.testing.judging.subject import TensorSubject
    from tinygrad_lab.testing.telling.ledger import draw_up

    inputs, rng = arrays(), np.random.default_rng(0)
    subject = TensorSubject(wrong(), bind(inputs, None), "mlp")
    point = Point(subject, inputs, subject.record(inputs), [np.ones(())], rng, 1)
    climbed = point.measurer.climb([direction_like(x, rng) for x in inputs])
    evidence = Evidence(climbed, point, point.gradients, point.upstreams)
    return Runner(lambda: draw_up(evidence), list)


def torch_gradcheck(fast: bool) -> Runner:
    """PyTorch's checker, of the same network in PyTorch."""
    import torch

    inputs = [torch.from_numpy(x).requires_grad_() for x in arrays()]
    f = partial(network, torch.tanh)
    return Runner(lambda: torch.autograd.gradcheck(f, inputs, fast_mode=fast), list)


WORKLOAD = Workload(
    name="checks",
    title="checks of the gradients of an MLP 8-16-16-4, batch 32",
    contenders={
        "failing check": failing,
        "of it, blame": blame,
        "passing check": passing,
        "torch gradcheck, slow": partial(torch_gradcheck, False),
        "torch gradcheck, fast": partial(torch_gradcheck, True),
    },
    tolerance=0.0,
    threads=1,
    unit="µs",
)
