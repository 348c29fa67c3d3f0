"""A picture to explore, as a page: move, zoom, search, fold and unfold; and a table beside it.

A layer or a repeat folds in the reader's browser, whatever else is folded: what is hidden closes
up, nothing is laid out again.  Other details, and all copies of what repeats, are pictures of
their own, drawn beforehand as far as they stay small.

Not for the page around it (``page.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from tinygrad_lab.viz.html.page import Page, Pictured, compose, escaped, filled
from tinygrad_lab.viz.html.vector import Palette, vector
from tinygrad_lab.viz.model import DETAILS, Box, Frame, GraphModel
from tinygrad_lab.viz.nesting import walk
from tinygrad_lab.viz.style import number, one_line, plural, printable
from tinygrad_lab.viz.tree import gradient_of, value_of

__all__ = ["exploring_page"]

#: Other views of a computation are drawn up to so many boxes, and so many bytes together.
_MOST_BOXES = 240
_MOST_BYTES = 400_000


@dataclass(frozen=True)
class _View:
    """One way to draw a computation."""

    label: str
    model: GraphModel
    svg: str


def exploring_page(pictured: Pictured, read: Callable[..., GraphModel] | None = None) -> Page:
    """Make the page of a model.

    ``read`` reads the computation again, with other options of ``build``: without it the page has
    one view.

    Raises
    ------
    RenderError
        Nothing on this machine can draw.
    """
    model, palette = pictured.model, Palette()
    draw = partial(vector, style=pictured.style, engine=pictured.engine, palette=palette)
    views = [_View("as drawn", model, draw(model))]
    for label, other in _others(model, read):
        svg = draw(other)
        if sum(len(v.svg) for v in views) + len(svg) <= _MOST_BYTES:
            views.append(_View(label, other, svg))
    choices = "".join(f'<option value="{i}">{v.label}</option>' for i, v in enumerate(views))
    body = filled(
        "exploring.html",
        choices=choices,
        one="" if len(views) > 1 else " hidden",
        views="\n".join(_section(i, view) for i, view in enumerate(views)),
    )
    data = {"views": [_data(view.model) for view in views]}
    scripts = ("picture.js", "folding.js", "exploring.js")
    title = f"Graph of {one_line(model.loss.name)}"
    return compose(pictured, title, body, data, palette=palette, scripts=scripts, height=680)


def _others(
    model: GraphModel, read: Callable[..., GraphModel] | None
) -> Iterator[tuple[str, GraphModel]]:
    """Give the other views that are not too large: all copies, and each other detail."""
    if read is None:
        return
    wanted: list[tuple[str, dict[str, Any]]] = []
    if any(frame.copies > 1 for frame in model.frames):
        wanted.append(("all copies, outer layers", {"depth": 1, "fold": False}))
        wanted += [(f"all copies, {d}", {"detail": d, "fold": False}) for d in DETAILS[:2]]
    wanted += [(d, {"detail": d}) for d in DETAILS if d != model.detail]
    sizes = {len(model.boxes)}
    for label, options in wanted:
        try:
            other = read(**options, limit=_MOST_BOXES)
        except (ValueError, RuntimeError):  # too large, or the graph was freed meanwhile
            continue
        if len(other.boxes) not in sizes:
            sizes.add(len(other.boxes))
            yield label, other


def _section(number_: int, view: _View) -> str:
    """Write one view: the picture, and its table."""
    rest = "" if number_ == 0 else " hidden"
    return (
        f'<section class="columns" data-view="{number_}" aria-label="{escaped(view.label)}"{rest}>'
        f'<figure class="frame">{view.svg}</figure>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table">'
        f"<table><thead><tr><th scope='col'>name</th><th scope='col'>shape</th>"
        f"<th scope='col'>value</th><th scope='col'>∇ rms</th></tr></thead>"
        f"<tbody>{''.join(_rows(view.model))}</tbody></table></div></section>"
    )


def _rows(model: GraphModel) -> Iterator[str]:
    """Write the rows of a table: boxes in order, in the frames they are in."""
    positions = {frame.id: i for i, frame in enumerate(_frames(model))}
    paths = {frame.id: frame.path for frame in model.frames}
    for item, depth in walk(model.frames, model.boxes):
        if isinstance(item, Box):
            yield _row(item, depth, paths.get(item.frame or ""))
            continue
        yield (
            f'<tr class="d{min(depth, 6)}" data-frame="f{positions[item.id]}">'
            f'<td colspan="4"><button aria-expanded="true" data-toggle>'
            f"{escaped(_title(item))}</button></td></tr>"
        )


def _row(box: Box, depth: int, path: str | None) -> str:
    """Write the row of a box; the frame it is in says whose weight it is."""
    name = " ".join([one_line(box.heading).removeprefix(f"{path}."), *box.warnings])
    return (
        f'<tr class="d{min(depth, 6)}" data-box="{box.id}"><th scope="row">'
        f"<button data-find>{escaped(name)}</button></th><td>{escaped(str(box.shape))}</td>"
        f"<td>{escaped(value_of(box))}</td>"
        f"<td>{escaped(gradient_of(box).removeprefix('rms '))}</td></tr>"
    )


def _title(frame: Frame) -> str:
    return printable(frame.heading)


def _frames(model: GraphModel) -> list[Frame]:
    """List the frames that have something in them, in the order of the computation."""
    return [item for item, _ in walk(model.frames, model.boxes) if isinstance(item, Frame)]


def _data(model: GraphModel) -> dict[str, Any]:
    """Give what the scripts need of a view: what is in what, and what a folded frame says."""
    frames = _frames(model)
    position = {frame.id: i for i, frame in enumerate(frames)}
    return {
        "boxes": {
            box.id: [one_line(box.heading), -1 if box.frame is None else position[box.frame]]
            for box in model.boxes
        },
        "frames": [_folded(model, frame, position) for frame in frames],
        "edges": [[edge.source, edge.target] for edge in model.edges],
    }


def _folded(model: GraphModel, frame: Frame, position: dict[str, int]) -> dict[str, Any]:
    """Describe a frame as the one box that it folds into: ``main`` is what leaves it."""
    parents = {f.id: f.within for f in model.frames}

    def is_in(around: str | None) -> bool:
        while around is not None and around != frame.id:
            around = parents[around]
        return around is not None

    boxes = [box for box in model.boxes if is_in(box.frame)]
    main = next((box for box in reversed(boxes) if box.operations), boxes[-1])
    marks = [printable(mark) for mark in dict.fromkeys(m for box in boxes for m in box.warnings)]
    facts = [str(main.shape)] + ([f"∇ {number(main.flow)}"] if main.flow is not None else [])
    inner = [
        plural(sum(box.operations for box in boxes), "operation"),
        plural(sum(box.parameters for box in boxes), "parameter"),
    ]
    return {
        "id": f"f{model.frames.index(frame)}",
        "title": _title(frame),
        "copies": frame.copies,
        "within": -1 if frame.within is None else position[frame.within],
        "main": main.id,
        "facts": "  ".join(facts + marks[:2]),
        "holds": " · ".join(inner),
    }
