"""Convolution and pooling: finite differences, PyTorch, blocks, foreign arrays, bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.support import check_gradients
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


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_small_blocks_compute_the_same(monkeypatch, stride, dilation):
    x, w = normal((5, 4, 40, 9)), normal((6, 2, 3, 3))

    def results():
        tx, tw = tl.tensor(x, requires_grad=True), tl.tensor(w, requires_grad=True)
        y = fn.conv2d(tx, tw, None, stride, 1, dilation, 2)
        y.backward(np.cos(y.data))
        return y.data, tx.grad, tw.grad

    whole = results()
    monkeypatch.setattr(planes, "BLOCK", 1)
    monkeypatch.setattr(planes, "SMALL_PRODUCT", 1)
    monkeypatch.setattr(planes, "FEWEST_OUTPUTS", 1)
    for a, b in zip(results(), whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


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
    channels=st.integers(1, 3),
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
