"""Arrays in somebody's object: where they lie, which are parameters, where their gradients are.

    >>> import numpy as np
    >>> class Affine:
    ...     def __init__(self):
    ...         self.params = {"W": np.ones(2)}
    ...         self.grads = {"dW": np.zeros(2)}
    >>> pairs(Affine(), ["params['W']"])
    {"params['W']": "grads['dW']"}

Not for: calling the object (``layers.py``).
"""

from __future__ import annotations

import re
import types
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.gradient_names import holds_gradients, split, variable_of

DEEPEST = 10  # layers of a network of blocks of layers
#: What a parameter object calls its value, and its gradient.
VALUES = ("data", "value", "val", "values", "array", "tensor", "param", "weight", "w")
GRADIENTS = ("grad", "gradient", "g", "diff", "d", "derivative", "grads")

_NOT_LOOKED_INTO = (
    type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType,
    np.ndarray, np.generic, np.random.Generator, np.random.RandomState, np.ufunc,
)  # fmt: skip
_STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[(-?\d+|'[^']*'|\"[^\"]*\")\]")


class Place(NamedTuple):
    """Where something is: an attribute of an object, or an item of a list or dict."""

    holder: Any
    key: Any
    is_item: bool

    def get(self) -> Any:
        """Give what is there, None where nothing is."""
        try:
            return self.holder[self.key] if self.is_item else getattr(self.holder, self.key)
        except (LookupError, AttributeError, TypeError):
            return None

    def put(self, value: Any) -> None:
        """Put something there."""
        if self.is_item:
            self.holder[self.key] = value
        else:
            setattr(self.holder, self.key, value)


def walk(root: Any) -> Iterator[tuple[str, Place, Any]]:
    """Go through everything an object holds that may be a number, with the path to it."""
    visited: set[int] = set()

    def inside(holder: Any, path: str, depth: int) -> Iterator[tuple[str, Place, Any]]:
        if id(holder) in visited or depth > DEEPEST:
            return
        visited.add(id(holder))
        for step, place, value in _members(holder):
            here = f"{path}{step}" if path or step.startswith("[") else step.lstrip(".")
            yield here, place, value
            if not isinstance(value, _NOT_LOOKED_INTO):
                yield from inside(value, here, depth + 1)

    yield from inside(root, "", 0)


def _members(holder: Any) -> list[tuple[str, Place, Any]]:
    if isinstance(holder, dict):
        keys = [k for k in holder if isinstance(k, (str, int))]
        return [(f"[{k!r}]", Place(holder, k, True), holder[k]) for k in keys]
    if isinstance(holder, (list, tuple)):
        return [(f"[{i}]", Place(holder, i, True), x) for i, x in enumerate(holder)]
    names = [n for n in getattr(holder, "__dict__", {}) if not n.startswith("__")]
    for cls in type(holder).__mro__:
        slots = vars(cls).get("__slots__", ())
        names += [n for n in ([slots] if isinstance(slots, str) else slots) if hasattr(holder, n)]
    return [(f".{n}", Place(holder, n, False), getattr(holder, n)) for n in names]


def place_of(root: Any, path: str) -> Place:
    """Find the place that a path leads to: ``"layers[0].W"``, ``"params['W1']"``."""
    steps = [(name, key) for name, key in _STEP.findall(path)]
    holder, place = root, Place({"": root}, "", True)
    for name, key in steps:
        place = Place(holder, name, False) if name else Place(holder, _literal(key), True)
        holder = place.get()
    return place


def _literal(key: str) -> Any:
    return key[1:-1] if key[0] in "'\"" else int(key)


def is_floats(value: Any) -> bool:
    """Whether something is an array of floats with an element, or one float."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f" and value.size > 0
    return isinstance(value, (float, np.floating))


def arrays_in(root: Any) -> dict[str, Array]:
    """Give the arrays of floats in an object, each by the plainest path to it."""
    paths: dict[int, tuple[str, Array]] = {}
    for path, _, value in walk(root):
        if isinstance(value, np.ndarray) and is_floats(value):
            old = paths.get(id(value))
            if old is None or _plainness(path) < _plainness(old[0]):
                paths[id(value)] = (path, value)
    return dict(paths.values())


def _plainness(path: str) -> tuple[bool, int]:
    return re.search(r"\[\d+\]$", path) is not None, path.count(".") + path.count("[")


def places_by_array(root: Any) -> dict[int, list[Place]]:
    """Give all the places of each array in an object, by the identity of the array."""
    places: dict[int, list[Place]] = {}
    for _, place, value in walk(root):
        if isinstance(value, np.ndarray) and not isinstance(place.holder, tuple):
            places.setdefault(id(value), []).append(place)
    return places


# ---------------------------------------------------------------------------------------------
# Which gradient belongs to which parameter


def pairs(root: Any, parameters: Sequence[str]) -> dict[str, str]:
    """Find where the gradients of some parameters are, of those that have one, by their names."""
    values = {path: value for path, _, value in walk(root)}
    by_holder: dict[str, list[str]] = {}
    for path in values:
        by_holder.setdefault(split(path)[0], []).append(path)
    result: dict[str, str] = {}
    for path in parameters:
        places = [path, *(p for p, v in values.items() if v is values.get(path) and p != path)]
        candidates = (_gradient_path(p, values, by_holder) for p in places)
        gradient = next(filter(None, candidates), None)
        if gradient is not None and gradient not in result.values():
            result[path] = gradient
    return result


def _gradient_path(
    path: str, values: dict[str, Any], by_holder: dict[str, list[str]]
) -> str | None:
    holder, name = split(path)
    shape = np.shape(values[path])

    def fits(other: str) -> bool:
        return other != path and (values[other] is None or is_floats(values[other]))

    def named(siblings: Collection[str], also_same: bool = False) -> str | None:
        keys = ((other, split(other)[1]) for other in siblings if fits(other))
        names = [o for o, k in keys if (also_same and k == name) or variable_of(k, [name])]
        # one of another shape is one all the same: a wrong one
        return next((o for o in names if np.shape(values[o]) == shape), next(iter(names), None))

    siblings = by_holder.get(holder, [])
    if (beside := named(siblings)) is not None:
        return beside
    if holder and name in VALUES:
        own = [s for s in siblings if split(s)[1] in GRADIENTS and fits(s)]
        if own:
            return own[0]
    # in a container of gradients beside this one, or beside the container that it is in
    owners = [holder, split(holder)[0]] if path.endswith("]") else [holder]
    own_name = split(holder)[1]
    for owner in owners:
        containers = [
            c for c in by_holder.get(owner, [])
            if c != holder and isinstance(values[c], (dict, list, tuple))
        ]  # fmt: skip
        of_holder = [c for c in containers if variable_of(split(c)[1], [own_name])]
        general = [c for c in containers if holds_gradients(split(c)[1])]
        for container in of_holder or general:
            if (inside := named(by_holder.get(container, []), also_same=True)) is not None:
                return inside
    return None


def is_gradient(path: str, others: Collection[str]) -> bool:
    """Whether a path has the name of a gradient by one of the others, or of a holder of such."""
    holder, name = split(path)
    siblings = [split(other)[1] for other in others if other != path]
    in_one = any(holds_gradients(part) for part in re.findall(r"[A-Za-z_]\w*", holder))
    return in_one or (name in GRADIENTS and bool(holder)) or variable_of(name, siblings) is not None


def plain_name(path: str, others: Collection[str]) -> str:
    """Shorten a path for messages: ``params['W1']`` is W1, where nothing else is."""
    holder, name = split(path)
    if name in VALUES and holder and not path.endswith("]"):
        holder, name = split(holder)
        path = f"{holder}.{name}" if holder and not name.isdigit() else holder or name
    if (path.endswith("]") and name.isdigit()) or "." in holder or "[" in holder:
        return path
    same = [other for other in others if split(other)[1] == name]
    return name if len(same) <= 1 else path
