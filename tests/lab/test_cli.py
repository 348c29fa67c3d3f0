"""The command line: what it prints, and one line with exit status 2 for whatever it cannot do."""

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.core import TyperGroup

from tinygrad_lab.lab import reports, runner, training
from tinygrad_lab.lab.commands.frame import CLOSED_PIPE
from tinygrad_lab.lab.reports.study import Row, Study
from tinygrad_lab.lab.runner import Interrupted
from tinygrad_lab.lab.settings import Settings

ROOT = Path(__file__).parents[2]


def test_train(command):
    status, out, err = command(
        "train xor --hidden 4,4 --activation sigmoid --optimizer adam --lr 0.1 --epochs 1000 "
        "--seed 1"
    )
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert [line.split(" loss : ")[0] for line in lines[:3]] == [
        "epoch 0",
        "epoch 500",
        "epoch 1000",
    ]
    losses = [line.split(" : ")[1] for line in lines[:3]]
    assert all(0 < float(loss) < 1 and len(loss) <= 12 for loss in losses)
    assert re.fullmatch(r"Iter1 \| Ground truth: 0 \| prediction: 0\.\d{5} \|", lines[3])
    assert lines[23].startswith("Iter21 | Ground truth: 1 | ")
    assert re.fullmatch(r"loss=0\.\d{10} accuracy=100\.00%", lines[24])
    assert len(lines) == 25


def test_train_quietly_and_reproducibly(command):
    line = "train linear --n 30 --no-bias --reduction sum --epochs 50 --quiet --seed 7"
    first = command(line)
    assert re.fullmatch(
        r"loss=\d\.\d{10} accuracy=\d+\.\d\d%\n"
        r"on examples that it was not trained on: accuracy=\d+\.\d\d%\n",
        first[1],
    )
    assert command(line) == first
    assert command(line.replace("--seed 7", "--seed 8")) != first


def test_the_log_has_all_digits_where_they_are_asked_for(command):
    line = "train xor --epochs 3 --seed 2"
    result = training.train(Settings(epochs=3), seed=2)
    assert command(f"{line} --exact")[1].startswith(f"epoch 0 loss : {result.losses[0]}\n")
    assert command(line)[1].startswith(f"epoch 0 loss : {result.losses[0]:.6g}\n")


def test_help_without_arguments(command):
    status, out, _ = command("")
    assert status == 0
    assert "train" in out
    assert "report" in out
    assert command("--help") == command("")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train xr", "unknown data 'xr'; did you mean 'xor'?"),
        ("train xor --activation sigmod", "unknown activation 'sigmod'; did you mean 'sigmoid'?"),
        ("train xor --optimizer adma", "unknown optimizer 'adma'; did you mean 'adam'?"),
        ("train xor --loss mes", "did you mean 'mse'?"),
        ("train xor --reduction avg", "unknown reduction 'avg'"),
        ("train xor --hidden 4,-4", "hidden = (4, -4)"),
        ("train xor --hidden four", "got 'four'"),
        ("train xor --lr 0", "got lr = 0.0"),
        ("train xor --lr -0.1", "got lr = -0.1"),
        ("train xor --lr nan", "got lr = nan"),
        ("train xor --lr fast", "--lr"),
        ("train xor --epochs 0", "got epochs = 0"),
        ("train xor --epochs -1", "got epochs = -1"),
        ("train xor --seed -1", "--seed"),
        ("train linear --n 0", "got n = 0"),
        ("train linear --n -5", "got n = -5"),
        ("train xor --activation none --lr 9 --epochs 50 --quiet", "diverged: the loss is no"),
        ("train", "data"),
        ("train xor more", "more"),
        ("train xor --none-such", "--none-such"),
        ("trian", "trian"),
        ("train xor --save a.png --plot a.png", "are both a.png"),
        ("report --out", "--out"),
        ("report --out=", "'--out': it is empty; name a folder"),
        ("report there", "there"),
        ("report --quick=yes", "--quick"),
        ("train xor --hidden 4,,4", "got '4,,4'"),
        ("train xor --hidden 4,4,", "got '4,4,'"),
        ("train xor --hidden 4.5", "got '4.5'"),
        ("train xor --hidden 0x4", "got '0x4'"),
        ("train xor --hidden 99999999999999999999", "at most 1,000,000,000"),
        ("train linear --n 99999999999999999999", "at most 1,000,000,000"),
        ("train xor --epochs 1e3", "--epochs"),
        ("train xor --epochs 99999999999999999999", "at most 1,000,000,000"),
        ("train xor --seed 1.5", "--seed"),
        ("train xor --lr inf", "got lr = inf"),
        ("train xor --lr 1e400", "got lr = inf"),
        ("train xor --lr 1e-400", "got lr = 0.0"),
        ("train xor --n", "--n"),
        ("train xor --bias yes", "yes"),
        ("train xor --loss report-a --activation tanh", "needs a sigmoid"),
        ("train XOR", "did you mean 'xor'?"),
        ("train xor --n 5", "n = 5 has no effect on data 'xor'"),
        ("train xor --n 100", "n = 100 has no effect on data 'xor'"),
        ("train linear --noise 0.1", "noise = 0.1 has no effect on data 'linear'"),
        ("train moons --noise -1", "noise must be a number from 0 on, got noise = -1"),
        ("train digits --target kind", "target = 'kind' has no effect on data 'digits'"),
        (
            "train points.csv",
            "'points.csv' is the name of a file, and nothing says where its classes are",
        ),
        ("train none-such.csv --target kind", "cannot read none-such.csv: No such file"),
        ("train none-such.idx --labels b.idx", "cannot read none-such.idx: No such file"),
        ("train xor --output-activation softmax", "'softmax' is for loss 'cross-entropy'"),
        ("train xor --threshold middle", "unknown threshold 'middle'"),
        ("train xor --plot", "--plot"),
        ("train xor --plot a.txt", "cannot write --plot a.txt: its name has to end in one of .png"),
        ("train xor --plot none-such/a.png", "there is no folder none-such"),
        ("train xor --save .", "cannot write --save .: it is a folder"),
        ("train xor --save none-such/a.safetensors", "there is no folder none-such"),
        ("predict none-such", "cannot read none-such: No such file"),
        ("predict tests", "cannot read tests: Is a directory"),
        ("predict Makefile", "Makefile: this is no safetensors file"),
        ("predict Makefile --out a.txt", "cannot write --out a.txt: its name has to end in .csv"),
        ("graph none-such --out a.svg", "cannot read none-such: No such file"),
        ("graph Makefile --out a.jpg", "has to end in one of .svg, .png, .pdf, .html, .dot"),
        ("check none-such", "cannot read none-such: No such file"),
        ("check none-such.py:step", "none-such.py is no Python file"),
        ("check Makefile:step", "Makefile is no Python file"),
        ("check Makefile --at 3", "--at is for a function in a file"),
    ],
)
def test_bad_input_is_one_line_and_status_2(command, line, message):
    status, out, err = command(line)
    assert status == 2
    assert message in err
    assert err.startswith("tinygrad-lab: ")
    assert err.count("\n") == 1
    assert out == ""


def test_a_folder_that_cannot_be_written(command, tmp_path):
    (tmp_path / "file").write_text("")
    status, out, err = command(f"report --quick --out {tmp_path}/file/report")
    assert (status, out) == (2, "")
    assert err.startswith(f"tinygrad-lab: cannot write the report to {tmp_path}/file/report: ")
    assert err.count("\n") == 1


def test_report_says_where(command, tmp_path, monkeypatch):
    study = Study("small", "Small", "", (Row("", "one", Settings(hidden=(1,), epochs=3)),))
    short = {"studies": [study], "parts": (), "workers": 1, "progress": False}
    monkeypatch.setattr(reports, "make_report", partial(reports.make_report, **short))
    status, out, err = command(f"report --quick --out {tmp_path}/there")
    assert (status, err) == (0, "")
    assert re.fullmatch(rf"{tmp_path}/there/index\.html written in \d+ s\n", out)
    assert (tmp_path / "there/index.html").is_file()
    status, out, err = command(f"report --quick --out {tmp_path}/there --json")
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert document.keys() == {"page", "seconds"}
    assert document["page"] == f"{tmp_path}/there/index.html"


def test_an_interrupted_report_says_what_is_to_be_said(command, monkeypatch):
    def stop(*_, **__):
        raise Interrupted({}, 8)

    monkeypatch.setattr(reports, "make_report", stop)
    status, out, err = command("report")
    assert (status, out) == (130, "")
    assert err == "tinygrad-lab: interrupted: 0 of 8 settings finished\n"


def test_ctrl_c_while_training(command, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", stop)
    status, _, err = command("train xor")
    assert status == 130
    assert "Traceback" not in err


def test_ctrl_c_while_the_line_is_read(command, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(TyperGroup, "make_context", stop)
    assert command("train xor") == (130, "", "tinygrad-lab: interrupted; nothing was written\n")


BY_ITSELF = """
import atexit, os, runpy, signal, sys
import {first}

left = int(sys.argv.pop())

def count(event=None, _=None):
    global left
    left -= event == "import"
    if event == "import" and left == 0 or event is None and left > 0:
        os.kill(os.getpid(), signal.SIGINT)

atexit.register(count)
sys.addaudithook(count)
{run}
"""

COMMAND = BY_ITSELF.format(first="tinygrad_lab_command", run="tinygrad_lab_command.main()")
#: Python imports the package before anything of ``python -m`` can be run.
MODULE = BY_ITSELF.format(
    first="tinygrad_lab", run='runpy.run_module("tinygrad_lab", run_name="__main__")'
)


@pytest.mark.parametrize(
    ("program", "imported"),
    [*((COMMAND, count) for count in (1, 2, 30, 150, 300, 600, 10**9)), (MODULE, 30), (MODULE, 99)],
)
def test_ctrl_c_at_any_moment_is_one_line(program, imported):
    """The program interrupts itself before its so-many-th import, or at last while it exits."""
    # a suite that was started in the background has it ignored, and so have its processes
    taken = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    line = [sys.executable, "-c", taken + program, "train", "xor", "--epochs", "1", str(imported)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert re.fullmatch(r"tinygrad-lab: interrupted(; nothing was written)?\n", done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is ignored there")
def test_ctrl_c_that_is_ignored_stays_ignored():
    ignored = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    line = [sys.executable, "-c", ignored + "\n" + COMMAND, "train", "xor", "--epochs", "1", "300"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_too_little_memory(command, monkeypatch):
    def huge(*_, **__):
        raise MemoryError("Unable to allocate 7.28 TiB")

    monkeypatch.setattr(training, "train", huge)
    status, _, err = command("train xor --hidden 1000000,1000000")
    assert status == 2
    assert "not enough memory (Unable to allocate 7.28 TiB); train with fewer" in err
    assert err.count("\n") == 1


# ---- streams that cannot be written -------------------------------------------------------------

QUICKLY = f"{sys.executable} -m tinygrad_lab train xor --epochs 1000"


def shell(line):
    """Run a line of the shell; the status is that of the last command but those of `head`."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


with_devices = pytest.mark.skipif(
    not Path("/dev/full").exists() or shutil.which("bash") is None, reason="needs /dev/full, bash"
)


@with_devices
@pytest.mark.parametrize("arguments", ["", "--quiet", "--help"])
def test_a_full_disk_is_one_line(arguments):
    done = shell(f"{QUICKLY} {arguments} > /dev/full")
    assert done.stderr == "tinygrad-lab: cannot write the output: No space left on device\n"
    assert done.returncode == 2


@with_devices
def test_a_reader_that_has_enough_ends_it_quietly():
    done = shell(f"{QUICKLY} | head -1")
    assert done.stdout.startswith("epoch 0 loss")
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    # Nobody read the rest, unless all of it was in the pipe before `head` had its line.
    assert done.returncode in (0, CLOSED_PIPE)


@with_devices
@pytest.mark.parametrize("stream", ["/dev/full", "&-"])
def test_what_is_wrong_is_the_status_where_it_cannot_be_said(stream):
    assert shell(f"{QUICKLY} --lr 0 2>{stream}").returncode == 2
    assert shell(f"{QUICKLY} >{stream} 2>{stream}").returncode in (0, 2)


def test_progress_that_cannot_be_written_ends_nothing(tmp_path, monkeypatch):
    class Full:
        def write(self, _):
            raise OSError(28, "No space left on device")

        def flush(self):
            pass

        def isatty(self):
            return True

    monkeypatch.setattr(runner, "PATIENCE", 0)
    for stream in (Full(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert runner.run_all([(Settings(epochs=1), range(1))], workers=1)


def test_python_m_is_the_same_command():
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "tinygrad_lab", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    good = run("train", "xor", "--epochs", "500", "--optimizer", "adam", "--lr", "0.1")
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.splitlines()[-1].startswith("loss=0.")
    bad = run("train", "xor", "--lr", "nan")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.count("\n") == 1
