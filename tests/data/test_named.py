"""scikit-learn's data sets: their sizes, and the split."""

import sys

import numpy as np
import pytest

from tinygrad_lab import data

pytest.importorskip("sklearn")
SIZES = {
    "digits": (1797, (1, 8, 8), 10),
    "iris": (150, (4,), 3),
    "wine": (178, (13,), 3),
    "breast_cancer": (569, (30,), 2),
    "diabetes": (442, (10,), 1),
    "linnerud": (20, (3,), 3),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_data_set_is_whole_and_a_quarter_of_it_held_out(name):
    split = data.load(name, dtype=np.float32)
    number, shape, targets = SIZES[name]
    assert len(split.train) + len(split.test) == number
    assert abs(len(split.test) - number / 4) <= 2
    x, y = split.train.tensors
    assert x.shape[1:] == shape and x.dtype == np.float32
    assert len(split.classes) == targets and len(split.columns) == np.prod(shape)
    if y.dtype == np.int64:
        assert y.ndim == 1 and set(y.data) == set(range(targets))
    else:
        assert y.shape[1:] == (targets,) and y.dtype == np.float32


def test_a_class_is_held_out_as_often_as_another():
    split = data.load("digits")
    train, test = (np.bincount(part.tensors[1].data) for part in (split.train, split.test))
    np.testing.assert_allclose(test / (train + test), 0.25, atol=0.004)


def test_the_split_is_always_the_same_unless_a_seed_says_otherwise():
    first, again, other = (data.load("iris", rng=rng).train.tensors[0].data for rng in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_images_are_from_0_to_1():
    x = data.load("digits").train.tensors[0].data
    assert (x.min(), x.max()) == (0, 1)


def test_standardized_by_what_is_trained_on():
    split = data.load("wine", standardize=True)
    x = split.train.tensors[0].data
    np.testing.assert_allclose([x.mean(axis=0), x.std(axis=0)], [[0] * 13, [1] * 13], atol=1e-12)
    assert abs(split.test.tensors[0].data.mean(axis=0)).max() > 1e-3


def test_a_name_that_is_none():
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        data.load("digit")
    with pytest.raises(ValueError, match="Nothing is downloaded"):
        data.load("california_housing")
    with pytest.raises(ValueError, match="share"):
        data.load("iris", test=50)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"tinygrad-lab\[data\]"):
        data.load("iris")


def test_it_prints_in_a_line_or_two():
    assert len(repr(data.load("digits"))) < 300
