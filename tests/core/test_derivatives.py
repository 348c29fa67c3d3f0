"""Functions into their derivatives: grad, vjp, jvp, jacobian, hessian, hvp."""

from __future__ import annotations

import linecache
from contextvars import copy_context
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.interrupts import PACKAGE, interrupted_everywhere
from tinygrad_lab.core.graph import is_differentiating
from tinygrad_lab.core.modes import current_mode

RNG = np.random.default_rng(0)


def numerical_jacobian(f: Any, x: Any, h: float = 1e-5) -> Any:
    columns = [(f(x + h * e) - f(x - h * e)) / (2 * h) for e in unit_arrays(x)]
    return np.stack(columns, axis=-1).reshape((*np.shape(columns[0]), *np.shape(x)))


def unit_arrays(x: Any) -> Any:
    return np.eye(x.size).reshape((x.size, *x.shape))


# Every way a rule can meet a batch of upstreams: elementwise (taken at once), broadcast,
# reductions, shapings, indexing and contractions (one after the other).
FUNCTIONS = {
    "elementwise": lambda x: np.sin(x) * np.exp(x) / (2 + x * x),
    "broadcast": lambda x: x * x[:1] + x[..., :1] * np.array(2.0),
    "reductions": lambda x: np.sum(x * x, axis=0) + np.max(x) + np.std(x, axis=0),
    "shaping": lambda x: np.concatenate([x.T, x.T], axis=1).reshape(-1),
    "indexing": lambda x: x[[0, 0, 1]] * x[1],
    "matmul": lambda x: np.tanh(x @ x.T) @ x,
    "matrix and vector": lambda x: x @ np.tanh(x[0]) + np.cos(x[1]) @ x.T,
    "vectors": lambda x: x[0] @ x[1] + x[1] @ np.sin(x[0]),
    "einsum": lambda x: np.einsum("ij,ik->jk", x, np.cos(x)),
    "where": lambda x: np.where(x > 0, x**3, np.tanh(x)),
    "no axes": lambda x: x[0, 0] * x[1, 1],
    "network": tl.nn.MLP([3, 4, 2], rng=0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jacobian_in_one_pass_agrees_with_finite_differences(name: str):
    f = FUNCTIONS[name]
    x = RNG.normal(size=(2, 3))
    plain = (lambda a: f(tl.tensor(a)).detach().numpy()) if name == "network" else f
    jacobian = tl.jacobian(f)(x)
    np.testing.assert_allclose(jacobian, numerical_jacobian(plain, x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jvp_and_vjp_are_transposes(name: str):
    f = FUNCTIONS[name]
    x, direction = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
    y, change = tl.jvp(f, (x,), (direction,))
    cotangent = RNG.normal(size=y.shape)
    same, pullback = tl.vjp(f, x)
    (gradient,) = pullback(cotangent)
    np.testing.assert_array_equal(y, same)
    np.testing.assert_allclose(np.sum(change * cotangent), np.sum(gradient * direction))
    (again,) = pullback(2 * cotangent)
    np.testing.assert_allclose(again, 2 * gradient)


@pytest.mark.parametrize(
    ("f", "x", "change"),
    [
        (np.sqrt, np.array([0.0, 4.0]), [np.inf, 0.25]),
        (np.log, np.array([0.0, 2.0]), [np.inf, 0.5]),
        (lambda x: np.where(x > 0, np.sqrt(x), 0), np.array([0.0, 4.0]), [0.0, 0.25]),
        (lambda x: np.linalg.norm(x, axis=1), np.array([[0.0, 0.0], [3.0, 4.0]]), [0.0, 1.4]),
        (lambda x: np.linalg.norm(x) ** 2, np.zeros(2), 0.0),
        (lambda x: np.linalg.norm(x, "nuc"), np.diag([2.0, 3.0]), 2.0),
    ],
)
@np.errstate(divide="ignore")
def test_a_jvp_at_special_points_is_the_jacobians(f: Any, x: Any, change: Any):
    np.testing.assert_allclose(tl.jvp(f, (x,), (np.ones_like(x),))[1], change, atol=1e-12)
    rows = tl.jacobian(f)(x).reshape(np.size(change), -1)
    np.testing.assert_allclose(np.sum(rows, axis=1), np.ravel(change), atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_hvp_is_the_hessian_times_the_vector(name: str):
    x, v = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
    scalar = lambda a: np.sum(np.sin(FUNCTIONS[name](a)))
    (product,) = tl.hvp(scalar, (x,), (v,))
    hessian = tl.hessian(scalar)(x)
    np.testing.assert_allclose(product, np.tensordot(hessian, v, axes=2), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(hessian, np.transpose(hessian, (2, 3, 0, 1)), atol=1e-10)


def test_nested_to_any_depth():
    slopes = [np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin, np.cos]
    f = np.sin
    for expected in slopes:
        np.testing.assert_allclose(f(0.3), expected(0.3))
        f = tl.grad(f)


def test_inner_derivatives_do_not_see_outer_variables():
    # d/dx x * (d/dy (x + y)) = 1, and not 2: the perturbations are kept apart.
    assert tl.grad(lambda x: x * tl.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    # d/dx of d/dy x y^2 = 2 y: the inner derivative depends on the outer variable.
    assert tl.grad(lambda x: tl.grad(lambda y: x * y * y)(2.0))(3.0) == 4.0


class Pair(NamedTuple):
    """A container with names."""

    left: Any
    right: Any


@given(st.permutations(["a", "b", "c"]))
def test_gradients_have_the_structure_of_the_argument(names: list[str]):
    argument = {
        names[0]: [np.array([1.0, 2.0]), (3.0, np.ones((2, 1)))],
        names[1]: Pair(0.5, np.array(2.0)),
        names[2]: np.float32(1.5),
    }

    def f(p: Any) -> Any:
        first, (second, third) = p[names[0]]
        return np.sum(first**2) * second + np.sum(third) * p[names[1]].left + p[names[2]] * 3

    gradients = tl.grad(f)(argument)
    assert list(gradients) == names
    np.testing.assert_allclose(gradients[names[0]][0], [6.0, 12.0])
    np.testing.assert_allclose(gradients[names[0]][1][0], 5.0)
    assert isinstance(gradients[names[0]][1], tuple)
    assert isinstance(gradients[names[1]], Pair)
    np.testing.assert_array_equal(gradients[names[1]].right, 0.0)
    assert gradients[names[2]].dtype == np.float32


def test_a_module_is_an_argument_like_any_other():
    model = tl.nn.MLP([2, 3, 1], rng=0)
    x = RNG.normal(size=(5, 2))
    loss = lambda m, x: tl.mse_loss(m(x), np.zeros((5, 1)))
    gradients = tl.grad(loss)(model, x)
    loss(model, x).backward()
    expected = {name: p.grad for name, p in model.named_parameters()}
    assert gradients.keys() == expected.keys()
    for name, g in expected.items():
        np.testing.assert_array_equal(gradients[name], g)


def test_no_grad_attribute_is_touched():
    model = tl.nn.MLP([2, 3, 1], rng=0)
    x = tl.tensor(np.ones((4, 2)), requires_grad=True)
    total = lambda m, x: m(x).sum()
    tl.grad(total)(model, x)
    tl.jvp(model, (x,), (np.ones((4, 2)),))
    tl.jacobian(model)(x)
    tl.hvp(lambda x: total(model, x), (x,), (np.ones((4, 2)),))
    assert all(p.grad is None for p in [*model.parameters(), x])


def test_several_arguments_and_aux():
    f = lambda a, b: (np.sum(a * b), {"shape": a.shape})
    (value, aux), (ga, gb) = tl.value_and_grad(f, argnums=(0, -1), has_aux=True)(
        np.array([1.0, 2.0]), np.array([3.0, 4.0])
    )
    assert (value, aux) == (11.0, {"shape": (2,)})
    np.testing.assert_array_equal(ga, [3.0, 4.0])
    np.testing.assert_array_equal(gb, [1.0, 2.0])
    y, pullback, aux = tl.vjp(f, np.ones(2), np.ones(2), has_aux=True)
    assert (y, aux) == (2.0, {"shape": (2,)})
    np.testing.assert_array_equal(pullback(1.0)[1], np.ones(2))


def test_keyword_arguments_are_handed_on():
    f = lambda x, *, power: np.sum(x**power)
    assert tl.grad(f)(np.array([2.0]), power=3).tolist() == [12.0]
    assert tl.hessian(f)(np.array([2.0]), power=3).tolist() == [[12.0]]


def test_a_jvp_along_a_change_of_a_modules_parameters():
    model = tl.nn.Linear(2, 1, rng=0)
    x = RNG.normal(size=(4, 2))
    change = {"weight": np.array([[1.0, 2.0]]), "bias": np.array([3.0])}
    _, tangent = tl.jvp(lambda m, x: m(x), (model, x), (change, np.zeros_like(x)))
    np.testing.assert_allclose(tangent, x @ change["weight"].T + 3.0)


def test_outputs_in_containers():
    f = lambda x: {"square": x * x, "pair": (np.sin(x), 7.0)}
    y, change = tl.jvp(f, (np.array(2.0),), (np.array(1.0),))
    assert y["pair"][1] == 7.0
    np.testing.assert_allclose([change["square"], change["pair"][0]], [4.0, np.cos(2.0)])
    assert change["pair"][1] == 0.0
    _, pullback = tl.vjp(f, np.array(2.0))
    (g,) = pullback({"square": 1.0, "pair": (10.0, 0.0)})
    np.testing.assert_allclose(g, 4.0 + 10 * np.cos(2.0))


def test_a_constant_function_has_zero_derivatives():
    np.testing.assert_array_equal(tl.grad(lambda x: 3.0)(np.ones(2)), np.zeros(2))
    np.testing.assert_array_equal(tl.jacobian(lambda x: np.ones(3))(np.ones(2)), np.zeros((3, 2)))
    np.testing.assert_array_equal(tl.hessian(lambda x: np.sum(x))(np.ones(2)), np.zeros((2, 2)))


def test_inside_no_grad_derivatives_are_still_derivatives():
    with tl.no_grad():
        assert tl.grad(lambda x: x**2)(3.0) == 6.0


def test_float32_stays_float32():
    x = np.ones(3, dtype=np.float32)
    assert tl.grad(lambda x: np.sum(x**2))(x).dtype == np.float32
    assert tl.jacobian(np.sin)(x).dtype == np.float32
    assert tl.jvp(np.sin, (x,), (x,))[1].dtype == np.float32
    assert tl.hvp(lambda x: np.sum(x**3), (x,), (x,))[0].dtype == np.float32


def test_plain_arrays_in_are_plain_arrays_out_inside_another_derivative():
    model = tl.nn.Linear(2, 1, rng=0)

    def outer(a: Any) -> Any:
        derivatives = [
            tl.grad(lambda x: np.sum(x * x))(np.zeros(2)),
            tl.value_and_grad(lambda x: model(x).sum())(np.zeros(2)),
            tl.jacobian(np.sin)(np.zeros(2)),
            tl.hessian(lambda x: model(x * x).sum())(np.zeros(2)),
            tl.jvp(np.sin, (np.zeros(2),), (np.ones(2),)),
            tl.vjp(np.sin, np.zeros(2))[1](np.ones(2)),
            tl.no_grad()(tl.grad(lambda x: np.sum(a * x)))(np.zeros(2)),
            tl.no_grad()(tl.grad(np.sum))(a),
        ]
        for result in derivatives:
            for array in result if isinstance(result, tuple) else (result,):
                assert type(array) is np.ndarray
        return np.sum(a * a)

    np.testing.assert_array_equal(tl.grad(outer)(np.ones(2)), [2.0, 2.0])


@pytest.mark.oracle
def test_scipy_minimizes_inside_a_derivative_and_a_primitive():
    """The minimum of |x - a|^2 + |x|^4, whose derivative by a is known in its optimum."""
    optimize = pytest.importorskip("scipy.optimize")
    slope = lambda x, a: 2 * (x - a) + 4 * np.sum(x * x) * x

    @tl.primitive
    def argmin(a: Any) -> Any:
        f = lambda x: np.sum((x - a) ** 2) + np.sum(x * x) ** 2
        return optimize.minimize(f, np.zeros(2), jac=tl.grad(f), tol=1e-12).x

    def rule(g: Any, x: Any, a: Any) -> Any:  # 0 = slope(x(a), a)
        curvature = tl.jacobian(slope)(x, a)
        return -tl.jacobian(slope, 1)(x, a).T @ np.linalg.solve(curvature.T, g)

    tl.defvjp(argmin, rule)
    a, h = np.array([0.7, -0.4]), 1e-3
    differences = [(argmin(a + h * e) - argmin(a - h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(tl.jacobian(argmin)(a), np.transpose(differences), atol=1e-5)

    def outer(a: Any) -> Any:
        f = tl.value_and_grad(lambda x: np.sum((x - 1) ** 2))
        center = optimize.minimize(f, np.zeros(2), jac=True).x
        return np.sum(a * center + a**2)

    np.testing.assert_allclose(tl.grad(outer)(a), 1 + 2 * a, atol=1e-6)
    size = lambda a: np.sum(argmin(a) ** 2)
    slopes = [(tl.grad(size)(a + h * e) - tl.grad(size)(a - h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(tl.hessian(size)(a), slopes, atol=1e-5)


def test_history_is_kept_where_an_argument_or_a_closure_has_one():
    a = tl.tensor(2.0, requires_grad=True)
    slope = tl.grad(lambda x: x**3)(a)
    slope.backward()
    assert a.grad == 12.0
    # By closure, once and twice, and by the parameters of a module.
    assert tl.grad(lambda a: tl.grad(lambda x: a * a * x * x)(3.0))(2.0) == 24.0
    twice = lambda a: tl.grad(lambda b: tl.grad(lambda x: a * b * b * x)(1.0))(3.0)
    assert tl.grad(twice)(2.0) == 6.0
    model = tl.nn.Linear(1, 1, bias=False, rng=0)
    square = lambda m: tl.grad(lambda x: m(x).sum() ** 2)(np.ones(1)).sum()
    (by_weight,) = tl.grad(square)(model).values()
    np.testing.assert_allclose(by_weight, 4 * model.weight.data)


def test_backward_inside_a_derivative_is_differentiated():
    """d/da of a * d/dw (a w^2) = 4 a w, whichever way the inner derivative is taken."""

    def by_backward(a: Any) -> Any:
        w = tl.tensor(3.0, requires_grad=True)
        (w * w * a).backward()
        return w.grad * a

    def by_upstream(a: Any) -> Any:
        w = tl.tensor(3.0, requires_grad=True)
        (w * w).backward(a)
        return w.grad * a

    def by_gradients(a: Any) -> Any:
        w = tl.tensor(3.0, requires_grad=True)
        return tl.gradients(w * w * a, w) * a

    def by_training(a: Any) -> Any:
        w = tl.nn.Parameter(3.0)
        (w * w * a).backward()
        tl.optim.SGD([w], lr=0.1).step()
        return w * a

    for f in (by_backward, by_upstream, by_gradients):
        assert tl.grad(f)(2.0) == 24.0
    with pytest.raises(TypeError, match="write the update out"):
        tl.grad(by_training)(2.0)

    def elsewhere(a: Any) -> Any:
        w = tl.nn.Parameter(3.0)
        (w * w).backward()
        tl.optim.SGD([w], lr=0.5).step()
        assert type(w.grad) is np.ndarray
        return a * w.item()

    assert tl.grad(elsewhere)(2.0) == 0.0


def test_a_rule_may_differentiate_and_is_differentiated():
    """An implicit function: y(a) with y * y = a, its rule written with derivatives of that."""
    root = tl.primitive(lambda x: np.sqrt(x))
    by_a, by_y = lambda y, a: tl.grad(lambda b: y * y - b)(a), lambda y: tl.grad(np.square)(y)
    tl.defvjp(root, lambda g, y, a: -g * by_a(y, a) / by_y(y))
    closing = tl.primitive(lambda x: np.sqrt(x))
    tl.defvjp(closing, lambda g, y, a: tl.grad(lambda b: g * b / (2 * y))(1.0))
    for f in (root, closing):
        np.testing.assert_allclose(tl.grad(f)(4.0), 1 / 4)
        np.testing.assert_allclose(tl.grad(tl.grad(f))(4.0), -1 / 32)
        np.testing.assert_allclose(tl.grad(tl.grad(tl.grad(f)))(4.0), 3 / 256)
        x = tl.tensor(4.0, requires_grad=True)
        f(x).backward(create_graph=True)
        slope, x.grad = x.grad, None
        slope.backward()
        np.testing.assert_allclose(x.grad, -1 / 32)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_complex_results_have_complex_jacobians(shape: tuple[int, ...]):
    x, z = RNG.normal(size=shape), RNG.normal(size=shape) + 1j * RNG.normal(size=shape)
    unit = np.eye(x.size).reshape(shape * 2)
    np.testing.assert_array_equal(tl.jacobian(lambda x: 1j * x)(x), 1j * unit)
    mixed = lambda x: np.exp(1j * x) * np.sum(x)
    np.testing.assert_allclose(
        tl.jacobian(mixed)(x), numerical_jacobian(mixed, x), rtol=1e-7, atol=1e-9
    )
    holomorphic = lambda z: np.sin(z) * np.sum(z * z)
    np.testing.assert_allclose(
        tl.jacobian(holomorphic)(z), numerical_jacobian(holomorphic, z), rtol=1e-7, atol=1e-8
    )
    np.testing.assert_allclose(tl.jacobian(lambda z: np.abs(z) ** 2)(z), 2 * z * unit)
    constant = tl.jacobian(lambda x: 1j * np.ones(2))(x)
    assert (constant.shape, constant.dtype) == ((2, *shape), complex)
    assert tl.jacobian(lambda x: np.exp(1j * x))(x.astype("f4")).dtype == np.complex64
    by_x, by_z = tl.jacobian(lambda x, z: x * z, (0, 1))(x, z)
    np.testing.assert_allclose(by_x, z * unit)
    np.testing.assert_allclose(by_z, x * unit)


@pytest.mark.parametrize("f", [np.conj, np.real, np.abs, lambda z: z * np.conj(z)])
def test_what_is_not_holomorphic_has_no_complex_derivative(f: Any):
    z, t = np.array([1 + 2j, -0.5 + 0.1j]), np.array([0.3 + 1j, 2j])
    as_complex = lambda z: f(z) * (1 + 0j)
    with pytest.raises(ValueError, match=r"not holomorphic|no holomorphic"):
        tl.jacobian(as_complex)(z)
    h = 1e-6
    _, change = tl.jvp(as_complex, (z,), (t,))
    np.testing.assert_allclose(change, (f(z + h * t) - f(z - h * t)) / (2 * h), rtol=1e-8)


def test_a_complex_result_has_no_gradient_but_with_an_upstream():
    f = lambda x: x * (1 + 0.2j)
    x = tl.tensor(1.0, requires_grad=True)
    for call in (
        lambda: tl.grad(f)(1.0),
        lambda: tl.value_and_grad(f)(1.0),
        lambda: tl.hessian(f)(1.0),
        lambda: tl.hvp(f, (1.0,), (1.0,)),
        lambda: tl.grad(lambda x: 1j)(1.0),
        lambda: f(x).backward(),
        lambda: tl.gradients(f(x), x),
    ):
        with pytest.raises(TypeError, match="complex result") as error:
            call()
        assert "jacobian" in str(error.value)
    f(x).backward(np.array(2.0 + 1j))  # of the real part of conj(u) y
    np.testing.assert_allclose(x.grad, 2.2)
    with pytest.raises(TypeError, match="complex upstream"):
        (x * 2).backward(1j)
    with pytest.raises(TypeError, match="complex tangent"):
        tl.jvp(np.sin, (1.0,), (1j,))


def test_second_derivatives_by_complex_numbers():
    z, v = np.array([1 + 2j, 3.0 - 1j]), np.array([0.5j, 1 - 1j])
    f = lambda z: np.sum(np.real(z**3) * np.abs(z[0]))
    h = 1e-6
    slope = tl.grad(f)
    expected = (slope(z + h * v) - slope(z - h * v)) / (2 * h)
    np.testing.assert_allclose(tl.hvp(f, (z,), (v,))[0], expected, rtol=1e-8)
    with pytest.raises(ValueError, match="no holomorphic"):
        tl.hessian(f)(z)


def test_nothing_in_or_nothing_out():
    assert tl.jacobian(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    assert tl.jacobian(np.sin)(np.ones((0, 2))).shape == (0, 2, 0, 2)
    assert tl.jacobian(lambda x: 1j * x[:0])(np.ones(3)).shape == (0, 3)
    assert tl.jacobian(np.sum)(np.ones(0)).shape == (0,)
    assert tl.grad(np.sum)(np.ones((2, 0))).shape == (2, 0)
    assert tl.hessian(np.sum)(np.ones((2, 0))).shape == (2, 0, 2, 0)
    assert tl.jvp(lambda x: x[:0], (np.ones(3),), (np.ones(3),))[1].shape == (0,)
    assert tl.vjp(lambda x: x[:0], np.ones(3))[1](np.ones(0))[0].tolist() == [0.0, 0.0, 0.0]
    assert tl.hvp(np.sum, (np.ones(0),), (np.ones(0),))[0].shape == (0,)


def test_jacobians_and_hessians_of_containers():
    f = lambda p, q: ({"product": p["a"] * q, "count": 3}, (np.sum(q), 1j * p["a"]))
    jacobian, aux = tl.jacobian(lambda p, q: (f(p, q), "aux"), (0, 1), has_aux=True)(
        {"a": np.array([1.0, 2.0])}, np.array([3.0, 4.0])
    )
    assert aux == "aux"
    first, (total, last) = jacobian
    np.testing.assert_array_equal(first["product"][0]["a"], np.diag([3.0, 4.0]))
    np.testing.assert_array_equal(first["product"][1], np.diag([1.0, 2.0]))
    np.testing.assert_array_equal(first["count"][1], np.zeros(2))
    np.testing.assert_array_equal(total[1], np.ones(2))
    np.testing.assert_array_equal(last[0]["a"], 1j * np.eye(2))
    hessian = tl.hessian(lambda p: p["a"] ** 2 * p["b"])({"a": 2.0, "b": 3.0})
    assert hessian == {"a": {"a": 6.0, "b": 4.0}, "b": {"a": 4.0, "b": 0.0}}
    assert tl.hessian(lambda a, b: a**2 * b, (0, 1))(2.0, 3.0) == ((6.0, 4.0), (4.0, 0.0))


def test_what_comes_out_belongs_to_the_caller():
    x = np.array([0.5, 1.0])
    y, pullback = tl.vjp(np.exp, x)
    y *= 0
    x *= 0
    np.testing.assert_array_equal(pullback(np.ones(2))[0], np.exp([0.5, 1.0]))
    model = tl.nn.Linear(2, 1, rng=0)
    weight = model.weight.data.copy()
    for value in (tl.vjp(lambda m: m.weight.T, model)[0],
                  tl.jvp(lambda x: {"w": model.weight}, (x,), (x,))[0]["w"],
                  tl.value_and_grad(lambda x: model.bias)(x)[0]):  # fmt: skip
        value += 1
    np.testing.assert_array_equal(model.weight.data, weight)


def test_modules_in_a_list_are_called_as_they_are():
    first, second = tl.nn.Linear(2, 3, rng=0), tl.nn.Linear(3, 1, rng=1)
    x = RNG.normal(size=(4, 2))
    by_first, by_second = tl.grad(lambda models: models[1](models[0](x)).sum())([first, second])
    second(first(x)).sum().backward()
    np.testing.assert_array_equal(by_first["weight"], first.weight.grad)
    np.testing.assert_array_equal(by_second["bias"], second.bias.grad)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_leaves_no_derivative_at_work():
    nested = lambda: tl.grad(lambda a: tl.grad(lambda x: a * x * x)(3.0))(2.0)
    at_work = lambda: (is_differentiating(), current_mode())
    for within in ("core/graph.py", "tinygrad_lab/transforms"):
        for place, state in interrupted_everywhere(
            copy_context,
            lambda context: context.run(nested),
            lambda context: context.run(at_work),
            within=within,
            stride=3,
        ):
            file, _, line = place.partition(" ")[0].partition(":")
            text = linecache.getline(f"{PACKAGE}/core/{file}", int(line)).strip()
            # Python answers no signal at a yield, nor between it and the call that follows.
            if text not in ("yield", "_differentiated.set(before)"):
                assert state == (False, "record"), place


def test_debug_watches_inside_a_derivative():
    with np.errstate(divide="ignore"), pytest.raises(FloatingPointError, match="log gave -inf"):
        tl.debug()(tl.grad(np.log))(0.0)


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: tl.grad(lambda x: (x, x))(1.0), TypeError, "has_aux"),
        (lambda: tl.grad(np.multiply, argnums=(0, -2))(1.0, 2.0), ValueError, "twice"),
        (lambda: tl.grad(np.sin, argnums="x")(1.0), TypeError, "position"),
        (lambda: tl.grad(tl.tensor(1.0))(1.0), TypeError, r"tl.grad\(f\)\(x\)"),
        (lambda: tl.jacobian(lambda x: (x, None))(1.0), TypeError, r"output\[1\]"),
        (lambda: tl.grad(np.sin)(np.ones(2)), ValueError, "one number"),
        (lambda: tl.grad(np.sum)(np.array([1, 2])), TypeError, "argument 0"),
        (lambda: tl.grad(np.sum)({"w": [1.0, "x"]}), TypeError, r"\['w'\]\[1\]"),
        (lambda: tl.grad(np.sum, argnums=1)(1.0), ValueError, "argnums=1"),
        (lambda: tl.grad(lambda x: None)(1.0), TypeError, "must return"),
        (lambda: tl.grad(np.sum, has_aux=True)(1.0), TypeError, "aux"),
        (lambda: tl.jvp(np.sin, (1.0,), (1.0, 2.0)), ValueError, "structure"),
        (lambda: tl.jvp(np.sin, (np.ones(2),), (np.ones(3),)), ValueError, "shape"),
        (lambda: tl.hvp(np.sum, (np.ones(2),), ([1.0, 1.0],)), ValueError, "structure"),
        (lambda: tl.vjp(np.sin, np.ones(2))[1]([1.0, 1.0]), ValueError, "structure"),
        (lambda: tl.vjp(np.sin, np.ones(2))[1](np.ones(3)), ValueError, "shape"),
    ],
)
def test_refusals_say_what_was_wrong(call: Any, kind: Any, says: str):
    with pytest.raises(kind, match=says):
        call()


@pytest.mark.parametrize("transform", [tl.jvp, tl.hvp])
@pytest.mark.parametrize("alone", [2.0, np.ones(1), np.ones((2, 3)), {"x": np.ones(2)}])
def test_arguments_and_directions_come_in_tuples(transform: Any, alone: Any):
    for args, directions in [(alone, (alone,)), ((alone,), alone)]:
        with pytest.raises(TypeError, match=r"in a tuple.*\(f, \(x,\), \(v,\)\), not"):
            transform(lambda *x: np.sum(x[0]), args, directions)
