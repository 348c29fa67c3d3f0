"""One key of a plan's file: what may stand there, and one sentence that says so if it does not.

Not for how the keys make a plan (``plan.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from tinygrad_lab.lab.settings import Settings, SettingsError, check_value
from tinygrad_lab.lab.sweeps.errors import PlanError

Draw = Callable[[np.random.Generator], Any]

# SQLite's integers end here.
_MOST = 2**63 - 1

#: Whatever a sweep can vary.
SETTINGS = tuple(field.name for field in fields(Settings))


@dataclass(frozen=True, slots=True)
class Key:
    """A place in a file.

    Attributes
    ----------
    source, section, name
        The file, the section without brackets, and the key: empty for the file or section itself.
    """

    source: str
    section: str = ""
    name: str = ""

    def at(self, name: str) -> Key:
        """Return another key of the same section."""
        return replace(self, name=name)

    def error(self, message: str) -> PlanError:
        """Return an error that says where it is."""
        place = (f"[{self.section}]" if self.section else "", self.name)
        return PlanError(" ".join(filter(None, (f"{self.source}:", *place, message))))

    def check_names(self, names: Iterable[str], allowed: Sequence[str]) -> None:
        """Raise PlanError at a name that means nothing here."""
        for name in names:
            if name not in allowed:
                raise self.at(name).error(f"means nothing here; {_hint(name, allowed)}")

    def whole_number(self, value: Any, least: int) -> int:
        """Return a whole number."""
        if not _is_whole(value) or not least <= value <= _MOST:
            limits = f"at most {_MOST:,} and at least {least}"
            raise self.error(f"must be a whole number, {limits}; got {as_toml(value)}")
        return int(value)

    def seeds(self, value: Any) -> Sequence[int]:
        """Return the seeds: a list of them, or the first so many."""
        if not isinstance(value, list):
            return range(self.whole_number(value, 1))
        return self._different([self.whole_number(seed, 0) for seed in self._listed(value)])

    def value(self, value: Any) -> Any:
        """Return one value as ``Settings`` has it."""
        kind = _kind(self.name)
        if not _FITS[kind](value):
            advice = ""
            if self.section == "settings" and isinstance(value, list):
                advice = "; a list of values belongs in [grid]"
            raise self.error(f"takes {_WORDS[kind]}; got {as_toml(value)}{advice}")
        try:
            check_value(self.name, kind(value))
        except SettingsError as error:
            raise self.error(f"= {as_toml(value)}: {error}") from None
        return kind(value)

    def values(self, values: Any) -> Sequence[Any]:
        """Return different values for a setting, at least one."""
        return self._different([self.value(value) for value in self._listed(values)])

    def draw(self, how: Any) -> Draw:
        """Return a distribution, written as its name and what it needs."""
        allowed = _DISTRIBUTIONS_OF[_kind(self.name)]
        if not isinstance(how, dict) or len(how) != 1 or not set(how) <= set(allowed):
            forms = " or ".join(_FORMS[name] for name in allowed)
            raise self.error(f"takes {forms}; got {as_toml(how)}")
        [(name, numbers)] = how.items()
        if name == "choice":
            return _choice(self.values(numbers))
        if not isinstance(numbers, list) or len(numbers) != 2:
            raise self.error(f"takes {_FORMS[name]}; got {as_toml(how)}")
        low, high = map(self.value, numbers)
        if low >= high:
            raise self.error(f"needs a low end below its high end; got {as_toml(how)}")
        return _RANGES[name](low, high)

    def _listed(self, values: Any) -> list[Any]:
        if not isinstance(values, list) or not values:
            raise self.error(f"needs a list of values, at least one; got {as_toml(values)}")
        return values

    def _different(self, values: list[Any]) -> Sequence[Any]:
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise self.error(f"has {as_toml(twice)} twice; one of them is enough")
        return tuple(values)


def as_toml(value: Any) -> str:
    """Write a value as a plan's file has it.

    Examples
    --------
    >>> as_toml({"choice": [True, (4, 4), "xor"]})
    '{ choice = [true, [4, 4], "xor"] }'
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{k} = {as_toml(v)}' for k, v in value.items())} }}"
    return str(value)


def _hint(name: str, allowed: Sequence[str]) -> str:
    if "seeds" not in allowed and name in ("seed", "seeds"):
        return "write seeds = ... above the first section"
    if "seeds" in allowed and name in SETTINGS:
        return "write it below [settings], or a list of values below [grid]"
    close = get_close_matches(name, allowed, n=1)
    hint = f"did you mean {close[0]}? There" if close else "there"
    return f"{hint} are: {', '.join(allowed)}"


# ---- values -------------------------------------------------------------------------------------


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_FITS: dict[Any, Callable[[Any], bool]] = {
    bool: lambda value: isinstance(value, bool),
    int: _is_whole,
    float: lambda value: _is_whole(value) or isinstance(value, float),
    tuple: lambda value: isinstance(value, list) and all(map(_is_whole, value)),
    str: lambda value: isinstance(value, str),
}
_WORDS = {
    bool: "true or false",
    int: "a whole number, such as 1000",
    float: "a number, such as 0.1",
    tuple: "the units of each hidden layer in a list, such as [4, 4]",
    str: "a name in quotes",
}
_HINTS = get_type_hints(Settings)


def _kind(name: str) -> Any:
    """Return the type of a setting: ``tuple`` of ``tuple[int, ...]``, ``str`` of ``str | None``."""
    hint = _HINTS[name]
    return next(t for t in (hint, get_origin(hint), *get_args(hint)) if t in _FITS)


# ---- distributions ------------------------------------------------------------------------------


def _choice(values: Sequence[Any]) -> Draw:
    return lambda rng: values[int(rng.integers(len(values)))]


def _log_uniform(low: float, high: float) -> Draw:
    return lambda rng: min(high, low * (high / low) ** rng.uniform())


_RANGES: dict[str, Callable[[Any, Any], Draw]] = {
    "uniform": lambda low, high: lambda rng: rng.uniform(low, high),
    "log_uniform": _log_uniform,
    "integers": lambda low, high: lambda rng: int(rng.integers(low, high, endpoint=True)),
}
_FORMS = {
    "uniform": "{ uniform = [low, high] }",
    "log_uniform": "{ log_uniform = [low, high] }",
    "integers": "{ integers = [low, high] }",
    "choice": "{ choice = [one, other] }",
}
_DISTRIBUTIONS_OF: dict[Any, Sequence[str]] = {
    bool: ("choice",),
    int: ("integers", "choice"),
    float: ("uniform", "log_uniform", "choice"),
    tuple: ("choice",),
    str: ("choice",),
}
