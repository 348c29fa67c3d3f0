"""An update that adds its velocity where it should subtract goes uphill."""

import numpy as np
import pytest

from tinygrad_lab import testing as tgt


def loss(w, b):
    return ((np.tanh(w * 2.0 + b) - 0.5) ** 2).mean()


def momentum(sign, beta=0.9):
    velocity = [0.0, 0.0]

    def update(parameters, gradients, rate):
        for i, g in enumerate(gradients):
            velocity[i] = beta * velocity[i] + rate * g
        return [p + sign * v for p, v in zip(parameters, velocity, strict=True)]

    return update


START = np.array([0.3, -0.2, 1.0]), np.array(0.1)


def test_going_down_passes():
    assert tgt.check_descent(loss, lambda: momentum(-1), *START).passed
    assert tgt.check_descent(loss, lambda: momentum(-1, beta=0.0), *START).passed


def test_adding_the_velocity_is_found():
    with pytest.raises(tgt.GradientError, match="step 1 goes uphill") as caught:
        tgt.check_descent(loss, lambda: momentum(+1), *START)
    assert "adds where it should subtract" in str(caught.value)


def test_a_velocity_of_the_wrong_sign_is_found_at_a_later_step():
    with pytest.raises(tgt.GradientError, match=r"step [2-4]"):
        tgt.check_descent(loss, lambda: momentum(-1, beta=-1.5), *START)


def test_standing_still_is_found():
    with pytest.raises(tgt.GradientError, match="does not move downhill"):
        tgt.check_descent(loss, lambda: lambda p, g, rate: p, *START)
