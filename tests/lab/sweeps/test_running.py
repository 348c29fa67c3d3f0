"""Running a sweep: every trial once, whatever ends workers, executors or the sweep itself."""

import os
from collections import Counter
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import numpy as np
import pytest

from tinygrad_lab.lab.data import DataError
from tinygrad_lab.lab.sweeps import (
    PlanError,
    Store,
    StoreError,
    SweepError,
    parse_plan,
    run_sweep,
    running,
    status_of,
)
from tinygrad_lab.lab.sweeps.errors import WorkerEndedError
from tinygrad_lab.lab.sweeps.status import reading, settings_of
from tinygrad_lab.lab.sweeps.store import curve_of
from tinygrad_lab.lab.sweeps.trial import MEASURES, Trial, key_of, run_trials
from tinygrad_lab.lab.training import train

PLAN = """
seeds = 3
[settings]
epochs = 3
[grid]
hidden = [[2], [3, 3]]
[random]
trials = 2
lr = { log_uniform = [0.01, 1] }
"""
KEYS = {key_of(s, seed) for s in parse_plan(PLAN).settings() for seed in range(3)}


@pytest.fixture
def store(tmp_path):
    """A new store."""
    with Store(tmp_path / "a.sqlite") as store:
        yield store


def untrained(settings, seeds):
    """Stand in for `run_trials` where only who runs what is looked at."""
    curve = np.arange(2), np.array([1.0, settings.lr])
    measured = {"final_loss": settings.lr, "accuracy": 1.0}
    return [Trial(settings, seed, measured, curve, seconds=0.01) for seed in seeds]


@pytest.fixture
def trained(monkeypatch):
    """Count how often each trial is run in this process, without training it."""
    counts = Counter()

    def counting(settings, seeds):
        counts.update(key_of(settings, seed) for seed in seeds)
        return untrained(settings, seeds)

    monkeypatch.setattr(running, "run_trials", counting)
    return counts


def swept(store, text=PLAN, **options):
    return run_sweep(parse_plan(text), store, progress=False, **options)


def rows_of(store):
    with reading(store.path) as connection:
        rows = connection.execute("select * from trials order by trial").fetchall()
        keys = {key for (key,) in connection.execute("select trial from curves")}
        assert keys == {row["trial"] for row in rows if row["status"] == "done"}
        curves = {key: curve_of(connection, key) for key in keys}
    return [(dict(row), curves.get(row["trial"])) for row in rows]


def compared(store):
    """What two sweeps of one plan have in common: all but when, how long, and at which start."""
    other = {"seconds", "finished_at", "run"}
    return [
        ({k: v for k, v in row.items() if k not in other}, [part.tobytes() for part in curve])
        for row, curve in rows_of(store)
    ]


def test_every_trial_is_run_once_and_again_none(store, at_once, trained):
    status = swept(store, executor=at_once)
    assert (status.trials, status.done, status.failed, status.waiting) == (12, 12, 0, 0)
    assert trained == Counter(KEYS)
    assert swept(store, executor=at_once).done == 12
    assert trained == Counter(KEYS)


def test_a_row_alone_gives_the_same_to_the_last_bit(store, at_once):
    swept(store, "seeds = 2\nsettings.epochs = 3\ngrid.lr = [0.1, 0.3]", executor=at_once)
    for row, (epochs, losses) in rows_of(store):
        settings = settings_of(row)
        [alone] = run_trials(settings, [row["seed"]])
        assert {name: row[name] for name in MEASURES} == alone.measured
        np.testing.assert_array_equal(epochs, alone.curve[0])
        np.testing.assert_array_equal(losses, alone.curve[1])
        np.testing.assert_array_equal(losses, train(settings, row["seed"]).losses)


def test_a_row_knows_what_its_file_held(store, at_once, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(12)))
    text = f"""settings = {{ data = "{path}", target = "y", epochs = 1 }}\nseeds = 2"""
    assert swept(store, text, executor=at_once).done == 2
    path.write_text("x,y\n" + "".join(f"{i * i},{i % 2}\n" for i in range(12)))
    [(row, _), _] = rows_of(store)
    with pytest.raises(DataError, match=f"{row['digest']} is asked for"):
        run_trials(settings_of(row), [row["seed"]])
    status = swept(store, text, executor=at_once)  # of other data these are other trials
    assert (status.done, status.stored) == (2, 4)
    with pytest.raises(PlanError, match="is asked for; put back the file of then"):
        swept(store, text.replace("epochs", f'digest = "{row["digest"]}", epochs'))


def test_threads_and_processes_give_the_same(tmp_path, at_once):
    text = "seeds = 4\nsettings.epochs = 3\ngrid.hidden = [[2], [3, 3]]"
    with ThreadPoolExecutor(3) as threads:
        ways = ({"executor": at_once}, {"executor": threads}, {"workers": 1})
        sweeps = []
        for number, options in enumerate(ways):
            with Store(tmp_path / f"{number}.sqlite") as store:
                swept(store, text, **options)
                sweeps.append(compared(store))
    assert sweeps[0] == sweeps[1] == sweeps[2]


def test_a_changed_plan_uses_what_is_there(store, at_once, trained):
    swept(store, "seeds = 2\nsettings.epochs = 2\ngrid.lr = [0.1, 1]", executor=at_once)
    before = compared(store)
    status = swept(store, "seeds = 3\ngrid.lr = [0.5, 1]\ngrid.epochs = [2]", executor=at_once)
    assert (status.trials, status.done, status.stored) == (6, 6, 8)
    assert set(trained.values()) == {1}
    assert [pair for pair in compared(store) if pair in before] == before


def test_draws_of_the_same_are_one_trial(store, at_once, trained):
    text = "seeds = 2\nsettings.epochs = 1\n[random]\ntrials = 20\nbias.choice = [true, false]"
    assert swept(store, text, executor=at_once).trials == 4
    assert set(trained.values()) == {1}


def test_nothing_is_run_of_a_plan_that_cannot_be(store, at_once, trained):
    text = 'settings.epochs = 1\ngrid.loss = ["mse", "report-a"]\ngrid.activation = ["tanh"]'
    with pytest.raises(PlanError):
        swept(store, text, executor=at_once)
    assert not trained


def test_few_tasks_are_with_the_executor_at_a_time(store, trained, monkeypatch):
    class Waiting(Executor):
        def __init__(self):
            self.tasks = []

        def submit(self, *call):
            self.tasks.append((Future(), *call))
            return self.tasks[-1][0]

    executor, numbers = Waiting(), []

    def finish_one(futures, **options):
        numbers.append(len(executor.tasks))
        future, function, *arguments = executor.tasks.pop()
        future.set_result(function(*arguments))
        return wait(futures, **options)

    monkeypatch.setattr(running, "wait", finish_one)
    swept(store, executor=executor, ahead=3)
    assert max(numbers) == 3
    assert trained == Counter(KEYS)


# ---- failures -----------------------------------------------------------------------------------


@pytest.fixture
def failing(monkeypatch):
    """Trials with seed 1 fail, as long as the returned list is not empty."""
    active = ["out of luck"]

    def run(settings, seeds):
        if active and 1 in seeds:
            raise ArithmeticError(active[0])
        return untrained(settings, seeds)

    monkeypatch.setattr(running, "run_trials", run)
    return active


def test_a_trial_that_fails_keeps_its_traceback_and_fails_alone(store, at_once, failing):
    status = swept(store, executor=at_once)
    assert (status.done, status.failed) == (8, 4)
    for row in failed_rows(store):
        assert row["seed"] == 1
        assert row["traceback"].startswith("Traceback (most recent call last)")
        assert row["traceback"].endswith("ArithmeticError: out of luck\n")
        assert row["final_loss"] is None


def failed_rows(store):
    return [row for row, _ in rows_of(store) if row["status"] == "failed"]


def test_failed_trials_are_run_again_when_asked_to(store, at_once, failing):
    swept(store, executor=at_once)
    failing.clear()
    assert swept(store, executor=at_once).failed == 4
    status = swept(store, executor=at_once, retry_failed=True)
    assert (status.trials, status.done, status.failed) == (12, 12, 0)
    assert not failed_rows(store)


def test_an_interrupt_keeps_what_is_finished(store, at_once, monkeypatch, trained):
    record = store.record

    def interrupted(trial):
        record(trial)
        if len(store.statuses()) == 1:
            monkeypatch.setattr(store, "record", record)
            raise KeyboardInterrupt

    monkeypatch.setattr(store, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        swept(store, executor=at_once, ahead=2)
    status = status_of(store.path)
    assert status.done == trained.total() == 6  # two tasks were with the executor, and over
    assert (status.trials, status.waiting) == (12, 6)
    assert swept(store, executor=at_once).done == 12
    assert trained == Counter(KEYS)


def test_a_store_that_cannot_be_written_ends_the_sweep(store, at_once, monkeypatch, trained):
    record = store.record

    def full(trial):
        if len(store.statuses()) == 4:
            raise StoreError("the disk is full")
        record(trial)

    monkeypatch.setattr(store, "record", full)
    with pytest.raises(StoreError):
        swept(store, executor=at_once)
    assert status_of(store.path).done == 4
    assert set(trained.values()) == {1}


# ---- workers that are ended ---------------------------------------------------------------------


class Mortal:
    """Pools one after the other, whose process is ended by some trials."""

    def __init__(self, ends):
        self.ends = ends
        self.pools = 0

    @contextmanager
    def pool_of(self, workers):
        self.pools += 1
        yield _Pool(self.ends)


class _Pool(Executor):
    """A pool of one process, in this one: broken from the first trial on that ends it."""

    def __init__(self, ends):
        self._ends = ends
        self._broken = False

    def submit(self, function, settings, seeds):
        if self._broken:
            raise BrokenProcessPool("broken")
        future = Future()
        future.set_running_or_notify_cancel()
        if self._ends(settings, seeds):
            self._broken = True
            future.set_exception(BrokenProcessPool("broken"))
        else:
            future.set_result(function(settings, seeds))
        return future


def test_a_worker_that_is_ended_costs_nothing(store, monkeypatch, trained):
    ended = []

    def once(settings, seeds):
        ended.append(seeds)
        return len(ended) == 2

    monkeypatch.setattr(running, "pool_of", Mortal(once).pool_of)
    assert swept(store, workers=1).done == 12
    assert trained == Counter(KEYS)


class WorkerLost(Exception):
    """What an executor says of each task that a lost worker had, at fault or not."""


WorkerEndedError.register(WorkerLost)


def test_an_executor_that_goes_on_without_its_lost_workers(store, at_once, monkeypatch):
    runs = Counter()

    def run(settings, seeds):
        runs[settings, seeds] += 1
        if runs[settings, seeds] == 1 or (settings.hidden == (2,) and 1 in seeds):
            raise WorkerLost
        return untrained(settings, seeds)

    monkeypatch.setattr(running, "run_trials", run)
    status = swept(store, executor=at_once, ahead=12)  # each trial a task of its own
    assert (status.done, status.failed) == (10, 2)
    assert sorted(runs.values()) == [2] * 10 + [3] * 2


def test_a_trial_that_ends_its_worker_each_time_fails_and_the_others_do_not(
    store, monkeypatch, trained
):
    def fatal(settings, seeds):
        return settings.hidden == (2,) and 1 in seeds

    mortal = Mortal(fatal)
    monkeypatch.setattr(running, "pool_of", mortal.pool_of)
    status = swept(store, workers=1)
    assert (status.done, status.failed) == (10, 2)
    for row in failed_rows(store):
        assert (row["hidden"], row["seed"]) == ("2", 1)
        assert row["traceback"].startswith("The process that ran this trial was ended 3 times")
    assert mortal.pools < 12
    assert max(trained.values()) == 1


@pytest.mark.skipif(os.name == "nt", reason="processes are ended in POSIX's way")
def test_a_process_that_is_killed_is_replaced(store, monkeypatch):
    text = "seeds = 3\nsettings.epochs = 1\ngrid.lr = [0.1, 1]"
    genuine = running.pool_of
    pools = []

    @contextmanager
    def killed(workers):
        with genuine(workers) as pool:
            pools.append(pool)
            if len(pools) == 1:
                pool.submit(os._exit, 1)  # it takes with it what is queued behind
            yield pool

    monkeypatch.setattr(running, "pool_of", killed)
    assert swept(store, text, workers=1).done == 6
    assert len(pools) == 2


def test_an_executor_that_breaks_is_an_error_and_what_is_finished_stays(store, trained):
    with pytest.raises(SweepError, match="the executor can run nothing any more") as error:
        swept(store, executor=_Pool(lambda *_: len(store.statuses()) >= 6), ahead=1)
    assert "\n" not in str(error.value)
    assert status_of(store.path).done == trained.total() == 6
