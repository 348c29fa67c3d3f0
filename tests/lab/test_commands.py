"""The commands of a saved network, as their users give them: train, predict, graph, check."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tinygrad_lab
from tinygrad_lab.lab import Settings, train, training

XOR = "train xor --optimizer adam --lr 0.1 --epochs 400 --seed 1"


@pytest.fixture(scope="module")
def xor(tmp_path_factory):
    """A network that has learned XOR, in a file."""
    from tinygrad_lab.lab import cli

    path = tmp_path_factory.mktemp("xor") / "xor.safetensors"
    with pytest.raises(SystemExit) as left:
        cli.main([*XOR.split(), "--quiet", "--save", str(path)])
    assert not left.value.code
    return path


# ---- train --------------------------------------------------------------------------------------


def test_train_in_json(command):
    status, out, err = command("train linear --n 12 --epochs 4 --seed 3 --json")
    assert (status, err) == (0, "")
    assert out.count("\n") == 1
    said = json.loads(out)
    result = train(Settings(data="linear", n=12, epochs=4), seed=3)
    assert said["losses"] == result.losses.tolist()  # to the last bit
    assert said["epochs"] == [0, 1, 2, 3, 4]
    assert (said["loss"], said["accuracy"]) == (result.loss, result.accuracy)
    assert said["test_accuracy"] == result.test_accuracy
    assert Settings.from_row(said["settings"]) == result.settings
    assert [row["outputs"] for row in said["predictions"]] == result.prediction.tolist()
    _, again, _ = command(said["command"].removeprefix("tinygrad-lab ") + " --json")
    assert json.loads(again) == said


def test_more_examples_than_anybody_reads_are_not_listed(command):
    _, out, _ = command("train linear --n 101 --epochs 1")
    assert "Iter" not in out
    assert "(101 predictions: --save the network, and predict prints them)" in out
    assert "Iter100 |" in command("train linear --n 100 --epochs 1")[1]


def test_a_picture_of_the_run(command, tmp_path):
    path = tmp_path / "run.pdf"
    status, _, err = command(f"train moons --n 20 --epochs 5 --quiet --plot {path}")
    assert (status, err) == (0, "")
    assert path.read_bytes().startswith(b"%PDF")


def test_a_picture_of_what_has_no_plane(command, tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("x,y,z,kind\n" + "".join(f"{i},{i % 2},1,{i // 4}\n" for i in range(12)))
    line = f"train {table} --target kind --epochs 5 --quiet --plot {tmp_path}/a.svg"
    assert command(line)[::2] == (0, "")
    assert "actual class" in (tmp_path / "a.svg").read_text()


def test_nothing_is_trained_for_a_file_that_cannot_be_written(command, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "train", None)  # it would be called
    for option in (f"--save {tmp_path}", f"--plot {tmp_path}/none/a.png"):
        assert command(f"train xor {option}")[0] == 2


def test_a_full_disk_leaves_no_file(command, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tinygrad_lab.saving, "write_file", full)
    path = tmp_path / "a.safetensors"
    status, _, err = command(f"train xor --epochs 1 --quiet --save {path}")
    assert (status, err) == (2, f"tinygrad-lab: cannot write {path}: No space left on device\n")
    assert list(tmp_path.iterdir()) == []


# ---- predict ------------------------------------------------------------------------------------


def test_predict_says_what_train_said(command, xor):
    trained = command(XOR)[1].splitlines()
    for line in (f"predict {xor}", f"predict {xor} --data xor"):
        status, out, err = command(line)
        assert (status, err) == (0, "")
        assert out.splitlines() == trained[1:]


def test_predictions_in_json_and_in_a_file(command, xor, tmp_path):
    said = json.loads(command(f"predict {xor} --json")[1])
    assert said["classes"] == ["0", "1"]
    assert [row["truth"] for row in said["predictions"][:3]] == ["0", "1", "0"]
    assert said["accuracy"] == np.mean([r["truth"] == r["prediction"] for r in said["predictions"]])
    path = tmp_path / "said.csv"
    status, out, _ = command(f"predict {xor} --out {path}")
    assert (status, out.splitlines()[0]) == (0, f"21 predictions written to {path}")
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(r["output 1"]) for r in rows] == [r["outputs"][0] for r in said["predictions"]]
    assert [r["truth"] for r in rows] == [r["truth"] for r in said["predictions"]]


def test_predictions_of_other_data(command, xor, tmp_path):
    status, out, _ = command(f"predict {xor} --data linear --n 3 --seed 7")
    assert (status, out.count("Iter")) == (0, 3)
    table = tmp_path / "points.csv"
    table.write_text("x1,x0\n0.9,0.1\n0.1,0.1\n")
    status, out, _ = command(f"predict {xor} --data {table}")
    lines = out.splitlines()
    assert (status, len(lines)) == (0, 2)
    assert [float(line.split()[3]) > 0.5 for line in lines] == [True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--data digits", "the network takes 2 inputs, and digits has 64"),
        ("--data xr", "did you mean 'xor'"),
        ("--data none.csv", "cannot read none.csv: No such file"),
        ("--data xor --n 3", "n = 3 has no effect on data 'xor'"),
        ("--held-out", "of data 'xor' nothing is held out"),
        ("--n 3", "--n needs --data"),
        ("--data xor --target kind", "--target is for data in a file"),
        ("--data a.csv --seed 3", "--seed is for data with a name"),
        ("--data a.csv --held-out", "--held-out is for data with a name"),
    ],
)
def test_what_cannot_be_predicted(command, xor, options, message):
    status, out, err = command(f"predict {xor} {options}")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


@pytest.mark.parametrize("name", ["predict", "graph", "check"])
def test_a_file_that_is_cut(command, xor, tmp_path, name):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(xor.read_bytes()[:-5])
    status, out, err = command(f"{name} {path}")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"{path}: this is no safetensors file, or a damaged one" in err


# ---- graph --------------------------------------------------------------------------------------


def test_the_graph_of_a_network(command, xor, tmp_path):
    path = tmp_path / "graph.svg"
    status, out, err = command(f"graph {xor} --out {path}")
    assert (status, out, err) == (0, f"{path} written\n", "")
    assert "<svg" in path.read_text()
    assert "mse_loss" in path.read_text()
    status, out, _ = command(f"graph {xor}")
    assert status == 0
    assert out.startswith("loss = ")
    assert "layers.4.weight: parameter" in out


def test_the_health_of_a_network(command, tmp_path):
    path = tmp_path / "relu.safetensors"
    dying = "--activation relu --lr 3 --reduction sum --epochs 3 --seed 2"
    command(f"train xor {dying} --quiet --save {path}")
    said = json.loads(command(f"graph {path} --health --json")[1])
    assert any("dead" in finding for finding in said["findings"])
    status, out, _ = command(f"graph {path} --health")
    assert status == 0
    assert "dead" in out


def test_a_graph_that_cannot_be_drawn(command, xor):
    for option, message in (("--detail layers", "detail must be"), ("--theme pink", "theme must")):
        status, out, err = command(f"graph {xor} {option}")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert message in err


# ---- check --------------------------------------------------------------------------------------

BACKPROP = """
import numpy as np

X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[1.0], [0.0], [1.0]])
W, b = np.array([[0.5], [-1.0]]), np.array([0.1])
print("this file prints")


def step(W, b):
    Z = X @ W + b
    A = 1 / (1 + np.exp(-Z))
    loss = np.mean((A - Y) ** 2)
    dZ = 2 * (A - Y) / Y.size {factor}
    return loss, {{"dW": X.T @ dZ, "db": dZ.sum(axis=0)}}


def loss(W, b):
    return step(W, b)[0]


def gradients(W, b):
    grads = step(W, b)[1]
    return grads["dW"], grads["db"]


def forward(x):
    return x * x


def backward(g, x):
    return g * 2 * x


def of_tensors(x):
    return np.sin(x) * x


def fails(x):
    return x.nothing
"""


@pytest.fixture
def backprop(tmp_path):
    """A file with the last factor of a sigmoid's gradient, and one without it."""
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(BACKPROP.format(factor="* A * (1 - A)"))
    wrong.write_text(BACKPROP.format(factor=""))
    return right, wrong


def test_the_gradients_of_a_network(command, xor):
    status, out, err = command(f"check {xor}")
    assert (status, err) == (0, "")
    assert out.startswith(f"loss of {xor}: pass, a relative error of ")
    said = json.loads(command(f"check {xor} --json")[1])
    assert said["verdict"] == "pass"
    assert {"x", "layers.0.weight", "layers.4.bias"} <= set(said["resolutions"])


def test_gradients_by_hand(command, backprop):
    right, wrong = backprop
    for call in (
        "step",
        "loss --grad gradients",
        "forward --backward backward --at 'np.array([1.0, 2.0])'",
        "of_tensors --at 'np.array([1.0, 2.0]),'",
    ):
        status, out, err = command(f"check {right}:{call}")
        assert (status, err) == (0, ""), out
        assert ": pass, a relative error of " in out
    for call in ("step", "loss --grad gradients"):
        status, out, err = command(f"check {wrong}:{call}")
        assert (status, err) == (1, "")
        assert "are wrong (relative error" in out
    status, out, _ = command(f"check {wrong}:step")
    assert "first wrong line: wrong.py:14: dZ = 2 * (A - Y) / Y.size" in out
    assert "the factor A * (1 - A) is missing" in out
    status, out, err = command(f"check {wrong}:step --json")
    assert (status, err) == (1, "this file prints\n")
    assert json.loads(out)["verdict"] == "fail"


def test_what_cannot_be_checked(command, backprop, tmp_path):
    right, _ = backprop
    (tmp_path / "broken.py").write_text("x = 1\ny = x.nothing\n")
    (tmp_path / "no_python.py").write_text("x = = 1\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit('enough')\n")
    for call, message in [
        (f"{right}:stepp", "has no function 'stepp'; there are: step, loss, gradients"),
        (f"{right}:fails --at 1.5", "line 40: AttributeError: "),
        (f"{right}:forward", "has no variable x: say --at"),
        (f"{right}:forward --at none", "--at: NameError: name 'none' is not defined"),
        (f"{right}:forward --at 3=", "--at, line 1: SyntaxError"),
        (f"{tmp_path}/broken.py:f", "broken.py, line 2: AttributeError"),
        (f"{tmp_path}/no_python.py:f", "no_python.py, line 1: SyntaxError"),
        (f"{tmp_path}/leaves.py:f", "leaves.py, line 2: SystemExit: enough"),
    ]:
        status, _, err = command(f"check {call}")
        assert (status, err.count("\n")) == (2, 1), err
        assert message in err


# ---- the program --------------------------------------------------------------------------------


def test_version(command):
    assert command("--version") == (0, f"tinygrad-lab {tinygrad_lab.__version__}\n", "")


@pytest.mark.parametrize("name", ["train", "predict", "graph", "check", "report"])
def test_help_has_examples_on_lines_of_their_own(command, name):
    status, out, _ = command(f"{name} --help")
    assert status == 0
    assert "\\b" not in out
    if name != "report":
        assert f"\n  tinygrad-lab {name} " in out


def run(arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tinygrad_lab", *arguments],
        env=os.environ | environment,
        capture_output=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tinygrad-lab pre", "predict"),
        ("tinygrad-lab train --opt", "--optimizer"),
        ("tinygrad-lab train xor --optimizer ada", "adagrad"),
    ],
)
def test_bash_completes_commands_options_and_values(command, monkeypatch, words, expected):
    monkeypatch.setenv("_TINYGRAD_LAB_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    status, out, err = command("")
    assert (status, err) == (0, "")
    assert expected in out.split()
    assert all(word.startswith(words.split()[-1]) for word in out.split())


def test_a_terminal_that_has_ascii_alone():
    environment = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = run(["train", "xor", "--activation", "sigmoïde"], **environment)
    assert done.returncode == 2
    assert done.stderr.isascii()
    assert done.stderr.count(b"\n") == 1
    assert b"did you mean 'sigmoid'" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="processes are signalled in POSIX's way")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_training_that_is_ended_leaves_nothing(tmp_path, name):
    path = tmp_path / "a.safetensors"
    # A shell that starts it in the background would have it ignore Ctrl-C.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from tinygrad_lab.lab import cli; cli.main(sys.argv[1:])"
    )
    line = ["train", "xor", "--epochs", "1000000000", "--save", str(path)]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline().startswith(b"epoch 0 loss")
    time.sleep(0.1)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if name == "SIGINT" else 128 + signal.SIGTERM)
    assert b"Traceback" not in err
    assert err.endswith(b"tinygrad-lab: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_help_loads_nothing_that_it_does_not_need():
    heavy = ("matplotlib", "jinja2", "sklearn", "hypothesis", "dask", "torch", "safetensors")
    program = (
        "import sys; from tinygrad_lab.lab import commands; commands.run(['--help']); "
        f"print(sorted(set({heavy}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
