"""Boundaries as they form: from the untrained network to the trained one."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tinygrad_lab.lab.reports import example
from tinygrad_lab.lab.reports.multiples import grid
from tinygrad_lab.lab.reports.sections import boundaries
from tinygrad_lab.lab.reports.studies import STUDIES
from tinygrad_lab.lab.training import prepare, train_many


@pytest.fixture(scope="module")
def runs():
    wanted = [replace(s, epochs=300) for s in example.needs(STUDIES)]
    return {settings: train_many(settings, range(3)) for settings in wanted}


@pytest.fixture(scope="module")
def made(runs):
    return boundaries.section(runs, quick=False)


def test_both_data_sets_have_a_film_and_a_quick_report_has_one(runs, made):
    assert [film["title"] for film in made.shown["films"]] == ["Linear data", "XOR"]
    quick = boundaries.section(runs, quick=True)
    assert [film["title"] for film in quick.shown["films"]] == ["XOR"]
    assert boundaries.section({}, quick=False) is None


def test_the_frames_lead_from_the_untrained_network_to_the_trained_one(runs, made):
    for (settings, results), film in zip(runs.items(), made.shown["films"], strict=True):
        (result,) = [result for result in results if result.seed == film["seed"]]
        table = made.tables[f"boundaries-{settings.data}.csv"]
        columns = np.array(table.rows, float).T
        untrained = prepare(settings, result.seed)[1]
        np.testing.assert_allclose(columns[2], untrained(grid()).data.ravel(), rtol=1e-5)
        np.testing.assert_allclose(columns[-1], result.predict(grid()).ravel(), rtol=1e-5)
        epochs = [int(name.removeprefix("epoch ")) for name in table.header[2:]]
        assert epochs == sorted(set(epochs))
        assert (epochs[0], epochs[-1]) == (0, 300)
        assert len(epochs) == len(film["frames"]) <= boundaries.FRAMES


def test_a_frame_counts_what_is_right_at_its_epoch(runs, made):
    for results, film in zip(runs.values(), made.shown["films"], strict=True):
        (result,) = [result for result in results if result.seed == film["seed"]]
        last, n = film["frames"][-1], len(result.y)
        assert last["text"] == f"{round(result.accuracy * n)} of {n} right"
        for frame in film["frames"]:
            assert f"output at epoch {frame['epoch'].replace(',', '')}: " in frame["svg"]


def test_a_frame_has_a_boundary_where_its_outputs_are_on_both_sides(made):
    for film in made.shown["films"]:
        columns = np.array(made.tables[film["data"].removeprefix("data/")].rows, float).T[2:]
        has_one = [outputs.min() < 0.5 < outputs.max() for outputs in columns]
        assert ['class="boundary"' in frame["svg"] for frame in film["frames"]] == has_one
        assert len({frame["svg"].partition(">")[2] for frame in film["frames"]}) > 2


def test_every_point_is_in_every_frame(made):
    for film, count in zip(made.shown["films"], (100, 21), strict=True):
        for frame in film["frames"]:
            paths = re.findall(r'<path class="(?:zero|one)" d="([^"]+)"', frame["svg"])
            assert sum(path.count("M") for path in paths) == count
