"""A report is there as a whole or not at all, whenever its process ends; names are no paths."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interrupts import interrupted_everywhere
from tinygrad_lab.lab.reports import make_report, publishing, writing
from tinygrad_lab.lab.reports.publishing import published
from tinygrad_lab.lab.reports.study import Study

ROOT = Path(__file__).parents[3]
STRIDE = os.environ.get("KILL_EVERY", "11")  # lines; `make test-soak` kills at every one
TWO_STEPS = "publishing._exchanged = lambda *_: False"


def write(folder, run, more=()):
    """A report of as few files as there can be, which all say of which run they are."""
    (folder / "data").mkdir(exist_ok=True)
    names = ["runs.csv", "base.csv", *more]
    links = " ".join(f'<a href="data/{name}" download>{name}</a>' for name in names)
    (folder / "index.html").write_text(f"{run} {links}", encoding="utf-8")
    for name in names:
        (folder / "data" / name).write_text(run, encoding="utf-8")


def publish(out, run, more=()):
    with published(out) as folder:
        write(folder, run, more)


def runs_in(out):
    """Of which run the page is, and of which the data are; None where there is no page."""
    data = {path.read_text("utf-8") for path in (out / "data").glob("*.csv")}
    try:
        return (out / "index.html").read_text("utf-8").split()[0], data
    except FileNotFoundError:
        return None, data


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


REPORT = ["data", "data/base.csv", "data/runs.csv", "index.html"]


def nothing(out):
    pass


def an_earlier_report(out):
    out.mkdir(parents=True)
    write(out, "one", more=["old.csv"])


def an_empty_folder(out):
    out.mkdir(parents=True)


def notes(out):
    an_earlier_report(out)
    (out / "notes.txt").write_text("mine")


def notes_among_the_data(out):
    an_earlier_report(out)
    (out / "data/notes.txt").write_text("mine")


def another_page(out):
    (out / "data").mkdir(parents=True)
    (out / "data/mine.csv").write_text("mine")
    (out / "index.html").write_text('mine <a href="data/mine.csv" download>')


PLACES = [nothing, an_earlier_report, an_empty_folder, notes, notes_among_the_data, another_page]
every_place = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)


@every_place
@pytest.mark.parametrize("exchange", [True, False])
def test_a_report_takes_the_place_of_an_earlier_one_and_of_nothing_else(
    tmp_path, monkeypatch, place, exchange
):
    if not exchange:
        monkeypatch.setattr(publishing, "_exchanged", lambda *_: False)
    out = tmp_path / "a/report"
    place(out)
    others = {name for name in names(out) if "notes" in name or "mine" in name}
    for run in ("two", "three"):
        publish(out, run)
        assert {*names(out)} == {*REPORT, *others}
        assert (out / "index.html").read_text("utf-8").split()[0] == run
        assert names(tmp_path / "a") == sorted(["report", *(f"report/{n}" for n in names(out))])


@every_place
def test_a_failure_leaves_what_was_there(tmp_path, place):
    out = tmp_path / "a/report"
    place(out)
    before = names(tmp_path)
    with pytest.raises(TypeError), published(out) as folder:
        write(folder, "two", more=[0])
    assert names(tmp_path) == before


def test_a_page_has_the_rights_that_files_have_here(tmp_path):
    before = os.umask(0o027)
    try:
        publish(tmp_path / "new", "one")
        (tmp_path / "folder").mkdir()
        assert (tmp_path / "new").stat().st_mode == (tmp_path / "folder").stat().st_mode
        (tmp_path / "new").chmod(0o700)
        publish(tmp_path / "new", "two")
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


def test_a_link_to_a_folder_stays_one(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "report").symlink_to("there")
    publish(tmp_path / "report", "one")
    publish(tmp_path / "report", "two")
    assert (tmp_path / "report").is_symlink()
    assert runs_in(tmp_path / "there") == ("two", {"two"})


def test_the_current_folder_stays_where_one_is(tmp_path, monkeypatch):
    an_earlier_report(tmp_path / "report")
    monkeypatch.chdir(tmp_path / "report")
    publish(Path(), "two")
    assert names(Path()) == REPORT
    assert runs_in(Path()) == ("two", {"two"})


@pytest.mark.parametrize("name", ["report", "report/index.html", "report/data"])
def test_a_place_that_is_taken_is_found_out_before_anything_is_done(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).mkdir() if name.endswith("html") else (tmp_path / name).write_text("mine")
    with pytest.raises(OSError, match=name.replace(".", r"\.")), published(tmp_path / "report"):
        pytest.fail("it began")
    assert (tmp_path / name).exists()


def test_ctrl_c_leaves_the_earlier_report_or_the_new_one(tmp_path):
    out = tmp_path / "report"

    def make():
        for path in sorted(tmp_path.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        an_earlier_report(out)

    def look(_):
        return runs_in(out), names(tmp_path)

    def action(_):
        publish(out, "two")

    left = [
        look
        for _, look in interrupted_everywhere(make, action, look, within="publishing.py", stride=3)
    ]
    assert {str(runs) for runs, _ in left} == {"('one', {'one'})", "('two', {'two'})"}
    # Between two lines of the clean-up itself nothing can clean up, but the next run does.
    assert sum(any("finished" in name for name in all_) for _, all_ in left) <= 4


KILLED = """
import shutil, sys
from pathlib import Path
from tests.interrupts import killed_everywhere
from tests.lab.reports import test_publishing as t
from tinygrad_lab.lab.reports import publishing

home = Path(sys.argv[1])
out = home / "report"

def make():
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    PLACE(out)

def state(_):
    left = t.runs_in(out) if out.exists() else "no folder"
    t.publish(out, "three")
    again = t.names(home)
    return left, again, t.runs_in(out)[0]

PLACE = getattr(t, sys.argv[2])
exec(sys.argv[3])
options = {"within": "publishing.py", "stride": int(sys.argv[4])}
for left in killed_everywhere(make, lambda _: t.publish(out, "two"), state, **options):
    print(repr(left))
"""


@pytest.mark.skipif(os.name == "nt", reason="it forks")
@pytest.mark.parametrize(
    ("place", "patch", "between"),
    [
        (nothing, "", {"no folder"}),
        (an_earlier_report, "", set()),
        # Where the system exchanges no folders, or the folder holds other files, there is for a
        # moment no page.
        (an_earlier_report, TWO_STEPS, {"no folder"}),
        (notes, "", {"no page"}),
    ],
    ids=["nothing", "earlier", "earlier in two steps", "notes"],
)
def test_a_killed_run_leaves_one_report_as_a_whole_and_the_next_run_sweeps(
    tmp_path, place, patch, between
):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "home", place.__name__, patch, STRIDE],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    kills = [eval(line) for line in done.stdout.splitlines()]
    assert len(kills) * int(STRIDE) > 50
    looks = set()
    for left, again, run in kills:
        page, data = (left, None) if left == "no folder" else left
        looks.add(page or "no page")
        if page in ("one", "two"):
            assert data == {page}
        expected = ["report", *(f"report/{name}" for name in REPORT)]
        assert again == sorted(expected + ["report/notes.txt"] * (place is notes))
        assert run == "three"
    before = {"one"} if place is not nothing else set()
    assert before <= looks <= before | {*between, "two"}
    assert "two" in looks or STRIDE != "1"


def test_a_folder_that_somebody_writes_in_is_no_leftover(tmp_path):
    out = tmp_path / "report"
    with published(out) as first:
        publish(out, "two")
        assert first.is_dir()
        write(first, "one")
    assert runs_in(out) == ("one", {"one"})
    assert names(tmp_path) == ["report", *(f"report/{name}" for name in REPORT)]


def test_leftovers_of_others_stay(tmp_path):
    for name in (".unfinished-symphony", ".unfinished-other-00000000"):
        (tmp_path / name).mkdir()
    (tmp_path / ".unfinished-report-00000000").mkdir()
    publish(tmp_path / "report", "one")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"report", ".unfinished-symphony", ".unfinished-other-00000000"}


# ---- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        *("../../../evil", "/etc/evil", "a/b", "a\\b", "..", ".", "", "a.b", "a b", "a\n", "a\0"),
        *("-a", "C:evil", "~", "é", "A", "a" * 81, "<b>", '"onload="'),
    ],
)
def test_a_key_is_no_path(key):
    with pytest.raises(ValueError, match=r"a study's key names its files: .* such as"):
        Study(key, "", "", ())


@pytest.mark.parametrize(
    "keys", [["a", "a"], ["a", "a-curves"], ["runs"], ["findings"], ["example"], ["by-hand"]]
)
def test_no_study_writes_over_another(tmp_path, monkeypatch, keys):
    monkeypatch.setattr(writing, "run_all", pytest.fail)
    with pytest.raises(ValueError, match="needs a key of its own"):
        make_report(tmp_path, studies=[Study(key, "", "", ()) for key in keys])
    assert list(tmp_path.iterdir()) == []
