"""Faults in backward passes of layers and losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.checkers.second.arrays import normal, sigmoid
from benchmarks.checkers.second.pairs import Array, Pair, by_hand, faulty

# -- convolution: x (C, T), w (O, C / groups, K) ----------------------------------------------


def _conv(x: Array, w: Array, groups: int = 1) -> Array:
    outputs, per, taps = w.shape
    length = x.shape[1] - taps + 1
    y = np.zeros((outputs, length))
    for o in range(outputs):
        first = o // (outputs // groups) * per
        for c in range(per):
            for k in range(taps):
                y[o] += w[o, c, k] * x[first + c, k : k + length]
    return y


def _conv_vjp(g: Array, x: Array, w: Array, groups: int = 1, fault: str = "") -> Any:
    outputs, per, taps = w.shape
    length = g.shape[1]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for o in range(outputs):
        first = o // (outputs // groups) * per
        for c in range(per):
            read = c if fault == "groups" else first + c
            for k in range(taps):
                written = min(o, len(x) - 1) if fault == "index" else first + c
                dx[written, k : k + length] += w[o, c, k] * g[o]
                dw[o, c, k] = np.sum(g[o] * x[read, k : k + length])
    if fault == "transposed":
        dw = np.ascontiguousarray(dw.transpose(1, 0, 2)).reshape(dw.shape)
    return dx, dw


def _transposed(x: Array, w: Array) -> Array:
    y = np.zeros(2 * len(x) - 1)
    y[::2] = x * w
    return y


def _transposed_right(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    return g[::2] * w, np.asarray((g[::2] * x).sum())


def _transposed_without_stride(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    return g[: len(x)] * w, np.asarray((g[::2] * x).sum())


def _causal(x: Array, w: Array, state: Array) -> tuple[Array, Array]:
    """A causal convolution of a piece of a signal, with the last inputs as a state."""
    wide = np.concatenate([state, x])
    y = np.array([w @ wide[t : t + len(w)] for t in range(len(x))])
    return y, wide[len(wide) - len(state) :]


def _causal_vjp(g: Any, x: Array, w: Array, state: Array, clamped: bool = False) -> Any:
    gy, gs = g
    wide = np.concatenate([state, x])
    d = np.zeros_like(wide)
    dw = np.zeros_like(w)
    for t in range(len(x)):
        d[t : t + len(w)] += gy[t] * w
        dw += gy[t] * wide[t : t + len(w)]
    if clamped:  # the first input that the state holds, taken to be no earlier than 0
        start = max(0, len(x) - len(state))
        inside = d[len(state) + start :]
        inside += gs[: len(inside)]
    else:
        d[len(wide) - len(state) :] += gs
    return d[len(state) :], dw, d[: len(state)]


# -- normalisation ----------------------------------------------------------------------------

EPS = 1e-3


def _batch_norm(x: Array, gamma: Array, beta: Array) -> Array:
    d = x - x.mean(0)
    return d / np.sqrt((d * d).mean(0) + EPS) * gamma + beta


def _batch_norm_vjp(g: Array, x: Array, gamma: Array, beta: Array, fault: str = "") -> Any:
    n, d = len(x), x - x.mean(0)
    inverse = 1 / np.sqrt((d * d).mean(0) + EPS)
    z = d * inverse
    dz = g if fault == "scale" else g * gamma
    dx = inverse * (dz - dz.mean(0) - z * (dz * z).mean(0))
    if fault == "extra":  # a term that vanishes twice in the paper, added once more
        dx = dx + inverse * z.sum(0) / n + inverse * inverse * (dz * d).mean(0) / n
    dgamma = np.zeros_like(gamma) if fault == "gamma" else (g * z).sum(0)
    return dx, dgamma, g.sum(0)


def _layer_norm(x: Array, gamma: Array) -> Array:
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + EPS) * gamma


def _layer_norm_vjp(g: Array, x: Array, gamma: Array, two_axes: bool = False) -> Any:
    shape, n = x.shape, x.size // x.shape[0] if two_axes else x.shape[-1]
    dz = (g * gamma).reshape(-1, n)
    rows = x.reshape(-1, n)
    d = rows - rows.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt((d * d).mean(-1, keepdims=True) + EPS)
    z = d * inverse
    dx = inverse * (dz - dz.mean(-1, keepdims=True) - z * (dz * z).mean(-1, keepdims=True))
    axes = tuple(range(g.ndim - 1))
    return dx.reshape(shape), (g * z.reshape(shape)).sum(axes)


def _channel_scale(x: Array, w: Array) -> Array:
    return x * w[:, None]


def _scale_by_memory(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    # sums as if channels were the outer axis in memory, which in "channels last" they are not
    flat = np.lib.stride_tricks.as_strided(x, (x.size,), (x.itemsize,))
    flat_g = np.ascontiguousarray(g).ravel()
    dw = (flat * flat_g).reshape(x.shape).sum(1)
    return g * w[:, None], dw


# -- attention and sampling -------------------------------------------------------------------


def _attention(q: Array, k: Array, v: Array, causal: bool) -> Array:
    scores = q @ k.T / np.sqrt(q.shape[1])
    if not causal:
        return _rows(scores) @ v
    return _rows(np.where(np.tri(len(q), dtype=bool), scores, -np.inf)) @ v


def _rows(scores: Array) -> Array:
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _attention_vjp(g: Array, q: Array, k: Array, v: Array, causal: bool) -> Any:
    scores = q @ k.T / np.sqrt(q.shape[1])
    p = _rows(np.where(np.tri(len(q), dtype=bool), scores, -np.inf) if causal else scores)
    dp = g @ v.T
    ds = p * (dp - (dp * p).sum(1, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, p.T @ g


def _sample(image: Array, at: Array) -> Array:
    """Linear interpolation, with the border repeated outside."""
    at = np.clip(at, 0, len(image) - 1)
    low = np.minimum(np.floor(at).astype(int), len(image) - 2)
    return image[low] + (image[low + 1] - image[low]) * (at - low)


def _sample_vjp(g: Array, image: Array, at: Array, beyond: bool = False) -> Any:
    inside = np.clip(at, 0, len(image) - 1)
    low = np.minimum(np.floor(inside).astype(int), len(image) - 2)
    w = inside - low
    dimage = np.zeros_like(image)
    np.add.at(dimage, low, g * (1 - w))
    np.add.at(dimage, low + 1, g * w)
    slope = (image[low + 1] - image[low]) * ((at > 0) & (at < len(image) - 1))
    if beyond:  # at the border the next pixel is outside, and reads as 0
        slope = np.where(at == len(image) - 1, -10 * image[-1], slope)
    return dimage, g * slope


def _at_the_border(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.uniform(1, 2, 5), np.array([0.3, 4.0, 2.6])


# -- losses -----------------------------------------------------------------------------------


def _huber(x: Array, t: Array) -> Array:
    a = abs(x - t)
    return np.where(a < 1, a * a / 2, a - 0.5).sum(1)


def _log_softmax(x: Array) -> Array:
    s = x - x.max(1, keepdims=True)
    return s - np.log(np.exp(s).sum(1, keepdims=True))


LABELS = np.array([0, 2, 1, 2])
HOT = np.eye(3)[LABELS]


def _cross_entropy(reduction: str) -> Any:
    def loss(x: Array) -> Array:
        each = -(HOT * _log_softmax(x)).sum(1)
        return each if reduction == "none" else np.asarray(getattr(np, reduction)(each))

    return loss


def _ce_gradient(x: Array) -> Array:
    return np.exp(_log_softmax(x)) - HOT


def _softmax_regression(x: Array, w: Array, b: Array) -> Array:
    return np.asarray(-(HOT * _log_softmax(x @ w.T + b)).sum())


def _regression_vjp(g: Array, x: Array, w: Array, b: Array, one_bias: bool = False) -> Any:
    d = g * _ce_gradient(x @ w.T + b)
    return d @ w, d.T @ x, np.full_like(b, d.sum()) if one_bias else d.sum(0)


def _center(x: Array, centers: Array) -> Array:
    return np.asarray(((x - centers[LABELS]) ** 2).sum() / 2 / len(x))


def _center_vjp(g: Array, x: Array, centers: Array, per_sample: bool = False) -> Any:
    d = g * (x - centers[LABELS]) / (1 if per_sample else len(x))
    dc = np.zeros_like(centers)
    np.add.at(dc, LABELS, -g * (x - centers[LABELS]) / len(x))
    return d, dc


def _triplet(a: Array, p: Array, n: Array) -> Array:
    return np.asarray((((a - p) ** 2).sum(1) - ((a - n) ** 2).sum(1) + 50.0).mean())


def _triplet_vjp(g: Array, a: Array, p: Array, n: Array, proposed: bool = False) -> Any:
    scale = 2 * g / len(a)
    if proposed:
        return scale * (n - p), -scale * a, scale * a
    return scale * (n - p), scale * (p - a), scale * (a - n)


def _ranking(a: Array, b: Array, y: Array) -> Array:
    return np.maximum(0, -y * (a - b) + 9.0).sum(0)


def _ranking_by_target(g: Array, a: Array, b: Array, y: Array) -> Any:
    return -g * (a - b), g * (a - b), -g * (a - b)  # by y, where those by a and b belong


def _focal(x: Array) -> Array:
    p = np.clip(sigmoid(x), 1e-6, 1 - 1e-6)
    return -((1 - p) ** 0.5) * np.log(p)


def _focal_right(g: Array, x: Array) -> Array:
    p = np.clip(sigmoid(x), 1e-6, 1 - 1e-6)
    inside = (sigmoid(x) > 1e-6) & (sigmoid(x) < 1 - 1e-6)
    d = 0.5 * (1 - p) ** -0.5 * np.log(p) - (1 - p) ** 0.5 / p
    return g * d * p * (1 - p) * inside


def _focal_unbounded(g: Array, x: Array) -> Array:
    p = sigmoid(x)
    with np.errstate(all="ignore"):
        d = 0.5 * (1 - p) ** -0.5 * np.log(p) - (1 - p) ** 0.5 / p
        return g * d * p * (1 - p)


def _saturated(rng: np.random.Generator) -> tuple[Array]:
    return (np.array([-1.0, 0.5, 100.0]) + rng.uniform(0, 0.1, 3),)


def _swiglu(a: Array, b: Array) -> Array:
    return a * sigmoid(a) * b


def _swiglu_right(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    s = sigmoid(a)
    return g * b * s * (1 + a * (1 - s)), g * a * s


def _swiglu_in_place(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    da, db = _swiglu_right(g, a, b)
    a[...], b[...] = da, db  # to save memory
    return a, b


def _ranks(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    return rng.normal(size=4), rng.normal(size=4), rng.choice([-1.0, 1.0], 4)


def _piece(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    return rng.normal(size=1), rng.normal(size=4), rng.normal(size=3)


def _channels_last(rng: np.random.Generator) -> tuple[Array, Array]:
    return np.asfortranarray(rng.normal(size=(3, 4))), rng.normal(size=3)


PAIRS: list[Pair] = [
    by_hand("weight gradient of a convolution in groups", "pytorch/pytorch#51430",
            normal((4, 6), (2, 2, 3)), lambda x, w: _conv(x, w, 2),
            lambda g, x, w: _conv_vjp(g, x, w, 2), lambda g, x, w: _conv_vjp(g, x, w, 2, "groups")),
    by_hand("input gradient of a convolution, written to the wrong channel",
            "NervanaSystems/neon#111", normal((3, 6), (2, 3, 3)), _conv, _conv_vjp,
            lambda g, x, w: _conv_vjp(g, x, w, fault="index")),
    by_hand("weight gradient of several channels, in the wrong order", "nntrainer/nntrainer#705",
            normal((3, 6), (3, 3, 2)), _conv, _conv_vjp,
            lambda g, x, w: _conv_vjp(g, x, w, fault="transposed")),
    by_hand("transposed convolution: the stride missing in backward", "pytorch/pytorch#63314",
            normal((4,), ()), _transposed, _transposed_right, _transposed_without_stride),
    by_hand("causal convolution of a piece shorter than its state",
            "fla-org/flash-linear-attention#1140", _piece, _causal, _causal_vjp,
            lambda g, x, w, s: _causal_vjp(g, x, w, s, clamped=True)),
    by_hand("batch norm whose input gradient forgets the scale", "denizyuret/Knet.jl#288",
            normal((6, 3), (3,), (3,)), _batch_norm, _batch_norm_vjp,
            faulty(_batch_norm_vjp, fault="scale")),
    by_hand("batch norm with a term too many", "apache/mxnet#1053",
            normal((6, 3), (3,), (3,)), _batch_norm, _batch_norm_vjp,
            faulty(_batch_norm_vjp, fault="extra")),
    by_hand("batch norm whose scale gets no gradient", "apache/mxnet#18499",
            normal((6, 3), (3,), (3,)), _batch_norm, _batch_norm_vjp,
            faulty(_batch_norm_vjp, fault="gamma")),
    by_hand("layer norm whose backward takes all axes but the first", "flagos-ai/FlagGems#5392",
            normal((2, 3, 4), (4,)), _layer_norm, _layer_norm_vjp,
            faulty(_layer_norm_vjp, two_axes=True)),
    by_hand("scale of channels, wrong for channels that lie last in memory",
            "pytorch/pytorch#140913", _channels_last, _channel_scale,
            lambda g, x, w: (g * w[:, None], (g * x).sum(1)), _scale_by_memory),
    by_hand("attention whose backward takes the mask for given", "triton-lang/triton#4541",
            normal((4, 3), (4, 3), (4, 2)), lambda q, k, v: _attention(q, k, v, False),
            faulty(_attention_vjp, causal=False),
            faulty(_attention_vjp, causal=True)),
    by_hand("sampling exactly at the border", "pytorch/pytorch#23925", _at_the_border, _sample,
            _sample_vjp, faulty(_sample_vjp, beyond=True)),
    by_hand("Huber loss without its upstream", "chainer/chainer#1178", normal((3, 4), (3, 4)),
            _huber, lambda g, x, t: (g[:, None] * np.clip(x - t, -1, 1),
                                     -g[:, None] * np.clip(x - t, -1, 1)),
            lambda g, x, t: (np.clip(x - t, -1, 1), -np.clip(x - t, -1, 1))),
    by_hand("one sum for all biases", "rasbt/stat453-deep-learning-ss21#5",
            normal((4, 2), (3, 2), (3,)), _softmax_regression, _regression_vjp,
            faulty(_regression_vjp, one_bias=True)),
    by_hand("a loss divided by the batch, its gradient not",
            "jxgu1016/MNIST_center_loss_pytorch#9", normal((4, 2), (3, 2)), _center,
            _center_vjp, faulty(_center_vjp, per_sample=True)),
    by_hand("mean over the batch, divided by the number of elements", "victorlempitsky/Mate#2",
            normal((4, 3)), _cross_entropy("mean"), lambda g, x: g * _ce_gradient(x) / len(x),
            lambda g, x: g * _ce_gradient(x) / x.size),
    by_hand("a sum whose gradient is a mean's", "paiml/aprender#2182, reduction sum",
            normal((4, 3)), _cross_entropy("sum"), lambda g, x: g * _ce_gradient(x),
            lambda g, x: g * _ce_gradient(x) / len(x)),
    by_hand("upstream of the first sample for all", "paiml/aprender#2182, reduction none",
            normal((4, 3)), _cross_entropy("none"), lambda g, x: g[:, None] * _ce_gradient(x),
            lambda g, x: g[0] * _ce_gradient(x)),
    by_hand("a mean whose gradient is a sum's", "tensorflow/swift-apis#42", normal((4, 3)),
            _cross_entropy("mean"), lambda g, x: g * _ce_gradient(x) / len(x),
            lambda g, x: g * _ce_gradient(x)),
    by_hand("triplet loss, as the report proposes", "luhaofang/tripletloss#41",
            normal((4, 2), (4, 2), (4, 2)), _triplet, _triplet_vjp,
            faulty(_triplet_vjp, proposed=True)),
    by_hand("ranking loss: the gradient by its target", "mlpack/mlpack#3167", _ranks, _ranking,
            lambda g, a, b, y: (-g * y, g * y, -g * (a - b)), _ranking_by_target),
    by_hand("focal loss of a certain prediction", "kornia/kornia#918", _saturated, _focal,
            _focal_right, _focal_unbounded),
    by_hand("backward that writes into what was saved", "linkedin/Liger-Kernel#254",
            normal((4,), (4,)), _swiglu, _swiglu_right, _swiglu_in_place),
]  # fmt: skip
