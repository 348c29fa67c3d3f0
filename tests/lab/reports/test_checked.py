"""The report's section on hand-written backprop tells what the checker found, and nothing else."""

import csv
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_lab import testing as tgt
from tinygrad_lab.lab.reports import by_hand, checked, page
from tinygrad_lab.lab.reports.sections import PARTS
from tinygrad_lab.lab.reports.tables import Section
from tinygrad_lab.testing.telling.audit import Audit

ROOT = Path(__file__).parents[3]


def the_page() -> str:
    return written(checked.section())["index.html"]


def written(section: Section) -> dict[str, str]:
    (part,) = [part for part in PARTS if part.key == "by-hand"]
    return page.files([], {}, {part.key: section}, parts=[part], seeds=5, seconds=0.0)


def plain(html: str) -> str:
    """The section as it is read: no tags, no entities, one space between words."""
    html = html[html.index('id="by-hand"') :]
    text = re.sub(r"<svg.*?</svg>|<[^>]+>", "", html[: html.index('class="back"')], flags=re.S)
    for entity, meant in (("&#39;", "'"), ("&#34;", '"'), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, meant)
    return " ".join(text.split())


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def files(section):
    return written(section)


@pytest.fixture
def html(files):
    return files["index.html"]


# ---- what is found ------------------------------------------------------------------------------


def test_the_missing_factor_is_found_with_its_line(section):
    gradients = section.shown["gradients"]
    message = gradients["reported"]["message"]
    assert gradients["reported"]["verdict"] == "fail"
    assert "dZ3 is not the gradient by Z3: the factor A3 * (1 - A3) is missing" in message
    assert "± " in message
    marked = [line for lines in gradients["code"] for line in lines if line["marked"]]
    assert [line["text"].strip() for line in marked] == ["dZ3 = 2 * (A3 - Y) / n"]
    source = Path(inspect.getsourcefile(by_hand)).read_text("utf-8").splitlines()
    assert source[marked[0]["number"] - 1] == marked[0]["text"]


def test_the_momentum_is_found(section):
    reported = section.shown["momentum"]["reported"]
    assert reported["verdict"] == "fail"
    assert reported["headline"].endswith("step 1 goes uphill, however small the rate")


def test_both_pass_when_mended_and_the_resolution_is_stated(section):
    gradients, momentum = section.shown["gradients"], section.shown["momentum"]
    assert [part["mended"]["verdict"] for part in (gradients, momentum)] == ["pass", "pass"]
    assert "would have been seen" in gradients["mended"]["headline"]
    assert gradients["new"] == ["dZ3 = 2 * (A3 - Y) * A3 * (1 - A3) / n"]
    assert [line[:13] for line in momentum["new"]] == ["return [p - v"]


def test_the_page_shows_the_messages_as_they_are_printed(section, html):
    text = plain(html)
    for part in (section.shown["gradients"], section.shown["momentum"]):
        assert one_line(part["reported"]["message"]) in text
        assert part["mended"]["headline"] in text
    assert html.count("<mark>") == 1
    assert "Not found." not in text


def test_the_table_is_that_of_the_gradients(section):
    """Each row again, without the checker: by hand, and by a plain central difference."""
    parameters = by_hand.midway(checked.SEED, checked.EPOCHS)
    rows = section.tables["by-hand-gradients.csv"].rows
    assert [row[0] for row in rows] == ["W1", "b1", "W2", "b2", "W3", "b3"]
    derived = by_hand.gradients_as_derived(*parameters)
    for position, (_, i, j, analytic, numeric, error, ratio) in enumerate(rows):
        assert analytic == pytest.approx(derived[position][i, j], rel=1e-12)
        beside = [[p.copy() for p in parameters] for _ in "+-"]
        beside[0][position][i, j] += 1e-5
        beside[1][position][i, j] -= 1e-5
        slope = (by_hand.loss(*beside[0]) - by_hand.loss(*beside[1])) / 2e-5
        assert numeric == pytest.approx(slope, rel=1e-6)
        assert 0 < error < 1e-9
        assert ratio == analytic / numeric
    ratios = [row[-1] for row in rows]
    assert max(ratios) - min(ratios) > 1  # no constant factor


def test_the_steps_go_uphill_at_every_rate_and_downhill_when_mended(section):
    rows = section.tables["by-hand-update.csv"].rows
    for update, _, step, _, change in rows:
        if step == 0:
            assert change is None
        else:
            assert (change > 0) == (update == "added")
    assert len({rate for _, rate, *_ in rows}) > 3


def test_the_data_of_the_section_lies_beside_the_page(files):
    for name, columns in (
        ("data/by-hand-gradients.csv", {"parameter", "by_hand", "numeric", "uncertainty"}),
        ("data/by-hand-update.csv", {"update", "rate", "step", "loss", "change"}),
    ):
        rows = list(csv.DictReader(files[name].splitlines()))
        assert columns <= set(rows[0])
        assert f'href="{name}"' in files["index.html"]


# ---- what is not --------------------------------------------------------------------------------


def test_a_check_that_finds_nothing_is_told_plainly(monkeypatch):
    """As if both mistakes were beyond the checker: it is given right code to look at."""
    monkeypatch.setattr(by_hand, "gradients_as_derived", by_hand.gradients)
    monkeypatch.setattr(by_hand, "momentum_as_reported", by_hand.momentum)
    html = the_page()
    text = plain(html)
    assert text.count("Not found. This code is wrong, and the check did not say so") == 2
    assert text.count("its verdict is “pass”") == 2
    assert "✗ wrong" not in text
    assert "<mark>" not in html
    assert "is missing" not in text
    assert "uphill" not in text
    assert "The element of each parameter that is most wrong" not in text


def test_a_check_that_cannot_decide_is_told_plainly(monkeypatch):
    undecided = tgt.GradReport("loss")
    monkeypatch.setattr(tgt, "gradcheck", lambda *_, **__: undecided)
    text = plain(the_page())
    assert text.count("Not found.") == 1
    assert "its verdict is “inconclusive”" in text
    assert "◐ inconclusive" in text
    assert "the checker is not content with that either" in text


def test_a_check_that_names_no_line_marks_none(monkeypatch):
    monkeypatch.setattr("tinygrad_lab.testing.telling.explain.audit", lambda *_: Audit([]))
    html = the_page()
    assert "<mark>" not in html
    assert "It names no line" in plain(html)
    assert "✗ wrong" in plain(html)


def test_a_mended_version_that_fails_is_told_plainly(monkeypatch):
    right = by_hand.gradients
    monkeypatch.setattr(by_hand, "gradients", lambda *p: [2 * g for g in right(*p)])
    monkeypatch.setattr(checked, "new_lines", lambda *_: ["return twice as much"])
    text = plain(the_page())
    assert "✓ passes With dZ3" not in text
    assert "the checker is not content with that either" in text


def test_it_is_the_same_in_a_process_that_does_without_hypothesis(section):
    code = (
        "import pickle, sys; sys.modules['hypothesis'] = None\n"
        "from tinygrad_lab.lab.reports import checked\n"
        "sys.stdout.buffer.write(pickle.dumps(checked.section()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
    assert done.stderr == b""
    assert pickle.loads(done.stdout) == section
