"""Tables of vectors, looked up by number.

Not for: the arithmetic (``functional/embeddings.py``).
"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.levels import detached
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.functional.embeddings import padding_row, shrinkage
from tinygrad_lab.nn.init import Init, initialiser
from tinygrad_lab.nn.layers.making import Rng, expect_one_for_all, on_cpu, positive
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.parameter import Parameter

__all__ = ["Embedding", "EmbeddingBag"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class _Table(Module):
    """A table of rows, some of which may be too long."""

    max_norm: float | None
    norm_type: float
    weight: Parameter

    def _fill(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        weight: Any,
        dtype: npt.DTypeLike | None,
        init: str | Init | None,
        rng: Rng,
    ) -> None:
        self.num_embeddings = positive(num_embeddings, "num_embeddings")
        self.embedding_dim = positive(embedding_dim, "embedding_dim")
        self.padding_idx = None if padding_idx is None else padding_row(padding_idx, num_embeddings)
        shape, dtype = (self.num_embeddings, self.embedding_dim), np.dtype(dtype or np.float64)
        if weight is not None:
            self.weight = Parameter(weight)
            if self.weight.shape != shape:
                raise ValueError(f"a weight of shape {self.weight.shape} in a table of {shape}")
            return
        if dtype.kind not in "fc":
            raise ValueError(f"dtype={dtype}: parameters are floats")
        values = initialiser(init or "normal")(shape, np.random.default_rng(rng), dtype)
        if self.padding_idx is not None:
            values[self.padding_idx] = 0
        self.weight = Parameter(values)

    def _shorten(self, input: Array) -> None:
        """Put rows that are looked up, and too long, shorter into the weight, as PyTorch does."""
        if self.max_norm is None or not isinstance(self.weight, Parameter):
            return  # in a functional call the weight is the caller's
        rows = self.weight.data
        is_used = np.isin(np.arange(self.num_embeddings), detached(input))
        scale = np.where(is_used[:, None], shrinkage(rows, self.max_norm, self.norm_type), 1)
        new = rows * scale.astype(rows.dtype)
        expect_one_for_all(new, rows, self, "max_norm would leave each example's own rows in")
        self.weight.data = new

    def _settings(self, **usual: Any) -> str:
        """The sizes, and what differs from the defaults."""
        others = [f"{k}={getattr(self, k)!r}" for k, v in usual.items() if getattr(self, k) != v]
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *others])


class Embedding(_Table):
    """A table of ``num_embeddings`` vectors, looked up by number.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        How many rows, and how long they are.
    padding_idx : int, optional
        A row that begins at 0 and gets no gradient.
    max_norm, norm_type : float
        A row that is looked up and is longer is made shorter, in the weight itself.
    scale_grad_by_freq : bool
        Divide the gradient of each row by how often it was looked up.
    sparse : bool
        Has no effect: gradients are dense.
    dtype : dtype
        A float type; float64 by default.
    init : str or callable, optional
        Draws the weight; standard normal by default.
    rng : int or numpy.random.Generator, optional
        Where the draws come from.

    Raises
    ------
    IndexError
        A number that is looked up has no row.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Embedding(10, 3, padding_idx=0, rng=0)
    >>> layer
    Embedding(10, 3, padding_idx=0)
    >>> layer(np.array([[1, 2, 0]])).shape
    (1, 3, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        on_cpu(device)
        self._fill(num_embeddings, embedding_dim, padding_idx, _weight, dtype, init, rng)
        self.weight.requires_grad_(not _freeze)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Array,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """Make a table of given rows, which are copied, and frozen unless ``freeze=False``.

        Examples
        --------
        >>> import numpy as np
        >>> layer = Embedding.from_pretrained(np.array([[1.0, 2.0], [3.0, 4.0]]))
        >>> layer(np.array([1]))
        Tensor([[3., 4.]])
        """
        shape = np.shape(embeddings)
        if len(shape) != 2:
            raise ValueError(f"embeddings have shape {shape}, expected (rows, D)")
        return cls(
            *shape, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze
        )

    def forward(self, input: Array) -> Array:
        """Shapes (...) to (..., embedding_dim)."""
        self._shorten(input)
        return functional.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The settings."""
        return self._settings(
            padding_idx=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, sparse=False
        )


class EmbeddingBag(_Table):
    """The sum, mean or largest elements of rows of a table; parameters as :class:`Embedding`.

    Parameters
    ----------
    mode : {"mean", "sum", "max"}
        What is made of the rows of a bag.
    include_last_offset : bool
        Whether the last offset is where the last bag ends.

    Examples
    --------
    >>> import numpy as np
    >>> layer = EmbeddingBag(10, 3, mode="sum", rng=0)
    >>> layer
    EmbeddingBag(10, 3, mode='sum')
    >>> layer(np.array([1, 2, 4, 5, 4]), np.array([0, 3])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: Literal["sum", "mean", "max"] = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        on_cpu(device)
        self._fill(num_embeddings, embedding_dim, padding_idx, _weight, dtype, init, rng)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse, self.mode = scale_grad_by_freq, sparse, mode
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Array,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: Literal["sum", "mean", "max"] = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """Make a table of given rows, which are copied, and frozen unless ``freeze=False``."""
        shape = np.shape(embeddings)
        if len(shape) != 2:
            raise ValueError(f"embeddings have shape {shape}, expected (rows, D)")
        layer = cls(
            *shape, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings,
            include_last_offset, padding_idx,
        )  # fmt: skip
        return layer.requires_grad_(not freeze)

    def forward(
        self, input: Array, offsets: Array | None = None, per_sample_weights: Array | None = None
    ) -> Array:
        """Shapes (B, N), or (M,) with offsets (B,), to (B, embedding_dim)."""
        self._shorten(input)
        return functional.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
            self.mode, self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The settings."""
        return self._settings(
            max_norm=None, norm_type=2, scale_grad_by_freq=False, mode=None, padding_idx=None
        )
