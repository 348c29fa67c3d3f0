"""Warnings of layers and losses: once a place, where the user's line is, and not more often."""

import warnings

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.support import warnings_of
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as F

LABELS = np.array([0, 2, 1, 0])


def logits():
    x = np.random.default_rng(0).normal(size=(4, 3)) * 3
    return tl.tensor(x, requires_grad=True)


def shown(action, times=1):
    caught = warnings_of(action, times)
    assert {w.filename for w in caught} <= {__file__}
    assert all(issubclass(w.category, tl.TrainingWarning) for w in caught)
    return [w.category.__name__ for w in caught]


def by_hand(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


PROBABILITIES = {
    "softmax": tl.softmax,
    "softmax layer": nn.Sequential(nn.Linear(3, 3, rng=0), nn.Softmax()),
    "method": lambda x: x.softmax() if hasattr(x, "softmax") else tl.softmax(x),
    "sigmoid": tl.sigmoid,
    "sigmoid at the end of an MLP": nn.MLP([3, 3], output_activation="sigmoid", rng=0),
    "by hand": by_hand,
    "of log_softmax": lambda x: np.exp(tl.log_softmax(x)),
    "reshaped": lambda x: tl.softmax(x.reshape(2, 2, 3), axis=-1).reshape(4, 3),
    "other precision": lambda x: tl.softmax(x).astype(np.float32),
    "chosen rows": lambda x: tl.softmax(x)[[3, 2, 1, 0]],
}
LOGITS = {
    "as they are": lambda x: x,
    "linear": nn.Linear(3, 3, rng=0),
    "log_softmax": tl.log_softmax,
    "scaled": lambda x: x / 2.0,
    "positive": np.exp,
    "softmax inside": lambda x: tl.softmax(x) @ np.diag([1.0, 2.0, 3.0]),
    "scaled softmax": lambda x: tl.softmax(x) * 10,
    "relu": tl.relu,
    "plain": lambda x: x.data,
    "detached": lambda x: tl.softmax(x).detach(),
}


@pytest.mark.parametrize("f", PROBABILITIES.values(), ids=PROBABILITIES)
def test_probabilities_where_logits_are_taken(f):
    assert shown(lambda: F.cross_entropy(f(logits()), LABELS), 3) == ["LossInputWarning"]


@pytest.mark.parametrize("f", LOGITS.values(), ids=LOGITS)
def test_logits_are_not_warned_of(f):
    assert shown(lambda: F.cross_entropy(f(logits()), LABELS)) == []


def test_probabilities_of_yes_or_no():
    target = np.eye(4, 3)
    loss = F.binary_cross_entropy_with_logits
    assert shown(lambda: loss(tl.sigmoid(logits()), target)) == ["LossInputWarning"]
    assert shown(lambda: loss(logits(), target)) == []
    assert shown(lambda: F.binary_cross_entropy(tl.sigmoid(logits()), target)) == []


@pytest.mark.parametrize("f", PROBABILITIES.values(), ids=PROBABILITIES)
def test_probabilities_where_their_logarithms_are_taken(f):
    assert shown(lambda: F.nll_loss(f(logits()), LABELS), 3) == ["LossInputWarning"]
    for g in (tl.log_softmax, lambda x: np.log(tl.softmax(x)), lambda x: -np.abs(x)):
        assert shown(lambda g=g: F.nll_loss(g(logits()), LABELS)) == []


IMAGES = np.ones((1, 1, 4, 4))


@pytest.mark.parametrize(
    ("layer", "x", "expected"),
    [
        (nn.Linear(3, 1, rng=0), np.ones((2, 3), np.float32), 1),
        (nn.Linear(3, 1, rng=0), np.ones((2, 3), np.float16), 1),
        (nn.Linear(3, 1, dtype=np.float32, rng=0), np.ones((2, 3)), 1),
        (nn.Linear(3, 1, dtype=np.float32, rng=0), np.ones((2, 3), np.int64), 1),
        (nn.Linear(3, 1, dtype=np.float32, rng=0), np.ones((2, 3), np.uint8), 0),
        (nn.Linear(3, 1, dtype=np.float32, rng=0), np.ones((2, 3), np.float32), 0),
        (nn.Linear(3, 1, rng=0), np.ones((2, 3), int), 0),
        (nn.Linear(3, 1, rng=0), np.ones((2, 3), bool), 0),
        (nn.Linear(3, 1, rng=0), np.ones((2, 3), complex), 0),
        (nn.Linear(3, 1, rng=0), tl.tensor(np.ones((2, 3)), dtype=np.float32), 1),
        (nn.Linear(3, 1, rng=0), np.ones((2, 3), ">f8"), 0),
        (nn.Conv2d(1, 1, 3, rng=0), IMAGES.astype(np.float32), 1),
        (nn.Conv2d(1, 1, 3, rng=0), IMAGES, 0),
    ],
    ids=str,
)
def test_data_of_another_precision_than_the_weights(layer, x, expected):
    assert shown(lambda: layer(x), 3) == ["MixedPrecisionWarning"] * expected


def test_a_gradient_check_which_tries_other_precisions_is_silent():
    layer = nn.Linear(3, 1, rng=0)
    assert tl.testing.gradcheck(lambda x: layer(x), np.ones((2, 3)) / 2).passed
    assert tl.testing.check_module(layer.requires_grad_(False), np.ones((2, 3)) / 2).passed


def test_each_can_be_switched_off_alone_or_together():
    for category in (tl.TrainingWarning, tl.warnings.MixedPrecisionWarning):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category)
            nn.Linear(3, 1, rng=0)(np.ones((2, 3), np.float32))
    with pytest.raises(tl.TrainingWarning):
        nn.Linear(3, 1, rng=0)(np.ones((2, 3), np.float32))


def test_the_table_in_the_docs_has_every_category():
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    kinds = {kind.__name__ for kind in tl.TrainingWarning.__subclasses__()}
    assert {name for name in kinds if f"| `{name}` |" not in page} == set()
    assert kinds <= set(tl.warnings.__all__)
