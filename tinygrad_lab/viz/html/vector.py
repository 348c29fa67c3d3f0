"""An SVG for a page: in both themes at once, small, and with ids that scripts find parts by.

Colours are CSS variables, so the page decides which theme is shown; Graphviz is run once.  Not for
what the picture shows (``dot.py``), nor for running Graphviz (``render.py``).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tinygrad_lab.viz.render import render

if TYPE_CHECKING:
    from tinygrad_lab.viz.model import GraphModel
    from tinygrad_lab.viz.picture import Style

__all__ = ["Palette", "vector"]

_COLOUR = re.compile(r'((?:color|COLOR)=")(#[0-9A-Fa-f]{6})"')
_NUMBER = re.compile(r"-?\d+\.\d+")

#: What every element has in common: the page's style sheet says it once.
_SAID_ONCE = {
    "font-family": None, "text-anchor": "start", "{http://www.w3.org/XML/1998/namespace}space": None
}  # fmt: skip


class Palette:
    """The colours of some pictures: pairs, for the light and for the dark theme."""

    def __init__(self) -> None:
        self.codes: dict[tuple[str, str], str] = {}

    def coded(self, light: str, dark: str) -> str:
        """Put into a DOT text, in the place of each colour, a code for it in both themes."""
        others = (match[2] for match in _COLOUR.finditer(dark))
        return _COLOUR.sub(lambda m: f'{m[1]}{self._code(m[2], next(others))}"', light)

    def _code(self, light: str, dark: str) -> str:
        # No colour that has a name: Graphviz would write that.
        return self.codes.setdefault((light, dark), f"#01{len(self.codes):04x}")

    def variable(self, code: str) -> str:
        """Give the variable that a code stands for; what is no code, ``none`` say, as it is."""
        return f"var(--c{int(code[3:], 16)})" if code.startswith("#01") else code

    def sheet(self, theme: int) -> str:
        """Write the variables for the light theme, 0, or the dark one, 1."""
        return "".join(
            f"--c{int(code[3:], 16)}:{pair[theme]};" for pair, code in self.codes.items()
        )


def vector(model: GraphModel, style: Style, engine: str, palette: Palette) -> str:
    """Draw a model as one ``<svg>`` element, whose colours a palette has.

    Groups have the ids of :func:`~tinygrad_lab.viz.dot.to_dot` as ``data-id``, so that several
    pictures may be on a page.

    Raises
    ------
    RenderError
        Nothing on this machine can draw.
    """
    light, dark = (replace(style, theme=theme).dot(model) for theme in ("light", "dark"))
    root = ET.fromstring(render(palette.coded(light, dark), "svg", engine=engine))
    for element in root.iter():
        _slim(element)
        for paint in ("fill", "stroke"):
            if paint in element.attrib:
                element.set(paint, palette.variable(element.attrib[paint]))
        prefix, _, own = element.attrib.pop("id", "").partition("-")
        if prefix and re.fullmatch(r"([nef]|ce)\d+", own):
            element.set("data-id", own)
    root.set("class", "graph")
    return ET.tostring(root, encoding="unicode")


def _slim(element: ET.Element) -> None:
    """Leave out what need not be said, and digits that nobody sees."""
    for name, value in _SAID_ONCE.items():
        if value is None or element.get(name) == value:
            element.attrib.pop(name, None)
    for name in ("d", "points", "x", "y", "font-size", "cx", "cy", "rx", "ry", "viewBox"):
        if name in element.attrib:
            element.set(name, _NUMBER.sub(lambda m: f"{float(m[0]):.1f}", element.attrib[name]))
            element.set(name, re.sub(r"\.0\b", "", element.attrib[name]))
    if element.tail is not None:
        element.tail = "\n" if element.tail.strip() == "" else element.tail
