"""Measure the parts that are asked for, over several processes.

Not for: what a part is (``planted.py``, ``alarms.py``, ``whole.py``, ``slips.py``).
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from benchmarks.checkers import alarms, planted, slips, whole
from benchmarks.checkers.faults import FAULTS
from benchmarks.checkers.primitives import CASES
from benchmarks.checkers.spread import spread
from benchmarks.checkers.table import Table
from benchmarks.checkers.tools import TOOLS, Tool, is_installed, version

__all__ = ["PARTS", "measure"]

PARTS = ("faults", "alarms", "catalogue", "slips")


def measure(
    parts: Collection[str] = PARTS,
    *,
    seeds: int = 20,
    examples: int = 100,
    calls: int = 3,
    chosen: Sequence[int] | None = None,
    operations: Sequence[int] | None = None,
    tools: Sequence[Tool] = TOOLS,
    workers: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> Table:
    """Measure checkers.

    Parameters
    ----------
    parts : collection of str
        Of ``PARTS``: which faults are noticed; false alarms of all tools; ours on the whole
        catalogue; ours on slips of one in a million.
    seeds : int
        For false alarms, of all tools and of ours on the whole catalogue.
    examples : int
        Of our strategy.
    calls : int
        Ordinary inputs for each seed and operation, for the false alarms of all tools.
    chosen, operations : sequence of int, optional
        Of ``FAULTS`` and of the catalogue, by index; by default all.
    tools : sequence of Tool
        Those that are not installed are listed as such.
    workers : int
        Processes.
    progress : callable
        Called with a line of text for each step.

    Returns
    -------
    Table
        As far as it came, where it was stopped by Ctrl-C.

    Examples
    --------
    >>> from benchmarks.checkers.tools import Ours
    >>> table = measure(["faults"], examples=5, chosen=[0], tools=[Ours()])
    >>> table.rows[0].caught["ours"]["strategy"]
    True
    """
    faults = list(range(len(FAULTS)) if chosen is None else chosen)
    ops = list(range(len(CASES)) if operations is None else operations)
    installed = [tool for tool in tools if is_installed(tool)]
    table = Table()
    if {"faults", "alarms"} & set(parts):
        table.tools = {t.name: {"setting": t.setting, "version": version(t)} for t in tools}

    def faults_part() -> dict[str, Any]:
        jobs = [(i, installed, examples) for i in faults]
        table.rows, complete = spread(planted.look_for, jobs, workers, progress)
        return {"faults": len(faults), "examples": examples, "complete": complete}

    def alarms_part() -> dict[str, Any]:
        specimens = alarms.distinct(faults)
        jobs = [(i, seed, installed, calls) for seed in range(seeds) for i in specimens]
        parts, complete = spread(alarms.false_alarms, jobs, workers, progress)
        table.alarms = alarms.added(parts)
        settings = {"operations": len(specimens), "seeds": seeds, "inputs a seed": calls}
        return {**settings, "complete": complete}

    def catalogue_part() -> dict[str, Any]:
        specimens = whole.hand_written(faults)
        table.catalogue = whole.sweep(ops, specimens, seeds, examples, workers, progress)
        return {"seeds": seeds, "examples": examples, "complete": table.catalogue.complete}

    def slips_part() -> dict[str, Any]:
        places = [place for place in slips.places() if place[0] in ops]
        table.slips = slips.slips(places, examples, workers, progress)
        return {"examples": examples, "complete": table.slips.complete}

    each = zip(PARTS, (faults_part, alarms_part, catalogue_part, slips_part), strict=True)
    for part, run in each:
        if part not in parts:
            continue
        progress(f"{part} ...")
        begin = time.perf_counter()
        settings = run()
        complete = settings.pop("complete")
        seconds = round(time.perf_counter() - begin)
        table.settings[part] = {**settings, "workers": workers, "seconds": seconds, **_versions()}
        if not complete:
            table.settings[part]["stopped"] = True
            break
    return table


def _versions() -> dict[str, str]:
    return {"Python": platform.python_version(), "NumPy": np.__version__}
