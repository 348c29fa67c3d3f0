"""The report: its structure, what it says, what it leaves behind, and what Ctrl-C leaves of it."""

import csv
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tinygrad_lab.lab import runner, train_many
from tinygrad_lab.lab.reports import example, make_report, page, writing
from tinygrad_lab.lab.reports.sections import PARTS
from tinygrad_lab.lab.reports.studies import BASE_B, STUDIES

ROOT = Path(__file__).parents[3]


def report(out, studies, **options):
    """Make a report without the sections that are no studies."""
    return make_report(out, studies=studies, parts=(), progress=False, **options)


def short(studies=STUDIES, epochs=12):
    """The same studies with hardly any training: for their layout, not their numbers."""

    def cut(study):
        rows = tuple(
            replace(row, settings=replace(row.settings, epochs=epochs)) for row in study.rows
        )
        claims = tuple(
            replace(claim, settings=tuple(replace(s, epochs=epochs) for s in claim.settings))
            for claim in study.claims
        )
        return replace(study, rows=rows, claims=claims)

    return [cut(study) for study in studies]


class Page(HTMLParser):
    """What a browser would find: tags that match, what is fetched, links and identifiers."""

    VOID = frozenset({"meta", "br", "img", "link", "hr", "input"})

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.fetched = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if tag == "a" else []
        self.fetched += [attributes["src"]] if "src" in attributes else []
        self.fetched += [attributes["href"]] if tag == "link" else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def table(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report of all studies, in quick form and cut short, with the base setting of report B."""
    out = tmp_path_factory.mktemp("lab") / "report"
    parts = [part for part in PARTS if part.key == "example"]
    outcome = make_report(out, quick=True, studies=short(), parts=parts, progress=False)
    return out, outcome


def test_the_page_is_where_it_says(written):
    out, outcome = written
    assert outcome.path == out / "index.html"
    assert outcome.settings > 20
    assert sorted(p.name for p in out.iterdir()) == ["data", "index.html"]


def test_the_page_is_well_formed_and_self_contained(written):
    text = (written[0] / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert [link for link in page.fetched if not link.startswith("data:")] == []
    assert "<script" not in text
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {f"#{name}" for name in page.ids}
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_its_links_lead_somewhere(written):
    out = written[0]
    page = Page((out / "index.html").read_text(encoding="utf-8"))
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert (out / link).is_file(), link
    # By its links the next report knows what it may replace.
    data = {path.relative_to(out).as_posix() for path in (out / "data").iterdir()}
    assert data == {link for link in page.links if not link.startswith("#")}


def test_every_study_is_there_with_a_figure_and_its_data(written):
    out = written[0]
    text = (out / "index.html").read_text(encoding="utf-8")
    for study in STUDIES:
        if not any(row.quick for row in study.rows):  # a quick report does without the study
            assert f'"{study.key}"' not in text
            continue
        section = text[text.index(f'<section id="{study.key}">') :]
        section = section[: section.index("</section>")]
        assert "<figure>" in section
        assert "<table>" in section
        for row in study.rows:
            if row.quick:
                assert row.label.replace("'", "&#39;") in section
        rows = table(out / f"data/{study.key}.csv")
        assert {"reported", "lowest", "median", "highest", "grade", "agreeing"} <= set(rows[0])
        assert (out / f"data/{study.key}-curves.csv").stat().st_size > 100


def test_what_a_report_is_about_is_there(written):
    text = (written[0] / "index.html").read_text(encoding="utf-8")
    for part in (
        "Ground truth beside prediction",
        "Output and decision boundary",
        "Iter21 | Ground truth: 1 | prediction:",
        "epoch 0 loss : 0.",
        "The graph of its loss",
        "A quick look:",
        "Findings: where the numbers disagree",
    ):
        assert part in text


def test_the_runs_are_all_written_down(written):
    out, outcome = written
    rows = table(out / "data/runs.csv")
    settings = {tuple(v for k, v in row.items() if k in SETTING_COLUMNS) for row in rows}
    assert len(settings) == outcome.settings
    assert {int(row["seed"]) for row in rows} == set(range(20))  # the acceptance has all twenty


SETTING_COLUMNS = {
    *("data", "hidden", "activation", "bias", "loss", "reduction", "optimizer", "lr", "epochs"),
    *("threshold", "output_activation", "n", "init"),
}


def test_a_number_in_the_page_is_the_number_in_the_data(written):
    out = written[0]
    rows = table(out / "data/base.csv")
    (row,) = [
        r
        for r in rows
        if (r["report"], r["setting"], r["data"], r["what"]) == ("B", "base", "xor", "loss")
    ]
    text = (out / "index.html").read_text(encoding="utf-8")
    assert row["reported"] == "0.00043"
    assert f"{float(row['median']):.4f}".rstrip("0") in text


def test_a_second_report_replaces_the_first_and_nothing_else(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    for quick in (True, False):
        report(tmp_path, short(STUDIES[-1:]), quick=quick)
        assert ("A quick look:" in (tmp_path / "index.html").read_text("utf-8")) is quick
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "index.html", "mine.txt"]


def test_the_same_seeds_give_the_same_files(tmp_path):
    texts = []
    for name in ("a", "b"):
        report(tmp_path / name, short(STUDIES[-1:]))
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        texts.append({p.name: re.sub(r"in \d+&nbsp;s", "", p.read_text("utf-8")) for p in files})
    assert texts[0] == texts[1]


def test_a_graph_that_nothing_can_draw_is_a_table_with_the_remedy(monkeypatch):
    from tinygrad_lab.viz import RenderError

    def cannot(_):
        raise RenderError("nothing here draws graphs; install graphviz")

    monkeypatch.setattr("tinygrad_lab.viz.Graph.svg", cannot)
    settings = [replace(BASE_B, data=data, epochs=12) for data in ("linear", "xor")]
    section = example.section({each: train_many(each, range(3)) for each in settings})
    (part,) = [part for part in PARTS if part.key == "example"]
    files = page.files([], {}, {part.key: section}, parts=[part], seeds=3, seconds=0.0)
    assert "nothing here draws graphs; install graphviz" in files["index.html"]
    assert "mse_loss" in files["index.html"]
    Page(files["index.html"])


# ---- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_folder_that_cannot_be_is_found_before_training(tmp_path, monkeypatch, out):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(writing, "run_all", pytest.fail)
    with pytest.raises(OSError, match="file"):
        make_report(tmp_path / out, progress=False)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_failure_leaves_the_earlier_report_and_nothing_half_written(tmp_path, monkeypatch):
    (tmp_path / "index.html").write_text("earlier")
    monkeypatch.setattr(writing.page, "files", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report(tmp_path, short(STUDIES[-1:]))
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == "earlier"
    with pytest.raises(ZeroDivisionError):
        report(tmp_path / "new", short(STUDIES[-1:]))
    assert not (tmp_path / "new").exists()


def test_ctrl_c_before_anything_is_finished_writes_nothing(tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "as_completed", interrupted)
    with pytest.raises(runner.Interrupted, match="0 of 2 settings"):
        report(tmp_path / "new", short(STUDIES[-1:]))
    assert not (tmp_path / "new").exists()


SLOW = """
import signal
import sys
from functools import partial
from tinygrad_lab.lab import commands, reports, runner
from tinygrad_lab.lab.reports.study import Row, Study
from tinygrad_lab.lab.settings import Settings

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup and & ignore it
    runner.PATIENCE = runner._LOGGED_EVERY = 0
    rows = [Row("", f"epochs {n}", Settings(hidden=(1,), epochs=n)) for n in (10, 20, 10**8)]
    studies = [Study("slow", "Slow", "", tuple(rows))]
    reports.make_report = partial(reports.make_report, studies=studies, parts=(), workers=2)
    sys.exit(commands.run(["report", "--out", sys.argv[1]]))
"""


@pytest.fixture
def training(tmp_path):
    """A report that is being made, with 2 of its 3 settings finished."""
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, script, tmp_path / "out"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        progress = b""
        while b"2/3" not in progress:
            chunk = os.read(process.stderr.fileno(), 1000)
            assert chunk, progress.decode()
            progress += chunk
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


# The pipes of a process are at their end when the last of its workers has ended too: `communicate`
# returns only then.


@pytest.mark.skipif(os.name == "nt", reason="a group of processes is signalled in POSIX's way")
def test_a_real_ctrl_c_stops_every_process(training, tmp_path):
    os.killpg(training.pid, signal.SIGINT)  # what a terminal sends, to all of them
    _, stderr = training.communicate(timeout=60)
    assert training.returncode == 130
    assert b"interrupted: 2 of 3 settings finished" in stderr
    assert b"Traceback" not in stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name == "nt", reason="processes are ended in POSIX's way")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_report_that_is_ended_leaves_no_process(training, tmp_path, name):
    number = getattr(signal, name)
    training.send_signal(number)  # to it alone: its workers are to notice by themselves
    training.communicate(timeout=60)
    if name == "SIGTERM":
        assert training.returncode == 128 + number
        assert not (tmp_path / "out").exists()
