"""Networks in files: they come back to the bit, say what they said, and nothing else is taken."""

import csv
from dataclasses import replace

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.lab import DataError, Settings, SettingsError, train, usual_settings
from tinygrad_lab.lab.data import Encoding
from tinygrad_lab.lab.examples import file_examples, named_examples, own_examples
from tinygrad_lab.lab.networks import Network, NetworkError, read_network, save_network
from tinygrad_lab.lab.predictions import Predictions
from tinygrad_lab.lab.training import loss_of, prepare


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """A table of three kinds, with a column between that numbers the rows."""
    path = tmp_path_factory.mktemp("flowers") / "flowers.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["length", "kind", "width"])
        writer.writerows(
            (3 * k + i / 8, name, i % 2) for k, name in enumerate("cab") for i in range(8)
        )
    return str(path)


def settings_of_every_kind(flowers):
    plane = {"epochs": 3, "hidden": (3,)}
    return [
        Settings(**plane),
        Settings(**plane, bias=False, threshold="median"),
        Settings(**plane, data="linear", n=9, loss="report-a"),
        usual_settings("moons", n=10, epochs=3),
        usual_settings("circles", n=8, epochs=3, output_activation="softmax"),
        usual_settings(flowers, target="kind", epochs=3),
        usual_settings(flowers, target="kind", epochs=3, output_activation="sigmoid"),
    ]


def test_a_network_comes_back_and_says_the_same(flowers, tmp_path):
    for settings in settings_of_every_kind(flowers):
        result = train(settings, seed=4)
        network = read_network(save_network(Network.of(result), tmp_path / "a.safetensors"))
        assert (network.settings, network.seed) == (settings, 4)
        x, y = own_examples(network)
        answers = network.predictions(x, y)
        np.testing.assert_array_equal(answers.outputs, result.prediction)
        assert answers.accuracy == result.accuracy
        np.testing.assert_allclose(answers.loss, result.loss, rtol=1e-12)
        if result.test_accuracy is not None and settings.threshold == "half":
            held_out = network.predictions(*own_examples(network, held_out=True))
            assert held_out.accuracy == result.test_accuracy


def test_a_median_threshold_is_that_of_the_training_whatever_is_asked(tmp_path):
    settings = Settings(data="linear", n=9, epochs=1, hidden=(3,), threshold="median")
    result = train(settings, seed=2)
    network = read_network(save_network(Network.of(result), tmp_path / "a.safetensors"))
    x, _ = own_examples(network, held_out=True)
    low = x[network.predict(x).outputs[:, 0] < np.median(result.prediction)]
    np.savetxt(tmp_path / "low.csv", low, delimiter=",", header="x0,x1", comments="")
    asked, _ = file_examples(network, str(tmp_path / "low.csv"))
    answers = network.predictions(asked)
    # With 0.5 as the threshold all of them would be of class 1, with their own median some.
    assert len(low) > 1
    assert answers.outputs.min() > 0.5
    assert set(answers.labels) == {0}


def test_the_loss_of_a_network_is_what_a_step_descends(flowers):
    for settings in settings_of_every_kind(flowers):
        setting = replace(settings, optimizer="sgd", lr=0.01, epochs=1)
        for reduction in ("mean", "sum"):
            one = replace(setting, reduction=reduction)
            data, model = prepare(one, 1)
            loss_of(one, model, data.x, data.y).backward()
            after = train(one, 1).weights
            for name, parameter in model.named_parameters():
                step = parameter.data - 0.01 * parameter.grad
                np.testing.assert_allclose(after[name], step, rtol=1e-9, atol=1e-15)


# ---- what a network is asked about --------------------------------------------------------------


@pytest.fixture(scope="module")
def of_xor():
    return Network.of(train(Settings(epochs=5), seed=0))


@pytest.fixture(scope="module")
def of_flowers(flowers):
    return Network.of(train(usual_settings(flowers, target="kind", epochs=60), seed=0))


def test_data_with_a_name_are_those_of_training_with_the_seed():
    trained = train(Settings(data="linear", n=7, epochs=2), seed=3)
    network = Network.of(trained)
    np.testing.assert_array_equal(named_examples(network, "linear")[0], trained.x)
    other = named_examples(network, "linear", seed=5, n=12)
    np.testing.assert_array_equal(other[0], prepare(Settings(data="linear", n=12), 5)[0].x)
    assert named_examples(network, "linear", held_out=True)[0].shape == (7, 2)
    assert named_examples(network, "xor")[1].sum() == 10


def test_the_columns_of_a_table_are_found_by_their_names(of_flowers, flowers, tmp_path):
    x, y = file_examples(of_flowers, flowers)
    assert of_flowers.predictions(x, y).accuracy == 1.0
    other = tmp_path / "other.csv"
    other.write_text("number,width,length\n1,0,0.2\n2,1,6.5\n")
    x, y = file_examples(of_flowers, str(other))
    assert y is None
    answers = of_flowers.predictions(x)
    assert [row["prediction"] for row in answers.rows()] == ["c", "b"]
    assert (answers.loss, answers.accuracy) == (None, None)
    rows = np.array([[0.2, 0.0], [6.5, 1.0]])
    np.testing.assert_array_equal(of_flowers.predict(rows).outputs, answers.outputs)


def test_examples_that_do_not_fit(of_xor, of_flowers, tmp_path):
    short, odd = tmp_path / "short.csv", tmp_path / "odd.csv"
    short.write_text("length\n1\n")
    odd.write_text("length,width,kind\n1,2,z\n")
    for ask, error, message in [
        (
            lambda: named_examples(of_xor, "digits"),
            NetworkError,
            "takes 2 inputs, and digits has 64",
        ),
        (lambda: named_examples(of_xor, "xr"), SettingsError, "did you mean 'xor'"),
        (lambda: named_examples(of_xor, "xor", n=3), SettingsError, "n = 3 has no effect"),
        (lambda: named_examples(of_flowers, "xor"), DataError, "class '0', and the network knows"),
        (lambda: own_examples(of_xor, held_out=True), DataError, "nothing is held out"),
        (lambda: file_examples(of_flowers, str(short)), NetworkError, "no column 'width'"),
        (
            lambda: file_examples(of_flowers, str(odd)),
            DataError,
            "class 'z', and the network knows",
        ),
        (
            lambda: file_examples(of_flowers, str(short), target="sort"),
            DataError,
            "no column 'sort'",
        ),
        (lambda: file_examples(of_xor, str(short)), NetworkError, "no column 'x0'"),
    ]:
        with pytest.raises(error, match=message):
            ask()


def test_a_line_an_example():
    one = Encoding()
    assert Predictions(np.array([[0.4], [0.6]]), one).lines() == [
        "Iter1 | prediction: 0.40000 |",
        "Iter2 | prediction: 0.60000 |",
    ]
    named = Encoding(classes=("lily", "rose"))
    assert Predictions(np.array([[0.4]]), named, 0.3, np.array([[0.0]])).lines() == [
        "Iter1 | Ground truth: lily | prediction: rose (0.40000) |"
    ]


# ---- files that are none ------------------------------------------------------------------------


def changed(network, path, **changes):
    save_network(network, path)
    tl.save(tl.load(path) | changes, path)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network_version": 2}, "is a network of version 2, and this tinygrad_lab reads 1"),
        ({"settings": Settings().to_row() | {"lr": -1}}, "the learning rate must be"),
        ({"settings": {"lr": 0.1}}, "a row of settings has other columns"),
        ({"settings": Settings(hidden=(5,)).to_row()}, "does not hold what its settings say"),
        ({"weights": {}}, "does not hold what its settings say"),
        ({"weights": "none"}, "does not hold what its settings say"),
        ({"columns": ["x0", "x1", "x2"]}, "does not hold what its settings say"),
        ({"classes": ["a", "b", "c"]}, "does not hold what its settings say"),
        ({"mean": np.zeros(3)}, "does not hold what its settings say"),
        ({"seed": None}, "does not hold what its settings say"),
    ],
)
def test_a_file_that_does_not_fit_together(of_xor, tmp_path, changes, message):
    path = changed(of_xor, tmp_path / "a.safetensors", **changes)
    with pytest.raises(NetworkError, match=message) as caught:
        read_network(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_cut_or_foreign(of_xor, tmp_path):
    path = save_network(of_xor, tmp_path / "a.safetensors")
    content = path.read_bytes()
    for length in (0, 4, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(NetworkError, match="no safetensors file, or a damaged one"):
            read_network(path)
    for foreign in (tl.nn.Linear(2, 1, rng=0), [1, 2], {"weights": np.ones(2)}):
        tl.save(foreign, path)
        with pytest.raises(NetworkError, match="holds no network of the lab"):
            read_network(path)
    with pytest.raises(NetworkError, match=r"cannot read .*: No such file"):
        read_network(tmp_path / "none")
