"""Graphviz's SVG, prepared to be part of any page, in whatever fonts that has.

Graphviz measures text in the fonts of the machine that draws, and places each stretch of one style
by itself. A page has others: so a line of a label becomes one text, which flows, and stays in the
middle of its box where it was.

Not for: running Graphviz (``render.py``).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree as ET

__all__ = ["embeddable"]

_SVG = "http://www.w3.org/2000/svg"
_TITLE, _GROUP, _LINK, _TEXT, _SPAN, _POLYGON = (
    f"{{{_SVG}}}{tag}" for tag in ("title", "g", "a", "text", "tspan", "polygon")
)
_XLINK_TITLE = "{http://www.w3.org/1999/xlink}title"

#: What a stretch of text has for itself; the rest is of its line.
_OF_STRETCH = ("font-weight", "font-style", "font-size", "fill")

_POINT = re.compile(r"(-?[\d.]+),(-?[\d.]+)")

#: How often a picture was drawn, by its prefix: one may stand twice on a page.
_times: Counter[str] = Counter()


def embeddable(svg: bytes, source: str) -> bytes:
    """Prepare the SVG of a DOT text.

    Tooltips become ``<title>`` elements, which browsers and screen readers know, in place of links
    to nowhere; ids get a prefix of their own, so that two pictures on a page do not mix.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        It is not well-formed.

    Examples
    --------
    >>> svg = b'<svg xmlns="http://www.w3.org/2000/svg"><g id="a" /></svg>'
    >>> embeddable(svg, "digraph {}").decode().partition(">")[2]
    '<g id="gcdffdece-a" /></svg>'
    """
    ET.register_namespace("", _SVG)
    root = ET.fromstring(svg)
    prefix = "g" + hashlib.sha256(source.encode()).hexdigest()[:8]
    _times[prefix] += 1
    if _times[prefix] > 1:
        prefix += f"x{_times[prefix]}"
    for element in list(root.iter()):
        _hoist_tooltip(element)
        if "id" in element.attrib:
            element.set("id", f"{prefix}-{element.get('id')}")
    background = next((shape.get("fill") for shape in root.iter(_POLYGON)), None)
    for group in root.iter(_GROUP):
        _join_lines(group)
        if group.get("class") == "edge" and background is not None:
            _set_apart(group, background)
    root.set("role", "img")
    root.set("aria-label", "computation graph")
    return ET.tostring(root, encoding="unicode").encode()


def _hoist_tooltip(group: ET.Element) -> None:
    """Turn ``<g><title>id</title><g><a xlink:title=tip>…`` into ``<g><title>tip</title>…``."""
    title = group.find(_TITLE)
    if title is None:
        return
    tip = ""
    for inner in group.findall(_GROUP):
        link = inner.find(_LINK)
        if link is None or _XLINK_TITLE not in link.attrib:
            continue
        tip = tip or link.get(_XLINK_TITLE, "").strip()
        place = list(group).index(inner)
        group.remove(inner)
        for offset, shape in enumerate(link):
            group.insert(place + offset, shape)
    if tip:
        title.text = tip
    else:
        group.remove(title)


def _join_lines(group: ET.Element) -> None:
    """Make one text of each line of a label, around the middle of its box where it is centred."""
    lines: dict[str | None, list[ET.Element]] = {}
    for text in group.findall(_TEXT):
        lines.setdefault(text.get("y"), []).append(text)
    # Lines that begin at one place are set flush left.
    is_centred = group.get("class") in ("node", "graph") and (
        len(lines) == 1 or len({texts[0].get("x") for texts in lines.values()}) > 1
    )
    middle = _middle(group) if is_centred else None
    for texts in lines.values():
        line = _joined(group, texts) if len(texts) > 1 else texts[0]
        if middle is not None:
            line.set("text-anchor", "middle")
            line.set("x", f"{middle:.2f}")


def _joined(group: ET.Element, texts: Sequence[ET.Element]) -> ET.Element:
    first = texts[0]
    line = ET.Element(_TEXT, {k: v for k, v in first.attrib.items() if k not in _OF_STRETCH})
    line.tail = first.tail
    group.insert(list(group).index(first), line)
    for text in texts:
        own = {name: text.attrib[name] for name in _OF_STRETCH if name in text.attrib}
        span = ET.SubElement(line, _SPAN, own)
        span.text = text.text
        if any(unicodedata.bidirectional(c) in ("R", "AL") for c in text.text or ""):
            span.set("unicode-bidi", "isolate")  # it turns round nothing beside it
        group.remove(text)
    return line


def _middle(group: ET.Element) -> float | None:
    """Give the middle of a box, from left to right."""
    outlines = (shape.get("d") or shape.get("points") or "" for shape in group)
    xs = [float(x) for outline in outlines for x, _ in _POINT.findall(outline)]
    return (min(xs) + max(xs)) / 2 if xs else None


def _set_apart(edge: ET.Element, background: str) -> None:
    """Put a rim around the number at a line, so that no line runs through it."""
    for text in edge.findall(_TEXT):
        text.set("stroke", background)
        text.set("stroke-width", "3")
        text.set("paint-order", "stroke")
