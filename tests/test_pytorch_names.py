"""Every public name of PyTorch's for models is here, or the page says why not, and what differs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from docs import pytorch

LISTED = json.loads(pytorch.NAMES.read_text(encoding="utf-8"))
REMARKS = pytorch.remarks()
NAMES = [(home, name, told) for home, names in LISTED["names"].items()
         for name, told in names.items()]  # fmt: skip


def test_a_name_is_here_or_the_page_says_why_not():
    assert len(NAMES) > 350
    assert [
        f"{home}.{name}" for home, name, _ in NAMES
        if pytorch.here(home, name) is None and name not in REMARKS.get(home, {})
    ] == []  # fmt: skip


def test_other_arguments_are_remarked():
    differences = {
        f"{home}.{name}": pytorch.difference(home, name, told) for home, name, told in NAMES
        if pytorch.here(home, name) is not None and name not in REMARKS.get(home, {})
    }  # fmt: skip
    assert {name: text for name, text in differences.items() if text} == {}


def test_a_remark_is_of_a_name():
    names = {(home, name) for home, name, _ in NAMES}
    assert [pair for home in REMARKS for name in REMARKS[home]
            if (pair := (home, name)) not in names] == []  # fmt: skip


def test_the_page_has_every_name():
    page = pytorch.markdown()
    assert [name for _, name, _ in NAMES if f"`{name}`" not in page] == []


@pytest.mark.parametrize(("theirs", "said"), [
    (["input", "weight", "bias=None"], ""),
    (["input", "weight"], "with bias=None"),
    (["input", "weight", "bias=None", "scale=1.0"], "without scale=1.0"),
    (["weight", "input", "bias=None"], "another order"),
    (None, ""),
])  # fmt: skip
def test_a_difference_is_said(theirs: Any, said: str):
    assert pytorch.difference("nn.functional", "linear", theirs) == said


@pytest.mark.oracle
def test_the_list_is_that_of_the_installed_pytorch():
    torch = pytest.importorskip("torch")
    if torch.__version__.partition("+")[0] != LISTED["version"]:
        pytest.skip(f"the list is of PyTorch {LISTED['version']}, not {torch.__version__}")
    assert pytorch.installed() == LISTED
