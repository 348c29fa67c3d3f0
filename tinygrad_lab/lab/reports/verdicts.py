"""Code that is checked, and what a check says of it, for a page.

Not for the code or the checks themselves (``checked.py``, ``sections/kernel.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tinygrad_lab import testing as tgt


def outcome(check: Callable[[], tgt.GradReport]) -> dict[str, Any]:
    """Run a check: its verdict, its message as it is printed, and the first line of that."""
    try:
        report = check()
        message = str(report)
    except tgt.GradientError as error:
        report, message = error.report, str(error)
    return {
        "verdict": report.verdict,
        "headline": message.partition("\n")[0],
        "message": message,
        "site": report.findings[0].site if report.findings else "",
    }


def code(function: Callable[..., Any], marked: int | None = None) -> list[dict[str, Any]]:
    """List the lines of a function with their numbers in the file; one may be marked."""
    lines, first = inspect.getsourcelines(function)
    return [
        {"number": number, "text": line.rstrip(), "marked": number == marked}
        for number, line in enumerate(lines, start=first)
    ]


def new_lines(function: Callable[..., Any], instead_of: Callable[..., Any]) -> list[str]:
    """List the lines below a function's docstring that another function does not have."""
    old, new = (
        inspect.getsource(f).partition('"""')[2].partition('"""')[2].splitlines()
        for f in (instead_of, function)
    )
    return [line.strip() for line in new if line not in old]


def line_named(site: str, module: ModuleType) -> int | None:
    """Return 12 for "by_hand.py:12", and None for a site in another file than this one, or none."""
    file, _, line = site.partition(":")
    return int(line) if file == Path(module.__file__ or "").name else None
