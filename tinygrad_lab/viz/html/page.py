"""A page of HTML in one file: it needs no kernel, no network and no other file.

The page forbids itself everything but its own style sheet and script, by their hashes.  What comes
from a user goes through :func:`html.escape` here, and in scripts through ``textContent`` alone.
``string.Template`` fills the one skeleton there is: a language for templates would be a dependency
of everybody who draws, for six holes.

Not for what is on a page (``stepping.py``, ``exploring.py``).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from tinygrad_lab.files import write_file
from tinygrad_lab.viz.html.vector import Palette
from tinygrad_lab.viz.render import render, size_of
from tinygrad_lab.viz.style import THEMES, printable

if TYPE_CHECKING:
    from tinygrad_lab.viz.model import GraphModel
    from tinygrad_lab.viz.picture import Style

__all__ = ["Page", "Pictured", "compose", "escaped", "filled"]


def escaped(text: str) -> str:
    """Make any text visible, and text: never markup, nor what turns the text after it around."""
    return html.escape(printable(text))


class Page:
    """A page to act on. A notebook shows it in a frame of its own; :meth:`save` writes it.

    Made by :meth:`Graph.step` and :meth:`Graph.interactive`.

    Attributes
    ----------
    html : str
        The whole document.
    """

    def __init__(self, text: str, title: str, height: int, source: str, engine: str) -> None:
        self.html = text
        self._title, self._height = title, height
        self._source, self._engine = source, engine

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save the page, under a name that ends in ``.html``; no reader ever sees half of it.

        Raises
        ------
        ValueError
            Another ending.
        OSError
            The file cannot be written. A file already there is left as it was.
        """
        if Path(path).suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"save() needs a name that ends in .html, not {str(path)!r}")
        return write_file(path, self.html.encode())

    def __repr__(self) -> str:
        return f"<Page {self._title!r}, {len(self.html.encode()) / 1000:.0f} kB>"

    def _repr_html_(self) -> str:
        return self._framed(self._still())

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        png = self._still()
        bundle = {
            "text/html": self._framed(png),
            "image/png": base64.b64encode(png).decode(),
            "text/plain": repr(self),
        }
        return bundle, {"image/png": size_of(png)}

    def _still(self) -> bytes:
        """Draw the picture for where no scripts run: a PNG."""
        return render(self._source, "png", engine=self._engine, bounded=True)

    def _framed(self, png: bytes) -> str:
        """Put the page in a frame of its own, so that neither's styles reach the other.

        Where scripts are not trusted the frame is taken out, and what is in it stays.
        """
        return (
            f'<iframe title="{escaped(self._title)}" srcdoc="{html.escape(self.html)}" '
            f'sandbox="allow-scripts" width="100%" height="{self._height}" '
            f'style="border:0;resize:vertical">'
            f'<img alt="{escaped(self._title)}" width="{size_of(png)["width"]}" '
            f'src="data:image/png;base64,{base64.b64encode(png).decode()}"></iframe>'
        )


@dataclass(frozen=True)
class Pictured:
    """What a page is about: a model, how it is drawn, and what is said of it.

    ``about`` is a line that says what it is, ``remarks`` a report.
    """

    model: GraphModel
    style: Style
    engine: str
    about: str
    remarks: str = ""


def compose(
    pictured: Pictured,
    title: str,
    body: str,
    data: Any,
    *,
    palette: Palette,
    scripts: tuple[str, ...],
    height: int,
) -> Page:
    """Put a page together.

    Parameters
    ----------
    pictured
        What it is about; with the theme ``"dark"`` it begins so, and otherwise as the reader
        prefers.
    title
        What the page is called: plain text.
    body
        The page itself: HTML.
    data
        What the scripts work on, as JSON takes it.
    palette
        The colours of the pictures in the body.
    scripts
        Files among the assets, in the order they run in.
    height
        Of the frame that a notebook shows it in, in pixels.
    """
    style = _variables(palette) + _asset("page.css")
    script = "".join(map(_asset, scripts))
    text = filled(
        "page.html",
        title=escaped(title),
        about=escaped(pictured.about),
        remarks=_remarked(pictured.remarks),
        theme=' data-theme="dark"' if pictured.style.theme == "dark" else "",
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        body=body,
        # JSON in a script ends where "</script" begins, and "<!--" changes what it is.
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace(
            "<", "\\u003c"
        ),
        script=script,
    )
    return Page(text, title, height, pictured.style.dot(pictured.model), pictured.engine)


def _remarked(text: str) -> str:
    """Write a report for the head of a page; nothing, where there is none."""
    lines = "\n".join(map(escaped, text.splitlines()))
    shown = f"<details class='remarks' open><summary>Report</summary><pre>{lines}</pre></details>"
    return shown if text else ""


def filled(name: str, **holes: Any) -> str:
    """Fill the holes of an asset with HTML."""
    return Template(_asset(name)).substitute(holes)


@functools.cache
def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Name a style sheet or a script in a security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _variables(palette: Palette) -> str:
    """Write both themes as CSS variables: as the reader prefers, unless the switch says."""
    light, dark = (_theme(name, palette, i) for i, name in enumerate(("light", "dark")))
    return (
        f":root{{color-scheme:light;{light}}}"
        f"@media(prefers-color-scheme:dark){{:root:not([data-theme=light])"
        f"{{color-scheme:dark;{dark}}}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n"
    )


def _theme(name: str, palette: Palette, index: int) -> str:
    theme = THEMES[name]
    input, now = theme.paint["input"], theme.paint["loss"]
    return (
        f"--background:{theme.background};--ink:{theme.ink};--muted:{theme.muted};"
        f"--panel:{theme.cluster.fill};--rule:{theme.cluster.line};--accent:{input.line};"
        f"--tint:{input.fill};--now:{now.line};{palette.sheet(index)}"
    )
