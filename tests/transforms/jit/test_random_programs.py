"""Random functions, jitted: bit for bit what they are, whatever came before.

And each kind of function that other transforms are crossed with, under each of them.

Not for: NumPy's functions one by one (``test_catalogue.py``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.core.test_crossings import CLOSING, FUNCTIONS, V, X
from tests.transforms.jit.alike import assert_goes
from tinygrad_lab.testing.inputs.strategies import graphs

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


@settings(max_examples=max(settings.default.max_examples // 4, 10))
@given(
    graph=graphs(),
    n=st.sampled_from([1, 3, 17]),
    dtype=st.sampled_from([np.float64, np.float32]),
    turned=st.booleans(),
    order=st.integers(0, 2),
)
def test_a_random_function(graph: Any, n: int, dtype: Any, turned: bool, order: int):
    def f(x: Any, y: Any) -> Any:
        z = graph(x, y)
        return z * 2 if np.sum(x) > 0 else z + np.sum(np.sin(x.T) * y)

    def gradient(x: Any, y: Any) -> Any:
        return tl.grad(f, (0, 1))(x, y)

    def second(x: Any, y: Any) -> Any:
        return tl.hvp(f, (x, y), (y + 1, x - 1))[1]  # no copies: BLAS knows a matrix times itself

    rng = np.random.default_rng(n)
    arrays = [rng.normal(size=(n, n)).astype(dtype) for _ in range(2)]
    arrays = [a.T if turned else a for a in arrays]
    turns = [arrays, arrays, [-a for a in arrays], arrays[::-1], arrays]
    with np.errstate(all="ignore"):
        assert_goes((f, gradient, second)[order], turns)


def scalar(f: Any) -> Callable[[Any], Any]:
    return lambda x: np.sum(f(x) * V)


WAYS: dict[str, Callable[[Any], Any]] = {
    "value": lambda f: f,
    "grad": lambda f: tl.grad(scalar(f)),
    "value_and_grad": lambda f: tl.value_and_grad(scalar(f)),
    "jacobian": tl.jacobian,
    "jvp": lambda f: lambda x: tl.jvp(f, (x,), (V,)),
    "vjp": lambda f: lambda x: tl.vjp(f, x)[1](V),
    "hvp": lambda f: lambda x: tl.hvp(scalar(f), (x,), (V,)),
    "hessian": lambda f: tl.hessian(scalar(f)),
    "grad of checkpoint": lambda f: tl.grad(scalar(lambda x: tl.checkpoint(f, x))),
    "debug": lambda f: tl.debug()(tl.grad(scalar(f))),
    "vmap": lambda f: lambda x: tl.vmap(f)(np.stack([x, 2 * x])),
    "vmap of grad": lambda f: lambda x: tl.vmap(tl.grad(scalar(f)))(np.stack([x, 2 * x])),
}
#: They take numbers out of arrays, which jit refuses.
TAKING_OUT = {"control flow", "integers among the results"}
CROSSED = {name: f for name, f in {**FUNCTIONS, **CLOSING}.items() if name not in TAKING_OUT}
ALWAYS = ["grad", "vmap of grad"]


@pytest.mark.parametrize("way", WAYS if THOROUGH else ALWAYS)
@pytest.mark.parametrize("name", CROSSED)
def test_a_transform_inside(name: str, way: str):
    f = WAYS[way](CROSSED[name])
    try:
        f(X)
    except Exception as error:  # noqa: BLE001 - which transforms cannot be combined is told elsewhere
        pytest.skip(f"{type(error).__name__}: {error}")
    turns = [X, X, X * 1.1, X[::-1].copy(), -X, X * 1.1]
    assert_goes(lambda x: f(x), [[x] for x in turns])
