"""What a sweep is to run: a TOML file of fixed values, a grid and random draws, one trial a seed.

A plan is counted before anything is run, and its trials are made one by one as they are asked for:
a plan of a million is as cheap to read as one of ten.  Whatever in it cannot be trained is an error
here, with the file and the key.  Not for what one key may hold (``keys.py``) nor for running it
(``running.py``).
"""

from __future__ import annotations

import itertools
import math
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lab.lab.settings import Settings, SettingsError, usual_settings
from tinygrad_lab.lab.sweeps.errors import PlanError
from tinygrad_lab.lab.sweeps.keys import SETTINGS, Draw, Key, as_toml

_SECTIONS = ("settings", "grid", "random")
_OF_DRAWS = ("trials", "seed")


@dataclass(frozen=True, slots=True)
class Plan:
    """The trials of a sweep: every draw, with every combination of the grid, with every seed.

    Attributes
    ----------
    fixed
        The values that all trials share; a setting that is nowhere is as in ``train``.
    grid
        Settings with a list of values each.
    random
        Settings with a distribution each: a function of a random generator.
    draws, draw_seed
        How often to draw, and what decides the draws.  More draws later begin with the same ones.
    seeds
        Of the runs: each decides data and weights.
    source, text
        The file's name, for messages, and what is in it.
    """

    fixed: Mapping[str, Any]
    grid: Mapping[str, Sequence[Any]]
    random: Mapping[str, Draw]
    draws: int
    draw_seed: int
    seeds: Sequence[int]
    source: str
    text: str

    @property
    def size(self) -> int:
        """How many trials there are; fewer in fact, where two draws are the same."""
        return math.prod(map(len, self.grid.values())) * self.draws * len(self.seeds)

    def settings(self) -> Iterator[Settings]:
        """Make the settings one by one.

        Raises
        ------
        PlanError
            Values that cannot be trained together.
        """
        for drawn in self._drawn():
            for values in itertools.product(*self.grid.values()):
                chosen = {**self.fixed, **drawn, **dict(zip(self.grid, values, strict=True))}
                try:
                    yield usual_settings(**{"data": "xor", **chosen})
                except SettingsError as error:
                    together = ", ".join(f"{k} = {as_toml(v)}" for k, v in chosen.items())
                    raise PlanError(f"{self.source}: {together}: {error}") from None

    def _drawn(self) -> Iterator[dict[str, Any]]:
        # A random stream for each setting: its draws do not depend on what else is drawn.
        streams = {
            name: np.random.default_rng([self.draw_seed, *name.encode()]) for name in self.random
        }
        for _ in range(self.draws):
            yield {name: draw(streams[name]) for name, draw in self.random.items()}


def read_plan(path: str | os.PathLike[str]) -> Plan:
    """Read a plan from a TOML file.

    Raises
    ------
    PlanError
        The file cannot be read, or is no plan, as :func:`parse_plan` says.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise PlanError(f"{path} is not TOML: it is not text in UTF-8") from None
    except OSError as error:
        raise PlanError(f"cannot read {path}: {error.strerror or error}") from None
    return parse_plan(text, os.fspath(path))


def parse_plan(text: str, source: str = "the plan") -> Plan:
    """Read a plan from TOML.

    Parameters
    ----------
    text
        ``seeds``, a list or how many, and three sections, each of which may be missing:
        ``[settings]`` with values; ``[grid]`` with lists of values; ``[random]`` with ``trials``,
        ``seed`` and distributions, which are ``{ uniform = [low, high] }``,
        ``{ log_uniform = [low, high] }``, ``{ integers = [low, high] }``, both ends included, and
        ``{ choice = [...] }``.
    source
        What to call it in messages.

    Raises
    ------
    PlanError
        It is not TOML, or has a key or a value that means nothing or cannot be trained.

    Examples
    --------
    >>> plan = parse_plan('''
    ... seeds = 5
    ... [settings]
    ... epochs = 100
    ... [grid]
    ... hidden = [[3, 3], [4, 4]]
    ... lr = [0.1, 1.0]
    ... ''')
    >>> plan.size
    20
    >>> [(settings.hidden, settings.lr) for settings in plan.settings()]
    [((3, 3), 0.1), ((3, 3), 1.0), ((4, 4), 0.1), ((4, 4), 1.0)]
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{source} is not TOML: {error}") from None
    Key(source).check_names(document, ("seeds", *_SECTIONS))
    fixed, grid, random = (_section(document, name, source) for name in _SECTIONS)
    draws, draw_seed = _draws(random, Key(source, "random"))
    seeds = Key(source, "", "seeds").seeds(document.get("seeds", 1))
    plan = Plan(
        fixed={name: Key(source, "settings", name).value(value) for name, value in fixed.items()},
        grid={name: Key(source, "grid", name).values(values) for name, values in grid.items()},
        random={name: Key(source, "random", name).draw(how) for name, how in random.items()},
        draws=draws,
        draw_seed=draw_seed,
        seeds=seeds,
        source=source,
        text=text,
    )
    _check_each_is_in_one_section({"settings": fixed, "grid": grid, "random": random}, source)
    return plan


def _section(document: Mapping[str, Any], name: str, source: str) -> dict[str, Any]:
    """Return a section with the names that it may have."""
    section = document.get(name, {})
    if not isinstance(section, dict):
        raise Key(source, "", name).error(f"is a section: write [{name}] on a line of its own")
    Key(source, name).check_names(section, SETTINGS + (_OF_DRAWS if name == "random" else ()))
    return dict(section)


def _draws(random: dict[str, Any], key: Key) -> tuple[int, int]:
    """Take out of the section how often to draw, and with which seed."""
    if not random:
        return 1, 0
    if "trials" not in random:
        raise key.error("needs trials = how often to draw, such as trials = 50")
    trials, seed = random.pop("trials"), random.pop("seed", 0)
    if not random:
        raise key.error("has no distributions, such as lr = { log_uniform = [0.001, 1.0] }")
    return key.at("trials").whole_number(trials, 1), key.at("seed").whole_number(seed, 0)


def _check_each_is_in_one_section(sections: Mapping[str, Mapping[str, Any]], source: str) -> None:
    for (one, names), (other, others) in itertools.combinations(sections.items(), 2):
        for name in names.keys() & others.keys():
            raise Key(source, one, name).error(f"is in [{other}] too; take it out of one of them")
