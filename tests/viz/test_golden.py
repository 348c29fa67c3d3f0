"""The DOT texts of five networks and a program are what they were, to the byte, everywhere.

Where a picture is to look different: `python -m tests.viz.golden.renew`, and read what changed.
"""

from __future__ import annotations

import pytest

from tests.viz.golden.renew import FOLDER, GRAPHS


@pytest.mark.parametrize("name", GRAPHS)
def test_the_text_is_the_one_that_is_kept(name):
    expected = (FOLDER / f"{name}.dot").read_text(encoding="utf-8")
    assert GRAPHS[name]().source == expected


def test_no_text_is_kept_of_what_is_not_drawn():
    assert {path.stem for path in FOLDER.glob("*.dot")} == set(GRAPHS)
