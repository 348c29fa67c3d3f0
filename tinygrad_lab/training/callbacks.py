"""Callbacks: what is done between the epochs of ``tl.fit``.

Not for what it shows while it runs (``progress.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tinygrad_lab.training.loop import Run

__all__ = ["Callback", "EarlyStopping"]

# Metrics of which more is better; of losses less is.
_MORE = ("accuracy", "top_k", "precision", "recall", "f1", "r2")


class Callback:
    """The base of callbacks: define what you need, each with the :class:`~.Run` as argument.

    A function in its place is called after each epoch; ``print`` is one, which prints a line.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> class Count(Callback):
    ...     batches = 0
    ...     def on_batch(self, run):
    ...         self.batches += 1
    >>> model = tl.nn.Linear(2, 1, rng=0)
    >>> optimizer = tl.optim.SGD(model.parameters(), lr=0.1)
    >>> count = Count()
    >>> history = tl.fit(model, tl.lab.xor(), tl.mse_loss, optimizer, epochs=3, callbacks=[count])
    >>> count.batches
    3
    """

    def on_start(self, run: Run) -> None:
        """Called before the first epoch."""

    def on_batch(self, run: Run) -> None:
        """Called after each step."""

    def on_epoch(self, run: Run) -> None:
        """Called after each epoch, when the history has it."""

    def on_end(self, run: Run) -> None:
        """Called at the end, also after Ctrl-C or an error."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""


class EarlyStopping(Callback):
    """Stop when something has not become better for some epochs, and go back to the best weights.

    Parameters
    ----------
    monitor : str
        A column of the history.
    patience : int
        So many epochs without a better one.
    min_delta : float
        By how much an epoch has to be better.
    mode : {"min", "max"}, optional
        Whether less or more is better; known for losses and the metrics of the package.
    restore : bool
        Whether the model ends with the weights of its best epoch, however the training ends.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        *,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore: bool = True,
    ) -> None:
        name = monitor.removeprefix("val_")
        known = "max" if name in _MORE else "min" if name.endswith(("loss", "mae")) else None
        if (mode := mode or known) not in ("min", "max"):
            raise ValueError(f'EarlyStopping({monitor!r}): say mode="min" or mode="max"')
        if patience < 1:
            raise ValueError(f"patience={patience}: expected 1 epoch or more")
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        self.mode, self.restore = mode, restore
        self.best, self.best_epoch = float("nan"), 0
        self.weights: dict[str, Any] = {}

    def on_epoch(self, run: Run) -> None:
        """Keep the weights if they are better, and stop if none have been for too long."""
        if self.monitor not in run.history:
            raise KeyError(
                f"EarlyStopping watches {self.monitor!r}, and the history has "
                f"{', '.join(run.history)}: give validation= or metrics=, or say monitor="
            )
        value = run.history[self.monitor][-1]
        gain = (value - self.best) * (1 if self.mode == "max" else -1)
        if not self.weights or gain > self.min_delta or np.isnan(self.best):
            self.best, self.best_epoch = value, run.epoch
            self.weights = run.model.state_dict()
        elif run.epoch - self.best_epoch >= self.patience:
            run.stop(
                f"stopped after epoch {run.epoch}: {self.monitor} was best in epoch "
                f"{self.best_epoch}, {self.best:.4g}"
            )

    def on_end(self, run: Run) -> None:
        """Put the best weights back."""
        if self.restore and self.weights:
            run.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """The best value, its epoch and its weights."""
        return {"best": self.best, "best_epoch": self.best_epoch, "weights": dict(self.weights)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on watching from there."""
        self.best, self.best_epoch, self.weights = (
            state["best"], state["best_epoch"], dict(state["weights"])
        )  # fmt: skip
