"""Sweeps on Dask clusters whose workers, scheduler or sweep are ended: nothing is lost."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager

import pytest

from tests.soak.test_sweeps import (
    ENVIRONMENT,
    TRIALS,
    children_of,
    finished,
    folder,
    rows,
    started,
    undisturbed,
)
from tinygrad_lab.lab.sweeps import Store, parse_plan, run_sweep, running
from tinygrad_lab.lab.sweeps.cluster import dask_executor
from tinygrad_lab.lab.sweeps.trial import run_trials

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are ended in POSIX's way")

__all__ = ["folder", "undisturbed"]  # fixtures

LONG = "seeds = 4\n[settings]\nepochs = 1_000_000\n[grid]\nlr = [0.1, 0.2]\n"


@contextmanager
def dask(*arguments):
    """Run a command of Dask, in a group of processes that is ended afterwards."""
    child = subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@contextmanager
def cluster(folder, workers=2):
    """Start a scheduler and its workers, and yield the scheduler and its address."""
    about = folder / "scheduler.json"
    about.unlink(missing_ok=True)
    where = ["--host", "127.0.0.1"]
    with ExitStack() as stack:
        scheduler = ["scheduler", *where, "--port", "0", "--scheduler-file", os.fspath(about)]
        child = stack.enter_context(dask(*scheduler))
        while not about.exists():
            time.sleep(0.1)
        address = json.loads(about.read_text())["address"]
        worker = ["worker", address, *where, "--nthreads", "1", "--nworkers", str(workers)]
        stack.enter_context(dask(*worker, "--local-directory", os.fspath(folder)))
        with distributed.Client(address) as client:
            client.wait_for_workers(workers, timeout=60)
        yield child, address


def under_way(child, folder, trials):
    """Wait until a sweep has finished some trials."""
    while child.poll() is None:
        time.sleep(0.05)
        if done(folder) >= trials:
            return
    pytest.fail(child.communicate()[1])


def done(folder):
    where = f"{(folder / 'a.sqlite').as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(where, uri=True)) as connection:
            return connection.execute("select count(*) from trials").fetchone()[0]
    except sqlite3.OperationalError:  # it is not there yet
        return 0


def test_workers_of_a_local_cluster_are_killed(folder, undisturbed, rng, rounds, tried):
    kills = sweeps = 0
    for _ in rounds:
        child = started(folder, "--dask", "local", "--workers", "2")
        for number in range(3):  # Dask gives up what has ended four workers
            under_way(child, folder, number * TRIALS // 4 + 1)
            time.sleep(rng.uniform(0, 1))
            if workers := children_of(child):
                os.kill(rng.choice(workers), signal.SIGKILL)
                kills += 1
        out, err = child.communicate()
        assert child.returncode == 0, err
        assert "Traceback" not in err
        assert "Warning" not in err
        assert json.loads(out)["done"] == TRIALS
        assert rows(folder / "a.sqlite") == undisturbed
        (folder / "a.sqlite").unlink()
        sweeps += 1
    tried(f"{kills} workers killed in {sweeps} sweeps of {TRIALS} trials")


def test_a_trial_that_ends_its_worker_is_the_only_one_that_fails(tmp_path, monkeypatch):
    def fatal(settings, seeds):
        if settings.lr == 0.5 and 1 in seeds:
            os._exit(1)
        return run_trials(settings, seeds)

    monkeypatch.setattr(running, "run_trials", fatal)
    plan = parse_plan("seeds = 3\nsettings.epochs = 200\ngrid.lr = [0.1, 0.2, 0.5, 0.6]")
    with Store(tmp_path / "a.sqlite") as store, dask_executor("local", 2) as (executor, threads):
        status = run_sweep(plan, store, executor=executor, ahead=2 * threads, progress=False)
    assert (status.done, status.failed) == (11, 1)


def test_a_local_cluster_ends_with_its_killed_sweep(folder, undisturbed, rng, tried):
    for number in range(3):
        child = started(folder, "--dask", "local", "--workers", "2")
        under_way(child, folder, number * TRIALS // 4 + 1)
        workers = children_of(child)
        assert len(workers) == 2
        child.kill()
        child.communicate()
        end = time.monotonic() + 10
        while any(map(is_running, workers)):
            assert time.monotonic() < end, "a worker goes on"
            time.sleep(0.1)
    assert finished(folder, "--dask", "local")["done"] == TRIALS
    assert rows(folder / "a.sqlite") == undisturbed
    tried(f"3 kills of a sweep of {TRIALS} trials on a local cluster")


def is_running(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_scheduler_is_lost(folder, undisturbed, tried):
    with cluster(folder) as (scheduler, address):
        child = started(folder, "--dask", address)
        under_way(child, folder, 20)
        scheduler.kill()
        out, err = child.communicate(timeout=60)
        assert (child.returncode, out) == (2, "")
        assert f"tinygrad-lab: lost the Dask scheduler at {address}; what is finished" in err
        assert "Traceback" not in err
    left = done(folder)
    assert 20 <= left < TRIALS
    with cluster(folder) as (_, address):
        assert finished(folder, "--dask", address)["done"] == TRIALS
    assert rows(folder / "a.sqlite") == undisturbed
    tried(f"the scheduler killed after {left} of {TRIALS} trials")


def test_an_interrupt_ends_what_runs_on_the_cluster(folder):
    (folder / "a.toml").write_text(LONG)
    with cluster(folder) as (_, address), distributed.Client(address) as client:
        child = started(folder, "--dask", address)
        wait_until(lambda: busy(client) == 2)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
        assert (child.returncode, out) == (130, "")
        assert err.startswith("tinygrad-lab: interrupted; trials in a.sqlite: 0;")
        wait_until(lambda: busy(client) == 0, seconds=5)


def busy(client):
    return sum(client.run(lambda dask_worker: len(dask_worker.active_threads)).values())


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
