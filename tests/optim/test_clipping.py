"""Clipping of gradients: norms of any size, names of what is not finite, both places of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tl
from tinygrad_lab import nn, optim


def with_gradients(*gradients):
    parameters = []
    for g in gradients:
        p = tl.tensor(np.zeros(g.shape), requires_grad=True)
        p.grad = g
        parameters.append(p)
    return parameters


@given(
    a=npst.arrays(np.float64, 3, elements=st.floats(-10, 10)),
    b=npst.arrays(np.float64, (2, 2), elements=st.floats(-10, 10)),
    limit=st.floats(0.1, 10),
    order=st.sampled_from([1.0, 2.0, float("inf")]),
)
def test_clipping_bounds_the_common_norm_and_keeps_the_direction(a, b, limit, order):
    row = np.concatenate([a, b.ravel()])
    before = np.linalg.norm(row, order)
    parameters = [*with_gradients(a, b), tl.tensor([1.0], requires_grad=True)]
    assert optim.clip_grad_norm_(parameters, limit, order) == pytest.approx(before)
    after = np.concatenate([p.grad.ravel() for p in parameters[:2]])
    assert np.linalg.norm(after, order) <= limit * (1 + 1e-9)
    if before <= limit * 0.999:
        np.testing.assert_array_equal(after, row)
    else:
        np.testing.assert_allclose(after * before, row * limit, rtol=1e-3, atol=1e-3)


def test_clipping_values():
    (p,) = with_gradients(np.array([-3.0, 0.5, 3.0]))
    optim.clip_grad_value_([p], 1.0)
    np.testing.assert_array_equal(p.grad, [-1.0, 0.5, 1.0])


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_bad_limits(bad):
    for clip in (optim.clip_grad_norm_, optim.clip_grad_value_):
        with pytest.raises(ValueError, match="above 0"):
            clip(with_gradients(np.ones(2)), bad)
    with pytest.raises(ValueError, match="norm_type"):
        optim.clip_grad_norm_([], 1.0, bad)
    with pytest.raises(ValueError, match="norm_type"):
        nn.utils.get_total_norm([], bad)


@pytest.mark.parametrize(("dtype", "size"), [("f4", 1e30), ("f8", 1e300), ("f8", 1e-300)])
@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, float("inf")])
def test_norms_of_huge_and_tiny_gradients(dtype, size, order):
    parameters = with_gradients(np.array([3 * size, 4 * size]), np.array([0.0]))
    for p in parameters:
        p.data = p.data.astype(dtype)
        p.grad = p.grad
    norm = np.linalg.norm([3, 4], order)
    assert optim.clip_grad_norm_(parameters, 1.0, order) == pytest.approx(norm * size)
    if size > 1:
        np.testing.assert_allclose(parameters[0].grad, np.array([3, 4]) / norm, rtol=1e-5)


def test_a_norm_that_is_no_number_is_told():
    for bad in (np.nan, np.inf):
        parameters = with_gradients(np.array([1.0]), np.array([bad, 1.0]))
        with np.errstate(invalid="ignore"):
            np.testing.assert_equal(optim.clip_grad_norm_(parameters, 1.0), bad)
            # Nobody knows how long the others are, so none of them goes on unclipped.
            assert not np.any(np.concatenate([p.grad for p in parameters]) >= 1)
    with pytest.raises(TypeError, match=r"model\.parameters\(\)"):
        optim.clip_grad_norm_(tl.nn.Linear(1, 1, rng=0), 1.0)


def test_1e20_in_float32_is_clipped_and_not_zeroed():
    p = nn.Parameter(np.zeros(2, np.float32))
    p.grad = np.full(2, 1e20, np.float32)
    assert nn.utils.clip_grad_norm_(p, 1.0) == pytest.approx(2**0.5 * 1e20)
    assert p.grad.dtype == np.float32
    np.testing.assert_allclose(p.grad, 0.5**0.5, rtol=1e-6)


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, 3.0, np.inf])
def test_the_norm_of_arrays(order):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=3), rng.normal(size=(2, 2))
    row = np.concatenate([a, b.ravel()])
    assert nn.utils.get_total_norm([a, tl.tensor(b)], order) == pytest.approx(
        np.linalg.norm(row, order)
    )
    assert nn.utils.get_total_norm(a, order) == pytest.approx(np.linalg.norm(a, order))
    assert nn.utils.get_total_norm([], order) == 0
    p = nn.Parameter(a)
    p.grad = a.copy()
    nn.utils.clip_grads_with_norm_(p, 1.0, 4.0)
    np.testing.assert_allclose(p.grad, a / 4, rtol=1e-6)


def test_what_is_not_finite_is_named():
    model = nn.Sequential(nn.Linear(1, 2, rng=0), nn.Linear(2, 1, rng=0))
    for p in model.parameters():
        p.grad = np.ones(p.shape)
    model[1].weight.grad[0, 1] = np.nan
    model[1].bias.grad[0] = -np.inf
    before = [p.grad.copy() for p in model.parameters()]
    for parameters, label in (
        (model.named_parameters(), r"parameter '1.weight' \(shape \(1, 2\)\)"),
        (model.parameters(), r"parameter 2 \(shape \(1, 2\)\)"),
    ):
        with pytest.raises(RuntimeError, match=f"the gradient of {label}, and of 1 more, is not"):
            nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    with pytest.raises(RuntimeError, match=r"the gradient of tensor 2 \(shape \(1, 2\)\)"):
        nn.utils.get_total_norm(before, error_if_nonfinite=True)
    for p, g in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.grad, g)
    huge = [np.full(2, 1.5e308), np.full(2, 1.5e308)]
    with np.errstate(over="ignore"), pytest.raises(RuntimeError, match="each of them is finite"):
        nn.utils.get_total_norm(huge, 1.0, error_if_nonfinite=True)


def test_what_is_no_parameter():
    with pytest.raises(TypeError, match="parameter 0 is float64"):
        nn.utils.clip_grad_norm_([np.ones(2)], 1.0)
