"""The fused linear map."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.support import check_gradients
from tinygrad_lab.nn import functional as fn


@given(
    lead=st.lists(st.integers(0, 3), max_size=2).map(tuple),
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
    bias=st.booleans(),
)
def test_linear_gradients_are_those_of_finite_differences(lead, inputs, outputs, bias):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(*lead, inputs)), rng.normal(size=(outputs, inputs))]
    if bias:
        arrays.append(rng.normal(size=outputs))
    np.testing.assert_allclose(
        fn.linear(*arrays), arrays[0] @ arrays[1].T + (arrays[2] if bias else 0)
    )
    check_gradients(fn.linear, *arrays)


def test_linear_takes_its_bias_by_name():
    w = tl.tensor(np.ones((2, 3)), requires_grad=True)
    b = tl.tensor(np.zeros(2), requires_grad=True)
    fn.linear(np.ones((4, 3)), w, bias=b).sum().backward()
    np.testing.assert_array_equal(b.grad, [4.0, 4.0])


def test_linear_stays_in_float32():
    x, w, b = (
        tl.tensor(np.ones(s), dtype=np.float32, requires_grad=True) for s in ((4, 3), (2, 3), (2,))
    )
    y = fn.linear(x, w, b)
    y.sum().backward()
    assert {y.dtype, x.grad.dtype, w.grad.dtype, b.grad.dtype} == {np.dtype(np.float32)}


def test_linear_names_the_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(5, 3\).*\(2, 4\)"):
        fn.linear(np.ones((5, 3)), np.ones((2, 4)))
