"""Every differentiable function of NumPy's goes through `program` and `jit`, bit for bit.

A call is recorded with some values and made again with others: near ones, zeros, ties, NaN, in
another order.  What is right for one of them alone (a branch on values, a shape or a dtype that
depends on them) shows in the next.

Not for: layers and training (``test_networks.py``), or what does not go (``test_limits.py``).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from benchmarks.checkers.primitives import CASES, name_of
from tests.core.rules.captured import summed
from tests.core.rules.test_detaching import MORE
from tests.transforms.jit.alike import (
    assert_goes,
    assert_program_goes,
    frozen,
    orders,
)
from tinygrad_lab.core.operations import NUMPYS, OPERATIONS
from tinygrad_lab.core.rules.namespace import kind
from tinygrad_lab.transforms.jit import passes, trace
from tinygrad_lab.transforms.jit.backends import numpy as numpy_backend

EXAMPLES = 30 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 1
examples = settings(
    max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES == 1,
)  # fmt: skip
DIFFERENTIABLE = [op for op in MORE if kind(OPERATIONS[op]) == "differentiable"]
each_operation = pytest.mark.parametrize("op", CASES, ids=name_of)


def versions(arrays: Any) -> Iterator[list[Any]]:
    """The same arrays, and others of the same shapes."""
    rng = np.random.default_rng(len(arrays))
    yield [np.array(a) for a in arrays]
    yield [a + rng.uniform(-0.04, 0.04, a.shape) for a in arrays]  # runs what was recorded
    yield [np.roll(a, 1) for a in arrays]
    for value in (0.0, np.nan):
        yield [np.where(rng.random(a.shape) < 0.3, value, a) for a in arrays]
    yield [np.array(a) for a in arrays]


def floats(arrays: Any) -> bool:
    return all(np.asarray(a).dtype.kind in "fc" for a in arrays)


@each_operation
@examples
@given(data=st.data())
def test_each_function_goes_through_jit(op: Any, data: Any):
    call = data.draw(CASES[op])
    f = frozen(call)
    with np.errstate(all="ignore"):
        turns = list(versions(call.arrays)) if floats(call.arrays) else []
        for order, function in orders(f, len(call.arrays)).items():
            assert_goes(function, turns[: 3 if order == "second" and EXAMPLES == 1 else None])


@each_operation
@examples
@given(data=st.data())
def test_each_function_has_a_program(op: Any, data: Any):
    call = data.draw(CASES[op])
    gradient = orders(frozen(call), len(call.arrays))["gradient"]
    with np.errstate(all="ignore"):
        assert_program_goes(gradient, [np.array(a) for a in call.arrays])


@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=name_of)
def test_each_argument_alone_beside_recorded_ones(op: Any):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for arguments in MORE[op]:
            values = {place: value for place, value in arguments.places() if is_float(value)}

            def f(*xs: Any, places: Any = tuple(values), rest: Any = arguments) -> Any:
                for place, x in zip(places, xs, strict=True):
                    rest = rest.replaced(place, x)
                return summed(rest(op))

            for number in range(len(values)):
                slope = tl.grad(f, number)
                try:
                    expected = slope(*values.values())
                except Exception:  # noqa: BLE001 - it is constant, or no derivative by this
                    continue
                recorded = tl.jit(slope)
                for _ in "12":
                    np.testing.assert_allclose(
                        recorded(*values.values()), expected, rtol=1e-10, atol=1e-12
                    )


def is_float(value: Any) -> bool:
    return isinstance(value, float) or getattr(value, "dtype", None) == np.float64


# -- faults, which the tests above must not overlook ----------------------------------------------


@contextmanager
def patched(place: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


def unguarded(self: Any, traced: Any, outcome: bool) -> bool:
    return outcome


@contextmanager
def nothing_hidden() -> Iterator[None]:
    """Look for no NaN in traced arrays."""
    NUMPYS.discard(trace.Traced)
    try:
        yield
    finally:
        NUMPYS.add(trace.Traced)


def another_instruction(program: Any) -> Any:
    """A program with a product for each sum."""
    swap = lambda line: line._replace(op=np.multiply) if line.op is np.add else line
    return program.replaced(instructions=tuple(map(swap, program.instructions)))


X = np.linspace(-1, 2, 6).reshape(2, 3)
WIDE = np.random.default_rng(0).normal(size=(40, 33))

FAULTS: dict[str, Any] = {
    "no guards": (
        lambda: patched(trace.Trace, "guard", unguarded),
        lambda x: np.sin(x) if np.sum(x) > 0 else np.cos(x),
        [X, X, -X, X],
    ),
    "no look at hidden NaN": (
        nothing_hidden,
        tl.grad(lambda x: np.sum(np.where(np.isnan(x), 0, x * x))),
        [X, X, np.where(X > 1, np.nan, X)],
    ),
    "no guard of a shape": (
        lambda: patched(trace, "_RAGGED", frozenset()),
        lambda x: np.sum(np.ones(np.flatnonzero(x > 0).shape)),
        [X, X, X - 1],
    ),
    "no guard of a mask": (
        lambda: patched(trace, "_PERHAPS_RAGGED", {}),
        lambda x: np.sum(np.ones(x[x > 0].shape)),
        [X, X, X - 1],
    ),
    "no guard of a dtype": (
        lambda: patched(trace, "_REAL_OR_COMPLEX", frozenset()),
        lambda x: np.zeros(2, np.emath.sqrt(x).dtype),
        [np.abs(X), np.abs(X), X],
    ),
    "a wrong instruction": (
        lambda: patched(passes, "merged", lambda p, f=passes.merged: another_instruction(f(p))),
        lambda x: np.sin(x) + x,
        [X, X, X],
    ),
    "another order in memory": (
        lambda: patched(numpy_backend, "empty", lambda kind: np.empty(kind.shape, kind.dtype)),
        lambda x: np.sum(np.sin(x.T) * 2),
        [WIDE, WIDE, WIDE],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_seen(name: str):
    plant, f, arrays = FAULTS[name]
    function = lambda x: f(x)  # of this module: recording looks into it
    assert_goes(function, [[x] for x in arrays])
    with plant(), pytest.raises(AssertionError):
        assert_goes(function, [[x] for x in arrays])
