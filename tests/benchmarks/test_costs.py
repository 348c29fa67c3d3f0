"""Every function has a row in the benchmark of costs, and needs memory as it has elements.

Time is for the benchmark itself: `python -m benchmarks costs`.
"""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

from benchmarks.costs import peak
from benchmarks.sized_calls import builders, every_row, named
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.core.rules.namespace import kind, public_functions
from tinygrad_lab.nn import functional as F

ROWS = {row.name: row for row in every_row()}
BUILDERS = {row.name for row in builders()}
#: Every value of `t` is kept, because the next is computed from it.
KEEPS_ALL = "t[i] = f(t[i - 1])"
OLD_NAMES = {"row_stack", "trapz"}


def test_every_function_has_a_row():
    timed = {named(name) for name in ROWS if re.fullmatch(r"((linalg|fft)\.)?\w+", name)}
    differentiable = {
        name
        for name, function in public_functions()
        if kind(OPERATIONS[function]) == "differentiable" and function not in timed
    }
    assert differentiable <= OLD_NAMES
    assert {f"F.{name}" for name in F.__all__} <= set(ROWS)


@pytest.mark.parametrize("name", sorted(ROWS.keys() - {KEEPS_ALL}))
def test_memory_grows_as_the_elements_do(name: str):
    """Four times the elements take four times the bytes, and what does not grow takes less."""
    size = 64 if name in BUILDERS else 1024
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of functions that NumPy lets go
        few, many = (least(name, n) for n in (size, 4 * size))
    assert many < 5 * few


def least(name: str, n: int) -> float:
    """The smaller of two peaks: other threads, and what is kept for next time, take memory too."""
    return min(peak(*ROWS[name].call(n)) for _ in range(2))
