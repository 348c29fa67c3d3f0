"""Losses as layers: they hold the options, and class weights as buffers.

Not for: the functions themselves (``functional/losses.py``, ``classification.py``, ``margins.py``).
"""

from __future__ import annotations

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.layers.of_functions import OfFunction

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss",
    "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss",
    "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss",
    "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss", "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]  # fmt: skip


class _Loss(OfFunction):
    """What all of them share: nothing in the parentheses of their text."""

    def extra_repr(self) -> str:
        """Nothing, as in PyTorch."""
        return ""


class BCELoss(_Loss, function=functional.binary_cross_entropy):
    """:func:`tinygrad_lab.nn.functional.binary_cross_entropy` as a layer."""


class BCEWithLogitsLoss(_Loss, function=functional.binary_cross_entropy_with_logits):
    """:func:`tinygrad_lab.nn.functional.binary_cross_entropy_with_logits` as a layer."""


class CosineEmbeddingLoss(_Loss, function=functional.cosine_embedding_loss):
    """:func:`tinygrad_lab.nn.functional.cosine_embedding_loss` as a layer."""


class CrossEntropyLoss(_Loss, function=functional.cross_entropy):
    """:func:`tinygrad_lab.nn.functional.cross_entropy` as a layer."""


class GaussianNLLLoss(_Loss, function=functional.gaussian_nll_loss):
    """:func:`tinygrad_lab.nn.functional.gaussian_nll_loss` as a layer."""


class HingeEmbeddingLoss(_Loss, function=functional.hinge_embedding_loss):
    """:func:`tinygrad_lab.nn.functional.hinge_embedding_loss` as a layer."""


class HuberLoss(_Loss, function=functional.huber_loss, without=("weight",)):
    """:func:`tinygrad_lab.nn.functional.huber_loss` as a layer."""


class KLDivLoss(_Loss, function=functional.kl_div):
    """:func:`tinygrad_lab.nn.functional.kl_div` as a layer."""


class L1Loss(_Loss, function=functional.l1_loss, without=("weight",)):
    """:func:`tinygrad_lab.nn.functional.l1_loss` as a layer."""


class MSELoss(_Loss, function=functional.mse_loss, without=("weight",)):
    """:func:`tinygrad_lab.nn.functional.mse_loss` as a layer."""


class MarginRankingLoss(_Loss, function=functional.margin_ranking_loss):
    """:func:`tinygrad_lab.nn.functional.margin_ranking_loss` as a layer."""


class MultiLabelMarginLoss(_Loss, function=functional.multilabel_margin_loss):
    """:func:`tinygrad_lab.nn.functional.multilabel_margin_loss` as a layer."""


class MultiLabelSoftMarginLoss(_Loss, function=functional.multilabel_soft_margin_loss):
    """:func:`tinygrad_lab.nn.functional.multilabel_soft_margin_loss` as a layer."""


class MultiMarginLoss(_Loss, function=functional.multi_margin_loss):
    """:func:`tinygrad_lab.nn.functional.multi_margin_loss` as a layer."""


class NLLLoss(_Loss, function=functional.nll_loss):
    """:func:`tinygrad_lab.nn.functional.nll_loss` as a layer."""


class PoissonNLLLoss(_Loss, function=functional.poisson_nll_loss):
    """:func:`tinygrad_lab.nn.functional.poisson_nll_loss` as a layer."""


class SmoothL1Loss(_Loss, function=functional.smooth_l1_loss):
    """:func:`tinygrad_lab.nn.functional.smooth_l1_loss` as a layer."""


class SoftMarginLoss(_Loss, function=functional.soft_margin_loss):
    """:func:`tinygrad_lab.nn.functional.soft_margin_loss` as a layer."""


class TripletMarginLoss(_Loss, function=functional.triplet_margin_loss):
    """:func:`tinygrad_lab.nn.functional.triplet_margin_loss` as a layer."""


class TripletMarginWithDistanceLoss(_Loss, function=functional.triplet_margin_with_distance_loss):
    """:func:`tinygrad_lab.nn.functional.triplet_margin_with_distance_loss` as a layer."""
