"""The graph of a network's loss for a page, with marks where there is trouble: light and dark.

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

    Returns
    -------
    dict
        ``light`` and ``dark``, or ``table`` and ``remedy`` where nothing can draw; and ``health``,
        what was found in it.

    Examples
    --------
    >>> import numpy as np
    >>> sorted(drawn(nn.MLP([2, 1], rng=0), np.ones((3, 2)), np.ones((3, 1))))
    ['dark', 'health', 'light']
    """
    from tinygrad_lab.viz import RenderError, graph

    loss = functional.mse_loss(model(tl.Tensor(x)), y)
    names = {"x": x, "y": y}
    pictures = {t: graph(loss, model, names=names, theme=t).health() for t in _THEMES}
    health = {"health": pictures["light"].report()}
    try:
        return health | {theme: picture.svg() for theme, picture in pictures.items()}
    except RenderError as error:
        return health | {"table": str(pictures["light"]), "remedy": str(error)}
