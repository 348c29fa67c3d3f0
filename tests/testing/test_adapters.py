"""Functions of other libraries, and hand-written backprop with the mistakes people make."""

import numpy as np
import pytest

from tinygrad_lab import testing as tgt

rng = np.random.default_rng(0)
X, Y = rng.uniform(size=(2, 12)), rng.integers(0, 2, (1, 12)).astype(float)
PARAMETERS = [rng.normal(size=s) for s in [(4, 2), (4, 1), (4, 4), (4, 1), (1, 4), (1, 1)]]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss(W1, b1, W2, b2, W3, b3):
    Z1 = W1 @ X + b1
    A1 = sigmoid(Z1)
    Z2 = W2 @ A1 + b2
    A2 = sigmoid(Z2)
    Z3 = W3 @ A2 + b3
    A3 = sigmoid(Z3)
    return np.mean((A3 - Y) ** 2)


def backward(W1, b1, W2, b2, W3, b3, last):
    """A report's derivation; `last` is its dZ3."""
    n = X.shape[1]
    A1 = sigmoid(W1 @ X + b1)
    A2 = sigmoid(W2 @ A1 + b2)
    A3 = sigmoid(W3 @ A2 + b3)
    dZ3 = last(A3, n)
    dW3 = dZ3 @ A2.T
    db3 = dZ3.sum(axis=1, keepdims=True)
    dZ2 = (W3.T @ dZ3) * A2 * (1 - A2)
    dW2 = dZ2 @ A1.T
    db2 = dZ2.sum(axis=1, keepdims=True)
    dZ1 = (W2.T @ dZ2) * A1 * (1 - A1)
    return dZ1 @ X.T, dZ1.sum(axis=1, keepdims=True), dW2, db2, dW3, db3


def hand_written(last):
    return tgt.adapters.numpy(loss, grad=lambda *p: backward(*p, last))


def watched(last):
    def step(W1, b1, W2, b2, W3, b3):
        n = X.shape[1]
        A1 = sigmoid(W1 @ X + b1)
        A2 = sigmoid(W2 @ A1 + b2)
        A3 = sigmoid(W3 @ A2 + b3)
        dZ3 = last(A3, n)
        dW3 = dZ3 @ A2.T
        db3 = dZ3.sum(axis=1, keepdims=True)
        dZ2 = (W3.T @ dZ3) * A2 * (1 - A2)
        dW2 = dZ2 @ A1.T
        db2 = dZ2.sum(axis=1, keepdims=True)
        dZ1 = (W2.T @ dZ2) * A1 * (1 - A1)
        return dZ1 @ X.T, dZ1.sum(axis=1, keepdims=True), dW2, db2, dW3, db3

    return tgt.adapters.numpy(loss, grad=step)


def right(A3, n):
    return 2 * (A3 - Y) * A3 * (1 - A3) / n


def without_sigmoid(A3, n):
    return 2 * (A3 - Y) / n


def failure(fn, *inputs, **kwargs):
    with pytest.raises(tgt.GradientError) as caught:
        tgt.gradcheck(fn, *inputs, **kwargs)
    return caught.value


def test_a_right_step_passes():
    report = tgt.gradcheck(hand_written(right), *PARAMETERS)
    assert report.passed
    assert report.resolution < 1e-6


def test_the_missing_sigmoid_derivative_is_found_with_its_line_and_factor():
    text = str(failure(watched(without_sigmoid), *PARAMETERS))
    assert "first wrong line: test_adapters.py" in text
    assert "dZ3 = last(A3, n)" in text
    assert "the factor A3 * (1 - A3) is missing" in text


def test_a_wrong_constant_is_told_by_the_ratio():
    text = str(failure(watched(lambda A3, n: right(A3, n) * n), *PARAMETERS))
    assert "dZ3 = last(A3, n)" in text
    assert "not divided by 12, the number of" in text


def test_a_vjp_and_the_constants_beside_it():
    def scaled(x, factor):
        return np.sin(x) * factor

    good = tgt.adapters.numpy(scaled, lambda g, x, factor: g * np.cos(x) * factor)
    assert tgt.gradcheck(good, np.array([0.5, 1.0]), 3).passed
    bad = tgt.adapters.numpy(scaled, lambda g, x, factor: g * np.cos(x))
    assert "ratio 0.333" in str(failure(bad, np.array([0.5, 1.0]), 3))


def test_several_outputs():
    f = lambda x: (np.sin(x), x * x)
    good = tgt.adapters.numpy(f, lambda g, x: g[0] * np.cos(x) + g[1] * 2 * x)
    assert tgt.gradcheck(good, np.array([0.5, 1.0])).passed
    bad = tgt.adapters.numpy(f, lambda g, x: g[0] * np.cos(x))
    assert failure(bad, np.array([0.5, 1.0])).finding.kind == "wrong"


@pytest.mark.parametrize(
    ("vjp", "kind"),
    [
        (lambda g, a, b: None, "returns nothing"),
        (lambda g, a, b: (g * b,), "count"),
        (lambda g, a, b: (g * b, None), "missing"),
        (lambda g, a, b: (g * b, "no"), "not float"),
        (lambda g, a, b: (g * b, (g * a)[:1]), "shape"),
        (lambda g, a, b: ((g * b).astype(np.float32), g * a), "dtype"),
        (lambda g, a, b: (1 / 0, g), "raises"),
        (lambda g, a, b: (g.__imul__(b), g * a), "mutates upstream"),
        (lambda g, a, b: (np.random.default_rng().random(a.shape) * b, g * a), "not repeatable"),
    ],
)
def test_what_is_no_gradient_is_named_for_what_it_is(vjp, kind):
    error = failure(tgt.adapters.numpy(np.multiply, vjp), np.ones(3), np.full(3, 2.0))
    assert error.finding.kind == kind


def test_one_buffer_for_two_gradients():
    shared = tgt.adapters.numpy(np.add, lambda g, a, b: (g, g))
    assert failure(shared, np.ones(3), np.ones(3)).finding.kind == "aliasing"


@pytest.mark.oracle
def test_torch():
    torch = pytest.importorskip("torch")
    x = np.array([[0.5, 1.0], [-1.0, 2.0]])
    assert tgt.gradcheck(tgt.adapters.torch(lambda a: torch.tanh(a) @ a), x).passed

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    error = failure(tgt.adapters.torch(Doubled.apply, name="doubled"), x)
    assert "ratio 1.500" in str(error) or error.finding.property == "exact"

    class Overwriting(Doubled):
        @staticmethod
        def backward(ctx, g):
            return g.mul_(2)

    error = failure(tgt.adapters.torch(Overwriting.apply, name="overwriting"), x)
    assert error.finding.kind == "mutates upstream"


def test_autograd():
    anp = pytest.importorskip("autograd.numpy")
    x = np.array([[0.5, 1.0], [-1.0, 2.0]])
    f = lambda a, b: anp.tanh(a) @ b
    assert tgt.gradcheck(tgt.adapters.autograd(f), x, x + 1).passed


def test_jax():
    jnp = pytest.importorskip("jax.numpy")
    assert tgt.gradcheck(tgt.adapters.jax(lambda a: jnp.tanh(a) @ a), np.eye(2)).passed
