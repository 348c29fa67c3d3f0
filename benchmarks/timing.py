"""Time contenders in turn and compare them round by round; not a profiler.

A shared machine changes its speed from second to second. So each round times every contender once,
in an order that rotates, and contenders are compared within a round: a slow second then slows both
sides of a ratio. What is reported is the median ratio over the rounds, with its quartiles.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

MISSING = "not installed"


@dataclass(frozen=True)
class Runner:
    """What a contender hands over to be timed: one step, and its gradients for the check.

    `parameters` are the arrays that the step moves, where somebody else needs them.
    """

    step: Callable[[], object]
    gradients: Callable[[], Sequence[np.ndarray]]
    parameters: Sequence[np.ndarray] = ()


@dataclass(frozen=True)
class Workload:
    """One thing to do, and those who do it; the first contender is what the others are divided by.

    `threads` limits BLAS, torch and ourselves (None leaves them alone). `per` divides the time of a
    step, to give it in microseconds per `unit`. `flops` adds a rate to the table.
    """

    name: str
    title: str
    contenders: dict[str, Callable[[], Runner]]
    tolerance: float
    threads: int | None = None
    unit: str = "µs a step"
    per: int = 1
    flops: float | None = None


@dataclass
class Result:
    """Medians over the rounds for one contender, or why there are none."""

    contender: str
    time: float = float("nan")
    ratio: float = float("nan")
    quartiles: tuple[float, float] = (float("nan"), float("nan"))
    gflops: float | None = None
    begin: float = 0.0
    absent: str = ""
    rounds: list[float] = field(default_factory=list, repr=False)


def measure(workload: Workload, *, rounds: int, seconds: float) -> list[Result]:
    """Time every contender of a workload that can run here, about `seconds` in all for each.

    Raises `AssertionError` naming the contender whose gradients differ from the first one's.
    """
    runners: dict[str, Runner] = {}
    absent = []
    for name, build in workload.contenders.items():
        try:
            runners[name] = build()
        except ImportError as error:
            absent.append(Result(name, absent=f"{error.name or error} {MISSING}"))
    check_gradients(runners, workload.tolerance)
    begins = {name: begin(run.step) for name, run in runners.items()}
    repeats = {name: calibrate(run.step, seconds / rounds) for name, run in runners.items()}
    names = list(runners)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            gc.collect()
            settle()
            times[name].append(time_steps(runners[name].step, repeats[name]))
    return [summarise(workload, name, times, begins[name]) for name in names] + absent


def settle() -> None:
    """Wait until the threads of the contender before have come to rest.

    Those of OpenBLAS spin for 0.1 s after a product, in case there is another one, and what comes
    next would share its processors with them.
    """
    last = time.perf_counter() + 0.5
    while time.perf_counter() < last:
        before = time.process_time()
        time.sleep(0.01)
        if time.process_time() - before < 0.001:
            return


def check_gradients(runners: dict[str, Runner], tolerance: float) -> None:
    """Refuse to time contenders that do not compute the same gradients."""
    reference_name, *others = runners
    reference = runners[reference_name].gradients()
    for name in others:
        gradients = runners[name].gradients()
        count = len(gradients)
        assert count == len(reference), f"{name}: {count} gradients, not {len(reference)}"
        for number, (gradient, expected) in enumerate(zip(gradients, reference, strict=True)):
            np.testing.assert_allclose(
                gradient,
                expected,
                rtol=tolerance,
                atol=tolerance * np.abs(expected).max(),
                err_msg=f"gradient {number} of {name} beside {reference_name}",
            )


def begin(step: Callable[[], object]) -> float:
    """Return the seconds that the first steps take beyond later ones: recording, compiling."""
    first = 3 * time_steps(step, 3)
    return max(0.0, first - 3 * min(time_steps(step, 1) for _ in range(3)))


def calibrate(step: Callable[[], object], seconds: float) -> int:
    """Return how many steps take about this long."""
    once = min(time_steps(step, 1) for _ in range(5))
    return max(1, round(seconds / once))


def time_steps(step: Callable[[], object], repeats: int) -> float:
    """Return the seconds one step takes, averaged over `repeats` in a row."""
    started = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - started) / repeats


def summarise(workload: Workload, name: str, times: dict[str, list[float]], begin: float) -> Result:
    """Return medians for one contender, its ratios taken within rounds."""
    first = next(iter(times.values()))
    ratios = np.array(times[name]) / np.array(first)
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    median = float(np.median(times[name]))
    return Result(
        contender=name,
        time=median * 1e6 / workload.per,
        ratio=float(middle),
        quartiles=(float(low), float(high)),
        gflops=workload.flops / median / 1e9 if workload.flops else None,
        begin=begin,
        rounds=times[name],
    )
