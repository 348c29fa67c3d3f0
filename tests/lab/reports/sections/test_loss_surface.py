"""The loss surface: its middle is the trained network, and its paths lead there."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lab.lab import Settings, train
from tinygrad_lab.lab.reports.sections import loss_surface
from tinygrad_lab.lab.reports.sections.moments import moments
from tinygrad_lab.lab.reports.studies import STUDIES
from tinygrad_lab.lab.training import train_many

EPOCHS = 60


@pytest.fixture(scope="module")
def results():
    (setting,) = loss_surface.needs(STUDIES)
    return train_many(replace(setting, epochs=EPOCHS), range(3))


@pytest.fixture(scope="module")
def made(results):
    patch = pytest.MonkeyPatch()
    patch.setattr(loss_surface, "QUICK_EPOCHS", EPOCHS)
    patch.setattr(loss_surface, "QUICK_RESOLUTION", 9)
    try:
        return loss_surface.section({results[0].settings: results}, quick=True)
    finally:
        patch.undo()


def numbers(made, name):
    return np.array([row[-3:] for row in made.tables[f"loss-surface-{name}.csv"].rows], float)


def test_the_middle_is_the_loss_of_the_trained_network(results):
    surface = loss_surface.surface(results[0], {}, resolution=9)
    ((i, j),) = np.argwhere((surface.v == 0)[:, None] & (surface.u == 0))
    assert surface.losses[i, j] == pytest.approx(results[0].loss, rel=1e-9)


def test_the_two_paths_begin_in_one_place_and_one_ends_in_the_middle(made):
    rows = made.tables["loss-surface-paths.csv"].rows
    paths = {}
    for name, epoch, *place in rows:
        paths.setdefault(name, []).append((epoch, *map(float, place)))
    descent, adam = paths["gradient descent"], paths["Adam"]
    assert descent[0] == adam[0]
    assert (descent[0][0], descent[-1][0], adam[-1][0]) == (0, EPOCHS, EPOCHS)
    np.testing.assert_allclose(descent[-1][1:3], 0.0, atol=1e-9)


def test_the_paths_are_inside_of_the_picture(made):
    surface, paths = numbers(made, "along"), numbers(made, "paths")
    for axis in (0, 1):
        assert surface[:, axis].min() < paths[:, axis].min()
        assert paths[:, axis].max() < surface[:, axis].max()


def test_nothing_is_shown_of_what_was_not_run():
    assert loss_surface.section({}, quick=True) is None
    assert loss_surface.needs([]) == []


@settings(max_examples=15)
@given(
    st.builds(
        Settings,
        optimizer=st.sampled_from(["sgd", "adam"]),
        lr=st.sampled_from([0.01, 0.1]),
        epochs=st.integers(1, 60),
    ),
    st.integers(2, 30),
)
def test_moments_are_epochs_of_the_curve_from_the_first_to_the_last(setting, count):
    result = train(setting)
    chosen = moments(result, count)
    assert (chosen[0], chosen[-1]) == (0, setting.epochs)
    assert chosen == sorted(set(chosen) & set(result.epochs.tolist()))
    assert len(chosen) <= count


def test_a_loss_that_swings_has_no_more_moments_for_it():
    result = train(Settings(optimizer="adam", epochs=400))
    falling = np.minimum.accumulate(result.losses)
    stairs = np.repeat(falling[::2], 2)[: falling.size]  # a new lowest at every second point
    swinging = np.where(np.arange(falling.size) % 2, stairs + 1.0, stairs)
    assert moments(replace(result, losses=swinging), 8) == moments(
        replace(result, losses=stairs), 8
    )
