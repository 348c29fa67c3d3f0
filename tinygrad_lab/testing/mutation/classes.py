"""Classes that somebody wrote a backward pass in: layers in plain NumPy, functions of PyTorch.

They are found by their methods, in every module that is loaded and while a test runs, so that no
adapter is needed; where one is used, its gradients are counted and those of the class are not.

Not for: using such a class (``adapters/layers.py``).
"""

from __future__ import annotations

import builtins
import contextlib
import copy
import functools
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab.testing import adapters
from tinygrad_lab.testing.adapters.holders import GRADIENTS, is_gradient, place_of
from tinygrad_lab.testing.adapters.layers import BACKWARD, FORWARD
from tinygrad_lab.testing.mutation.faults import Call
from tinygrad_lab.testing.mutation.places import (
    Caller,
    Intercept,
    comes_from_an_adapter,
    once,
)

_NOT_USERS = ("numpy", "tinygrad_lab", "torch", "jax", "jaxlib", "autograd", "hypothesis")


@dataclass(frozen=True)
class OfClass:
    """A gradient that a backward pass returns, or leaves in an attribute."""

    owner: str  # the class, by its name
    code: Any  # of the backward pass
    part: str  # "" of the only thing that is returned, "[1]", "dW"

    @property
    def label(self) -> str:
        """Name it in messages."""
        if not self.part:
            return f"{self.owner}, what its backward pass returns"
        return f"{self.owner}, {self.part}"


@contextlib.contextmanager
def classes(intercept: Intercept, everywhere: bool = False) -> Iterator[None]:
    """Step in where the backward passes of classes give gradients.

    What an adapter calls is left alone, because it is counted as the adapter's, if not
    ``everywhere``.
    """
    with contextlib.ExitStack() as stack:
        for cls in _loaded():
            _step_in(cls, intercept, everywhere, stack)
        build = builtins.__build_class__

        def building(*args: Any, **kwargs: Any) -> Any:
            cls = build(*args, **kwargs)
            if _is_users(cls):
                _step_in(cls, intercept, everywhere, stack)
            return cls

        builtins.__build_class__ = building
        stack.callback(setattr, builtins, "__build_class__", build)
        yield


def _loaded() -> list[Any]:
    """List the classes of users, the oldest first."""
    every: dict[type, None] = {}
    waiting: list[type] = [object]
    while waiting:
        subclasses: list[type] = type.__subclasses__(waiting.pop())
        for cls in subclasses:
            if cls not in every:
                every[cls] = None
                waiting.append(cls)
    return [cls for cls in every if _is_users(cls)]


def _is_users(cls: Any) -> bool:
    """Whether a class has a forward and a backward pass, and nobody's library has it."""
    if not isinstance(cls, type) or not any(callable(_plain(cls, n)) for n in BACKWARD):
        return False
    module = getattr(cls, "__module__", None) or ""
    return module.partition(".")[0] not in _NOT_USERS and not _is_installed(module)


@functools.cache
def _is_installed(module: str) -> bool:
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and (
        "-packages" in file or file.startswith(sysconfig.get_paths()["stdlib"])
    )


def _plain(cls: Any, name: str) -> Any:
    method = vars(cls).get(name)
    return method.__func__ if isinstance(method, staticmethod) else method


def _replace(cls: Any, name: str, method: Any, stack: contextlib.ExitStack) -> None:
    """Put another method in the place of one, until everything is put back."""
    before = vars(cls)[name]
    with contextlib.suppress(TypeError, AttributeError):  # of what cannot be written to
        setattr(cls, name, staticmethod(method) if isinstance(before, staticmethod) else method)
        stack.callback(setattr, cls, name, before)


def _step_in(cls: Any, intercept: Intercept, everywhere: bool, stack: contextlib.ExitStack) -> None:
    torch: Any = sys.modules.get("torch")
    if torch is not None and issubclass(cls, torch.autograd.Function):
        _step_into_function(cls, intercept, everywhere, stack)
        return
    forward = next((n for n in FORWARD if inspect.isfunction(_plain(cls, n))), None)
    for name in BACKWARD:
        if inspect.isfunction(_plain(cls, name)) and name != forward:
            _Layer(cls, name, forward, intercept, everywhere).step_in(stack)
            return


class _Layer:
    """A class in plain NumPy, between whose passes and their caller one steps."""

    def __init__(
        self,
        cls: Any,
        backward: str,
        forward: str | None,
        intercept: Intercept,
        everywhere: bool,
    ) -> None:
        self.cls, self.backward, self.forward = cls, backward, forward
        self.intercept, self.everywhere = intercept, everywhere
        self.inputs: dict[int, tuple[Any, ...]] = {}  # of the last forward pass, by object

    def step_in(self, stack: contextlib.ExitStack) -> None:
        """Put wrapped methods in the place of its own."""
        if self.forward is not None:
            _replace(self.cls, self.forward, self._noting(_plain(self.cls, self.forward)), stack)
        _replace(self.cls, self.backward, self._stepped(_plain(self.cls, self.backward)), stack)

    def _noting(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(forward)
        def noting(one: Any, *args: Any, **kwargs: Any) -> Any:
            self.inputs[id(one)] = tuple(x for x in args if isinstance(x, np.ndarray))
            return forward(one, *args, **kwargs)

        return noting

    def _stepped(self, backward: Callable[..., Any]) -> Callable[..., Any]:
        code = getattr(inspect.unwrap(backward), "__code__", None)

        @functools.wraps(backward)
        def stepped(one: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.everywhere and comes_from_an_adapter():
                return backward(one, *args, **kwargs)
            return self._replaced(one, backward, args, kwargs, code)

        return stepped

    def _replaced(self, one: Any, backward: Any, args: Any, kwargs: Any, code: Any) -> Any:
        if not args and kwargs:
            (name, g), *rest = kwargs.items()
            return self._replaced(
                one, lambda o, g, **kw: backward(o, **{name: g}, **kw), (g,), dict(rest), code
            )
        before = _copied(one)
        returned = backward(one, *args, **kwargs)
        inputs = self.inputs.get(id(one), ())
        upstreams = [x for x in args[:1] if isinstance(x, (np.ndarray, np.generic, float))]

        def again(read: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
            """Run it on a copy, so that no other gradient becomes wrong with it."""

            def run(ups: Any) -> Any:
                copied = _copied(before)
                return read(copied, backward(copied, *ups, *args[len(ups) :], **kwargs))

            return run

        items = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        for i, gradient in enumerate(items):
            if isinstance(gradient, (np.ndarray, np.generic)):
                x = inputs[i] if i < len(inputs) else None
                part = f"[{i}]" if len(items) > 1 else ""

                def read(_copy: Any, result: Any, i: int = i, alone: bool = len(items) == 1) -> Any:
                    return result if alone else result[i]

                items[i] = self._asked(code, part, again(read), gradient, upstreams, x, inputs, i)
        for path, holder, key in _own_gradients(one):
            gradient = _get(holder, key)
            compute = again(functools.partial(_read, path))
            after = self._asked(code, path, compute, gradient, upstreams, None, inputs, None)
            if after is not gradient:
                _put(holder, key, after)
        if isinstance(returned, (tuple, list)):
            return type(returned)(items)
        return items[0]

    def _asked(
        self, code: Any, part: str, compute: Any, right: Any, ups: Any, x: Any, inputs: Any, i: Any
    ) -> Any:
        place = OfClass(self.cls.__name__, code, part)
        call = Call(ups, once(compute, right, ups), x, inputs)
        caller = None
        if inputs and _is_made_of_nothing(self.cls):
            position = i if i is not None and i < len(inputs) else None
            layer, name = adapters.layer(self.cls), self.cls.__name__
            caller = Caller(
                layer, inputs, position, {}, f"tgt.adapters.layer({name})", {name: self.cls}
            )  # fmt: skip
        return self.intercept(place, call, caller)


def _is_made_of_nothing(cls: Any) -> bool:
    try:
        inspect.signature(cls).bind()
    except (TypeError, ValueError):
        return False
    return True


def _copied(one: Any) -> Any:
    """Copy an object; what holds a lock or a file is used as it is."""
    try:
        return copy.deepcopy(one)
    except Exception:  # noqa: BLE001 - whatever its parts raise
        return one


def _get(holder: Any, key: Any) -> Any:
    return holder[key] if isinstance(holder, (dict, list)) else getattr(holder, key)


def _read(path: str, one: Any, _returned: Any) -> Any:
    return place_of(one, path).get()


def _put(holder: Any, key: Any, value: Any) -> None:
    if isinstance(holder, (dict, list)):
        holder[key] = value
    else:
        setattr(holder, key, value)


def _own_gradients(one: Any) -> list[tuple[str, Any, Any]]:
    """Find the gradients that an object holds itself, and not those of layers in it."""
    members = getattr(one, "__dict__", {})
    every: list[tuple[str, Any, Any]] = []
    for name, value in members.items():
        if isinstance(value, np.ndarray):
            every.append((name, one, name))
        elif isinstance(value, dict):
            every += [(f"{name}[{k!r}]", value, k) for k in value]
        elif isinstance(value, list):
            every += [(f"{name}[{i}]", value, i) for i in range(len(value))]
        elif not any(hasattr(value, method) for method in BACKWARD if method not in GRADIENTS):
            inner = getattr(value, "__dict__", {})
            every += [(f"{name}.{g}", value, g) for g in GRADIENTS if g in inner]
    paths = [path for path, _, _ in every]
    return [
        (path, holder, key)
        for path, holder, key in every
        if isinstance(_get(holder, key), np.ndarray)
        and _get(holder, key).dtype.kind == "f"
        and is_gradient(path, paths)
    ]


def _step_into_function(
    cls: Any, intercept: Intercept, everywhere: bool, stack: contextlib.ExitStack
) -> None:
    """Step into a ``torch.autograd.Function``: its backward pass gives a gradient by each input."""
    backward, name = _plain(cls, "backward"), "forward"
    if "setup_context" in vars(cls):
        name = "setup_context"
    forward = _plain(cls, name)
    if backward is None:
        return
    called: dict[int, tuple[Any, ...]] = {}

    def noting(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        called[id(ctx)] = tuple(args[0]) if name == "setup_context" else args
        return forward(ctx, *args, **kwargs)

    def stepped(ctx: Any, *upstreams: Any) -> Any:
        returned = backward(ctx, *upstreams)
        if not everywhere and comes_from_an_adapter(cls):
            return returned  # an adapter of this very function counts it
        args = called.get(id(ctx), ())
        items = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        adapted, spelled = adapters.torch(cls), f"tgt.adapters.torch({cls.__name__})"
        for i, gradient in enumerate(items):
            if gradient is None:
                continue
            x = args[i] if i < len(args) else None
            part = f"by {_name(cls, i)}"
            ups = list(upstreams)

            def compute(us: Any, i: int = i, right: Any = gradient, ups: Any = ups) -> Any:
                if us is ups:
                    return right
                again = backward(ctx, *us)
                return again[i] if isinstance(again, (tuple, list)) else again

            place = OfClass(cls.__name__, getattr(backward, "__code__", None), part)
            caller = None
            if args:
                scope = {cls.__name__: cls}
                caller = Caller(adapted, args, i, {}, spelled, scope)
            items[i] = intercept(place, Call(ups, compute, x, args), caller)
        return tuple(items) if isinstance(returned, (tuple, list)) else items[0]

    if forward is not None:
        _replace(cls, name, functools.wraps(forward)(noting), stack)
    _replace(cls, "backward", functools.wraps(backward)(stepped), stack)


def _name(cls: Any, i: int) -> str:
    """Name an input of the forward pass."""
    names = list(inspect.signature(inspect.unwrap(_plain(cls, "forward"))).parameters)
    names = names if "setup_context" in vars(cls) else names[1:]
    return names[i] if i < len(names) else f"input {i}"
