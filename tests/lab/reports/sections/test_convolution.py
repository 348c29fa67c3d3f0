"""The section on convolution says of its network what the network does on digits it never saw."""

import os
import sys

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.lab.reports import page
from tinygrad_lab.lab.reports.sections import PARTS, convolution, digits

pytest.importorskip("sklearn")

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


@pytest.fixture(scope="module")
def reader():
    return digits.trained(split=3, epochs=1)


def test_what_is_held_out_is_not_trained_on(monkeypatch):
    handed_over = []

    def fit(model, data, *rest, **options):
        handed_over.append(data)
        raise StopIteration

    monkeypatch.setattr(tl, "fit", fit)
    with pytest.raises(StopIteration):
        digits.trained(split=3, epochs=1)
    (loader,) = handed_over
    train, test, *_ = tl.data.load("digits", dtype=np.float32, rng=3)
    rows = np.concatenate([x.data for x, _ in loader])
    trained_on = sorted(image.tobytes() for image in rows)
    assert trained_on == sorted(image.tobytes() for image in train.tensors[0].data)
    assert len(test) + len(rows) == 1797
    assert not {image.tobytes() for image in test.tensors[0].data} & set(trained_on)


def test_what_it_says_is_what_the_model_says(reader):
    _, test, *_ = tl.data.load("digits", dtype=np.float32, rng=3)
    np.testing.assert_array_equal(reader.images, test.tensors[0].data)
    with tl.no_grad():
        scores = reader.model(test.tensors[0]).data
    np.testing.assert_array_equal(reader.read, scores.argmax(axis=1))
    assert not reader.model.training
    np.testing.assert_allclose(reader.probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert reader.accuracy == reader.history["val_accuracy"][-1]


def test_the_tables_agree_with_each_other(reader, monkeypatch):
    monkeypatch.setattr(convolution, "trained", lambda split, epochs: reader)
    made = convolution.section({}, quick=True)
    tables = {name[12:-4]: table.rows for name, table in made.tables.items()}
    right = sum(count for actual, read, count in tables["confusion"] if actual == read)
    total = sum(count for *_, count in tables["confusion"])
    assert total == len(reader.labels) == made.shown["held_out"]
    assert total - right == len(tables["misread"]) > 0
    assert made.shown["median"] == f"{100 * right / total:.2f}\N{NO-BREAK SPACE}%"
    assert all(label != read for _, _, label, read, _ in tables["misread"])
    figures = [f for name in ("curves", "reading", "inside") for f in made.shown[name]]
    behind = [figure["data"] for figure in (*figures, made.shown["kernel"]["figure"])]
    assert sorted(behind) == sorted(f"data/{name}" for name in made.tables)


def test_the_lowest_loss_is_that_of_a_prediction_that_is_the_label_smoothed():
    scores = np.log(np.full((1, 10), digits.SMOOTHING / 10))
    scores[0, 3] = np.log(1 - 0.9 * digits.SMOOTHING)
    least = tl.cross_entropy(scores, np.array([3]), label_smoothing=digits.SMOOTHING)
    assert convolution._smoothed_floor() == pytest.approx(float(least))


def test_without_the_digits_the_section_says_how_to_get_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    section = convolution.section({}, quick=True)
    (part,) = [part for part in PARTS if part.key == "convolution"]
    text = page.files([], {}, {part.key: section}, parts=[part], seeds=5, seconds=0.0)["index.html"]
    assert "pip install &#34;tinygrad-lab[data]&#34;" in text


@pytest.mark.skipif(not THOROUGH, reason="as long as in the report: make test-thorough")
def test_of_five_splits_the_median_is_at_98_5_percent_or_above():
    splits = range(1, convolution.SPLITS + 1)
    readers = [digits.trained(split, convolution.EPOCHS) for split in splits]
    assert np.median([reader.accuracy for reader in readers]) >= 0.985
    assert min(reader.accuracy for reader in readers) > 0.97
