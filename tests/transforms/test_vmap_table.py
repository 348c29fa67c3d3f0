"""The page about vmap says which functions take a whole batch, and which are called in turn."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "docs" / "batched.py"


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("batched_page", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGE = _script()
KNOWN = PAGE.functions()


def test_the_page_names_every_function_where_it_belongs():
    """But for those that this NumPy does not have, or the one of whoever wrote the page."""
    written = PAGE.written()
    listed = set.union(*written.values())
    for key, names in PAGE.lists(written["in turn"]).items():
        assert set(names) & listed == written[key] & KNOWN.keys(), "run docs/batched.py"


def test_what_the_page_says_takes_a_batch_is_not_called_in_turn():
    """One call of each, as the catalogue has them."""
    composed = PAGE.written()["composed"]
    slow = [
        name for name in sorted(composed & KNOWN.keys())
        if KNOWN[name] in PAGE.CASES and PAGE.is_called_in_turn(KNOWN[name], examples=1)
    ]  # fmt: skip
    assert slow == [], "run docs/batched.py"


@pytest.mark.parametrize("name", ["bincount", "polydiv"])
def test_what_is_called_in_turn_is_noticed(name: str):
    assert PAGE.is_called_in_turn(KNOWN[name], examples=5)
