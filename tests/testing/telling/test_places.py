"""Lines are named as their reader knows them: by file, or in a notebook by cell."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging.judgement import line_at

CELL = """
@tl.primitive
def cube(x):
    return x**3


tl.defvjp(cube, lambda g, y, x: 2 * g * x**2)


def loss(x):
    return cube(x).sum()
"""


@pytest.fixture
def cell(monkeypatch):
    """What IPython calls the file of its third cell."""
    ipython = pytest.importorskip("IPython")
    compiler = pytest.importorskip("IPython.core.compilerop").CachingCompiler()
    monkeypatch.setattr(ipython, "get_ipython", lambda: SimpleNamespace(compile=compiler))
    return compiler.cache(CELL, number=3)


def test_a_line_of_a_cell_is_named_by_its_number(cell):
    assert line_at(cell, 7) == "cell In[3], line 7"
    assert line_at("/home/user/model.py", 7) == "model.py:7"


def test_a_report_names_the_line_of_a_cell(cell):
    scope = {"tl": tl}
    exec(compile(CELL, cell, "exec"), scope)
    report = tgt.gradcheck(scope["loss"], np.array([0.5, 2.0]), raises=False)
    assert "cell In[3], line 11" in str(report)
