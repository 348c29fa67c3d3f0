"""The line that the audit names in backward passes by hand: of parts, of steps, of both ways."""

import numpy as np
import pytest

from tinygrad_lab import testing as tgt

X = np.random.default_rng(0).normal(size=(4, 3))
W = np.random.default_rng(1).normal(size=(3, 3))
ROWS = np.array([0, 2, 1, 1])


def centred(x):
    mean = x.mean(axis=1, keepdims=True)
    xc = x - mean
    squares = (xc**2).sum(axis=1, keepdims=True)
    return xc * squares


def back_of_centred(factor):
    """Two uses of ``xc``, each with a name of its own; ``factor`` makes the second wrong."""

    def backward(g, x):
        xc = x - x.mean(axis=1, keepdims=True)
        squares = (xc**2).sum(axis=1, keepdims=True)
        dxc1 = g * squares
        dsquares = (g * xc).sum(axis=1, keepdims=True)
        dxc2 = factor * 2 * xc * dsquares
        dsum = dxc1 + dxc2
        return dsum - dsum.mean(axis=1, keepdims=True)

    return backward


def softmax_loss(taken):
    """A loss with its gradients, which writes into what it has; 1 is to be ``taken`` away."""

    def loss(x, w):
        scores = x @ w
        shifted = scores - scores.max(axis=1, keepdims=True)
        logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        value = -logp[np.arange(4), ROWS].sum() / 4
        dscores = np.exp(logp)
        dscores[np.arange(4), ROWS] -= taken
        dscores /= 4
        return value, (dscores @ w.T, x.T @ dscores)

    return loss


def recurrent_loss(factor):
    """Gradients that are added up over steps, in arrays of zeros."""

    def loss(x, w):
        h, value = {-1: np.zeros((1, 3))}, 0.0
        for t in range(len(x)):
            h[t] = np.tanh(x[t : t + 1] + h[t - 1] @ w)
            value += h[t].sum()
        dx, dw, dh = np.zeros_like(x), np.zeros_like(w), np.zeros((1, 3))
        for t in reversed(range(len(x))):
            dz = (dh + 1) * (1 - h[t] ** 2)
            dx[t] += dz[0]
            dw += factor * h[t - 1].T @ np.abs(dz) if factor != 1 else h[t - 1].T @ dz
            dh = dz @ w.T
        return value, (dx, dw)

    return loss


CASES = {
    "a part": (
        lambda k: (tgt.adapters.numpy(centred, back_of_centred(k)), X),
        "dxc2 = factor * 2 * xc * dsquares",
    ),
    "a step": (
        lambda k: (tgt.adapters.numpy(loss_and_grads=softmax_loss(k)), X, W),
        "dscores[np.arange(4), ROWS] -= taken",
    ),
    "a sum": (
        lambda k: (tgt.adapters.numpy(loss_and_grads=recurrent_loss(k)), X, W),
        "dw += factor * h[t - 1].T @ np.abs(dz) if factor != 1 else h[t - 1].T @ dz",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_wrong_line_is_named_and_right_ones_pass(name):
    check, line = CASES[name]
    assert tgt.gradcheck(*check(1)).verdict == "pass"
    with pytest.raises(tgt.GradientError) as caught:
        tgt.gradcheck(*check(1.5))
    named = [text for text in str(caught.value).splitlines() if "test_audit.py" in text]
    assert line in named[0]  # at the latest, where a step before it may be as wrong
    assert ("first wrong line" in named[0]) == (name != "a step")
