"""The report's section on convolution, which report A announced and left empty.

A small network that reads digits, and the gradient of a convolution by hand.  Not for training it
(``digits.py``), the gradient (``kernel.py``) or the layout (``templates/convolution.html.j2``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab.lab.reports.sections import kernel
from tinygrad_lab.lab.reports.sections.digits import BATCH, SMOOTHING, Array, Reader, trained
from tinygrad_lab.lab.reports.sections.panel import panel
from tinygrad_lab.lab.reports.study import Runs
from tinygrad_lab.lab.reports.tables import Section, Table
from tinygrad_lab.viz.plots.runs import median

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPLITS, EPOCHS = 5, 16
QUICK_SPLITS, QUICK_EPOCHS = 1, 6

# Images for the gradient by hand: few, so that its loops and its check take no time.
_IMAGES = 4
# Misread digits that are drawn: as many as there are with five splits, and a limit.
_MOST_MISREAD = 30

_LOSSES = {"loss": "training", "val_loss": "held out"}
_ACCURACIES = {"accuracy": "training", "val_accuracy": "held out"}


def section(_: Runs, quick: bool) -> Section:
    """Train the network on each split, and show what it reads, and how.

    Without scikit-learn, which brings the digits, the section says how to get it.
    """
    splits, epochs = (QUICK_SPLITS, QUICK_EPOCHS) if quick else (SPLITS, EPOCHS)
    try:
        readers = [trained(split, epochs) for split in range(1, splits + 1)]
    except ImportError as error:
        return Section({"remedy": str(error)})
    shown = median(readers, key=lambda reader: reader.accuracy)
    by_hand = kernel.section(shown.images[:_IMAGES].astype(np.float64), _kernels(shown))
    text = {
        "quick": quick,
        "full": (SPLITS, EPOCHS),
        "splits": splits,
        "epochs": epochs,
        "batch": BATCH,
        "smoothing": SMOOTHING,
        "held_out": len(shown.labels),
        "trained_on": 1797 - len(shown.labels),
        "parameters": f"{sum(p.size for p in shown.model.parameters()):,}",
        "accuracies": [_percent(reader.accuracy) for reader in readers],
        "median": _percent(shown.accuracy),
        "lowest": _percent(min(reader.accuracy for reader in readers)),
        "highest": _percent(max(reader.accuracy for reader in readers)),
        "curves": [_losses(readers), _accuracies(readers)],
        "reading": [_confusion(shown), *_misread(readers)],
        "inside": [_filters(shown), _maps(shown), _saliency(shown)],
        "kernel": by_hand.shown,
    }
    return Section(text, _tables(readers, shown) | by_hand.tables)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}\N{NO-BREAK SPACE}%"


def _kernels(reader: Reader) -> Array:
    """Return the kernels of the first layer, shape (8, 1, 3, 3)."""
    return reader.model.state_dict()["0.weight"].astype(np.float64)


def _first_maps(reader: Reader) -> tuple[Array, Array]:
    """Return the first held-out image, and what the first layer and its ReLU make of it."""
    image = reader.images[:1]
    first, relu = list(reader.model.children())[:2]
    with tl.no_grad():
        maps: Array = relu(first(tl.Tensor(image))).data
    return image[0, 0], maps[0]


# ---- figures ------------------------------------------------------------------------------------


def _curves(ax: Axes, readers: Sequence[Reader], names: dict[str, str], **options: Any) -> None:
    from tinygrad_lab.viz import plot_learning_curves

    curves = {label: [reader.history[name] for reader in readers] for name, label in names.items()}
    epochs = np.arange(1, len(readers[0].history["loss"]) + 1)
    plot_learning_curves(curves, epochs=epochs, ax=ax, **options)


def _losses(readers: Sequence[Reader]) -> dict[str, str]:
    last = median(reader.history["val_loss"][-1] for reader in readers)
    floor = _smoothed_floor()

    def draw(ax: Axes) -> None:
        _curves(ax, readers, _LOSSES, log=False)
        ax.axhline(floor, color=ax.xaxis.label.get_color(), linewidth=0.8, linestyle=":")
        ax.annotate("lowest possible", (1, floor), va="bottom", fontsize="small")

    return panel(
        draw,
        name="convolution-losses",
        alt="Loss over epochs, in training and on the held-out digits",
        caption=(
            f"Both losses come down together: the held-out one to {last:.3f}. With labels smoothed "
            f"by {SMOOTHING} none can be below {floor:.3f}. In training dropout is on, which costs."
        ),
    )


def _smoothed_floor() -> float:
    """Return the cross-entropy of smoothed labels with themselves, for ten classes."""
    label = np.full(10, SMOOTHING / 10)
    label[0] += 1 - SMOOTHING
    return float(-np.sum(label * np.log(label)))


def _accuracies(readers: Sequence[Reader]) -> dict[str, str]:
    first = median(reader.history["val_accuracy"][0] for reader in readers)

    def draw(ax: Axes) -> None:
        _curves(ax, readers, _ACCURACIES, log=False, ylabel="share read right")
        ax.set_ylim(bottom=0.8, top=1.003)

    return panel(
        draw,
        name="convolution-accuracies",
        alt="Share of digits read right over epochs, in training and held out",
        caption=(
            f"After one epoch {100 * first:.0f}\N{NO-BREAK SPACE}% of the held-out digits are "
            "read right; what counts is the share after the last epoch, fixed beforehand."
        ),
    )


def _confusion(reader: Reader) -> dict[str, str]:
    from tinygrad_lab.viz import plot_confusion_matrix

    counts = tl.metrics.confusion_matrix(reader.read, reader.labels)
    wrong = len(reader.misread)
    return panel(
        lambda ax: plot_confusion_matrix(counts, ax=ax),
        name="convolution-confusion",
        alt="For each digit, how often it was taken for each digit",
        caption=(
            f"The split with the median accuracy: {wrong} of {len(reader.labels)} lie off the "
            "diagonal."
        ),
        size=(5.2, 5.0),
    )


def _misread(readers: Sequence[Reader]) -> Iterator[dict[str, str]]:
    """Draw the digits that were misread; nothing where none was."""
    rows = list(_misread_rows(readers))
    if not rows:
        return
    images = {reader.split: reader.images for reader in readers}
    drawn = rows[:_MOST_MISREAD]
    named = f"the first {len(drawn)} of {len(rows)}" if len(drawn) < len(rows) else "all of them"
    yield panel(
        lambda ax: _draw_misread(ax, images, drawn),
        name="convolution-misread",
        alt=f"{len(drawn)} digits that were misread, each with its label and what it was taken for",
        caption=(
            f"What was misread over {len(readers)} {'splits' if len(readers) > 1 else 'split'}, "
            f"{named}: the label, then what it was taken for. Many are hard for us too."
        ),
        size=(5.2, 5.0),
        bottom=0.1,
    )


def _misread_rows(readers: Sequence[Reader]) -> Iterator[tuple[int, int, int, int, float]]:
    for reader in readers:
        for index in reader.misread.tolist():
            label, read = int(reader.labels[index]), int(reader.read[index])
            yield reader.split, index, label, read, float(reader.probabilities[index, read])


def _draw_misread(ax: Axes, images: dict[int, Array], rows: Sequence[tuple[Any, ...]]) -> None:
    from tinygrad_lab.viz.plots.canvas import panels

    columns = max(4, int(np.ceil(np.sqrt(len(rows)))))
    places = panels(ax, max(len(rows), columns), columns=columns, gaps=(0.15, 0.4))
    for part in places[len(rows) :]:
        part.set_visible(False)
    for part, (split, index, label, read, _) in zip(places, rows, strict=False):
        part.imshow(images[split][index, 0], cmap="gray_r", interpolation="nearest")
        part.set(xticks=[], yticks=[])
        part.set_title(f"{label} → {read}", fontsize="medium", pad=3)


def _filters(reader: Reader) -> dict[str, str]:
    from tinygrad_lab.viz import plot_kernels

    weights = _kernels(reader)
    return panel(
        lambda ax: plot_kernels(weights, ax=ax, columns=4),
        name="convolution-kernels",
        alt="The eight kernels of the first layer",
        caption=(
            "The kernels of the first layer: blue is negative, orange positive. One with a blue "
            "and an orange side answers to an edge between light and dark."
        ),
        size=(4.6, 2.2),
        bottom=0.1,
    )


def _maps(reader: Reader) -> dict[str, str]:
    from tinygrad_lab.viz import plot_feature_maps

    _, maps = _first_maps(reader)
    silent = int(np.sum(maps.max(axis=(1, 2)) == 0))
    return panel(
        lambda ax: plot_feature_maps(maps, ax=ax, columns=4, colorbar=False),
        name="convolution-maps",
        alt=f"What the eight kernels make of one digit, a {reader.labels[0]}",
        caption=(
            f"What these kernels and the ReLU after them make of one held-out {reader.labels[0]}: "
            f"bright where a kernel fits. {silent} of {len(maps)} maps are silent."
        ),
        size=(4.6, 2.2),
        bottom=0.1,
    )


def _saliency(reader: Reader) -> dict[str, str]:
    from tinygrad_lab.viz import plot_saliency

    return panel(
        lambda ax: plot_saliency(reader.model, reader.images[0], ax=ax, colorbar=False),
        name="convolution-saliency",
        alt="One digit, and how much each of its pixels moves the score of the class it is read as",
        caption=(
            f"The same digit, read as a {reader.read[0]}, and how much each pixel moves that "
            "score: the size of the gradient by the pixel."
        ),
        size=(4.6, 2.2),
        bottom=0.1,
    )


# ---- data ---------------------------------------------------------------------------------------


def _tables(readers: Sequence[Reader], shown: Reader) -> dict[str, Table]:
    def over_epochs(names: dict[str, str]) -> Table:
        rows = [
            (reader.split, epoch, *numbers)
            for reader in readers
            for epoch, numbers in enumerate(
                zip(*(reader.history[name] for name in names), strict=True), start=1
            )
        ]
        return Table(("split", "epoch", *names.values()), rows)

    counts = tl.metrics.confusion_matrix(shown.read, shown.labels)
    image, maps = _first_maps(shown)
    x = tl.tensor(shown.images[:1], requires_grad=True)
    shown.model(x)[0, int(shown.read[0])].backward()
    tables = {
        "losses": over_epochs(_LOSSES),
        "accuracies": over_epochs(_ACCURACIES),
        "confusion": Table(("actual", "predicted", "count"), _by_index(counts)),
        "misread": Table(
            ("split", "number", "label", "read", "probability"), list(_misread_rows(readers))
        ),
        "kernels": Table(("kernel", "row", "column", "weight"), _by_index(_kernels(shown)[:, 0])),
        "maps": Table(("map", "row", "column", "value"), _by_index(maps)),
        "saliency": Table(
            ("row", "column", "pixel", "gradient"),
            [(*a, b) for a, (*_, b) in zip(_by_index(image), _by_index(x.grad[0, 0]), strict=True)],
        ),
    }
    return {f"convolution-{name}.csv": table for name, table in tables.items()}


def _by_index(array: Array) -> list[tuple[Any, ...]]:
    """List the elements of an array, each with its index before it."""
    return [(*index, value.item()) for index, value in np.ndenumerate(array)]
