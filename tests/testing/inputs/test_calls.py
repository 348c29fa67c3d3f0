"""What arrays are drawn from, where strategies are made once for many draws."""

import numpy as np
import pytest
from hypothesis import find

from tinygrad_lab.testing.inputs.calls import arrays, mostly, shapes


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_arrays_hold_zeros_of_the_sign_that_was_asked_for(zero):
    drawn = find(arrays((2,), (zero, 1.0)), lambda x: True)
    assert np.array_equal(drawn, [0.0, 0.0])
    assert np.array_equal(np.signbit(drawn), np.signbit([zero, zero]))


def test_shapes_are_of_the_kind_that_is_asked_for_when_they_are_drawn():
    strategy = shapes()  # made before the kind is known, and shared with whoever asks for shapes
    with mostly("zero-size"):
        assert 0 in find(strategy, lambda shape: True)
    assert 0 not in find(strategy, lambda shape: len(shape) > 0)
