"""The command `sweep`: what it runs and prints, one line for what it cannot, and death half way."""

import functools
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.sweeps.test_running import compared, untrained
from tinygrad_lab.lab import commands
from tinygrad_lab.lab.commands import sweep
from tinygrad_lab.lab.sweeps import Store, parse_plan, run_sweep, running, status_of
from tinygrad_lab.lab.sweeps.status import command_of_row, reading

PLAN = """
seeds = 2
[settings]
epochs = 3
[grid]
lr = [0.25, 0.5, 1.0]
"""


@pytest.fixture
def command(tmp_path, monkeypatch, capsys, at_once):
    """Run the command beside a plan `a.toml`, without processes; return status, output, errors."""
    monkeypatch.chdir(tmp_path)
    Path("a.toml").write_text(PLAN)
    here = functools.partial(run_sweep, executor=at_once, progress=False)
    monkeypatch.setattr(
        sweep, "run_sweep", lambda *plan, workers, **options: here(*plan, **options)
    )

    def run(line):
        status = commands.run(shlex.split(line))
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def untrained_here(monkeypatch):
    """Trials cost nothing; those of rate 0.5 fail as long as the returned set is not empty."""
    failing = {0.5}

    def run(settings, seeds):
        if settings.lr in failing:
            raise ArithmeticError("out of luck")
        return untrained(settings, seeds)

    monkeypatch.setattr(running, "run_trials", run)
    return failing


def test_a_sweep_its_status_and_its_failures(command, untrained_here):
    status, out, err = command("sweep a.toml")
    assert status == 1
    first, *best = out.splitlines()
    assert first.startswith("a.sqlite: 4 of 6 trials are done; 2 failed; 6 since the last start, ")
    assert err == (
        "tinygrad-lab: trials that failed: 2; a.sqlite has their tracebacks, and --retry-failed "
        "runs them again\n"
    )
    with reading(Path("a.sqlite")) as connection:
        rows = connection.execute("select * from trials where status = 'done'").fetchall()
    assert {line.partition("tinygrad-lab")[2] for line in best} == {
        command_of_row(dict(row)).removeprefix("tinygrad-lab") for row in rows
    }
    assert command("sweep a.toml --status") == (0, out, "")
    assert command("sweep --db a.sqlite --status") == (0, out, "")
    assert command("sweep a.toml")[0] == 1
    untrained_here.clear()
    status, out, err = command("sweep a.toml --retry-failed")
    assert (status, err) == (0, "")
    assert out.startswith("a.sqlite: 6 of 6 trials are done; 2 since the last start, ")


def test_the_command_of_a_row_repeats_it_to_the_last_bit(command):
    Path("a.toml").write_text(
        """
        [settings]
        data = "moons"
        noise = 0.1
        n = 20
        epochs = 3
        [random]
        trials = 2
        lr = { log_uniform = [0.01, 1] }
        """
    )
    rows = json.loads(command("sweep a.toml --json")[1])["best"]
    assert len(rows) == 2
    for row in rows:
        again = json.loads(command(f"{row['command'].removeprefix('tinygrad-lab ')} --json")[1])
        assert again["loss"] == row["final_loss"]
        assert again["test_accuracy"] == row["test_accuracy"]


def test_a_changed_plan(command, untrained_here):
    untrained_here.clear()
    command("sweep a.toml")
    Path("a.toml").write_text(PLAN.replace("0.25, ", "").replace("seeds = 2", "seeds = 3"))
    status, out, _ = command("sweep a.toml")
    assert status == 0
    assert out.startswith("a.sqlite: 6 of 6 trials are done; 2 since the last start")
    assert "; rows of other plans: 2\n" in out


def test_json(command, untrained_here):
    _, out, _ = command("sweep a.toml --json --db b.sqlite")
    document = json.loads(out)
    assert document == json.loads(command("sweep --db b.sqlite --status --json")[1])
    assert (document["trials"], document["done"], document["failed"]) == (6, 4, 2)
    assert (document["waiting"], document["running"]) == (0, False)
    assert document["best"][0]["lr"] == 0.25
    assert document["best"][0]["command"].startswith("tinygrad-lab train xor --lr 0.25")


def test_a_diverged_run_has_no_infinity_in_json(command):
    Path("a.toml").write_text('[settings]\nactivation = "none"\nlr = 9.0\nepochs = 60')
    status, out, _ = command("sweep a.toml --json")
    [best] = json.loads(out, parse_constant=pytest.fail)["best"]
    assert (status, best["final_loss"]) == (0, None)
    assert best["diverged_at"] > 0


def test_a_page(command, untrained_here):
    assert command("sweep a.toml --html a.html")[0] == 1
    before = Path("a.html").read_text(encoding="utf-8")
    assert "<h2>Failed trials</h2>" in before
    assert command("sweep --db a.sqlite --html b.html")[0] == 0
    assert Path("b.html").read_text(encoding="utf-8") == before


def test_an_interrupt_says_what_is_finished(command, monkeypatch):
    def stop(plan, store, **_):
        store.record(*running.run_trials(next(plan.settings()), [0]))
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "run_sweep", stop)
    status, out, err = command("sweep a.toml")
    assert (status, out) == (130, "")
    assert err == (
        "tinygrad-lab: interrupted; trials in a.sqlite: 1; the same command goes on from there\n"
    )
    assert command("sweep a.toml --status")[0] == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sweep", "name a plan, such as grid.toml; or a database: --db FILE, with --s"),
        ("sweep --db a.sqlite", "name a plan, such as grid.toml"),
        ("sweep --status", "name a plan, such as grid.toml"),
        ("sweep b.toml", "cannot read b.toml: No such file or directory"),
        ("sweep .", "cannot read .: Is a directory"),
        ("sweep a.toml --status", "there is no a.sqlite; a sweep makes it when it is run"),
        ("sweep a.toml --db a.toml", "a.toml is the plan; name another file with --db"),
        ("sweep a.toml --db none/b.sqlite", "there is no folder none for none/b.sqlite; make"),
        ("sweep a.toml --db .", "cannot open "),
        ("sweep a.toml --db bad.toml", "bad.toml is no SQLite database"),
        ("sweep bad.toml", "bad.toml: [grid] lr = 0: the learning rate must be a number above 0"),
        ("sweep many.toml", "many.toml has 1,000,000 trials; add --yes if they are meant"),
        ("sweep a.toml --status --html a.html", "there is no a.sqlite"),
        ("sweep a.toml --html none/a.html", "cannot write --html none/a.html: there is no folder"),
        ("sweep a.toml --status --retry-failed", "this only looks: leave out --workers, --retry-"),
        ("sweep a.toml --html a.txt", "cannot write --html a.txt: its name has to end in .html"),
        ("sweep a.toml --workers 0", "--workers"),
        ("sweep a.toml b.toml", "b.toml"),
    ],
)
def test_bad_input_is_one_line_and_status_2(command, line, message):
    Path("bad.toml").write_text("[grid]\nlr = [0]\n" + "#" * 100)
    Path("many.toml").write_text("seeds = 1000000")
    before = sorted(Path().iterdir())
    status, out, err = command(line)
    assert (status, out) == (2, "")
    assert err.startswith("tinygrad-lab: ")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(Path().iterdir()) == before


@pytest.mark.skipif(os.name == "nt", reason="processes are ended in POSIX's way")
def test_killed_and_started_again_it_has_every_trial_once(tmp_path, at_once):
    path = tmp_path / "a.sqlite"
    text = "seeds = 4\nsettings.epochs = 300\ngrid.lr = [0.1, 1.0, 0.5]"
    child = started(tmp_path, text, workers=1, until=finished_in)
    child.kill()
    child.communicate()
    before = finished_in(path)
    with Store(path) as store, Store(tmp_path / "b.sqlite") as other:
        options = {"executor": at_once, "progress": False}
        status = run_sweep(parse_plan(text), store, **options)
        assert (status.done, status.before) == (12, before)
        run_sweep(parse_plan(text), other, **options)
        assert compared(store) == compared(other)


@pytest.mark.skipif(os.name == "nt", reason="processes are signalled in POSIX's way")
@pytest.mark.parametrize(("name", "at_once"), [("SIGTERM", False), ("SIGINT", True)])
def test_all_its_processes_ended_at_once_are_one_line(tmp_path, name, at_once):
    """After the first trial, or as a terminal's Ctrl-C does while the processes start."""
    text = "seeds = 40\nsettings.epochs = 300\ngrid.lr = [0.1, 1.0, 0.5]"
    child = started(tmp_path, text, workers=2, until=begun_in if at_once else finished_in)
    os.killpg(child.pid, getattr(signal, name))
    _, err = child.communicate(timeout=60)
    assert child.returncode == 128 + getattr(signal, name)
    assert b"Traceback" not in err
    assert err.endswith(b"the same command goes on from there\n")


def started(folder, text, workers, until):
    """Start a sweep in a process group of its own, and wait until it is so far."""
    (folder / "a.toml").write_text(text)
    # A shell that starts it in the background would have it ignore Ctrl-C.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "import tinygrad_lab_command; tinygrad_lab_command.main()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, "sweep", "a.toml", "--workers", str(workers)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[3])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    while child.poll() is None and not until(folder / "a.sqlite"):
        time.sleep(0.01)
    return child


def begun_in(path):
    """Tell whether a sweep of a store has begun."""
    try:
        return status_of(path).trials > 0
    except Exception:  # noqa: BLE001 - it is not there yet
        return False


def finished_in(path):
    """Count the trials in a store, which may not be there yet."""
    try:
        return status_of(path).stored
    except Exception:  # noqa: BLE001
        return 0
