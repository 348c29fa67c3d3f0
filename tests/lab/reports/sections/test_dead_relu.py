"""Dead ReLU: what is counted as dead is dead, and stays so."""

from dataclasses import replace

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.lab.reports.sections import dead_relu
from tinygrad_lab.lab.reports.studies import STUDIES
from tinygrad_lab.lab.training import train_many

EPOCHS, SEEDS = 40, 12


@pytest.fixture(scope="module")
def setting():
    (settings,) = dead_relu.needs(STUDIES)
    return replace(settings, epochs=EPOCHS)


@pytest.fixture(scope="module")
def fast(setting):
    """Trained at a rate at which steps kill."""
    return train_many(replace(setting, lr=0.1), range(SEEDS), snapshots=range(0, EPOCHS + 1, 4))


@pytest.fixture(scope="module")
def made(setting):
    patch = pytest.MonkeyPatch()
    patch.setattr(dead_relu, "QUICK_EPOCHS", EPOCHS)
    patch.setattr(dead_relu, "QUICK_SEEDS", SEEDS)
    runs = {setting: train_many(setting, range(SEEDS))}
    try:
        return dead_relu.section(runs, quick=True), runs[setting]
    finally:
        patch.undo()


def test_a_unit_is_dead_where_its_layer_gives_0_for_every_point(fast):
    units = dead_relu.Deaths.of(fast).units
    for moment, epoch in enumerate(fast[0].snapshots):
        for run, result in enumerate(fast):
            a, dead = tl.Tensor(result.x), []
            for layer in result.model(epoch).layers:
                a = layer(a)
                if isinstance(layer, tl.nn.ReLU):
                    dead += (a.data == 0).all(axis=0).tolist()
            assert units[moment, run].tolist() == dead


def test_a_dead_network_answers_0_stays_dead_and_moves_no_more(fast):
    deaths = dead_relu.Deaths.of(fast)
    assert deaths.networks.any() and not deaths.networks.all()
    assert (deaths.networks[1:] >= deaths.networks[:-1]).all()
    for result, dead in zip(fast, deaths.networks.T, strict=True):
        assert dead_relu.answers_zero(result) == dead[-1]
        states = [s for s, is_dead in zip(result.snapshots.values(), dead, strict=True) if is_dead]
        for state in states[1:]:
            for name, weight in state.items():
                np.testing.assert_array_equal(weight, states[0][name])
        if dead[-1]:
            assert result.loss == pytest.approx(10 / 21, abs=1e-12)


def test_every_run_has_one_fate(fast):
    fates = np.stack(list(dead_relu.Deaths.of(fast).groups().values()))
    assert (fates.sum(axis=0) == 1).all()


def test_the_cures_are_what_single_runs_say(made, setting):
    section, _ = made
    for cure in section.shown["cures"]:
        changed = replace(setting, **dead_relu.CURES[cure["label"]])
        results = train_many(changed, range(SEEDS), snapshots=[0])
        assert cure["end"] == sum(bool((r.prediction == 0).all()) for r in results)
        assert cure["start"] == sum(bool((r.predict(r.x, 0) == 0).all()) for r in results)
    by_label = {cure["label"]: cure for cure in section.shown["cures"]}
    assert by_label["as report B"]["start"] > 0
    assert by_label["leaky ReLU, slope 0.01"]["end"] == 0


def test_the_graph_of_a_stuck_run_has_its_dead_unit_marked(made):
    section, results = made
    stuck, alive = section.shown["graphs"]
    by_seed = {result.seed: result for result in results}
    assert dead_relu.answers_zero(by_seed[stuck["seed"]])
    assert not dead_relu.answers_zero(by_seed[alive["seed"]])
    assert stuck["all_negative"]
    assert "dead: layers.5" in stuck["graph"]["health"]
    assert "the only unit is off for all 21 samples" in stuck["graph"]["health"]
    assert "layers.5" not in alive["graph"]["health"]
    for theme in ("light", "dark"):
        assert "dead 100 %" in stuck["graph"][theme]


def test_nothing_is_shown_of_what_was_not_run():
    assert dead_relu.section({}, quick=True) is None
    assert dead_relu.needs([]) == []
