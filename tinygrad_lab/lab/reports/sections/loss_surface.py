"""The report's section on the loss surface: around a trained network, and on the way there.

Not for the surface itself (``tl.viz.loss_surface``) nor for the layout
(``templates/loss-surface.html.j2``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab.lab.reports.measuring import median_run
from tinygrad_lab.lab.reports.sections.moments import moments
from tinygrad_lab.lab.reports.sections.panel import panel
from tinygrad_lab.lab.reports.study import Runs, Study
from tinygrad_lab.lab.reports.tables import Section, Table
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.training import Result, train_many
from tinygrad_lab.viz import LossSurface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESOLUTION, QUICK_RESOLUTION = 41, 21
ADAM_RATE = 0.01
QUICK_EPOCHS = 4000
STATES = 40  # of each path

_LAYOUT: dict[str, Any] = {"size": (5.4, 4.2), "left": 0.95}


def needs(studies: Sequence[Study]) -> list[Settings]:
    """Return the setting whose surface is drawn, report B's base on XOR; none if it is not run."""
    rows = [row for study in studies if study.key == "base" for row in study.rows]
    return [
        row.settings
        for row in rows
        if (row.report, row.label, row.settings.data) == ("B", "base", "xor")
    ]


def section(runs: Runs, quick: bool) -> Section | None:
    """Draw the loss around the median run, and on the plane of its path and Adam's from there.

    None where nothing was run.
    """
    if not runs:
        return None
    (results,) = runs.values()
    median = median_run(results)
    resolution = QUICK_RESOLUTION if quick else RESOLUTION
    settings = replace(median.settings, epochs=QUICK_EPOCHS) if quick else median.settings
    adam = replace(settings, optimizer="adam", lr=ADAM_RATE)
    trained = {
        "gradient descent": _with_path(settings, median.seed),
        "Adam": _with_path(adam, median.seed),
    }
    descent = trained["gradient descent"]
    around = surface(descent, {}, resolution)
    along = surface(descent, {name: _path(result) for name, result in trained.items()}, resolution)
    shown = {
        "seed": median.seed,
        "epochs": f"{settings.epochs:,}",
        "lr": f"{settings.lr:g}",
        "adam_lr": f"{ADAM_RATE:g}",
        "resolution": resolution,
        "weights": sum(w.size for w in descent.weights.values()),
        "figures": [_around(around), _along(along, trained), _curves(trained)],
    }
    tables = {
        "loss-surface-around.csv": _losses(around),
        "loss-surface-along.csv": _losses(along),
        "loss-surface-paths.csv": _paths(along, trained),
        "loss-surface-curves.csv": _curves_table(trained),
    }
    return Section(shown, tables)


def surface(
    result: Result, paths: dict[str, list[dict[str, np.ndarray]]], resolution: int
) -> LossSurface:
    """Return the loss around a trained network: in the plane of paths, or a random one."""
    model = result.model()
    x, y = tl.Tensor(result.x), result.y
    plane = {"path": paths} if paths else {"rng": 0}
    return tl.viz.loss_surface(
        model, lambda: tl.mse_loss(model(x), y), resolution=resolution, **plane
    )


def _with_path(settings: Settings, seed: int) -> Result:
    """Train again, and keep the weights at the moments that its own curve chooses."""
    (result,) = train_many(settings, [seed], snapshots=range(settings.epochs + 1))
    chosen = moments(result, STATES)
    return replace(result, snapshots={epoch: result.snapshots[epoch] for epoch in chosen})


def _path(result: Result) -> list[dict[str, np.ndarray]]:
    return [dict(state) for state in result.snapshots.values()]


# ---- figures ------------------------------------------------------------------------------------


def _around(around: LossSurface) -> dict[str, str]:
    middle = around.losses[len(around.v) // 2, len(around.u) // 2]
    return panel(
        lambda ax: around.plot(ax=ax),
        name="loss-surface-around",
        alt="The loss around the trained network, along two random directions",
        caption=(
            f"Around the trained network (★, loss {middle:.2g}), along two random directions with "
            "the length of its weights in each unit: the loss is up to "
            f"{np.max(around.losses):.2f} in the picture, and small in a narrow place."
        ),
        **_LAYOUT,
    )


def _along(along: LossSurface, trained: dict[str, Result]) -> dict[str, str]:
    ends = {name: f"{result.loss:.1g}" for name, result in trained.items()}
    first, second = (
        label.partition("(")[2].rstrip(")").replace(" ", "\N{NO-BREAK SPACE}")
        for label in along.labels
    )
    return panel(
        lambda ax: along.plot(ax=ax),
        name="loss-surface-along",
        alt="The loss on the plane of two paths of training, gradient descent's and Adam's",
        caption=(
            f"The plane in which both paths are seen best: it has {first} and {second} of their "
            "extent. From one start (■) gradient descent comes to a loss of "
            f"{ends['gradient descent']} and Adam to {ends['Adam']}, each by its own way."
        ),
        **_LAYOUT,
    )


def _curves(trained: dict[str, Result]) -> dict[str, str]:
    from tinygrad_lab.viz import plot_learning_curves

    reached = {name: result.epochs_to(0.01) for name, result in trained.items()}
    text = ", ".join(
        f"{name} {'never' if np.isinf(epoch) else f'at epoch {epoch:,.0f}'}"
        for name, epoch in reached.items()
    )

    def draw(ax: Axes) -> None:
        curves = {name: result.losses for name, result in trained.items()}
        plot_learning_curves(curves, epochs=next(iter(trained.values())).epochs, ax=ax)

    return panel(
        draw,
        name="loss-surface-curves",
        alt="Loss over epochs of gradient descent and of Adam",
        caption=f"The same two trainings over time. A loss under 0.01: {text}.",
        **_LAYOUT,
    )


# ---- data ---------------------------------------------------------------------------------------


def _losses(surface: LossSurface) -> Table:
    rows = [
        (f"{u:.6g}", f"{v:.6g}", f"{loss:.6g}")
        for v, losses in zip(surface.v, surface.losses, strict=True)
        for u, loss in zip(surface.u, losses, strict=True)
    ]
    return Table(("direction_1", "direction_2", "loss"), rows)


def _paths(surface: LossSurface, trained: dict[str, Result]) -> Table:
    rows = [
        (name, epoch, *(f"{place:.6g}" for place in point), f"{trained[name].loss_at(epoch):.6g}")
        for name, points in surface.paths.items()
        for epoch, point in zip(trained[name].snapshots, points, strict=True)
    ]
    return Table(("training", "epoch", "direction_1", "direction_2", "loss"), rows)


def _curves_table(trained: dict[str, Result]) -> Table:
    rows = [
        (name, int(epoch), f"{loss:.6g}")
        for name, result in trained.items()
        for epoch, loss in zip(result.epochs, result.losses, strict=True)
    ]
    return Table(("training", "epoch", "loss"), rows)
