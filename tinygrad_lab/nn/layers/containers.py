"""Modules that hold modules, or parameters, as a list or a dict does.

A plain list or dict as an attribute is walked as well; these are PyTorch's, for its names.

Not for: what all modules can do (``module.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from itertools import groupby
from types import NoneType
from typing import Any, Self

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.parameter import Parameter
from tinygrad_lab.nn.walking import HOOKS

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class _Row(Module):
    """What is held in order: attributes that are named by numbers."""

    def _names(self) -> list[str]:
        return [name for name in vars(self) if name.isdigit()]

    def _checked(self, item: Any) -> Any:
        """What is held for an item: an error for one that cannot be."""
        raise NotImplementedError

    def _fill(self, items: Iterable[Any]) -> None:
        """Hold other items, with new numbers."""
        items = [self._checked(item) for item in items]
        for name in self._names():
            del vars(self)[name]
        for i, item in enumerate(items):
            setattr(self, str(i), item)

    def _of(self, items: Iterable[Any]) -> Any:
        """Make a container that holds these, whatever arguments a subclass takes."""
        row = object.__new__(type(self))
        row._fill(items)
        return row

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[Any]:
        return iter([vars(self)[name] for name in self._names()])

    def __contains__(self, item: object) -> bool:
        return any(item is held for held in self)

    def __getitem__(self, index: Any) -> Any:
        chosen = self._place(index, list(self))
        return self._of(chosen) if isinstance(index, slice) else chosen

    def __setitem__(self, index: Any, item: Any) -> None:
        if isinstance(index, slice):
            items = list(self)
            items[index] = item
            self._fill(items)
        else:
            setattr(self, self._place(index, self._names()), self._checked(item))

    def __delitem__(self, index: Any) -> None:
        self._place(index, self._names())
        items = list(self)
        del items[index]
        self._fill(items)

    def _place(self, index: Any, of: list[Any]) -> Any:
        try:
            return of[index]
        except IndexError:
            raise IndexError(f"{type(self).__name__} of {len(of)} has no item {index}") from None

    def insert(self, index: int, item: Any) -> Self:
        """Put an item before the one that has this number."""
        items = list(self)
        items.insert(index, item)
        self._fill(items)
        return self

    def append(self, item: Any) -> Self:
        """Add an item at the end."""
        number = len(self)
        while str(number) in vars(self):  # a part of a Sequential keeps its numbers
            number += 1
        setattr(self, str(number), self._checked(item))
        return self

    def extend(self, items: Iterable[Any]) -> Self:
        """Add items at the end."""
        for item in [self._checked(item) for item in items]:
            self.append(item)
        return self

    def pop(self, index: int = -1) -> Any:
        """Take an item out, and return it."""
        item = self[index]
        del self[index]
        return item

    def __add__(self, other: Iterable[Any]) -> Any:
        return self._of([*self, *other])

    def __iadd__(self, other: Iterable[Any]) -> Self:
        return self.extend(other)


class Sequential(_Row):
    """Layers one after the other; their names are their numbers, as in PyTorch.

    Parameters
    ----------
    *layers : Module or function
        In their order; or one dict of them, by names.

    Raises
    ------
    TypeError
        Something among them cannot be called.

    Examples
    --------
    >>> from tinygrad_lab.nn import Linear, ReLU, Sequential, Tanh
    >>> model = Sequential(Linear(2, 3, rng=0), Tanh(), Linear(3, 1, rng=1))
    >>> model
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Tanh()
      (2): Linear(in_features=3, out_features=1, bias=True)
    )
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    >>> model[1] = ReLU()
    >>> del model[2]
    >>> model + [Linear(3, 3, rng=2)]
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
      (2): Linear(in_features=3, out_features=3, bias=True)
    )
    """

    def __init__(self, *layers: Callable[[Any], Any] | Mapping[str, Callable[[Any], Any]]) -> None:
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            for name, layer in layers[0].items():
                setattr(self, name, self._checked(layer))
        else:
            self.extend(layers)

    def _names(self) -> list[str]:
        """Numbers, and the names of all other modules: a subclass may set them as attributes."""
        held = vars(self).items()
        return [name for name, value in held if name.isdigit() or isinstance(value, Module)]

    def _checked(self, item: Any) -> Any:
        if not callable(item):
            raise TypeError(f"Sequential takes layers, not {item!r}; a list needs a star: *layers")
        return item

    def forward(self, input: Array) -> Array:
        """From the first layer's input to the last layer's output."""
        for layer in self:
            input = layer(input)
        return input

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):
            return super().__getitem__(index)
        return Sequential({name: vars(self)[name] for name in self._names()[index]})

    def _of(self, items: Iterable[Any]) -> Sequential:
        return Sequential(*items)

    def __mul__(self, times: int) -> Sequential:
        return self._of(list(self) * times)

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Self:
        return self.extend(list(self) * (times - 1))


class ModuleList(_Row):
    """Modules in a list, which has no ``forward`` of its own.

    Parameters
    ----------
    modules : iterable of Module, optional
        What is in it.

    Raises
    ------
    TypeError
        Something among them is no module.

    Examples
    --------
    >>> from tinygrad_lab import nn
    >>> layers = nn.ModuleList(nn.Linear(2, 2, rng=seed) for seed in range(3))
    >>> layers.append(nn.Tanh())
    ModuleList(
      (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
      (3): Tanh()
    )
    >>> len(layers[1:]), layers[-1]
    (3, Tanh())
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend(modules or ())

    def _checked(self, item: Any) -> Any:
        if not isinstance(item, Module):
            raise TypeError(f"ModuleList takes modules, not {describe(item)}")
        return item

    def _children_repr(self) -> list[str]:
        """Layers that are alike in one line, as PyTorch writes them."""
        lines, start = [], 0
        for text, alike in groupby(map(repr, self)):
            count = len(list(alike))
            head = f"({start}-{start + count - 1}): {count} x " if count > 1 else f"({start}): "
            lines.append((head + text).replace("\n", "\n  "))
            start += count
        return lines


class ParameterList(_Row):
    """Parameters in a list; an array or a tensor in it becomes one.

    Parameters
    ----------
    values : iterable, optional
        What is in it.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> weights = nn.ParameterList([nn.Parameter(np.ones((2, 3))), nn.Parameter(np.ones(2))])
    >>> weights
    ParameterList(
        (0): Parameter containing: [float64 of size 2x3]
        (1): Parameter containing: [float64 of size 2]
    )
    >>> [name for name, _ in weights.named_parameters()]
    ['0', '1']
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        self.extend(values or ())

    def _checked(self, item: Any) -> Any:
        return _as_parameter(item)

    def extra_repr(self) -> str:
        """A line for each."""
        return _listed(enumerate(self))


class _Names(Module, MutableMapping[str, Any]):
    """What is held by name: attributes whose names are the keys."""

    __hash__ = Module.__hash__
    __eq__ = Module.__eq__

    def __init__(self, items: Any = None) -> None:
        if items is not None:
            self.update(items)

    def _checked(self, item: Any) -> Any:
        """What is held for an item: an error for one that cannot be."""
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:
        if key in _OWN or key not in vars(self):
            raise KeyError(f"{type(self).__name__} has no {key!r}; it has {', '.join(self)}")
        return vars(self)[key]

    def __setitem__(self, key: str, item: Any) -> None:
        item = self._checked(item)
        if key in self:
            setattr(self, key, item)
        else:
            self._register(key, item, NoneType)

    def __delitem__(self, key: str) -> None:
        self[key]  # or an error that says what there is
        del vars(self)[key]

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in vars(self) if name not in _OWN])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Hold a default, where there is nothing yet; return what is there."""
        if key not in self:
            self[key] = default
        return self[key]

    def popitem(self) -> tuple[str, Any]:
        """Take the last item out, and return its key and it."""
        if not self:
            raise KeyError(f"popitem of an empty {type(self).__name__}")
        key = list(self)[-1]
        return key, self.pop(key)


class ModuleDict(_Names):
    """Modules in a dict, which has no ``forward`` of its own.

    Parameters
    ----------
    modules : mapping, or iterable of pairs, optional
        What is in it.

    Raises
    ------
    TypeError
        Something among them is no module.
    KeyError
        A key is no text, has dots, or is the name of a method of modules.

    Examples
    --------
    >>> from tinygrad_lab import nn
    >>> heads = nn.ModuleDict({"mean": nn.Linear(2, 1, rng=0), "scale": nn.Softplus()})
    >>> heads["mean"]
    Linear(in_features=2, out_features=1, bias=True)
    >>> [name for name, _ in heads.named_parameters()]
    ['mean.weight', 'mean.bias']
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__(modules)

    def _checked(self, item: Any) -> Any:
        if not isinstance(item, Module):
            raise TypeError(f"ModuleDict takes modules, not {describe(item)}")
        return item


class ParameterDict(_Names):
    """Parameters in a dict; an array or a tensor in it becomes one.

    Parameters
    ----------
    parameters : mapping, or iterable of pairs, optional
        What is in it.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> weights = nn.ParameterDict({"slope": np.ones(2)})
    >>> weights["offset"] = nn.Parameter(np.zeros(3))
    >>> weights
    ParameterDict(
        (slope): Parameter containing: [float64 of size 2]
        (offset): Parameter containing: [float64 of size 3]
    )
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__(parameters)

    def _checked(self, item: Any) -> Any:
        return _as_parameter(item)

    def extra_repr(self) -> str:
        """A line for each."""
        return _listed(self.items())

    def copy(self) -> ParameterDict:
        """Another dict of the same parameters."""
        return ParameterDict(self)

    @classmethod
    def fromkeys(cls, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """Make a dict with one default for all keys."""
        return ParameterDict(dict.fromkeys(keys, default))

    def __or__(self, other: Mapping[str, Any]) -> ParameterDict:
        return ParameterDict({**self, **other})

    def __ror__(self, other: Mapping[str, Any]) -> ParameterDict:
        return ParameterDict({**other, **self})

    def __ior__(self, other: Mapping[str, Any]) -> Self:
        self.update(other)
        return self


#: Attributes that are no keys.
_OWN = frozenset({"training", "_registered_buffers", *HOOKS})


def _as_parameter(item: Any) -> Any:
    """A parameter of a tensor or an array of floats; all else as it is."""
    is_array = isinstance(item, (Tensor, np.ndarray)) and not isinstance(item, Parameter)
    return Parameter(item) if is_array and item.dtype.kind in "fc" else item


def _listed(items: Iterable[tuple[Any, Any]]) -> str:
    """A line for each item, as PyTorch writes it."""
    lines = []
    for key, item in items:
        text = f"Object of type: {type(item).__name__}"
        if isinstance(item, (Tensor, np.ndarray)):
            kind = "Parameter" if isinstance(item, Parameter) else "Tensor"
            text = f"{kind} containing: [{item.dtype} of size {'x'.join(map(str, item.shape))}]"
        lines.append(f"  ({key}): {text}")
    return "\n".join(lines)
