"""Ours on everything that is right: every operation of the catalogue, and every hand-written one.

Not for: other checkers (``alarms.py``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.checkers.faults import FAULTS
from benchmarks.checkers.primitives import CASES, name_of
from benchmarks.checkers.spread import spread
from tinygrad_lab.testing.inputs.calls import Call
from tinygrad_lab.testing.judging.judgement import INCONCLUSIVE
from tinygrad_lab.testing.operations import check_op
from tinygrad_lab.testing.telling.finding import GradientError, GradReport

__all__ = ["Alarm", "Undecided", "Whole", "hand_written", "look_at", "sweep"]


@dataclass
class Alarm:
    """One objection to a gradient that is right; or the checker itself broke down."""

    operation: str
    seed: int
    message: str


@dataclass
class Undecided:
    """Which properties could not be decided of an operation, and in how many runs."""

    runs: int = 0
    properties: list[str] = field(default_factory=list)


@dataclass
class Whole:
    """What ``check_op`` says of operations that are right.

    Attributes
    ----------
    operations, specimens : int
        How many there are in the catalogue, and hand-written ones of ``faults.py``.
    seeds, runs, checks : int
        Runs of ``check_op``, and of ``gradcheck`` in them.
    undecided_checks : int
        Those of ``gradcheck`` that were inconclusive; at kinks ``check_op`` leaves that out.
    seconds : float
        Of all processes together.
    alarms : list of Alarm
    undecided : dict of str to Undecided
        The operations of which ``check_op`` was inconclusive.
    complete : bool
        Whether it was not stopped.
    """

    operations: int = 0
    specimens: int = 0
    seeds: int = 0
    runs: int = 0
    checks: int = 0
    undecided_checks: int = 0
    seconds: float = 0.0
    alarms: list[Alarm] = field(default_factory=list)
    undecided: dict[str, Undecided] = field(default_factory=dict)
    complete: bool = True


@dataclass
class _Run:
    operation: str
    seed: int
    checks: int = 0
    seconds: float = 0.0
    alarm: str = ""
    undecided_checks: int = 0
    properties: list[str] = field(default_factory=list)


def sweep(
    operations: Sequence[int],
    specimens: Sequence[int],
    seeds: int,
    examples: int,
    workers: int,
    progress: Callable[[str], None],
) -> Whole:
    """Run ``check_op`` on everything, for a number of seeds.

    Operations are given by their index in the catalogue, specimens by that in ``FAULTS``.
    """
    everything = [(False, i) for i in operations] + [(True, i) for i in specimens]
    # Stopped early, it has looked at each operation rather than at some of them often.
    jobs = [(*which, seed, examples) for seed in range(seeds) for which in everything]
    runs, complete = spread(look_at, jobs, workers, progress)
    whole = Whole(len(operations), len(specimens), seeds, complete=complete)
    for run in runs:
        _add(whole, run)
    return whole


def hand_written(chosen: Sequence[int]) -> list[int]:
    """Choose of some faults, by index, one for each specimen that the catalogue does not have."""
    indices: dict[tuple[str, int], int] = {}
    for i in chosen:
        fault = FAULTS[i]
        if fault.inputs is not None or fault.look is not None or fault.op not in CASES:
            indices.setdefault((_name(i), id(fault.inputs)), i)
    return list(indices.values())


def _name(index: int) -> str:
    fault = FAULTS[index]
    return fault.name if fault.op is None else name_of(fault.op)


def look_at(is_specimen: bool, index: int, seed: int, examples: int) -> _Run:
    """Check one operation once, in whatever process."""
    op = None if is_specimen else list(CASES)[index]
    run = _Run(_name(index) if is_specimen else name_of(op), seed)

    def watch(_call: Call, report: GradReport) -> None:
        run.checks += 1
        run.undecided_checks += report.verdict == INCONCLUSIVE

    begin = time.perf_counter()
    try:
        if is_specimen:
            report = FAULTS[index].check(examples, seed, watch)
        else:
            report = check_op(op, examples=examples, rng=seed, watch=watch)
    except GradientError as error:
        run.alarm = str(error)
    except Exception as error:  # noqa: BLE001 - to break down is worse than to object
        run.alarm = f"broke down: {type(error).__name__}: {error}"
    else:
        run.properties = [r.property for r in report.results if r.verdict == INCONCLUSIVE]
    run.seconds = time.perf_counter() - begin
    return run


def _add(whole: Whole, run: _Run) -> None:
    whole.runs += 1
    whole.checks += run.checks
    whole.seconds += run.seconds
    if run.alarm:
        whole.alarms.append(Alarm(run.operation, run.seed, run.alarm))
    whole.undecided_checks += run.undecided_checks
    if run.properties:
        undecided = whole.undecided.setdefault(run.operation, Undecided())
        undecided.runs += 1
        undecided.properties = sorted({*undecided.properties, *run.properties})
