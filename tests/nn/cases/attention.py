"""Attention, with masks, groups and projections; transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.nn.cases import Case, apart

L, S, N, E, HEADS = 3, 4, 2, 4, 2
QUERY, KEY, VALUE = apart(N, L, E), apart(N, S, E, seed=1), apart(N, S, 3, seed=2)
LOOKS = np.array([[1, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], bool)
ADDED = apart(N, L, S, seed=3)
BLIND = np.where(LOOKS, 0.5, -np.inf)
#: Booleans of a layer are True where it does not look.
CAUSAL = ~np.tri(L, dtype=bool)
PADDING = np.array([[0, 0, 1], [0, 0, 0]], bool)


def attention(*inputs: Any, **options: Any) -> Case:
    return Case("scaled_dot_product_attention", inputs, (), options)


def options(**more: Any) -> dict[str, Any]:
    return {"dim_feedforward": 3, "dropout": 0.0, **more}


X, Y, MEMORY = apart(L, N, E), apart(N, L, E), apart(S, N, E, seed=1)

CASES = [
    attention(QUERY, KEY, VALUE),
    attention(QUERY, KEY, VALUE, scale=0.7),
    attention(QUERY, KEY, VALUE, is_causal=True),
    attention(QUERY, KEY, VALUE, LOOKS),
    attention(QUERY, KEY, VALUE, ADDED),
    attention(QUERY, KEY, VALUE, BLIND),
    attention(apart(1, 4, L, E), apart(1, 2, S, E), apart(1, 2, S, 3), enable_gqa=True),
    Case("MultiheadAttention", (X, X, X), (E, HEADS)),
    Case("MultiheadAttention", (X, MEMORY, MEMORY), (E, HEADS), {"bias": False}),
    Case("MultiheadAttention", (X, X, X, PADDING, True, CAUSAL), (E, HEADS)),
    Case("MultiheadAttention", (Y, Y, Y, None, True, ADDED[0, :, :L], False), (E, HEADS),
         {"batch_first": True}),
    Case("MultiheadAttention", (Y, Y, Y, None, False, apart(4, L, L)), (E, HEADS),
         {"batch_first": True}),
    Case("MultiheadAttention", (X, X, X, PADDING, True, CAUSAL), (E, HEADS),
         {"add_bias_kv": True, "add_zero_attn": True}),
    Case("MultiheadAttention", (X, apart(S, N, 3), apart(S, N, 2)), (E, HEADS),
         {"kdim": 3, "vdim": 2}),
    Case("MultiheadAttention", (X[:, 0], X[:, 0], X[:, 0], PADDING[0]), (E, HEADS)),
    *(
        Case("TransformerEncoderLayer", (X, CAUSAL, PADDING), (E, HEADS), options(**more))
        for more in ({}, {"norm_first": True, "bias": False, "layer_norm_eps": 1e-3})
    ),
    Case("TransformerEncoderLayer", (Y,), (E, HEADS), options(activation="gelu", batch_first=True)),
    Case("TransformerDecoderLayer", (apart(2, 1, 2), apart(3, 1, 2)), (2, 1),
         options(activation="gelu")),
]  # fmt: skip

#: They hold layers.
ELSEWHERE = {
    "TransformerEncoder": "tests/nn/test_attention.py",
    "Transformer": "tests/nn/test_attention.py",
    "TransformerDecoder": "tests/nn/test_attention.py",
}
