"""How often a checker objects to gradients that are right.

Not for: ours on the whole catalogue (``whole.py``); here all are asked about the same inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.checkers.faults import FAULTS
from benchmarks.checkers.points import Specimen, carried, draw, special, specimen_of
from benchmarks.checkers.tools import HungError, Ours, Tool
from tinygrad_lab.testing import operations
from tinygrad_lab.testing.check import gradcheck
from tinygrad_lab.testing.inputs.calls import Call

__all__ = ["Alarms", "added", "distinct", "false_alarms"]


@dataclass
class Alarms:
    """How often a tool objects to gradients that are right: at ordinary inputs, and at kinks."""

    ordinary: int = 0
    ordinary_points: int = 0
    at_kinks: int = 0
    kink_points: int = 0
    hung: int = 0
    where: dict[str, int] = field(default_factory=dict)

    def add(self, other: Alarms) -> None:
        """Count what another has counted as well."""
        self.ordinary += other.ordinary
        self.ordinary_points += other.ordinary_points
        self.at_kinks += other.at_kinks
        self.kink_points += other.kink_points
        self.hung += other.hung
        for name, number in other.where.items():
            self.where[name] = self.where.get(name, 0) + number


def added(parts: Sequence[dict[str, Alarms]]) -> dict[str, Alarms]:
    """Add up what was counted for each tool."""
    total: dict[str, Alarms] = {}
    for part in parts:
        for name, alarms in part.items():
            total.setdefault(name, Alarms()).add(alarms)
    return total


def distinct(chosen: Sequence[int]) -> list[int]:
    """Choose of some faults, by index, one for each operation that other tools can be asked of."""
    indices: dict[Any, int] = {}
    for index in chosen:
        fault = FAULTS[index]
        specimen = None if carried(fault) else specimen_of(fault)
        if specimen is not None:
            indices.setdefault(specimen.name if specimen.has_special else specimen.op, index)
    return list(indices.values())


def false_alarms(index: int, seed: int, tools: Sequence[Tool], calls: int) -> dict[str, Alarms]:
    """Ask every tool about right gradients of what a fault would be planted in."""
    specimen = specimen_of(FAULTS[index])
    assert specimen is not None
    rng = np.random.default_rng(seed)
    ordinary = draw(specimen.smooth, calls, seed)
    kinks = [special(c, rng) for c in ordinary] if specimen.has_special else []
    alarms = {}
    for tool in tools:
        alarms[tool.name] = counted = Alarms()
        _count(tool, specimen, ordinary, seed, False, counted)
        _count(tool, specimen, [c for c in kinks if c], seed, True, counted)
    return alarms


def _count(
    tool: Tool, specimen: Specimen, calls: Sequence[Call], rng: int, kinks: bool, into: Alarms
) -> None:
    for call in calls:
        try:
            alarmed = (
                _alarmed_at_a_kink(call, rng)
                if kinks and isinstance(tool, Ours)
                else bool(tool.alarm(call, rng))
            )
        except HungError:
            into.hung += 1
            continue
        if kinks:
            into.kink_points, into.at_kinks = into.kink_points + 1, into.at_kinks + alarmed
        else:
            into.ordinary_points += 1
            into.ordinary += alarmed
        if alarmed:
            into.where[specimen.name] = into.where.get(specimen.name, 0) + 1


def _alarmed_at_a_kink(call: Call, rng: int) -> bool:
    """Ask ours as ``check_op`` does at kinks."""
    names = operations.AT_KINKS
    report = gradcheck(call.f, *call.arrays, rng=rng, raises=False, properties=names, name="f")
    return bool(report.findings)
