"""Activations and losses where floats end, beside 50-digit arithmetic: values, slopes, curvatures.

And no warning that NumPy's own functions would not give.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import tinygrad_lab as tl
from tests.limits import differing, grid, is_that, limit
from tinygrad_lab.nn import functional as fn

Number = Any
Formula = Callable[..., Number]
dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])


def logistic(x: Number) -> Number:
    return 1 / (1 + mp.exp(-x))


def softplus(x: Number) -> Number:
    return max(x, 0) + mp.log1p(mp.exp(-abs(x)))


def gelu_argument(x: Number) -> Number:
    return 2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)


def gelu_slope(x: Number) -> Number:
    s, rest = logistic(gelu_argument(x)), logistic(-gelu_argument(x))
    return s + x * s * rest * 2 * mp.sqrt(2 / mp.pi) * (1 + 3 * mp.mpf("0.044715") * x * x)


def gelu_tanh(x: Any) -> Any:
    return fn.gelu(x, approximate="tanh")


def mish_curvature(x: Number) -> Number:
    t, s = mp.tanh(softplus(x)), logistic(x)
    bend = 1 - t * t
    return 2 * s * bend + x * bend * s * (1 - s - 2 * t * s)


def normal(x: Number) -> Number:
    return mp.erfc(-x / mp.sqrt(2)) / 2 if abs(x) < 1e3 else mp.mpf(x > 0)


def bell(x: Number) -> Number:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi) if abs(x) < 1e3 else mp.mpf(0)


def mish_slope(x: Number) -> Number:
    t = mp.tanh(softplus(x))
    return t + x * logistic(x) / mp.cosh(softplus(x)) ** 2


def clipped(x: Number, low: float, high: float) -> Number:
    return min(max(x, low), high)


HUNDREDTH, HALF = mp.mpf(0.01), mp.mpf(0.5)
SELU_SCALE, SELU_ALPHA = mp.mpf("1.0507009873554804934"), mp.mpf("1.6732632423543772848")
#: The value and the slope of each.
ACTIVATIONS: dict[Any, tuple[Formula, Formula]] = {
    fn.sigmoid: (logistic, lambda x: logistic(x) * logistic(-x)),
    fn.logsigmoid: (lambda x: -softplus(-x), lambda x: logistic(-x)),
    fn.tanh: (mp.tanh, lambda x: mp.sech(x) ** 2),
    fn.tanhshrink: (lambda x: x - mp.tanh(x), lambda x: mp.tanh(x) ** 2),
    fn.softsign: (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
    fn.hardtanh: (lambda x: clipped(x, -1, 1), lambda x: int(abs(x) < 1)),
    fn.relu6: (lambda x: clipped(x, 0, 6), lambda x: int(0 < x < 6)),
    fn.hardsigmoid: (
        lambda x: clipped(x + 3, 0, 6) / 6,
        lambda x: mp.mpf(1) / 6 if -3 < x < 3 else 0,
    ),
    fn.hardswish: (
        lambda x: x * clipped(x + 3, 0, 6) / 6,
        lambda x: x / 3 + HALF if -3 < x < 3 else int(x > 0),
    ),
    fn.relu: (lambda x: max(x, 0), lambda x: int(x > 0)),
    fn.leaky_relu: (
        lambda x: x if x > 0 else x * HUNDREDTH,
        lambda x: 1 if x > 0 else HUNDREDTH,
    ),
    fn.hardshrink: (lambda x: x if abs(x) > HALF else 0, lambda x: int(abs(x) > HALF)),
    fn.softshrink: (
        lambda x: x - mp.sign(x) * HALF if abs(x) > HALF else 0,
        lambda x: int(abs(x) > HALF),
    ),
    fn.elu: (lambda x: x if x > 0 else mp.expm1(x), lambda x: 1 if x > 0 else mp.exp(x)),
    fn.celu: (lambda x: x if x > 0 else mp.expm1(x), lambda x: 1 if x > 0 else mp.exp(x)),
    fn.selu: (
        lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * mp.expm1(x)),
        lambda x: SELU_SCALE * (1 if x > 0 else SELU_ALPHA * mp.exp(x)),
    ),
    fn.softplus: (softplus, logistic),
    fn.silu: (lambda x: x * logistic(x), lambda x: logistic(x) * (1 + x * logistic(-x))),
    fn.mish: (lambda x: x * mp.tanh(softplus(x)), mish_slope),
    fn.gelu: (lambda x: x * normal(x), lambda x: normal(x) + x * bell(x)),
    gelu_tanh: (lambda x: x * logistic(gelu_argument(x)), gelu_slope),
}
ALONG_AN_AXIS = {fn.softmax, fn.softmin, fn.log_softmax, fn.logsumexp}
#: With an argument more: `leaky_relu` at other slopes, `sigmoid`, and a choice.
MADE_OF_THEM = {fn.prelu, fn.rrelu, fn.glu, fn.threshold, fn.gumbel_softmax}


def test_no_activation_is_left_out():
    listed = {getattr(fn, name) for name in fn.activations.__all__ + fn.softmaxes.__all__}
    assert listed == ACTIVATIONS.keys() - {gelu_tanh} | ALONG_AN_AXIS | MADE_OF_THEM


def looseness(f: Any) -> Callable[[float], float]:
    """The tanh of gelu's formula is of a rounded number, the larger the less exact."""
    return lambda x: 16 + 4 * min(abs(x), 14.0) ** 3 if f is gelu_tanh else 16


#: What has zeros near which only its parts are exact: a number of the size of 1, or of x.
CANCEL_IN_VALUE, CANCEL_IN_SLOPE = {fn.tanhshrink}, {fn.gelu, gelu_tanh, fn.tanhshrink, fn.mish}
#: Of NaN the slope is the one of a branch.
DO_NOT_LOOK = {fn.leaky_relu, fn.hardtanh, fn.relu6, fn.hardsigmoid, fn.hardshrink, fn.softshrink}


@dtypes
@pytest.mark.parametrize("f", ACTIVATIONS, ids=lambda f: f.__name__)
def test_activations(f: Any, dtype: Any):
    x = grid(dtype)
    t = tl.tensor(x, requires_grad=True)
    with np.errstate(over="ignore" if f is fn.selu else "warn"):  # 1.05 times the largest float
        y = f(t)  # warns of nothing else
    slope = tl.gradients(y, t, np.ones_like(x))
    value, right = ACTIVATIONS[f]
    eps = float(np.finfo(dtype).eps)
    small = abs(x) < 1 if f in CANCEL_IN_VALUE else x != x
    assert not differing(value, [x[~small]], y.data[~small], looseness(f))
    assert not differing(value, [x[small]], y.data[small], looseness(f), 2 * eps)
    if f in DO_NOT_LOOK:
        x, slope = x[:-1], slope[:-1]
    absolute = 4 * eps if f in CANCEL_IN_SLOPE else smallest(dtype) if f is fn.sigmoid else 0
    assert not differing(right, [x], slope, looseness(f), absolute)


def smallest(dtype: Any) -> float:
    """The smallest normal number of a dtype, or of float32: below it a slope may end at another."""
    return float(np.finfo(np.promote_types(dtype, np.float32)).tiny)


SMOOTH = [
    fn.sigmoid, fn.logsigmoid, fn.tanh, fn.softplus, fn.silu, fn.mish, fn.gelu, fn.softsign,
]  # fmt: skip


@pytest.mark.parametrize("f", SMOOTH, ids=lambda f: f.__name__)
def test_curvatures(f: Any):
    x = grid(np.float64)[:-1]
    x = x[(abs(x) < 200) | (abs(x) > 800)]  # between them parts of it are too small for floats
    t = tl.tensor(x, requires_grad=True)
    slope = tl.gradients(f(t), t, np.ones_like(x), create_graph=True)
    curvature = tl.gradients(slope, t, np.ones_like(x))
    s = logistic
    right = {
        fn.sigmoid: lambda x: s(x) * s(-x) * (s(-x) - s(x)),
        fn.logsigmoid: lambda x: -s(x) * s(-x),
        fn.tanh: lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2,
        fn.softplus: lambda x: s(x) * s(-x),
        fn.silu: lambda x: s(x) * s(-x) * (2 + x * (s(-x) - s(x))),
        fn.mish: mish_curvature,
        fn.gelu: lambda x: bell(x) * (2 - x * x),
        fn.softsign: lambda x: -2 * mp.sign(x) / (1 + abs(x)) ** 3,
    }[f]
    assert not differing(right, [x], curvature, lambda x: 32, absolute=1e-15)


def test_logistic_curvatures_keep_their_digits_in_the_tails():
    """What is left of 1 where a sigmoid is nearly 1 is there in every derivative of it."""
    s = logistic
    cases: list[tuple[Any, Formula]] = [
        (fn.sigmoid, lambda x: -s(x) * s(-x) * mp.tanh(x / 2)),
        (fn.logsigmoid, lambda x: -s(x) * s(-x)),
        (fn.tanh, lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2),
        (lambda x: np.logaddexp(x, 0), lambda x: s(x) * s(-x)),
        *(
            (
                lambda x, share=share: fn.binary_cross_entropy_with_logits(
                    x, np.full(x.shape, share), reduction="sum"
                ),
                lambda x: s(x) * s(-x),
            )
            for share in (0.0, 0.3, 1.0)
        ),
    ]
    x = grid(np.float64)[:-1]
    for f, right in cases:
        slope = tl.grad(lambda x, f=f: np.sum(f(x)))
        curvature = tl.grad(lambda x, slope=slope: np.sum(slope(x)))(x)
        assert not differing(right, [x], curvature, lambda x: 64, absolute=smallest(np.float64))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_directions_do_not_depend_on_lengths(dtype: Any):
    """The squares of large vectors are infinite, those of small ones 0."""
    rng, info = np.random.default_rng(0), np.finfo(dtype)
    x, y = rng.normal(size=(2, 3)).astype(dtype), rng.normal(size=(2, 3)).astype(dtype)
    least = float(info.smallest_subnormal)

    def directions(x: Any) -> Any:
        lines = [fn.normalize(x, p, eps=least)[:, 0] for p in (1, 1.5, 2, 3)]
        return np.stack([*lines, fn.cosine_similarity(x, y, eps=least)])

    def losses(x: Any) -> Any:  # which add 1e-12 to squares
        return fn.cosine_embedding_loss(x, y, np.array([1, -1]), reduction="none")

    expected = directions(x)
    for exponent in range(info.minexp + 24, info.maxexp - 4, info.maxexp // 16):
        size = np.ldexp(dtype(1), exponent)
        np.testing.assert_allclose(directions(x * size), expected, rtol=512 * info.eps)
        mixed = directions(x * np.array([[size], [1]]))
        np.testing.assert_allclose(mixed, expected, rtol=512 * info.eps)
        if exponent > 0:
            np.testing.assert_allclose(losses(x * size), losses(x * dtype(1e4)), rtol=1e-6)
    slope = tl.jacobian(directions)(x)
    size = dtype(2.0 ** (info.maxexp * 3 // 4))  # its square overflows, 1 / size does not
    np.testing.assert_allclose(
        tl.jacobian(directions)(x * size) * size, slope, rtol=1e-3, atol=64 * info.eps
    )


# -- along an axis ----------------------------------------------------------------------------

LARGEST = float(np.finfo(np.float64).max)
ROWS = [
    [0.0, 0.0], [20.0, 0.0], [-20.0, 0.0, 0.0], [1e4, -1e4, 0.0], [700.0, -700.0], [-20.0, -30.0],
    [LARGEST, -LARGEST], [LARGEST, LARGEST], [-LARGEST, -LARGEST], [LARGEST, 0.0, 1.0],
    [np.inf, 0.0], [0.0, -np.inf], [np.inf, -np.inf, 3.0], [np.inf, LARGEST], [1e-30, 0.0],
    [-np.inf, -np.inf, 2.0],
]  # fmt: skip


def log_share(i: int) -> Formula:
    """The logarithm of one of the shares."""

    def formula(*x: Number) -> Number:
        top = x.index(max(x))
        return (x[i] - x[top]) - mp.log1p(others(x, top))

    return formula


def others(x: Any, top: int) -> Number:
    return mp.fsum(mp.exp(v - x[top]) for j, v in enumerate(x) if j != top)


def log_sum_exp(*x: Number) -> Number:
    return max(x) + mp.log1p(others(x, x.index(max(x))))


@pytest.mark.parametrize("row", ROWS)
def test_softmax_and_its_relatives(row: list[float]):
    x = np.array(row)
    t = tl.tensor(x, requires_grad=True)
    shares, logs, total = fn.softmax(t), fn.log_softmax(t), fn.logsumexp(t)
    assert is_that(total.item(), limit(log_sum_exp, *row), float)
    into_total = tl.gradients(total, t)
    for i in range(len(row)):
        right = limit(log_share(i), *row)
        share = mp.exp(right)
        loose = 16 + min(800.0, abs(float(right)))
        assert is_that(logs[i].item(), right, float, 16), i
        assert is_that(shares[i].item(), share, float, loose), i
        assert fn.softmin(-t)[i].item() == shares[i].item()
        assert is_that(into_total[i], share, float, loose), i
        of_log = tl.gradients(fn.log_softmax(t)[i], t)
        loss = fn.cross_entropy(t, np.array(i))
        assert is_that(loss.item(), -right, float, 16), i
        of_loss = tl.gradients(loss, t)
        for j in range(len(row)):
            slope = int(i == j) - mp.exp(limit(log_share(j), *row))
            assert is_that(of_log[j], slope, float, 16, 1e-15), (i, j)
            assert is_that(of_loss[j], -slope, float, 16, 1e-15), (i, j)


def test_softmax_where_there_is_no_limit():
    assert fn.softmax(np.array([np.inf, np.inf, 0.0])).tolist() == [0.5, 0.5, 0.0]
    for lost in ([-np.inf, -np.inf], [np.nan, 0.0], [np.nan, np.inf]):
        assert np.isnan(fn.softmax(np.array(lost))).all()
    t = tl.tensor([-np.inf, -np.inf], requires_grad=True)
    assert fn.logsumexp(t).item() == -np.inf
    assert tl.gradients(fn.logsumexp(t), t).tolist() == [0.0, 0.0]


# -- losses -----------------------------------------------------------------------------------


def parts(target: float, hit: Formula, miss: Formula) -> Formula:
    """``target * hit + (1 - target) * miss``, of which a part that is not asked for is nothing."""
    t = mp.mpf(target)
    return lambda x: (t * hit(x) if t else 0) + ((1 - t) * miss(x) if t != 1 else 0)


@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("pos_weight", [None, 2.5])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_cross_entropy_of_logits(target: float, pos_weight: Any, dtype: Any):
    x = grid(dtype)[:-1]
    t = tl.tensor(x, requires_grad=True)
    with np.errstate(over="ignore"):  # 2.5 times the largest float
        y = fn.binary_cross_entropy_with_logits(
            t, np.full_like(x, target), reduction="none", pos_weight=pos_weight
        )
    slope = tl.gradients(y, t, np.ones_like(x))
    times = mp.mpf(pos_weight or 1)
    value = parts(target, lambda x: times * softplus(-x), softplus)
    right = parts(target, lambda x: -times * logistic(-x), logistic)
    absolute = 4 * float(np.finfo(dtype).eps) if 0 < target < 1 else smallest(dtype)
    assert y.dtype == dtype
    assert not differing(value, [x], y.data, lambda x: 16)
    assert not differing(right, [x], slope, lambda x: 16, absolute)


@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_cross_entropy_of_probabilities(target: float, dtype: Any):
    p = grid(dtype)[:-1]
    p = np.unique(np.concatenate([p[(p >= 0) & (p <= 1)], 1 - np.array([1e-3, 1e-7], dtype)]))
    t = tl.tensor(p, requires_grad=True)
    y = fn.binary_cross_entropy(t, np.full_like(p, target), reduction="none")
    slope = tl.gradients(y, t, np.ones_like(p))
    hit = lambda p: -mp.log(p) if p > mp.exp(-100) else 100
    miss = lambda p: -mp.log1p(-p) if p < 1 else 100
    assert not differing(parts(target, hit, miss), [p], y.data, lambda p: 16)
    inside = (p > 0) & (p < 1)
    right = lambda p: (p - mp.mpf(target)) / (p * (1 - p))
    assert not differing(right, [p[inside]], slope[inside], lambda p: 16)
    ends = [1 - target - target * 1e12, -target + (1 - target) * 1e12]  # as PyTorch limits it
    np.testing.assert_allclose(slope[~inside], ends, rtol=1e-6)


@pytest.mark.parametrize("loss", [fn.mse_loss, fn.l1_loss], ids=lambda f: f.__name__)
def test_losses_of_numbers(loss: Any):
    x, target = grid(np.float64)[:-1], 0.5
    t = tl.tensor(x, requires_grad=True)
    with np.errstate(over="ignore"):
        y = loss(t, np.full_like(x, target), reduction="none")
    squared = loss is fn.mse_loss
    half = mp.mpf(target)
    value = (lambda x: (x - half) ** 2) if squared else (lambda x: abs(x - half))
    right = (lambda x: 2 * (x - half)) if squared else (lambda x: mp.sign(x - half))
    assert not differing(value, [x], y.data)
    assert not differing(right, [x], tl.gradients(y, t, np.ones_like(x)))


def test_of_nan_a_loss_is_nan():
    lost = np.array([[np.nan, 0.5]])
    for loss in (fn.mse_loss, fn.l1_loss, fn.binary_cross_entropy_with_logits):
        assert np.isnan(loss(lost, np.ones((1, 2))))
    assert np.isnan(fn.binary_cross_entropy(lost, np.ones((1, 2))))
    assert np.isnan(fn.cross_entropy(lost, np.array([0])))


#: Losses by the input, at a target: value and slope.
OF_NUMBERS: dict[Any, tuple[Any, float, Formula, Formula]] = {
    "huber_loss": (
        lambda x, t: fn.huber_loss(x, t, "none", 2.0), 0.5,
        lambda x: (x - HALF) ** 2 / 2 if abs(x - HALF) < 2 else 2 * (abs(x - HALF) - 1),
        lambda x: clipped(x - HALF, -2, 2),
    ),
    "smooth_l1_loss": (
        lambda x, t: fn.smooth_l1_loss(x, t, reduction="none", beta=2.0), 0.5,
        lambda x: (x - HALF) ** 2 / 4 if abs(x - HALF) < 2 else abs(x - HALF) - 1,
        lambda x: clipped(x - HALF, -2, 2) / 2,
    ),
    "soft_margin_loss": (
        lambda x, t: fn.soft_margin_loss(x, t, reduction="none"), -1.0,
        softplus, logistic,
    ),
    "kl_div": (
        lambda x, t: fn.kl_div(x, t, reduction="none"), 0.5,
        lambda x: HALF * (mp.log(HALF) - x), lambda x: -HALF,
    ),
    "hinge_embedding_loss": (
        lambda x, t: fn.hinge_embedding_loss(x, t, 0.75, reduction="none"), -1.0,
        lambda x: max(mp.mpf(0.75) - x, 0), lambda x: -int(x <= 0.75),
    ),
    "multilabel_soft_margin_loss": (
        lambda x, t: fn.multilabel_soft_margin_loss(x[:, None], t[:, None], reduction="none"), 1.0,
        lambda x: softplus(-x), lambda x: -logistic(-x),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", OF_NUMBERS)
def test_other_losses(name: str, dtype: Any):
    loss, target, value, right = OF_NUMBERS[name]
    x = grid(dtype)[:-1]
    t = tl.tensor(x, requires_grad=True)
    with np.errstate(over="ignore"):
        y = loss(t, np.full_like(x, target))
        slope = tl.gradients(y, t, np.ones_like(x))
    assert not differing(value, [x], y.data, lambda x: 16)
    assert not differing(right, [x], slope, lambda x: 16, smallest(dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_losses_of_counts_and_variances(dtype: Any):
    x = grid(dtype)[:-1]
    n, limit_of_exp = mp.mpf(2.5), float(np.log(np.finfo(dtype).max))
    x = x[x < limit_of_exp]
    t = tl.tensor(x, requires_grad=True)
    with np.errstate(over="ignore"):  # 2.5 times the largest float
        y = fn.poisson_nll_loss(t, np.full_like(x, 2.5), reduction="none")
    cancels = 8 * float(np.finfo(dtype).eps)  # near the best input: parts of the size of 1
    assert not differing(lambda x: mp.exp(x) - n * x, [x], y.data, lambda x: 16, cancels)
    slope = tl.gradients(y, t, np.ones_like(x))
    assert not differing(lambda x: mp.exp(x) - n, [x], slope, lambda x: 16, cancels)
    var = grid(dtype)[:-1]
    var = var[(var > 1e-6) & np.isfinite(var)]
    v = tl.tensor(var, requires_grad=True)
    y = fn.gaussian_nll_loss(np.full_like(var, 1), np.full_like(var, 3), v, reduction="none")
    slope = tl.gradients(y, v, np.ones_like(var))
    assert not differing(lambda v: (mp.log(v) + 4 / v) / 2, [var], y.data, lambda v: 16)
    assert not differing(lambda v: (1 - 4 / v) / v / 2, [var], slope, lambda v: 16)
