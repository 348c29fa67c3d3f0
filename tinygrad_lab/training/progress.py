"""What a training shows while it runs: a bar in a terminal, a curve in a notebook.

Where standard error is no terminal, as in a log file, nothing is shown: ``callbacks=[print]`` gives
a line an epoch anywhere.  Not for the finished curve (``History.plot``).
"""

from __future__ import annotations

import importlib
import io
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from tinygrad_lab.training.callbacks import Callback

if TYPE_CHECKING:
    from tinygrad_lab.training.loop import Run

__all__ = ["progress"]

_BETWEEN = 1.0  # seconds from one picture to the next


def progress() -> Callback:
    """Choose what can be shown here."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    if get_shell is not None and hasattr(get_shell(), "kernel"):
        return _Curve()
    try:
        import tqdm  # noqa: F401
    except ImportError:
        return _Lines()
    return _Bar()


class _Bar(Callback):
    """tqdm's bar over all batches, with what the last epoch gave."""

    def on_start(self, run: Run) -> None:
        from tqdm import tqdm

        batches = len(run.loader) if hasattr(run.loader, "__len__") else None
        self.bar = tqdm(
            total=batches and batches * run.epochs,
            initial=(batches or 0) * run.history.epochs,
            unit="batch",
            disable=None,
            dynamic_ncols=True,
        )

    def on_batch(self, run: Run) -> None:
        self.bar.update(1)

    def on_epoch(self, run: Run) -> None:
        self.bar.set_description_str(str(run))

    def on_end(self, run: Run) -> None:
        self.bar.close()


class _Lines(Callback):
    """A line an epoch, in a terminal without tqdm."""

    def on_epoch(self, run: Run) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"{run}\n")


class _Curve(Callback):
    """The learning curves in a notebook, drawn again at most every second, and at the end."""

    def on_start(self, run: Run) -> None:
        self.handle: Any = None
        self.next = 0.0

    def on_epoch(self, run: Run) -> None:
        if monotonic() >= self.next:
            self.show(run)
            self.next = monotonic() + _BETWEEN

    def on_end(self, run: Run) -> None:
        if run.history:
            self.show(run)

    def show(self, run: Run) -> None:
        """Draw, in the place of what was drawn before."""
        display: Any = importlib.import_module("IPython.display")

        picture = display.Image(curves(run), format="png", alt=str(run), width=720)
        if self.handle is None:
            self.handle = display.display(picture, display_id=True)
        else:
            self.handle.update(picture)


def curves(run: Run) -> bytes:
    """Draw the losses, and the metrics beside them if there are any, as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    history = run.history
    metrics = [n for n in history if not n.endswith("loss") and n not in ("lr", "seconds")]
    figure = Figure(figsize=(9, 3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if metrics else 1, squeeze=False)[0]
    history.plot(ax=axes[0])
    if metrics:
        history.plot(*metrics, ax=axes[1])
    figure.suptitle(history.stopped or str(run), fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    return buffer.getvalue()
