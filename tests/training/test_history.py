"""The history of a training, as a dict, a table and a curve; and what is shown meanwhile."""

import pickle
import sys

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.training import History
from tinygrad_lab.training.progress import progress


def test_it_is_a_dict_of_lists_of_one_length():
    history = History()
    history.record({"loss": 1.0})
    history.record({"loss": 0.5, "accuracy": 0.25})
    history.record({"accuracy": 0.75})
    assert list(history) == ["loss", "accuracy"] and history.epochs == 3
    np.testing.assert_array_equal(history["loss"], [1, 0.5, np.nan])
    np.testing.assert_array_equal(history["accuracy"], [np.nan, 0.25, 0.75])
    history.stopped = "early"
    again = pickle.loads(pickle.dumps(history))
    assert (again["accuracy"][1:], again.stopped) == ([0.25, 0.75], "early")


def test_a_long_table_has_a_gap():
    history = History(loss=[1 / n for n in range(1, 101)])
    history.stopped = "stopped by hand"
    lines = repr(history).splitlines()
    assert len(lines) == 1 + 10 + 1 + 10 + 1
    assert (lines[1].split(), lines[-2].split(), lines[-1]) == (
        ["1", "1"], ["100", "0.01"], "stopped by hand"
    )  # fmt: skip
    html = history._repr_html_()
    assert html.count("<tr>") == 22 and "<td>0.01</td>" in html


def test_it_draws_itself():
    from matplotlib.figure import Figure

    history = History(loss=[1.0, 0.1], val_loss=[1.0, 0.2], accuracy=[0.5, 0.9])
    ax = history.plot(ax=Figure().subplots())
    assert [line.get_label() for line in ax.lines] == ["loss", "val_loss"]
    assert ax.lines[0].get_xydata().tolist() == [[1, 1.0], [2, 0.1]]
    assert ax.get_yscale() == "log"
    assert history.plot("accuracy", ax=Figure().subplots()).get_yscale() == "linear"
    with pytest.raises(KeyError, match="no 'f1': there are loss, val_loss, accuracy"):
        history.plot("f1")


def training(epochs=2):
    model = tl.nn.Linear(2, 1, rng=0)
    optimizer = tl.optim.SGD(model.parameters(), lr=0.1)
    x, y = tl.lab.xor()
    return tl.fit(
        model, (x, y), tl.mse_loss, optimizer, epochs, metrics=tl.metrics.accuracy, batch_size=7
    )


def test_nothing_is_shown_where_there_is_no_terminal(capsys):
    training()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_a_bar_in_a_terminal_or_lines(capsys, monkeypatch, with_tqdm):
    if with_tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    training()
    out, err = capsys.readouterr()
    assert out == "" and "epoch 2/2: loss " in err
    assert ("6/6" in err) == with_tqdm


def test_a_curve_in_a_notebook(monkeypatch):
    from IPython import display

    shown = []

    class Handle:
        def update(self, picture):
            shown.append(picture)

    class Shell:
        kernel = None

    monkeypatch.setattr(
        display, "display", lambda picture, display_id: shown.append(picture) or Handle()
    )
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", Shell)
    assert type(progress()).__name__ == "_Curve"
    training(3)
    assert 2 <= len(shown) <= 4
    assert all(picture.data.startswith(b"\x89PNG") for picture in shown)


def test_training_loads_nothing_heavy():
    from tests.core.test_imports import HEAVY, loaded_by

    loaded = loaded_by(
        "import sys, tinygrad_lab as tl\n"
        "assert not {'tinygrad_lab.data', 'tinygrad_lab.training'} & set(sys.modules)\n"
        "model = tl.nn.Linear(2, 1, rng=0)\n"
        "optimizer = tl.optim.SGD(model.parameters(), lr=0.1)\n"
        "data = [[1.0, 2.0]], [[1.0]]\n"
        "tl.fit(model, data, tl.mse_loss, optimizer, progress=False)"
    )
    assert not {name for name in loaded if name.split(".")[0] in HEAVY}
