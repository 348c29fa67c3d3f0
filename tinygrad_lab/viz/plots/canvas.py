"""What all plots share: their Axes, the palette, and data as plain arrays.

Not for: what one family of plots alone draws or checks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

__all__ = [
    "COLOURS",
    "ON_DARK",
    "axes",
    "class_style",
    "colour",
    "curve_style",
    "edges_between",
    "legend_below",
    "named",
    "numbers",
    "paler",
    "panels",
    "plain",
    "positions",
    "quiet",
    "some_ticks",
    "two_sided",
]

#: Six of Okabe and Ito's and a grey, told apart under every common colour-vision deficiency.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
#: The same for a dark ground, the farthest apart of their paler shades.
ON_DARK = ("#73B1D5", "#E28E4D", "#009E73", "#CC79A7", "#F1CA73", "#A2D6F3", "#E0E0E0")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
_MARKERS = ("o", "^", "s", "D", "v", "P", "X")

# The ground is dark if red, green and blue together are less than this, of 3.
_DARK_BELOW = 1.0


# ---- data in ------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Return the array of a Tensor, and anything else as it is."""
    return value.data if isinstance(value, Tensor) else value


def numbers(value: Any, what: str, shape: str, *ndims: int) -> NDArray[np.float64]:
    """Return an array of float64 that has one of these numbers of axes, and elements.

    Parameters
    ----------
    value
        What a plot was called with.
    what
        What it is, for the error: ``plot_kernels``, ``a weight``.
    shape
        What was expected, in words: ``(out, in, height, width)``.
    ndims
        The numbers of axes it may have.
    """
    try:
        array = np.asarray(plain(value), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} needs numbers of shape {shape}: {error}") from None
    if array.ndim not in ndims or not array.size:
        raise ValueError(f"{what} needs shape {shape}, not empty; got {array.shape}")
    return array


def named(data: Any, what: str, entry: str) -> dict[str, Any]:
    """Return a mapping from names, of which there must be one or more."""
    if not isinstance(data, Mapping):
        raise TypeError(f"{what} needs a mapping from a name to {entry}, got {type(data).__name__}")
    if not data:
        raise ValueError(f"{what} needs one entry or more, got an empty mapping")
    return {str(name): value for name, value in data.items()}


def positions(steps: Any, count: int, what: str) -> NDArray[np.float64]:
    """Return increasing positions, as many as there are entries; 0, 1, 2, ... of none."""
    if steps is None:
        return np.arange(count, dtype=np.float64)
    x = np.asarray(plain(steps), dtype=np.float64)
    if x.shape != (count,) or not (np.diff(x) > 0).all() or not np.isfinite(x).all():
        raise ValueError(f"{what} needs {count} increasing numbers, got {steps!r:.60}")
    return x


# ---- the Axes -----------------------------------------------------------------------------------


def axes(ax: Axes | None, **figure: Any) -> Axes:
    """Return ``ax``, or the only Axes of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained", **figure)[1]


def panels(
    ax: Axes, count: int, columns: int, gaps: tuple[float, float] = (0.18, 0.18)
) -> list[Axes]:
    """Return so many small Axes inside of one, row by row; they are its ``child_axes``.

    ``gaps`` lie between columns and between rows, as shares of a small one's width and height.
    """
    ax.set_axis_off()
    rows = math.ceil(count / columns)
    width = 1.0 / (columns + gaps[0] * (columns - 1))
    height = 1.0 / (rows + gaps[1] * (rows - 1))
    across, down = width * (1 + gaps[0]), height * (1 + gaps[1])
    places = (divmod(i, columns) for i in range(count))
    return [ax.inset_axes((j * across, 1 - height - i * down, width, height)) for i, j in places]


def quiet(ax: Axes) -> None:
    """Remove the upper and right spines, and draw a light grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)


def legend_below(ax: Axes, **options: Any) -> None:
    """Name what is drawn under the Axes: inside, a legend's markers would pass for points."""
    labels = 1.7 if ax.get_xlabel() else 0.0
    legend = ax.legend(
        frameon=False,
        fontsize="small",
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        borderaxespad=2.6 + labels,  # of letters, so that it is the same in a small figure
        **{"ncols": 4, "columnspacing": 1.2, "handletextpad": 0.2} | options,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # what stands there is data


def some_ticks(axis: Any, labels: list[str], most: int = 30, **text: Any) -> None:
    """Label positions 0, 1, 2, ..., only every second or third where there are many."""
    every = max(1, math.ceil(len(labels) / most))
    # A name is a name: a dollar sign in it begins no formula.
    axis.set_ticks(range(0, len(labels), every), labels[::every], parse_math=False, **text)
    axis.set_tick_params(length=0)


# ---- colours ------------------------------------------------------------------------------------


def colour(index: int, ax: Axes) -> str:
    """Return a colour of the palette that stands out from the ground of these Axes."""
    from matplotlib.colors import to_rgba

    *rgb, opacity = to_rgba(ax.get_facecolor())
    palette = ON_DARK if opacity > 0 and sum(rgb) < _DARK_BELOW else COLOURS
    return palette[index % len(palette)]


def curve_style(index: int, ax: Axes) -> dict[str, Any]:
    """Return colour and dashes of a curve; 28 pairs are different."""
    return {"color": colour(index, ax), "linestyle": _DASHES[index % len(_DASHES)]}


def class_style(index: int) -> dict[str, Any]:
    """Return colour and marker of a class, which has a white border; 49 pairs are different."""
    turn, place = divmod(index, len(COLOURS))
    marker = _MARKERS[(place + turn) % len(_MARKERS)]
    return {"color": COLOURS[place], "marker": marker, "edgecolors": "white"}


def paler(full: str, amount: float) -> tuple[float, float, float]:
    """Return a colour of which so much is left, and the rest is white."""
    from matplotlib.colors import to_rgb

    red, green, blue = (1.0 - amount * (1.0 - part) for part in to_rgb(full))
    return red, green, blue


def two_sided(amount: float = 1.0) -> Colormap:
    """Return the two-sided colour map: blue below, white at the middle, orange above."""
    from matplotlib.colors import LinearSegmentedColormap

    ends: Any = [paler(COLOURS[0], amount), "#F7F7F7", paler(COLOURS[1], amount)]
    return LinearSegmentedColormap.from_list("two_sided", ends)


def edges_between(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the borders of cells around increasing positions: one more than there are.

    Examples
    --------
    >>> edges_between(np.array([1.0, 2.0, 4.0]))
    array([0.5, 1.5, 3. , 5. ])
    """
    if positions.size == 1:
        return positions[0] + np.array([-0.5, 0.5])
    middle = (positions[1:] + positions[:-1]) / 2
    first, last = positions[0] * 2 - middle[0], positions[-1] * 2 - middle[-1]
    return np.concatenate([[first], middle, [last]])
