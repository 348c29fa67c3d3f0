"""Learning rate schedules and gradient clipping, beside PyTorch's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tl
from tinygrad_lab import optim


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("StepLR", {"step_size": 3, "gamma": 0.5}),
        ("CosineAnnealingLR", {"T_max": 7}),
        ("CosineAnnealingLR", {"T_max": 20, "eta_min": 0.01}),
    ],
)
def test_rates_are_those_of_pytorch(name, arguments):
    torch = pytest.importorskip("torch")
    ours = optim.SGD([tl.tensor([1.0], requires_grad=True)], lr=0.3)
    theirs = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.3)
    schedule = getattr(optim, name)(ours, **arguments)
    other = getattr(torch.optim.lr_scheduler, name)(theirs, **arguments)
    for _ in range(7):
        theirs.step()
        schedule.step()
        other.step()
        np.testing.assert_allclose(schedule.get_last_lr(), other.get_last_lr(), atol=1e-12)


def test_bad_schedules():
    optimizer = optim.SGD([tl.tensor([1.0], requires_grad=True)])
    for build in (
        lambda: optim.StepLR(optimizer, 0),
        lambda: optim.StepLR(optimizer, 1, gamma=0.0),
        lambda: optim.CosineAnnealingLR(optimizer, 0),
        lambda: optim.CosineAnnealingLR(optimizer, 3, eta_min=-1.0),
    ):
        with pytest.raises(ValueError, match="expected"):
            build()


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
    with pytest.raises(TypeError, match=r"model\.parameters\(\)"):
        optim.clip_grad_norm_(tl.nn.Linear(1, 1, rng=0), 1.0)
