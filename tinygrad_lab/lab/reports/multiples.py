"""Small multiples: of one run the truth, beside it the prediction, and the output everywhere.

Drawn by hand, since a page has more than a hundred of them: one path for all points of a class, one
for each band of the output, whole numbers for coordinates, and the colours of the page's style.

Not for larger figures (``figures.py``), nor for which run is shown (``measuring.py``).
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.lab.training import Result

Array = NDArray[np.float64]

_SIDE, _GAP, _TOP = 200, 16, 26  # of a panel, in units of the drawing
_MARGIN = 0.05  # around the unit square

#: Points of the grid along each side, and where they lie.
_GRID = np.linspace(-_MARGIN, 1 + _MARGIN, 33)

# Between these the output is drawn in one tone: three tones a class.
_BANDS = (-np.inf, 0.1, 0.3, 0.5, 0.7, 0.9, np.inf)

_PANELS = ("truth", "prediction", "output")


@dataclass(frozen=True, slots=True)
class Multiple:
    """A drawing, and the numbers behind it.

    Attributes
    ----------
    svg
        An ``<svg>`` element.
    outputs
        On the grid, shape (n,): as :func:`grid` lists its points; None for a run that diverged.
    """

    svg: str
    outputs: Array | None


def grid() -> Array:
    """Return the points at which the output is drawn, shape (n, 2)."""
    x0, x1 = np.meshgrid(_GRID, _GRID)
    return np.column_stack([x0.ravel(), x1.ravel()])


def multiple(result: Result, title: str) -> Multiple:
    """Draw one run: truth, prediction with what is wrong ringed, and output with its boundary.

    Parameters
    ----------
    result
        The run.
    title
        What it is, for those who do not see it.

    Examples
    --------
    >>> from tinygrad_lab.lab import Settings, train
    >>> drawn = multiple(train(Settings(epochs=1)), "XOR <untrained>")
    >>> drawn.svg.startswith("<svg") and "XOR &lt;untrained&gt;" in drawn.svg, drawn.outputs.shape
    (True, (1089,))
    """
    truth = result.y.ravel() > 0.5
    said = result.prediction.ravel() > result.threshold
    wrong = said != truth
    outputs = None if result.diverged_at is not None else result.predict(grid()).ravel()
    text = (
        f"{title}, seed {result.seed}: truth, prediction ({np.sum(~wrong)} of {wrong.size} points "
        f"right), and output over the square"
    )
    layers = [
        _points(result.x, truth),
        f'<path class="wrong" d="{_dots(result.x[wrong])}"/>' * bool(wrong.any())
        + _points(result.x, said),
        _nothing(result) if outputs is None else _field(outputs, result.threshold),
    ]
    panels = (_panel(*each) for each in enumerate(zip(_PANELS, layers, strict=True)))
    width = len(_PANELS) * (_SIDE + _GAP) - _GAP
    svg = (
        f'<svg class="multiple" viewBox="0 0 {width} {_SIDE + _TOP}" role="img" '
        f'aria-label="{html.escape(text)}">{"".join(panels)}</svg>'
    )
    return Multiple(svg, outputs)


def frame(x: Array, labels: NDArray[np.bool_], outputs: Array, title: str) -> str:
    """Draw one panel: the output over the square, its boundary at 0.5, and the points.

    Parameters
    ----------
    x, labels
        Points of shape (n, 2), and which of them are labelled 1.
    outputs
        At the points of :func:`grid`.
    title
        What it is, for those who do not see it.
    """
    return (
        f'<svg class="multiple" viewBox="0 0 {_SIDE} {_SIDE}" role="img" '
        f'aria-label="{html.escape(title)}">{_field(outputs, 0.5)}'
        f'<path class="halo" d="{_dots(x)}"/>{_points(x, labels)}'
        f'<rect class="frame" width="{_SIDE}" height="{_SIDE}"/></svg>'
    )


def _panel(index: int, content: tuple[str, str]) -> str:
    name, layer = content
    return (
        f'<text x="{index * (_SIDE + _GAP)}" y="{_TOP - 9}">{name}</text>'
        f'<svg x="{index * (_SIDE + _GAP)}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}">{layer}'
        f'<rect class="frame" width="{_SIDE}" height="{_SIDE}"/></svg>'
    )


def _points(x: Array, flags: NDArray[np.bool_]) -> str:
    """Draw points of two classes, which differ in shape as well as in colour."""
    return "".join(
        f'<path class="{name}" d="{_dots(x[which])}"/>'
        for name, which in (("zero", ~flags), ("one", flags))
        if which.any()
    )


def _dots(x: Array) -> str:
    """Return a path of dots: lines of no length, whose round or square ends are seen."""
    return "".join(f"M{a} {b}h0" for a, b in _place(x))


def _place(x: Array) -> NDArray[np.int64]:
    """Turn points into whole coordinates of a panel, whose second axis points down."""
    unit = (x + _MARGIN) / (1 + 2 * _MARGIN)
    place: NDArray[np.int64] = np.rint(_SIDE * np.column_stack([unit[:, 0], 1 - unit[:, 1]]))
    return place.astype(np.int64)


def _nothing(result: Result) -> str:
    middle = _SIDE // 2
    lines = ("diverged", f"at epoch {result.diverged_at:,}")
    return "".join(
        f'<text class="nothing" x="{middle}" y="{middle + 26 * number}">{line}</text>'
        for number, line in enumerate(lines)
    )


def _field(outputs: Array, threshold: float) -> str:
    """Draw the output in bands, and the line where one class becomes the other."""
    from contourpy import FillType, LineType, contour_generator

    generator: Any = contour_generator(
        _GRID,
        _GRID,
        outputs.reshape(_GRID.size, _GRID.size),
        fill_type=FillType.OuterOffset,
        line_type=LineType.Separate,
    )
    bands = []
    for number, (low, high) in enumerate(pairwise(_BANDS)):
        points, offsets = generator.filled(low, high)
        outlines = (
            part
            for each, ends in zip(points, offsets, strict=True)
            for part in np.split(each, ends[1:-1])
        )
        if path := _lines(outlines, closed=True):
            bands.append(f'<path class="band{number}" d="{path}"/>')
    boundary = _lines(generator.lines(threshold), closed=False)
    return "".join(bands) + (f'<path class="boundary" d="{boundary}"/>' if boundary else "")


def _lines(lines: Iterable[Array], *, closed: bool) -> str:
    """Return a path of lines, each point relative to the one before it."""
    parts = []
    for line in lines:
        places = _place(line)
        steps = np.diff(places, axis=0)
        steps = steps[np.any(steps != 0, axis=1)]
        if len(steps):
            moves = "".join(f"{a} {b} " for a, b in steps)
            parts.append(f"M{places[0, 0]} {places[0, 1]}l{moves.rstrip()}{'z' if closed else ''}")
    return "".join(parts)
