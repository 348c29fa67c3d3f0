"""Many settings in parallel processes: the same results, in order, once each."""

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from tinygrad_lab.lab import Settings, train, train_many
from tinygrad_lab.lab import runner as running
from tinygrad_lab.lab.runner import run_all

SETTING = Settings(hidden=(2,), epochs=20)


def test_results_are_those_of_training_in_the_order_of_the_seeds():
    other = replace(SETTING, data="linear", lr=0.2)
    runs = run_all([(SETTING, [5, 3]), (other, range(2))], workers=2, progress=False)
    assert [r.seed for r in runs[SETTING]] == [5, 3]
    assert [r.seed for r in runs[other]] == [0, 1]
    for setting, results in runs.items():
        for result in results:
            expected = train(setting, result.seed)
            np.testing.assert_array_equal(result.losses, expected.losses)


def test_a_setting_named_twice_is_run_once_with_its_longest_list():
    runs = run_all([(SETTING, range(1)), (SETTING, range(3))], workers=1, progress=False)
    assert [r.seed for r in runs[SETTING]] == [0, 1, 2]


def test_more_seeds_than_fit_one_batch(monkeypatch):
    monkeypatch.setattr(running, "_NUMBERS_AT_ONCE", 2 * 21 * 2)  # two networks
    runs = run_all([(SETTING, range(5))], workers=1, progress=False)
    assert [r.seed for r in runs[SETTING]] == list(range(5))


def test_processes_import_nothing_from_the_current_folder(tmp_path, monkeypatch):
    for name in ("multiprocessing", "random", "tinygrad_lab", "numpy", "signal"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'a').close()", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert run_all([(SETTING, range(1))], workers=1, progress=False)
    assert not (tmp_path / "ran").exists()
    assert "PYTHONSAFEPATH" not in os.environ


def test_an_error_in_a_process_is_an_error_here(monkeypatch):
    broken = replace(SETTING)
    object.__setattr__(broken, "optimizer", "none such")
    with pytest.raises(KeyError, match="none such"):
        run_all([(broken, range(1))], workers=1, progress=False)


def test_what_is_finished_is_not_run_again_and_what_becomes_whole_is_kept(monkeypatch):
    monkeypatch.setattr(running, "_NUMBERS_AT_ONCE", 2 * 21 * 2)  # two networks
    other, stored = replace(SETTING, lr=0.2), []
    earlier = {SETTING: train_many(SETTING, [0, 1, 2])}
    runs = run_all(
        [(SETTING, range(3)), (other, range(3))],
        workers=1,
        progress=False,
        finished=earlier,
        keep=lambda settings, results: stored.append((settings, [r.seed for r in results])),
    )
    assert all(a is b for a, b in zip(runs[SETTING], earlier[SETTING], strict=True))
    assert stored == [(other, [0, 1, 2])]
