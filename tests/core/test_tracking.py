"""Promises 1 to 3: what is tracked, what is refused, and what is plain on purpose."""

from __future__ import annotations

import math
from math import sqrt
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.core.operations import OPERATIONS


def leaf(data: Any = (0.5, -1.0, 2.0), dtype: Any = float) -> tl.Tensor:
    return tl.tensor(data, dtype=dtype, requires_grad=True)


# -- 1. construction and dtype -----------------------------------------------------------------


def test_tensor_copies_and_the_class_wraps():
    array = np.ones(3)
    copied, wrapped = tl.tensor(array), tl.Tensor(array)
    array[0] = 7
    assert copied.data[0] == 1
    assert wrapped.data is array


@pytest.mark.parametrize("data", [[1, 2], np.arange(3), True, np.ones(2, dtype=bool)], ids=repr)
@pytest.mark.parametrize("make", [tl.tensor, tl.Tensor])
def test_integers_and_booleans_have_no_gradient(make: Any, data: Any):
    with pytest.raises(TypeError, match=r"cannot require a gradient.*dtype=float"):
        make(data, requires_grad=True)
    with pytest.raises(TypeError, match="cannot require a gradient"):
        make(data).requires_grad_()


def test_what_is_no_number_is_refused():
    with pytest.raises(TypeError, match="holds numbers"):
        tl.tensor(["a", "b"])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_the_dtype_goes_in_and_out(dtype: Any):
    x = leaf(dtype=dtype)
    y = (np.exp(x) * 2.0 - x / 3 + x**2).mean()
    y.backward()
    assert y.dtype == dtype
    assert x.grad.dtype == dtype


def test_a_float64_scalar_inside_a_rule_does_not_widen_the_gradient():
    @tl.primitive
    def scaled(x: Any) -> Any:
        return x * np.float32(np.sqrt(2))

    tl.defvjp(scaled, lambda g, y, x: g * np.sqrt(2))
    x = leaf(dtype=np.float32)
    scaled(x).sum().backward()
    assert x.grad.dtype == np.float32


def test_mixed_dtypes_give_each_operand_its_own():
    a, b = leaf(dtype=np.float32), leaf(dtype=np.float64)
    y = a * b
    assert y.dtype == np.float64
    y.sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


def test_data_is_always_an_array():
    x = leaf()
    for t in (tl.tensor(1.0), x.sum(), x[0], x @ x, tl.Tensor(np.float64(3.0)), x.sum() * 2):
        assert type(t.data) is np.ndarray
        assert t.shape == ()


def test_gradients_of_single_numbers_are_arrays_too():
    x = leaf(2.0)
    y = np.sin(x) * x
    y.retain_grad()
    y.backward()
    assert type(x.grad) is np.ndarray
    assert type(y.grad) is np.ndarray
    assert type(tl.gradients(x * x, x)) is np.ndarray


# -- 2. tracked everywhere, never detached in silence --------------------------------------------

ARRAY = np.array([1.0, 2.0, 4.0])

TRACKED: dict[str, tuple[Any, Any]] = {
    "np.sin(t)": (lambda t: np.sin(t), lambda x: np.cos(x)),
    "t.sin()": (lambda t: t.sin(), lambda x: np.cos(x)),
    "tl.sin(t)": (lambda t: tl.sin(t), lambda x: np.cos(x)),
    "array * t": (lambda t: ARRAY * t, lambda x: ARRAY),
    "t * array": (lambda t: t * ARRAY, lambda x: ARRAY),
    "array - t": (lambda t: ARRAY - t, lambda x: 0 * x - 1),
    "array @ t": (lambda t: ARRAY @ t, lambda x: ARRAY),
    "t @ array": (lambda t: t @ ARRAY, lambda x: ARRAY),
    "float64 * t": (lambda t: np.float64(3) * t, lambda x: 0 * x + 3),
    "2 / t": (lambda t: 2 / t, lambda x: -2 / x**2),
    "2 ** t": (lambda t: 2**t, lambda x: 2**x * np.log(2)),
    "t ** 3": (lambda t: t**3, lambda x: 3 * x**2),
    "7 % t": (lambda t: 7.3 % t, lambda x: -np.floor_divide(7.3, x)),
    "-t": (lambda t: -t, lambda x: 0 * x - 1),
    "abs(t)": (lambda t: abs(t), np.sign),
    "einsum": (lambda t: np.einsum("i,i->", t, ARRAY), lambda x: ARRAY),
    "np.add.reduce": (lambda t: np.add.reduce(t), lambda x: 0 * x + 1),
    "sum(list)": (lambda t: sum([t, t, t[0]]), lambda x: np.array([2.0 + 3, 2, 2])),
    "keyword": (lambda t: np.mean(a=t), lambda x: 0 * x + 1 / 3),
    "np.stack of a list": (lambda t: np.stack([t, 2 * t]), lambda x: 0 * x + 3),
    "iteration": (lambda t: np.stack(list(t)), lambda x: 0 * x + 1),
    "index by a tensor": (lambda t: t[tl.tensor([0, 0, 2])], lambda x: np.array([2.0, 0, 1])),
    "np.where": (lambda t: np.where(t > 0, t, 0), lambda x: 1.0 * (x > 0)),
    "array.clip": (lambda t: ARRAY.clip(t, 3.0), lambda x: 1.0 * (x > ARRAY) * (x <= 3)),
    "np.array(like=)": (lambda t: np.array([t, 3 * t], like=t), lambda x: 0 * x + 4),
    "np.array(like=) of numbers": (
        lambda t: np.array([[t[0], 1.0], [t[1], t[0]]], like=t),
        lambda x: np.array([2.0, 1, 0]),
    ),
    "concatenate with arrays": (lambda t: np.concatenate([ARRAY, t]), lambda x: 0 * x + 1),
}


@pytest.mark.parametrize("how", TRACKED)
def test_it_stays_tracked(how: str):
    f, slope = TRACKED[how]
    x = leaf()
    y = f(x)
    assert isinstance(y, tl.Tensor)
    y.sum().backward()
    np.testing.assert_allclose(x.grad, slope(x.data), rtol=1e-12)


METHODS: dict[str, tuple[Any, ...]] = {
    "sum": (0,), "mean": (1,), "prod": (), "max": (), "min": (), "var": (), "std": (1,),
    "cumsum": (0,), "cumprod": (1,), "trace": (1,), "diagonal": (), "clip": (0.5, 3.0),
    "reshape": (3, 2), "ravel": (), "flatten": (), "transpose": (1, 0), "swapaxes": (0, 1),
    "squeeze": (), "take": ([0, 0],), "dot": (np.ones((3, 2)),), "copy": (),
    "argmax": (), "argmin": (1,), "argsort": (), "round": (1,), "all": (), "any": (0,),
    "tolist": (), "astype": (np.float32,),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_those_of_arrays(name: str):
    data = np.array([[1.0, 4.0, 2.5], [0.25, -3.0, 5.0]])
    t, args = tl.tensor(data, requires_grad=True), METHODS[name]
    result, expected = getattr(t, name)(*args), getattr(data, name)(*args)
    values = result.data if isinstance(result, tl.Tensor) else result
    np.testing.assert_array_equal(values, expected)
    if isinstance(result, tl.Tensor):
        assert result.requires_grad


DETACHING = {
    "np.asarray(t)": lambda t: np.asarray(t),
    "np.array(t)": lambda t: np.array(t),
    "np.array([t, t])": lambda t: np.array([t, t]),
    "np.array([t[0], t[1]])": lambda t: np.array([t[0], t[1]]),
    "np.array(..., object)": lambda t: np.array([t, t], dtype=object),
    "np.asarray of nested lists": lambda t: np.asarray([[t[0]], [1.0]]),
    "array[:] = t": lambda t: np.zeros(3).__setitem__(slice(None), t),
    "array.dot(t)": lambda t: np.ones(3).dot(t),
    "np.full with a dtype": lambda t: np.full((2, 3), t, dtype=float),
    "np.full_like": lambda t: np.full_like(np.zeros((2, 3)), t),
    "tl.tensor(result)": lambda t: tl.tensor(t * 2),
    "sqrt(t) imported": lambda t: sqrt(t[0]),
}


@pytest.mark.parametrize("how", DETACHING)
def test_what_would_detach_is_refused_with_a_remedy(how: str):
    with pytest.raises(TypeError, match=r"detach\(\)|t\.copy\(\)"):
        DETACHING[how](leaf())


def test_an_untracked_tensor_is_an_array_to_anyone():
    t = tl.tensor([1.0, 4.0])
    np.testing.assert_array_equal(np.asarray(t), [1.0, 4.0])
    np.testing.assert_array_equal(np.array([t, t]), [[1.0, 4.0]] * 2)
    assert math.sqrt(t[1]) == 2
    assert math.sqrt(leaf(4.0).detach()) == 2


def test_one_element_is_a_number_when_asked_for():
    t = leaf([2.5])
    assert (float(t), t.item(), int(t), f"{t:.2f}", bool(t)) == (2.5, 2.5, 2, "2.50", True)
    for refuse in (float, lambda t: t.item()):
        with pytest.raises(ValueError, match=r"shape \(3,\)"):
            refuse(leaf())


# -- 3. no rule, no derivative, no `out` ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "use"),
    {
        "np.intersect1d": lambda t: np.intersect1d(t, t),
        "np.histogramdd": lambda t: np.histogramdd(t),
        "np.add.at": lambda t: np.add.at(t, [0], 1.0),
        "np.add.accumulate": lambda t: np.add.accumulate(t),
        "np.unique": lambda t: np.unique(t),
    }.items(),
)
def test_a_function_without_a_rule_is_refused_at_the_forward_call(name: str, use: Any):
    with pytest.raises(TypeError, match=name) as refusal:
        use(leaf())
    assert "detach()" in str(refusal.value)


def test_a_primitive_without_a_rule_is_refused_the_same_way():
    @tl.primitive
    def doubled(x: Any) -> Any:
        return x * 2

    with pytest.raises(TypeError, match=r"doubled has no derivative rule.*tl\.defvjp\(doubled"):
        doubled(leaf())
    np.testing.assert_array_equal(np.asarray(doubled(tl.tensor([1.0]))), [2.0])
    with tl.no_grad():
        np.testing.assert_array_equal(np.asarray(doubled(leaf([1.0]))), [2.0])


def test_functions_without_a_rule_compute_on_untracked_tensors():
    np.testing.assert_array_equal(np.unique(tl.tensor([2.0, 1.0, 2.0])), [1.0, 2.0])
    with tl.no_grad():
        np.testing.assert_array_equal(np.unique(leaf()), [-1.0, 0.5, 2.0])


INTEGERS = (
    np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift,
    np.bitwise_count, np.gcd, np.lcm, np.packbits, np.unpackbits,
)  # fmt: skip
SQUARES = (np.diag_indices_from, np.tril_indices_from, np.triu_indices_from, np.linalg.matrix_rank)
CALLS: dict[Any, Any] = {
    np.searchsorted: lambda t: np.searchsorted(np.array([0.0, 1.0]), t),
    np.can_cast: lambda t: np.can_cast(np.float32, float),
    np.digitize: lambda t: np.digitize(t, [0.0, 1.0]),
    np.isin: lambda t: np.isin(t, [2.0]),
    np.argpartition: lambda t: np.argpartition(t, 1),
    np.einsum_path: lambda t: np.einsum_path("i,i", t, t),
    np.ravel_multi_index: lambda t: np.ravel_multi_index((np.array([1]), np.array([0])), (2, 2)),
    np.unravel_index: lambda t: np.unravel_index(3, (2, 2)),
}
TWO = {"isclose", "allclose", "array_equal", "array_equiv", "shares_memory", "may_share_memory",
       "in1d"}  # fmt: skip


CONSTANT = sorted(
    (op for op, known in OPERATIONS.items() if known.constant), key=lambda op: op.__name__
)


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")  # NumPy's, of fix and in1d
@pytest.mark.parametrize("op", CONSTANT, ids=lambda op: op.__name__)
def test_functions_without_a_derivative_give_what_numpy_gives(op: Any):
    t = leaf()
    if op in INTEGERS:
        t = tl.tensor(np.array([1, 2, 4], dtype=np.uint8))
    elif op in SQUARES:
        t = leaf([[1.0, 2.0], [3.0, 4.0]])
    two = getattr(op, "nin", 0) == 2 or op.__name__ in TWO
    call = CALLS.get(op, lambda t: op(t, 1 * t.astype(t.dtype)) if two else op(t))
    result, expected = call(t), call(t.data)
    assert not isinstance(result, tl.Tensor)
    assert type(result) is type(expected)
    if op is np.empty_like:
        assert result.shape == expected.shape
    elif op is np.einsum_path:
        assert result == expected
    else:
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("symbol", ["<", "<=", ">", ">=", "==", "!=", "//"])
def test_comparisons_and_floor_division_are_plain(symbol: str):
    t = leaf()
    for text in (f"t {symbol} 0.5", f"0.5 {symbol} t"):
        result = eval(text, {"t": t})
        assert type(result) is np.ndarray
        np.testing.assert_array_equal(result, eval(text, {"t": t.data}))


@pytest.mark.parametrize(
    "use",
    [
        lambda t, out: np.sin(t, out=out),
        lambda t, out: np.sum(t, axis=0, out=out),
        lambda t, out: np.add(t, 1.0, out),
        lambda t, out: np.concatenate([t], out=out),
        lambda t, out: np.add(out, 1.0, out=(t,)),
        lambda t, out: out.__iadd__(t),
    ],
)
def test_out_is_refused(use: Any):
    with pytest.raises(TypeError, match="out="):
        use(leaf(), np.zeros(3))


def test_where_of_a_ufunc_is_refused():
    with pytest.raises(TypeError, match=r"np\.where\(condition"):
        np.log(leaf(), where=np.array([True, False, True]))


def test_a_keyword_that_a_rule_cannot_honour_is_refused_at_the_forward_call():
    with pytest.raises(TypeError, match=r"np\.matmul of a tensor takes no axes="):
        np.matmul(leaf(), np.ones(3), axes=[(0,), (0,), ()])


def test_a_variance_around_a_mean_that_is_handed_over():
    x = leaf()
    np.var(x, mean=np.array([0.0])).sum().backward()
    np.testing.assert_allclose(x.grad, 2 * x.data / 3)


@pytest.mark.parametrize("order", ["A", "K"])
def test_orders_that_follow_the_memory_are_refused(order: str):
    x = tl.Tensor(np.asfortranarray(np.ones((2, 3))), requires_grad=True)
    for use in (lambda t: np.ravel(t, order=order), lambda t: np.reshape(t, 6, order=order)):
        with pytest.raises(ValueError, match="say order='C' or 'F'"):
            use(x)


def test_a_tensor_class_of_ones_own_is_refused():
    with pytest.raises(TypeError, match="a Tensor has no subclasses"):
        type("Weight", (tl.Tensor,), {})


def test_nonzero_positions_of_a_tensor():
    for t in (tl.tensor([1.0, 0.0, 2.0]), leaf([1.0, 0.0, 2.0])):
        (where,) = np.where(t)
        np.testing.assert_array_equal(where, [0, 2])


@pytest.mark.parametrize("reduce", [np.sum, np.max, np.prod])
def test_axis_0_of_a_0d_tensor_which_numpy_allows(reduce: Any):
    x = leaf(3.0)
    reduce(x, axis=0).backward()
    assert x.grad == 1


def test_storing_a_tracked_number_in_a_plain_array_is_refused():
    a = np.zeros(2)
    with pytest.raises((TypeError, ValueError)) as caught:
        a[0] = leaf(2.0)
    assert "tl.tensor(a)" in str(caught.value.__cause__ or caught.value)
    with pytest.raises(TypeError, match=r"np\.interp"):
        np.interp(np.array([-1.0]), np.array([0.0, 1.0]), np.array([0.0, 1.0]), left=leaf(2.0))
    assert round(leaf(2.6)) == 3
    assert round(leaf(2.64), 1) == 2.6


def test_the_place_of_an_insertion_may_be_a_tensor():
    t = leaf()
    y = np.insert(t, tl.tensor([1]), 5.0)
    np.testing.assert_array_equal(y.data, np.insert(t.data, [1], 5.0))
    assert y.requires_grad
