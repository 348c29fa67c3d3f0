"""Parallel coordinates: an axis for each setting that was varied, a line for each that was run.

Not for its look (``templates/sweep.html.j2``) nor for moving about in it (``templates/sweep.js``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_lab.lab.sweeps.summary import Group, Varied, text_of

#: Height of the axes, and the distance of two, in the drawing's units.
HEIGHT, DISTANCE = 300.0, 150.0

#: Number axes over more than this factor are logarithmic.
WIDE = 10.0


# Numbers on an axis, at most.
_TICKS = 7


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: its name, its ticks from the bottom (0) to the top (1), and where a group is."""

    name: str
    ticks: Sequence[tuple[float, str]]
    place: Callable[[Group], float]
    text: Callable[[Group], str]


def drawing(groups: Sequence[Group], settings: Sequence[Varied]) -> dict[str, Any]:
    """Return what the template draws: axes with ticks, and lines with their places on each axis."""
    axes = [_setting_axis(setting, groups) for setting in settings]
    axes += [_accuracy_axis(), _loss_axis(groups)]
    lines = [
        {
            "places": [round(axis.place(group), 4) for axis in axes],
            "path": "M" + "L".join(_point(i, axis.place(group)) for i, axis in enumerate(axes)),
            "shade": round(100 * axes[-1].place(group)),
            "title": ", ".join(f"{axis.name} {axis.text(group)}" for axis in axes),
        }
        for group in reversed(groups)  # the best is drawn last, on top
    ]
    return {
        "axes": [
            {
                "name": axis.name,
                "x": index * DISTANCE,
                "ticks": [(round(_height(place), 1), label) for place, label in axis.ticks],
            }
            for index, axis in enumerate(axes)
        ],
        "lines": lines,
        "height": HEIGHT,
        "width": (len(axes) - 1) * DISTANCE,
    }


def _point(index: int, place: float) -> str:
    return f"{index * DISTANCE:g} {_height(place):.1f}"


def _height(place: float) -> float:
    return HEIGHT * (1 - place)


def _setting_axis(setting: Varied, groups: Sequence[Group]) -> Axis:
    name = setting.name

    def value(group: Group) -> Any:
        return group.rows[0][name]

    def text(group: Group) -> str:
        return text_of(name, value(group))

    if not setting.is_ranges:
        last = max(1, len(setting.values) - 1)
        ticks = [(i / last, label) for i, label in enumerate(setting.labels)]
        return Axis(name, ticks, lambda group: setting.values.index(value(group)) / last, text)
    numbers = [value(group) for group in groups]
    scale, ticks = _scale(min(numbers), max(numbers))
    return Axis(name, ticks, lambda group: scale(value(group)), text)


def _accuracy_axis() -> Axis:
    ticks = [(i / 4, f"{25 * i} %") for i in range(5)]
    return Axis("accuracy", ticks, lambda g: g.accuracy, lambda g: f"{100 * g.accuracy:.3g} %")


def _loss_axis(groups: Sequence[Group]) -> Axis:
    """The loss, logarithmic; settings that diverge are above the largest."""
    losses = [group.loss for group in groups if 0 < group.loss < math.inf] or [1.0]
    scale, ticks = _scale(min(losses), max(losses))
    top = 0.92 if any(math.isinf(group.loss) for group in groups) else 1.0
    ticks = [(top * place, label) for place, label in ticks]

    def place(group: Group) -> float:
        return 1.0 if math.isinf(group.loss) else top * min(1.0, max(0.0, scale(group.loss)))

    def text(group: Group) -> str:
        return f"{group.loss:.3g}" if math.isfinite(group.loss) else "diverged"

    return Axis("loss", [*ticks, (1.0, "diverged")] if top < 1 else ticks, place, text)


def _scale(low: float, high: float) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    """Return where a number is between two, logarithmically if they are far apart, and ticks."""
    of: Callable[[float], float] = float
    at = [low + (high - low) * i / 4 for i in range(5)]
    if low > 0 and high / low > WIDE:
        of = math.log10
        at = _round_numbers(low, high)
    start, length = of(low), of(high) - of(low) or 1.0
    at = at if len(at) > 1 else [low, high]
    places = [(of(x) - start) / length for x in at]
    return lambda x: (of(x) - start) / length, list(zip(places, _texts(at), strict=True))


def _texts(numbers: Sequence[float]) -> list[str]:
    """Write numbers with three digits, or with more where different ones would look the same."""
    for digits in range(3, 18):
        texts = [f"{number:.{digits}g}" for number in numbers]
        if len(set(texts)) == len(set(numbers)):
            break
    return texts


def _round_numbers(low: float, high: float) -> list[float]:
    """Return a few numbers for a logarithmic axis: 1, 2, 5, 10 and so on, or powers of 10."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        numbers = [digit * 10.0**power for power in powers for digit in digits]
        inside = [number for number in numbers if low * 0.999 <= number <= high * 1.001]
        if len(inside) <= _TICKS:
            return inside
    return inside[:: math.ceil(len(inside) / _TICKS)]
