"""The report's section on hand-written back-propagation: what the checker says about report A's.

All that the page says about a mistake comes from what the checks return when the report is made.
Where they detect nothing, the section says so.

Not for: the code that is checked (``by_hand.py``), checking (``tinygrad_lab.testing``), or the
layout (``templates/by-hand.html.j2``).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab import testing as tgt
from tinygrad_lab.lab.pages.figures import svg
from tinygrad_lab.lab.reports import by_hand
from tinygrad_lab.lab.reports.study import Runs
from tinygrad_lab.lab.reports.tables import Section, Table
from tinygrad_lab.lab.reports.verdicts import code, line_named, new_lines, outcome
from tinygrad_lab.testing.descent import RATES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The training run at whose end the gradients are checked.  Before training the outputs hardly
# differ between samples, and the missing factor would look like a constant.
SEED, EPOCHS = 3, 100
STEPS = 4  # of an update, at each rate

NAMES = tuple(inspect.signature(by_hand.loss).parameters)

Arrays = Sequence[by_hand.Array]


def section(_runs: Runs = MappingProxyType({}), _quick: bool = False) -> Section:
    """Check report A's gradients and its update, as reported and mended.

    Returns
    -------
    Section
        The same each time.

    Examples
    --------
    >>> shown = section().shown
    >>> shown["gradients"]["reported"]["verdict"], shown["gradients"]["mended"]["verdict"]
    ('fail', 'pass')
    """
    parameters = by_hand.midway(SEED, EPOCHS)
    gradients, elements = _gradients(parameters), _elements(parameters)
    momentum, descents = _momentum(parameters), _descents(parameters)
    shown = {
        "sizes": "-".join(map(str, by_hand.SIZES)),
        "seed": SEED,
        "epochs": EPOCHS,
        "steps": STEPS,
        "gradients": gradients | {"elements": [_element(row) for row in elements]},
        "momentum": momentum | {"rates": _rates(descents), "figure": _figure(descents)},
    }
    header = ("parameter", "row", "column", "by_hand", "numeric", "uncertainty", "ratio")
    tables = {
        "by-hand-gradients.csv": Table(header, elements),
        "by-hand-update.csv": Table(("update", "rate", "step", "loss", "change"), descents),
    }
    return Section(shown, tables)


# ---- the gradients ------------------------------------------------------------------------------


def _gradients(parameters: Arrays) -> dict[str, Any]:
    derived, mended = by_hand.gradients_as_derived, by_hand.gradients
    reported = outcome(lambda: _check_gradients(derived, parameters))
    line = line_named(reported["site"], by_hand)
    return {
        "reported": reported,
        "line": line,
        "code": [code(by_hand.loss), code(derived, line), code(by_hand.by_parameters)],
        "mended": outcome(lambda: _check_gradients(mended, parameters)),
        "new": new_lines(mended, derived),
    }


def _check_gradients(
    gradients: Callable[..., Any], parameters: Arrays, **options: Any
) -> tgt.GradReport:
    return tgt.gradcheck(tgt.adapters.numpy(by_hand.loss, grad=gradients), *parameters, **options)


def _elements(parameters: Arrays) -> list[Sequence[Any]]:
    """Return for each parameter with a wrong gradient the element that is most wrong."""
    derived = by_hand.gradients_as_derived
    rows: list[Sequence[Any]] = []
    for position, name in enumerate(NAMES):
        report = _check_gradients(
            derived, parameters, wrt=position, properties="directional", raises=False
        )
        for finding in report.findings:
            index, analytic, numeric = finding.index, finding.analytic, finding.numeric
            if index is None or analytic is None or numeric is None:
                continue
            ratio = analytic / numeric.value if numeric.value else np.nan
            rows.append((name, *index, analytic, numeric.value, numeric.error, ratio))
    return rows


def _element(row: Sequence[Any]) -> dict[str, str]:
    name, i, j, analytic, numeric, error, ratio = row
    return {
        "place": f"{name}[{i}, {j}]",
        "by_hand": f"{analytic:.6g}",
        "numeric": f"{numeric:.6g} ± {error:.0e}",
        "ratio": f"{ratio:.2f}",
    }


# ---- the update ---------------------------------------------------------------------------------

# Named by what happens to the velocity.
_UPDATES = {"subtracted": by_hand.momentum, "added": by_hand.momentum_as_reported}


def _momentum(parameters: Arrays) -> dict[str, Any]:
    reported, mended = by_hand.momentum_as_reported, by_hand.momentum
    return {
        "reported": outcome(lambda: _check_descent(reported, parameters)),
        "code": [code(reported), code(by_hand.gathered)],
        "mended": outcome(lambda: _check_descent(mended, parameters)),
        "new": new_lines(mended, reported),
    }


def _check_descent(begin: Callable[[], by_hand.Update], parameters: Arrays) -> tgt.GradReport:
    return tgt.check_descent(by_hand.loss, begin, *parameters, steps=STEPS)


def _descents(parameters: Arrays) -> list[Sequence[Any]]:
    """Take the steps of the check, at each of its rates, with both updates."""
    rows: list[Sequence[Any]] = []
    for name, begin in _UPDATES.items():
        for rate in RATES:
            losses = _losses(begin(), parameters, rate)
            changes = [None, *np.diff(losses).tolist()]
            steps = zip(range(STEPS + 1), losses, changes, strict=True)
            rows += [(name, rate, *step) for step in steps]
    return rows


def _losses(update: by_hand.Update, parameters: Arrays, rate: float) -> list[float]:
    losses = [float(by_hand.loss(*parameters))]
    for _ in range(STEPS):
        parameters = update(parameters, by_hand.gradients(*parameters), rate)
        losses.append(float(by_hand.loss(*parameters)))
    return losses


def _rates(descents: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Lay out how report A's update changes the loss, a row for each rate."""
    changes: dict[float, list[str]] = {}
    for name, rate, _, _, change in descents:
        if name == "added" and change is not None:
            changes.setdefault(rate, []).append(f"{change:+.2e}")
    return [{"rate": f"{rate:.2e}", "changes": row} for rate, row in changes.items()]


def _figure(descents: Sequence[Sequence[Any]]) -> str:
    return svg(
        lambda ax: _draw(ax, descents),
        name="by-hand-update",
        description=(
            f"Change of the loss over {STEPS} steps, divided by the learning rate, at ever smaller "
            "rates: with the velocity added, and with the velocity subtracted"
        ),
    )


def _draw(ax: Axes, descents: Sequence[Sequence[Any]]) -> None:
    from tinygrad_lab.viz import plot_learning_curves

    slopes = {
        f"velocity {name}": [
            sum(row[4] for row in descents if row[:2] == (name, rate) and row[4] is not None) / rate
            for rate in RATES
        ]
        for name in _UPDATES
    }
    plot_learning_curves(slopes, epochs=RATES, log=False, ax=ax, ylabel="change of the loss ÷ rate")
    for line, marker in zip(ax.lines, "v^", strict=True):
        line.set_marker(marker)
    ax.axhline(0.0, color=ax.xaxis.label.get_color(), linewidth=0.8)
    ax.set_xscale("log")
    ax.margins(x=0.04)
    ax.invert_xaxis()  # ever smaller rates, as in the text
    ax.set_xlabel("learning rate")
    ax.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    ax.legend(frameon=False, handlelength=3.0, loc="center", bbox_to_anchor=(0.5, 0.72))
