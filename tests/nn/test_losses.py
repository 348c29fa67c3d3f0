"""Losses: what the cases (``cases/losses.py``) and limits do not say.

Bad input, integers and booleans for targets, ends, and identities between losses.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as fn

LOSSES = [
    *fn.losses.__all__, *fn.classification.__all__, *fn.margins.__all__,
]  # fmt: skip
#: A call of each loss: arguments that fit.
ROWS, MORE = np.array([[0.25, 0.5, 0.75], [0.5, 0.125, 0.25]]), np.full((2, 3), 0.5)
ARGUMENTS: dict[str, tuple[Any, ...]] = dict.fromkeys(LOSSES, (ROWS, MORE)) | {
    "gaussian_nll_loss": (ROWS, MORE, MORE), "cross_entropy": (ROWS, np.array([0, 2])),
    "nll_loss": (ROWS, np.array([0, 2])), "multi_margin_loss": (ROWS, np.array([0, 2])),
    "multilabel_margin_loss": (ROWS, np.array([[0, -1, 0], [1, 2, -1]])),
    "margin_ranking_loss": (ROWS, MORE, np.ones((2, 3))),
    "cosine_embedding_loss": (ROWS, MORE, np.array([1, -1])),
    "triplet_margin_loss": (ROWS, MORE, -MORE),
    "triplet_margin_with_distance_loss": (ROWS, MORE, -MORE),
}  # fmt: skip
each_loss = pytest.mark.parametrize("name", LOSSES)


@each_loss
def test_an_unknown_reduction_is_refused(name: str):
    with pytest.raises(ValueError, match=r"'avg'.*'mean'"):
        getattr(fn, name)(*ARGUMENTS[name], reduction="avg")


@each_loss
@pytest.mark.parametrize("old", [{"size_average": True}, {"reduce": False}])
def test_old_words_are_told_of(name: str, old: dict[str, Any]):
    if name in ("huber_loss", "gaussian_nll_loss", "triplet_margin_with_distance_loss"):
        pytest.skip("PyTorch's never had them, and says no more")
    with pytest.raises(TypeError, match=rf"{next(iter(old))} .*reduction='mean'"):
        getattr(fn, name)(*ARGUMENTS[name], **old)


def test_old_words_are_told_of_by_layers():
    with pytest.raises(TypeError, match=r"size_average .*reduction='mean'"):
        nn.MSELoss(size_average=False)


@each_loss
def test_the_mean_over_no_samples_is_an_error(name: str):
    nothing = [x[:0] for x in ARGUMENTS[name]]
    with pytest.raises(ValueError, match="sum"):
        getattr(fn, name)(*nothing)
    assert getattr(fn, name)(*nothing, reduction="sum") == 0


@each_loss
def test_shapes_that_would_broadcast_are_errors(name: str):
    first, *others, last = ARGUMENTS[name]
    wide = last[:1] if last.ndim > 1 else np.tile(last, 2)
    for wrap in (np.asarray, tl.tensor):
        with pytest.raises(ValueError, match=r"\(.*\).*\(.*\)"):
            getattr(fn, name)(wrap(first), *others, wide)


@each_loss
def test_the_layer_holds_the_options(name: str):
    """Each function has a layer, with the options of PyTorch's and the same result."""
    layer = next(c for c in vars(nn).values() if getattr(c, "function", 0) is getattr(fn, name))
    loss = layer(reduction="sum")
    assert loss(*ARGUMENTS[name]) == getattr(fn, name)(*ARGUMENTS[name], reduction="sum")
    assert repr(loss) == f"{layer.__name__}()"
    assert "reduction" in inspect.signature(layer).parameters


def test_class_weights_are_buffers():
    weight = np.array([1.0, 2.0, 3.0])
    loss = nn.CrossEntropyLoss(weight.tolist(), label_smoothing=0.1)
    np.testing.assert_array_equal(loss.state_dict()["weight"], weight)
    x, y = ARGUMENTS["cross_entropy"]
    assert loss(x, y) == fn.cross_entropy(x, y, weight, label_smoothing=0.1)
    assert loss.to(np.float32)(x.astype(np.float32), y).dtype == np.float32
    assert list(nn.BCEWithLogitsLoss(pos_weight=weight).state_dict()) == ["pos_weight"]
    assert list(nn.CrossEntropyLoss().state_dict()) == []


@pytest.mark.parametrize("name", [name for name in LOSSES if len(ARGUMENTS[name]) == 2])
@pytest.mark.parametrize("kind", [np.int64, bool])
def test_targets_of_integers_keep_float32(name: str, kind: Any):
    x, y = ARGUMENTS[name]
    target = y if y.dtype.kind == "i" else np.array([[0, 1, 1], [1, 0, 1]])
    if y.dtype.kind == "f":
        target = target.astype(kind)
    t = tl.tensor(x, dtype=np.float32, requires_grad=True)
    loss = getattr(fn, name)(t, target)
    loss.backward()
    assert loss.dtype == t.grad.dtype == np.float32
    np.testing.assert_allclose(loss.item(), getattr(fn, name)(x, target.astype(float)
                               if y.dtype.kind == "f" else target), rtol=1e-6)  # fmt: skip


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: fn.huber_loss(ROWS, MORE, delta=0), "delta=0"),
        (lambda: fn.huber_loss(ROWS, MORE, weight=np.ones(3)), r"\(2, 3\).*weight \(3,\)"),
        (lambda: fn.mse_loss(ROWS, MORE, weight=np.ones(3)), r"\(2, 3\).*weight \(3,\)"),
        (lambda: fn.smooth_l1_loss(ROWS, MORE, beta=-1), "beta=-1"),
        (lambda: fn.binary_cross_entropy(ROWS * 2, MORE), "input spans 0.25 to 1.5.*sigmoid"),
        (lambda: fn.binary_cross_entropy(ROWS, MORE * -1), "target spans -0.5 to -0.5"),
        (lambda: fn.binary_cross_entropy(ROWS, MORE, np.ones((4, 2, 3))), r"weight.*\(4, 2, 3\)"),
        (lambda: fn.gaussian_nll_loss(ROWS, MORE, np.ones(3)), r"var \(3,\).*\(2, 1\)"),
        (lambda: fn.gaussian_nll_loss(ROWS, MORE, -MORE), "variance of -0.5"),
        (lambda: fn.gaussian_nll_loss(ROWS, MORE, -1.0), "variance of -1.0"),
        (lambda: fn.multi_margin_loss(ROWS, np.array([0, 1]), p=3), "p=3"),
        (lambda: fn.multi_margin_loss(ROWS[None], np.array([[0, 1]])), r"\(1, 2, 3\)"),
        (lambda: fn.multi_margin_loss(ROWS, np.array([0, 1]), weight=np.ones(2)), "3 classes"),
        (lambda: fn.triplet_margin_loss(ROWS, MORE, MORE, margin=0), "margin=0"),
        (lambda: fn.cosine_embedding_loss(ROWS, MORE, np.ones(3)), r"\(2, 3\).*\(3,\)"),
        (lambda: fn.cross_entropy(ROWS, MORE, ignore_index=1), "ignore_index=1.*no label"),
        (lambda: fn.cross_entropy(ROWS, MORE, label_smoothing=1.5), "label_smoothing=1.5"),
    ],
)
def test_what_cannot_be_is_refused(call: Any, text: str):
    with pytest.raises(ValueError, match=text):
        call()


def test_a_label_outside_the_classes_of_margins_is_named():
    with pytest.raises(IndexError, match=r"label -100 at \[1\].*0 to 2"):
        fn.multi_margin_loss(ROWS, np.array([0, -100]))
    with pytest.raises(IndexError, match=r"label 3 at \[1, 0\].*0 to 2"):
        fn.multilabel_margin_loss(ROWS, np.array([[0, -1, 7], [3, -1, 0]]))


def test_labels_under_jit_and_vmap():
    x, y = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 2, 1, 1])
    listed = np.array([[0, 1, -1], [2, -1, -1], [1, 0, -1], [-1, 0, 0]])
    for f, labels in [
        (fn.cross_entropy, y), (fn.nll_loss, y), (fn.multi_margin_loss, y),
        (fn.multilabel_margin_loss, listed),
    ]:  # fmt: skip
        slope = tl.grad(f)
        jitted, expected = tl.jit(slope, backend="numpy"), slope(x, labels)
        for _ in range(3):
            np.testing.assert_allclose(jitted(x, labels), expected, rtol=1e-14)
        np.testing.assert_allclose(jitted(x, labels[::-1]), slope(x, labels[::-1]), rtol=1e-14)
        each = tl.vmap(slope)(x, labels)
        np.testing.assert_allclose(each / 4, expected, rtol=1e-14)
        for wrong in (jitted, tl.vmap(slope)):
            with pytest.raises(IndexError, match="label 3"):
                wrong(x, np.where(labels == 2, 3, labels))


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_logits_of_any_size_in_any_loss(size: float):
    x = np.array([[size, -size, 0.0]])
    for loss in (
        lambda t: fn.cross_entropy(t, np.array([1])),
        lambda t: fn.cross_entropy(t, np.array([[0.5, 0.25, 0.5]]), label_smoothing=0.1),
        lambda t: fn.binary_cross_entropy_with_logits(t, np.array([[0.0, 1.0, 0.5]])),
        lambda t: fn.soft_margin_loss(t, np.array([[1.0, -1.0, 1.0]])),
        lambda t: fn.multilabel_soft_margin_loss(t, np.array([[1.0, 0.0, 1.0]])),
        lambda t: fn.huber_loss(t, np.zeros((1, 3))),
        lambda t: fn.multi_margin_loss(t, np.array([1])),
    ):
        value, slope = tl.value_and_grad(loss)(x)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


def test_slopes_of_margins_at_their_kinks_are_those_of_pytorch():
    t = tl.tensor([1.0, 1.0], requires_grad=True)
    assert tl.gradients(fn.margin_ranking_loss(t, [1, 1], [1, -1], reduction="sum"), t).tolist() \
        == [-1.0, 1.0]  # fmt: skip
    assert tl.gradients(fn.hinge_embedding_loss(t, [1, -1], reduction="sum"), t).tolist() \
        == [1.0, -1.0]  # fmt: skip


def test_gaussian_variances_are_at_least_eps():
    var = tl.tensor([0.0, 0.25], requires_grad=True)
    loss = fn.gaussian_nll_loss(np.zeros(2), np.ones(2), var, eps=0.5, reduction="none")
    np.testing.assert_allclose(loss.data, 0.5 * (np.log(0.5) + 2))
    np.testing.assert_allclose(tl.gradients(loss.sum(), var), 0.5 * (1 / 0.5 - 1 / 0.25))
    assert fn.gaussian_nll_loss([1.0], [3.0], 1.0) == 2.0


def test_kl_div_of_what_is_certain():
    q = tl.tensor([[1.0, 0.0]], requires_grad=True)
    loss = fn.kl_div(np.log([[0.5, 0.5]]), q, reduction="batchmean")
    assert loss.item() == pytest.approx(np.log(2))
    assert np.isfinite(tl.gradients(loss, q)).all()
    assert fn.kl_div(-1.0, 0.5, reduction="batchmean") == fn.kl_div(-1.0, 0.5, reduction="sum")


# -- classes, and ends -----------------------------------------------------------------------


def normal(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def between(shape, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 0.9, size=shape)


def test_cross_entropy_is_log_softmax_and_nll():
    x, labels = normal((5, 3)), np.array([0, 2, 1, 1, 0])
    actual = fn.cross_entropy(x, labels)
    np.testing.assert_allclose(actual, fn.nll_loss(fn.log_softmax(x, 1), labels))
    np.testing.assert_allclose(actual, fn.cross_entropy(x, np.eye(3)[labels]))


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


def test_certain_and_wrong_costs_a_hundred():
    loss = fn.binary_cross_entropy(np.array([0.0, 1.0]), np.array([1.0, 1.0]), reduction="none")
    np.testing.assert_allclose(loss, [100.0, 0.0])


def test_an_impossible_class_costs_the_others_nothing():
    x = tl.tensor([[0.0, -np.inf, 0.0]], requires_grad=True)
    loss = fn.cross_entropy(x, np.array([0]))
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2))
    np.testing.assert_allclose(x.grad, [[-0.5, 0.0, 0.5]])
