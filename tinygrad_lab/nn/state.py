"""The state of a module as a dict of arrays, and what is checked before it is loaded.

Not for: files (``tinygrad_lab/saving.py``).
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.nn.parameter import Parameter
from tinygrad_lab.nn.walking import Holder, buffers_of, walk, walk_modules

__all__ = ["IncompatibleKeys", "load", "state_of"]

_SHOWN = 20  # lines about what does not fit


class IncompatibleKeys(namedtuple("_Keys", "missing_keys unexpected_keys")):
    """What ``load_state_dict`` reports: names that the state lacks, and those it has too many.

    Examples
    --------
    >>> IncompatibleKeys([], [])
    <All keys matched successfully>
    >>> IncompatibleKeys(["bias"], []).missing_keys
    ['bias']
    """

    __slots__ = ()

    def __repr__(self) -> str:
        if self.missing_keys or self.unexpected_keys:
            return f"_{super().__repr__()}"  # as PyTorch writes it
        return "<All keys matched successfully>"

    __str__ = __repr__


def state_of(module: Holder) -> Iterator[tuple[str, Any]]:
    """Parameters and persistent buffers by path, what is shared under each of its names."""
    for path, within in walk_modules(module, "", set(), again=True):
        for name, value in walk(within, path):
            if isinstance(value, Parameter):
                yield name, value
        yield from buffers_of(within, path, persistent=True)


def load(module: Holder, state: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Write values into a module's parameters and buffers: all that fit, or none."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"a state is a dict of arrays by name, as state_dict() gives, not {describe(state)}"
        )
    targets = dict(state_of(module))
    missing = [name for name in targets if name not in state]
    unexpected = [str(name) for name in state if name not in targets]
    problems = []
    if strict and unexpected:
        problems.append(f"unexpected, the model has no such place: {', '.join(unexpected)}")
    if strict and missing:
        problems.append(f"missing from the state: {', '.join(missing)}")
    fitting: dict[int, tuple[str, Any, Any]] = {}  # by target: name, target, new value
    for name, target in targets.items():
        if name not in state:
            continue
        try:
            new = _fitting(name, target, state[name])
            first, _, other = fitting.setdefault(id(target), (name, target, new))
            if other is not new and not np.array_equal(other, new, equal_nan=True):
                raise ValueError(
                    f"{first} and {name} are one parameter here, and two different ones in the "
                    "state: the state was saved by a model that did not share it"
                )
        except (TypeError, ValueError) as error:
            problems.append(str(error))
    if problems:
        raise RuntimeError(_refusal(module, problems, bool(strict and (missing or unexpected))))
    at_once(
        (setattr, target, "data", new) if isinstance(target, Tensor) else (np.copyto, target, new)
        for _, target, new in [*fitting.values()]
    )
    return IncompatibleKeys(missing, unexpected)


def _refusal(module: Holder, problems: list[str], of_names: bool) -> str:
    hidden = len(problems) - _SHOWN
    more = [f"and {hidden} more"] if hidden > 0 else []
    lines = [f"the state does not fit {type(module).__name__}, which is left as it was:"]
    lines += [f"  {problem}" for problem in [*problems[:_SHOWN], *more]]
    remedy = "Build the model as the one that was saved"
    return "\n".join([*lines, f"{remedy}, or say strict=False" if of_names else remedy])


def _fitting(name: str, target: Any, value: Any) -> npt.NDArray[Any]:
    """Make of a loaded value an array for its place."""
    try:
        array = np.asarray(value.detach() if hasattr(value, "detach") else value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} in the state is no array: {error}") from None
    if not np.can_cast(array.dtype, target.dtype, "same_kind"):
        raise TypeError(
            f"{name} holds {target.dtype} here, and the state has {describe(value)} for it"
        )
    if array.shape != target.shape:
        raise ValueError(f"{name} has shape {target.shape} here and {array.shape} in the state")
    with np.errstate(over="ignore"):
        converted = array.astype(target.dtype)
    if (np.isfinite(array) & ~np.isfinite(converted)).any():
        raise ValueError(
            f"{name} has numbers in the state that {target.dtype} cannot hold, the largest "
            f"{np.abs(array).max():.3g}: convert the model first, with to({array.dtype})"
        )
    if isinstance(target, np.ndarray) and not target.flags.writeable:
        raise ValueError(f"{name} is a read-only array here: nothing can be loaded into it")
    return converted
