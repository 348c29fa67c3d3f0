"""A state machine that uses tensors as programs do, in any order, beside a model of what is right.

Leaves are made, combined, used again; ``backward`` runs from anywhere, more than once, into
gradients that accumulate or are zeroed; handles are rebound and written by index; stretches are
not recorded.  The model carries each tensor's derivative by every leaf forwards, so it shares
nothing with a backward pass.

    >>> from hypothesis.stateful import run_state_machine_as_test
    >>> run_state_machine_as_test(TensorMachine, settings=quick())

Not for: derivative rules (``operations.py``); it uses few, elementwise ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from tinygrad_lab.core.modes import no_grad
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.testing.inputs.calls import arrays, grid

__all__ = ["TensorMachine", "quick"]

Array = NDArray[Any]
SHAPE = (2,)
VALUES = arrays(SHAPE, grid(-1, 1))


def quick(examples: int = 20, steps: int = 20) -> settings:
    """Give settings for a run of seconds."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


@dataclass
class Held:
    """A tensor, what its values should be, and its derivative by each leaf, element by element."""

    tensor: Tensor
    value: Array
    slopes: dict[int, Array]

    def rebound(self, tensor: Tensor, value: Array, slopes: dict[int, Array]) -> None:
        """Give the handle another tensor."""
        self.tensor, self.value, self.slopes = tensor, value, slopes


def _combined(a: dict[int, Array], by_a: Any, b: dict[int, Array], by_b: Any) -> dict[int, Array]:
    zero = np.zeros(SHAPE)
    return {i: by_a * a.get(i, zero) + by_b * b.get(i, zero) for i in {*a, *b}}


class TensorMachine(RuleBasedStateMachine):
    """Programs of tensors, generated; see the module."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.leaves: list[Tensor] = []
        self.expected: list[Array | None] = []

    @initialize(target=held, x=VALUES)
    def begin(self, x: Array) -> Held:
        """There is a leaf."""
        return self._leaf(x)

    @rule(target=held, x=VALUES)
    def make_leaf(self, x: Array) -> Held:
        """Make another leaf."""
        return self._leaf(x)

    def _leaf(self, x: Array) -> Held:
        leaf = Tensor(x.copy(), requires_grad=True)
        self.leaves.append(leaf)
        self.expected.append(None)
        return Held(leaf, x.copy(), {len(self.leaves) - 1: np.ones(SHAPE)})

    @rule(target=held, a=held, b=held)
    def add(self, a: Held, b: Held) -> Held:
        """Add two tensors, or one to itself."""
        slopes = _combined(a.slopes, 1.0, b.slopes, 1.0)
        return Held(a.tensor + b.tensor, a.value + b.value, slopes)

    @rule(target=held, a=held, b=held)
    def multiply_and_bound(self, a: Held, b: Held) -> Held:
        """Multiply two tensors, and keep the result small."""
        y = np.sin(a.value * b.value)
        c = np.cos(a.value * b.value)
        slopes = _combined(a.slopes, c * b.value, b.slopes, c * a.value)
        product: Any = a.tensor * b.tensor
        return Held(np.sin(product), y, slopes)

    @rule(target=held, a=held)
    def without_recording(self, a: Held) -> Held:
        """Compute under ``no_grad``."""
        with no_grad():
            bounded: Any = np.tanh(a.tensor)
        return Held(bounded, np.tanh(a.value), {})

    @rule(target=held, a=held)
    def detach(self, a: Held) -> Held:
        """Go on without the history."""
        return Held(a.tensor.detach(), a.value.copy(), {})

    @rule(a=held, b=held)
    def rebind(self, a: Held, b: Held) -> None:
        """Say ``a += b``: whoever else holds the old tensor keeps it."""
        t = a.tensor
        t = t * 1.0 if t.is_leaf else t  # on a leaf it refuses
        t += b.tensor
        a.rebound(t, a.value + b.value, _combined(a.slopes, 1.0, b.slopes, 1.0))

    @rule(a=held, value=st.sampled_from([0.0, 0.5, -1.0]))
    def write_by_index(self, a: Held, value: float) -> None:
        """Say ``a[0] = value`` on a copy: the first element forgets where it came from."""
        t = a.tensor * 1.0
        t[0] = value
        tracked = np.array([0.0, 1.0])
        a.rebound(
            t,
            np.array([value, a.value[1]]),
            {i: tracked * slope for i, slope in a.slopes.items()},
        )

    @rule(a=held, upstream=VALUES, times=st.integers(1, 2))
    def backward(self, a: Held, upstream: Array, times: int) -> None:
        """Pull an upstream back, perhaps twice; gradients add up on the leaves."""
        if not a.tensor.requires_grad:
            return
        for _ in range(times):
            a.tensor.backward(upstream, retain_graph=True)
            for i, slope in a.slopes.items():
                old = self.expected[i]
                self.expected[i] = upstream * slope + (0.0 if old is None else old)

    @rule(data=st.data())
    def zero_grad(self, data: Any) -> None:
        """Forget a leaf's gradient."""
        i = data.draw(st.integers(0, len(self.leaves) - 1))
        self.leaves[i].grad = None
        self.expected[i] = None

    @invariant()
    def gradients_are_those_of_the_model(self) -> None:
        """Every leaf has the gradient that the model says."""
        for leaf, expected in zip(self.leaves, self.expected, strict=True):
            if expected is None:
                assert leaf.grad is None or not np.any(leaf.grad), leaf.grad
            else:
                gradient = np.zeros(SHAPE) if leaf.grad is None else leaf.grad
                assert np.allclose(gradient, expected, rtol=1e-9, atol=1e-9), (gradient, expected)
