"""Trials that take as long as they are given: `make test-soak`, or SOAK_SECONDS=60 before pytest.

Without it nothing here is collected.  Each trial says at the end what it has tried.
"""

import os
import random
import time
from collections.abc import Callable, Iterator

import pytest

SECONDS = float(os.environ.get("SOAK_SECONDS", "0"))

collect_ignore_glob = [] if SECONDS else ["test_*.py"]


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say what was tried, for the summary."""
    return lambda text: record_property("tried", text)


@pytest.fixture
def rng() -> random.Random:
    """Random numbers, others each time; the seed is shown where a trial fails."""
    seed = int(os.environ.get("SOAK_SEED", time.time_ns()))
    print(f"SOAK_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def rounds() -> Iterator[int]:
    """Count until the time of a trial is over, from when it begins to count."""

    def count() -> Iterator[int]:
        end = time.monotonic() + SECONDS
        number = 0
        while number == 0 or time.monotonic() < end:
            yield number
            number += 1

    return count()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what each trial has tried."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    lines = {
        f"{report.nodeid.rpartition('/')[2]}: {text}"
        for report in reports
        for name, text in getattr(report, "user_properties", ())
        if name == "tried"
    }
    if lines:
        terminalreporter.section("tried")
        for line in sorted(lines):
            terminalreporter.write_line(line)
