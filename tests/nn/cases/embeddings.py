"""Rows of tables, and bags of them."""

from __future__ import annotations

import numpy as np

from tests.nn.cases import Case, apart, grid

WORDS, FLAT, TABLE = np.array([[1, 3, 1], [0, 2, 3]]), np.array([1, 3, 1, 0, 2, 3]), apart(5, 2)
OFFSETS = np.array([0, 2, 2, 5])

CASES = [
    Case("embedding", (WORDS, TABLE)),
    Case("embedding", (np.array(3), TABLE)),
    Case("embedding", (WORDS, TABLE), options={"max_norm": 1.5, "norm_type": 1.0}, torch=False),
    *grid("embedding_bag", WORDS, TABLE, mode=["sum", "mean", "max"]),
    *grid("embedding_bag", FLAT, TABLE, OFFSETS, mode=["sum", "mean", "max"]),
    *grid("embedding_bag", FLAT, TABLE, np.array([0, 4, 6]), include_last_offset=[True]),
    Case(
        "embedding_bag", (FLAT, TABLE, OFFSETS, None, 2.0, False, "sum", False, apart(6, seed=4)),
        order=1,  # PyTorch has no second one
    ),
    Case("one_hot", (WORDS,), order=0, vmap=False),
    Case("one_hot", (WORDS,), options={"num_classes": 5}, order=0, vmap=False),
    Case("Embedding", (WORDS,), (5, 2)),
    Case("EmbeddingBag", (WORDS,), (5, 2)),
    Case("EmbeddingBag", (FLAT, OFFSETS, apart(6, seed=4)), (5, 2), {"mode": "sum"}, order=1),
]  # fmt: skip
