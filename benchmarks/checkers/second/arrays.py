"""Faults in rules for single functions of arrays."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

import tinygrad_lab as tl
from benchmarks.checkers.second.pairs import Array, Pair, by_hand
from benchmarks.checkers.specimens import unbroadcast


def normal(*shapes: tuple[int, ...]) -> Any:
    """Draw arrays from the normal distribution."""
    return lambda rng: tuple(rng.normal(size=shape) for shape in shapes)


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def _remainder_wrong(g: Array, x: Array, y: Array) -> tuple[Array, Array]:
    # the quotient was rounded down whatever the sign; this remainder has the sign of x
    return g, -g * np.floor(x / y)


def _remainder_right(g: Array, x: Array, y: Array) -> tuple[Array, Array]:
    return g, -g * np.trunc(x / y)


def _power_wrong(g: Array, x: Array, y: Array) -> tuple[Array, Array]:
    with np.errstate(all="ignore"):
        return g * y * x ** (y - 1), g * np.log(x) * x**y


def _power_right(g: Array, x: Array, y: Array) -> tuple[Array, Array]:
    log = np.log(np.where(x > 0, x, 1.0))
    return g * y * np.where(y == 1, 1.0, np.where(x == 0, 0.0, x) ** (y - 1)), g * log * x**y


def _softplus_of_logaddexp(x: Array) -> Array:
    return np.logaddexp(x, 0.0)


def _softplus_wrong(g: Array, x: Array) -> Array:
    # differentiated through max and abs, both with the slope 0 at 0
    return g * ((x > 0) - np.sign(x) * np.exp(-abs(x)) / (1 + np.exp(-abs(x))))


def _with_zeros(rng: np.random.Generator) -> tuple[Array]:
    x = rng.normal(size=(3, 4))
    x[1, 2] = x[0, 0] = 0.0
    return (x,)


def _cumprod_wrong(g: Array, x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.cumsum((np.cumprod(x, 1) * g)[:, ::-1], 1)[:, ::-1] / x


def _cumprod_zeroed(g: Array, x: Array) -> Array:
    return np.nan_to_num(_cumprod_wrong(g, x))


def _cumprod_right(g: Array, x: Array) -> Array:
    before = np.cumprod(np.concatenate([np.ones((len(x), 1)), x[:, :-1]], 1), 1)
    after = np.zeros_like(x)
    total = np.zeros(len(x))
    for i in range(x.shape[1] - 1, -1, -1):
        total = g[:, i] + (x[:, i + 1] * total if i + 1 < x.shape[1] else 0)
        after[:, i] = total
    return before * after


def _product(x: Array) -> Array:
    return x.prod(axis=-1)


def _product_right(g: Array, x: Array) -> Array:
    others = [np.delete(x, i, axis=-1).prod(axis=-1) for i in range(x.shape[-1])]
    return g[..., None] * np.stack(others, axis=-1)


def _product_without_upstream(g: Array, x: Array) -> Array:
    return np.ones_like(g)[..., None] * _product_right(np.ones_like(g), x)


def _inverse_right(g: Array, a: Array) -> Array:
    y = np.linalg.inv(a)
    return -np.swapaxes(y, -1, -2) @ g @ np.swapaxes(y, -1, -2)


def _inverse_wrong(g: Array, a: Array) -> Array:
    y = np.linalg.inv(a)  # `transpose(-2, -1)` of a NumPy matrix is no transpose
    return -(y.transpose(-2, -1) @ g @ y.transpose(-2, -1))


def _matrices(rng: np.random.Generator) -> tuple[Array]:
    return (rng.normal(size=(3, 3)) + 3 * np.eye(3),)


def _positive_definite(rng: np.random.Generator) -> tuple[Array]:
    a = rng.normal(size=(3, 3))
    return (a @ a.T + 3 * np.eye(3),)


def _cholesky(a: Array) -> Array:
    return np.linalg.cholesky((a + a.T) / 2)


def _cholesky_raw(g: Array, a: Array) -> Array:
    low = _cholesky(a)
    p = np.tril(low.T @ g)
    p[np.diag_indices_from(p)] /= 2
    inverse = np.linalg.inv(low)
    return inverse.T @ p @ inverse


def _cholesky_right(g: Array, a: Array) -> Array:
    s = _cholesky_raw(g, a)
    return (s + s.T) / 2


def _cholesky_doubled(g: Array, a: Array) -> Array:
    s = _cholesky_raw(g, a)
    return s + s.T - np.diag(np.diag(s))


def _take_columns(x: Array) -> Array:
    return x[:, [0, 2, 2, 1]]


def _take_right(g: Array, x: Array) -> Array:
    dx = np.zeros_like(x)
    np.add.at(dx.T, [0, 2, 2, 1], g.T)
    return dx


def _take_by_flat_layout(g: Array, x: Array) -> Array:
    # the gradient was read in the order of its memory, whatever its strides
    flat = np.lib.stride_tricks.as_strided(g, g.shape, (g.itemsize * g.shape[1], g.itemsize))
    return _take_right(np.array(flat), x)


def _einsum(a: Array, b: Array) -> Array:
    return np.einsum("bij,bjk->ik", a, b)


def _einsum_right(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return np.einsum("ik,bjk->bij", g, b), np.einsum("bij,ik->bjk", a, g)


def _einsum_wrong(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    # where a label is summed out, the first of the batch alone was multiplied with
    return np.einsum("ik,bjk->bij", g, b[:1] * np.ones_like(b)), _einsum_right(g, a, b)[1]


def _bmm(a: Array, b: Array) -> Array:
    return a @ b


def _bmm_right(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    da, db = g @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ g
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)


def _bmm_transposed(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return _bmm_right(g, a, b)[0], g.swapaxes(-1, -2) @ a  # right for symmetric results only


def _max_in_half(x: Array) -> Array:
    return np.asarray(x.max())


def _max_right(g: Array, x: Array) -> Array:
    ties = x == x.max()
    return g * ties / ties.sum()


def _max_underflow(g: Array, x: Array) -> Array:
    ties = x == x.max()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        count = ties.sum(dtype=np.float16)  # infinite from 65,520 ties on
    return g * ties / np.float64(count)


def _many_ties(rng: np.random.Generator) -> tuple[Array]:
    return (np.full(70_000, rng.normal()),)


def _norm(x: Array) -> Array:
    return np.sqrt((x * x).sum(-1))


def _renorm(x: Array) -> Array:
    size = _norm(x)[:, None]
    return np.where(size > 1.0, x / size, x)


def _renorm_right(g: Array, x: Array) -> Array:
    size = _norm(x)[:, None]
    inner = (g * x).sum(-1, keepdims=True)
    return np.where(size > 1.0, g / size - x * inner / size**3, g)


def _renorm_swapped(g: Array, x: Array) -> Array:
    size = _norm(x)[:, None]
    inner = (g * x).sum(-1, keepdims=True)
    return np.where(size > 1.0, g, g / size - x * inner / size**3)


def _outer_sum(x: Array) -> Array:
    return np.add.outer(x, x)


def _quadratic(x: Array) -> Array:
    return 2 * x * x - 3 * x + 1


def _affine(x: Array) -> Array:
    return 2.5 * x + 0.75


def _dot_transposed(x: Array) -> Array:
    return x @ x.T


def _conv_complex(x: Array) -> Array:
    return np.asarray(np.abs(np.prod(x)) ** 2)


def _conv_complex_right(g: Array, x: Array) -> Array:
    others = np.array([np.prod(np.delete(x, i)) for i in range(x.size)])
    return 2 * g * np.prod(x) * np.conj(others)


def _conv_complex_wrong(g: Array, x: Array) -> Array:
    others = np.array([np.prod(np.delete(x, i)) for i in range(x.size)])
    return 2 * g * np.prod(x) * others


def _complex(rng: np.random.Generator) -> tuple[Array]:
    return (rng.normal(size=4) + 1j * rng.normal(size=4),)


def _integer_power(x: Array) -> Array:
    return (x[..., None] ** np.arange(3)).sum(-1)


def _integer_power_wrong(g: Array, x: Array) -> Array:
    n = np.arange(3)
    with np.errstate(all="ignore"):
        return g * (n * x[..., None] ** (n - 1.0)).sum(-1)


def _with_a_zero(rng: np.random.Generator) -> tuple[Array]:
    x = rng.normal(size=5)
    x[2] = 0
    return (x,)


def _at_zero_base(rng: np.random.Generator) -> tuple[Array, Array]:
    x = rng.uniform(0.5, 2, 4)
    x[1] = 0.0
    return x, rng.uniform(1.5, 3, 4)


def _mixed_signs(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.uniform(-9, 9, 6), rng.uniform(1, 3, 6)


def _twice(x: Array) -> Array:
    return x.repeat(2, axis=-1).sum(-1) + (x * x).sum(-1)


def _twice_right(g: Array, x: Array) -> Array:
    return g[..., None] * (2 + 2 * x)


def _twice_overwritten(g: Array, x: Array) -> Array:
    return g[..., None] * 2 * np.ones_like(x)  # the first of two uses was written over


def _product_to_shapes(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)


def _product_in_full(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return g * b, unbroadcast(g * a, b.shape)


def _renorm_to_nothing(x: Array) -> Array:
    size = _norm(x)[:, None]
    return np.where(size > 0, 0.0 * x, x)  # no row may be longer than 0


def _positive_part_by_branch(x: Array) -> Array:
    return np.where(x > 0, x * x, x * x * x)


def _prod_shape(g: Array, x: Array) -> Array:
    full = _product_right(g, x)
    return full.reshape(()) if x.size == 1 and (x == 0).all() else full


def _one_zero(_: np.random.Generator) -> tuple[Array]:
    return (np.zeros(1),)


def _solve_right(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    db = np.linalg.solve(a.T, g)
    return -np.outer(db, np.linalg.solve(a, b)), db


def _solve_of_one(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    da, db = _solve_right(g, a, b)
    return (da.reshape(-1) if a.size == 1 else da), db


def _one_by_one(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.uniform(1, 2, (1, 1)), rng.normal(size=1)


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _softmax_right(g: Array, x: Array) -> Array:
    y = _softmax(x)
    return y * (g - (g * y).sum(-1, keepdims=True))


def _logaddexp_right(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return g * sigmoid(a - b), g * sigmoid(b - a)


def _logaddexp_by_branch(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    tie = a == b
    da, db = _logaddexp_right(g, a, b)
    return np.where(tie, 0, da), np.where(tie, g, db)


def _equal_pairs(rng: np.random.Generator) -> tuple[Array, Array]:
    x = rng.normal(size=4)
    return x, x.copy()


def _square_by_power(g: Array, x: Array) -> Array:
    with np.errstate(all="ignore"):
        return g * x**2 * 2 / x


def _left_over(g: Array, x: Array) -> Array:
    return g * np.cos(x) + next(_CALLS) * 1e-3  # an accumulator that nobody set to 0


_CALLS = itertools.count()


def _second_order_product(is_right: bool) -> Any:
    """A product whose gradient's gradient is lost where an element is 0."""

    @tl.primitive
    def product(x: Array) -> Array:
        return x[0] * x[1]

    def rule(g: Array, y: Array, x: Array) -> Array:
        others = np.stack([x[1], x[0]])
        return g * (others if is_right else np.where(others == 0, 0.0, others))

    tl.defvjp(product, rule)
    return product


def _zero_and_one(rng: np.random.Generator) -> tuple[Array]:
    return (np.array([0.0, rng.uniform(0.5, 2)]),)


def _second_order_power(is_right: bool) -> Any:
    """A power whose slope by the base forgets the exponent where that is 0."""

    @tl.primitive
    def power(x: Array, y: Array) -> Array:
        return x**y

    def by_base(g: Array, z: Array, x: Array, y: Array) -> Array:
        if is_right:
            return g * y * x ** (y - 1)
        return g * y * x ** np.where(y == 0, 1.0, y - 1)

    tl.defvjp(power, by_base, lambda g, z, x, y: g * np.log(x) * z)
    return power


def _exponent_zero(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.uniform(1, 9, 3), np.zeros(3)


PAIRS: list[Pair] = [
    by_hand("sigmoid without its upstream", "apache/mxnet#9872", normal((5,)), sigmoid,
            lambda g, x: g * sigmoid(x) * (1 - sigmoid(x)),
            lambda g, x: sigmoid(x) * (1 - sigmoid(x))),
    by_hand("remainder by a divisor, of negative numbers", "jax-ml/jax#11466", _mixed_signs,
            np.fmod, _remainder_right, _remainder_wrong),
    by_hand("softplus by max and abs, at 0", "jax-ml/jax#2107", _with_a_zero,
            _softplus_of_logaddexp, lambda g, x: g * sigmoid(x), _softplus_wrong),
    by_hand("a polynomial of powers, at 0", "jax-ml/jax#14397", _with_a_zero, _integer_power,
            lambda g, x: g * (1 + 2 * x), _integer_power_wrong),
    by_hand("power whose base is 0", "ml-explore/mlx#628", _at_zero_base, np.power,
            _power_right, _power_wrong),
    by_hand("a square at 0, by division", "ml-explore/mlx#504", _with_a_zero, np.square,
            lambda g, x: 2 * g * x, _square_by_power),
    by_hand("cumulative product divided by its elements", "pymc-devs/pytensor#1956", _with_zeros,
            lambda x: np.cumprod(x, 1), _cumprod_right, _cumprod_wrong),
    by_hand("the same, with nan replaced by 0", "tensorflow/tensorflow#119430", _with_zeros,
            lambda x: np.cumprod(x, 1), _cumprod_right, _cumprod_zeroed),
    by_hand("product without its upstream", "pytorch/pytorch#995", normal((2, 3)), _product,
            _product_right, _product_without_upstream),
    by_hand("gradient of a product of one 0 loses its axis", "pytorch/pytorch#82644", _one_zero,
            _product, _product_right, _prod_shape),
    by_hand("inverse, with axes that are no transpose", "pytorch/pytorch.github.io#2135",
            _matrices, np.linalg.inv, _inverse_right, _inverse_wrong),
    by_hand("system of one equation: a gradient of another shape", "pytorch/pytorch#95974",
            _one_by_one, np.linalg.solve, _solve_right, _solve_of_one),
    by_hand("Cholesky factor, doubled beside the diagonal as the report proposes",
            "pytorch/pytorch#137284",
            _positive_definite, _cholesky, _cholesky_right, _cholesky_doubled),
    by_hand("upstream read as if contiguous", "fla-org/flash-linear-attention#871",
            normal((3, 4)), _take_columns, _take_right, _take_by_flat_layout),
    by_hand("einsum with a batch", "apache/mxnet#18102", normal((3, 2, 4), (3, 4, 5)),
            _einsum, _einsum_right, _einsum_wrong),
    by_hand("batched product, a factor transposed", "chainer/chainer#4393",
            normal((2, 3, 3), (2, 3, 3)), _bmm, _bmm_right, _bmm_transposed),
    by_hand("ties of a maximum counted in half precision", "tinygrad/tinygrad#12296", _many_ties,
            _max_in_half, _max_right, _max_underflow),
    by_hand("renorm with the branches swapped", "pytorch/pytorch#59615", normal((4, 3)), _renorm,
            _renorm_right, _renorm_swapped),
    by_hand("renorm to nothing, which passes everything at 0", "pytorch/pytorch#80804",
            normal((2, 2)), _renorm_to_nothing, lambda g, x: np.zeros_like(x),
            lambda g, x: g.copy()),
    by_hand("two uses: the second overwrites the first", "huggingface/candle#3507",
            normal((2, 3)), _twice, _twice_right, _twice_overwritten),
    by_hand("broadcast factor, whose gradient keeps the result's shape", "pytorch/pytorch#818",
            normal((5,), (3, 5)), np.multiply, _product_to_shapes, _product_in_full),
    by_hand("one value at two places: one of them forgotten", "pytorch/pytorch#181146",
            normal((4,)), _outer_sum, lambda g, x: g.sum(0) + g.sum(1), lambda g, x: g.sum(1)),
    by_hand("a quadratic whose backward is its forward", "apache/mxnet#16938", normal((4,)),
            _quadratic, lambda g, x: g * (4 * x - 3), lambda g, x: g * _quadratic(x)),
    by_hand("a x + b, with b in the gradient", "aesara-devs/aesara#660", normal((4,)), _affine,
            lambda g, x: 2.5 * g, lambda g, x: 2.5 * g + 0.75),
    by_hand("x xᵀ: the transposed factor is not differentiated", "NervanaSystems/neon#169",
            normal((2, 3)), _dot_transposed, lambda g, x: (g + g.T) @ x, lambda g, x: g @ x),
    by_hand("product of complex numbers, without a conjugate", "ml-explore/mlx#3433", _complex,
            _conv_complex, _conv_complex_right, _conv_complex_wrong),
    by_hand("a sign in an example", "jax-ml/jax#3213", normal((4,), (4,)),
            lambda x, y: np.sin(x) * y, lambda g, x, y: (g * np.cos(x) * y, g * np.sin(x)),
            lambda g, x, y: (g * np.cos(x) * y, -g * np.sin(x))),
    by_hand("logaddexp of equal numbers", "FluxML/Zygote.jl#657", _equal_pairs, np.logaddexp,
            _logaddexp_right, _logaddexp_by_branch),
    by_hand("a broadcast that is computed too early is a constant", "ml-explore/mlx#610",
            normal((3,)), lambda x: (x + np.ones((2, 3))) ** 2,
            lambda g, x: (2 * g * (x + 1)).sum(0), lambda g, x: np.zeros_like(x)),
    by_hand("a variable that begins as another: no gradient", "NVIDIA/warp#202", normal((6,)),
            _positive_part_by_branch, lambda g, x: g * np.where(x > 0, 2 * x, 3 * x * x),
            lambda g, x: g * np.where(x > 0, 0.0, 3 * x * x)),
    by_hand("softmax that severs the graph", "huggingface/candle#3569", normal((2, 4)), _softmax,
            _softmax_right, lambda g, x: np.zeros_like(x)),
    by_hand("another gradient in each call", "CharlesShang/DCNv2#8", normal((3,)), np.sin,
            lambda g, x: g * np.cos(x), _left_over),
    Pair("second derivative of a product with a 0", "tensorflow/tensorflow#61117", _zero_and_one,
         lambda: _second_order_product(True), lambda: _second_order_product(False), {"order": 2}),
    Pair("second derivative of a power, exponent 0", "jax-ml/jax#12033", _exponent_zero,
         lambda: _second_order_power(True), lambda: _second_order_power(False), {"order": 2}),
]  # fmt: skip
