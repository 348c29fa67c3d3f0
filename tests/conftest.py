"""Hypothesis profiles, what the garbage collector is spared, and what could not be compared here.

Fixtures of one package's tests live beside them, not here.
"""

import gc
import os
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

os.environ.setdefault("MPLBACKEND", "Agg")  # no windows, whatever machine this is

# No deadline anywhere: a busy machine is no failing test.  Only `make test-thorough` looks for new
# examples; every other run draws the same ones, so that two runs of one tree have one outcome.
settings.register_profile("same examples", deadline=None, max_examples=50, derandomize=True)
settings.register_profile(
    "thorough",
    deadline=None,
    max_examples=2000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# `pytest --hypothesis-profile NAME` is read after this file and has the last word.
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "same examples")
settings.load_profile(PROFILE)
if PROFILE == "same examples" and hasattr(providers, "_get_local_constants"):
    # Hypothesis also draws the constants that stand in the modules loaded so far, and which these
    # are depends on the tests that a worker has run before.
    providers._get_local_constants = providers.Constants


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the half million objects of what is collected from the garbage collector.

    They live as long as the process: looking at all of them again and again took a second in ten.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


IMPORT_FAILED = re.compile(r"could not import '([\w.]+)'")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which comparisons with other packages did not take place, and how to have them."""
    missing: Counter[str] = Counter()
    for report in terminalreporter.getreports("skipped"):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, "")
        if match := IMPORT_FAILED.search(reason):
            missing[match[1].partition(".")[0]] += 1
    if missing:
        named = ", ".join(f"{name} ({count} skipped)" for name, count in sorted(missing.items()))
        terminalreporter.write_line(
            f"not installed, so not compared with: {named}; "
            "`make test-oracles` installs torch, scipy, jax and autograd",
            yellow=True,
        )
