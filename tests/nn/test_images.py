"""Convolution, pooling, padding, resizing: definitions, blocks, foreign arrays, bad input, PyTorch.

Values and derivatives of every function with its options: ``cases/``.
"""

import itertools
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.nn.cases import every_case
from tests.support import check_gradients
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as fn
from tinygrad_lab.nn.kernels import planes, pool


def normal(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def distinct(shape, seed=0):
    """Numbers far enough apart that finite differences change no order."""
    size = int(np.prod(shape))
    return np.random.default_rng(seed).permutation(size).reshape(shape) / 4.0


small = st.integers(1, 2)
pairs = st.tuples(small, small)


@given(
    n=st.integers(0, 2),
    groups=small,
    channels=small,
    filters=small,
    kernel=pairs,
    stride=pairs,
    padding=st.one_of(st.tuples(st.integers(0, 2), st.integers(0, 2)), st.just("valid")),
    dilation=pairs,
    bias=st.booleans(),
)
def test_conv2d_gradients_are_those_of_finite_differences(
    n, groups, channels, filters, kernel, stride, padding, dilation, bias
):
    arrays = [
        normal((n, groups * channels, 3, 4)),
        normal((groups * filters, channels, *kernel), 1),
    ]
    if bias:
        arrays.append(normal(groups * filters, 2))

    def f(x, w, b=None):
        return fn.conv2d(x, w, b, stride, padding, dilation, groups)

    check_gradients(f, *arrays, order=1)


def test_conv2d_gradients_of_second_order():
    for stride, groups in itertools.product((1, 2), (1, 2)):
        check_gradients(
            lambda x, w, b, s=stride, k=groups: fn.conv2d(x, w, b, s, padding=1, groups=k),
            normal((1, 2, 3, 3)),
            normal((2, 2 // groups, 2, 2), 1),
            normal(2, 2),
        )


SETTINGS = list(
    itertools.product(
        [0, 3],
        [(1, 2, 3), (2, 2, 1), (3, 1, 2)],  # groups, channels and filters of each
        [(5, 7), (8, 6)],
        [(1, 1), (3, 2)],
        [(1, 1), (2, 3)],
        [(0, 0), (3, 1)],
        [(1, 1), (2, 1), (3, 2)],
    )
)


@pytest.mark.oracle
@pytest.mark.parametrize("part", range(4))
def test_pytorch_gives_the_same_convolutions(part):
    torch = pytest.importorskip("torch")
    for n, (groups, c, o), size, kernel, stride, padding, dilation in SETTINGS[part::4]:
        if any(
            s + 2 * p < d * (k - 1) + 1
            for s, p, d, k in zip(size, padding, dilation, kernel, strict=True)
        ):
            continue
        arrays = [normal((n, groups * c, *size)), normal((groups * o, c, *kernel)),
                  normal(groups * o)]  # fmt: skip
        theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
        expected = torch.nn.functional.conv2d(*theirs, stride, padding, dilation, groups)
        ours = [tl.tensor(a, requires_grad=True) for a in arrays]
        y = fn.conv2d(*ours, stride, padding, dilation, groups)
        g = normal(y.shape, 3)
        expected.backward(torch.tensor(g))
        y.backward(g)
        np.testing.assert_allclose(y.data, expected.detach().numpy(), atol=1e-12)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.grad, b.grad.numpy(), atol=1e-11)


@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("filters", [6, 32])
def test_small_blocks_compute_the_same(monkeypatch, stride, dilation, filters):
    x, w = normal((5, 4, 49, 9)), normal((filters, 2, 3, 3))

    def results():
        tx, tw = tl.tensor(x, requires_grad=True), tl.tensor(w, requires_grad=True)
        y = fn.conv2d(tx, tw, None, stride, 1, dilation, 2)
        y.backward(np.cos(y.data))
        return y.data, tx.grad, tw.grad

    whole = results()
    monkeypatch.setattr(planes, "BLOCK", 1)
    monkeypatch.setattr(planes, "SMALL_PRODUCT", 1)
    monkeypatch.setattr(planes, "SMALL_UNPACKED", 1)
    monkeypatch.setattr(planes, "FEWEST_OUTPUTS", 1)
    for a, b in zip(results(), whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("dilation", [1, (2, 3)])
@pytest.mark.parametrize("padding", [0, (1, 4)])
def test_few_filters_compute_what_many_do(dilation, padding):
    x, few = normal((9, 16, 8, 7)), normal((2, 8, 3, 3))
    for stride in [1, (2, 1), 2]:
        y = fn.conv2d(x, few, None, stride, padding, dilation, groups=2)
        many = fn.conv2d(x, np.repeat(few, 8, axis=0), None, stride, padding, dilation, groups=2)
        np.testing.assert_allclose(y, many[:, ::8], atol=1e-12)


def test_results_do_not_share_the_memory_that_convolutions_keep():
    x, w = normal((2, 3, 6, 6)), normal((4, 3, 3, 3))
    first = fn.conv2d(x, w)
    before = first.copy()
    fn.conv2d(np.full_like(x, np.nan), w)
    np.testing.assert_array_equal(first, before)
    np.testing.assert_array_equal(fn.conv2d(x, w), before)


whole_numbers = st.sampled_from([np.float32, np.float64, np.complex128, np.int64, np.float16])


@given(
    n=st.sampled_from([0, 1, 2, 9]),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    groups=st.integers(1, 3),
    channels=st.sampled_from([1, 2, 3, 8]),
    filters=st.sampled_from([1, 3, 32]),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dtype=whole_numbers,
    layout=st.sampled_from(["C", "F", "reversed"]),
)
def test_conv2d_is_the_sum_over_its_taps(
    n, size, groups, channels, filters, kernel, stride, padding, dilation, dtype, layout
):
    """Whole numbers, so that every order of the sum gives the same; images are read-only."""
    rng = np.random.default_rng(n)
    spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    assume(all(s + 2 * p > span for s, p, span in zip(size, padding, spans, strict=True)))
    x = rng.integers(-4, 5, (n, groups * channels, *size)).astype(dtype)
    w = rng.integers(-4, 5, (groups * filters, channels, *kernel)).astype(dtype)
    padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    out = [
        (m - span - 1) // s + 1 for m, span, s in zip(padded.shape[2:], spans, stride, strict=True)
    ]
    expected = np.zeros((n, groups * filters, *out), dtype)
    for o, i, j in np.ndindex(groups * filters, *kernel):
        first = o // filters * channels
        rows, columns = (
            slice(t * d, t * d + (m - 1) * s + 1, s)
            for t, d, m, s in zip((i, j), dilation, out, stride, strict=True)
        )
        read = padded[:, first : first + channels, rows, columns]
        expected[:, o] += (read * w[o, :, i, j][:, None, None]).sum(axis=1)
    x = {"C": x, "F": np.asfortranarray(x), "reversed": x[::-1, :, ::-1][::-1, :, ::-1]}[layout]
    x.flags.writeable = False
    y = fn.conv2d(x, w, None, stride, padding, dilation, groups)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, expected)


def test_any_memory_layout_will_do():
    x, w = normal((2, 6, 5, 3)), normal((3, 2, 3, 4))
    expected = fn.conv2d(
        np.ascontiguousarray(x.transpose(0, 3, 2, 1)), w.transpose(1, 0, 2, 3).copy()
    )
    actual = fn.conv2d(x.transpose(0, 3, 2, 1), w.transpose(1, 0, 2, 3))
    np.testing.assert_allclose(actual, expected)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (4, 5)])
def test_same_padding_keeps_the_size(kernel):
    x, w = normal((1, 2, 6, 7)), normal((3, 2, *kernel))
    assert fn.conv2d(x, w, padding="same").shape == (1, 3, 6, 7)
    assert fn.conv2d(x, w, padding="same", dilation=2).shape == (1, 3, 6, 7)


def test_images_without_a_batch():
    x, w = normal((2, 5, 5)), normal((3, 2, 2, 2))
    np.testing.assert_array_equal(fn.conv2d(x, w), fn.conv2d(x[None], w)[0])
    np.testing.assert_array_equal(fn.max_pool2d(x, 2), fn.max_pool2d(x[None], 2)[0])
    np.testing.assert_array_equal(fn.avg_pool2d(x, 2), fn.avg_pool2d(x[None], 2)[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stride": 0}, "stride=0"),
        ({"stride": 1.5}, "stride=1.5"),
        ({"stride": (1, 2, 3)}, "stride"),
        ({"dilation": -1}, "dilation=-1"),
        ({"padding": -1}, "padding=-1"),
        ({"padding": "full"}, "'full'"),
        ({"padding": "same", "stride": 2}, "stride 1"),
        ({"groups": 0}, "groups=0"),
        ({"groups": 3}, "3 group"),
        ({"dilation": 9}, "does not fit"),
        ({"bias": np.zeros(5)}, "bias"),
        ({"weight": np.zeros((4, 3, 2, 2))}, "channels"),
        ({"weight": np.zeros((4, 2, 0, 2))}, "without elements"),
        ({"input": np.zeros((2, 2))}, "images"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    arguments = {"input": np.zeros((1, 2, 5, 5)), "weight": np.zeros((4, 2, 2, 2)), **change}
    with pytest.raises(ValueError, match=message):
        fn.conv2d(**arguments)


# -- pooling ----------------------------------------------------------------------------------


@given(
    kernel=pairs,
    stride=st.one_of(st.none(), pairs),
    padding=st.integers(0, 1),
    dilation=small,
    ceil=st.booleans(),
)
def test_max_pool2d_gradients(kernel, stride, padding, dilation, ceil):
    padding = padding if min(kernel) > 1 else 0
    x = distinct((1, 2, 4, 5))
    check_gradients(lambda a: fn.max_pool2d(a, kernel, stride, padding, dilation, ceil), x, order=1)


@given(
    kernel=pairs,
    stride=st.one_of(st.none(), pairs),
    padding=st.integers(0, 1),
    ceil=st.booleans(),
    include=st.booleans(),
    divisor=st.one_of(st.none(), st.just(3)),
)
def test_avg_pool2d_gradients(kernel, stride, padding, ceil, include, divisor):
    padding = padding if min(kernel) > 1 else 0
    x = normal((1, 2, 4, 5))
    check_gradients(
        lambda a: fn.avg_pool2d(a, kernel, stride, padding, ceil, include, divisor), x, order=1
    )


def test_pooling_gradients_of_second_order():
    x = distinct((1, 1, 3, 4))
    check_gradients(lambda a: fn.max_pool2d(a * a, 2, 1), x + 1)
    check_gradients(lambda a: fn.avg_pool2d(a * a, 2, 1), x)


def test_ties_share_evenly():
    x = tl.tensor(np.array([[[[3.0, 3.0], [1.0, 3.0]]]]), requires_grad=True)
    fn.max_pool2d(x, 2).sum().backward()
    np.testing.assert_allclose(x.grad, [[[[1 / 3, 1 / 3], [0.0, 1 / 3]]]])


def test_a_window_of_many_ties_shares_evenly():
    x = tl.tensor(np.zeros((1, 1, 32, 16)), requires_grad=True)
    fn.max_pool2d(x, 16).sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(x.shape, 1 / 256))


def test_ties_share_evenly_over_both_axes():
    x = tl.tensor(np.array([[[[3.0, 1.0, 3.0], [3.0, 2.0, 0.0], [3.0, 0.0, 1.0]]]]))
    x.requires_grad = True
    fn.max_pool2d(x, 3).sum().backward()
    np.testing.assert_array_equal(x.grad, (x.data == 3) / 4)


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (3, 5)])
def test_padding_takes_no_share_of_the_gradient(shape):
    """Padding reads as -inf, and -inf may be the largest of a window."""
    x = tl.tensor(np.full((1, 1, *shape), -np.inf), requires_grad=True)
    y = fn.max_pool2d(x, 3, 1, 1)
    np.testing.assert_array_equal(y.data, -np.inf)
    y.backward(np.ones(y.shape))
    assert x.grad.sum() == pytest.approx(y.size)


def test_the_nan_of_a_window_take_its_gradient():
    values = np.array([[[[1.0, np.nan, 5.0, 2.0], [np.nan, 3.0, 4.0, 6.0]]]])
    x = tl.tensor(values, requires_grad=True)
    y = fn.max_pool2d(x, 2)
    np.testing.assert_array_equal(y.data, [[[[np.nan, 6.0]]]])
    y.backward(np.array([[[[8.0, 1.0]]]]))
    np.testing.assert_array_equal(x.grad, [[[[0.0, 4.0, 0.0, 0.0], [4.0, 0.0, 0.0, 1.0]]]])


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 3),
    ceil=st.booleans(),
    values=st.sampled_from([[0.0, 1.0], [-np.inf, 0.0, np.inf], [np.nan, 1.0, 2.0, 3.0]]),
    seed=st.integers(0, 9),
)
def test_pools_are_those_of_a_loop(kernel, stride, padding, dilation, ceil, values, seed):
    x = np.random.default_rng(seed).choice(values, (2, 2, 7, 6))
    padding = min(padding, min(kernel) // 2)
    assume(all(dilation * (k - 1) < 6 + 2 * padding for k in kernel))
    t = tl.tensor(x, requires_grad=True)
    y = fn.max_pool2d(t, kernel, stride, padding, dilation, ceil)
    g = normal(y.shape)
    y.backward(g)
    expected, gradient = np.full(y.shape, -np.inf), np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*y.shape):
        down, across = (
            [t for t in range(o * s - padding, o * s - padding + dilation * k, dilation)
             if 0 <= t < size]
            for o, s, k, size in zip((i, j), stride, kernel, x.shape[2:], strict=True)
        )  # fmt: skip
        window = x[n, c][np.ix_(down, across)]
        if window.size:
            expected[n, c, i, j] = window.max()
            largest = np.isnan(window) if np.isnan(window).any() else window == window.max()
            gradient[n, c][np.ix_(down, across)] += g[n, c, i, j] * largest / largest.sum()
    np.testing.assert_array_equal(y.data, expected)
    np.testing.assert_allclose(t.grad, gradient, atol=1e-12)


def test_small_blocks_pool_the_same(monkeypatch):
    x = np.round(normal((3, 2, 7, 6)))

    def results():
        t = tl.tensor(x, requires_grad=True)
        largest, mean = fn.max_pool2d(t, 3, 2, 1), fn.avg_pool2d(t, 3, 2, 1)
        gradient = (largest * mean).sum().backward(create_graph=True) or t.grad
        (gradient**2).sum().backward()
        return largest.data, mean.data, gradient.data, t.grad

    whole = [np.asarray(getattr(a, "data", a)) for a in results()]
    monkeypatch.setattr(pool, "BLOCK", 1)
    for a, b in zip(results(), whole, strict=True):
        np.testing.assert_allclose(getattr(a, "data", a), b, atol=1e-12)


def test_pools_of_integers():
    x = np.array([[[[1, 200], [100, 250]]]], np.uint8)
    np.testing.assert_array_equal(fn.max_pool2d(x, 2), [[[[250]]]])
    np.testing.assert_array_equal(fn.max_pool2d(x > 1, 2), [[[[True]]]])
    np.testing.assert_array_equal(fn.avg_pool2d(x, 2), [[[[137.75]]]])
    np.testing.assert_array_equal(fn.avg_pool2d(np.full((1, 16, 16), 9, np.uint8), 16), [[[9.0]]])


@pytest.mark.oracle
def test_pytorch_gives_the_same_pools():
    torch = pytest.importorskip("torch")
    for size, kernel, stride, padding, ceil in itertools.product(
        [(5, 6)], [(2, 2), (3, 2)], [None, (1, 1), (2, 3), (4, 4)], [0, 1], [False, True]
    ):
        x = distinct((2, 3, *size))
        for ours, theirs, more in (
            (fn.max_pool2d, "max_pool2d", ({}, {"dilation": 2})),
            (fn.avg_pool2d, "avg_pool2d",
             ({}, {"count_include_pad": False}, {"divisor_override": 5})),
        ):  # fmt: skip
            for extra in more:
                other = torch.tensor(x, requires_grad=True)
                how = {"stride": stride, "padding": padding, "ceil_mode": ceil, **extra}
                try:
                    expected = getattr(torch.nn.functional, theirs)(other, kernel, **how)
                except RuntimeError:
                    with pytest.raises(ValueError, match="does not fit"):
                        ours(x, kernel, **how)
                    continue
                t = tl.tensor(x, requires_grad=True)
                y = ours(t, kernel, **how)
                g = normal(y.shape)
                y.backward(g)
                expected.backward(torch.tensor(g))
                np.testing.assert_allclose(y.data, expected.detach().numpy(), err_msg=str(how))
                np.testing.assert_allclose(t.grad, other.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("pool", [fn.max_pool2d, fn.avg_pool2d])
def test_bad_pools(pool):
    x = np.zeros((1, 1, 4, 4))
    with pytest.raises(ValueError, match="kernel_size=0"):
        pool(x, 0)
    with pytest.raises(ValueError, match="more than half"):
        pool(x, 2, padding=2)
    with pytest.raises(ValueError, match="does not fit"):
        pool(x, 5)
    with pytest.raises(ValueError, match="images"):
        pool(np.zeros((4, 4)), 2)
    if pool is fn.avg_pool2d:
        with pytest.raises(ValueError, match="zero"):
            pool(x, 2, divisor_override=0)


# -- both -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1])
def test_batches_of_none_and_one(n):
    x = tl.tensor(normal((n, 2, 4, 4)), requires_grad=True)
    w = tl.tensor(normal((3, 2, 3, 3)), requires_grad=True)
    y = fn.avg_pool2d(fn.max_pool2d(fn.conv2d(x, w, padding=1), 2), 2)
    assert y.shape == (n, 3, 1, 1)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert (w.grad == 0).all() == (n == 0)


def test_float32_stays():
    x = tl.tensor(normal((2, 2, 6, 6)), dtype=np.float32, requires_grad=True)
    w = tl.tensor(normal((3, 2, 3, 3)), dtype=np.float32, requires_grad=True)
    b = tl.tensor(normal(3), dtype=np.float32, requires_grad=True)
    for y in (fn.max_pool2d(fn.conv2d(x, w, b), 2), fn.avg_pool2d(fn.conv2d(x, w, b), 2)):
        assert y.dtype == np.float32
        y.sum().backward()
        assert {x.grad.dtype, w.grad.dtype, b.grad.dtype} == {np.dtype(np.float32)}


def test_they_are_methods_too():
    x, w = tl.tensor(normal((1, 1, 4, 4))), normal((1, 1, 3, 3))
    np.testing.assert_array_equal(x.conv2d(w).data, fn.conv2d(x.data, w))
    np.testing.assert_array_equal(x.max_pool2d(2).data, fn.max_pool2d(x.data, 2))


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 2)])
def test_dask_arrays_give_the_same_gradients(stride, groups):
    da = pytest.importorskip("dask.array")
    dask = pytest.importorskip("dask")
    x, w, b = normal((3, 2, 4, 5)), normal((2, 2 // groups, 2, 2)), normal(2)

    def gradients(image):
        leaves = [tl.Tensor(a, requires_grad=True) for a in (image, w, b)]
        y = fn.conv2d(*leaves, stride=stride, padding=1, groups=groups)
        y = fn.max_pool2d(fn.relu(y), 2, 1) + fn.avg_pool2d(y, 2, 1, 1)[..., 1:-1, 1:-1]
        (y * y).sum().backward()
        return [leaf.grad for leaf in leaves]

    expected = gradients(x)
    actual = gradients(da.from_array(x, chunks=(2, -1, -1, -1)))
    assert isinstance(actual[0], da.Array)
    for a, e in zip(dask.compute(*actual, scheduler="synchronous"), expected, strict=True):
        np.testing.assert_allclose(a, e, atol=1e-10)


# -- of any number of axes --------------------------------------------------------------------


@given(
    ndim=st.sampled_from([1, 3]),
    kernel=st.tuples(small, small, small),
    stride=st.tuples(small, small, small),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(small, small, small),
    groups=small,
)
def test_convolution_of_signals_and_volumes_is_the_sum_over_its_taps(
    ndim, kernel, stride, padding, dilation, groups
):
    """Also: the transposed one is its transpose, ``<conv(x), g> == <x, transposed(g)>``."""
    kernel, stride, padding, dilation = (v[:ndim] for v in (kernel, stride, padding, dilation))
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (2, 2 * groups, 5, 4, 3)[: 2 + ndim]).astype(float)
    w = rng.integers(-4, 5, (3 * groups, 2, *kernel)).astype(float)
    y = getattr(fn, f"conv{ndim}d")(x, w, None, stride, padding, dilation, groups)
    padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    expected = np.zeros_like(y)
    for o, *tap in np.ndindex(3 * groups, *kernel):
        first = o // 3 * 2
        read = padded[:, first : first + 2, *(
            slice(i * d, i * d + (m - 1) * s + 1, s)
            for i, d, m, s in zip(tap, dilation, y.shape[2:], stride, strict=True)
        )]  # fmt: skip
        expected[:, o] += (read * w[o, :, *tap].reshape(-1, *(1,) * ndim)).sum(axis=1)
    np.testing.assert_array_equal(y, expected)
    g = rng.integers(-4, 5, y.shape).astype(float)
    least = [
        (m - 1) * s - 2 * p + d * (k - 1) + 1
        for m, s, p, d, k in zip(y.shape[2:], stride, padding, dilation, kernel, strict=True)
    ]
    more = tuple(n - m for n, m in zip(x.shape[2:], least, strict=True))
    transposed = getattr(fn, f"conv_transpose{ndim}d")
    back = transposed(g, w, None, stride, padding, more, groups, dilation)
    assert back.shape == x.shape
    assert (y * g).sum() == (x * back).sum()


@pytest.mark.parametrize("ndim", [1, 3])
def test_dask_arrays_of_signals_and_volumes(ndim):
    da = pytest.importorskip("dask.array")
    x, w = normal((2, 2, 5, 4, 1)[: 2 + ndim]), normal((2, 2, 2, 1, 1)[: 2 + ndim], 1)
    window = (2, 1, 1)[:ndim]

    def gradients(image):
        leaves = [tl.Tensor(a, requires_grad=True) for a in (image, w)]
        y = getattr(fn, f"conv{ndim}d")(*leaves, stride=window)
        largest, mean = getattr(fn, f"max_pool{ndim}d"), getattr(fn, f"avg_pool{ndim}d")
        z = largest(y, window, 1) + mean(y, window, 1)
        (z * z).sum().backward()
        return [leaf.grad for leaf in leaves]

    lazy = gradients(da.from_array(x, chunks=(1, *(-1,) * (ndim + 1))))
    for a, e in zip(lazy, gradients(x), strict=True):
        np.testing.assert_allclose(np.asarray(a), e, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: fn.conv_transpose2d(x, np.zeros((3, 1, 2, 2))), "2 channels"),
        (lambda x: fn.conv_transpose2d(x, np.zeros((2, 1, 2, 2)), np.zeros(3)), "bias"),
        (lambda x: fn.conv_transpose2d(x, np.zeros((2, 1, 2))), "filters of 4 axes"),
        (lambda x: fn.conv_transpose2d(x, np.zeros((2, 1, 2, 2)), output_padding=1), "less than"),
        (lambda x: fn.conv_transpose2d(x, np.zeros((2, 1, 2, 2)), padding=4), "nothing would be"),
        (lambda x: fn.conv1d(x, np.zeros((1, 2, 2))), "signals"),
        (lambda x: fn.conv3d(x[0], np.zeros((1, 2, 2, 2, 2))), "volumes"),
        (lambda x: nn.Conv2d(2, 1, 2, padding_mode="mirror"), "reflect"),
        (lambda x: nn.ConvTranspose2d(2, 1, 2, padding_mode="reflect"), "zeros"),
        (lambda x: nn.ConvTranspose2d(2, 1, 2, rng=0)(x, output_size=(9, 9)), r"from \(6, 6\)"),
        (lambda x: nn.Conv1d(3, 2, 2, groups=2), "groups=2"),
        (lambda x: fn.unfold(x, 6), "does not fit"),
        (lambda x: fn.fold(np.zeros((1, 7, 4)), 3, 2), r"\(N, C \* 4, 4\)"),
        (lambda x: fn.max_unpool2d(x, np.zeros((1, 2, 5, 4), int), 2), "has a place"),
        (lambda x: fn.max_unpool2d(x, x.astype(int), 2, output_size=(12, 10)), "output_size"),
        (lambda x: fn.adaptive_avg_pool2d(x, 0), "output_size"),
        (lambda x: fn.adaptive_avg_pool2d(x, (1, 2, 3)), "2 of them"),
        (lambda x: fn.adaptive_max_pool2d(x[:, :, :0], 1), "no elements"),
        (lambda x: fn.pad(x, (1, 2, 3)), "two numbers"),
        (lambda x: fn.pad(x, (5, 0), "reflect"), "at most 4"),
        (lambda x: fn.pad(x, (6, 0), "circular"), "at most 5"),
        (lambda x: fn.pad(x, (-3, -3)), "crops"),
        (lambda x: fn.pad(x, (1, 1), "mirror"), "padding mode"),
        (lambda x: fn.pad(x, (1, 1), "reflect", 3.0), "only the mode"),
        (lambda x: nn.ZeroPad2d((1, 2, 3)), "two for each"),
        (lambda x: fn.interpolate(x), "either size or scale_factor"),
        (lambda x: fn.interpolate(x, 3, 2.0), "either size or scale_factor"),
        (lambda x: fn.interpolate(x, scale_factor=-1), "positive"),
        (lambda x: fn.interpolate(x, scale_factor=0.1), "leaves nothing"),
        (lambda x: fn.interpolate(x, 3, mode="linear"), "3 axes"),
        (lambda x: fn.interpolate(x, 3, mode="cubic"), "bicubic"),
        (lambda x: fn.interpolate(x, 3, align_corners=True), "align_corners"),
        (lambda x: fn.interpolate(x, 3, mode="bilinear", antialias=True), "antialias"),
        (lambda x: fn.pixel_shuffle(x, 2), "multiple of"),
        (lambda x: fn.pixel_unshuffle(x, 2), "multiples of"),
        (lambda x: fn.channel_shuffle(x, 3), "multiple of 3"),
        (lambda x: fn.grid_sample(x, np.zeros((1, 3, 3, 3))), "a place for each element"),
        (lambda x: fn.grid_sample(x[0], np.zeros((1, 3, 2))), "takes arrays"),
        (lambda x: fn.grid_sample(x, np.zeros((1, 3, 3, 2)), "linear"), "bilinear"),
        (lambda x: fn.affine_grid(np.zeros((1, 3, 3)), (1, 1, 2, 2)), "affine_grid: matrices"),
    ],
)
def test_what_images_do_not_fit_is_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(np.zeros((1, 2, 5, 5)))


# -- places -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("size", [4, (3, 2, 5)])
def test_places_are_those_of_the_largest(ndim, size):
    size = size if isinstance(size, int) else size[:ndim]
    x = distinct((2, 3, 6, 7, 5)[: 2 + ndim])
    flat = x.reshape(2, 3, -1)
    pooled = getattr(fn, f"max_pool{ndim}d")(x, 3, 2, 1, ceil_mode=True, return_indices=True)
    adapted = getattr(fn, f"adaptive_max_pool{ndim}d")(x, size, return_indices=True)
    for y, places in (pooled, adapted):
        read = np.take_along_axis(flat, places.reshape(2, 3, -1), 2)
        np.testing.assert_array_equal(read.reshape(y.shape), y)


def test_of_ties_the_place_of_the_first():
    x = np.full((1, 3, 3), -np.inf)
    _, places = fn.max_pool2d(x, 3, 1, 1, return_indices=True)
    np.testing.assert_array_equal(places, [[[0, 0, 1], [0, 0, 1], [3, 3, 4]]])
    _, places = fn.adaptive_max_pool2d(x, 2, return_indices=True)
    np.testing.assert_array_equal(places, [[[0, 1], [3, 4]]])


def test_adaptive_pooling_of_ties_shares_evenly_and_of_integers_is_exact():
    x = tl.tensor(np.ones((1, 1, 3, 3)), requires_grad=True)
    fn.adaptive_max_pool2d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]] * np.array(0.25))
    x = np.array([[[3, 200, 5]]], np.uint8)
    assert fn.adaptive_max_pool1d(x, 2).tolist() == [[[200, 200]]]
    assert fn.adaptive_avg_pool1d(x, 2).tolist() == [[[101.5, 102.5]]]


def test_what_was_pooled_goes_back():
    x = distinct((2, 3, 4, 6)) + 1
    y, places = fn.max_pool2d(x, 2, return_indices=True)
    back = fn.max_unpool2d(y, places, 2)
    np.testing.assert_array_equal(back, np.where(np.isin(x, y), x, 0))
    with pytest.raises(IndexError):
        fn.max_unpool2d(y, places + 24, 2)


def test_nearest_elements_are_moved_and_nothing_else():
    x = np.array([[[1.0, np.nan, np.inf]]])
    np.testing.assert_array_equal(fn.interpolate(x, 5), [[[1, 1, np.nan, np.nan, np.inf]]])
    assert fn.interpolate(np.arange(4, dtype=np.uint8)[None, None], 2).dtype == np.uint8


# -- beside PyTorch ---------------------------------------------------------------------------


MODES = ["bilinear", "nearest", "bicubic"]


@pytest.mark.parametrize("mode", MODES)
def test_a_place_that_is_no_number_gives_no_number_and_leaves_the_others_alone(mode):
    grid = normal((1, 2, 3, 2)) / 2
    grid[0, 0, 1, 0] = np.nan
    for outside in ("zeros", "border", "reflection"):
        x = normal((1, 2, 3, 4))
        expected = fn.grid_sample(x, np.nan_to_num(grid), mode, outside)
        expected[:, :, 0, 1] = np.nan
        np.testing.assert_array_equal(fn.grid_sample(x, grid, mode, outside), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("align", [False, True])
def test_places_however_far_outside_are_read_like_the_first_ones_there(mode, align):
    x = normal((1, 1, 3, 4))
    for far in (8.0, 1e10, 1e17, 1e30):
        corner = np.full((1, 1, 1, 2), far)
        for grid, edge in ((corner, x[0, 0, -1, -1]), (-corner, x[0, 0, 0, 0])):
            assert fn.grid_sample(x, grid, mode, "zeros", align) == 0
            np.testing.assert_allclose(fn.grid_sample(x, grid, mode, "border", align), edge)
            mirrored = fn.grid_sample(x, grid, mode, "reflection", align)
            assert abs(mirrored) < 4 * abs(x).max()


def test_a_window_of_zeros_gives_an_even_root_no_slope():
    x = np.array([[[0.0, 0.0, 3.0, 4.0, 1.0, -1.0]]])
    slopes = tl.grad(lambda x: fn.lp_pool1d(x, 2, 2).sum())(x)
    np.testing.assert_allclose(slopes, [[[0, 0, 0.6, 0.8, 0.5**0.5, -(0.5**0.5)]]])
    cancelling = tl.grad(lambda x: fn.lp_pool1d(x, 1, 2).sum())(x)
    np.testing.assert_array_equal(cancelling, np.ones_like(x))


@pytest.mark.oracle
def test_pytorch_gives_the_same_places():
    torch = pytest.importorskip("torch")
    functions = torch.nn.functional
    for ndim, ceil, padding in itertools.product([1, 2, 3], [False, True], [0, 1]):
        x = np.round(normal((2, 2, 6, 7, 5)[: 2 + ndim]) * 2)  # with ties
        name, how = f"max_pool{ndim}d", {"padding": padding, "ceil_mode": ceil}
        for size in (2, 3):
            _, places = getattr(fn, name)(x, 3, size, return_indices=True, **how)
            _, theirs = getattr(functions, name)(
                torch.tensor(x), 3, size, return_indices=True, **how
            )
            np.testing.assert_array_equal(places, theirs.numpy())
            name_of_parts = f"adaptive_max_pool{ndim}d"
            _, places = getattr(fn, name_of_parts)(x, size, return_indices=True)
            _, theirs = getattr(functions, name_of_parts)(torch.tensor(x), size, True)
            np.testing.assert_array_equal(places, theirs.numpy())


@pytest.mark.oracle
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "linear", "area"])
def test_pytorch_gives_the_same_sizes(mode):
    torch = pytest.importorskip("torch")
    for n in range(1, 20):
        x = normal((1, 1, n))
        sizes = [{"size": m} for m in range(1, 50)]
        for how in [*sizes, *({"scale_factor": s} for s in (0.7, 1.3, 2.5, 3, 3.7) if n * s >= 1)]:
            expected = torch.nn.functional.interpolate(torch.tensor(x), mode=mode, **how)
            actual = fn.interpolate(x, mode=mode, **how)
            np.testing.assert_allclose(actual, expected.numpy(), atol=1e-12, err_msg=f"{n} {how}")


@pytest.mark.oracle
def test_layers_say_of_themselves_what_pytorch_says():
    torch = pytest.importorskip("torch")
    images = re.compile("Conv|.*Pool|.*Unpool|.*Pad|Upsampl|Fold|Unfold|.*huffle")
    for case in (case for case in every_case() if images.match(case.name) and case.is_layer):
        theirs = getattr(torch.nn, case.name)(*case.args, **case.options)
        assert repr(case.make()) == repr(theirs)
