"""Losses against finite differences, PyTorch, and what is easy to get wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.support import check_gradients
from tinygrad_lab.nn import functional as fn

REDUCTIONS = ["mean", "sum", "none"]
reductions = pytest.mark.parametrize("reduction", REDUCTIONS)
SHAPES = st.lists(st.integers(1, 3), max_size=3).map(tuple)


def normal(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def between(shape, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 0.9, size=shape)


@reductions
@given(shape=SHAPES)
def test_regression_gradients(reduction, shape):
    a, b = normal(shape), normal(shape, 1)
    check_gradients(lambda x, y: fn.mse_loss(x, y, reduction=reduction), a, b)
    check_gradients(lambda x, y: fn.l1_loss(x, y, reduction), a, b, order=1)


@reductions
@given(shape=SHAPES)
def test_binary_gradients(reduction, shape):
    check_gradients(
        lambda p, t: fn.binary_cross_entropy(p, t, reduction=reduction),
        between(shape),
        between(shape, 1),
    )
    check_gradients(
        lambda x, t: fn.binary_cross_entropy_with_logits(x, t, reduction=reduction),
        normal(shape) * 3,
        between(shape, 1),
    )


@reductions
@given(n=st.integers(1, 4), classes=st.integers(1, 4), more=st.sampled_from([(), (2,), (2, 3)]))
def test_class_gradients(reduction, n, classes, more):
    x = normal((n, classes, *more))
    labels = np.random.default_rng(0).integers(0, classes, size=(n, *more))
    check_gradients(lambda a: fn.cross_entropy(a, labels, reduction=reduction), x)
    check_gradients(lambda a: fn.nll_loss(a, labels, reduction=reduction), x)


@reductions
def test_class_gradients_by_probabilities_and_their_gradients(reduction):
    x = normal((3, 4))
    p = between((3, 4))
    check_gradients(lambda a, q: fn.cross_entropy(a, q, reduction=reduction), x, p)


def test_cross_entropy_is_log_softmax_and_nll():
    x, labels = normal((5, 3)), np.array([0, 2, 1, 1, 0])
    actual = fn.cross_entropy(x, labels)
    np.testing.assert_allclose(actual, fn.nll_loss(fn.log_softmax(x, 1), labels))
    np.testing.assert_allclose(actual, fn.cross_entropy(x, np.eye(3)[labels]))


@pytest.mark.parametrize("loss", [fn.mse_loss, fn.l1_loss, fn.binary_cross_entropy,
                                  fn.binary_cross_entropy_with_logits])  # fmt: skip
@pytest.mark.parametrize("wrap", [np.asarray, tl.tensor])
def test_shapes_that_would_broadcast_are_errors(loss, wrap):
    with pytest.raises(ValueError, match=r"\(4, 1\).*\(4,\)"):
        loss(wrap(between((4, 1))), between(4))


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: fn.mse_loss(x, x),
        lambda x: fn.l1_loss(x, x),
        lambda x: fn.binary_cross_entropy(x, x),
        lambda x: fn.cross_entropy(x, np.zeros(0, dtype=int)),
        lambda x: fn.nll_loss(x, np.zeros(0, dtype=int)),
    ],
)
def test_the_mean_over_nothing_is_an_error(loss):
    with pytest.raises(ValueError, match="sum"):
        loss(np.zeros((0, 3)))


def test_sums_over_nothing_are_zero():
    assert fn.mse_loss(np.zeros((0, 3)), np.zeros((0, 3)), "sum") == 0
    assert fn.cross_entropy(np.zeros((0, 3)), np.zeros(0, dtype=int), reduction="sum") == 0


@pytest.mark.parametrize("label", [3, -1, 100])
@pytest.mark.parametrize("loss", [fn.cross_entropy, fn.nll_loss])
def test_a_label_outside_the_classes_is_named_with_its_place(loss, label):
    labels = np.array([[0, 1], [2, label]])
    with pytest.raises(IndexError, match=rf"label {label} at \[1, 1\].*0 to 2"):
        loss(tl.tensor(normal((2, 3, 2)), requires_grad=True), labels)


@pytest.mark.parametrize("loss", [fn.cross_entropy, fn.nll_loss])
def test_labels_of_the_wrong_kind_or_shape(loss):
    x = normal((4, 3))
    with pytest.raises(TypeError, match="integers"):
        loss(x, np.zeros(4))
    with pytest.raises(ValueError, match=r"\(5,\).*\(4, 3\)"):
        loss(x, np.zeros(5, dtype=int))
    with pytest.raises(ValueError, match="3 classes"):
        loss(x, np.zeros(4, dtype=int), weight=np.ones(2))


def test_unknown_reduction():
    for loss in (fn.mse_loss, fn.l1_loss, fn.binary_cross_entropy):
        with pytest.raises(ValueError, match=r"'avg'.*'mean'"):
            loss(between(3), between(3), reduction="avg")
    with pytest.raises(ValueError, match="'avg'"):
        fn.cross_entropy(normal((2, 2)), np.array([0, 1]), reduction="avg")


def test_binary_cross_entropy_refuses_logits():
    with pytest.raises(ValueError, match="sigmoid"):
        fn.binary_cross_entropy(np.array([0.5, 1.5]), np.array([0.0, 1.0]))


def test_certain_and_wrong_costs_a_hundred():
    loss = fn.binary_cross_entropy(np.array([0.0, 1.0]), np.array([1.0, 1.0]), reduction="none")
    np.testing.assert_allclose(loss, [100.0, 0.0])


@pytest.mark.parametrize("x", [-1000.0, 1000.0])
def test_logits_of_any_size(x):
    t = tl.tensor([x], requires_grad=True)
    loss = fn.binary_cross_entropy_with_logits(t, np.array([1.0]))
    loss.backward()
    assert loss.item() == max(-x, 0)
    assert t.grad[0] == (-1 if x < 0 else 0)


def test_an_impossible_class_costs_the_others_nothing():
    x = tl.tensor([[0.0, -np.inf, 0.0]], requires_grad=True)
    loss = fn.cross_entropy(x, np.array([0]))
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2))
    np.testing.assert_allclose(x.grad, [[-0.5, 0.0, 0.5]])


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: fn.mse_loss(x, np.ones((2, 3), np.float32)),
        lambda x: fn.l1_loss(x, np.ones((2, 3), np.float32)),
        lambda x: fn.binary_cross_entropy_with_logits(x, np.ones((2, 3), np.float32)),
        lambda x: fn.cross_entropy(x, np.array([0, 1])),
        lambda x: fn.cross_entropy(x, np.array([0, 1]), weight=np.ones(3, np.float32)),
        lambda x: fn.cross_entropy(x, np.array([0, 1]), label_smoothing=0.1),
        lambda x: fn.nll_loss(x, np.array([0, 1])),
    ],
)
def test_float32_stays(loss):
    x = tl.tensor(normal((2, 3)), dtype=np.float32, requires_grad=True)
    y = loss(x)
    y.backward()
    assert y.dtype == np.float32
    assert x.grad.dtype == np.float32


@pytest.mark.oracle
@reductions
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["labels", "ignored", "probabilities"])
def test_pytorch_gives_the_same_cross_entropy(reduction, weighted, smoothing, kind):
    torch = pytest.importorskip("torch")
    x, weight = normal((5, 4, 2)), between(4) if weighted else None
    target = np.random.default_rng(0).integers(0, 4, size=(5, 2))
    if kind == "ignored":
        target[1:3, 0] = -100
    if kind == "probabilities":
        target = fn.softmax(normal((5, 4, 2), 1), axis=1)
    other = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        other,
        torch.tensor(target),
        None if weight is None else torch.tensor(weight),
        reduction=reduction,
        label_smoothing=smoothing,
    )
    g = normal(tuple(expected.shape), 2)
    expected.backward(torch.tensor(g))
    t = tl.tensor(x, requires_grad=True)
    loss = fn.cross_entropy(t, target, weight, reduction=reduction, label_smoothing=smoothing)
    loss.backward(g)
    np.testing.assert_allclose(loss.data, expected.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(t.grad, other.grad.numpy(), atol=1e-12)


@pytest.mark.oracle
@reductions
def test_pytorch_gives_the_same_binary_losses(reduction):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.functional
    x, target, weight = normal((4, 3)), between((4, 3)), between((4, 3), 1)
    pos = between(3, 2)
    cases = [
        (
            fn.binary_cross_entropy_with_logits(x, target, weight, reduction, pos),
            theirs.binary_cross_entropy_with_logits(
                *map(torch.tensor, (x, target, weight)),
                reduction=reduction,
                pos_weight=torch.tensor(pos),
            ),
        ),
        (
            fn.binary_cross_entropy(fn.sigmoid(x), target, weight, reduction),
            theirs.binary_cross_entropy(
                torch.sigmoid(torch.tensor(x)), *map(torch.tensor, (target, weight)),
                reduction=reduction,
            ),
        ),
    ]  # fmt: skip
    for actual, expected in cases:
        np.testing.assert_allclose(actual, expected.numpy(), atol=1e-12)
