"""DOT text in, a picture out: through the ``dot`` program, or through the library in pygraphviz.

The library is called in a child process, because a crash in C would take the whole interpreter,
and a notebook's kernel with it. Nothing that lies in the current folder is run, whatever its name.
Not for what the picture shows (``dot.py``).
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import re
import shutil
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

__all__ = ["ENGINES", "FORMATS", "RenderError", "render", "size_of"]

ENGINES = ("auto", "dot", "pygraphviz")
FORMATS = ("svg", "png", "pdf")

_REMEDY = (
    "To draw graphs, either `pip install 'pygraphviz>=2.0.4'`, whose wheels carry Graphviz, or "
    "install Graphviz itself so that the `dot` program is found (https://graphviz.org/download). "
    "The DOT text is in `.source` all the same, and any Graphviz viewer draws it"
)

_SECONDS = 120

_DOTS = 144  # an inch, in a PNG: three for two of a page's pixels

#: Inches of a PNG that goes into a notebook: as wide as a cell, 848 pixels of a page, at most.
_LARGEST = (848 / 96, 40)

#: How often a picture was drawn, by its prefix: one may stand twice on a page.
_times: Counter[str] = Counter()

# The alarm is for a parent that was killed, and no longer looks at the clock.
_CHILD = """
import signal
import sys
import pygraphviz
if hasattr(signal, "alarm"):
    signal.alarm(int(sys.argv[2]))
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode("utf-8"))
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))
"""

_SVG = "http://www.w3.org/2000/svg"
_XLINK_TITLE = "{http://www.w3.org/1999/xlink}title"
_TEXT, _SPAN = f"{{{_SVG}}}text", f"{{{_SVG}}}tspan"
_SHAPES = (f"{{{_SVG}}}path", f"{{{_SVG}}}polygon")

_GROUPS = ("graph", "cluster", "node", "edge")

#: What words of one line may differ in.
_OF_WORDS = ("font-family", "font-weight", "font-style", "font-size", "fill", "text-decoration")


class RenderError(RuntimeError):
    """Graphviz is missing, or failed. The message says what to do."""


def render(source: str, form: str = "svg", *, engine: str = "auto", bounded: bool = False) -> bytes:
    """Draw DOT text.

    Parameters
    ----------
    source
        DOT text as ``dot.to_dot`` writes it.
    form
        ``"svg"``, ``"png"`` or ``"pdf"``. An SVG comes without XML prologue, ready to be put into
        a page: its ids are its own, it needs no style sheet, and boxes have tooltips.
    engine
        ``"dot"`` for the program, ``"pygraphviz"`` for the library, ``"auto"`` for the first that
        is there.
    bounded
        Make a PNG that is too large for a notebook smaller.

    Raises
    ------
    RenderError
        Nothing can draw here, or drawing failed.
    ValueError
        An unknown format or engine.

    Examples
    --------
    >>> render("digraph { a -> b }")[:4]  # doctest: +SKIP
    b'<svg'
    """
    if form not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {form!r}")
    who, command = _command(engine, form)
    if form == "png":
        size = f' size="{_LARGEST[0]},{_LARGEST[1]}"' * bounded
        source = source.replace("{\n", f"{{\n  graph [dpi={_DOTS}{size}]\n", 1)
    picture = _output(who, command, source)
    return _embeddable(picture, source) if form == "svg" else picture


def _command(engine: str, form: str) -> tuple[str, list[str]]:
    """Return what draws, by the name that errors call it by and as a command."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    if engine in ("auto", "dot") and (program := _program()) is not None:
        return "the `dot` program", [program, f"-T{form}"]
    if engine in ("auto", "pygraphviz") and importlib.util.find_spec("pygraphviz") is not None:
        # With -P nothing is imported from the current folder.
        return "pygraphviz", [sys.executable, "-P", "-c", _CHILD, form, str(math.ceil(_SECONDS))]
    missing = {"dot": "no `dot` program", "pygraphviz": "no pygraphviz"}.get(
        engine, "neither a `dot` program nor pygraphviz"
    )
    raise RenderError(f"there is {missing} on this machine. {_REMEDY}")


def _program() -> str | None:
    """Return the path of ``dot``: not of one in the current folder, where Windows looks first."""
    name = "dot.exe" if sys.platform == "win32" else "dot"
    folders = filter(Path.is_absolute, map(Path, os.get_exec_path()))
    return next(filter(None, (shutil.which(str(folder / name)) for folder in folders)), None)


def _output(who: str, command: list[str], source: str) -> bytes:
    """Run a command that reads DOT, and return what it writes."""
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=sys.prefix,  # no name in PYTHONPATH or elsewhere then means the current folder
        ) as child:
            picture, errors = _answer(child, source.encode())
    except subprocess.TimeoutExpired as error:
        raise RenderError(
            f"{who} has not finished after {_SECONDS} s: draw a smaller graph"
        ) from error
    except OSError as error:
        raise RenderError(f"{who} cannot be started: {error.strerror}. {_REMEDY}") from error
    if child.returncode != 0 or not picture:
        lines = errors.decode(errors="replace").strip().splitlines()
        why = f": {lines[-1]}" if lines else f" with exit status {child.returncode}"
        raise RenderError(f"{who} failed{why}. {_REMEDY}")
    return picture


def _answer(child: subprocess.Popen[bytes], text: bytes) -> tuple[bytes, bytes]:
    """Give a process its input and wait for what it writes; interrupted, end it first."""
    try:
        return child.communicate(text, timeout=_SECONDS)
    except BaseException:
        child.kill()
        child.wait()
        raise


def size_of(png: bytes) -> dict[str, int]:
    """Return how wide and high a PNG is, in pixels of a page."""
    width, height = struct.unpack(">II", png[16:24])
    return {"width": round(width * 96 / _DOTS), "height": round(height * 96 / _DOTS)}


def _embeddable(svg: bytes, source: str) -> bytes:
    """Prepare Graphviz's SVG for any page.

    Tooltips become ``<title>`` elements, which browsers and screen readers know, in place of links
    to nowhere; ids get a prefix of their own, so that two pictures on a page do not mix; lines of
    text stay whole and in the middle, however wide the font of a page is.
    """
    ET.register_namespace("", _SVG)
    try:
        root = ET.fromstring(svg)
    except ET.ParseError as error:
        raise RenderError(f"Graphviz wrote an SVG that is not well-formed: {error}") from error
    prefix = "g" + hashlib.sha256(source.encode()).hexdigest()[:8]
    _times[prefix] += 1
    if _times[prefix] > 1:
        prefix += f"x{_times[prefix]}"
    background = root.find(f".//{{{_SVG}}}polygon")
    for element in list(root.iter()):
        _hoist_tooltip(element)
        if element.get("class") in _GROUPS:
            _set_lines(element)
        if element.get("class") == "edge":
            _set_apart(element, background)
        if "id" in element.attrib:
            element.set("id", f"{prefix}-{element.get('id')}")
    root.set("role", "img")
    root.set("aria-label", "computation graph")
    return ET.tostring(root, encoding="unicode").encode()


def _hoist_tooltip(group: ET.Element) -> None:
    """Turn ``<g><title>id</title><g><a xlink:title=tip>…`` into ``<g><title>tip</title>…``."""
    title = group.find(f"{{{_SVG}}}title")
    if title is None:
        return
    tip = ""
    for inner in group.findall(f"{{{_SVG}}}g"):
        link = inner.find(f"{{{_SVG}}}a")
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


def _set_lines(group: ET.Element) -> None:
    """Make one element of each line of text, and centre it in its box.

    Graphviz places bold and plain words one by one, by the widths that they have in a font of its
    own, and a page has another.
    """
    lines: dict[str, list[ET.Element]] = {}
    for text in group.findall(_TEXT):
        lines.setdefault(text.get("y", ""), []).append(text)
    for first, *others in lines.values():
        if others:
            _join(group, first, others)
    beginnings = {first.get("x") for first, *_ in lines.values()}
    is_left = len(lines) > 1 and len(beginnings) == 1
    middle = _middle(group) if group.get("class") in ("node", "graph") and not is_left else None
    for first, *_ in lines.values():
        if middle is not None:
            first.set("text-anchor", "middle")
            first.set("x", f"{middle:.2f}")


def _join(group: ET.Element, first: ET.Element, others: list[ET.Element]) -> None:
    """Put the words of a line into the element of the first of them."""
    words = [(dict(text.attrib), text.text) for text in (first, *others)]
    first.text = None
    for attributes, word in words:
        own = {k: v for k, v in attributes.items() if k in _OF_WORDS}
        ET.SubElement(first, _SPAN, own).text = word
    for text in others:
        group.remove(text)
    for name in _OF_WORDS:
        first.attrib.pop(name, None)


def _middle(group: ET.Element) -> float | None:
    """Return where the middle of the first shape of a group is, from left to right."""
    shape = next((e for e in group if e.tag in _SHAPES), None)
    if shape is None:
        return None
    numbers = re.findall(r"-?[\d.]+", shape.get("d") or shape.get("points") or "")
    across = [float(x) for x in numbers[::2]]
    return (min(across) + max(across)) / 2 if across else None


def _set_apart(edge: ET.Element, background: ET.Element | None) -> None:
    """Put a rim around the number at a line, so that no line runs through it."""
    if background is None:
        return
    for text in edge.findall(_TEXT):
        text.set("stroke", background.get("fill", "none"))
        text.set("stroke-width", "3")
        text.set("paint-order", "stroke")
