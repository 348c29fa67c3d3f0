"""``tl.gradients``: derivatives as values, touching no ``.grad``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl


def leaf(data: Any = (1.0, 2.0, 3.0)) -> tl.Tensor:
    return tl.tensor(data, dtype=float, requires_grad=True)


def test_one_or_several_inputs_and_outputs():
    x, z = leaf(), leaf(2.0)
    y = x * z
    np.testing.assert_array_equal(tl.gradients(y.sum(), x, retain_graph=True), [2, 2, 2])
    by_x, by_z = tl.gradients([y, x.sum()], [x, z], [np.array([1.0, 0, 0]), 10.0])
    np.testing.assert_array_equal(by_x, [12, 10, 10])
    assert by_z == 1
    assert x.grad is None
    assert z.grad is None


def test_with_respect_to_an_intermediate():
    x = leaf()
    h = x * x
    y = (h * h).sum()
    np.testing.assert_array_equal(tl.gradients(y, h), 2 * h.data)


def test_what_the_pass_does_not_need_stays_usable():
    x = leaf()
    h = np.exp(x)
    tl.gradients((h * h).sum(), h)
    h.sum().backward()
    np.testing.assert_array_equal(x.grad, np.exp(x.data))


def test_an_output_by_itself_and_an_input_that_does_not_matter():
    x, other = leaf(), leaf([1.0])
    np.testing.assert_array_equal(tl.gradients(x, x, np.ones(3)), [1, 1, 1])
    np.testing.assert_array_equal(tl.gradients(x.sum(), other), [0])
    assert isinstance(tl.gradients(x.sum(), other, create_graph=True), tl.Tensor)


def test_results_belong_to_the_caller():
    a, b, upstream = leaf(), leaf(), np.ones(3)
    by_a, by_b = tl.gradients(a + b, [a, b], upstream)
    arrays = [by_a, by_b, upstream]
    for i, one in enumerate(arrays):
        assert one.flags.writeable
        assert not any(np.shares_memory(one, other) for other in arrays[:i])
    assert tl.gradients(a.sum(), a).flags.writeable
    first, second = tl.gradients(a.sum(), [a, a])
    assert not np.shares_memory(first, second)


def test_no_grad_attribute_is_touched_not_even_a_retained_one():
    x = leaf()
    y = x * 2
    y.retain_grad()
    tl.gradients(y.sum(), x)
    assert x.grad is None
    assert y.grad is None


def test_refusals():
    x = leaf()
    with pytest.raises(RuntimeError, match="input 0 requires no gradient"):
        tl.gradients(x.sum(), tl.tensor(1.0))
    with pytest.raises(RuntimeError, match="no gradient flows"):
        tl.gradients(tl.tensor(1.0), x)
    with pytest.raises(ValueError, match="needs an upstream"):
        tl.gradients(x * 2, x)
    with pytest.raises(ValueError, match="2 upstreams for 1 outputs"):
        tl.gradients([x * 2], x, [1.0, 2.0])


def test_a_gradient_penalty_trains():
    """The gradient of a function of a gradient, by hand: d/dw |d/dx tanh(w x)|^2."""
    w, x = leaf(0.5), leaf(0.25)
    slope = tl.gradients(np.tanh(w * x), x, create_graph=True)
    (slope**2).backward()
    s = 1 - np.tanh(0.125) ** 2  # d tanh(w x)/dx = w s, ds/dw = -2 x tanh s
    np.testing.assert_allclose(w.grad, 2 * 0.5 * s * (s - 2 * 0.5 * 0.25 * np.tanh(0.125) * s))
