"""Lengths, directions and distances of vectors."""

from __future__ import annotations

import numpy as np

from tests.nn.cases import Case, apart, grid

A, B, C = apart(2, 3), apart(2, 3, seed=1), apart(2, 2, 2, seed=2)

CASES = [
    *grid("normalize", C, p=[2.0, 1.0, 3.5], dim=[1, -1]),
    Case("normalize", (C,), options={"dim": (0, 2)}),
    Case("normalize", (C,), options={"p": np.inf, "eps": 0.5}, order=1),
    Case("normalize", (C,), options={"eps": 100.0}),
    *grid("cosine_similarity", C, C[::-1].copy(), dim=[1, -1]),
    Case("cosine_similarity", (A, B[0])),
    Case("CosineSimilarity", (A, B), (0,)),
    *grid("pairwise_distance", A, B, p=[2.0, 1.0, 3.0], keepdim=[False]),
    Case("pairwise_distance", (A, B[0]), options={"keepdim": True}),
    Case("pairwise_distance", (A, B), options={"p": np.inf}, order=1),
    Case("pairwise_distance", (A[0], B[0]), options={"eps": 0.1}),
    Case("PairwiseDistance", (A, B), (1.5,), {"keepdim": True}),
]
