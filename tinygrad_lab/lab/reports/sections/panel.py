"""A figure with what belongs to it: a caption, and the file of its data.

Not for the picture itself (``lab/pages/figures.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_lab.lab.pages.figures import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def panel(
    draw: Callable[[Axes], object], *, name: str, alt: str, caption: str, **layout: Any
) -> dict[str, str]:
    """Draw a figure whose data lie in ``NAME.csv``, as the templates of the sections show it.

    Parameters
    ----------
    draw
        Called with the Axes to draw on.
    name
        Of the figure and of its data.
    alt
        What the picture shows, for those who do not see it.
    caption
        What to see in it.
    layout
        ``size``, ``bottom`` and ``left`` of :func:`tinygrad_lab.lab.pages.figures.svg`.
    """
    picture = svg(draw, name=name, description=alt, **layout)
    return {"svg": picture, "caption": caption, "data": f"data/{name}.csv"}
