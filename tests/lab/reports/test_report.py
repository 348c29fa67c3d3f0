"""The report: its structure, what it says, what it leaves behind, and what Ctrl-C leaves of it."""

import csv
import errno
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from tinygrad_lab.lab import Settings, runner, train_many
from tinygrad_lab.lab.reports import example, make_report, page, storing, writing
from tinygrad_lab.lab.reports.sections import PARTS, Part
from tinygrad_lab.lab.reports.studies import BASE_B, STUDIES
from tinygrad_lab.lab.reports.tables import Section, Table
from tinygrad_lab.lab.workers import pool_of

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def process():
    """One process for all the reports here: to start one takes longer than to train."""
    with pool_of(1) as pool:
        yield pool


@pytest.fixture(autouse=True)
def in_one_process(process, monkeypatch):
    monkeypatch.setattr(writing, "pool_of", lambda _: nullcontext(process))


def report(out, studies, **options):
    """Make a report without the sections that are no studies."""
    return make_report(out, studies=studies, parts=(), workers=1, progress=False, **options)


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
        self.headings, self.pictures = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.headings += [int(tag[1])] if re.fullmatch(r"h\d", tag) else []
        self.pictures += [attributes] if tag == "svg" and "svg" not in self.open else []
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
    assert "@import" not in text
    assert "{{" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {f"#{name}" for name in page.ids}
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    # Without the script the page is complete: what needs it is hidden, and nothing is made by it.
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert not re.search(r"createElement|innerHTML|insertAdjacent|fetch|import", script)
    assert re.search(r'<p class="switches" hidden>', text)


def test_the_page_can_be_read_without_seeing_it(written):
    text = (written[0] / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.headings[:2] == [1, 2]
    assert all(b - a <= 1 for a, b in pairwise(page.headings)), "a level of headings is skipped"
    for attributes in page.pictures:
        assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label"), attributes
        assert attributes.get("aria-hidden") == "true" or attributes.get("role") == "img"


def test_the_contents_list_every_section_and_each_is_folded(written):
    text = (written[0] / "index.html").read_text(encoding="utf-8")
    contents = re.findall(r'<li><a href="#([\w-]+)">', text[: text.index("<main")])
    sections = re.findall(r'<div class="body" id="([\w-]+)">', text)
    assert contents == ["findings", *sections]
    assert sections[:2] == ["base", "example"]
    shown = (study.key for study in STUDIES if any(row.quick for row in study.rows))
    assert set(sections) == {*shown, "example"}
    assert text.count('<details class="part">') == len(sections)


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


def test_every_study_shows_each_of_its_settings(written):
    out = written[0]
    text = (out / "index.html").read_text(encoding="utf-8")
    for study in STUDIES:
        if not any(row.quick for row in study.rows):  # a quick report does without the study
            assert f'"{study.key}"' not in text
            continue
        section = text[text.index(f'<div class="body" id="{study.key}">') :]
        section = section[: section.index('class="back"')]
        rows = [row for row in study.rows if row.quick]
        for row in rows:
            assert row.label.replace("'", "&#39;") in section
        assert section.count('<svg class="multiple"') == len(rows)
        assert section.count("Iter1 | Ground truth: ") == len(rows)
        assert section.count("tinygrad-lab train") == len(rows)
        # Loss beside accuracy, and under each figure the data behind it.
        assert section.count("<figcaption>Loss") == section.count("<figcaption>Accuracy") > 0
        figures = re.findall(r"<figure>.*?</figure>", section, re.DOTALL)
        assert all(re.search(r'<a href="data/[\w-]+\.csv" download>', each) for each in figures)


def test_the_data_of_a_study_lie_beside_the_page(written):
    out = written[0]
    for study in STUDIES:
        if not any(row.quick for row in study.rows):
            continue
        rows = table(out / f"data/{study.key}.csv")
        assert {"reported", "lowest", "median", "highest", "grade", "agreeing"} <= set(rows[0])
        settings = [row for row in study.rows if row.quick]
        labels = {(row.report, row.label, row.settings.data) for row in settings}
        for ending in ("curves", "predictions"):
            rows = table(out / f"data/{study.key}-{ending}.csv")
            assert {(row["report"], row["setting"], row["data"]) for row in rows} == labels
        (first, *_) = table(out / f"data/{study.key}-outputs.csv")
        assert len(first) == 2 + len(settings)


def test_numbers_are_written_as_one_would(written):
    """No number shows what is left of computing in binary, such as 56.99999999999999."""
    for path in (written[0] / "data").glob("*.csv"):
        if path.name != "runs.csv":  # whose losses are to the last bit
            for cell in itertools.chain(*csv.reader(path.read_text("utf-8").splitlines())):
                if re.fullmatch(r"-?[\d.]+(e[-+]\d+)?", cell):
                    digits = re.sub(r"e.*|\D", "", cell).strip("0")
                    assert len(digits) <= 10, (path.name, cell)


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


def test_every_run_is_written_down_and_can_be_repeated_to_the_last_bit(written):
    out, outcome = written
    rows = table(out / "data/runs.csv")
    columns = Settings().to_row()
    assert len({tuple(row[name] for name in columns) for row in rows}) == outcome.settings
    assert {int(row["seed"]) for row in rows} == set(range(20))  # the acceptance has all twenty
    for row in rows[:: len(rows) // 5]:
        settings = Settings.from_row({name: row[name] for name in columns})
        (result,) = train_many(settings, [int(row["seed"])])
        assert result.accuracy == pytest.approx(float(row["accuracy"]), rel=1e-9)
        assert str(result.loss) == row["final_loss"]
        assert row["command"].startswith(f"tinygrad-lab train {settings.data} ")


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
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("earlier")
    monkeypatch.setattr(writing.page, "files", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report(out, short(STUDIES[-1:]))
    assert [p.name for p in out.iterdir()] == ["index.html"]
    assert (out / "index.html").read_text() == "earlier"
    with pytest.raises(ZeroDivisionError):
        report(tmp_path / "new", short(STUDIES[-1:]))
    assert not (tmp_path / "new").exists()


def interrupted_after(monkeypatch, count):
    """Let Ctrl-C come when so many settings are stored; list how many each report began with."""
    run, begun_with = runner.run_all, []

    def interrupted(jobs, *, finished, keep, **options):
        begun_with.append(len(finished))
        left = iter(range(len(jobs) if count is None else count))

        def keep_or_stop(settings, results):
            if next(left, None) is None:
                raise KeyboardInterrupt
            keep(settings, results)

        return run(jobs, finished=finished, keep=keep_or_stop, **options)

    monkeypatch.setattr(writing, "run_all", interrupted)
    return begun_with


def contents(out):
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {p.name: re.sub(r"in \d+&nbsp;s", "", p.read_text("utf-8")) for p in files}


def counted(path, _runs, _quick):
    """A section that says each time it is made."""
    with path.open("a") as file:
        file.write("made\n")
    return Section({"made": 1}, {"counted.csv": Table(("a",), [(1,)])})


def test_an_interrupted_report_goes_on_and_is_as_if_nothing_had_been(tmp_path, monkeypatch, capsys):
    out, studies = tmp_path / "report", short(STUDIES[-1:])
    options = {"studies": studies, "parts": (), "quick": True, "workers": 1}
    out.mkdir()
    (out / "index.html").write_text("earlier")
    with monkeypatch.context() as patch:
        interrupted_after(patch, 1)
        with pytest.raises(KeyboardInterrupt, match="1 of 2 settings are stored in"):
            make_report(out, progress=False, **options)
    assert (out / "index.html").read_text() == "earlier"
    with monkeypatch.context() as patch:
        begun = interrupted_after(patch, None)
        make_report(out, **options)
    assert begun == [1]
    assert "going on with 1 of 2 settings of an interrupted run" in capsys.readouterr().err
    make_report(tmp_path / "undisturbed", progress=False, **options)
    assert contents(out) == contents(tmp_path / "undisturbed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "undisturbed"]


def test_a_section_that_is_made_is_not_made_again(tmp_path, monkeypatch):
    part = Part(key="example", title="", make=partial(counted, tmp_path / "counted"))
    options = {"studies": short(STUDIES[-1:]), "parts": [part], "workers": 1, "progress": False}
    with monkeypatch.context() as patch:
        patch.setattr(writing.page, "files", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make_report(tmp_path / "out", **options)
    monkeypatch.setattr(writing.page, "files", lambda *_, **__: {"index.html": "page"})
    make_report(tmp_path / "out", **options)
    assert (tmp_path / "counted").read_text() == "made\n"
    make_report(tmp_path / "out", **options)
    assert (tmp_path / "counted").read_text() == "made\n" * 2, "a finished report is made anew"


def test_fresh_forgets_what_is_stored(tmp_path, monkeypatch):
    begun = interrupted_after(monkeypatch, 1)
    for fresh in (False, True):
        with pytest.raises(KeyboardInterrupt, match="1 of 2"):
            report(tmp_path / "out", short(STUDIES[-1:]), quick=True, fresh=fresh)
    assert begun == [0, 0]


def test_ctrl_c_before_anything_is_finished_leaves_nothing(tmp_path, monkeypatch):
    interrupted_after(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        report(tmp_path / "a/new", short(STUDIES[-1:]))
    assert str(interrupt.value) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_loses_nothing_that_is_finished(tmp_path, monkeypatch):
    write, written = storing.write_file, []

    def full(path, content):
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(write(path, content))

    with monkeypatch.context() as patch:
        patch.setattr(storing, "write_file", full)
        with pytest.raises(OSError, match="No space left"):
            report(tmp_path / "out", short(STUDIES[-1:]), quick=True)
    begun = interrupted_after(monkeypatch, None)
    report(tmp_path / "out", short(STUDIES[-1:]), quick=True)
    assert begun == [1]


def test_two_reports_at_once_in_one_folder(tmp_path):
    out = tmp_path / "out"
    with storing.opened(out, "full"), pytest.raises(OSError, match="another report is being made"):
        report(out, short(STUDIES[-1:]), quick=True)
    assert list(tmp_path.iterdir()) == []


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
    rows = [Row("", f"{n}", Settings(hidden=(1,), epochs=n), seeds=1) for n in (10, 20, 10**8)]
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
    patience = threading.Timer(60, os.killpg, (process.pid, signal.SIGKILL))
    patience.start()
    try:
        progress = b""
        while b"2/3" not in progress:
            chunk = os.read(process.stderr.fileno(), 1000)
            assert chunk, progress.decode()  # it ended, or was ended
            progress += chunk
        patience.cancel()
        yield process
    finally:
        patience.cancel()
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
    assert b"interrupted; 2 of 3 settings are stored in " in stderr
    assert stderr.count(b"tinygrad-lab: ") == 1
    assert b"Traceback" not in stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name == "nt", reason="processes are ended in POSIX's way")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_report_that_is_ended_leaves_no_process(training, tmp_path, name):
    number = getattr(signal, name)
    training.send_signal(number)  # to it alone: its workers are to notice by themselves
    _, stderr = training.communicate(timeout=60)
    if name == "SIGTERM":
        assert training.returncode == 128 + number
        assert b"interrupted; 2 of 3 settings are stored in " in stderr
        assert not (tmp_path / "out").exists()
