"""DOT text in, a picture out: through the ``dot`` program, or through the library in pygraphviz.

The library is called in a child process, because a crash in C would take the whole interpreter,
and a notebook's kernel with it. Nothing that lies in the current folder is run, whatever its name.
Not for what the picture shows (``dot.py``).
"""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree.ElementTree import ParseError

from tinygrad_lab.viz.embedding import embeddable

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
    if form != "svg":
        return picture
    try:
        return embeddable(picture, source)
    except ParseError as error:
        raise RenderError(f"Graphviz wrote an SVG that is not well-formed: {error}") from error


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
