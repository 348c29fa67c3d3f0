"""Padding: a border around images, made of a number or of the images themselves.

Not for: the zeros around an image that convolutions and poolings read, which are never written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.kernels.windows import Array
from tinygrad_lab.nn.names import look_up

__all__ = ["pad"]


@takes_arrays
def pad(
    input: Array, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Array:
    """Widen the last axes of an array, or narrow them.

    Parameters
    ----------
    input : array
    pad : sequence of int
        How much to add before and after the last axis, then before and after the one in front of
        it, and so on: ``(left, right, top, bottom)`` for images.  A negative number crops.
    mode : {"constant", "reflect", "replicate", "circular"}
        What stands there: ``value``; the image mirrored at its outermost element, which is not
        repeated; the outermost element; or the image from its other end.
    value : float, optional
        Of the mode "constant": 0 by default.

    Raises
    ------
    ValueError
        The widths do not fit, or there is no such mode; the text says why.

    Examples
    --------
    >>> pad(np.array([[1, 2, 3]]), (2, 1))
    array([[0, 0, 1, 2, 3, 0]])
    >>> pad(np.array([[1, 2, 3]]), (2, 1), mode="reflect")
    array([[3, 2, 1, 2, 3, 2]])
    >>> pad(np.array([[1, 2, 3]]), (-1, 1), mode="replicate")
    array([[2, 3, 3]])
    """
    widths = _by_axis(input, pad)
    room = look_up(mode, _ROOM, "padding mode")
    if mode != "constant" and value:
        raise ValueError(f"pad(mode={mode!r}, value={value}): only the mode 'constant' has a value")
    if mode == "circular":  # what is cropped does not come in again at the other end
        input = _cropped(input, widths)
    added = {axis: (max(0, b), max(0, a)) for axis, (b, a) in widths.items()}
    for axis, sides in added.items():
        if room is not None and max(sides) > max(0, input.shape[axis] + room):
            raise ValueError(
                f"pad(mode={mode!r}): {sides} more elements along an axis of {input.shape[axis]}, "
                f"of an array of shape {input.shape}: at most {max(0, input.shape[axis] + room)}"
            )
    if mode == "constant":
        margins = [added.get(axis, (0, 0)) for axis in range(input.ndim)]
        input = np.pad(input, margins, constant_values=value) if value else np.pad(input, margins)
    else:
        for axis, sides in added.items():
            input = _bordered(input, axis, *sides, mode) if any(sides) else input
    return input if mode == "circular" else _cropped(input, widths)


#: How much more than its own length each mode can add to an axis: None is any number.
_ROOM: dict[str, int | None] = {"constant": None, "reflect": -1, "replicate": None, "circular": 0}


def _by_axis(input: Array, pad: Sequence[int]) -> dict[int, tuple[int, int]]:
    """The widths before and after each axis that has some."""
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ValueError(
            f"pad={tuple(pad)}: expected two numbers for each of the last axes, the last axis "
            f"first, of an array of shape {input.shape}"
        )
    widths = {
        input.ndim - 1 - i: (int(pad[2 * i]), int(pad[2 * i + 1])) for i in range(len(pad) // 2)
    }
    for axis, sides in widths.items():
        if input.shape[axis] + min(0, sides[0]) + min(0, sides[1]) < 0:
            raise ValueError(
                f"pad={tuple(pad)} crops {sides} of an axis of {input.shape[axis]}, of an array of "
                f"shape {input.shape}"
            )
    return widths


def _cropped(x: Array, widths: dict[int, tuple[int, int]]) -> Array:
    index = [slice(None)] * x.ndim
    for axis, (before, after) in widths.items():
        index[axis] = slice(max(0, -before), x.shape[axis] - max(0, -after))
    return x if index == [slice(0, n) for n in x.shape] else x[tuple(index)]


def _bordered(x: Array, axis: int, before: int, after: int, mode: str) -> Array:
    n = x.shape[axis]

    def part(start: int, stop: int) -> Array:
        return x[(slice(None),) * axis + (slice(start, stop),)]

    if mode == "circular":
        sides = part(n - before, n), part(0, after)
    elif mode == "reflect":
        inner = part(1, 1 + before), part(n - 1 - after, n - 1)
        sides = np.flip(inner[0], axis), np.flip(inner[1], axis)
    else:
        sides = np.repeat(part(0, 1), before, axis), np.repeat(part(n - 1, n), after, axis)
    return np.concatenate([sides[0], x, sides[1]], axis)
