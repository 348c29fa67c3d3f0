"""``Module``: something with parameters and a ``forward``, and what all of them can do.

Nothing is registered.  What a module holds is found by walking its attributes, and the containers
in them: a Parameter is a parameter and a Module a layer within, under whatever name; a plain array
or Tensor is a buffer, unless its name begins with an underscore.

Not for: the layers themselves (``layers/``).
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from reprlib import recursive_repr
from types import NoneType, SimpleNamespace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.nn.parameter import Parameter
from tinygrad_lab.nn.seeds import place, seed
from tinygrad_lab.transforms.containers import attributes
from tinygrad_lab.warnings import NotAParameterWarning, warn

__all__ = ["Module"]


class Module:
    """The base of layers and models: give it attributes, and a ``forward``.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = tl.nn.Parameter([2.0, 3.0])
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale()
    >>> scale(np.array([1.0, 10.0])).data
    array([ 2., 30.])
    >>> [name for name, _ in scale.named_parameters()]
    ['factor']
    """

    #: Whether it is being trained; ``train()`` and ``eval()`` set it.
    training: bool = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let what draws know its place when a module has been made: a list may have grown."""
        super().__init_subclass__(**kwargs)
        if init := vars(cls).get("__init__"):

            @functools.wraps(init)
            def made_and_placed(self: Any, *args: Any, **kwargs: Any) -> None:
                init(self, *args, **kwargs)
                if type(self).__init__ is made_and_placed:
                    place(self.named_modules())

            cls.__init__ = made_and_placed  # type: ignore[method-assign]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output: what a subclass defines."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(self, ...)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward``; an error raised in it names the layer."""
        try:
            result = self.forward(*args, **kwargs)
            if result is None:
                raise TypeError(f"{type(self).__name__}.forward returned None: say `return` in it")
            return result
        except Exception as error:
            _locate(error, self)
            raise

    # -- what it holds ------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, but let nothing that is no Parameter take the place of one."""
        if isinstance(vars(self).get(name), Parameter) and not isinstance(
            value, (Parameter, NoneType)
        ):
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter, and a {type(value).__name__} in its "
                f"place would be none, so no optimizer would get it: say nn.Parameter(...), or "
                f"None for no parameter, or .{name}.data = array for other values"
            )
        super().__setattr__(name, value)
        if isinstance(value, Module):
            place(value.named_modules(name))
        elif isinstance(value, (list, tuple, dict)):
            place(self.named_modules())

    def children(self) -> Iterator[Module]:
        """The layers directly within, each once."""
        return iter({id(m): m for _, m in _walk(self) if isinstance(m, Module)}.values())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Itself (named ``""``) and all within, by path, each once."""
        return _named_modules(self, prefix, set())

    def modules(self) -> Iterator[Module]:
        """Itself and all within, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """The parameters by path (``layers.0.weight``), frozen ones too; each once.

        A tensor that requires a gradient and is no :class:`Parameter` is a
        :class:`~tinygrad_lab.warnings.NotAParameterWarning`.
        """
        visited: set[int] = set()
        for path, module in self.named_modules(prefix):
            for name, value in _walk(module, path):
                if isinstance(value, Parameter):
                    if id(value) not in visited:
                        visited.add(id(value))
                        yield name, value
                elif isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                    warn(
                        f"{type(self).__name__}.{name} requires a gradient but is no "
                        "nn.Parameter, so no optimizer will get it: say nn.Parameter(...), or "
                        "requires_grad=False for a constant",
                        NotAParameterWarning,
                    )

    def parameters(self) -> Iterator[Parameter]:
        """The parameters, each once: what an optimizer takes."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """The arrays and tensors that belong to the state but are not trained, by path.

        Attributes whose names begin with an underscore are left out, and so are results that have
        a history.
        """
        for path, module in self.named_modules(prefix):
            for name, value in _walk(module, path, private=False):
                if _is_buffer(value):
                    yield name, value

    # -- what it does to all of them ----------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Set ``training`` here and in all layers within."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Leave training: dropout lets everything pass."""
        return self.train(False)

    def seed(self, number: int) -> Self:
        """Give all layers within that draw (dropout) new generators, from one number.

        The stream of each comes from the number and the layer's path, so the same model seeded
        alike draws the same.  Generators that were handed over are let go of; layers that shared
        one share one.

        Examples
        --------
        >>> from tinygrad_lab import nn
        >>> model = nn.Sequential(nn.Dropout(), nn.Dropout()).seed(0)
        >>> model[0](np.ones(4)), model[1](np.ones(4))
        (array([2., 2., 2., 2.]), array([0., 2., 0., 2.]))
        """
        seed(self.named_modules(), number)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, wanted: bool = True) -> Self:
        """Switch the gradients of all parameters within on, or off (which freezes them)."""
        for parameter in self.parameters():
            parameter.requires_grad_(wanted)
        return self

    def to(self, dtype: npt.DTypeLike) -> Self:
        """Convert parameters and floating buffers in place, and forget gradients: all, or none.

        Raises
        ------
        TypeError
            ``dtype`` is not a float.

        Examples
        --------
        >>> from tinygrad_lab import nn
        >>> nn.Linear(2, 3, rng=0).to(np.float32).weight.dtype
        dtype('float32')
        """
        kind = np.dtype(dtype)
        if kind.kind not in "fc":
            raise TypeError(f"parameters are floats, so a module cannot be converted to {kind}")
        values = [*self.parameters(), *(value for _, value in self.named_buffers())]
        new = {
            id(value): value.data.astype(kind) if isinstance(value, Tensor) else value.astype(kind)
            for value in values
            if value.dtype.kind in "fc"
        }
        changes: list[tuple[Any, ...]] = []
        for value in values:
            if isinstance(value, Tensor) and id(value) in new:
                changes.append((setattr, value, "data", new[id(value)]))
                if value.node is not None:
                    changes.append((setattr, value.node, "grad", None))
        for module in self.modules():
            for name, value in _attributes(module).items():
                if (replaced := _replaced(value, new, changes)) is not value:
                    changes.append((object.__setattr__, module, name, replaced))
        at_once(changes)
        return self

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of all parameters, frozen ones too, and buffers, by path.

        What is shared is there under each of its names.
        """
        return {
            name: value.data.copy() if isinstance(value, Tensor) else value.copy()
            for name, value in self._state()
        }

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Load values by path, each converted to the dtype it has here.

        Nothing is changed unless everything fits; an interrupt leaves all of it or nothing.

        Raises
        ------
        KeyError
            With ``strict``: names are missing, or unknown here.  The text lists them.
        ValueError
            A shape differs, or one shared parameter would get two values.
        TypeError
            A value is no array of numbers, or of a kind that its place cannot hold.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"a state is a dict of arrays by name, as state_dict() gives, not {describe(state)}"
            )
        targets = dict(self._state())
        missing = [name for name in targets if name not in state]
        unexpected = [str(name) for name in state if name not in targets]
        if strict and (missing or unexpected):
            raise KeyError(_mismatch(self, missing, unexpected))
        fitting: dict[int, tuple[str, Any, Any]] = {}  # by target: name, target, new value
        for name, target in targets.items():
            if name in state:
                new = _fitting(name, target, state[name])
                first, _, other = fitting.setdefault(id(target), (name, target, new))
                if other is not new and not np.array_equal(other, new, equal_nan=True):
                    raise ValueError(
                        f"{first} and {name} are one parameter here, and two different ones in the "
                        "state: the state was saved by a model that did not share it"
                    )
        at_once(
            (setattr, target, "data", new)
            if isinstance(target, Tensor)
            else (np.copyto, target, new)
            for _, target, new in [*fitting.values()]
        )

    def _state(self) -> Iterator[tuple[str, Any]]:
        """Parameters and buffers by path, what is shared under each of its names."""
        for path, module in _named_modules(self, "", set(), again=True):
            for name, value in _walk(module, path):
                if isinstance(value, Parameter):
                    yield name, value
            for name, value in _walk(module, path, private=False):
                if _is_buffer(value):
                    yield name, value

    # -- text ---------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands in the parentheses of a layer's ``repr``."""
        return ""

    @recursive_repr()
    def __repr__(self) -> str:
        name, extra = type(self).__name__, self.extra_repr()
        within = [(path, value) for path, value in _walk(self) if isinstance(value, Module)]
        if not within:
            return f"{name}({extra})"
        lines = [f"({path}): {value!r}".replace("\n", "\n  ") for path, value in within]
        return f"{name}({extra}\n  " + "\n  ".join(lines) + "\n)"


# -- walking --------------------------------------------------------------------------------------


def _attributes(module: Module) -> dict[str, Any]:
    return attributes(module, lambda value: isinstance(value, (Parameter, Module)))


def _walk(module: Module, path: str = "", *, private: bool = True) -> Iterator[tuple[str, Any]]:
    """What a module's attributes hold, and the containers in them, by path."""
    for name, value in _attributes(module).items():
        if private or not name.startswith("_"):
            yield from _inside(value, f"{path}.{name}" if path else name, ())


def _inside(value: Any, path: str, around: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    parts = _parts(value, path)
    if parts is None:
        yield path, value
    elif id(value) not in around:  # a container may hold itself
        for key, item in parts:
            yield from _inside(item, f"{path}.{key}", (*around, id(value)))


def _parts(value: Any, path: str) -> Iterable[tuple[Any, Any]] | None:
    """The parts of a container with their keys; None for what is none."""
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, (list, tuple, deque)):
        return enumerate(value)
    if isinstance(value, SimpleNamespace):
        return vars(value).items()
    if is_dataclass(value) and not isinstance(value, (type, Module)):
        return [(f.name, getattr(value, f.name)) for f in fields(value) if hasattr(value, f.name)]
    if isinstance(value, (set, frozenset)):
        for item in value:
            if isinstance(item, (Parameter, Module)):
                raise TypeError(
                    f"{path} is a {type(value).__name__} with a {type(item).__name__} in it, which "
                    "would have another name in each run: say a list or a dict"
                )
    return None


def _named_modules(
    module: Module, path: str, visited: set[int], *, again: bool = False
) -> Iterator[tuple[str, Module]]:
    """A module and all within by path, each once, or ``again`` for each way that leads to it.

    None is reached through itself: a layer may hold the model that it belongs to.
    """
    visited.add(id(module))
    yield path, module
    for name, value in _walk(module, path):
        if isinstance(value, Module) and id(value) not in visited:
            yield from _named_modules(value, name, visited, again=again)
    if again:
        visited.remove(id(module))


def _is_buffer(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.is_leaf and not isinstance(value, Parameter)
    return isinstance(value, np.ndarray) and value.dtype.kind in "biufc"


def _replaced(value: Any, new: Mapping[int, Any], changes: list[tuple[Any, ...]]) -> Any:
    """Put new arrays for old: what takes the value's place, and the ``changes`` inside it.

    Whatever can be written to stays the same object.
    """
    if isinstance(value, np.ndarray):
        return new.get(id(value), value)
    parts = dict(_parts(value, "") or ())
    replaced = {key: _replaced(item, new, changes) for key, item in parts.items()}
    different = {key: item for key, item in replaced.items() if item is not parts[key]}
    if isinstance(value, tuple) and different:
        items = replaced.values()
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if hasattr(value, "__setitem__"):
        changes += [(type(value).__setitem__, value, *change) for change in different.items()]
    elif not isinstance(value, Mapping):  # a namespace; a mapping that is read-only stays as it is
        changes += [(object.__setattr__, value, *change) for change in different.items()]
    return value


# -- loading --------------------------------------------------------------------------------------


def _fitting(name: str, target: Any, value: Any) -> npt.NDArray[Any]:
    """Make of a loaded value an array for its place."""
    try:
        array = np.asarray(value.detach() if hasattr(value, "detach") else value)
    except ValueError as error:
        raise ValueError(f"{name} in the state is no array: {error}") from None
    if not np.can_cast(array.dtype, target.dtype, "same_kind"):
        raise TypeError(
            f"{name} holds {target.dtype} here, and the state has {describe(value)} for it"
        )
    if array.shape != target.shape:
        raise ValueError(
            f"{name} has shape {target.shape} here and {array.shape} in the state: "
            "the model was built with other sizes"
        )
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


def _mismatch(module: Module, missing: list[str], unexpected: list[str]) -> str:
    parts = [f"the state does not fit {type(module).__name__}"]
    if missing:
        parts.append(f"missing: {', '.join(missing)}")
    if unexpected:
        parts.append(f"unexpected: {', '.join(unexpected)}")
    return "; ".join(parts) + ". Build the model with the same sizes, or say strict=False"


def _locate(error: Exception, module: Module) -> None:
    """Put into the text of ``error`` which layer it came from.

    The innermost layer catches it first; each layer around that one writes the place anew, as the
    path from itself, so that the text has the whole path when it leaves the outermost.
    """
    attributes = vars(error)
    innermost, text = attributes.setdefault("_raised_in", (module, _text(error)))
    name = next((path for path, inner in module.named_modules() if inner is innermost), None)
    if name is None:
        return  # it was called, but is not among the layers of this module
    described = repr(innermost)
    if "\n" in described:
        described = type(innermost).__name__
    place = f"in layer {name!r}: {described}" if name else f"in {described}"
    if text is not None:
        error.args = (f"{text}\n  {place}",)
        return
    if attributes.get("_place"):
        error.__notes__.remove(attributes["_place"])
    error.add_note(place)
    attributes["_place"] = place


def _text(error: Exception) -> str | None:
    """The text that ``str(error)`` shows, if it can be replaced: else a note is added."""
    simple = len(error.args) == 1 and type(error).__str__ in (Exception.__str__, OSError.__str__)
    text = error.args[0] if simple else None
    return text if isinstance(text, str) and str(error) == text else None
