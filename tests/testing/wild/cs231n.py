"""A mistake of several public solutions of CS231n's first assignment, rebuilt, with a right twin.

https://cs231n.github.io/assignments2024/assignment1/
"""

import numpy as np

X = np.random.default_rng(0).normal(size=(6, 4))
LABELS = np.array([0, 2, 1, 1, 0, 2])
REG = 0.1


def softmax_loss(W):
    """Loss and gradient of a linear classifier; reg times the squares, as if it were half of it."""
    scores = X @ W
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    rows = np.arange(len(X))
    loss = -np.log(p[rows, LABELS]).mean() + REG * np.sum(W * W)
    dscores = p.copy()
    dscores[rows, LABELS] -= 1
    dW = X.T @ (dscores / len(X))
    dW += REG * W
    return loss, dW


def right_softmax_loss(W):
    """The derivative of the square has a 2."""
    loss, dW = softmax_loss(W)
    return loss, dW + REG * W
