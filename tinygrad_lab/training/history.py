"""``History``: what a training told, epoch by epoch, as lists by name.

Not for training (``loop.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["History"]

_MOST_ROWS = 20


class History(dict[str, list[float]]):
    """Lists by name, with a number for each epoch: ``history["val_loss"][-1]``.

    It is a dict, so ``pandas.DataFrame(history)`` takes it.  A notebook shows it as a table.

    Attributes
    ----------
    stopped : str
        Why the training ended before its last epoch; empty if it did not.

    Examples
    --------
    >>> history = History(loss=[0.9, 0.25], val_loss=[1.0, 0.5])
    >>> history
    epoch      loss  val_loss
        1       0.9         1
        2      0.25       0.5
    """

    stopped = ""

    @property
    def epochs(self) -> int:
        """How many epochs are in it."""
        return max(map(len, self.values()), default=0)

    def record(self, values: Mapping[str, float]) -> None:
        """Add an epoch; what is missing in it, or was before, is not a number."""
        before = self.epochs
        for name in [*self, *(name for name in values if name not in self)]:
            column = self.setdefault(name, [float("nan")] * before)
            column.append(float(values.get(name, float("nan"))))

    def plot(self, *names: str, ax: Axes | None = None) -> Axes:
        """Draw some of it over epochs; the losses, if no names are given.

        Parameters
        ----------
        *names : str
            What to draw; the vertical axis is logarithmic if all of them are losses.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure if left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from tinygrad_lab.viz import plot_learning_curves

        chosen = names or [name for name in self if name.endswith("loss")]
        for name in chosen:
            if name not in self:
                raise KeyError(f"the history has no {name!r}: there are {', '.join(self)}")
        losses = all(name.endswith("loss") for name in chosen)
        return plot_learning_curves(
            {name: self[name] for name in chosen},
            ax=ax,
            epochs=range(1, self.epochs + 1),
            log=losses,
            ylabel="loss" if losses else "",
        )

    def _rows(self) -> list[list[str]]:
        """The table as text: a first line of names, and a gap in the middle of a long one."""
        rows = [[str(i + 1), *(f"{c[i]:.4g}" for c in self.values())] for i in range(self.epochs)]
        if len(rows) > _MOST_ROWS:
            gap = ["..."] * (len(self) + 1)
            rows = [*rows[: _MOST_ROWS // 2], gap, *rows[-_MOST_ROWS // 2 :]]
        return [["epoch", *self], *rows]

    def __repr__(self) -> str:
        widths = [len(name) if name == "epoch" else max(len(name), 8) for name in ("epoch", *self)]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in self._rows()
        ]
        return "\n".join([*lines, *([self.stopped] if self.stopped else [])])

    def _repr_html_(self) -> str:
        head, *rows = self._rows()
        cells = "".join(f"<th>{name}</th>" for name in head)
        body = "".join(
            "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows
        )
        return f"<table><tr>{cells}</tr>{body}</table>{self.stopped}"

    def __reduce__(self) -> Any:
        return type(self), (dict(self),), vars(self)
