"""Dropout where nothing is left to chance."""

from __future__ import annotations

from tests.nn.cases import Case, apart

NAMES = (
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",
    "AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout",
)  # fmt: skip
ELSEWHERE = dict.fromkeys(NAMES, "tests/nn/test_dropout.py")

CASES = [
    Case("dropout", (apart(2, 3),), options={"p": 0.3, "training": False}),
    Case("dropout1d", (apart(2, 3, 2),), options={"p": 1.0}),
    Case("alpha_dropout", (apart(2, 3),), options={"p": 1.0, "training": True}),
    Case("Dropout2d", (apart(2, 3, 2, 2),), (0.5,), training=False),
]
