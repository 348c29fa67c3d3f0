"""Functions that are called whenever a module is, before and after it, and in the backward pass.

Not for: hooks of single tensors (``Tensor.register_hook``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from tinygrad_lab.core.cotangents import conjugate
from tinygrad_lab.core.dispatch import from_node
from tinygrad_lab.core.engine import record
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.operations import defvjp_joint
from tinygrad_lab.core.several import Outputs, Parts
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.containers import leaves, rebuild

__all__ = ["RemovableHandle", "call_hooked", "register"]

_numbers = count()


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook away; so does leaving ``with``.

    Examples
    --------
    >>> from tinygrad_lab import nn
    >>> layer = nn.Linear(2, 1, rng=0)
    >>> with layer.register_forward_hook(lambda module, args, output: print(output.shape)):
    ...     _ = layer([1.0, 2.0])
    (1,)
    >>> _ = layer([1.0, 2.0])
    """

    def __init__(self, hooks: dict[int, Any], key: int) -> None:
        self._hooks, self._key = hooks, key

    def remove(self) -> None:
        """Take the hook away, if it is still there."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def register(module: Any, kind: str, hook: Any, prepend: bool, *settings: bool) -> RemovableHandle:
    """Add a hook, with its settings, to those of one kind."""
    if not callable(hook):
        raise TypeError(f"a hook is a function, not {hook!r}")
    hooks = vars(module).setdefault(kind, {})
    key = next(_numbers)
    entry = {key: (hook, *settings)}
    if prepend:
        entry |= hooks
        hooks.clear()
    hooks.update(entry)
    return RemovableHandle(hooks, key)


def call_hooked(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call ``forward`` with all hooks of a module around it."""
    args, kwargs = _before(module, args, kwargs)
    passed: Callable[[Any], Any] = lambda output: output
    if module._backward_hooks or module._backward_pre_hooks:  # noqa: SLF001
        args, passed = _watched(module, args)
    try:
        output = passed(module.forward(*args, **kwargs))
    except Exception:
        _after(module, args, kwargs, None, always=True)
        raise
    return _after(module, args, kwargs, output)


def _before(module: Any, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for hook, with_kwargs in [*module._forward_pre_hooks.values()]:  # noqa: SLF001
        if with_kwargs:
            changed = hook(module, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise TypeError(
                        "a forward pre-hook with_kwargs returns None or (args, kwargs), not "
                        f"{describe(changed)}"
                    )
                args, kwargs = changed
        else:
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    return args, kwargs


def _after(module: Any, args: Any, kwargs: Any, output: Any, always: bool = False) -> Any:
    for hook, with_kwargs, always_called in [*module._forward_hooks.values()]:  # noqa: SLF001
        if always_called or not always:
            changed = hook(module, args, *([kwargs] if with_kwargs else ()), output)
            output = output if changed is None else changed
    return output


# -- in the backward pass -------------------------------------------------------------------------


def _watched(module: Any, args: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The arguments, and a function of the output, through which all gradients are seen.

    Both are looked at as one: the hooks are called when the gradients of all inputs are complete.
    """
    gradients: list[Any] = []  # of the outputs, from there to the inputs
    is_passed = any(isinstance(arg, Tensor) and arg.requires_grad for arg in args)

    def of_outputs(values: tuple[Any, ...]) -> tuple[Any, ...]:
        for (hook,) in [*module._backward_pre_hooks.values()]:  # noqa: SLF001
            values = _changed(hook, hook(module, values), values)
        gradients[:] = values
        if not is_passed:  # nothing comes back to the inputs
            of_inputs((None,) * len(args))
        return values

    def of_inputs(values: tuple[Any, ...]) -> tuple[Any, ...]:
        for (hook,) in [*module._backward_hooks.values()]:  # noqa: SLF001
            values = _changed(hook, hook(module, values, tuple(gradients)), values)
        return values

    through = _through(list(args), of_inputs)
    return tuple(through), lambda output: _rebuilt(output, of_outputs)


def _rebuilt(output: Any, hook: Any) -> Any:
    parts = [part for _, part in leaves(output, open_modules=False)]
    return rebuild(output, iter(_through(parts, hook)), open_modules=False)


def _through(values: list[Any], hook: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> list[Any]:
    """The same tensors as the results of one call, the gradients of which go through the hook."""
    places = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not places:
        return values
    arrays = tuple(values[i].data for i in places)
    nodes = tuple(values[i].node for i in places)
    how = {"hook": hook, "places": tuple(places), "count": len(values)}
    value = Outputs(arrays)
    results = from_node(value, record(watched, arrays, how, value, nodes))
    return [results[places.index(i)] if i in places else v for i, v in enumerate(values)]


def watched(*arrays: Any, hook: Any, places: Any, count: int) -> Outputs:  # noqa: ARG001
    """The arrays: in the backward pass a hook sees their gradients together."""
    return Outputs(arrays)


def _shown(
    argnums: Sequence[int], g: Parts, _: Any, *arrays: Any, hook: Any, places: Any, count: int
) -> list[Any]:
    values: list[Any] = [None] * count
    for i, place in enumerate(places):
        values[place] = conjugate(g[i] if i in g else np.zeros_like(arrays[i]))
    values = hook(tuple(values))
    return [conjugate(values[places[i]]) for i in argnums]


defvjp_joint(watched, _shown)


def _changed(hook: Any, new: Any, old: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a hook returned in place of gradients, or these."""
    if new is None:
        return old
    new = new if isinstance(new, tuple) else (new,)
    shapes = [getattr(v, "shape", None) for v in new], [getattr(v, "shape", None) for v in old]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"a backward hook ({getattr(hook, '__name__', hook)}) returned {len(new)} gradients of "
            f"shapes {shapes[0]} in place of {len(old)} of shapes {shapes[1]}"
        )
    return new
