"""Activations: what the cases (``cases/activations.py``) and limits do not say.

Kinks, ties, infinities, draws, refusals.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as fn

#: The slope at each kink, PyTorch's.
AT_KINKS = {
    "relu": {0.0: 0.0}, "leaky_relu": {0.0: 0.01}, "elu": {0.0: 1.0}, "celu": {0.0: 1.0},
    "selu": {0.0: 1.7580993408473766}, "relu6": {0.0: 0.0, 6.0: 0.0},
    "hardtanh": {-1.0: 0.0, 1.0: 0.0}, "hardsigmoid": {-3.0: 0.0, 3.0: 0.0},
    "hardswish": {-3.0: 0.0, 3.0: 1.0}, "hardshrink": {-0.5: 0.0, 0.5: 0.0},
    "softshrink": {-0.5: 0.0, 0.5: 0.0}, "softsign": {0.0: 1.0},
}  # fmt: skip


@pytest.mark.parametrize("name", AT_KINKS)
def test_slopes_at_kinks(name: str):
    x = tl.tensor(list(AT_KINKS[name]), requires_grad=True)
    slopes = tl.gradients(getattr(fn, name)(x).sum(), x)
    np.testing.assert_allclose(slopes, list(AT_KINKS[name].values()), rtol=1e-15)


@pytest.mark.oracle
@pytest.mark.parametrize("name", AT_KINKS)
def test_slopes_at_kinks_are_those_of_pytorch(name: str):
    torch = pytest.importorskip("torch")
    x = torch.tensor(list(AT_KINKS[name]), dtype=torch.float64, requires_grad=True)
    getattr(torch.nn.functional, name)(x).sum().backward()
    np.testing.assert_allclose(x.grad, list(AT_KINKS[name].values()), rtol=1e-15)


def test_slopes_of_prelu_and_threshold_at_their_kinks():
    x, w = tl.tensor([0.0, 0.5], requires_grad=True), tl.tensor([0.25], requires_grad=True)
    by_x, by_w = tl.gradients(fn.prelu(x, w).sum(), [x, w])
    assert (by_x.tolist(), by_w.tolist()) == ([0.25, 1.0], [0.0])
    assert tl.gradients(fn.threshold(x, 0.5, 9.0).sum(), x).tolist() == [0.0, 0.0]


def test_softplus_is_the_identity_beyond_its_threshold():
    x = tl.tensor([20.0, 20.5], requires_grad=True)
    y = fn.softplus(x)
    assert y.data.tolist() == [20.000000002061153, 20.5]
    assert tl.gradients(y.sum(), x)[1] == 1.0
    assert fn.softplus(np.array(20.5), threshold=np.inf) > 20.5


def test_gelu_of_many_elements_is_that_of_few():
    x = np.random.default_rng(0).normal(size=(3, 20_000)) * 5
    y = fn.gelu(x)
    np.testing.assert_array_equal(y[:, ::100], fn.gelu(x[:, ::100]))
    jitted = tl.jit(tl.grad(lambda x: fn.gelu(x).sum()), backend="numpy")
    for _ in range(3):
        np.testing.assert_allclose(jitted(x), tl.grad(lambda x: fn.gelu(x).sum())(x), rtol=1e-14)
    np.testing.assert_array_equal(tl.vmap(fn.gelu)(x), y)
    assert fn.gelu(x[:, :0]).shape == (3, 0)


def test_what_is_in_place_in_pytorch_is_not_here():
    x = np.array([-1.0, 2.0])
    for name in ("relu", "leaky_relu", "elu", "celu", "selu", "silu", "mish", "relu6", "hardtanh",
                 "hardsigmoid", "hardswish", "rrelu"):  # fmt: skip
        f = getattr(fn, name)
        np.testing.assert_array_equal(f(x, inplace=True), f(x))
        t = tl.tensor(x, requires_grad=True)
        np.testing.assert_array_equal(f(t, inplace=True).data, f(x))
        tl.grad(lambda t, f=f: f(t, inplace=True).sum())(x)
    assert x.tolist() == [-1.0, 2.0]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: fn.gelu(np.ones(1), approximate="erf"), "'erf'.*'none' or 'tanh'"),
        (lambda: fn.hardtanh(np.ones(1), 2, 1), "min_val=2 is above max_val=1"),
        (lambda: fn.rrelu(np.ones(1), 0.5, 0.1), "lower=0.5 is above upper=0.1"),
        (lambda: fn.softshrink(np.ones(1), -1), "lambd=-1"),
        (lambda: fn.celu(np.ones(1), 0), "alpha=0"),
        (lambda: fn.glu(np.ones((2, 3))), r"\(2, 3\) halves axis 1"),
        (lambda: fn.glu(np.ones(())), "axis -1 is out of bounds"),
        (lambda: fn.prelu(np.ones((2, 3)), np.ones(2)), r"\(2,\).*3 channels"),
        (lambda: fn.softmax(np.ones((2, 3, 4))), r"\(2, 3, 4\).*dim=-1"),
        (lambda: nn.Softmax2d()(np.ones((2, 3))), r"\(2, 3\).*images"),
        (lambda: nn.PReLU(0), "num_parameters=0"),
    ],
)
def test_what_cannot_be_is_refused(call, text: str):
    with pytest.raises(ValueError, match=text):
        call()


def test_a_layer_names_itself_where_its_options_are_wrong():
    with pytest.raises(TypeError, match=r"LeakyReLU\(...\).*'slope'"):
        nn.LeakyReLU(slope=0.1)


LAYERS = {
    "ReLU()": nn.ReLU(), "ReLU(inplace=True)": nn.ReLU(True), "GELU(approximate='none')": nn.GELU(),
    "LeakyReLU(negative_slope=0.2, inplace=True)": nn.LeakyReLU(0.2, True),
    "PReLU(num_parameters=3)": nn.PReLU(3), "Hardshrink(0.5)": nn.Hardshrink(),
    "RReLU(lower=0.125, upper=0.3333333333333333)": nn.RReLU(),
    "Hardtanh(min_val=-1.0, max_val=1.0)": nn.Hardtanh(), "Softmax(dim=1)": nn.Softmax(axis=1),
    "Softplus(beta=1.0, threshold=20.0)": nn.Softplus(), "Softmin(dim=None)": nn.Softmin(),
    "Threshold(threshold=0.1, value=20)": nn.Threshold(0.1, 20), "GLU(dim=-1)": nn.GLU(),
}  # fmt: skip


@pytest.mark.parametrize("text", LAYERS)
def test_text_of_layers_is_that_of_pytorch(text: str):
    assert repr(LAYERS[text]) == text


# -- along an axis ----------------------------------------------------------------------------


def test_the_last_of_two_axes_needs_no_name():
    x = np.random.default_rng(0).normal(size=(2, 3))
    for f in (fn.softmax, fn.softmin, fn.log_softmax):
        np.testing.assert_array_equal(f(x), f(x, 1))
        assert f(x, dim=0, dtype=np.float32).dtype == np.float32


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


def test_they_are_methods_too():
    x = tl.tensor([[1.0, -2.0]], requires_grad=True)
    np.testing.assert_array_equal(x.relu().data, [[1.0, 0.0]])
    np.testing.assert_array_equal(x.sigmoid().data, fn.sigmoid(x.data))
    np.testing.assert_array_equal(x.softmax(axis=1).data, fn.softmax(x.data, 1))


# -- by chance --------------------------------------------------------------------------------


def test_slopes_are_drawn_in_training():
    x = -np.ones((100, 100))
    drawn = -fn.rrelu(x, 0.25, 0.5, training=True, rng=0)
    assert 0.25 <= drawn.min() < 0.251
    assert 0.499 < drawn.max() <= 0.5
    assert abs(drawn.mean() - 0.375) < 0.002
    np.testing.assert_array_equal(drawn, -fn.rrelu(x, 0.25, 0.5, training=True, rng=0))
    t = tl.tensor(x, requires_grad=True)
    slopes = tl.gradients(fn.rrelu(t, 0.25, 0.5, training=True, rng=0).sum(), t)
    np.testing.assert_array_equal(slopes, drawn)
    layer = nn.RReLU(0.25, 0.5, rng=0)
    np.testing.assert_array_equal(layer(x), -drawn)
    assert (layer(x) != -drawn).any()
    assert (layer.eval()(x) == -0.375).all()
    x32 = x.astype(np.float32)
    assert fn.rrelu(x32, training=True, rng=0).dtype == np.float32


def test_gumbel_softmax_draws_classes_by_their_shares():
    shares = np.array([0.5, 0.3, 0.2])
    logits = np.broadcast_to(np.log(shares), (20_000, 3))
    drawn = fn.gumbel_softmax(logits, hard=True, rng=0)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(axis=0), shares, atol=0.01)
    soft = fn.gumbel_softmax(logits, tau=0.7, rng=0)
    np.testing.assert_allclose(soft.sum(axis=1), 1)
    np.testing.assert_array_equal(soft.argmax(axis=1), drawn.argmax(axis=1))
    along = fn.gumbel_softmax(logits.T, hard=True, dim=0, rng=1)
    np.testing.assert_array_equal(along.sum(axis=0), 1)


def test_gumbel_softmax_has_the_gradient_of_the_relaxed_sample():
    logits, g = np.random.default_rng(0).normal(size=(2, 2, 3))
    hard, soft = (
        tl.grad(lambda x, h=h: (fn.gumbel_softmax(x, 0.5, hard=h, rng=0) * g).sum())(logits)
        for h in (True, False)
    )
    np.testing.assert_array_equal(hard, soft)


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


def test_gelu_of_many_numbers_goes_through_jit():
    x = np.linspace(-3, 3, 40_000)
    np.testing.assert_allclose(tl.jit(fn.gelu, backend="numpy")(x), fn.gelu(x), rtol=1e-12)
