"""What is stored comes back to the last bit, or not at all."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from tinygrad_lab.lab import Settings, train_many
from tinygrad_lab.lab.reports import storing
from tinygrad_lab.lab.reports.storing import Store, opened
from tinygrad_lab.lab.training import Result

ADAM = Settings(hidden=(3, 2), optimizer="adam", epochs=5)
SETTINGS = [
    ADAM,
    Settings(data="linear", n=7, bias=False, threshold="median", activation="relu", epochs=5),
    Settings(activation="none", lr=9.0, epochs=50),  # diverges
]
SEEDS = [3, 0, 8]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def same(a, b):
    """Whether two values are equal to the last bit, arrays within them included."""
    if isinstance(a, np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("settings", SETTINGS, ids=["adam", "relu", "diverged"])
def test_runs_come_back_with_all_that_a_result_has(store, settings):
    results = train_many(settings, SEEDS)
    store.keep(settings, SEEDS, results)
    (again,) = store.results([(settings, SEEDS)]).values()
    for before, after in zip(results, again, strict=True):
        for field in fields(Result):
            pair = getattr(before, field.name), getattr(after, field.name)
            assert same(*(dict(v) if field.name == "weights" else v for v in pair)), field.name
    assert store.count([(settings, SEEDS), (settings, [1])]) == 1


def test_nothing_else_is_taken_for_it(store, monkeypatch):
    store.keep(ADAM, SEEDS, train_many(ADAM, SEEDS))
    for settings, seeds in (
        (replace(ADAM, lr=0.2), SEEDS),
        (ADAM, SEEDS[:2]),
        (ADAM, sorted(SEEDS)),
        (ADAM, range(3)),
    ):
        assert store.results([(settings, seeds)]) == {}
    program = storing._program()
    monkeypatch.setattr(storing, "_program", lambda: program + "another")
    assert store.results([(ADAM, SEEDS)]) == {}
    assert store.text({"part": "a"}) is None


def test_the_program_is_its_code(monkeypatch, tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    prints = set()
    for text in ("a = 1", "a = 2", "a = 1"):
        (package / "__init__.py").write_text(text)
        monkeypatch.setattr(storing.tinygrad_lab, "__file__", str(package / "__init__.py"))
        prints.add(storing._program.__wrapped__())
    assert len(prints) == 2


def test_a_file_that_is_not_whole_is_as_if_it_were_not_there(store):
    about = {"part": "a"}
    store.keep(ADAM, SEEDS, train_many(ADAM, SEEDS))
    store.keep_text(about, "x" * 100)
    assert store.text(about) == "x" * 100
    for path in store.folder.iterdir():
        content = path.read_bytes()
        for end in range(0, len(content), max(1, len(content) // 50)):
            path.write_bytes(content[:end])
            assert store.results([(ADAM, SEEDS)]) == {} or store.text(about) is None
        for place in range(0, len(content), max(1, len(content) // 50)):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            for again in store.results([(ADAM, SEEDS)]).values():
                assert [r.seed for r in again] == SEEDS
            assert store.text(about) in ("x" * 100, None)
        path.write_bytes(content)


def test_what_a_file_does_not_hold_is_not_stored(store):
    store.keep(ADAM, SEEDS, train_many(ADAM, SEEDS, snapshots=[0]))
    assert store.results([(ADAM, SEEDS)]) == {}


def test_a_store_lies_beside_its_report_and_goes_when_it_is_empty(tmp_path):
    out = tmp_path / "a/report"
    with opened(out, "full") as store:
        assert out.parent in store.folder.parents
        assert not out.exists()
        store.keep_text({}, "text")
    with opened(out, "quick") as other:
        assert other.text({}) is None
    with opened(out, "full") as store:
        assert store.text({}) == "text"
        store.clear()
        store.folder.mkdir()
    assert list((tmp_path / "a").iterdir()) == []


def test_in_a_folder_with_other_files_it_lies_inside_and_is_found_from_everywhere(tmp_path):
    out = tmp_path / "report"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with opened(out, "full") as store:
        store.keep_text({}, "text")
    assert out in store.folder.parents
    (out / "notes.txt").unlink()
    with opened(out, "full") as store:
        assert store.text({}) == "text"


def test_it_is_for_one_report_at_a_time(tmp_path):
    out = tmp_path / "report"
    with opened(out, "full"):
        with (
            pytest.raises(OSError, match="another report is being made there"),
            opened(out, "quick"),
        ):
            pytest.fail("two at once")
        with opened(tmp_path / "other", "full"):
            pass
    with opened(out, "full"):
        pass


def test_a_report_that_cannot_be_has_no_store(tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(OSError, match="file"), opened(Path(out), "full"):
            pytest.fail("opened")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
