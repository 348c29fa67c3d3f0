"""Distances of vectors as layers.

Not for: the functions themselves (``functional/distances.py``).
"""

from __future__ import annotations

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.layers.of_functions import OfFunction

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class CosineSimilarity(OfFunction, function=functional.cosine_similarity):
    """:func:`tinygrad_lab.nn.functional.cosine_similarity` as a layer."""


class PairwiseDistance(OfFunction, function=functional.pairwise_distance):
    """:func:`tinygrad_lab.nn.functional.pairwise_distance` as a layer."""
