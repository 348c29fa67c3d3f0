"""What can be done with a picture: show it in a notebook, print it, save it to a file.

A picture is DOT text and a text that says the same; both are plain data, so it can be sent to
another process. Not for: what it shows (``picture.py`` of a graph, ``programs/`` of a program), or
for running Graphviz (``render.py``).
"""

from __future__ import annotations

import os
from base64 import b64encode
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_lab.files import write_file
from tinygrad_lab.viz import render as rendering

if TYPE_CHECKING:
    import graphviz

__all__ = ["Drawing"]

_FORMATS = (*rendering.FORMATS, "html", "dot")

#: A page that needs nothing but itself. A picture that is wider than the window can be scrolled,
#: by keyboard too.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body style="font-family: system-ui, sans-serif">
<main>
<div style="overflow-x: auto" tabindex="0" role="region" aria-label="picture">
{svg}
</div>
<details>
<summary>The same as text</summary>
<pre style="overflow-x: auto">{text}</pre>
</details>
</main>
</body>
</html>
"""


class Drawing:
    """A picture. A notebook shows it as SVG or PNG; ``print`` shows it as text.

    Attributes
    ----------
    source : str
        DOT text, the same for the same computation, byte for byte.
    """

    def __init__(self, source: str, engine: str = "auto") -> None:
        self.source = source
        self._engine = engine

    def svg(self) -> str:
        """Return the picture as one ``<svg>`` element that can be put into a page.

        Raises
        ------
        RenderError
            Nothing on this machine can draw; the message names the remedies.
        """
        return rendering.render(self.source, "svg", engine=self._engine).decode()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save the picture, in the format its name ends in: svg, png, pdf, html, or dot.

        The HTML page shows the picture and has its text; the dot file is :attr:`source`. Links and
        rights are as ``open`` would have them, and nobody ever reads half a picture, whoever else
        writes it and whenever it is interrupted.

        Raises
        ------
        ValueError
            Another ending.
        RenderError
            Nothing on this machine can draw; the message names the remedies.
        OSError
            The file cannot be written. A file already there is left as it was.
        """
        form = Path(path).suffix.lower().removeprefix(".")
        if form not in (*_FORMATS, "gv"):
            allowed = ", ".join(f".{f}" for f in _FORMATS)
            raise ValueError(
                f"save() needs a name that ends in one of {allowed}, not {str(path)!r}"
            )
        return write_file(path, self._content(form))

    def _content(self, form: str) -> bytes:
        """Return what a file of a format holds."""
        if form in ("dot", "gv"):
            return self.source.encode()
        if form == "html":
            return self._page().encode()
        if form == "svg":
            return b'<?xml version="1.0" encoding="UTF-8"?>\n' + self.svg().encode()
        return rendering.render(self.source, form, engine=self._engine)

    def _page(self) -> str:
        """Return a page with the picture, and with its text."""
        title = escape(repr(self).strip("<>"))
        return _PAGE.format(title=title, svg=self.svg(), text=escape(str(self)))

    def to_graphviz(self) -> graphviz.Source:
        """Return the picture as an object of the ``graphviz`` package."""
        import graphviz

        return graphviz.Source(self.source)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """Give a notebook the SVG, the same for where none is shown or can be used, and the text.

        Viewers show no SVG of a notebook that they do not trust, so there is a PNG; LaTeX takes no
        SVG, so there is a PDF. There is never ``text/html``: those that sanitise it would prefer
        it, and show wreckage.
        """
        text = str(self)
        try:
            svg = self.svg()
        except rendering.RenderError as error:
            return {"text/plain": f"{text}\n\n{error}"}, {}
        bundle = {"image/svg+xml": svg, "text/plain": text}
        try:
            png = rendering.render(self.source, "png", engine=self._engine, bounded=True)
            pdf = rendering.render(self.source, "pdf", engine=self._engine)
        except rendering.RenderError:
            return bundle, {}  # a Graphviz that was built without
        bundle |= {"image/png": b64encode(png).decode(), "application/pdf": b64encode(pdf).decode()}
        return bundle, {"image/png": rendering.size_of(png)}
