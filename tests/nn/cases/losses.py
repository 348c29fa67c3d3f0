"""Losses: of numbers, probabilities, classes and margins."""

from __future__ import annotations

import numpy as np

from tests.nn.cases import Case, apart, grid

REDUCTIONS = ["mean", "sum", "none"]
NONE = ["none"]  # where the reduction is the one that all share, and the layer takes the mean
X, Y = apart(2, 3), apart(2, 3, seed=1)
W = apart(2, 3, seed=2, low=0.1, high=2.0)
P, Q = apart(2, 3, seed=3, low=0.1, high=0.9), apart(2, 3, seed=4, low=0.1, high=0.9)
LOGITS, MORE = apart(3, 4, seed=5), apart(2, 3, 2, seed=6)
LABELS, PLACES = np.array([0, 3, 1]), np.array([[0, 2], [1, 1]])
IGNORED = np.array([0, -100, 1])
SHARES = apart(3, 4, seed=7, low=0.1, high=0.9)  # which do not sum to 1
CLASS_WEIGHT = apart(4, seed=8, low=0.1, high=2.0)
SIGNS, COUNTS = np.array([[1, -1, 1], [-1, 1, -1]]), np.array([[0.5, 1.5, 4.0], [2.0, 3.0, 0.25]])
A, B = apart(3, 4, seed=9), apart(3, 4, seed=10)
ROW_SIGNS = np.array([1, -1, 1])


CASES = [
    # numbers
    *grid("mse_loss", X, Y, reduction=REDUCTIONS),
    *grid("l1_loss", X, Y, reduction=REDUCTIONS),
    *grid("mse_loss", X, Y, weight=[W], reduction=REDUCTIONS),
    *grid("l1_loss", X, Y, weight=[W], reduction=["mean", "none"]),
    *grid("huber_loss", X, Y, reduction=NONE, delta=[0.7], weight=[None, W]),
    *grid("smooth_l1_loss", X, Y, beta=[1.0, 0.3, 0], reduction=NONE),
    Case("MSELoss", (X, Y)),
    Case("L1Loss", (X, Y), options={"reduction": "sum"}),
    Case("HuberLoss", (X, Y), ("mean", 0.5)),
    Case("SmoothL1Loss", (X, Y), options={"beta": 0.5}),
    # yes or no
    *grid("binary_cross_entropy", P, Q, reduction=NONE),
    Case("binary_cross_entropy", (P, Q), options={"weight": CLASS_WEIGHT[:3]}),
    Case("BCELoss", (P, Q), (W,)),
    *grid("binary_cross_entropy_with_logits", X, Q, reduction=NONE),
    Case("binary_cross_entropy_with_logits", (X, Q), options={"pos_weight": CLASS_WEIGHT[:3]}),
    Case("binary_cross_entropy_with_logits", (X, Q), options={"weight": W, "reduction": "sum"}),
    Case("BCEWithLogitsLoss", (X, Q), options={"pos_weight": CLASS_WEIGHT[:3]}),
    # distributions
    *grid("kl_div", X, Q, reduction=["batchmean", "sum", "none"]),
    *grid("kl_div", X, Y, log_target=[True], reduction=["batchmean", "none"]),
    Case("KLDivLoss", (X, Q), options={"reduction": "batchmean"}),
    *grid("poisson_nll_loss", X, COUNTS, log_input=[True], full=[True, False], reduction=NONE),
    *grid("poisson_nll_loss", W, COUNTS, log_input=[False], reduction=NONE),
    Case("poisson_nll_loss", (W, COUNTS), options={"log_input": False, "eps": 0.1}),
    Case("PoissonNLLLoss", (X, COUNTS), options={"full": True}),
    *grid("gaussian_nll_loss", X, Y, W, full=[True, False], reduction=NONE),
    Case("gaussian_nll_loss", (X, Y, W[:, :1])),
    Case("gaussian_nll_loss", (X, Y, W[:, 0])),
    Case("gaussian_nll_loss", (X, Y, W), options={"eps": 0.8}, order=0),
    Case("GaussianNLLLoss", (X, Y, W), options={"full": True}),
    # classes
    *grid("cross_entropy", LOGITS, LABELS, weight=[None, CLASS_WEIGHT], reduction=REDUCTIONS),
    *grid("cross_entropy", LOGITS, IGNORED, weight=[None, CLASS_WEIGHT], label_smoothing=[0, 0.2]),
    *grid("cross_entropy", LOGITS, SHARES, weight=[None, CLASS_WEIGHT], label_smoothing=[0.0, 0.3]),
    Case("cross_entropy", (LOGITS, SHARES), options={"reduction": "none", "label_smoothing": 0.3}),
    *grid("cross_entropy", MORE, PLACES, ignore_index=[1], reduction=["mean", "none"]),
    Case("cross_entropy", (LOGITS[0], np.array(2)), options={"label_smoothing": 0.1}),
    Case("cross_entropy", (LOGITS[0], SHARES[0])),
    *grid("nll_loss", LOGITS, LABELS, weight=[None, CLASS_WEIGHT], reduction=REDUCTIONS),
    *grid("nll_loss", MORE, PLACES, ignore_index=[-100, 1]),
    Case("nll_loss", (LOGITS[0], np.array(2))),
    Case("CrossEntropyLoss", (LOGITS, LABELS), (CLASS_WEIGHT,), {"label_smoothing": 0.1}),
    Case("NLLLoss", (LOGITS, IGNORED)),
    *grid("multi_margin_loss", LOGITS, LABELS, p=[1, 2], margin=[0.7], reduction=NONE,
          order=1),
    Case("multi_margin_loss", (LOGITS, LABELS), options={"weight": CLASS_WEIGHT}, order=1),
    Case("multi_margin_loss", (LOGITS[0], np.array(2)), order=1),
    Case("MultiMarginLoss", (LOGITS, LABELS), (2,), order=1),
    *grid("multilabel_margin_loss", LOGITS, np.array([[0, 2, -1, 1], [3, -1, 0, 0], [-1, 1, 1, 1]]),
          reduction=NONE, order=1),
    Case("multilabel_margin_loss", (LOGITS[0], np.array([1, 0, -1, -1])), order=1),
    Case("MultiLabelMarginLoss", (LOGITS[0], np.array([1, 0, -1, -1])), order=1),
    # margins
    *grid("margin_ranking_loss", X, Y, SIGNS, margin=[0, 0.5], reduction=NONE),
    Case("MarginRankingLoss", (X, Y, SIGNS), (0.3,)),
    *grid("hinge_embedding_loss", X, SIGNS, margin=[0.5], reduction=NONE),
    Case("HingeEmbeddingLoss", (X, SIGNS)),
    *grid("cosine_embedding_loss", A, B, ROW_SIGNS, margin=[0, -0.5], reduction=NONE),
    Case("cosine_embedding_loss", (A[0], B[0], np.array(-1)), options={"margin": -0.9}),
    Case("CosineEmbeddingLoss", (A, B, ROW_SIGNS), (-0.5,)),
    *grid("triplet_margin_loss", A, B, -B, swap=[False, True], p=[2, 1.5], reduction=["none"]),
    Case("triplet_margin_loss", (A, B, A - 0.3), options={"margin": 2.0}),
    Case("TripletMarginLoss", (A, B, A - 0.3)),
    *grid("triplet_margin_with_distance_loss", A, B, A - 0.3, swap=[False, True], margin=[0.9]),
    Case("TripletMarginWithDistanceLoss", (A, B, A - 0.3)),
    *grid("soft_margin_loss", X, SIGNS, reduction=NONE),
    Case("SoftMarginLoss", (X, SIGNS)),
    *grid("multilabel_soft_margin_loss", X, Q, weight=[None, CLASS_WEIGHT[:3]],
          reduction=NONE),
    Case("MultiLabelSoftMarginLoss", (X, Q), (CLASS_WEIGHT[:3],)),
]  # fmt: skip
