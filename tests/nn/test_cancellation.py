"""Values and derivatives to a few units in the last place, where a formula would cancel."""

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.nn import functional as F

SIZES = 10.0 ** -np.arange(8)
NEAR_0 = np.concatenate([SIZES, -SIZES, [0.99, 1.01, -0.3, 5.0]])
CASES: dict[str, tuple[Any, Any, np.ndarray]] = {
    "tanhshrink": (F.tanhshrink, lambda x: x - mp.tanh(x), NEAR_0),
    "cross-entropy of a yes": (
        lambda p: F.binary_cross_entropy(p, np.ones_like(p.data)), lambda p: -mp.log(p),
        np.concatenate([0.5 * SIZES, 1 - 0.3 * SIZES]),
    ),
    "cross-entropy of a no": (
        lambda p: F.binary_cross_entropy(p, np.zeros_like(p.data)), lambda p: -mp.log1p(-p),
        np.concatenate([0.5 * SIZES, 1 - 0.3 * SIZES]),
    ),
}  # fmt: skip


def derivatives(f: Callable[..., Any], x: np.ndarray) -> list[Any]:
    """The value, the slope and the curvature at one place."""
    total = lambda x: np.sum(f(x))
    slope = tl.grad(total)
    t = tl.Tensor(x)
    return [total(t).item(), slope(x)[0], tl.grad(lambda x: np.sum(slope(x)))(x)[0]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", CASES)
def test_nothing_cancels(case: str, dtype: Any) -> None:
    f, exact, places = CASES[case]
    with mp.workdps(60):
        for place in np.unique(places.astype(dtype)):
            if not 0 < abs(place) < 1 and case != "tanhshrink":
                continue
            known = [float(mp.diff(exact, mp.mpf(float(place)), n)) for n in range(3)]
            got = derivatives(f, np.array([place]))
            np.testing.assert_allclose(got, known, rtol=12 * np.finfo(dtype).eps, err_msg=place)
