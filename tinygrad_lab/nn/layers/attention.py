"""Attention with several heads, and its projections.

Not for: the arithmetic (``functional/attention.py``), or what is built of it (``transformer.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.functional.attention import attention_weights
from tinygrad_lab.nn.functional.dropouts import probability
from tinygrad_lab.nn.init import Init
from tinygrad_lab.nn.layers.linear import Linear
from tinygrad_lab.nn.layers.making import Rng, first_values, on_cpu, positive
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.parameter import Parameter
from tinygrad_lab.nn.seeds import stream

__all__ = ["MultiheadAttention"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class MultiheadAttention(Module):
    """Attention of ``num_heads`` heads beside each other, each with projections of its own.

    Parameters
    ----------
    embed_dim, num_heads : int
        The length of queries and results, which the heads share out among them.
    dropout : float
        With what probability weights are 0 in training.
    bias : bool
        Whether projections have one.
    add_bias_kv, add_zero_attn : bool
        Whether there is one more key and value, learned or 0, that every query may look at.
    kdim, vdim : int, optional
        The lengths of keys and values, where they are others.
    batch_first : bool
        Whether inputs are (N, L, E), and not (L, N, E).
    dtype, init, rng
        As in :class:`Linear`; by default the projections of the inputs are drawn as Glorot says,
        and biases begin at 0, as in PyTorch.

    Raises
    ------
    ValueError
        ``embed_dim`` is no multiple of ``num_heads``, or an input or a mask does not fit.

    Notes
    -----
    Called with ``(query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,
    average_attn_weights=True, is_causal=False)`` it returns the result and the weights, the mean
    of all heads' or those of each, or None.  Masks are PyTorch's: booleans are True where one does
    *not* look, numbers are added.  ``key_padding_mask`` is (N, S); ``attn_mask`` is (L, S), or
    (N * num_heads, L, S).  A query that may look at nothing gets weights of 0, where PyTorch's
    are NaN; ``is_causal`` needs no mask beside it.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> x = np.random.default_rng(0).normal(size=(5, 2, 8))
    >>> attention = nn.MultiheadAttention(8, num_heads=2, rng=0)
    >>> y, weights = attention(x, x, x)
    >>> y.shape, weights.shape
    ((5, 2, 8), (2, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: npt.DTypeLike = np.float64,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        on_cpu(device)
        self.embed_dim = e = positive(embed_dim, "embed_dim")
        self.num_heads = positive(num_heads, "num_heads")
        if e % num_heads:
            raise ValueError(f"embed_dim={e} is no multiple of num_heads={num_heads}")
        self.head_dim = e // num_heads
        self.kdim = e if kdim is None else positive(kdim, "kdim")
        self.vdim = e if vdim is None else positive(vdim, "vdim")
        self.dropout = probability(dropout, "dropout")
        self.add_zero_attn, self.batch_first = add_zero_attn, batch_first
        self._rng = stream(rng)
        generator = np.random.default_rng(rng)

        def drawn(*shape: int) -> Parameter:
            return first_values(shape, 0.0, dtype, init or "xavier_uniform", generator)

        self.in_proj_weight = self.q_proj_weight = self.k_proj_weight = self.v_proj_weight = None
        if self.kdim == self.vdim == e:
            self.in_proj_weight = drawn(3 * e, e)
        else:
            self.q_proj_weight, self.k_proj_weight = drawn(e, e), drawn(e, self.kdim)
            self.v_proj_weight = drawn(e, self.vdim)
        self.in_proj_bias = drawn(3 * e) if bias else None
        self.out_proj = Linear(e, e, bias=bias, dtype=dtype, init=init, rng=generator)
        if bias:
            self.out_proj.bias = drawn(e)
        self.bias_k = drawn(1, 1, e) if add_bias_kv else None
        self.bias_v = drawn(1, 1, e) if add_bias_kv else None

    def forward(
        self,
        query: Array,
        key: Array,
        value: Array,
        key_padding_mask: Array | None = None,
        need_weights: bool = True,
        attn_mask: Array | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Array, Array | None]:
        """The result, of the shape of ``query``, and the weights."""
        self._check(query, key, value)
        is_single = query.ndim == 2
        if is_single:
            query, key, value = _all(lambda x: x[:, None], query, key, value)
            key_padding_mask = None if key_padding_mask is None else key_padding_mask[None]
        elif self.batch_first:
            query, key, value = _all(lambda x: np.swapaxes(x, 0, 1), query, key, value)
        mask = self._mask(query, key, key_padding_mask, attn_mask, is_causal)
        q, k, v = map(self._by_head, self._projected(query, key, value))
        if self.add_zero_attn:
            k, v = (np.concatenate([x, np.zeros_like(x[:, :, :1])], axis=2) for x in (k, v))
        weights = attention_weights(q, k, mask)
        if self.training:
            weights = functional.dropout(weights, self.dropout, rng=self._rng)
        y = np.transpose(weights @ v, (2, 0, 1, 3)).reshape(query.shape)
        y = self.out_proj(y)
        if need_weights and average_attn_weights:
            weights = weights.mean(axis=1)
        if is_single:
            y, weights = y[:, 0], weights[0]
        elif self.batch_first:
            y = np.swapaxes(y, 0, 1)
        return y, weights if need_weights else None

    def _check(self, query: Array, key: Array, value: Array) -> None:
        """Check that shapes are (L, N, E), (S, N, kdim) and (S, N, vdim), or without N."""
        shapes = query.shape, key.shape, value.shape
        lengths = (self.embed_dim, self.kdim, self.vdim)
        single = all(len(s) == 2 for s in shapes)
        batch = 0 if self.batch_first else 1
        if (
            any(s[-1:] != (n,) for s, n in zip(shapes, lengths, strict=True))
            or not (single or all(len(s) == 3 for s in shapes))
            or shapes[1][:-1] != shapes[2][:-1]
            or not (single or shapes[0][batch] == shapes[1][batch])
        ):
            form = "({0}, {1})" if single else "(N, {0}, {1})" if batch == 0 else "({0}, N, {1})"
            expected = (form.format(*each) for each in zip("LSS", lengths, strict=True))
            raise ValueError(
                f"MultiheadAttention takes shapes {', '.join(expected)} of query, key and value, "
                f"and not {', '.join(map(str, shapes))}"
            )

    def _projected(self, query: Array, key: Array, value: Array) -> list[Array]:
        """Queries, keys and values; of one input by one product."""
        e, bias = self.embed_dim, self.in_proj_bias
        parts = (slice(e), slice(e, 2 * e), slice(2 * e, None))
        if query is key is value and self.in_proj_weight is not None:
            y = functional.linear(query, self.in_proj_weight, bias)
            q, k, v = (y[..., part] for part in parts)
        else:
            weights: list[Any] = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
            if self.in_proj_weight is not None:
                weights = [self.in_proj_weight[part] for part in parts]
            biases = [None if bias is None else bias[part] for part in parts]
            q, k, v = map(functional.linear, (query, key, value), weights, biases)
        if self.bias_k is not None and self.bias_v is not None:
            more = (1, *k.shape[1:])
            k = np.concatenate([k, np.broadcast_to(self.bias_k, more)])
            v = np.concatenate([v, np.broadcast_to(self.bias_v, more)])
        return [q, k, v]

    def _by_head(self, x: Array) -> Array:
        """Shapes (L, N, E) to (N, heads, L, E / heads)."""
        return np.transpose(x.reshape((*x.shape[:2], self.num_heads, self.head_dim)), (1, 2, 0, 3))

    def _mask(
        self, query: Array, key: Array, padding: Array | None, attn: Array | None, causal: bool
    ) -> Array | None:
        """What is added to the scores, (N or 1, heads or 1, L or 1, keys), if anything is."""
        (length, batch), keys = query.shape[:2], key.shape[0]
        if attn is None and causal:
            attn = ~np.tri(length, keys, dtype=bool)
        masks = []
        if attn is not None:
            of_each = (batch * self.num_heads, length, keys)
            if attn.shape not in (of_each, of_each[1:]):
                raise ValueError(
                    f"attn_mask has shape {attn.shape}, and here it has {of_each[1:]}, or {of_each}"
                )
            masks.append(attn.reshape((-1, self.num_heads if attn.ndim == 3 else 1, length, keys)))
        if padding is not None:
            if padding.shape != (batch, keys):
                raise ValueError(
                    f"key_padding_mask has shape {padding.shape}, and here it has {(batch, keys)}"
                )
            masks.append(padding[:, None, None])
        if not masks:
            return None
        mask = sum(_added(m, query.dtype) for m in masks)
        more = (self.bias_k is not None) + self.add_zero_attn
        return np.pad(mask, ((0, 0),) * 3 + ((0, more),)) if more else mask


def _all(f: Any, query: Array, key: Array, value: Array) -> tuple[Array, Array, Array]:
    """Apply ``f``; what was one array stays one."""
    q = f(query)
    k = q if key is query else f(key)
    return q, k, k if value is key else f(value)


def _added(mask: Array, dtype: Any) -> Array:
    """What a mask adds to scores: booleans are True where one does not look."""
    return np.where(mask, -np.inf, 0.0).astype(dtype) if mask.dtype == bool else mask
