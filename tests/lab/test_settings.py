"""Settings that cannot be trained are refused at once, in a sentence that says what to do."""

import csv
import io
import json
import shlex
import sqlite3
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import example, given
from hypothesis import settings as some
from hypothesis import strategies as st

from tinygrad_lab.lab import Settings, SettingsError, cli, commands, training, usual_settings
from tinygrad_lab.lab.data import DATA_NAMES, is_drawn, is_noisy
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
# Files may be called almost anything, but what begins with a dash is an option.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1).filter(
    lambda text: text[0] != "-"
)


@st.composite
def settings(draw):
    """Settings of every kind that can be trained."""
    loss = draw(st.sampled_from(LOSSES))
    last = {
        "mse": st.none() | st.sampled_from(ACTIVATIONS),
        "cross-entropy": st.sampled_from(["sigmoid", "softmax"]),
        "report-a": st.just("sigmoid"),
    }
    place = draw(
        st.sampled_from(DATA_NAMES).map(lambda name: {"data": name})
        | st.fixed_dictionaries({"data": texts.map("./{}".format), "target": texts})
        | st.fixed_dictionaries({"data": texts.map("{}.idx".format), "labels": texts})
    )
    if place["data"] not in DATA_NAMES:
        hashes = st.from_regex("sha256:[0-9a-f]{16}", fullmatch=True)
        place["digest"] = draw(st.none() | hashes)
    if is_drawn(place["data"]) and len(place) == 1:
        place["n"] = draw(counts)
        if is_noisy(place["data"]):
            place["noise"] = draw(st.floats(0, 1e300))
    return Settings(
        **place,
        hidden=tuple(draw(st.lists(counts, min_size=1, max_size=3))),
        activation=draw(st.sampled_from(ACTIVATIONS)),
        output_activation=draw(last[loss]),
        bias=draw(st.booleans()),
        loss=loss,
        reduction=draw(st.sampled_from(REDUCTIONS)),
        optimizer=draw(st.sampled_from(OPTIMIZERS)),
        lr=draw(st.floats(0, 1e300, exclude_min=True)),
        epochs=draw(counts),
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
        ({"digest": "sha256:0123456789abcdef"}, "has no effect on data 'xor'"),
        ({"data": "a.csv", "target": "y", "digest": "sha256:1"}, "a digest is sha256: and 16 hex"),
        ({"activation": "Sigmoid"}, "unknown activation 'Sigmoid'; did you mean 'sigmoid'"),
        (
            {"activation": "zzz"},
            "unknown activation 'zzz'; there are: sigmoid, relu, leaky_relu, tanh, none",
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
        ({"output_activation": "softmax"}, "'softmax' is for loss 'cross-entropy', got 'mse'"),
        ({"activation": "softmax"}, "unknown activation 'softmax'"),
        ({"data": "xor", "n": 5}, "n = 5 has no effect on data 'xor'; leave it out"),
        ({"data": "linear", "noise": 0.1}, "noise = 0.1 has no effect on data 'linear'"),
        ({"data": "moons", "noise": -0.1}, "from 0 on, got noise = -0.1"),
        ({"data": "moons", "noise": float("nan")}, "from 0 on, got noise = nan"),
        ({"data": "digits", "target": "kind"}, "target = 'kind' has no effect on data 'digits'"),
        (
            {"data": "points.csv"},
            "'points.csv' is the name of a file, and nothing says where its classes are",
        ),
        ({"data": "points.csv", "target": "kind", "n": 5}, "n = 5 has no effect"),
        ({"data": "a.idx", "target": "kind", "labels": "b.idx"}, "give one of them"),
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


def test_what_is_usual_is_the_reports_for_their_data_and_can_be_trained_for_all():
    assert usual_settings("xor") == Settings()
    assert usual_settings("linear") == Settings(data="linear")
    for name in DATA_NAMES:
        assert usual_settings(name, epochs=7).epochs == 7
    assert usual_settings("points.csv", target="kind", lr=0.5).lr == 0.5
    with pytest.raises(SettingsError, match="n = 100 has no effect on data 'xor'"):
        usual_settings("xor", n=100)  # which nobody says for nothing


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


@some(max_examples=30)
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
        ({"settings_version": 1}, "settings_version = 1: this version"),
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


@some(max_examples=30)
@given(before=settings(), seed=st.integers(0, 2**64))
@example(before=Settings(), seed=0)
def test_the_command_of_a_run_has_its_settings_and_its_seed(before, seed):
    class Reached(Exception):
        pass

    def stop(asked, its_seed, **_):
        last = before.last_activation  # which may be said in two ways
        assert replace(asked, output_activation=last) == replace(before, output_activation=last)
        assert (asked.last_activation, its_seed) == (last, seed)
        raise Reached

    program, *arguments = shlex.split(command_of(before, seed))
    assert program == "tinygrad-lab"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "train", stop)
        patched.setattr(commands.train, "pinned", lambda settings: settings)  # there is no file
        with pytest.raises(Reached):
            cli.main(arguments)
