"""Metrics beside scikit-learn's, and on what they refuse."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import metrics

judge = pytest.importorskip("sklearn.metrics")
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(60, 5)).astype(np.float32)
LABELS = RNG.integers(0, 4, 60)  # class 4 never occurs
LABELS[::3] = SCORES[::3].argmax(axis=1)
LABELS[LABELS == 4] = 0
CLASSES = SCORES.argmax(axis=1)


@pytest.mark.parametrize("output", [SCORES, tl.tensor(SCORES), CLASSES], ids=["a", "tensor", "int"])
def test_classes_beside_scikit_learn(output):
    assert metrics.accuracy(output, LABELS) == judge.accuracy_score(LABELS, CLASSES)
    np.testing.assert_array_equal(
        metrics.confusion_matrix(output, LABELS), judge.confusion_matrix(LABELS, CLASSES)
    )
    for average in ("macro", "micro", None):
        for ours, theirs in (
            (metrics.precision, judge.precision_score),
            (metrics.recall, judge.recall_score),
            (metrics.f1, judge.f1_score),
        ):
            np.testing.assert_allclose(
                ours(output, LABELS, average),
                theirs(LABELS, CLASSES, average=average, zero_division=0),
                rtol=1e-14,
            )


@pytest.mark.parametrize("shape", [(60,), (60, 1)])
def test_two_classes_beside_scikit_learn(shape):
    logits, target = SCORES[:, 0], (LABELS > 1).astype(float)
    expected = judge.f1_score(target, logits > 0, average=None)
    result = metrics.f1(logits.reshape(shape), target.reshape(shape), None, threshold=0.0)
    np.testing.assert_allclose(result, expected, rtol=1e-14)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_top_k_beside_scikit_learn(k):
    expected = judge.top_k_accuracy_score(LABELS, SCORES, k=k, labels=range(5))
    assert metrics.top_k(SCORES, LABELS, k) == expected


def test_numbers_beside_scikit_learn():
    t = RNG.normal(size=(30, 3))
    y = t + RNG.normal(size=(30, 3))
    t[:, 2] = 1.0
    for output, target in ((y, t), (y[:, 0], t[:, 0])):
        assert metrics.r2(output, target) == pytest.approx(judge.r2_score(target, output))
        assert metrics.mae(output, target) == pytest.approx(
            judge.mean_absolute_error(target, output)
        )
    assert metrics.r2(t, t) == 1


def test_classes_of_each_pixel():
    scores = RNG.normal(size=(2, 3, 4, 4))
    labels = scores.argmax(axis=1)
    labels[0, 0] = (labels[0, 0] + 1) % 3
    assert metrics.accuracy(scores, labels) == 1 - 4 / 32


def test_targets_as_probabilities():
    assert metrics.accuracy([[0.1, 0.9], [0.6, 0.4]], [[0.0, 1.0], [0.2, 0.8]]) == 0.5


@pytest.mark.parametrize(
    ("metric", "arguments", "message"),
    [
        (metrics.accuracy, (SCORES, LABELS[:-1]), "60 predictions, .* are 59"),
        (metrics.accuracy, (np.empty((0, 3)), np.empty(0, int)), "not none"),
        (metrics.confusion_matrix, ([0, 1], [0, 7], 3), r"class 7 in the target.* 0 \.\.\. 2"),
        (metrics.f1, ([0, 1], [0, 1], "weighted"), "average='weighted'"),
        (metrics.top_k, (SCORES, LABELS, 6), "k=6"),
        (metrics.r2, (np.ones((3, 1)), np.ones(3)), r"\(3, 1\) and targets \(3,\)"),
    ],
)
def test_what_does_not_fit_is_refused(metric, arguments, message):
    with pytest.raises(ValueError, match=message):
        metric(*arguments)
