"""A small multiple draws every point once a panel, rings what is wrong, and covers the square."""

import re

import numpy as np
import pytest

from tinygrad_lab.lab import Settings, train_many
from tinygrad_lab.lab.reports.multiples import grid, multiple

TRAINED, UNTRAINED = (
    train_many(Settings(hidden=(4, 4), optimizer="adam", lr=0.1, epochs=epochs), [1])[0]
    for epochs in (400, 1)
)
(DIVERGED,) = train_many(Settings(activation="none", lr=9.0, epochs=50), [1])


def paths(svg, name):
    return re.findall(rf'<path class="{name}" d="([^"]+)"', svg)


def dots(svg, name):
    return sum(path.count("h0") for path in paths(svg, name))


def area(path):
    """The area of the polygons of a path, holes taken off."""
    total = 0.0
    for polygon in path.split("z")[:-1]:
        start, steps = polygon.removeprefix("M").split("l")
        points = np.cumsum(
            np.array([start.split(), *np.reshape(steps.split(), (-1, 2))], dtype=float), axis=0
        )
        x, y = points.T
        total += 0.5 * float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    return abs(total)


@pytest.mark.parametrize("result", [TRAINED, UNTRAINED, DIVERGED])
def test_each_point_stands_in_two_panels_by_its_label_and_by_what_is_said(result):
    svg = multiple(result, "").svg
    truth, said = result.y > 0.5, result.prediction > result.threshold
    assert dots(svg, "one") == truth.sum() + said.sum()
    assert dots(svg, "zero") == (~truth).sum() + (~said).sum()
    assert dots(svg, "wrong") == (truth != said).sum()
    right = int((truth == said).sum())
    assert f"prediction ({right} of 21 points right)" in svg
    assert right == round(21 * result.accuracy)


@pytest.mark.parametrize("result", [TRAINED, UNTRAINED])
def test_the_bands_of_the_output_cover_the_square_once(result):
    svg = multiple(result, "").svg
    covered = sum(area(path) for band in range(6) for path in paths(svg, f"band{band}"))
    assert covered == pytest.approx(200**2, rel=0.01)


@pytest.mark.parametrize("result", [TRAINED, UNTRAINED])
def test_there_is_a_boundary_where_outputs_cross_the_threshold(result):
    drawn = multiple(result, "")
    crosses = drawn.outputs.min() < result.threshold < drawn.outputs.max()
    assert bool(paths(drawn.svg, "boundary")) is bool(crosses)


def test_outputs_are_those_of_the_network_on_the_grid():
    np.testing.assert_array_equal(multiple(TRAINED, "").outputs, TRAINED.predict(grid()).ravel())


def test_a_diverged_run_says_when():
    drawn = multiple(DIVERGED, "")
    assert drawn.outputs is None
    assert f"at epoch {DIVERGED.diverged_at:,}" in drawn.svg
    assert "band" not in drawn.svg


def test_a_title_is_no_markup():
    assert "<b>" not in multiple(TRAINED, 'a "quoted" <b>').svg
