"""The value of a function is NumPy's, whatever the dtype of its operands, tracked or not.

And its dtype; and where NumPy refuses, so do we.

Not for: derivatives (``test_rules.py``), or slopes at the ends of a dtype (``test_limits.py``).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.core.rules.test_detaching import MORE
from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.core.rules.namespace import kind, public_functions
from tinygrad_lab.testing.inputs.calls import Call
from tinygrad_lab.testing.inputs.catalogue import CASES

FUNCTIONS = {
    name: f
    for name, f in public_functions()
    if kind(OPERATIONS[f]) == "differentiable" and f in CASES
}
PLAIN = ["u1", "?", "i4", "u8", "f2", "F"]
TRACKED = ["f2", "f4", "F"]
#: Where ours is another, tracked and infinite or complex: why.
OTHERWISE = {
    "partition": "the order on each side of the k-th is nobody's promise",
    "quantile": "NumPy's interpolation makes NaN of an element beside an infinite one",
    "percentile": "as quantile",
    "nanquantile": "as quantile",
    "nanpercentile": "as quantile",
    "logspace": "from one infinity to another",
    "geomspace": "from one infinity to another",
    "linalg.cond": "by decompositions that do not converge",
    "linalg.svd": "by decompositions that do not converge",
    "linalg.svdvals": "by decompositions that do not converge",
    "linalg.matrix_norm": "by decompositions that do not converge",
    "linalg.norm": "by decompositions that do not converge",
    "linalg.matrix_power": "to the power 0",
    "interp": "complex places, which NumPy casts",
    "polyfit": "complex places, which NumPy's scaling refuses",
    "einsum": "sums in another order",
}
each_function = pytest.mark.parametrize("name", FUNCTIONS)
once = settings(max_examples=1, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


def outcome(call: Call, arrays: Any) -> Any:
    """The results, or None where the call is refused."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            y = call.f(*arrays)
        except (TypeError, ValueError, ArithmeticError, np.linalg.LinAlgError):
            return None
    parts = y if isinstance(y, (tuple, list)) else [y]
    return [np.asarray(part.data if isinstance(part, tl.Tensor) else part) for part in parts]


def same_as_numpy(call: Call, arrays: Any, tracked: bool) -> None:
    theirs = outcome(call, arrays)
    ours = outcome(call, [tl.tensor(x, requires_grad=tracked) for x in arrays])
    assert (ours is None) == (theirs is None)
    for y, expected in zip(ours or [], theirs or [], strict=True):
        assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
        eps = float(np.finfo(y.dtype).eps) if y.dtype.kind in "fc" else 0.0
        finite = expected[np.isfinite(expected)] if eps else expected
        size = float(np.max(np.abs(finite), initial=0.0))
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(y, expected, rtol=100 * eps, atol=100 * eps * size)


@each_function
@once
@given(data=st.data())
def test_plain_values_are_numpys(name: str, data: Any):
    call = data.draw(CASES[FUNCTIONS[name]])
    for dtype in PLAIN:
        times = 50 if dtype == "u1" else 1
        with np.errstate(all="ignore"):
            arrays = [(np.abs(x) * times).astype(dtype) for x in call.arrays]
        same_as_numpy(call, arrays, tracked=False)


@each_function
@once
@given(data=st.data())
def test_tracked_values_are_numpys(name: str, data: Any):
    if name in OTHERWISE:
        pytest.skip(OTHERWISE[name])
    call = data.draw(CASES[FUNCTIONS[name]])
    for dtype in TRACKED:
        same_as_numpy(call, [x.astype(dtype) for x in call.arrays], tracked=True)
    for infinity in (np.inf, -np.inf):
        arrays = [np.where(np.arange(x.size).reshape(x.shape) % 3 == 1, infinity, x)
                  for x in call.arrays]  # fmt: skip
        same_as_numpy(call, arrays, tracked=True)


@pytest.mark.parametrize(
    ("f", "data"),
    [
        (np.linalg.norm, np.array([200, 100], "u1")),
        (np.gradient, np.array([200, 100, 50], "u1")),
        (np.diff, np.array([200, 100, 50], "u1")),
        (np.median, np.array([250, 251], "u1")),
        (np.median, np.array([-np.inf, -np.inf, 1, 2])),
        (np.modf, np.array([np.inf, -2.5, -np.inf])),
        (np.gradient, np.array([1.0, 2.0, np.inf, np.inf, np.inf, 3.0])),
        (lambda x: np.split(x, 2), np.array([1, 2])),
    ],
)
def test_samples(f: Any, data: Any):
    same_as_numpy(Call("", f, [data]), [data], tracked=False)
    if data.dtype.kind == "f":
        same_as_numpy(Call("", f, [data]), [data], tracked=True)


@pytest.mark.parametrize("power", [-1, -2, 0, 0.5, 2, -1.0])
def test_powers_of_integers_are_numpys(power: Any):
    x = np.array([1, 2, 3])
    for f in (lambda x: x**power, lambda x: np.power(x, power), np.reciprocal, lambda x: x // -2,
              lambda x: x % -2, lambda x: 7 // x):  # fmt: skip
        same_as_numpy(Call("", f, [x]), [x], tracked=False)


def lower(value: Any) -> Any:
    """The arrays of doubles in an argument as float32; numbers and lists as they are."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(lower, value))
    is_array = isinstance(value, np.ndarray) and value.dtype == float
    return value.astype(np.float32) if is_array else value


@pytest.mark.parametrize("op", MORE, ids=name_of)
def test_numbers_and_lists_beside_arrays_of_another_precision(op: Any):
    for arguments in MORE[op]:
        for place, value in list(arguments.places()):
            if len(place) == 1:
                arguments = arguments.replaced(place, lower(value))
        for place, value in list(arguments.places()):
            if getattr(value, "dtype", None) != np.float32:
                continue
            f = lambda x, at=place, rest=arguments: rest.replaced(at, x)(op)
            arrays = (value, tl.tensor(value, requires_grad=True))
            theirs, ours = (outcome(Call("", f, [x]), [x]) for x in arrays)
            for y, expected in zip(ours or [], theirs or [], strict=bool(ours)):
                if y.dtype.kind in "fc":
                    assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
                    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_numpy_may_not_overwrite_a_tensor():
    t = tl.tensor([3, 1, 2])
    assert np.median(t, overwrite_input=True).item() == 2
    assert t.tolist() == [3, 1, 2]
