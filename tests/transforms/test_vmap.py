"""``tl.vmap``: what it means, how it nests, and what it refuses."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as fn
from tinygrad_lab.warnings import SlowBatchWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))
W = RNG.normal(size=3)


def wave(w: Any, x: Any) -> Any:
    """One number, of two vectors, with derivatives of every order."""
    return np.sin(w @ x) + (w * w * x).sum()


def looped(f: Any, *columns: Any) -> Any:
    return np.stack([f(*row) for row in zip(*columns, strict=True)])


# -- axes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_axes_of_arguments_and_results(axis: int):
    x = RNG.normal(size=(2, 3, 4))
    f = lambda x: x.T * 2
    expected = looped(f, np.moveaxis(x, axis, 0))
    np.testing.assert_array_equal(tl.vmap(f, axis)(x), expected)
    out = np.moveaxis(expected, 0, axis)
    np.testing.assert_array_equal(tl.vmap(f, axis, axis)(x), out)


def test_containers_of_axes():
    data = {"a": X, "b": [X.T, 3.0]}
    f = lambda d, k: {"sum": d["a"] + d["b"][0], "both": (d["b"][1] * k, d["a"].sum())}
    axes = ({"a": 0, "b": [1, None]}, None)
    result = tl.vmap(f, axes, {"sum": 1, "both": (None, 0)})(data, 2.0)
    np.testing.assert_array_equal(result["sum"], (2 * X).T)
    assert result["both"][0] == 6.0
    np.testing.assert_allclose(result["both"][1], X.sum(1))


def test_keyword_arguments_are_counted_by_their_first_axis():
    scaled = lambda x, factor: x * factor
    factors = np.arange(4.0)
    np.testing.assert_array_equal(tl.vmap(scaled)(X, factor=factors), X * factors[:, None])


def test_what_is_no_array_is_shared_and_none_stays_none():
    f = lambda x, how, none: (getattr(np, how)(x), none)
    result, none = tl.vmap(f)(X, "cos", None)
    np.testing.assert_array_equal(result, np.cos(X))
    assert none is None


def test_results_that_all_share_are_repeated():
    w = np.arange(2.0)
    same = tl.vmap(lambda x: w)(X)
    np.testing.assert_array_equal(same, np.tile(w, (4, 1)))
    same[0] = 5  # it is the caller's
    np.testing.assert_array_equal(w, [0, 1])
    np.testing.assert_array_equal(tl.vmap(lambda x: w, out_axes=None)(X), w)
    assert tl.vmap(lambda: 3, axis_size=2)().tolist() == [3, 3]


def test_results_belong_to_the_caller():
    x = X.copy()
    for f in (lambda x: x, lambda x: x[::-1], lambda x: x.reshape(3, 1)):
        result = tl.vmap(f)(x)
        assert result.flags.writeable
        assert not np.shares_memory(result, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128, np.int64, np.bool_])
@pytest.mark.parametrize("size", [0, 1, 3])
def test_dtypes_and_sizes(dtype: Any, size: int):
    x = np.ones((size, 2), dtype)
    functions = (np.sum, np.cumsum, np.sort, lambda x: x[0], lambda x: x * 2, np.linalg.norm,
                 lambda x: np.histogram(x, bins=2)[0])  # fmt: skip
    for f in functions:
        if dtype in (np.complex128, np.bool_) and f is functions[-1]:
            continue
        result, one = tl.vmap(f)(x), f(np.ones(2, dtype))
        assert result.shape == (size, *np.shape(one))
        assert result.dtype == np.asarray(one).dtype


# -- levels ----------------------------------------------------------------------------------------


def test_three_levels():
    a, b, c = np.arange(2.0), np.arange(3.0), np.arange(4.0)
    f = lambda a, b, c: np.where(a < b, a * c, b - c)
    mapped = tl.vmap(tl.vmap(tl.vmap(f, (None, None, 0)), (None, 0, None), 1), (0, None, None), 2)
    expected = [[[f(i, j, k) for i in a] for j in b] for k in c]
    np.testing.assert_array_equal(mapped(a, b, c), expected)


def test_inside_a_value_of_an_outer_one():
    """What the outer vmap counts is the same in each example of the inner one."""
    f = lambda x: tl.vmap(lambda y: x * y + x.sum())(np.arange(2.0))
    expected = [[x * y + x.sum() for y in np.arange(2.0)] for x in X]
    np.testing.assert_allclose(tl.vmap(f)(X), expected)


DERIVATIVES = {
    "grad": lambda f: tl.grad(f),
    "value_and_grad": lambda f: lambda w, x: tl.value_and_grad(f)(w, x)[1],
    "jacobian": lambda f: tl.jacobian(f),
    "vjp": lambda f: lambda w, x: tl.vjp(f, w, x)[1](np.ones(()))[0],
    "jvp": lambda f: lambda w, x: tl.jvp(f, (w, x), (w, 2 * x))[1],
    "hvp": lambda f: lambda w, x: tl.hvp(f, (w, x), (w, x))[0],
    "hessian": lambda f: tl.hessian(f),
    "checkpoint": lambda f: tl.grad(lambda w, x: tl.checkpoint(f, w, x)),
    "gradients": lambda f: lambda w, x: _by_hand(f, w, x),
}


def _by_hand(f: Any, w: Any, x: Any) -> Any:
    leaf = tl.tensor(w, requires_grad=True)
    f(leaf, x).backward()
    return leaf.grad


@pytest.mark.parametrize("name", DERIVATIVES)
@pytest.mark.parametrize("axes", [(None, 0), (0, 0), (0, None)])
def test_derivatives_inside(name: str, axes: Any):
    d = DERIVATIVES[name](wave)
    ws = X[::-1] if axes[0] == 0 else W
    xs = X if axes[1] == 0 else X[1]
    rows = [d(ws[i] if axes[0] == 0 else ws, xs[i] if axes[1] == 0 else xs) for i in range(4)]
    np.testing.assert_allclose(tl.vmap(d, axes)(ws, xs), rows, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in DERIVATIVES if n != "gradients"])
def test_derivatives_outside(name: str):
    together = lambda w, xs: (tl.vmap(wave, (None, 0))(w, xs) ** 2).sum()
    in_turn = lambda w, xs: sum(wave(w, x) ** 2 for x in xs)
    d = DERIVATIVES[name]
    np.testing.assert_allclose(d(together)(W, X), d(in_turn)(W, X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("inner", "outer"), list(itertools.product(("grad", "hvp", "jacobian"), repeat=2))
)
def test_a_vmap_between_two_derivatives(inner: str, outer: str):
    a, b = DERIVATIVES[inner], DERIVATIVES[outer]
    together = lambda w, xs: np.sin(tl.vmap(a(wave), (None, 0))(w, xs)).sum()
    in_turn = lambda w, xs: sum(np.sin(a(wave)(w, x)).sum() for x in xs)
    np.testing.assert_allclose(b(together)(W, X), b(in_turn)(W, X), rtol=1e-11, atol=1e-12)


def test_derivatives_between_two_vmaps():
    """Per-example Hessians of a sum over another batch."""
    f = lambda w, x: tl.vmap(wave, (None, 0))(w, np.stack([x, 2 * x])).sum()
    g = lambda w, x: wave(w, x) + wave(w, 2 * x)
    rows = looped(lambda x: tl.hessian(g)(W, x), X)
    np.testing.assert_allclose(tl.vmap(tl.hessian(f), (None, 0))(W, X), rows, rtol=1e-12)


def test_a_tensor_made_outside_has_its_gradient():
    w = tl.tensor(W, requires_grad=True)
    scale = tl.tensor(2.0, requires_grad=True)
    y = tl.vmap(lambda x: tl.vmap(lambda k: np.tanh(k * scale * (w @ x)))(np.arange(3.0)))(X)
    y.sum().backward()
    expected = lambda w, s: np.tanh(np.arange(3.0)[:, None] * s * (X @ w)).sum()
    np.testing.assert_allclose(w.grad, tl.grad(expected, 0)(W, 2.0))
    np.testing.assert_allclose(scale.grad, tl.grad(expected, 1)(W, 2.0))


def test_a_derivative_inside_by_what_a_derivative_outside_moves():
    """W is a constant of the inner derivative, and not of the outer one."""
    inner = lambda w: tl.vmap(tl.grad(lambda x: np.sin(w @ x)))(X)
    expected = lambda w: looped(lambda x: w * np.cos(w @ x), X)
    np.testing.assert_allclose(inner(W), expected(W))
    slopes = lambda w: np.stack([w * np.cos(w @ x) for x in X])
    np.testing.assert_allclose(tl.jacobian(inner)(W), tl.jacobian(slopes)(W), rtol=1e-12)


def test_the_rule_of_a_primitive_holds_over_a_batch():
    @tl.primitive
    def straight_through(x: Any, w: Any) -> Any:
        return np.round(x) * w

    tl.defvjp(straight_through, lambda g, y, x, w: g * w, lambda g, y, x, w: g * np.round(x))
    f = lambda x, w: tl.vmap(tl.vmap(straight_through, (0, None)), (0, None))(x, w).sum()
    by_x, by_w = tl.grad(f, (0, 1))(X.reshape(2, 2, 3), W)
    np.testing.assert_allclose(by_x, np.broadcast_to(W, (2, 2, 3)))
    np.testing.assert_allclose(by_w, np.round(X).sum(0))
    inside = tl.vmap(tl.grad(lambda x, w: straight_through(x, w).sum()), (0, None))(X, W)
    np.testing.assert_allclose(inside, np.broadcast_to(W, (4, 3)))


def test_a_primitive_and_a_rule_that_branch_are_called_in_turn():
    @tl.primitive
    def hinge(x: Any) -> Any:
        return x * 2 if x > 0 else x - x

    tl.defvjp(hinge, lambda g, y, x: g * 2 if x > 0 else g * 0)
    x = np.array([-1.0, 3.0])
    np.testing.assert_array_equal(tl.vmap(hinge)(x), [0, 6])
    np.testing.assert_array_equal(tl.vmap(tl.grad(hinge))(x), [0, 2])
    np.testing.assert_array_equal(tl.grad(lambda x: tl.vmap(hinge)(x).sum())(x), [0, 2])


def test_equal_eigenvalues_of_some_examples():
    """A function of the matrix, at matrices whose eigenvalues coincide or do not."""
    matrices = np.stack([np.eye(3), np.diag([1.0, 1.0, 2.0]), np.diag([1.0, 2.0, 4.0])])
    w = RNG.normal(size=(3, 3))

    def cube(x: Any) -> Any:
        values, vectors = np.linalg.eigh(x)
        return ((vectors * values**3) @ vectors.T * w).sum()

    for d, tolerance in ((tl.grad(cube), 1e-12), (tl.hessian(cube), 1e-8)):
        np.testing.assert_allclose(
            tl.vmap(d)(matrices), looped(d, matrices), rtol=tolerance, atol=tolerance
        )


def test_an_infinite_slope_and_a_hidden_nan_stay_in_their_example():
    f = lambda x: np.where(x > 0, np.sqrt(x), 0).sum()
    hidden = lambda x: np.where(np.isnan(x), 0, x * x).sum()
    x = np.array([[0.0, 4.0], [1.0, 0.0]])
    np.testing.assert_allclose(tl.vmap(tl.grad(f))(x), looped(tl.grad(f), x))
    y = np.array([[np.nan, 4.0], [1.0, 0.0]])
    np.testing.assert_allclose(tl.vmap(tl.grad(hidden))(y), looped(tl.grad(hidden), y))


# -- modules ---------------------------------------------------------------------------------------


def test_a_module_and_gradients_of_each_example():
    model = nn.MLP([3, 4, 2], rng=0)
    loss = lambda model, x, y: fn.cross_entropy(model(x), y)
    labels = np.array([0, 1, 1, 0])
    np.testing.assert_allclose(tl.vmap(model)(X).data, model(X).data, rtol=1e-14)
    each = tl.vmap(tl.grad(loss), (None, 0, 0))(model, X, labels)
    rows = [tl.grad(loss)(model, x, y) for x, y in zip(X, labels, strict=True)]
    for name, stack in each.items():
        np.testing.assert_allclose(stack, [row[name] for row in rows], rtol=1e-12)
    closed = lambda x, y: tl.functional_call(model, {}, x)[y]
    assert tl.vmap(closed)(X, labels).shape == (4,)


def test_an_ensemble():
    models = [nn.MLP([3, 4, 1], activation="tanh", rng=i) for i in range(3)]
    parameters, buffers = tl.stack_module_state(models)
    assert buffers == {}
    predict = lambda p, x: tl.functional_call(models[0], p, x)
    y = tl.vmap(predict, (0, None))(parameters, X)
    np.testing.assert_allclose(y, [m(X).data for m in models], rtol=1e-14)
    slopes = tl.vmap(tl.grad(lambda p: (predict(p, X) ** 2).sum()))(parameters)
    for i, model in enumerate(models):
        for name, slope in tl.grad(lambda m: (m(X) ** 2).sum())(model).items():
            np.testing.assert_allclose(slopes[name][i], slope, rtol=1e-12, atol=1e-14)


def test_functional_call_leaves_the_module_alone():
    class Counting(nn.Module):
        def __init__(self):
            self.weight, self.offsets = nn.Parameter([1.0, 2.0]), [np.zeros(2)]

        def forward(self, x: Any) -> Any:
            self.last = x
            return x * self.weight + self.offsets[0]

    model = Counting()
    state = ({"weight": np.ones(2)}, {"offsets.0": np.full(2, 5.0)})
    y = tl.functional_call(model, state, (X[:, :2],))
    np.testing.assert_array_equal(y, X[:, :2] + 5)
    assert not hasattr(model, "last")
    np.testing.assert_array_equal(model.weight.data, [1, 2])
    with pytest.raises(KeyError, match=r"Counting has no bias; it has weight, offsets\.0"):
        tl.functional_call(model, {"bias": 1.0}, X)
    with pytest.raises(ValueError, match="module 1 holds"):
        tl.stack_module_state([nn.Linear(2, 1, rng=0), nn.Linear(3, 1, rng=0)])
    with pytest.raises(ValueError, match="no modules"):
        tl.stack_module_state([])


# -- random numbers --------------------------------------------------------------------------------


def test_dropout_draws_as_a_loop_does():
    layer, alone = nn.Dropout(0.5, rng=3), nn.Dropout(0.5, rng=3)
    x = np.ones((5, 8))
    np.testing.assert_array_equal(tl.vmap(layer)(x), looped(alone, x))
    same = tl.vmap(layer, randomness="same")(x)
    assert (same == same[0]).all() and (same != 2).any()
    with pytest.raises(TypeError, match="randomness='error'"):
        tl.vmap(layer, randomness="error")(x)
    seeded = tl.vmap(lambda x: fn.dropout(x, 0.5, rng=0))(x)
    np.testing.assert_array_equal(seeded[4], fn.dropout(x[4], 0.5, rng=0))


def test_draws_from_a_generator_that_is_handed_over():
    noisy = lambda x, rng: x + rng.normal(x, 0.1, size=3)
    rng = np.random.default_rng
    drawn = tl.vmap(noisy)(X, rng(0))
    alone = rng(0)
    np.testing.assert_array_equal(drawn, looped(lambda x: noisy(x, alone), X))
    same = tl.vmap(noisy, randomness="same")(X, rng(0))
    np.testing.assert_array_equal(same, looped(lambda x: noisy(x, rng(0)), X))
    with pytest.raises(TypeError, match=r"Generator\.normal"):
        tl.vmap(noisy, randomness="error")(X, rng(0))
    nested = tl.vmap(lambda x, r: tl.vmap(lambda x: x + r.random())(x))(X, rng(0))
    assert np.unique((nested - X).round(9)).size == 12


# -- what it refuses -------------------------------------------------------------------------------

ONE_VALUE = {
    "np.where": lambda x: x if x.sum() > 0 else -x,
    r"float\(\)": lambda x: float(x[0]),
    r"int\(\)": lambda x: int(x[0]),
    r"complex\(\)": lambda x: complex(x[0]),
    r"item\(\)": lambda x: x[0].item(),
    r"tolist\(\)": lambda x: x.tolist(),
    "np.asarray": lambda x: np.asarray(x),
    "np.stack": lambda x: np.array([x, x]),
    "shape must be the same": lambda x: range(x[0].astype(int)),
    r"round\(\)": lambda x: round(x[0]),
    "`in`": lambda x: 1.0 in x,
    r"\+=, out=": lambda x: np.add(x, 1, out=np.zeros(3)),
    "for a new one": lambda x: _written(np.zeros(3), x),
    r"what vmap returns": lambda x: np.array2string(x),
    "np.copyto writes": lambda x: np.copyto(np.zeros(3), x),
    r"vmap\(tl.grad\(f\)\)": lambda x: x.backward(),
    "has no attribute 'nodes'": lambda x: x.nodes,
    "different shapes": lambda x: x[x > 0],
}


def _written(a: Any, x: Any) -> Any:
    a += x
    return a


@pytest.mark.parametrize("match", ONE_VALUE)
def test_what_has_no_one_value(match: str):
    with pytest.raises((TypeError, AttributeError), match=match):
        tl.vmap(ONE_VALUE[match])(X)


def test_what_all_share_has_one_value():
    f = lambda w, x: x * float(w) if w > 0 else x
    np.testing.assert_array_equal(tl.vmap(f, (None, 0))(2.0, X), 2 * X)
    g = tl.vmap(tl.grad(lambda w, x: (w * w * x).sum() if w.data > 0 else w), (None, 0))(2.0, X)
    np.testing.assert_allclose(g, 4 * X.sum(1))


def test_an_array_that_was_kept():
    stored: list[Any] = []
    tl.vmap(lambda x: stored.append(x) or x)(X)
    for use in (lambda x: x + 1, lambda x: -x, np.sin, lambda x: x[0], lambda x: x @ W):
        with pytest.raises(TypeError, match="used after that call"):
            use(stored[0])
    assert repr(stored[0]).startswith("<float64(3,), one of 4 inside vmap(")


CALLS: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "different numbers of examples: argument 0: 4, argument 1: 3": (0, np.add, (X, W)),
    "argument 1 has shape \\(\\), and no axis 0": (0, np.add, (X, 2.0)),
    "argument 0\\['a'\\] has shape \\(4, 3\\), and no axis 2": (2, lambda d: d, ({"a": X},)),
    "no argument has an axis of examples": (None, np.sin, (X,)),
    "in_axes \\(0, 0, 0\\) has another structure than the arguments, a tuple of 2": (
        (0, 0, 0), np.add, (X, X),
    ),
    "in_axes has a container, \\[0\\], for argument 0": (([0],), np.sin, (X,)),
    "has another structure than argument 0, a dict of 1": (({"b": 0},), lambda d: d, ({"a": X},)),
}  # fmt: skip


@pytest.mark.parametrize("match", CALLS)
def test_arguments_that_do_not_fit(match: str):
    axes, f, args = CALLS[match]
    with pytest.raises(ValueError, match=match):
        tl.vmap(f, axes)(*args)


def test_results_and_settings_that_do_not_fit():
    with pytest.raises(ValueError, match=r"out_axes=3 for result, whose shape .* \(4, 3\)"):
        tl.vmap(np.sin, out_axes=3)(X)
    with pytest.raises(ValueError, match="out_axes=None for result, which is another in each"):
        tl.vmap(np.sin, out_axes=None)(X)
    with pytest.raises(TypeError, match="must return arrays, not 'text' at result"):
        tl.vmap(lambda x: (x, "text"))(X)
    with pytest.raises(ValueError, match="randomness='other'"):
        tl.vmap(np.sin, randomness="other")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="vmap takes a function"):
        tl.vmap(np.sin(X))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="an axis is an int, or None"):
        tl.vmap(np.sin, "0")(X)
    with pytest.raises(ValueError, match="axis_size: 5"):
        tl.vmap(np.sin, axis_size=5)(X)
    with pytest.raises(TypeError, match="its arithmetic is its own"):
        tl.vmap(np.sin)(np.ma.masked_array(X))


def test_debug_says_what_is_called_in_turn():
    with tl.debug(), pytest.warns(SlowBatchWarning, match="np.bincount has no form .* 4 times"):
        tl.vmap(lambda x: np.bincount(x, minlength=5))(np.arange(12).reshape(4, 3) % 5)


def test_assignment_makes_another_value():
    x = X.copy()

    def f(x: Any, i: Any) -> Any:
        x[0] = 7
        x[i] += 1
        x[[]] = x[[]]  # no places
        return x

    i = np.array([0, 1, 2, 1])
    np.testing.assert_array_equal(tl.vmap(f)(x, i), looped(f, X.copy(), i))
    np.testing.assert_array_equal(x, X)


def test_assignment_to_a_tensor_made_inside_or_outside():
    def f(x: Any) -> Any:
        t = tl.tensor(np.zeros(3))
        t[0] = x[0]
        t += x
        return (t * t).sum()

    np.testing.assert_allclose(plain(tl.vmap(f)(X)), looped(lambda x: plain(f(x)), X))
    np.testing.assert_allclose(tl.vmap(tl.grad(f))(X), looped(tl.grad(f), X))
    outside = tl.tensor(np.zeros(3))

    def leak(x: Any) -> Any:
        outside[0] = x[0]
        return x

    tl.vmap(leak)(X)
    with pytest.raises(TypeError, match="used after that call"):
        outside + 1


def plain(y: Any) -> Any:
    return y.data if isinstance(y, tl.Tensor) else y


def test_methods_of_arrays_and_of_tensors():
    methods = {
        "sum": (1,), "mean": (), "T": None, "mT": None, "real": None, "imag": None, "ravel": (),
        "reshape": (-1,), "transpose": (1, 0), "astype": (np.float32,), "copy": (), "flatten": (),
        "clip": (0, 1), "take": ([1, 0],), "repeat": (2,), "cumsum": (0,), "argsort": (), "any": (),
        "swapaxes": (0, 1), "squeeze": (), "max": (), "std": (0,), "dot": (np.ones(3),),
        "diagonal": (), "round": (1,), "conj": (),
    }  # fmt: skip
    x = RNG.normal(size=(3, 2, 3))
    for name, args in methods.items():
        method = operator.attrgetter(name) if args is None else operator.methodcaller(name, *args)
        f = lambda x, method=method: method(x)
        np.testing.assert_array_equal(tl.vmap(f)(x), looped(f, x), err_msg=name)
    np.testing.assert_array_equal(tl.vmap(lambda x: x.relu())(x), np.maximum(x, 0))

    def sorted_in_place(x: Any) -> Any:
        y = x * 1
        y.sort(0)
        return y

    np.testing.assert_array_equal(tl.vmap(sorted_in_place)(x), np.sort(x, 1))
    assert tl.vmap(lambda x: x * len(x) + sum(row[0] for row in x))(x).shape == (3, 2, 3)
