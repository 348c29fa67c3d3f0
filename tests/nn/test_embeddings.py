"""Tables of rows: what is not in their values (gradients that are marked, norms that are kept)."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as F

TABLE = np.arange(10.0).reshape(5, 2) - 4
WORDS = np.array([[1, 3, 1], [0, 1, 3]])


def slope(f, table=TABLE):
    return tl.grad(lambda t: f(t).sum())(table)


def test_rows_that_are_looked_up_again_add_up():
    np.testing.assert_array_equal(slope(lambda t: F.embedding(WORDS, t))[:, 0], [1, 3, 0, 2, 0])


@pytest.mark.parametrize("padding_idx", [3, -2])
def test_a_padding_row_gets_no_gradient(padding_idx):
    f = lambda t: F.embedding(WORDS, t, padding_idx=padding_idx)
    np.testing.assert_array_equal(f(TABLE), TABLE[WORDS])
    np.testing.assert_array_equal(slope(f)[:, 0], [1, 3, 0, 0, 0])


def test_a_gradient_by_frequency_is_a_mean():
    f = lambda t: F.embedding(WORDS, t, scale_grad_by_freq=True)
    np.testing.assert_array_equal(slope(f)[:, 0], [1, 1, 0, 1, 0])
    np.testing.assert_array_equal(tl.jit(slope, backend="numpy")(f), slope(f))
    each = tl.vmap(lambda w: slope(lambda t: F.embedding(w, t, scale_grad_by_freq=True)))(WORDS)
    np.testing.assert_array_equal(each[1], slope(lambda t: F.embedding(
        WORDS[1], t, scale_grad_by_freq=True)))  # fmt: skip


def test_padding_counts_in_no_bag():
    words = np.array([[1, 3], [3, 3]])
    for mode, row in (("sum", TABLE[1]), ("mean", TABLE[1]), ("max", TABLE[1])):
        y = F.embedding_bag(words, TABLE, mode=mode, padding_idx=3)
        np.testing.assert_array_equal(y, [row, [0, 0]])


def test_bags_of_nothing_are_zero():
    for mode in ("sum", "mean", "max"):
        y = F.embedding_bag(np.array([], int), TABLE, np.array([0, 0]), mode=mode)
        np.testing.assert_array_equal(y, np.zeros((2, 2)))


def test_a_function_shortens_what_it_gives_and_not_the_table():
    table = TABLE.copy()
    y = F.embedding(WORDS, table, max_norm=1.0)
    np.testing.assert_allclose(np.linalg.norm(y, axis=-1), 1, atol=1e-6)
    np.testing.assert_array_equal(table, TABLE)


def shortened():
    return nn.Embedding(5, 2, max_norm=1.0, _weight=TABLE)


def test_a_layer_keeps_the_rows_that_it_shortened():
    layer = shortened()
    layer(WORDS)
    lengths = np.linalg.norm(layer.weight.data, axis=1)
    np.testing.assert_allclose(lengths[[0, 1, 3]], 1, atol=1e-6)
    np.testing.assert_array_equal(layer.weight.data[[2, 4]], TABLE[[2, 4]])


def test_a_recorded_call_keeps_them_too_and_a_functional_one_does_not():
    layer, plain = shortened(), shortened()
    call = tl.jit(lambda words: layer(words), backend="numpy")
    for words in (WORDS, WORDS + 1):
        np.testing.assert_array_equal(call(words).data, plain(words).data)
        np.testing.assert_array_equal(layer.weight.data, plain.weight.data)
    layer = shortened()
    tl.functional_call(layer, {"weight": TABLE}, WORDS)
    np.testing.assert_array_equal(layer.weight.data, TABLE)


def test_one_layer_refuses_to_keep_those_of_each_example():
    with pytest.raises(RuntimeError, match="inside vmap: max_norm"):
        tl.vmap(shortened())(WORDS)


def test_of_given_rows():
    layer = nn.Embedding.from_pretrained(TABLE)
    assert not layer.weight.requires_grad
    np.testing.assert_array_equal(layer(WORDS).data, TABLE[WORDS])
    assert nn.Embedding.from_pretrained(TABLE, freeze=False).weight.requires_grad
    bags = nn.EmbeddingBag.from_pretrained(TABLE, mode="sum")
    assert not bags.weight.requires_grad
    np.testing.assert_array_equal(bags(WORDS).data, TABLE[WORDS].sum(1))


def test_first_values():
    layer = nn.Embedding(200, 50, padding_idx=-1, rng=0)
    assert not layer.weight.data[-1].any()
    assert abs(layer.weight.data.std() - 1) < 0.02
    assert layer.weight.dtype == np.float64
    assert nn.Embedding(2, 2, dtype=np.float32, rng=0).weight.dtype == np.float32
    assert copy.deepcopy(layer).padding_idx == 199


def test_reprs():
    assert repr(nn.Embedding(5, 2, padding_idx=1, max_norm=2.0, norm_type=1.0, sparse=True)) == (
        "Embedding(5, 2, padding_idx=1, max_norm=2.0, norm_type=1.0, sparse=True)"
    )
    assert (
        repr(nn.EmbeddingBag(5, 2, padding_idx=1))
        == "EmbeddingBag(5, 2, mode='mean', padding_idx=1)"
    )


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.embedding(np.array([[0, 5]]), TABLE), IndexError, r"5 at \[0, 1\].*0 to 4"),
        (lambda: F.embedding(np.array([-1]), TABLE), IndexError, r"-1 at \[0\].*0 to 4"),
        (lambda: F.embedding(np.array([1.0]), TABLE), TypeError, "integers, not float64"),
        (lambda: F.embedding(WORDS, np.ones(3)), ValueError, r"\(3,\)"),
        (lambda: F.embedding(WORDS, TABLE, padding_idx=5), ValueError, "padding_idx=5.*5 rows"),
        (lambda: nn.Embedding(5, 2, padding_idx=-6), ValueError, "padding_idx=-6"),
        (lambda: nn.Embedding(0, 2), ValueError, "num_embeddings=0"),
        (lambda: nn.Embedding(5, 3, _weight=TABLE), ValueError, r"\(5, 2\).*\(5, 3\)"),
        (lambda: nn.Embedding(5, 3, dtype=int), ValueError, "floats"),
        (lambda: nn.Embedding.from_pretrained(np.ones(3)), ValueError, r"\(3,\)"),
        (lambda: nn.EmbeddingBag.from_pretrained(np.ones(3)), ValueError, r"\(3,\)"),
        (lambda: F.embedding_bag(WORDS, TABLE, mode="min"), ValueError, "min"),
        (lambda: F.embedding_bag(WORDS[0], TABLE), ValueError, r"\(3,\).*None"),
        (lambda: F.embedding_bag(WORDS, TABLE, np.array([0])), ValueError, r"\(2, 3\)"),
        (lambda: F.embedding_bag(WORDS[0], TABLE, np.array([1, 2])), ValueError, "begins at 0"),
        (lambda: F.embedding_bag(WORDS[0], TABLE, np.array([0, 4])), ValueError, "offsets"),
        (lambda: F.embedding_bag(WORDS, TABLE, per_sample_weights=np.ones((2, 3))), ValueError,
         "mode='mean'"),
        (lambda: F.one_hot(np.array([0, 3]), 3), IndexError, r"3 at \[1\].*0 to 2"),
        (lambda: F.one_hot(np.array([-1])), ValueError, "num_classes"),
        (lambda: F.one_hot(np.array([], int)), ValueError, "num_classes"),
        (lambda: F.one_hot(np.array([0.5])), TypeError, "integers"),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_up_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()
