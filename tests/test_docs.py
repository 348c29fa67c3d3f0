"""Every example runs, in docstrings, README.md and docs/, and every local link leads somewhere.

The blocks of a page run in turn in one namespace, as they are read; those of README.md each on its
own, because a newcomer pastes the one that is of interest.
"""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lab
from benchmarks import checkers
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.viz.health import activations, flow, inputs

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BROKEN: list[str] = []
MODULES = sorted(
    module.name
    for package in (tinygrad_lab, checkers)
    for module in pkgutil.walk_packages(
        package.__path__, f"{package.__name__}.", onerror=BROKEN.append
    )
    if not module.name.endswith("__main__")
)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMPYS = {getattr(value, "__doc__", None) for value in vars(np).values()}  # methods have them too
LINK = re.compile(r"\]\((?!\w+://|mailto:)([^)#\s]+)(?:#[^)]*)?\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(autouse=True)
def in_a_place_of_its_own(tmp_path, monkeypatch):
    """An example may write files, and declare rules: both are gone afterwards."""
    monkeypatch.chdir(tmp_path)
    before = dict(OPERATIONS)
    yield
    OPERATIONS.clear()
    OPERATIONS.update(before)


def test_every_package_can_be_imported():
    assert BROKEN == []


#: Modules that import what is not installed everywhere.
NEEDS = {
    "tinygrad_lab.transforms.jit.backends.elementary": "numba",
    "benchmarks.checkers.right.torch_names": "torch",
}


@pytest.mark.parametrize("name", ["tinygrad_lab", *MODULES])
def test_docstrings(name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for case in doctest.DocTestFinder().find(importlib.import_module(name)):
        if case.docstring not in NUMPYS:
            runner.run(case, out=report.append)
    assert not runner.summarize(verbose=False).failed, "\n".join(report)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages(page):
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, object] = {}
    for match in BLOCK.finditer(text):
        if page.name == "README.md":
            namespace = {}
        line = text.count("\n", 0, match.start()) + 1
        if match[1].startswith(">>>"):
            run_session(match[1], namespace, page, line)
        else:
            padded = "\n" * line + match[1]  # so that a traceback shows the page's own lines
            exec(compile(padded, str(page), "exec"), namespace)


def run_session(session: str, namespace: dict[str, object], page: Path, line: int) -> None:
    report: list[str] = []
    case = doctest.DocTestParser().get_doctest(session, namespace, page.name, str(page), line)
    doctest.DocTestRunner(optionflags=FLAGS).run(case, out=report.append, clear_globs=False)
    namespace |= case.globs
    assert not report, "\n".join(report)


def test_every_public_name_is_in_the_reference():
    reference = (ROOT / "docs" / "reference" / "tensors.md").read_text(encoding="utf-8")
    elsewhere = {"nn", "optim", *tinygrad_lab.nn.functional.__all__}  # these have their own pages
    public = set(tinygrad_lab.__all__) - elsewhere
    assert {name for name in public if f":: tinygrad_lab.{name}\n" not in reference} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = LINK.findall(text) + re.findall(r'<img[^>]* src="([^":]+)"', text)
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_tests_that_hold_a_promise_are_there():
    page = (ROOT / "docs" / "silence.md").read_text()
    named = set(re.findall(r"`(tests/[^`]+)`", page))
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_limits_of_trouble_on_the_page_are_those_of_the_code():
    page = (ROOT / "docs" / "pictures.md").read_text(encoding="utf-8")
    rows = [row.split(" | ") for row in page.splitlines() if row.startswith("| `")]
    limits = {mark: limit for mark, _, limit, _ in (row for row in rows if len(row) == 4)}
    for mark, stated in {
        "dead 75 %": [f"{activations.DEAD:.0%}"],
        "saturated 90 %": [f"{activations.SATURATED:.0%}", f"{activations.LOOKS_AT_ONE:.0%}"],
        "inputs of size 300": [f"{inputs.LARGE:g}"],
        "vanishing from here": [f"{flow.VANISHED:g}"],
        "vanishing through time": [f"{flow.FADED:g}", f"{flow.FADES:g}"],
        "exploding from here": [f"{flow.EXPLODED:g}", f"{flow.EXPLODED_AND_STEEP:g}"],
    }.items():
        [row] = [limit for other, limit in limits.items() if mark in other]
        numbers = re.findall(r"[\d.]+e-\d+|[\d.]+ %|[\d.]+", row)
        assert [float(n.removesuffix(" %")) for n in numbers] == [
            float(n.removesuffix("%")) for n in stated
        ]
