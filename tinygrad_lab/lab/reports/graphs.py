"""The graph of a network's loss for a page: light and dark, or a table where nothing can draw.

Not for what is drawn (``tinygrad_lab.viz``).
"""

from __future__ import annotations

from typing import Any

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.nn import functional

_THEMES = ("light", "dark")


def drawn(model: nn.Module, x: Any, y: Any) -> dict[str, str]:
    """Draw the graph of a model's mean squared error on these data, as ``macros.html.j2`` shows it.

    Examples
    --------
    >>> import numpy as np
    >>> sorted(drawn(nn.MLP([2, 1], rng=0), np.ones((3, 2)), np.ones((3, 1))))
    ['dark', 'light']
    """
    from tinygrad_lab.viz import RenderError, graph

    loss = functional.mse_loss(model(tl.Tensor(x)), y)
    pictures = {t: graph(loss, model, names={"x": x, "y": y}, theme=t) for t in _THEMES}
    try:
        return {theme: picture.svg() for theme, picture in pictures.items()}
    except RenderError as error:
        return {"table": str(pictures["light"]), "remedy": str(error)}
