"""``Module``: something with parameters and a ``forward``, and what all of them can do.

Nothing is registered.  Parameters are collected by walking the public attributes, and lists, tuples
and dicts in them: a leaf Tensor is a parameter, an ndarray a buffer, a Module a layer within.

Not for: the layers themselves (``layers.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.tensor import Tensor

__all__ = ["Module"]


class Module:
    """The base of layers and models: give it attributes, and a ``forward``.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = tl.tensor([2.0, 3.0], requires_grad=True)
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

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output: what a subclass defines."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(self, ...)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward``; an error raised in it names the layer."""
        try:
            return self.forward(*args, **kwargs)
        except Exception as error:
            _locate(error, self)
            raise

    # -- what it holds ------------------------------------------------------------------------

    def children(self) -> Iterator[Module]:
        """The layers directly within, each once."""
        visited: set[int] = set()
        for _, value in _walk(vars(self), ""):
            if isinstance(value, Module) and id(value) not in visited:
                visited.add(id(value))
                yield value

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Itself (named ``""``) and all within, by path, each once."""
        yield from _named_modules(self, prefix, set())

    def modules(self) -> Iterator[Module]:
        """Itself and all within, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """The parameters by path (``layers.0.weight``); a shared one once, by its first name."""
        visited: set[int] = set()
        for name, value in self._named_values(prefix):
            if isinstance(value, Tensor) and value.requires_grad and id(value) not in visited:
                visited.add(id(value))
                yield name, value

    def parameters(self) -> Iterator[Tensor]:
        """The parameters, each once: what an optimizer takes."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """The arrays that belong to the state but are not trained, by path."""
        for name, value in self._named_values(prefix):
            if isinstance(value, np.ndarray):
                yield name, value

    def _named_values(self, prefix: str) -> Iterator[tuple[str, Any]]:
        for path, module in self.named_modules(prefix):
            for name, value in _walk(vars(module), path):
                if not isinstance(value, Module):
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

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, wanted: bool = True) -> Self:
        """Switch the gradients of all tensors within on, or off (which freezes them)."""
        for _, value in self._named_values(""):
            if isinstance(value, Tensor):
                value.requires_grad_(wanted)
        return self

    def to(self, dtype: npt.DTypeLike) -> Self:
        """Convert parameters and floating buffers in place, and forget gradients.

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
        for module in self.modules():
            vars(module).update(
                (name, _converted(value, lambda array: array.astype(kind)))
                for name, value in list(vars(module).items())
                if not name.startswith("_")
            )
        return self

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of all parameters, frozen tensors and buffers, by path."""
        state = {}
        for name, value in self._named_values(""):
            if isinstance(value, Tensor):
                state[name] = value.data.copy()
            elif isinstance(value, np.ndarray):
                state[name] = value.copy()
        return state

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Load values by path, each converted to the dtype it has here.

        Nothing is changed unless everything fits.

        Raises
        ------
        KeyError
            With ``strict``: names are missing, or unknown here.  The text lists them.
        ValueError
            A shape differs.
        """
        targets = {
            name: value
            for name, value in self._named_values("")
            if isinstance(value, (Tensor, np.ndarray))
        }
        missing = [name for name in targets if name not in state]
        unexpected = [name for name in state if name not in targets]
        if strict and (missing or unexpected):
            raise KeyError(_mismatch(self, missing, unexpected))
        fitting = {}
        for name, target in targets.items():
            if name in state:
                value = state[name].detach() if hasattr(state[name], "detach") else state[name]
                array = np.asarray(value).astype(target.dtype)
                if array.shape != target.shape:
                    raise ValueError(
                        f"{name} has shape {target.shape} here and {array.shape} in the state: "
                        "the model was built with other sizes"
                    )
                fitting[name] = array
        for name, array in fitting.items():
            target = targets[name]
            if isinstance(target, Tensor):
                target.data = array
            else:
                target[...] = array

    # -- text ---------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands in the parentheses of a layer's ``repr``."""
        return ""

    def __repr__(self) -> str:
        name, extra = type(self).__name__, self.extra_repr()
        within = [
            (path, value) for path, value in _walk(vars(self), "") if isinstance(value, Module)
        ]
        if not within:
            return f"{name}({extra})"
        lines = [f"({path}): {value!r}".replace("\n", "\n  ") for path, value in within]
        return f"{name}({extra}\n  " + "\n  ".join(lines) + "\n)"


def _walk(values: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The leaves of attributes and the containers in them, by path; private names left out."""
    items = values.items() if isinstance(values, Mapping) else enumerate(values)
    for key, value in items:
        if isinstance(key, str) and key.startswith("_"):
            continue
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, (list, tuple, dict)):
            yield from _walk(value, name)
        else:
            yield name, value


def _named_modules(module: Module, path: str, visited: set[int]) -> Iterator[tuple[str, Module]]:
    if id(module) in visited:
        return
    visited.add(id(module))
    yield path, module
    for name, value in _walk(vars(module), path):
        if isinstance(value, Module):
            yield from _named_modules(value, name, visited)


def _converted(value: Any, convert: Callable[[Any], Any]) -> Any:
    """Convert floating arrays, also in containers; a list or a dict stays the same object."""
    if isinstance(value, Tensor) and value.dtype.kind in "fc":
        value.grad = None
        value.data = convert(value.data)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        return convert(value)
    elif isinstance(value, list):
        value[:] = [_converted(item, convert) for item in value]
    elif isinstance(value, dict):
        value.update({key: _converted(item, convert) for key, item in value.items()})
    elif isinstance(value, tuple):
        return tuple(_converted(item, convert) for item in value)
    return value


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
