"""Text in the cells of an image: readable on its colour, and a hatch where there is no number.

Not for: the image itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["hatch", "write_cells"]


def write_cells(
    ax: Axes,
    table: NDArray[Any],
    norm: Any,
    texts: Sequence[Sequence[str]],
    **options: Any,
) -> None:
    """Write a text in each cell, in black or white, whichever reads better on its colour.

    Parameters
    ----------
    ax
        With an image of ``table`` in cividis.
    table
        What the colours are of, shape (rows, columns).
    norm
        That of the image.
    texts
        One for each cell; one whose number is not finite has a ``–`` and a hatch.
    options
        For the texts.
    """
    for (i, j), value in np.ndenumerate(table):
        if not np.isfinite(value):
            hatch(ax, i, j)
            ground = {"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 1.5}
            ax.text(j, i, "–", ha="center", va="center", bbox=ground, **options)
            continue
        colour = "white" if float(norm(value)) < 0.55 else "black"
        ax.text(j, i, texts[i][j], ha="center", va="center", color=colour, **options)


def hatch(ax: Axes, i: int, j: int) -> None:
    """Hatch a cell for which there is no number."""
    from matplotlib.patches import Rectangle

    ink = ax.xaxis.label.get_color()
    cell = Rectangle((j - 0.5, i - 0.5), 1, 1, hatch="///", fill=False, linewidth=0, edgecolor=ink)
    ax.add_patch(cell)
