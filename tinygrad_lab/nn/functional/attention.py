"""Attention: means of values, weighted by how well keys fit a query.

Not for: the layer with its projections and heads (``layers/attention.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.functional.dropouts import dropout
from tinygrad_lab.nn.functional.softmaxes import softmax

__all__ = ["scaled_dot_product_attention"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


@takes_arrays
def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    rng: int | np.random.Generator | None = None,
) -> Array:
    """``softmax(scale * query @ key.T + mask) @ value`` (Vaswani, 2017).

    Parameters
    ----------
    query, key, value : array_like
        Shapes (..., L, E), (..., S, E) and (..., S, F); the result is (..., L, F).
    attn_mask : array_like, optional
        Broadcast to (..., L, S).  Booleans: True where a query looks.  Numbers are added to the
        scores: minus infinity where it does not.
    dropout_p : float
        With what probability weights are 0; also outside training, since a function knows of none.
    is_causal : bool
        Query number i looks at keys 0 to i only.
    scale : float, optional
        ``1 / sqrt(E)`` by default.
    enable_gqa : bool
        Groups of queries share a key and a value: there are fewer heads (the third axis from the
        end) of these.
    rng : int or numpy.random.Generator, optional
        Where dropout draws from.

    Raises
    ------
    ValueError
        Shapes do not fit, or there is a mask beside ``is_causal``.

    Notes
    -----
    A query that looks at nothing gets zeros, as in PyTorch since 2.5, and no gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab.nn import functional as F
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> F.scaled_dot_product_attention(x, x, x, is_causal=True).round(3)
    array([[1.  , 0.  ],
           [0.33, 0.67]])
    """
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        if groups * key.shape[-3] != query.shape[-3]:
            raise ValueError(
                f"enable_gqa: {query.shape[-3]} heads of queries are no multiple of the "
                f"{key.shape[-3]} of keys"
            )
        key, value = np.repeat(key, groups, axis=-3), np.repeat(value, groups, axis=-3)
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(
            "expected shapes (..., L, E), (..., S, E) and (..., S, F) of query, key and value, "
            f"not {query.shape}, {key.shape} and {value.shape}"
        )
    if is_causal:
        if attn_mask is not None:
            raise ValueError("is_causal=True is a mask itself: leave attn_mask out, or is_causal")
        attn_mask = np.tri(query.shape[-2], key.shape[-2], dtype=bool)
    weights = attention_weights(query, key, attn_mask, scale)
    return dropout(weights, dropout_p, True, rng=rng) @ value


def attention_weights(
    query: Array, key: Array, mask: Array | None, scale: float | None = None
) -> Array:
    """How much each query looks at each key, (..., L, S): rows sum to 1, or are all 0."""
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.mT
    if mask is None:
        return softmax(scores, -1)
    if mask.dtype == bool:
        is_blind = ~mask.any(axis=-1, keepdims=True)
        scores = np.where(mask | is_blind, scores, -np.inf)
    else:
        is_blind = (mask == -np.inf).all(axis=-1, keepdims=True)
        scores = scores + np.where(is_blind, 0, mask)
    return np.where(is_blind, 0, softmax(scores, -1))
