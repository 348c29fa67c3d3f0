"""A backward pass that is cut off from what it was computed of is refused at second order."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt

X = np.array([[0.5, -1.0], [2.0, 0.25]])
CUT_OFF = "the backward is cut off from its inputs"


def numbers(x):
    return np.asarray(x.data if isinstance(x, tl.Tensor) else x)


def operation(value, slope, detach_upstream, detach_input):
    """Make an operation whose rule computes its slope of detached values, or all of itself."""
    op = tl.primitive(lambda x: value(x))

    def rule(g, y, x):
        return (numbers(g) if detach_upstream else g) * slope(numbers(x) if detach_input else x)

    tl.defvjp(op, rule)
    return op


CURVED = [
    (np.sin, np.cos),
    (np.square, lambda x: 2 * x),
    (np.exp, np.exp),
    (lambda x: 1 / (2 + x * x), lambda x: -2 * x / (2 + x * x) ** 2),
]


@pytest.mark.parametrize(("value", "slope"), CURVED)
@pytest.mark.parametrize("properties", ["default", ["second_order"]])
def test_a_detached_backward_is_refused(value, slope, properties):
    for of_upstream in (True, False):
        op = operation(value, slope, of_upstream, True)
        assert tgt.gradcheck(op, X).passed
        with pytest.raises(tgt.GradientError, match=r"computes with detached|uses detached"):
            tgt.gradcheck(op, X, order=2, properties=properties)
    right = operation(value, slope, False, False)
    assert tgt.gradcheck(right, X, order=2, properties=properties).passed


def test_linear_functions_have_a_constant_gradient_and_pass():
    for f in (lambda x: x * 3.0 - x, lambda x: x @ np.ones((2, 3)), np.sum, lambda x: x * 0.0):
        assert tgt.gradcheck(f, X, order=2).passed
    assert tgt.gradcheck(operation(np.positive, np.ones_like, False, True), X, order=2).passed


def test_what_is_cut_off_from_its_upstream_alone_is_refused_though_linear():
    op = operation(lambda x: 3 * x, lambda x: 3.0 + 0 * x, True, False)
    with pytest.raises(tgt.GradientError, match="detached values"):
        tgt.gradcheck(op, X, order=2)


def test_a_composed_function_with_one_rule_that_is_cut_off():
    op = operation(np.sin, np.cos, True, True)
    with pytest.raises(tgt.GradientError, match="detached values"):
        tgt.gradcheck(lambda x: np.tanh(op(x * 2.0)), X, order=2, properties=["second_order"])


@pytest.mark.oracle
def test_of_pytorch():
    torch = pytest.importorskip("torch")

    def function(backward):
        class Square(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, g):
                return backward(ctx.saved_tensors[0], g)

        return tgt.adapters.torch(Square.apply)

    whole, half = (
        function(lambda x, g: 2 * x.detach() * g.detach()),
        function(lambda x, g: 2 * x.detach() * g),
    )
    for wrong in (whole, half):
        assert tgt.gradcheck(wrong, X).passed
        with pytest.raises(tgt.GradientError, match=CUT_OFF):
            tgt.gradcheck(wrong, X, order=2)
    assert tgt.gradcheck(function(lambda x, g: 2 * x * g), X, order=2).passed
    linear = tgt.adapters.torch(lambda x: torch.sum(3 * x, 0))
    assert tgt.gradcheck(linear, X, order=2).passed


@pytest.mark.oracle
def test_of_jax():
    jax = pytest.importorskip("jax")

    def of(slope):
        f = jax.custom_vjp(jax.numpy.sin)
        f.defvjp(lambda x: (jax.numpy.sin(x), x), lambda x, g: (slope(x, g),))
        return tgt.adapters.jax(f)

    stop = jax.lax.stop_gradient
    for slope in (
        lambda x, g: stop(g * jax.numpy.cos(x)),
        lambda x, g: g * jax.numpy.cos(stop(x)),
    ):
        with pytest.raises(tgt.GradientError, match=CUT_OFF):
            tgt.gradcheck(of(slope), X, order=2)
    assert tgt.gradcheck(of(lambda x, g: g * jax.numpy.cos(x)), X, order=2).passed


@pytest.mark.oracle
def test_of_autograd():
    autograd = pytest.importorskip("autograd")
    anp = pytest.importorskip("autograd.numpy")
    value_of = autograd.tracer.getval

    def of(slope):
        op = autograd.extend.primitive(lambda x: np.sin(x))
        autograd.extend.defvjp(op, lambda y, x: lambda g: slope(x, g))
        return tgt.adapters.autograd(op)

    for slope in (
        lambda x, g: value_of(g) * np.cos(value_of(x)),
        lambda x, g: g * np.cos(value_of(value_of(x))),
    ):
        with pytest.raises(tgt.GradientError, match=CUT_OFF):
            tgt.gradcheck(of(slope), X, order=2)
    assert tgt.gradcheck(of(lambda x, g: g * anp.cos(x)), X, order=2).passed


@pytest.mark.oracle
def test_a_second_derivative_that_pytorch_knows_to_be_zero():
    torch = pytest.importorskip("torch")
    f = tgt.adapters.torch(lambda x: torch.abs(x).sum())
    assert tgt.gradcheck(f, X, order=2).passed
