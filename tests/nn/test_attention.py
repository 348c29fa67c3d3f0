"""Attention and transformers: masks, stacks, dropout, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.nn.cases import apart
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as F

X, MEMORY = apart(3, 2, 4), apart(5, 2, 4, seed=1)


def close(a, b):
    a, b = (x.data if isinstance(x, tl.Tensor) else x for x in (a, b))
    np.testing.assert_allclose(a, b, atol=1e-13)


def layer(**options):
    return nn.TransformerEncoderLayer(4, 2, 8, **{"dropout": 0.0, **options}, rng=0)


class TestMasks:
    """Who looks at what."""

    def test_causal_attention_sees_nothing_of_what_comes(self):
        model = nn.TransformerEncoder(layer(), 2)
        y = model(X, is_causal=True).data
        for n in (1, 2):
            close(model(X[:n], is_causal=True), y[:n])
        mask = nn.Transformer.generate_square_subsequent_mask(3)
        close(model(X, mask), y)
        close(model(X, mask < 0), y)

    def test_what_is_padded_does_not_count(self):
        attention = nn.MultiheadAttention(4, 2, rng=0)
        padding = np.array([[False, False, True], [False, True, True]])
        y, weights = attention(X, X, X, padding)
        for i, n in enumerate((2, 1)):
            alone, _ = attention(X[:, i], X[:n, i], X[:n, i])
            close(y[:, i], alone)
            assert not weights.data[i, :, n:].any()

    @pytest.mark.parametrize("mask", [np.zeros((2, 3), bool), np.full((2, 3), -np.inf)])
    def test_a_query_that_looks_at_nothing_gets_zeros(self, mask):
        q, k, v = apart(2, 4), apart(3, 4, seed=1), apart(3, 4, seed=2)
        y = F.scaled_dot_product_attention(q, k, v, mask)
        assert not y.any()
        total = lambda *qkv: F.scaled_dot_product_attention(*qkv, mask).sum()
        for g in tl.grad(total, (0, 1, 2))(q, k, v):
            assert not g.any()

    def test_scores_of_any_size(self):
        x = 1e6 * apart(3, 4)
        y = F.scaled_dot_product_attention(x, x, apart(3, 4), is_causal=True)
        assert np.isfinite(y).all()

    def test_masks_go_through_vmap(self):
        masks = np.array([np.tri(3, dtype=bool), np.eye(3, dtype=bool)])
        x = apart(3, 4)
        of = lambda mask: F.scaled_dot_product_attention(x, x, x, mask)
        close(tl.vmap(of)(masks), np.stack([of(m) for m in masks]))


class TestDropout:
    """Attention and stacks draw masks of their own."""

    def test_of_weights(self):
        x = np.ones((1, 500, 1))
        y = F.scaled_dot_product_attention(x, x, x, dropout_p=0.5, rng=0)
        assert abs(y.mean() - 1) < 0.01
        close(y, F.scaled_dot_product_attention(x, x, x, dropout_p=0.5, rng=0))

    @pytest.mark.parametrize("rng", [0, None, np.random.default_rng(0)])
    def test_copies_of_a_layer_draw_differently(self, rng):
        drops = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5, rng=rng), 2
        ).layers
        masks = [F.dropout(np.ones(64), rng=copy.dropout1._rng) for copy in drops]
        assert (masks[0] != masks[1]).any()
        weights = [F.dropout(np.ones(64), rng=copy.self_attn._rng) for copy in drops]
        assert (weights[0] != weights[1]).any()

    def test_the_same_model_again_draws_the_same(self):
        def made():
            return nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5, rng=3), 2)

        close(made()(X), made()(X))

    def test_it_rests_outside_training(self):
        close(layer(dropout=0.5).eval()(X), layer()(X))


class TestStacks:
    """Encoders, decoders, and the whole of both."""

    def test_copies_begin_alike_and_are_independent(self):
        first, second = nn.TransformerEncoder(layer(), 2).layers
        close(first.linear1.weight, second.linear1.weight)
        first.linear1.weight.data = first.linear1.weight.data + 1
        assert (first.linear1.weight.data != second.linear1.weight.data).all()

    def test_the_whole_is_its_parts(self):
        model = nn.Transformer(4, 2, 2, 1, 8, dropout=0.0, batch_first=True, rng=0)
        src, tgt = np.swapaxes(MEMORY, 0, 1), np.swapaxes(X, 0, 1)
        padding = np.array([[False] * 5, [False] * 3 + [True] * 2])
        memory = model.encoder(src, src_key_padding_mask=padding)
        y = model.decoder(tgt, memory, memory_key_padding_mask=padding, tgt_is_causal=True)
        close(
            model(src, tgt, src_key_padding_mask=padding, memory_key_padding_mask=padding,
                  tgt_is_causal=True), y,
        )  # fmt: skip
        assert not model.encoder.layers[0].self_attn.in_proj_bias.data.any()

    def test_a_step_through_jit(self):
        model = nn.TransformerEncoder(layer(norm_first=True), 1, nn.LayerNorm(4))
        optimizer = tl.optim.AdamW(model.parameters(), lr=1e-2)

        def step(model, optimizer, x):
            loss = F.mse_loss(model(x, is_causal=True), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        fast = tl.jit(step, backend="numpy")
        losses = [fast(model, optimizer, X).item() for _ in range(20)]
        assert losses[-1] < losses[0]

    def test_a_function_or_a_layer_as_the_activation(self):
        for activation in (np.tanh, nn.Tanh()):
            assert layer(activation=activation)(X).shape == X.shape


class TestErrors:
    """What does not fit is said."""

    def test_shapes(self):
        attention = nn.MultiheadAttention(4, 2, batch_first=True, rng=0)
        with pytest.raises(ValueError, match=r"\(N, L, 4\), \(N, S, 4\), .* not \(3, 2, 5\)"):
            attention(np.ones((3, 2, 5)), X, X)
        with pytest.raises(ValueError, match=r"attn_mask has shape \(2, 2\), .* \(2, 3\)"):
            attention(np.ones((3, 2, 4)), np.ones((3, 3, 4)), np.ones((3, 3, 4)),
                      attn_mask=np.ones((2, 2)))  # fmt: skip
        with pytest.raises(ValueError, match=r"key_padding_mask has shape \(2, 3\)"):
            attention(X, X, X, np.zeros((2, 3), bool))
        with pytest.raises(ValueError, match=r"not \(3, 4\), \(3, 5\) and \(3, 4\)"):
            F.scaled_dot_product_attention(np.ones((3, 4)), np.ones((3, 5)), np.ones((3, 4)))

    def test_settings(self):
        with pytest.raises(ValueError, match="embed_dim=5 is no multiple of num_heads=2"):
            nn.MultiheadAttention(5, 2)
        with pytest.raises(ValueError, match="is_causal=True is a mask itself"):
            F.scaled_dot_product_attention(X, X, X, np.ones((2, 2), bool), is_causal=True)
        with pytest.raises(ValueError, match="unknown activation 'swish'"):
            layer(activation="swish")
        with pytest.raises(ValueError, match="3 heads of queries are no multiple of the 2"):
            F.scaled_dot_product_attention(
                np.ones((3, 2, 4)), np.ones((2, 2, 4)), np.ones((2, 2, 4)), enable_gqa=True
            )
