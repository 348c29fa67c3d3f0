"""Settings that cannot be trained are refused at once, in a sentence that says what to do."""

import csv
import io
import json
import shlex
import sqlite3
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinygrad_lab.lab import Settings, SettingsError, cli, training
from tinygrad_lab.lab.settings import (
    ACTIVATIONS,
    LOSSES,
    OPTIMIZERS,
    REDUCTIONS,
    THRESHOLDS,
    command_of,
    parse_hidden,
)

counts = st.integers(1, 10**9)


@st.composite
def settings(draw):
    """Settings of every kind that can be trained."""
    loss = draw(st.sampled_from(LOSSES))
    last = st.none() | st.sampled_from(ACTIVATIONS)
    data = draw(st.sampled_from(["linear", "xor"]))
    return Settings(
        data=data,
        hidden=tuple(draw(st.lists(counts, min_size=1, max_size=3))),
        activation=draw(st.sampled_from(ACTIVATIONS)),
        output_activation=draw(last) if loss == "mse" else "sigmoid",
        bias=draw(st.booleans()),
        loss=loss,
        reduction=draw(st.sampled_from(REDUCTIONS)),
        optimizer=draw(st.sampled_from(OPTIMIZERS)),
        lr=draw(st.floats(0, 1e300, exclude_min=True)),
        epochs=draw(counts),
        n=draw(counts) if data == "linear" else 100,
        threshold=draw(st.sampled_from(THRESHOLDS)),
    )


def test_settings_are_values():
    assert Settings(lr=0.2) == Settings(lr=0.2)
    assert len({Settings(), Settings(), Settings(lr=0.2)}) == 2
    with pytest.raises(FrozenInstanceError):
        Settings().lr = 1.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"data": "xr"}, "unknown data 'xr'; did you mean 'xor'"),
        ({"activation": "Sigmoid"}, "unknown activation 'Sigmoid'; did you mean 'sigmoid'"),
        (
            {"activation": "zzz"},
            "unknown activation 'zzz'; There are: sigmoid, relu, leaky_relu, tanh, none",
        ),
        ({"output_activation": "rel"}, "unknown output activation 'rel'; did you mean 'relu'"),
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'"),
        ({"loss": "mae"}, "unknown loss 'mae'; did you mean 'mse'"),
        ({"reduction": "avg"}, "unknown reduction 'avg'"),
        ({"threshold": "mean"}, "unknown threshold 'mean'"),
        ({"lr": 0.0}, "must be a number above 0, got lr = 0.0"),
        ({"lr": -0.1}, "must be a number above 0, got lr = -0.1"),
        ({"lr": float("nan")}, "got lr = nan"),
        ({"lr": float("inf")}, "got lr = inf"),
        ({"hidden": (4, -1)}, r"at least 1; got hidden = \(4, -1\)"),
        ({"hidden": (4, 0)}, r"at least 1; got hidden = \(4, 0\)"),
        ({"hidden": (4.0,)}, "whole number"),
        ({"hidden": ()}, "at least 1"),
        ({"epochs": 0}, "got epochs = 0"),
        ({"epochs": -5}, "got epochs = -5"),
        ({"epochs": 1.5}, "whole number"),
        ({"n": 0}, "got n = 0"),
        ({"loss": "cross-entropy", "activation": "relu"}, "needs a sigmoid"),
        ({"loss": "report-a", "output_activation": "none"}, "needs a sigmoid"),
    ],
)
def test_bad_settings(wrong, message):
    with pytest.raises(SettingsError, match=message):
        Settings(**wrong)


def test_a_cross_entropy_wants_the_sigmoid_only_at_the_end():
    assert Settings(loss="cross-entropy", activation="relu", output_activation="sigmoid")


@pytest.mark.parametrize("text", ["", "4,", "4;4", "four", "4,4.5"])
def test_hidden_sizes_that_are_none(text):
    with pytest.raises(SettingsError, match="whole numbers with commas between them"):
        parse_hidden(text)


# ---- rows and command lines ---------------------------------------------------------------------


def through_json(row):
    return json.loads(json.dumps(row, allow_nan=False))


def through_csv(row):
    text = io.StringIO()
    writer = csv.DictWriter(text, row)
    writer.writeheader()
    writer.writerow(row)
    return next(csv.DictReader(io.StringIO(text.getvalue())))


def through_sqlite(row):
    with sqlite3.connect(":memory:") as database:
        database.execute(f"create table trials ({', '.join(row)})")
        database.execute(
            f"insert into trials values ({', '.join('?' * len(row))})", [*row.values()]
        )
        database.row_factory = sqlite3.Row
        back = dict(database.execute("select * from trials").fetchone())
    database.close()
    return back


@given(settings())
def test_a_row_comes_back_from_every_kind_of_table(before):
    for through in (dict, through_json, through_csv, through_sqlite):
        assert Settings.from_row(through(before.to_row())) == before


def test_a_row_comes_back_from_pandas_columns_of_floats():
    row = Settings().to_row() | {"epochs": 5000.0, "output_activation": float("nan")}
    assert Settings.from_row(row) == Settings()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": "fast"}, "'fast' is no value for 'lr'"),
        ({"epochs": 1.5}, "1.5 is no value for 'epochs'"),
        ({"epochs": float("inf")}, "inf is no value for 'epochs'"),
        ({"bias": "perhaps"}, "'perhaps' is no value for 'bias'"),
        ({"hidden": 4.5}, "4.5 is no value for 'hidden'"),
        ({"data": "xr"}, "did you mean 'xor'"),
        ({"moment": 1}, "'moment' is unknown"),
        ({"settings_version": 2}, "settings_version = 2: this version"),
    ],
)
def test_a_row_that_cannot_be_read(change, message):
    with pytest.raises(SettingsError, match=message):
        Settings.from_row(Settings().to_row() | change)


@pytest.mark.parametrize("name", [*Settings().to_row()])
def test_a_row_without_a_column(name):
    row = Settings().to_row()
    del row[name]
    with pytest.raises(SettingsError, match=f"'{name}' is missing"):
        Settings.from_row(row)


@given(before=settings(), seed=st.integers(0, 2**64))
@example(before=Settings(), seed=0)
def test_the_command_of_a_run_has_its_settings_and_its_seed(before, seed):
    class Reached(Exception):
        pass

    def stop(asked, its_seed, **_):
        assert (asked, its_seed) == (before, seed)
        raise Reached

    program, *arguments = shlex.split(command_of(before, seed))
    assert program == "tinygrad-lab"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "train", stop)
        with pytest.raises(Reached):
            cli.main(arguments)
