"""What a network of images looks at: kernels, feature maps, saliency.

Not for: how good it is (``classification.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms import value_and_grad
from tinygrad_lab.viz.plots.canvas import axes, numbers, panels, plain, two_sided
from tinygrad_lab.viz.style import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_feature_maps", "plot_kernels", "plot_saliency"]


def plot_kernels(weight: ArrayLike, *, ax: Axes | None = None, columns: int | None = None) -> Axes:
    """Draw the kernels of a convolution as a mosaic, one tile per output and input channel.

    All tiles share one colour scale, symmetric around zero: blue negative, white zero, orange
    positive.

    Parameters
    ----------
    weight
        Kernels, shape (out, in, height, width) or (n, height, width).
    ax
        Where to draw; a new figure when left out.
    columns
        Tiles in a row; by default the input channels, or a near square when there is one.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        A weight with another number of axes, or without elements.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_kernels(np.ones((4, 1, 3, 3)), ax=Figure().subplots())
    >>> ax.images[0].get_array().shape  # 2 × 2 tiles of 3 × 3, one pixel between
    (7, 7)
    """
    shape = "(out, in, height, width) or (n, height, width)"
    kernels = numbers(weight, "plot_kernels", shape, 3, 4)
    if columns is None and kernels.ndim == 4 and kernels.shape[1] > 1:
        columns = kernels.shape[1]
    ax = axes(ax)
    _draw_mosaic(ax, kernels.reshape(-1, *kernels.shape[-2:]), columns, signed=True)
    return ax


def plot_feature_maps(
    maps: ArrayLike,
    *,
    ax: Axes | None = None,
    columns: int | None = None,
    each: bool = False,
    colorbar: bool = True,
) -> Axes:
    """Draw what a convolution makes of one image: a tile for each channel, row by row.

    Parameters
    ----------
    maps
        Shape (channels, height, width), or (1, channels, height, width).
    ax
        Where to draw; a new figure when left out.
    columns
        Tiles in a row; a near square by default.
    each
        Scale each channel by its own largest size, which shows patterns of weak ones; else all
        share one scale, which shows how strong they are.
    colorbar
        Draw the colour bar, where there is one scale.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Another number of axes, several images, or no elements.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from matplotlib.figure import Figure
    >>> conv = tl.nn.Conv2d(1, 6, 3, rng=0)
    >>> image = np.ones((1, 1, 8, 8))
    >>> ax = plot_feature_maps(conv(image), columns=3, ax=Figure().subplots())
    >>> ax.images[0].get_array().shape  # 2 × 3 tiles of 6 × 6, one pixel between
    (13, 20)
    """
    table = numbers(maps, "plot_feature_maps", "(channels, height, width)", 3, 4)
    if table.ndim == 4 and len(table) > 1:
        raise ValueError(
            f"plot_feature_maps draws the maps of one image, got those of {len(table)}, shape "
            f"{table.shape}: say maps[0]"
        )
    tiles = table.reshape(-1, *table.shape[-2:])
    signed = bool((tiles < 0).any())
    if each:
        largest = np.abs(np.where(np.isfinite(tiles), tiles, 0.0)).max(axis=(1, 2), keepdims=True)
        tiles = tiles / np.where(largest > 0, largest, 1.0)
    ax = axes(ax)
    image = _draw_mosaic(ax, tiles, columns, signed)
    if colorbar and not each:
        ax.figure.colorbar(image, ax=ax)
    return ax


def plot_saliency(
    model: Callable[[Any], Any],
    image: ArrayLike,
    target: int | None = None,
    *,
    ax: Axes | None = None,
    colorbar: bool = True,
) -> Axes:
    """Draw an image, and beside it how much each pixel moves the score of a class.

    That is the size of the gradient of the score by the pixel, the largest over the channels.
    Parameters get no gradients by it. The model is used in the mode that it is in.

    Parameters
    ----------
    model
        Called with the image in a batch of one; returns scores of shape (1, classes), or one score.
    image
        Shape (height, width), or (channels, height, width) with 1, 3 or 4 channels to show it in
        colour, or any other number, of which the mean is shown.
    target
        The class; the one with the largest score when left out.
    ax
        Where to draw; a new figure when left out. The two panels are its ``child_axes``.
    colorbar
        Draw the colour bar.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        An image of another shape or not finite, scores of another shape, or a class that is not
        among them.

    References
    ----------
    .. [1] K. Simonyan, A. Vedaldi, A. Zisserman, "Deep Inside Convolutional Networks: Visualising
       Image Classification Models and Saliency Maps", 2013, arXiv:1312.6034, section 3.1.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from matplotlib.figure import Figure
    >>> model = tl.nn.Sequential(tl.nn.Flatten(), tl.nn.Linear(4, 3, rng=0))
    >>> ax = plot_saliency(model, [[0.0, 1.0], [1.0, 0.0]], target=2, ax=Figure().subplots())
    >>> [panel.get_title() for panel in ax.child_axes[:2]]
    ['image', 'saliency of class 2']
    """
    pixels = _image(image)
    chosen, gradient = _score_gradient(model, pixels, target)
    size = np.abs(gradient)
    if size.ndim == 3:
        size = size.max(axis=0)
    if ax is None:
        ax = axes(None, figsize=(7.5, 3.6))
    left, right = panels(ax, 2, columns=2)
    _draw_image(left, pixels)
    of_class = "" if chosen is None else f" of class {chosen}"
    left.set_title("image")
    picture = right.imshow(size, cmap="cividis", vmin=0.0, interpolation="nearest")
    right.set_title(f"saliency{of_class}")
    for panel in (left, right):
        panel.set(xticks=[], yticks=[])
    if colorbar:
        bar = right.inset_axes((1.04, 0.0, 0.05, 1.0))
        ax.figure.colorbar(picture, ax=right, cax=bar, label="|∂ score / ∂ pixel|")
    return ax


# ---- mosaics ------------------------------------------------------------------------------------


def _draw_mosaic(ax: Axes, tiles: NDArray[np.float64], columns: int | None, signed: bool) -> Any:
    """Draw tiles of shape (n, height, width) in one image, symmetric around 0 if signed."""
    if columns is not None and columns < 1:
        raise ValueError(f"columns={columns}: expected 1 or more")
    finite = np.abs(tiles[np.isfinite(tiles)])
    limit = float(finite.max(initial=0.0)) or 1.0
    mosaic = _mosaic(tiles, columns or math.ceil(math.sqrt(len(tiles))))
    image = ax.imshow(
        mosaic,
        cmap=two_sided() if signed else "cividis",
        vmin=-limit if signed else 0.0,
        vmax=limit,
        interpolation="nearest",
    )
    ax.set_axis_off()
    return image


def _mosaic(tiles: NDArray[Any], columns: int) -> NDArray[Any]:
    """Lay tiles of shape (n, h, w) out row by row, one empty pixel between them."""
    n, height, width = tiles.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    mosaic = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for index, tile in enumerate(tiles):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        mosaic[top : top + height, left : left + width] = tile
    return mosaic


# ---- saliency -----------------------------------------------------------------------------------


def _image(image: ArrayLike) -> NDArray[Any]:
    """Return the pixels in their own precision, or as float64 if they are whole numbers."""
    pixels = np.asarray(plain(image))
    if pixels.dtype.kind != "f":
        pixels = pixels.astype(np.float64)
    if pixels.ndim not in (2, 3) or not pixels.size:
        raise ValueError(
            "plot_saliency needs one image of shape (height, width) or (channels, height, width), "
            f"got {pixels.shape}"
        )
    if not np.isfinite(pixels).all():
        raise ValueError("plot_saliency got an image with NaN or infinite pixels")
    return pixels


def _score_gradient(
    model: Callable[[Any], Any], pixels: NDArray[Any], target: int | None
) -> tuple[int | None, NDArray[Any]]:
    """Return a class, None of a single score, and the gradient of its score."""
    chosen: list[int] = []

    def score(x: Any) -> Any:
        scores = model(x[None])
        if not isinstance(scores, Tensor) or scores.size == 0 or scores.ndim > 2:
            raise ValueError(
                "plot_saliency needs a model that returns a Tensor of shape (1, classes), or of "
                f"one score; got {type(scores).__name__} of shape {np.shape(plain(scores))}"
            )
        flat = scores.reshape(-1)
        if target is not None and not 0 <= target < flat.size:
            raise ValueError(
                f"target={target}: the model gives scores of classes 0 ... {flat.size - 1}"
            )
        chosen.append(int(np.argmax(plain(flat))) if target is None else target)
        if flat.size == 1:
            chosen.clear()
        return flat[chosen[0] if chosen else 0]

    _, gradient = value_and_grad(score)(pixels)
    return (chosen[0] if chosen else None), np.asarray(gradient)


def _draw_image(ax: Axes, pixels: NDArray[Any]) -> None:
    """Draw an image as it is, whatever the range of its numbers."""
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 1:
        pixels = (pixels - low) / ((high - low) or 1.0)
        ax.set_xlabel(f"black {number(low)}, white {number(high)}", fontsize="small")
    if pixels.ndim == 3:
        coloured = pixels.shape[0] in (3, 4)
        pixels = np.moveaxis(pixels, 0, -1) if coloured else pixels.mean(axis=0)
    ax.imshow(pixels, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
