"""The report's section on dead ReLU: why runs stick at a loss of 10/21, and what helps.

A unit is dead where it is 0 for every point, and a network where its last unit is: then it answers
0 to everything, and no gradient comes through.

Not for the layout (``templates/dead-relu.html.j2``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.lab.reports.graphs import drawn
from tinygrad_lab.lab.reports.measuring import median_run
from tinygrad_lab.lab.reports.sections.panel import panel
from tinygrad_lab.lab.reports.study import Results, Runs, Study
from tinygrad_lab.lab.reports.tables import Section, Table
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.training import Result, prepare, train_many

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Flags = NDArray[np.bool_]

SEEDS, EPOCHS = 100, 1000
QUICK_SEEDS, QUICK_EPOCHS = 20, 300

_RATES = (1e-4, 1e-3, 1e-2, 1e-1)
_POINTS = 20  # of the curves over epochs

#: What may help, and what it changes in the setting of report B.
CURES: dict[str, dict[str, Any]] = {
    "as report B": {},
    "a smaller rate, 1e-4": {"lr": 1e-4},
    "He's initialisation": {"init": "kaiming_normal"},
    "biases": {"bias": True},
    "leaky ReLU, slope 0.01": {"activation": "leaky_relu"},
    "a sigmoid as the last unit": {"output_activation": "sigmoid"},
}


def needs(studies: Sequence[Study]) -> list[Settings]:
    """Return the setting that sticks, report B's ReLU on XOR; none where it is not run."""
    rows = [row for study in studies if study.key == "relu" for row in study.rows]
    return [row.settings for row in rows if row.report == "B" and row.settings.data == "xor"]


def section(runs: Runs, quick: bool) -> Section | None:
    """Take a run that is stuck apart, and count what dies when; None where nothing was run."""
    if not runs:
        return None
    (settings, results), *_ = runs.items()
    seeds, epochs = (QUICK_SEEDS, QUICK_EPOCHS) if quick else (SEEDS, EPOCHS)
    moments = _moments(epochs)
    base = replace(settings, epochs=epochs)

    @cache
    def run(changed: Settings) -> list[Result]:
        return train_many(changed, range(seeds), snapshots=moments)

    deaths = {rate: Deaths.of(run(replace(base, lr=rate))) for rate in _RATES}
    cures = [_cure(label, run(replace(base, **change))) for label, change in CURES.items()]
    stuck = [result for result in results if answers_zero(result)]
    alive = [result for result in results if not answers_zero(result)]
    born = [result for result in stuck if _answers_zero_untrained(result)]
    shown = {
        "runs": len(results),
        "stuck": len(stuck),
        "born": len(born),
        "epochs": f"{settings.epochs:,}",
        "lr": f"{settings.lr:g}",
        "seeds": seeds,
        "shorter": f"{epochs:,}",
        "graphs": [_graph(result, title) for title, result in _two(born or stuck, alive) if result],
        "figures": [_dying(deaths, moments), _units(deaths, moments)],
        "cures": cures,
    }
    return Section(shown, _tables(deaths, moments, cures))


def answers_zero(result: Result) -> bool:
    """Whether a trained network answers 0 to every point."""
    return not result.prediction.any()


def _answers_zero_untrained(result: Result) -> bool:
    data, model = prepare(result.settings, result.seed)
    return not model(data.x).any()


def _moments(epochs: int) -> list[int]:
    """Return epochs from 0 to the last, ever farther apart."""
    return [0, *np.unique(np.geomspace(1, epochs, _POINTS - 1).round().astype(int)).tolist()]


@dataclass(frozen=True, slots=True)
class Deaths:
    """Which units of which run are dead when, shape (moments, runs, units); the last unit last."""

    units: Flags

    @classmethod
    def of(cls, results: Results) -> Deaths:
        """Look at the snapshots of networks of ReLU without biases."""
        return cls(np.stack([_dead_units(results, epoch) for epoch in results[0].snapshots]))

    @property
    def networks(self) -> Flags:
        """Which networks are dead, shape (moments, runs)."""
        return self.units[..., -1]

    def groups(self) -> dict[str, Flags]:
        """Part the runs by their fate, each a mask of shape (runs,)."""
        first, last = self.networks[0], self.networks[-1]
        return {"born dead": first, "killed": last & ~first, "alive": ~last}


def _dead_units(results: Results, epoch: int) -> Flags:
    """Return which units are 0 for every point, shape (runs, units)."""
    states = [result.snapshots[epoch] for result in results]
    a: Any = results[0].x
    dead = []
    for name in states[0]:
        weight = np.stack([state[name] for state in states])
        a = np.maximum(a @ np.swapaxes(weight, -1, -2), 0.0)
        dead.append((a == 0).all(axis=-2))
    return np.concatenate(dead, axis=-1)


# ---- what helps ---------------------------------------------------------------------------------


def _cure(label: str, results: Results) -> dict[str, Any]:
    start = sum(not result.predict(result.x, 0).any() for result in results)
    end = sum(map(answers_zero, results))
    return {
        "label": label,
        "start": start,
        "end": end,
        "solved": sum(result.accuracy == 1.0 for result in results),
        "loss": f"{median_run(results).loss:.3f}",
    }


# ---- two runs -----------------------------------------------------------------------------------


def _two(stuck: Results, alive: Results) -> list[tuple[str, Result | None]]:
    """Choose the first run that is stuck, and of the others the one with the median loss."""
    return [
        ("Stuck", stuck[0] if stuck else None),
        ("Alive", median_run(alive) if alive else None),
    ]


def _graph(result: Result, title: str) -> dict[str, Any]:
    last = list(result.weights.values())[-1]
    return {
        "title": title,
        "seed": result.seed,
        "loss": f"{result.loss:.5f}",
        "weights": ", ".join(f"{weight:.2f}" for weight in last.ravel()),
        "all_negative": bool((last < 0).all()),
        "graph": drawn(result.model(), result.x, result.y),
    }


# ---- figures ------------------------------------------------------------------------------------


def _dying(deaths: dict[float, Deaths], moments: Sequence[int]) -> dict[str, str]:
    shares = {rate: each.networks.mean(axis=1) for rate, each in deaths.items()}
    start, end = shares[_RATES[-1]][[0, -1]]

    def draw(ax: Axes) -> None:
        _over_epochs(ax, {f"rate {rate:g}": share for rate, share in shares.items()}, moments)
        ax.set_ylabel("share of networks dead")

    return panel(
        draw,
        name="dead-relu-networks",
        alt="Share of networks that answer 0 to everything, over epochs, at four learning rates",
        caption=(
            f"{100 * start:.0f}\N{NO-BREAK SPACE}% of the networks are dead before their first "
            f"step, at every rate: they were drawn so. At rate {_RATES[-1]:g} steps kill others, "
            f"up to {100 * end:.0f}\N{NO-BREAK SPACE}%; at small rates hardly any die in training."
        ),
    )


def _units(deaths: dict[float, Deaths], moments: Sequence[int]) -> dict[str, str]:
    rate = _RATES[-1]
    each = deaths[rate]
    groups = {name: members for name, members in each.groups().items() if members.any()}
    shares = {
        f"{name} ({members.sum()} runs)": each.units[:, members].mean(axis=(1, 2))
        for name, members in groups.items()
    }
    killed = groups.get("killed")
    text = ""
    if killed is not None:
        half = moments[int(np.argmax(each.networks[:, killed].mean(axis=1) >= 0.5))]
        text = f" Half of the killed networks are dead by epoch {half:,}."

    def draw(ax: Axes) -> None:
        _over_epochs(ax, shares, moments)
        ax.set_ylabel("share of units dead")

    return panel(
        draw,
        name="dead-relu-units",
        alt="Share of dead units over epochs, of networks born dead, killed in training, and alive",
        caption=(
            f"Units that are 0 for all points, of {each.units.shape[-1]}, at rate {rate:g}. In a "
            f"network that is dead nothing moves any more, so its line stays where it is.{text}"
        ),
    )


def _over_epochs(ax: Axes, shares: dict[str, Any], moments: Sequence[int]) -> None:
    from tinygrad_lab.viz import plot_learning_curves

    plot_learning_curves(shares, epochs=moments, log=False, ax=ax)
    for line, marker in zip(ax.lines, "osv^", strict=False):
        line.set(marker=marker, markersize=4)
    ax.set_xscale("symlog", linthresh=1)
    ax.set_xlim(left=-0.1)
    ax.set_ylim(-0.02, 1.02)


# ---- data ---------------------------------------------------------------------------------------


def _tables(
    deaths: dict[float, Deaths], moments: Sequence[int], cures: Sequence[dict[str, Any]]
) -> dict[str, Table]:
    networks = [
        (rate, epoch, int(dead.sum()), dead.size)
        for rate, each in deaths.items()
        for epoch, dead in zip(moments, each.networks, strict=True)
    ]
    each = deaths[_RATES[-1]]
    units = [
        (name, epoch, int(dead[members].sum()), dead[members].size)
        for name, members in each.groups().items()
        for epoch, dead in zip(moments, each.units, strict=True)
    ]
    return {
        "dead-relu-networks.csv": Table(("rate", "epoch", "dead", "networks"), networks),
        "dead-relu-units.csv": Table(("fate", "epoch", "dead", "units"), units),
        "dead-relu-cures.csv": Table(
            ("setting", "dead_untrained", "dead_trained", "at_100_percent", "median_loss"),
            [tuple(cure.values()) for cure in cures],
        ),
    }
