"""Transformers: layers of attention and a small network, their stacks, and the whole of both.

Vaswani et al., "Attention is all you need", 2017.

Not for: attention itself (``attention.py``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.init import Init, xavier_uniform
from tinygrad_lab.nn.layers.attention import MultiheadAttention
from tinygrad_lab.nn.layers.containers import ModuleList
from tinygrad_lab.nn.layers.dropout import Dropout
from tinygrad_lab.nn.layers.linear import Linear
from tinygrad_lab.nn.layers.making import Rng, on_cpu, positive
from tinygrad_lab.nn.layers.normalization import LayerNorm
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.names import look_up
from tinygrad_lab.nn.seeds import stream

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer",
]  # fmt: skip

Array = Any  # a Tensor, or whatever speaks NumPy's protocols
Activation = str | Callable[[Any], Any]

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"relu": functional.relu, "gelu": functional.gelu}


class _Layer(Module):
    """What a layer of either stack is made of: attention, and a network of two linear layers.

    Each of them is added to what came in, and normalised: behind the sum, or with ``norm_first``
    before the block.
    """

    _attentions: tuple[str, ...]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike = np.float64,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        on_cpu(device)
        generator = np.random.default_rng(rng)
        for name in self._attentions:
            layer = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first,
                                       dtype=dtype, init=init, rng=generator)  # fmt: skip
            layer._rng = stream(rng)  # noqa: SLF001 - first values come in a row, masks by place
            setattr(self, name, layer)
        self.linear1 = Linear(
            d_model, dim_feedforward, bias=bias, dtype=dtype, init=init, rng=generator
        )
        self.dropout = Dropout(dropout, rng=rng)
        self.linear2 = Linear(
            dim_feedforward, d_model, bias=bias, dtype=dtype, init=init, rng=generator
        )
        self.norm_first = norm_first
        numbers = range(1, len(self._attentions) + 2)
        for i in numbers:
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype))
        for i in numbers:
            setattr(self, f"dropout{i}", Dropout(dropout, rng=rng))
        self.activation: Callable[[Any], Any] = (
            activation if callable(activation) else look_up(activation, _ACTIVATIONS, "activation")
        )

    def _added(self, x: Array, number: int, block: Callable[[Array], Array]) -> Array:
        """Add a block to ``x``, with its dropout and its normalisation."""
        norm, dropout = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        return x + dropout(block(norm(x))) if self.norm_first else norm(x + dropout(block(x)))

    def _network(self, x: Array) -> Array:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Attention of a sequence to itself, and a network for each of its elements.

    Parameters
    ----------
    d_model, nhead, dim_feedforward : int
        The length of an element, the number of heads, the width of the network.
    dropout : float
        With what probability weights of attention, and elements of each block's result, are 0 in
        training.
    activation : str or callable
        Of the network: "relu", "gelu" or a function.
    layer_norm_eps : float
        What :class:`LayerNorm` adds to the variance.
    batch_first : bool
        Whether inputs are (N, L, d_model), and not (L, N, d_model).
    norm_first : bool
        Whether each block normalises what it takes, and not what comes of the sum.
    bias : bool
        Whether linear layers and normalisations have one.
    dtype, init, rng
        As in :class:`MultiheadAttention`.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, rng=0)
    >>> layer(np.ones((5, 3, 8)), is_causal=True).shape
    (5, 3, 8)
    """

    _attentions = ("self_attn",)
    self_attn: MultiheadAttention

    def forward(
        self,
        src: Array,
        src_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        is_causal: bool = False,
    ) -> Array:
        """Keep the shape; masks are those of :class:`MultiheadAttention`."""
        x = self._added(src, 1, lambda x: self.self_attn(
            x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal
        )[0])  # fmt: skip
        return self._added(x, 2, self._network)


class TransformerDecoderLayer(_Layer):
    """Attention of a sequence to itself and to another, and a network for each of its elements.

    Parameters as of :class:`TransformerEncoderLayer`.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> layer = nn.TransformerDecoderLayer(8, nhead=2, dim_feedforward=16, rng=0)
    >>> layer(np.ones((5, 3, 8)), np.ones((7, 3, 8))).shape
    (5, 3, 8)
    """

    _attentions = ("self_attn", "multihead_attn")
    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention

    def forward(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Array:
        """Keep the shape of ``tgt``; ``memory`` is what the encoder gives."""
        x = self._added(tgt, 1, lambda x: self.self_attn(
            x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal
        )[0])  # fmt: skip
        x = self._added(x, 2, lambda x: self.multihead_attn(
            x, memory, memory, memory_key_padding_mask, False, memory_mask,
            is_causal=memory_is_causal
        )[0])  # fmt: skip
        return self._added(x, 3, self._network)


def _clones(layer: Module, count: int) -> ModuleList:
    """Copies of a layer, with weights of their own that begin alike.

    A generator is not copied, as two that are alike would draw the same masks.
    """
    drawing = {
        id(value): value
        for module in layer.modules()
        for value in vars(module).values()
        if isinstance(value, np.random.Generator)
    }
    return ModuleList([copy.deepcopy(layer, dict(drawing)) for _ in range(count)])


class TransformerEncoder(Module):
    """A stack of ``num_layers`` copies of an encoder layer, which begin with the same weights.

    Parameters
    ----------
    encoder_layer : Module
        What is copied.
    num_layers : int
        How often.
    norm : Module, optional
        What comes at the end.
    enable_nested_tensor, mask_check : bool
        PyTorch's, without effect.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, rng=0)
    >>> nn.TransformerEncoder(layer, num_layers=2)(np.ones((5, 3, 8))).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,  # noqa: ARG002
        mask_check: bool = True,  # noqa: ARG002
    ) -> None:
        self.layers = _clones(encoder_layer, positive(num_layers, "num_layers"))
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        src: Array,
        mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        is_causal: bool | None = None,
    ) -> Array:
        """Keep the shape."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal=bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """A stack of ``num_layers`` copies of a decoder layer: as :class:`TransformerEncoder`."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self.layers = _clones(decoder_layer, positive(num_layers, "num_layers"))
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Array:
        """Keep the shape of ``tgt``."""
        for layer in self.layers:
            tgt = layer(tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask,
                        memory_key_padding_mask, bool(tgt_is_causal), memory_is_causal)  # fmt: skip
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder of one sequence, and a decoder of another that looks at what it gives.

    Parameters
    ----------
    d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, \
bias, dtype, init, rng
        As in :class:`TransformerEncoderLayer`.
    num_encoder_layers, num_decoder_layers : int
        How many layers there are.
    custom_encoder, custom_decoder : Module, optional
        What takes their places.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> model = nn.Transformer(8, 2, 1, 1, dim_feedforward=16, rng=0)
    >>> mask = model.generate_square_subsequent_mask(4)
    >>> model(np.ones((5, 3, 8)), np.ones((4, 3, 8)), tgt_mask=mask).shape
    (4, 3, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike = np.float64,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        shared = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first,
                  norm_first, bias, device, dtype)  # fmt: skip
        how: dict[str, Any] = {"init": init, "rng": rng}

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*shared, **how), num_encoder_layers, norm()
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*shared, **how), num_decoder_layers, norm()
        )
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        if init is None:
            generator = np.random.default_rng(rng)
            for parameter in self.parameters():
                if parameter.ndim > 1:
                    parameter.data = xavier_uniform(parameter.shape, generator, dtype)

    def forward(
        self,
        src: Array,
        tgt: Array,
        src_mask: Array | None = None,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Array:
        """Keep the shape of ``tgt``."""
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask,
                            memory_key_padding_mask, tgt_is_causal, memory_is_causal)  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(
        sz: int, device: Any = None, dtype: npt.DTypeLike = np.float64
    ) -> Any:
        """What is added to scores so that element i looks at 0 to i: minus infinity behind it.

        Examples
        --------
        >>> from tinygrad_lab import nn
        >>> nn.Transformer.generate_square_subsequent_mask(3)
        array([[  0., -inf, -inf],
               [  0.,   0., -inf],
               [  0.,   0.,   0.]])
        """
        on_cpu(device)
        return np.triu(np.full((sz, sz), -np.inf, dtype), 1)
