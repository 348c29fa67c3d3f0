"""The page of a sweep: one file with every setting that was run, what matters, and the best.

Not for the numbers (``summary.py``), the large drawing (``parallel.py``) or the look
(``templates/sweep.html.j2``).
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.files import write_file
from tinygrad_lab.lab.pages import render
from tinygrad_lab.lab.pages.figures import svg
from tinygrad_lab.lab.sweeps import parallel
from tinygrad_lab.lab.sweeps.errors import StoreError
from tinygrad_lab.lab.sweeps.status import Row, Status, command_of_row, reading, status_of
from tinygrad_lab.lab.sweeps.summary import (
    Group,
    Varied,
    by_settings,
    cells,
    text_of,
    varied,
)
from tinygrad_lab.lab.sweeps.trial import DONE, FAILED
from tinygrad_lab.viz.plots.runs import median

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More than a page shows well: lines, points of a small figure, rows of a table, pairs of settings.
_LINES, _POINTS, _ROWS, _PAIRS = 500, 1500, 20, 6

# Numbers are told apart as words are, up to so many.
_FEW = 5


def write_page(store: str | os.PathLike[str], page: str | os.PathLike[str]) -> Path:
    r"""Write a page about what is in a store, which may be in use.

    Parameters
    ----------
    store
        The database.
    page
        The file to write, in one step.

    Raises
    ------
    StoreError
        There is no such store, or no trial in it that is done.
    OSError
        The page cannot be written.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from tinygrad_lab.lab.sweeps import Store, parse_plan, run_sweep
    >>> plan = parse_plan("settings.epochs = 5\ngrid.lr = [0.1, 1]")
    >>> with Store("d.sqlite") as store, ThreadPoolExecutor(1) as threads:
    ...     status = run_sweep(plan, store, executor=threads)
    >>> write_page("d.sqlite", "d.html").name
    'd.html'
    """
    store = Path(store)
    status = status_of(store)
    with reading(store) as connection:
        done = _rows(connection, f"status = '{DONE}' order by final_loss, trial")
        failed = _rows(connection, f"status = '{FAILED}' order by trial")
        plan = connection.execute("select plan from runs order by run desc limit 1").fetchone()
    if not done:
        raise StoreError(f"{store} has no trial yet that is done, and so nothing to show")
    text = _text(store.name, status, done, failed, plan[0] if plan else "")
    return write_file(page, text.encode())


def _rows(connection: Any, which: str) -> list[Row]:
    return [dict(row) for row in connection.execute(f"select * from trials where {which}")]


def _text(name: str, status: Status, done: list[Row], failed: list[Row], plan: str) -> str:
    groups, settings = by_settings(done), varied(done)
    shown = groups[:: math.ceil(len(groups) / _LINES)]
    pairs = itertools.combinations(settings, 2)
    contents = {
        "all": ("All settings at once", settings),
        "matters": ("What matters", settings),
        "pairs": ("Two settings together", settings[1:]),
        "best": ("The best settings", groups),
        "failed": ("Failed trials", failed),
        "plan": ("The plan", plan),
    }
    return render(
        __package__,
        "sweep.html.j2",
        title=f"Sweep: {name}",
        name=name,
        contents={key: title for key, (title, shown) in contents.items() if shown},
        status=status,
        done=len(done),
        groups=len(groups),
        diverged=sum(row["diverged_at"] is not None for row in done),
        seconds=sum(row["seconds"] for row in done),
        drawing=parallel.drawing(shown, settings) if settings else None,
        settings=[_setting(setting, done) for setting in settings],
        pairs=[_pair(done, *pair) for pair in itertools.islice(pairs, _PAIRS)],
        smallest=_loss(groups[0].loss, digits=2),
        best=[_best(group, settings) for group in groups[:_ROWS]],
        failed=[_failure(row) for row in failed[:_ROWS]],
        failures=len(failed),
        plan=plan.strip(),
        versions=" and ".join(sorted({row["version"] for row in done})),
    )


def _best(group: Group, settings: Sequence[Varied]) -> dict[str, Any]:
    """A row of the table: what was varied, what came of it, and the command for its best run."""
    best = group.rows[0]
    low, high = best["final_loss"], group.rows[-1]["final_loss"]
    return {
        "values": [(s.name, text_of(s.name, best[s.name])) for s in settings],
        "loss": _loss(group.loss),
        "range": f"{_loss(low)} to {_loss(high)}" if len(group.rows) > 1 else "",
        "accuracy": f"{100 * group.accuracy:.4g} %",
        "perfect": f"{group.perfect} of {len(group.rows)}",
        "diverged": group.diverged,
        "command": command_of_row(best),
    }


def _failure(row: Row) -> dict[str, str]:
    traceback = row["traceback"].strip()
    return {
        "command": command_of_row(row),
        "reason": traceback.rpartition("\n")[2],
        "traceback": traceback,
    }


def _loss(value: float, digits: int = 3) -> str:
    """Return a loss in few characters: 3.21e-5."""
    return f"{value:.{digits}g}".replace("e-0", "e-") if math.isfinite(value) else "diverged"


# ---- figures ------------------------------------------------------------------------------------


def _setting(setting: Varied, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "name": setting.name,
        "matters": f"{setting.matters:.0%}",
        "svg": svg(
            partial(_draw_setting, setting=setting, rows=rows),
            name=f"setting-{setting.name}",
            description=f"Final loss against {setting.name}, a point a run",
            size=(3.9, 3.0),
            bottom=0.75,
        ),
    }


def _draw_setting(ax: Axes, setting: Varied, rows: Sequence[Row]) -> None:
    """Draw the loss of every run over a setting, and the median for each of its values."""
    from matplotlib.ticker import LogLocator, NullFormatter

    from tinygrad_lab.viz.plots.canvas import COLOURS

    groups: dict[int, list[Row]] = {}
    for row in sorted(rows, key=setting.index):
        groups.setdefault(setting.index(row), []).append(row)
    medians = np.array([median(row["final_loss"] for row in group) for group in groups.values()])
    medians[np.isinf(medians)] = np.nan
    finite = [r for r in rows[:: math.ceil(len(rows) / _POINTS)] if math.isfinite(r["final_loss"])]
    losses = np.array([row["final_loss"] for row in finite])
    if setting.is_number and len(setting.labels) > _FEW:
        x = np.array([float(row[setting.name]) for row in finite])
        at = [np.median([row[setting.name] for row in group]) for group in groups.values()]
        if min(setting.values) > 0 and max(setting.values) / min(setting.values) > parallel.WIDE:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=7))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter(NullFormatter())
        ax.plot(at, medians, color=COLOURS[1], marker="D", markersize=4, zorder=3)
    else:
        places = np.array([setting.index(row) for row in finite], dtype=np.int64)
        x = places + np.random.default_rng(0).uniform(-0.22, 0.22, len(finite))
        ends = np.array(list(groups)) + np.array([[-0.3], [0.3]])
        ax.hlines(medians, ends[0], ends[1], COLOURS[1], zorder=3)
        ax.set_xticks(range(len(setting.labels)), setting.labels)
        if len("".join(setting.labels)) > 18:  # they would run into each other
            ax.tick_params("x", labelrotation=15)
        ax.set_xlim(-0.5, len(setting.labels) - 0.5)
    ax.scatter(x, losses, s=9, alpha=0.6, color=COLOURS[5], linewidths=0)
    if losses.size and 0 < losses.min() * parallel.WIDE < losses.max():
        ax.set_yscale("log")  # over less its ticks would have too many digits for the margin
    else:
        ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(setting.name)
    ax.set_ylabel("final loss")


def _pair(rows: Sequence[Row], one: Varied, other: Varied) -> dict[str, Any]:
    down, across = sorted((one, other), key=lambda setting: len(setting.labels))
    table = cells(rows, down, across)
    width = max(0.8, 0.1 * max(map(len, across.labels)))
    left = 0.55 + 0.085 * max(map(len, down.labels))
    inches = left + max(3.5, 0.5 + width * len(across.labels))
    return {
        "inches": inches,
        "title": f"{down.name} and {across.name}",
        "svg": svg(
            partial(_draw_pair, table=table, down=down, across=across),
            name=f"pair-{down.name}-{across.name}",
            description=f"Median final loss for each {down.name} and {across.name}",
            size=(inches, 1.1 + 0.45 * len(down.labels)),
            bottom=0.6,
            left=left,
        ),
    }


def _draw_pair(ax: Axes, table: Any, down: Varied, across: Varied) -> None:
    from tinygrad_lab.viz import plot_sweep_heatmap

    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.log10(table)
    plot_sweep_heatmap(
        powers,
        rows=down.labels,
        columns=across.labels,
        row_name=down.name,
        column_name=across.name,
        ax=ax,
        fmt=".2f",
        colorbar=False,
    )
