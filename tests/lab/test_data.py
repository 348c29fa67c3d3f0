"""Data sets: those of the reports to the bit; others from their definitions, and from files."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lab.lab import (
    DataError,
    Settings,
    circles,
    linear,
    load,
    moons,
    spirals,
    tables,
    train,
    train_many,
    usual_settings,
    xor,
)
from tinygrad_lab.lab.settings import command_of, pinned
from tinygrad_lab.lab.training import prepare


def test_xor_is_the_reports_points_in_the_reports_order():
    x, y = xor()
    expected = []
    for i in range(11):
        expected.append((0.1 * i, 0.1 * i, 0.0))
        if i != 5:
            expected.append((0.1 * i, 1 - 0.1 * i, 1.0))
    np.testing.assert_array_equal(np.hstack([x, y]), expected)  # exactly, not nearly
    assert x.shape == (21, 2)
    assert y.sum() == 10


@given(n=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_linear_is_labelled_by_the_diagonal(n, seed):
    x, y = linear(n, rng=seed)
    assert x.shape == (n, 2)
    assert y.shape == (n, 1)
    assert ((x >= 0) & (x < 1)).all()
    np.testing.assert_array_equal(y.ravel(), [0.0 if a > b else 1.0 for a, b in x])


def test_the_same_seed_draws_the_same_points_and_another_does_not():
    np.testing.assert_array_equal(linear(5, rng=1)[0], linear(5, rng=1)[0])
    assert not np.array_equal(linear(5, rng=1)[0], linear(5, rng=2)[0])


def test_drawing_leaves_numpys_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - what must not be touched
    load("linear", 50, rng=3)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_training_and_test_points_are_separate_draws():
    data = load("linear", 40, rng=0)
    assert data.x.shape == data.x_test.shape == (40, 2)
    assert not np.isin(data.x, data.x_test).any()
    assert load("xor").x_test is None


@pytest.mark.parametrize("n", [0, -3])
def test_no_points(n):
    with pytest.raises(ValueError, match=f"at least one point, got n = {n}"):
        linear(n)


def test_unknown_data():
    with pytest.raises(ValueError, match="unknown data 'rings'; there are: linear, xor"):
        load("rings")


# ---- points in the plane ------------------------------------------------------------------------


def on_spirals(x, y):
    radius = np.hypot(*x.T)
    angle = 3 * np.pi * radius + np.pi * y.ravel()
    return np.abs(x - radius[:, None] * np.array([np.cos(angle), np.sin(angle)]).T).max(axis=1)


def on_moons(x, y):
    centre = np.where(y == 0, [[0.0, 0.0]], [[1.0, 0.5]])
    side = np.where(y == 0, x[:, 1:], 0.5 - x[:, 1:]).ravel()  # each is one half of its circle
    return np.abs(np.hypot(*(x - centre).T) - 1) + np.maximum(-side, 0)


def on_circles(x, y):
    return np.abs(np.hypot(*x.T) - np.where(y == 0, 1.0, 0.5).ravel())


CURVES = [(spirals, on_spirals), (moons, on_moons), (circles, on_circles)]


@pytest.mark.parametrize(("draw", "distance"), CURVES)
@given(n=st.integers(1, 50), seed=st.integers(0, 2**32))
@settings(max_examples=20)
def test_points_are_on_their_curves_and_noise_moves_them(draw, distance, n, seed):
    x, y = draw(n, 0.0, seed)
    assert x.shape == (n, 2)
    assert y.ravel().tolist() == [i % 2 for i in range(n)]
    assert distance(x, y).max() < 1e-12
    moved, labels = draw(n, 0.1, seed)
    np.testing.assert_array_equal(labels, y)
    assert 0 < np.abs(moved - x).max() < 0.7


@pytest.mark.parametrize("draw", [spirals, moons, circles])
def test_noise_has_the_deviation_that_is_asked_for(draw):
    quiet, loud = (draw(4000, noise, rng=0)[0] for noise in (0.0, 0.3))
    assert abs((loud - quiet).std() - 0.3) < 0.01


@pytest.mark.parametrize("draw", [spirals, moons, circles])
@pytest.mark.parametrize(
    ("n", "noise", "message"),
    [(0, 0.1, "got n = 0"), (5, -1.0, "noise = -1"), (5, float("nan"), "noise = nan")],
)
def test_points_that_cannot_be_drawn(draw, n, noise, message):
    with pytest.raises(ValueError, match=message):
        draw(n, noise)


@pytest.mark.parametrize("name", ["spirals", "moons", "circles"])
def test_what_is_usual_learns_points_in_the_plane(name):
    result = train(usual_settings(name, epochs=600), seed=0)
    assert result.accuracy > 0.95
    assert result.test_accuracy > 0.85


# ---- files --------------------------------------------------------------------------------------


def write_csv(path, header, rows):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return str(path)


def write_idx(path, array, compressed=False):
    array = np.asarray(array, np.uint8)
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content += array.tobytes()
    path.write_bytes(gzip.compress(content) if compressed else content)
    return str(path)


@pytest.fixture
def flowers(tmp_path):
    """Three kinds that differ in length, with a width that says nothing and never changes."""
    rows = [(100 * kind + i, 7, name) for kind, name in enumerate("cab") for i in range(8)]
    return write_csv(tmp_path / "flowers.csv", "length,width,kind", rows)


def test_a_table_is_split_by_class_and_scaled_by_what_is_trained_on(flowers):
    data = load(flowers, rng=0, target="kind")
    assert data.encoding.columns == ("length", "width")
    assert data.encoding.classes == ("a", "b", "c")
    assert (data.y.sum(axis=0) == 6).all()
    assert (data.y_test.sum(axis=0) == 2).all()
    np.testing.assert_allclose(data.x[:, 0].mean(), 0, atol=1e-12)
    np.testing.assert_allclose(data.x[:, 0].std(), 1)
    assert (data.x[:, 1] == 0).all()
    lengths = np.vstack([data.x, data.x_test])[:, 0] * data.encoding.scale[0]
    lengths = np.sort(lengths + data.encoding.mean[0])
    np.testing.assert_allclose(lengths, [100 * kind + i for kind in range(3) for i in range(8)])
    again, other = (load(flowers, rng=seed, target="kind") for seed in (0, 1))
    np.testing.assert_array_equal(again.x, data.x)
    assert not np.array_equal(other.x, data.x)


def test_a_table_trains_alone_and_with_other_seeds(flowers):
    setting = usual_settings(flowers, target="kind", epochs=100)
    alone = train(setting, seed=1)
    assert alone.accuracy == alone.test_accuracy == 1.0
    np.testing.assert_allclose(alone.prediction.sum(axis=1), 1)
    together = train_many(setting, [1, 2])[0]
    np.testing.assert_allclose(together.losses, alone.losses, rtol=1e-7, atol=1e-12)
    assert together.accuracy == together.test_accuracy == 1.0


def test_a_file_is_read_once_and_again_when_it_has_changed(flowers, monkeypatch):
    reads = []
    read = tables.files.read_csv
    monkeypatch.setattr(tables.files, "read_csv", lambda *args: reads.append(args) or read(*args))
    before = [load(flowers, rng=seed, target="kind") for seed in range(3)]
    assert len(reads) == 1
    path = Path(flowers)
    path.write_text(path.read_text().replace("7,a", "9,a"))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # clocks of file systems are slow
    after = load(flowers, rng=0, target="kind")
    assert len(reads) == 2
    assert before[0].x[:, 1].std() == 0 < after.x[:, 1].std()


def test_another_file_than_that_of_the_run_is_an_error(flowers, tmp_path):
    settings = pinned(usual_settings(flowers, target="kind", epochs=1))
    command = command_of(settings, seed=0)
    assert f" --digest {settings.digest} " in command
    assert train(settings).settings == pinned(settings) == settings
    path = Path(flowers)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"7", b"8"))
    with pytest.raises(DataError, match=f"{settings.digest} is asked for; put back the file"):
        train(settings)
    path.write_bytes(content)
    os.utime(path, ns=(0, 0))
    train(settings)
    labels = write_idx(tmp_path / "y", [0, 7] * 4)
    assert len({tables.digest(flowers), tables.digest(flowers, labels), settings.digest}) == 2


def test_two_classes_have_one_output_or_two(tmp_path):
    path = write_csv(tmp_path / "a.csv", "x,y", [(i, i > 5) for i in range(12)])
    one = Settings(data=path, target="y", loss="cross-entropy", output_activation="sigmoid")
    assert prepare(one, 0)[0].y.shape == (8, 1)
    two = usual_settings(path, target="y", epochs=100)
    data, model = prepare(two, 0)
    assert data.y.shape == (8, 2)
    assert (data.y.sum(axis=1) == 1).all()
    assert model.sizes == [1, 32, 2]
    results = train(one, 0), train(two, 0)
    assert [result.accuracy for result in results] == [1.0, 1.0]


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    path = write_csv(tmp_path / "a.csv", "x,y", [(i, 9 + i % 3) for i in range(12)])
    assert load(path, target="y").encoding.classes == ("9", "10", "11")


def test_too_few_rows_to_hold_any_out(tmp_path):
    path = write_csv(tmp_path / "a.csv", "x,y", [(0, "a"), (1, "b")])
    assert train(usual_settings(path, target="y", epochs=1)).test_accuracy is None


@pytest.mark.parametrize("compressed", [False, True])
def test_images_and_their_labels(tmp_path, compressed):
    images = np.arange(8 * 2 * 3).reshape(8, 2, 3)
    x = write_idx(tmp_path / "x", images, compressed)
    y = write_idx(tmp_path / "y", [0, 7] * 4, compressed)
    data = load(x, rng=0, labels=y)
    assert data.encoding.classes == ("0", "7")
    assert (data.x.shape, data.x_test.shape) == ((6, 6), (2, 6))
    rows = np.vstack([data.x, data.x_test]) * 255
    np.testing.assert_allclose(rows[rows[:, 0].argsort()], images.reshape(8, 6))


def test_digits():
    data = load("digits", rng=0)
    assert data.x.shape == (1347, 64)
    assert data.y_test.shape == (450, 10)
    assert (data.x.min(), data.x.max()) == (0, 1)


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        ("a,b\n1,2\n", "c", "has no column 'c'; there are: a, b"),
        ("a,b\n1,x\n2,x\n", "b", "has 1 value: "),
        ("a,b\n1,0.5\n2,1\n", "b", "has numbers such as 0.5, and no classes; tl.fit"),
        ("a,b\n1,0\nz,1\n", "b", "line 3, column 'a': 'z' is no number"),
        ("a,b\n1,0\nnan,1\n", "b", "row 2, column 'a': nan is no finite number"),
        ("a,a,b\n1,2,0\n3,4,1\n", "b", "has two columns 'a'"),
        ("a;b\n1;x\n2;y\n", "b", "has no column 'b'; there are: a;b"),
        ("a,b\n1,x\n2,\n", "b", "row 2, column 'b': there is nothing"),
        ("a,b\n1e308,0\n-1e308,1\n", "b", "column 'a': its numbers are too large"),
        ("a,b\n1,0,3\n", "b", "3 cells"),
        ("b\n0\n1\n", "b", "no column beside 'b'"),
        ("", "b", "has no line of numbers"),
        ("a,b\n", "b", "has no line of numbers"),
        (b"\xff\xfe\0a", "b", "is no text in UTF-8"),
        (None, "b", "cannot read .*: No such file"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, content, target, message):
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        load(str(path), target=target)
    assert str(path) in str(caught.value)


def test_images_that_cannot_be_used(tmp_path):
    images = write_idx(tmp_path / "x", np.zeros((4, 2, 2)))
    labels = write_idx(tmp_path / "y", [0, 1, 0, 1])
    few = write_idx(tmp_path / "few", [0, 1])
    (tmp_path / "cut").write_bytes((tmp_path / "x").read_bytes()[:-1])
    for x, y, message in [
        (labels, labels, "and no images"),
        (images, few, "no labels of 4 images"),
        (images, images, "no labels of 4 images"),
        (str(tmp_path / "cut"), labels, "not complete"),
        (images, str(tmp_path), "cannot read .*: Is a directory"),
    ]:
        with pytest.raises(DataError, match=message):
            load(x, labels=y)
