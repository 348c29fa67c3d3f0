"""Attention: one head, several, and tokens that are no markup."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_lab import nn
from tinygrad_lab.viz import plot_attention


def test_heads_of_a_layer_share_one_scale(ax):
    layer = nn.MultiheadAttention(4, 2, batch_first=True, rng=0)
    x = np.random.default_rng(0).normal(size=(1, 3, 4))
    _, weights = layer(x, x, x, average_attn_weights=False)
    plot_attention(weights, ["a", "b", "c"], ax=ax)
    heads = ax.child_axes[:2]
    assert [head.get_title() for head in heads] == ["head 0", "head 1"]
    for head, expected in zip(heads, weights.data[0], strict=True):
        np.testing.assert_array_equal(head.images[0].get_array(), expected)
        assert head.images[0].get_clim() == (0, weights.data.max())


def test_one_head_is_drawn_on_the_axes_itself(ax):
    plot_attention([[0.2, 0.3, 0.5]], ["query"], keys=["$x$", "a_b", "<eos>"], ax=ax)
    assert ax.images[0].get_array().tolist() == [[0.2, 0.3, 0.5]]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["$x$", "a_b", "<eos>"]
    assert not any(t.get_parse_math() for t in ax.get_xticklabels())
    assert [t.get_text() for t in ax.get_yticklabels()] == ["query"]


def test_keys_without_names_are_numbers(ax):
    plot_attention(np.full((2, 3), 1 / 3), ["a", "b"], ax=ax)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        (np.ones((2, 2, 3, 3)), {}, r"one sequence, got 2.*weights\[0\]"),
        (np.ones(3), {}, r"got \(3,\)"),
        ([[-1.0, 2.0]], {}, "not scores"),
        (np.eye(3), {"tokens": ["a"]}, "1 names for 3 queries"),
        (np.eye(3), {"keys": ["a"]}, "1 names for 3 keys"),
    ],
)
def test_what_is_no_attention_is_refused(weights, options, message, ax):
    with pytest.raises(ValueError, match=message):
        plot_attention(weights, ax=ax, **options)
