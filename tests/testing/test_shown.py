"""What the pages show of the checker is what it says today."""

import os
import re

import pytest

from docs import shown

REGIONS = [pytest.param(page, name, text, id=name) for page, name, text in shown.regions()]
NEEDS_TORCH = {"swish", "cut off"}
IS_LONG = set() if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else {"suite"}
NUMBER = re.compile(r"\d+\.\d+(?:e[+-]\d+)?|\d+e[+-]\d+")


def plainly(text):
    """Leave of the numbers what does not depend on rounding, versions and machines."""

    def rounded(match):
        value = float(match[0])
        return "tiny" if 0 < value < 1e-5 else f"{value:.3g}"

    text = re.sub(r"in \d+\.\d+s", "in time", text)
    text = re.sub(r"smallest failing input: .*|shape \(.*|\d+ hold|gradcheck\(.*", "...", text)
    return NUMBER.sub(rounded, text)


BY_ITSELF = [r for r in REGIONS if r.id not in NEEDS_TORCH | IS_LONG]


@pytest.mark.parametrize(("page", "name", "text"), BY_ITSELF)
def test_a_page_shows_what_is_said(page, name, text):
    then = "".join(text.splitlines(keepends=True)[1:-1])
    assert plainly(then) == plainly(shown.SHOWN[name]()), f"{page.name}: run python -m docs.shown"


@pytest.mark.oracle
@pytest.mark.parametrize(("page", "name", "text"), [r for r in REGIONS if r.id in NEEDS_TORCH])
def test_a_page_shows_what_is_said_of_pytorch(page, name, text):
    pytest.importorskip("torch")
    test_a_page_shows_what_is_said(page, name, text)


def test_everything_is_shown():
    assert {region.id for region in REGIONS} == set(shown.SHOWN)
