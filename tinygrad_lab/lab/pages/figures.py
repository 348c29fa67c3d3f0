"""Matplotlib figures as inline SVG that takes its ink from the page, light or dark.

Not for what is in a plot (``viz/plots``) nor for the page that it is on.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A colour no plot uses: what is drawn in it becomes the page's text colour.
_INK = "#0a0b0c"

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.fontsize": 9,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
}


def svg(
    draw: Callable[[Axes], object],
    *,
    name: str,
    description: str,
    size: tuple[float, float] = (5.2, 3.6),
    bottom: float = 0.55,
    left: float = 0.72,
) -> str:
    """Draw on one Axes and return it as an ``<svg>`` element for a page.

    Parameters
    ----------
    draw
        Called with the Axes to draw on.
    name
        Distinguishes the figure on its page: the same name gives the same text, two names never
        share an identifier.
    description
        What the figure shows, for those who do not see it.
    size
        Width and height in inches, which set its proportions and its text size.
    bottom
        Inches below the Axes, for its labels and for a legend.
    left
        Inches beside them, for labels.

    Returns
    -------
    str

    Examples
    --------
    >>> text = svg(lambda ax: ax.plot([0, 1]), name="line", description="A <line>")
    >>> text.startswith("<svg") and "A &lt;line&gt;" in text and "currentColor" in text
    True
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size)
        # In inches.  A layout engine would fit them, by drawing everything twice.
        margins = {"left": left / size[0], "bottom": bottom / size[1]}
        figure.subplots_adjust(right=1 - 0.28 / size[0], top=1 - 0.32 / size[1], **margins)
        draw(figure.subplots())
        buffer = StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _for_page(buffer.getvalue(), description)


def _for_page(text: str, description: str) -> str:
    """Cut the file down to its element, take out what would clash on a page, and describe it."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    referred = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: m.group(0) if m.group(1) in referred else "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]+"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]+"', r"\1", text, count=1)
    text = text.replace("<svg", f'<svg role="img" aria-label="{html.escape(description)}"', 1)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text).replace(
        _INK, "currentColor"
    )
    text = re.sub(r"<[^>]+>", _rounded, text)
    return re.sub(r"\n\s*", "\n", text).strip()


def _rounded(tag: re.Match[str]) -> str:
    """Cut coordinates to a hundredth of a point, which is enough; numbers that are text stay."""
    return re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0])
