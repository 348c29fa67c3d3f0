"""The value of a function is NumPy's, whatever the dtype of its operands, tracked or not.

Not for: derivatives (``test_rules.py``), or values at the ends of a dtype (``test_limits.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl


@pytest.mark.parametrize(
    ("f", "data"),
    [
        (np.linalg.norm, np.array([200, 100], "u1")),
        (np.gradient, np.array([200, 100, 50], "u1")),
        (np.diff, np.array([200, 100, 50], "u1")),
        (np.median, np.array([-np.inf, -np.inf, 1, 2])),
        (np.median, np.array([250, 251], "u1")),
        (lambda x: np.split(x, 2), np.array([1, 2])),
    ],
)
def test_plain_values_are_numpys(f: Any, data: Any):
    with np.errstate(invalid="ignore"):
        ours, theirs = f(tl.tensor(data)), f(data)
    pairs = zip(ours, theirs, strict=True) if isinstance(theirs, list) else [(ours, theirs)]
    for y, expected in pairs:
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y.data, expected)


def test_numpy_may_not_overwrite_a_tensor():
    t = tl.tensor([3, 1, 2])
    assert np.median(t, overwrite_input=True).item() == 2
    assert t.tolist() == [3, 1, 2]
