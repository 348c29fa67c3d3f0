"""The data sets are exactly those of the reports."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_lab.lab import linear, load, xor


def test_xor_is_the_reports_points_in_the_reports_order():
    x, y = xor()
    expected = []
    for i in range(11):
        expected.append((0.1 * i, 0.1 * i, 0.0))
        if i != 5:
            expected.append((0.1 * i, 1 - 0.1 * i, 1.0))
    np.testing.assert_array_equal(np.hstack([x, y]), expected)  # exactly, not nearly
    assert x.shape == (21, 2)
    assert y.sum() == 10


@given(n=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_linear_is_labelled_by_the_diagonal(n, seed):
    x, y = linear(n, rng=seed)
    assert x.shape == (n, 2)
    assert y.shape == (n, 1)
    assert ((x >= 0) & (x < 1)).all()
    np.testing.assert_array_equal(y.ravel(), [0.0 if a > b else 1.0 for a, b in x])


def test_the_same_seed_draws_the_same_points_and_another_does_not():
    np.testing.assert_array_equal(linear(5, rng=1)[0], linear(5, rng=1)[0])
    assert not np.array_equal(linear(5, rng=1)[0], linear(5, rng=2)[0])


def test_drawing_leaves_numpys_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - what must not be touched
    load("linear", 50, rng=3)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_training_and_test_points_are_separate_draws():
    data = load("linear", 40, rng=0)
    assert data.x.shape == data.x_test.shape == (40, 2)
    assert not np.isin(data.x, data.x_test).any()
    assert load("xor").x_test is None


@pytest.mark.parametrize("n", [0, -3])
def test_no_points(n):
    with pytest.raises(ValueError, match=f"at least one point, got n = {n}"):
        linear(n)


def test_unknown_data():
    with pytest.raises(ValueError, match="unknown data 'moons'; there are: linear, xor"):
        load("moons")
