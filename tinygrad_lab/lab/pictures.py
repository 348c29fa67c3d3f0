"""The picture of one run: its learning curve, and what it decides.

Not for the figures of the report (``pages/figures.py``) nor for the plots (``tinygrad_lab.viz``).
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_lab.files import write_file
from tinygrad_lab.lab.training import Result, predictions
from tinygrad_lab.training.metrics import confusion_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def picture_of(result: Result, path: Path) -> None:
    """Draw the loss over the epochs and, beside it, the decisions; in the format of the name.

    For points in the plane these are the regions of the classes with the points on top, for others
    the counts of true and predicted classes.

    Raises
    ------
    OSError
        It cannot be written; a file that was there is as before.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from tinygrad_lab.viz import plot_learning_curves

    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    curve, decisions = figure.subplots(1, 2)
    plot_learning_curves(result.losses, epochs=result.epochs, ax=curve)
    curve.set_ylabel("mean squared error")
    curve.set_title("Learning curve", loc="left")
    _draw_decisions(result, decisions)
    settings = result.settings
    sizes = [len(result.encoding.columns), *settings.hidden, result.y.shape[1]]
    figure.suptitle(
        f"{Path(settings.data).name}, {'-'.join(map(str, sizes))}, {settings.optimizer} at rate "
        f"{settings.lr:g}, seed {result.seed}: {result.accuracy:.1%} right",
        fontsize="medium",
    )
    content = BytesIO()
    with rc_context({"svg.fonttype": "none"}):  # text that can be read and searched
        figure.savefig(content, format=path.suffix.lower().removeprefix("."), dpi=150)
    write_file(path, content.getvalue())


def _draw_decisions(result: Result, ax: Axes) -> None:
    from tinygrad_lab.viz import plot_confusion_matrix, plot_decision_boundary

    shown, encoding = predictions(result), result.encoding
    if len(encoding.columns) == 2:
        plot_decision_boundary(
            result.predict, result.x, shown.true_labels, ax=ax, threshold=shown.threshold
        )
        ax.set_xlabel(encoding.columns[0])
        ax.set_ylabel(encoding.columns[1])
        ax.set_title("Decision boundary", loc="left")
    else:
        counts = confusion_matrix(shown.labels, shown.true_labels, len(encoding.classes))
        plot_confusion_matrix(counts, labels=encoding.classes, ax=ax)
