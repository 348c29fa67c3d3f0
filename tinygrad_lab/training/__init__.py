"""Training of models on data, in one call: ``tl.fit``, what it tells, and metrics.

    >>> import tinygrad_lab as tl
    >>> x, y = tl.lab.xor()
    >>> model = tl.nn.MLP([2, 4, 1], output_activation="sigmoid", rng=1)
    >>> optimizer = tl.optim.Adam(model.parameters(), lr=0.1)
    >>> history = tl.fit(model, (x, y), tl.mse_loss, optimizer, epochs=300, rng=0)
    >>> history["loss"][-1] < history["loss"][0]
    True

Not for the networks of the reports (``tl.lab``).  A loop of your own needs nothing from here.
"""

from __future__ import annotations

from tinygrad_lab.training import metrics
from tinygrad_lab.training.callbacks import Callback, EarlyStopping
from tinygrad_lab.training.checkpoints import Checkpoint
from tinygrad_lab.training.history import History
from tinygrad_lab.training.loop import DivergedError, Run, evaluate, fit
from tinygrad_lab.training.statistics import LayerStatistics

__all__ = [
    "Callback",
    "Checkpoint",
    "DivergedError",
    "EarlyStopping",
    "History",
    "LayerStatistics",
    "Run",
    "evaluate",
    "fit",
    "metrics",
]
