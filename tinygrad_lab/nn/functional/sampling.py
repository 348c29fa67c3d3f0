"""Images read at any places: a grid says where each element of the result looks.

Not for: other sizes of the same image (``resizing.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.functional.resizing import cubic, linear
from tinygrad_lab.nn.kernels.windows import Array
from tinygrad_lab.nn.names import look_up

__all__ = ["affine_grid", "grid_sample"]


def _rounded(places: Array) -> tuple[Any, Any]:
    """The nearest element, which gets all the weight; of no number no element is the nearest."""
    return [np.round(places)], [np.where(np.isnan(places), places, 1)]


_TAPS = {"bilinear": linear, "nearest": _rounded, "bicubic": cubic}
_OUTSIDE = {"zeros": "zeros", "border": "border", "reflection": "reflection"}


@takes_arrays
def grid_sample(
    input: Array,
    grid: Array,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Array:
    """Read images, or volumes, at the places of a grid.

    Parameters
    ----------
    input : array, shape (N, C, H, W) or (N, C, D, H, W)
    grid : array, shape (N, Ho, Wo, 2) or (N, Do, Ho, Wo, 3)
        Places ``(x, y)`` or ``(x, y, z)``, the last axis of the image first, where -1 and 1 are its
        ends.
    mode : {"bilinear", "nearest", "bicubic"}
        How to read between elements; "bicubic" is for images.
    padding_mode : {"zeros", "border", "reflection"}
        What is outside: zeros, the outermost elements, or the image mirrored.  At a place that is
        NaN the result is NaN.
    align_corners : bool, optional
        Whether the ends are the middles of the outermost elements (True), or their outer edges
        (False, the default).

    Returns
    -------
    array, shape (N, C, Ho, Wo) or (N, C, Do, Ho, Wo)

    Raises
    ------
    ValueError
        Shapes or settings do not fit; the text names them.

    Examples
    --------
    >>> image = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> grid_sample(image, np.array([[[[0.0, 0.0], [-1.0, 1.0]]]]), align_corners=True)
    array([[[[2.5, 3. ]]]])
    """
    taps = look_up(mode, _TAPS, "mode of sampling")
    look_up(padding_mode, _OUTSIDE, "padding mode")
    ndim, size = input.ndim - 2, input.shape[2:]
    if ndim not in (2, 3) or (mode == "bicubic" and ndim != 2):
        axes = "(N, C, H, W)" + (" or (N, C, D, H, W)" if mode != "bicubic" else "")
        raise ValueError(f"grid_sample(mode={mode!r}) takes arrays {axes}, not {input.shape}")
    if grid.ndim != input.ndim or grid.shape[-1] != ndim or len(grid) != len(input):
        raise ValueError(
            f"grid_sample: a grid of shape {grid.shape} for images {input.shape}: expected "
            f"({len(input)}, ..., {ndim}) of {input.ndim} axes, a place for each element"
        )
    if 0 in size:
        raise ValueError(f"grid_sample: an input of shape {input.shape} has no elements")
    choices = []
    for axis, n in enumerate(size):
        places = _unscaled(grid[..., ndim - 1 - axis], n, bool(align_corners))
        if mode != "bicubic":
            places = _inside(places, n, padding_mode, bool(align_corners))
        else:
            places = _near(places, n, padding_mode, bool(align_corners))
        elements, weights = taps(places)
        elements = [_inside(e, n, padding_mode, bool(align_corners)) for e in elements]
        choices.append(list(zip(elements, weights, strict=True)))
    flat = input.reshape((*input.shape[:2], prod(size)))
    parts = [_read(flat, size, tap) for tap in product(*choices)]
    return sum(parts[1:], parts[0]).reshape((*input.shape[:2], *grid.shape[1:-1]))


def _read(flat: Array, size: tuple[int, ...], tap: Any) -> Array:
    """One element for each place, times its weight; 0 where it is outside."""
    index: Array = 0
    weight: Array = 1
    inside: Array = True
    for (element, w), n in zip(tap, size, strict=True):
        inside = inside & (element >= 0) & (element <= n - 1)
        index = index * n + np.where(inside, element, 0).astype(int)
        weight = weight * w
    row = (len(flat), 1, prod(index.shape[1:]))
    index, weight, inside = (part.reshape(row) for part in (index, weight, inside))
    return np.where(inside, np.take_along_axis(flat, index, 2), 0) * weight


def _unscaled(x: Array, n: int, align_corners: bool) -> Array:
    """Places along ``n`` elements, of which -1 and 1 are the ends."""
    return (x + 1) * ((n - 1) / 2) if align_corners else ((x + 1) * n - 1) / 2


def _near(places: Array, n: int, padding_mode: str, align_corners: bool) -> Array:
    """Places with the same neighbours, not so far outside that these would be one number."""
    if padding_mode != "reflection":
        return np.clip(places, -3, n + 2)
    period = max(2 * (n - 1 if align_corners else n), 1)
    return places - np.floor(places / period) * period


def _inside(places: Array, n: int, padding_mode: str, align_corners: bool) -> Array:
    """Where to look instead of outside."""
    if padding_mode == "zeros":
        return places
    if padding_mode == "reflection":
        first, span = (0, n - 1) if align_corners else (-0.5, n)
        if not span:
            return places * 0
        distance = abs(places - first)
        turns = np.floor(distance / span)
        rest = distance - turns * span
        places = np.where(turns % 2 == 0, rest, span - rest) + first
    return np.clip(places, 0, n - 1)


@takes_arrays
def affine_grid(theta: Array, size: Sequence[int], align_corners: bool | None = None) -> Array:
    """A grid for :func:`grid_sample` that maps images by matrices.

    Parameters
    ----------
    theta : array, shape (N, 2, 3) or (N, 3, 4)
        For each image a matrix, by which a place ``(x, y, 1)`` of the result is multiplied.
    size : sequence of int
        Of the result: (N, C, H, W) or (N, C, D, H, W).
    align_corners : bool, optional
        As in :func:`grid_sample`.

    Returns
    -------
    array, shape (N, H, W, 2) or (N, D, H, W, 3)

    Raises
    ------
    ValueError
        The matrices do not fit the size.

    Examples
    --------
    >>> affine_grid(np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]]), (1, 1, 1, 2))
    array([[[[-0.5,  0.5],
             [ 0.5,  0.5]]]])
    """
    n, _, *image = size
    ndim = len(image)
    if ndim not in (2, 3) or theta.shape != (n, ndim, ndim + 1) or min(image) < 1:
        raise ValueError(
            f"affine_grid: matrices of shape {theta.shape} for a result of size {tuple(size)}: "
            "expected (N, 2, 3) for images (N, C, H, W), or (N, 3, 4) for volumes"
        )
    along = [_ends(m, bool(align_corners)) for m in image[::-1]]  # x first
    places = np.stack([*np.meshgrid(*along[::-1], indexing="ij")[::-1], np.ones(image)], axis=-1)
    rows = places.reshape(-1, ndim + 1).astype(theta.dtype)
    return np.matmul(rows, np.swapaxes(theta, 1, 2)).reshape((n, *image, ndim))


def _ends(n: int, align_corners: bool) -> Any:
    """``n`` places from -1 to 1."""
    if align_corners:
        return np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    return (2 * np.arange(n) + 1) / n - 1
