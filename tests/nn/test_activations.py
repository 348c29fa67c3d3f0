"""Activations against finite differences, identities and PyTorch; extremes, ties, dtypes, sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tl
from tests.support import check_gradients
from tinygrad_lab.nn import functional as fn

ELEMENTWISE = {
    "sigmoid": fn.sigmoid,
    "tanh": fn.tanh,
    "relu": fn.relu,
    "leaky_relu": fn.leaky_relu,
    "leaky_relu 0.3": lambda x: fn.leaky_relu(x, 0.3),
    "leaky_relu keyword": lambda x: fn.leaky_relu(x, negative_slope=0.3),
    "elu": fn.elu,
    "elu 2": lambda x: fn.elu(x, alpha=2.0),
    "gelu": fn.gelu,
    "silu": fn.silu,
    "softplus": fn.softplus,
    "softplus 3": lambda x: fn.softplus(x, beta=3.0),
}
ALONG = {"softmax": fn.softmax, "log_softmax": fn.log_softmax, "logsumexp": fn.logsumexp}

SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
away_from_kinks = st.floats(0.1, 4.0).flatmap(lambda v: st.sampled_from([v, -v]))
elementwise = pytest.mark.parametrize("name", ELEMENTWISE)


@elementwise
@given(data=st.data())
def test_elementwise_gradients_are_those_of_finite_differences(name, data):
    x = data.draw(npst.arrays(np.float64, SHAPES, elements=away_from_kinks))
    check_gradients(ELEMENTWISE[name], x)


@pytest.mark.parametrize("name", ALONG)
@given(data=st.data())
def test_gradients_along_an_axis_are_those_of_finite_differences(name, data):
    shape = data.draw(npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
    x = data.draw(npst.arrays(np.float64, shape, elements=st.floats(-4, 4)))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    check_gradients(lambda a: ALONG[name](a, axis=axis), x)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp_reduces_the_axes_asked_for(axis, keepdims):
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    expected = np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))
    result = fn.logsumexp(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(result, expected)
    assert np.shape(result) == expected.shape
    check_gradients(lambda a: fn.logsumexp(a, axis=axis, keepdims=keepdims), x)


@elementwise
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_stay(name, dtype):
    x = tl.tensor(np.linspace(-3, 3, 7), dtype=dtype, requires_grad=True)
    y = ELEMENTWISE[name](x)
    assert y.dtype == dtype
    y.sum().backward()
    assert x.grad.dtype == dtype


@pytest.mark.parametrize("name", ALONG)
def test_dtypes_stay_along_an_axis(name):
    x = tl.tensor(np.linspace(-3, 3, 6).reshape(2, 3), dtype=np.float32, requires_grad=True)
    y = ALONG[name](x, axis=1)
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad.dtype == np.float32


@elementwise
def test_plain_arrays_give_plain_arrays(name):
    assert type(ELEMENTWISE[name](np.ones(3))) is np.ndarray


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_sigmoid_is_precise_everywhere_and_never_overflows(dtype):
    largest = {np.float16: 9.0, np.float32: 87.0, np.float64: 708.0}[dtype]
    x = np.linspace(-largest, largest, 1001).astype(dtype)
    wide = x.astype(np.longdouble)
    expected = np.where(wide < 0, np.exp(wide) / (1 + np.exp(wide)), 1 / (1 + np.exp(-wide)))
    eps = np.finfo(dtype).eps
    # exp itself loses some bits where its argument is large
    np.testing.assert_allclose(fn.sigmoid(x), expected.astype(dtype), rtol=8 * eps)
    extreme = fn.sigmoid(np.array([-np.inf, -60000, 60000, np.inf], dtype=dtype))
    assert extreme[0] <= np.finfo(dtype).tiny * 2
    assert extreme[3] == 1
    assert extreme.dtype == dtype


def test_sigmoid_passes_nan_on():
    assert np.isnan(fn.sigmoid(np.array([np.nan]))).all()


@given(npst.arrays(np.float64, (2, 3), elements=st.floats(-700, 700)))
def test_softmax_sums_to_one_and_agrees_with_its_logarithm(x):
    p = fn.softmax(x, axis=1)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(fn.log_softmax(x, axis=1)), p, atol=1e-300)
    np.testing.assert_allclose(
        fn.logsumexp(x, axis=1), x[:, 0] - fn.log_softmax(x, axis=1)[:, 0], atol=1e-9
    )


def test_logsumexp_of_infinities():
    x = np.array([[-np.inf, -np.inf], [np.inf, 0.0], [-np.inf, 1.0]])
    np.testing.assert_array_equal(fn.logsumexp(x, axis=1), [-np.inf, np.inf, 1.0])
    t = tl.tensor(x[[2]], requires_grad=True)
    fn.logsumexp(t, axis=1).sum().backward()
    np.testing.assert_array_equal(t.grad, [[0.0, 1.0]])


@pytest.mark.parametrize("f", [fn.relu, fn.leaky_relu, fn.elu])
def test_slope_at_zero(f):
    x = tl.tensor([0.0], requires_grad=True)
    f(x).backward()
    assert x.grad[0] == {fn.relu: 0.0, fn.leaky_relu: 0.01, fn.elu: 1.0}[f]


def test_they_are_methods_too():
    x = tl.tensor([[1.0, -2.0]], requires_grad=True)
    np.testing.assert_array_equal(x.relu().data, [[1.0, 0.0]])
    np.testing.assert_array_equal(x.sigmoid().data, fn.sigmoid(x.data))
    np.testing.assert_array_equal(x.softmax(axis=1).data, fn.softmax(x.data, 1))


def test_gelu_says_what_it_has():
    with pytest.raises(ValueError, match="only 'tanh'"):
        fn.gelu(np.ones(1), approximate="none")


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (fn.sigmoid, "sigmoid"),
        (fn.relu, "relu"),
        (fn.leaky_relu, "leaky_relu"),
        (fn.elu, "elu"),
        (fn.silu, "silu"),
        (fn.gelu, "gelu"),
        (lambda x: fn.softmax(x, 1), "softmax"),
        (lambda x: fn.log_softmax(x, 1), "log_softmax"),
    ],
)
def test_pytorch_gives_the_same(ours, theirs):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(4, 5)) * 3
    keywords = {"gelu": {"approximate": "tanh"}, "softmax": {"dim": 1}, "log_softmax": {"dim": 1}}
    other = torch.tensor(x, requires_grad=True)
    expected = getattr(torch.nn.functional, theirs)(other, **keywords.get(theirs, {}))
    g = np.random.default_rng(1).normal(size=x.shape)
    expected.backward(torch.tensor(g))
    t = tl.tensor(x, requires_grad=True)
    y = ours(t)
    y.backward(g)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(t.grad, other.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("f", [fn.sigmoid, fn.tanh, fn.softplus, fn.silu], ids=lambda f: f.__name__)
def test_complex_numbers_are_computed_with_or_refused(f):
    z = np.array([1 + 1j, -1 + 2j, -3 - 0.5j])
    sigmoid = 1 / (1 + np.exp(-z))
    expected = {fn.sigmoid: sigmoid, fn.tanh: np.tanh(z)}
    if f in expected:
        np.testing.assert_allclose(f(z), expected[f], rtol=1e-14)
        slope = tl.jacobian(f)(z).diagonal()
        np.testing.assert_allclose(
            slope, {fn.sigmoid: sigmoid * (1 - sigmoid)}.get(f, 1 - np.tanh(z) ** 2), rtol=1e-13
        )
    else:
        with pytest.raises(TypeError, match="not supported for the input types"):
            f(z)
