"""Sweeps killed, on a full disk, or started twice at once: nothing is lost, nothing run twice."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.sweeps.test_command import finished_in
from tests.lab.sweeps.test_running import compared
from tinygrad_lab.lab.sweeps import Store

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are ended in POSIX's way")

ROOT = Path(__file__).parents[2]
PLAN = """
seeds = 5
[settings]
epochs = 400
[grid]
hidden = [[3, 3], [4, 4]]
optimizer = ["sgd", "adam"]
[random]
trials = 10
lr = { log_uniform = [0.01, 1.0] }
"""
TRIALS = 200
SWEEP = [sys.executable, "-m", "tinygrad_lab", "sweep"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.fspath(ROOT)}


@pytest.fixture
def folder(tmp_path):
    """A folder with a plan of 200 trials."""
    (tmp_path / "a.toml").write_text(PLAN)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a sweep gives that nothing happens to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "a.toml").write_text(PLAN)
    assert finished(folder)["done"] == TRIALS
    return rows(folder / "a.sqlite")


def started(folder, *options):
    return subprocess.Popen(
        [*SWEEP, "a.toml", "--json", *options],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(folder, *options):
    child = started(folder, *options)
    out, err = child.communicate()
    assert child.returncode == 0, err
    return json.loads(out)


def rows(path):
    with Store(path) as store:
        return compared(store)


def wait_for(child, path, trials):
    """Wait until so many trials are finished, or the sweep is over."""
    while child.poll() is None and finished_in(path) < trials:
        time.sleep(0.02)


def children_of(process):
    """Processes by number that a process has started to work for it."""
    lines = subprocess.run(
        ["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True
    ).stdout
    workers = (
        re.match(rf"\s*(\d+)\s+{process.pid}\s.*spawn_main", line) for line in lines.split("\n")
    )
    return [int(match[1]) for match in workers if match]


def test_killed_five_times_at_random(folder, undisturbed, rng, rounds, tried):
    sweeps, kills = 0, 0
    for _ in rounds:
        sweeps += 1
        for part in range(5):
            child = started(folder)
            if rng.random() < 0.2:
                time.sleep(rng.uniform(0, 3))  # while it starts, perhaps
            else:
                wait_for(child, folder / "a.sqlite", rng.randint(35 * part, 35 * part + 34))
                time.sleep(rng.uniform(0, 0.5))
            kills += child.poll() is None
            child.kill()
            child.communicate()
        status = finished(folder)
        assert (status["done"], status["stored"], status["failed"]) == (TRIALS, TRIALS, 0)
        assert rows(folder / "a.sqlite") == undisturbed
        (folder / "a.sqlite").unlink()
    tried(f"{sweeps} sweeps of {TRIALS} trials, {kills} kills")


def test_its_workers_are_killed(folder, undisturbed, rng, tried):
    child, kills = started(folder), 0
    while child.poll() is None:
        # Not so often that one trial is hit three times, which would have failed then.
        wait_for(child, folder / "a.sqlite", finished_in(folder / "a.sqlite") + rng.randint(5, 30))
        time.sleep(rng.uniform(0, 0.5))
        for worker in children_of(child)[:1]:
            os.kill(worker, signal.SIGKILL)
            kills += 1
    out, err = child.communicate()
    assert child.returncode == 0, err
    assert json.loads(out)["done"] == TRIALS
    assert rows(folder / "a.sqlite") == undisturbed
    tried(f"{kills} workers killed in a sweep of {TRIALS} trials")


def test_started_several_times_at_once(folder, undisturbed, tried):
    children = [started(folder) for _ in range(4)]
    outcomes = [(child.communicate(), child.returncode) for child in children]
    refused = [err for (_, err), status in outcomes if status == 2]
    assert all(err.startswith("tinygrad-lab: another sweep is writing to") for err in refused)
    assert all(err.count("\n") == 1 for err in refused)
    assert any(status == 0 for _, status in outcomes)
    assert rows(folder / "a.sqlite") == undisturbed
    tried(f"{len(refused)} of 4 sweeps on one database were told so")


FULL = """
set -e
mount -t tmpfs -o size={size}k tmpfs {disk}
cd {disk}
cp {plan} a.toml
set +e
{sweep} a.toml; echo "status $?"
{sweep} a.toml --status --json
echo "status $?"
mount -o remount,size=20m {disk}
{sweep} a.toml --json
cp a.sqlite {out}
"""


@pytest.mark.parametrize("size", [64, 200, 400])
def test_a_full_disk(folder, undisturbed, tried, size):
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"]).returncode:
        pytest.skip("no disk can be mounted here")
    (folder / "disk").mkdir()
    script = FULL.format(
        size=size,
        disk=folder / "disk",
        plan=folder / "a.toml",
        sweep=" ".join(SWEEP),
        out=folder / "out.sqlite",
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    lines = [line for line in done.stderr.replace("\r", "\n").split("\n") if "tinygrad" in line]
    assert lines[0].startswith("tinygrad-lab: the disk of a.sqlite is full; what is finished is in")
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("status 2\n")
    assert rows(folder / "out.sqlite") == undisturbed
    first = re.search(r'"done": (\d+)', done.stdout.partition("status 0")[0])
    tried(f"full at {size} kB with {first[1] if first else 0} of {TRIALS} trials in it")
