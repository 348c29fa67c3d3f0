"""The store: whole rows or none, never another program's file, and one writer at a time."""

import itertools
import os
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from tests.interrupts import interrupted_everywhere, killed_everywhere
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.sweeps import Store, StoreError, status_of
from tinygrad_lab.lab.sweeps.status import reading, settings_of
from tinygrad_lab.lab.sweeps.store import curve_of, is_in_use
from tinygrad_lab.lab.sweeps.trial import MEASURES, Trial, key_of, run_trials

SETTINGS = Settings(data="linear", n=9, epochs=3, bias=False, lr=0.1 + 0.2)


@pytest.fixture(scope="module")
def trial():
    """A trial that is done."""
    [trial] = run_trials(SETTINGS, [7])
    return trial


def rows_of(path):
    with reading(path) as connection:
        return [dict(row) for row in connection.execute("select * from trials order by trial")]


def test_a_row_holds_a_trial_to_the_last_bit(tmp_path, trial):
    with Store(tmp_path / "a.sqlite") as store:
        store.record(trial)
    [row] = rows_of(tmp_path / "a.sqlite")
    assert settings_of(row) == SETTINGS
    assert row["seed"] == 7
    assert {name: row[name] for name in MEASURES} == trial.measured
    assert row["test_accuracy"] is not None
    with reading(tmp_path / "a.sqlite") as connection:
        epochs, losses = curve_of(connection, row["trial"])
    np.testing.assert_array_equal(epochs, trial.curve[0])
    np.testing.assert_array_equal(losses, trial.curve[1])


def test_a_diverged_trial_is_done(tmp_path):
    [trial] = run_trials(Settings(activation="none", lr=9.0, epochs=60), [0])
    with Store(tmp_path / "a.sqlite") as store:
        store.record(trial)
    [row] = rows_of(tmp_path / "a.sqlite")
    assert (row["status"], row["final_loss"]) == ("done", float("inf"))
    assert row["diverged_at"] == trial.measured["diverged_at"] > 0


def test_what_came_of_a_trial_at_last_is_what_is_there(tmp_path, trial):
    with Store(tmp_path / "a.sqlite") as store:
        store.record(Trial(SETTINGS, 7, traceback="why"))
        assert store.statuses() == {key_of(SETTINGS, 7): "failed"}
        store.record(trial)
        assert store.statuses() == {key_of(SETTINGS, 7): "done"}
    [row] = rows_of(tmp_path / "a.sqlite")
    assert row["traceback"] is None


def test_its_schema_can_be_told_from_outside(tmp_path):
    with Store(tmp_path / "a.sqlite"):
        pass
    header = (tmp_path / "a.sqlite").read_bytes()[:100]
    assert (header[68:72], header[60:64]) == (b"tlsw", (2).to_bytes(4, "big"))  # fileformat2.html
    assert header[18:20] == b"\x02\x02"  # WAL


# ---- kills and interrupts -----------------------------------------------------------------------


def written(path, trials):
    with Store(path) as store:
        store.begin("", len(trials), 0, 0)
        for trial in trials:
            store.record(trial)
        store.end()


@pytest.mark.skipif(os.name == "nt", reason="processes are ended in POSIX's way")
def test_killed_at_any_line_it_can_be_opened_and_has_whole_rows(tmp_path, trial):
    trials = [trial, Trial(SETTINGS, 8, traceback="why")]
    stride = int(os.environ.get("KILL_EVERY", "19"))
    paths = (tmp_path / f"{number}.sqlite" for number in range(10**6))

    def rows_left(path):
        with Store(path) as store:  # the lock was let go of
            statuses = store.statuses()
        with reading(path) as connection:
            for key, status in statuses.items():
                assert (status == "failed") or len(curve_of(connection, key)[0]) > 0
        return len(statuses)

    kills = killed_everywhere(
        lambda: next(paths), lambda path: written(path, trials), rows_left,
        within="lab/sweeps/store.py", stride=stride,
    )  # fmt: skip
    numbers = list(kills)
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 1, 2}


def test_interrupted_at_any_line_it_has_whole_rows(tmp_path, trial):
    with Store(tmp_path / "a.sqlite") as store:
        connection = store._connection

        def emptied():
            with store._transaction():  # which an interrupt before does not hinder
                connection.execute("delete from curves")
                connection.execute("delete from trials")
            return store

        def numbers(store):
            with store._transaction():
                pass
            [(curves,)] = connection.execute("select count(*) from curves")
            return len(store.statuses()), curves

        states = interrupted_everywhere(
            emptied, lambda store: store.record(trial), numbers, within="lab/sweeps/store.py"
        )
        assert {state for _, state in states} == {(0, 0), (1, 1)}


# ---- files that cannot be used ------------------------------------------------------------------


def refused(path, *, reads=True, patience=0.05):
    """Open a file for writing, and for reading; return what is said, which is one line."""
    with pytest.raises(StoreError) as error:
        Store(path, patience=patience)
    if reads:
        with pytest.raises(StoreError):
            status_of(path)
    message = str(error.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_another_programs_database_is_left_as_it_was(tmp_path):
    path = tmp_path / "a.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("create table trials (a)")
    connection.close()
    before = path.read_bytes()
    assert "is another program's database" in refused(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "change", ["pragma user_version = 1", "alter table trials add column momentum"]
)
def test_another_schema(tmp_path, change):
    path = tmp_path / "a.sqlite"
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute(change)
    connection.close()
    assert "was written by another version of tinygrad_lab" in refused(path)


def test_no_database(tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_text("seed,loss\n1,0.5\n" * 100)
    assert "is no SQLite database" in refused(path)
    assert path.read_text().startswith("seed,loss")


def test_a_damaged_database(tmp_path, trial):
    path = tmp_path / "a.sqlite"
    written(path, [trial])
    with path.open("r+b") as stream:
        stream.truncate(5000)
    assert "is a damaged database" in refused(path)


def test_a_folder_and_a_missing_folder(tmp_path):
    (tmp_path / "a.sqlite").mkdir()
    assert "cannot open" in refused(tmp_path / "a.sqlite")
    assert "there is no folder" in refused(tmp_path / "none/a.sqlite")


def test_a_missing_and_an_empty_file_have_no_status(tmp_path):
    with pytest.raises(StoreError, match=r"there is no .*a\.sqlite"):
        status_of(tmp_path / "a.sqlite")
    (tmp_path / "a.sqlite").touch()
    with pytest.raises(StoreError, match="is empty: no sweep has been run"):
        status_of(tmp_path / "a.sqlite")
    assert (tmp_path / "a.sqlite").stat().st_size == 0


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="rights do not bind this user")
def test_a_read_only_file(tmp_path):
    path = tmp_path / "a.sqlite"
    Store(path).close()
    path.chmod(0o444)
    assert "read-only" in refused(path, reads=False)


def test_a_database_that_another_program_writes_to(tmp_path, trial):
    path = tmp_path / "a.sqlite"
    written(path, [trial])
    store = Store(path, patience=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(StoreError, match="another program has been writing to"):
        store.record(trial)
    assert status_of(path).stored == 1  # who reads need not wait
    other.execute("rollback")
    store.record(trial)
    other.close()
    store.close()


def test_one_sweep_at_a_time(tmp_path):
    path = tmp_path / "a.sqlite"
    assert not is_in_use(path)
    with Store(path):
        assert is_in_use(path)
        assert "another sweep is writing to" in refused(path, reads=False)
        (tmp_path / "b.sqlite").symlink_to(path)
        assert "another sweep is writing to" in refused(tmp_path / "b.sqlite", reads=False)
        code = f"from tinygrad_lab.lab.sweeps import Store; Store({os.fspath(path)!r}, patience=0)"
        elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "StoreError: another sweep is writing to" in elsewhere.stderr
    assert not is_in_use(path)
    Store(path).close()


def record_without_end(store, recorded):
    for seed in itertools.count(10):
        store.record(Trial(SETTINGS, seed, traceback="x" * 500))
        recorded.append(seed)


def test_a_full_database(tmp_path, trial):
    path = tmp_path / "a.sqlite"
    with Store(path) as store:
        pages = store._connection.execute("pragma page_count").fetchone()[0]
        store._connection.execute(f"pragma max_page_count = {pages + 2}")
        with pytest.raises(StoreError, match=r"the disk of .*a\.sqlite is full; what is finished"):
            record_without_end(store, recorded := [])
        assert len(store.statuses()) == len(recorded) > 0
        store._connection.execute(f"pragma max_page_count = {pages + 100}")
        store.record(trial)
    assert status_of(path).stored == len(recorded) + 1


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be deleted there")
def test_a_store_that_is_deleted_takes_nothing_more(tmp_path):
    with Store(tmp_path / "a.sqlite") as store:
        store.begin("", 1, 0, 0)
        (tmp_path / "a.sqlite").unlink()
        with pytest.raises(StoreError, match="was deleted while a sweep was writing to it"):
            store.record(Trial(Settings(), 0, {"final_loss": 0.5}, seconds=0.5))
