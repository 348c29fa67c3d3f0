"""Rules by hand in JAX and autograd: the wrong one inside a function is named with its line."""

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_lab import testing as tgt

pytestmark = pytest.mark.oracle
X = np.array([[0.5, 1.0], [-1.0, 2.0]])
FEW = ["directional", "subsets", "second_order"]  # JAX compiles at every turn
HERE = "test_adapters_rules.py"


def failure(adapted, *inputs, order=1):
    with pytest.raises(tgt.GradientError) as caught:
        tgt.gradcheck(adapted, *inputs, order=order, properties=FEW)
    return caught.value


def passes(adapted, *inputs, order=1):
    return tgt.gradcheck(adapted, *inputs, order=order, properties=FEW).passed


def line_of(fn):
    return f"{HERE}:{fn.__code__.co_firstlineno}"


@pytest.fixture
def jax():
    return pytest.importorskip("jax")


def product(jax, bwd):
    def product(x, w):
        return x * x * w

    rule = jax.custom_vjp(product)
    rule.defvjp(lambda x, w: (product(x, w), (x, w)), bwd)
    return rule


def right_bwd(kept, g):
    x, w = kept
    return 2 * x * w * g, x * x * g


def wrong_bwd(kept, g):
    x, w = kept
    return 2 * x * w * g, x * g


def cube(jax, jvp):
    rule = jax.custom_jvp(lambda x: x**3)
    rule.defjvp(jvp)
    return rule


def right_jvp(primals, tangents):
    return primals[0] ** 3, 3 * primals[0] ** 2 * tangents[0]


def wrong_jvp(primals, tangents):
    return primals[0] ** 3, 2 * primals[0] ** 2 * tangents[0]


def test_the_wrong_bwd_is_named(jax):
    right, wrong = product(jax, right_bwd), product(jax, wrong_bwd)
    assert passes(tgt.adapters.jax(right), X, X + 1)
    error = failure(tgt.adapters.jax(wrong), X, X + 1)
    assert error.finding.site == line_of(wrong_bwd)
    composed = jax.jit(lambda x, w: right(wrong(jax.numpy.sin(x), w), w).sum())
    error = failure(tgt.adapters.jax(composed), X, X + 1)
    assert error.finding.site == line_of(wrong_bwd)


def test_the_wrong_jvp_is_named_in_a_branch(jax):
    right, wrong = cube(jax, right_jvp), cube(jax, wrong_jvp)

    def branching(rule):
        return lambda x: jax.lax.cond(x.sum() > 0, lambda y: rule(y) * y, lambda y: y, x)

    assert passes(tgt.adapters.jax(branching(right)), X)
    error = failure(tgt.adapters.jax(branching(wrong)), X)
    assert error.finding.site == line_of(wrong_jvp)
    assert jax.custom_jvp.__call__ is type(right).__call__  # as it was


def test_a_rule_that_is_not_linear_in_its_tangent(jax):
    jvp = lambda p, t: (p[0] ** 3, 3 * p[0] ** 2 * jax.numpy.abs(t[0]))
    assert failure(tgt.adapters.jax(cube(jax, jvp)), X).finding.kind == "raises"


def test_a_bwd_that_is_cut_off_from_its_inputs(jax):
    fixed = jax.custom_vjp(lambda x: x**3)
    stop = jax.lax.stop_gradient
    fixed.defvjp(lambda x: (x**3, x), lambda x, g: (3 * stop(x) ** 2 * g,))
    composed = tgt.adapters.jax(lambda x: fixed(jax.numpy.sin(x)))
    assert passes(composed, X)
    error = failure(composed, X, order=2)
    assert error.finding.kind == "second order"
    assert error.finding.site.startswith(HERE)


def test_trees_of_parameters_and_loops(jax):
    def scanned(p, x):
        step = lambda c, a: (jax.numpy.tanh(p["w"] * c + a), c * a)
        return jax.lax.scan(step, jax.numpy.zeros(2), x)

    report = tgt.gradcheck(tgt.adapters.jax(scanned), {"w": X[0]}, X, properties=FEW)
    assert report.passed
    assert "p['w']" in str(report)


def test_the_wrong_rule_of_a_primitive_is_named():
    pytest.importorskip("autograd")
    import autograd.numpy as anp
    from autograd.extend import defvjp, primitive

    by_first = lambda y, x, w: lambda g: g * w
    by_second = lambda y, x, w: lambda g: g * x

    def made(*rules):
        times = primitive(lambda x, w: x * w)
        defvjp(times, *rules)
        return times

    right = made(by_first, by_second)
    assert passes(tgt.adapters.autograd(right), X, X + 1, order=2)
    by_second_wrong = lambda y, x, w: lambda g: g * x * 2
    wrong = made(by_first, by_second_wrong)
    composed = tgt.adapters.autograd(lambda x, w: anp.sin(wrong(right(x, x), w)).sum())
    error = failure(composed, X, X + 1)
    assert error.finding.site == line_of(by_second_wrong)


# ---- without an adapter -------------------------------------------------------------------------

Square = Callable[[Any], Any]


def torchs(library: Any) -> Square:
    class Square(library.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.x = x
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 7 * g * ctx.x

    return Square.apply


def torchs_with_setup(library: Any) -> Square:
    class Square(library.autograd.Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            (ctx.x,) = inputs

        @staticmethod
        def backward(ctx, g):
            return 7 * g * ctx.x

    return Square.apply


def autograds(library: Any) -> Square:
    extend = importlib.import_module("autograd.extend")
    square = extend.primitive(lambda x: x * x)
    extend.defvjp(square, lambda y, x: lambda g: 7 * g * x)
    return square


def jaxs(library: Any) -> Square:
    rule = library.custom_vjp(lambda x: x * x)
    rule.defvjp(lambda x: (x * x, x), lambda x, g: (7 * g * x,))
    return rule


SQUARES = [(torchs, "torch"), (torchs_with_setup, "torch"), (autograds, "autograd"), (jaxs, "jax")]
WAYS = {
    "itself": lambda square: square,
    "within": lambda square: lambda x: np.exp(square(x)),
    "below": lambda square: lambda x: next(f(x) for f in [lambda y: 2 * square(y)]),
    "partial": lambda square: functools.partial(lambda f, x: f(x), square),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("make", "name"), SQUARES)
def test_a_derivative_by_hand_is_never_passed_over(make, name, way):
    square = make(pytest.importorskip(name))
    # the function by itself is adapted, and its derivative is wrong
    text = r"ratio 3\.500" if way == "itself" else rf"gradcheck\(adapters\.{name}\(f\)"
    with pytest.raises(tgt.GradientError, match=text):
        tgt.gradcheck(WAYS[way](square), X)
    assert sys.getprofile() is None


def test_an_adapted_function_within_one_of_tensors_has_its_own_derivative():
    square = tgt.adapters.torch(torchs(pytest.importorskip("torch")))
    with pytest.raises(tgt.GradientError, match=r"ratio 3\.500"):
        tgt.gradcheck(lambda x: np.exp(square(x)), X)
