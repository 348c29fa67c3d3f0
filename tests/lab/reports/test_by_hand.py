"""Report A's code by hand is right where it should be, and wrong where the report is."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.lab.reports import by_hand
from tinygrad_lab.nn import functional

PARAMETERS = by_hand.midway(seed=0, epochs=20)


def test_the_mended_gradients_are_those_of_the_loss():
    exact = tl.grad(by_hand.loss, argnums=tuple(range(6)))(*PARAMETERS)
    for mine, right in zip(by_hand.gradients(*PARAMETERS), exact, strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-10)


def test_the_gradients_as_derived_are_twice_those_of_the_cross_entropy():
    def cross_entropy(*parameters):
        W1, b1, W2, b2, W3, b3 = parameters
        A1 = by_hand.sigmoid(W1 @ by_hand.X + b1)
        A2 = by_hand.sigmoid(W2 @ A1 + b2)
        return functional.binary_cross_entropy_with_logits(W3 @ A2 + b3, by_hand.Y)

    exact = tl.grad(cross_entropy, argnums=tuple(range(6)))(*PARAMETERS)
    for mine, right in zip(by_hand.gradients_as_derived(*PARAMETERS), exact, strict=True):
        np.testing.assert_allclose(mine, 2 * right, rtol=1e-10)


def test_momentum_is_that_of_the_optimizer_and_the_reported_one_its_mirror_image():
    down, up = by_hand.momentum(), by_hand.momentum_as_reported()
    weight = tl.tensor([[1.0, -2.0]], requires_grad=True)
    optimizer = tl.optim.SGD([weight], lr=0.1, momentum=0.9)
    lower = higher = [np.array([[1.0, -2.0]])] * 6
    for slope in (np.array([[0.5, 1.0]]), np.array([[-0.25, 2.0]])):
        weight.grad = slope
        optimizer.step()
        lower, higher = (
            update(parameters, [slope] * 6, 0.1)
            for update, parameters in ((down, lower), (up, higher))
        )
    np.testing.assert_allclose(lower[0], weight.data, rtol=1e-14)
    np.testing.assert_allclose(lower[0] + higher[0], [[2.0, -4.0]], rtol=1e-14)


@pytest.mark.parametrize("epochs", [0, 5])
def test_midway_is_the_same_each_time_and_short_to_print(epochs):
    for one, other in zip(by_hand.midway(1, epochs), by_hand.midway(1, epochs), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, one.round(2))
    assert [p.shape for p in by_hand.midway(1, epochs)] == [
        (2, 2), (2, 1), (2, 2), (2, 1), (1, 2), (1, 1),
    ]  # fmt: skip


def test_report_a_learns_all_the_same():
    losses = [by_hand.loss(*by_hand.midway(3, epochs)) for epochs in (0, 100, 500)]
    assert losses[0] > losses[1] > losses[2]
