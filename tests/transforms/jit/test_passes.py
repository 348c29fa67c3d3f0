"""Fewer lines for the same numbers: what the passes leave out, and what they must not."""

import numpy as np
import pytest

import tinygrad_lab as tl

X = np.arange(24.0).reshape(2, 3, 4)


def calls(f, *args):
    """The names of the functions that the program of a call consists of."""
    return [line.op.__name__ for line in tl.program(f)(*args).instructions]


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: np.sin(np.swapaxes(np.swapaxes(x, 1, 2), -1, -2)), ["sin"]),
        (lambda x: np.sin(np.swapaxes(np.swapaxes(x, 1, 2), 2, 1)), ["sin"]),
        (
            lambda x: np.sin(np.swapaxes(np.swapaxes(x, 0, 2), 0, 1)),
            ["swapaxes", "swapaxes", "sin"],
        ),
        (lambda x: np.sin(x.reshape(6, 4).reshape(24)), ["reshape", "sin"]),
        (lambda x: np.sin(x.reshape(24).reshape(2, 3, 4)), ["sin"]),
    ],
)
def test_views_of_views(f, expected):
    assert calls(f, X) == expected
    np.testing.assert_array_equal(tl.program(f)(X)(X), f(X))


def test_a_shape_of_exchanged_axes_is_taken_of_these():
    f = lambda x: np.sin(np.swapaxes(x, 0, 1).reshape(24))
    assert calls(f, X) == ["swapaxes", "reshape", "sin"]
    np.testing.assert_array_equal(tl.program(f)(X)(X), f(X))


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: np.broadcast_to(x[0], (2, 3, 4)) * x, ["getitem", "multiply"]),
        (lambda x: x - np.broadcast_to(x[0].reshape(1, 3, 4), (2, 3, 4)), ["getitem", "subtract"]),
        (
            lambda x: np.broadcast_to(x[0], (5, 3, 4)) * x[:1],
            ["getitem", "broadcast_to", "getitem", "multiply"],
        ),
        (lambda x: x * x[0, :, 0].reshape(3, 1), ["getitem", "reshape", "multiply"]),
        (lambda x: np.exp(np.broadcast_to(x, (2, 2, 3, 4))), ["broadcast_to", "exp"]),
        (
            lambda x: np.broadcast_to(2.0, (2, 3, 4)) * x.astype(np.float32),
            ["astype", "multiply"],
        ),
    ],
)
def test_a_ufunc_stretches_its_operands_itself(f, expected):
    """Where what it gives has the same shape, order in memory and dtype."""
    assert calls(f, X) == expected
    result, as_called = tl.program(f)(X)(X), f(X)
    np.testing.assert_array_equal(result, as_called)
    assert (result.dtype, result.strides) == (as_called.dtype, as_called.strides)


def test_what_comes_out_is_not_what_went_in():
    step = tl.jit(lambda x: np.swapaxes(np.swapaxes(x, 0, 1), 0, 1).reshape(24).reshape(2, 3, 4))
    for _ in range(3):
        result = step(X)
        assert result is not X
        np.testing.assert_array_equal(result, X)


def test_the_gradient_through_axes_of_length_one_is_a_shape():
    """No guard against NaN, which nothing leaves out, and nothing put together from pieces."""
    f = tl.grad(lambda x: np.sum(np.sin(x[:, None, ...])))
    assert calls(f, np.ones(3)) == ["getitem", "cos", "reshape", "copy"]
    np.testing.assert_array_equal(f(np.array([0.0, np.nan])), [1.0, np.nan])


def test_large_results_lie_in_memory_as_those_of_the_call_itself():
    """Sums round otherwise in another order of memory."""
    rng = np.random.default_rng(0)

    def f(x):
        turned = np.sin(np.swapaxes(x, 1, 2))
        return turned, np.sum(turned, axis=1), np.cos(turned.T)

    step, held = tl.jit(f, backend="numpy"), []
    for _ in range(6):
        x = rng.normal(size=(50, 4, 101))
        for result, expected in zip(step(x), f(x), strict=True):
            assert result.strides == expected.strides
            np.testing.assert_array_equal(result, expected)
            held.append((result[:3], expected[:3]))  # a view holds the memory as well
    for view, expected in held:
        np.testing.assert_array_equal(view, expected)
