"""Attention: which token looks at which.

Not for: embeddings of tokens (``embeddings.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tinygrad_lab.viz.plots.canvas import axes, numbers, panels, some_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_attention"]


def plot_attention(
    weights: ArrayLike,
    tokens: Sequence[object] | None = None,
    *,
    keys: Sequence[object] | None = None,
    ax: Axes | None = None,
    columns: int | None = None,
    colorbar: bool = True,
) -> Axes:
    """Draw the weights of attention, a row for each token that looks; heads as small multiples.

    All heads share one colour scale, from 0 to the largest weight.

    Parameters
    ----------
    weights
        Shape (queries, keys), (heads, queries, keys) or (1, heads, queries, keys), as
        ``nn.MultiheadAttention(...)(..., average_attn_weights=False)`` gives them of one sequence.
    tokens
        Names of the queries, and of the keys if ``keys`` is left out; numbers when left out.
    keys
        Names of the keys, where they are others.
    ax
        Where to draw; a new figure when left out. Several heads are its ``child_axes``.
    columns
        Heads in a row; a near square by default.
    colorbar
        Draw the colour bar.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Another shape, several sequences, negative weights, or another number of tokens.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> weights = np.tril(np.ones((2, 3, 3))) / np.array([[1], [2], [3]])
    >>> ax = plot_attention(weights, ["a", "cat", "sat"], ax=Figure().subplots())
    >>> [head.get_title() for head in ax.child_axes[:2]]
    ['head 0', 'head 1']
    """
    shape = "(queries, keys) or (heads, queries, keys)"
    table = numbers(weights, "plot_attention", shape, 2, 3, 4)
    if table.ndim == 4 and len(table) > 1:
        raise ValueError(
            f"plot_attention draws one sequence, got {len(table)}, shape {table.shape}: "
            "say weights[0]"
        )
    heads = table.reshape(-1, *table.shape[-2:])
    if (heads < 0).any():
        raise ValueError("plot_attention needs weights, not scores: there are negative ones")
    names = _names(tokens, heads.shape[1], "queries")
    others = _names(keys if keys is not None or heads.shape[1] != heads.shape[2] else tokens,
                    heads.shape[2], "keys")  # fmt: skip
    several = len(heads) > 1
    columns = min(columns or math.ceil(math.sqrt(len(heads))), len(heads))
    if ax is None:
        rows = math.ceil(len(heads) / columns)
        ax = axes(None, figsize=(1.2 + 2.6 * columns, 1.2 + 2.6 * rows) if several else None)
    places = panels(ax, len(heads), columns, gaps=(0.08, 0.28)) if several else [ax]
    finite = heads[np.isfinite(heads)]
    largest = float(np.max(finite, initial=0.0)) or 1.0
    for index, (panel, head) in enumerate(zip(places, heads, strict=True)):
        image = panel.imshow(
            np.ma.masked_invalid(head), cmap="cividis", vmin=0.0, vmax=largest, aspect="auto"
        )
        some_ticks(panel.xaxis, others, rotation=90)
        some_ticks(panel.yaxis, names)
        if several:
            panel.set_title(f"head {index}", fontsize="medium")
            is_left, is_low = index % columns == 0, index + columns >= len(heads)
            panel.tick_params(labelleft=is_left, labelbottom=is_low)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label="weight")
    return ax


def _names(tokens: Sequence[object] | None, count: int, what: str) -> list[str]:
    names = [str(i) for i in range(count)] if tokens is None else [str(t) for t in tokens]
    if len(names) != count:
        raise ValueError(f"plot_attention got {len(names)} names for {count} {what}")
    return names
