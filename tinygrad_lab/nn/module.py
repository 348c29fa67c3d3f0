"""``Module``: something with parameters and a ``forward``, and what all of them can do.

Nothing has to be registered.  What a module holds is found by walking its attributes
(``walking.py``).

Not for: the layers themselves (``layers/``), or what a state is (``state.py``).
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from reprlib import recursive_repr
from types import ModuleType, NoneType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.core.engine import next_order
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.scopes import POSITIONS, note
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.nn.hooks import RemovableHandle, call_hooked, register
from tinygrad_lab.nn.layers.making import on_cpu
from tinygrad_lab.nn.parameter import Parameter
from tinygrad_lab.nn.places import locate
from tinygrad_lab.nn.seeds import place, seed
from tinygrad_lab.nn.state import IncompatibleKeys, load, state_of
from tinygrad_lab.nn.walking import (
    Holder,
    attributes_of,
    buffers_of,
    child,
    inner_first,
    modules_in,
    put,
    replaced,
    walk,
    walk_modules,
)
from tinygrad_lab.warnings import NotAParameterWarning, warn

__all__ = ["Module"]

T = TypeVar("T")


class Module(Holder):
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

    # Hooks by the order in which they were registered; those of one module are its own attributes.
    _forward_pre_hooks: Mapping[int, Any] = {}
    _forward_hooks: Mapping[int, Any] = {}
    _backward_pre_hooks: Mapping[int, Any] = {}
    _backward_hooks: Mapping[int, Any] = {}

    #: What computes an attribute that is not there, ``of(module, name)``, by name (``utils/``).
    _computed: Mapping[str, Callable[[Any, str], Any]] = {}

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
        """Run ``forward``, with the hooks around it; an error raised in it names the layer."""
        since = next_order()
        try:
            if (
                self._forward_hooks or self._forward_pre_hooks
                or self._backward_hooks or self._backward_pre_hooks
            ):  # fmt: skip
                result = call_hooked(self, args, kwargs)
            else:
                result = self.forward(*args, **kwargs)
            if result is None:
                raise TypeError(f"{type(self).__name__}.forward returned None: say `return` in it")
            note(result, since, type(self), weakref.ref(self), POSITIONS, args, kwargs)
            return result
        except Exception as error:
            locate(error, self)
            raise

    # -- what it holds ------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, but nothing else in the place of a parameter or a buffer."""
        if isinstance(vars(self).get(name), Parameter) and not isinstance(
            value, (Parameter, NoneType)
        ):
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter, and a {type(value).__name__} in its "
                f"place would be none, so no optimizer would get it: say nn.Parameter(...), or "
                f"None for no parameter, or .{name}.data = array for other values"
            )
        if name in self._computed:
            raise TypeError(
                f"{type(self).__name__}.{name} is computed from other parameters at each use: set "
                "those, or remove the parametrization first (nn.utils)"
            )
        if name in self._registered_buffers:
            value = _as_buffer(value, f"{type(self).__name__}.{name}")
        super().__setattr__(name, value)
        if isinstance(value, (Module, list, tuple, dict)):
            place(modules_in(value, name))

    def __delattr__(self, name: str) -> None:
        """Delete an attribute, whatever it is."""
        super().__delattr__(name)
        if name in self._registered_buffers:
            self._registered_buffers = {
                key: saved for key, saved in self._registered_buffers.items() if key != name
            }

    if not TYPE_CHECKING:  # a type checker knows by itself what is missing

        def __getattr__(self, name: str) -> Any:
            """Compute what is computed; say what is missing, and what has nearly this name."""
            if name in self._computed:
                return self._computed[name](self, name)
            if any(name in vars(cls) for cls in type(self).__mro__):
                object.__getattribute__(self, name)  # a property: what failed inside it says so
            # Python itself asks for names with an underscore that need not be there, and often.
            public = [] if name.startswith("_") else dir(self)
            near = get_close_matches(name, public, n=1, cutoff=0.75)
            hint = f"; did you mean {near[0]}?" if near else ""
            text = f"{type(self).__name__} has no attribute {name!r}{hint}"
            raise AttributeError(text, name=name)

    def __dir__(self) -> list[str]:
        """The names of attributes that can be written with a dot."""
        return [name for name in super().__dir__() if not name[0].isdigit()]

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Keep an array that is not trained: it is converted and, if ``persistent``, saved.

        An array or a tensor as an attribute is a buffer without being registered, if its name does
        not begin with an underscore.

        Parameters
        ----------
        name : str
            That of the attribute, without dots.
        tensor : array, Tensor or None
            None for one that is not there yet.
        persistent : bool
            Whether it is part of the state.

        Raises
        ------
        KeyError
            The module has an attribute of this name that is no buffer, or it cannot be a name.
        TypeError
            It is no array, or a tensor with a history.

        Examples
        --------
        >>> from tinygrad_lab import nn
        >>> module = nn.Module()
        >>> module.register_buffer("mean", np.zeros(2))
        >>> module.register_buffer("mask", np.ones(2), persistent=False)
        >>> [name for name, _ in module.named_buffers()], list(module.state_dict())
        (['mean', 'mask'], ['mean'])
        """
        value = _as_buffer(tensor, f"register_buffer({name!r}, ...)")
        self._register(name, value, (np.ndarray, Tensor))
        self._registered_buffers = {**self._registered_buffers, name: persistent}

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set an attribute that is a parameter, or None: ``model.name = param``."""
        if not isinstance(param, (Parameter, NoneType)):
            raise TypeError(
                f"register_parameter({name!r}, ...) takes an nn.Parameter or None, not "
                f"{describe(param)}: say nn.Parameter(...)"
            )
        self._register(name, param, Parameter)

    def add_module(self, name: str, module: Module | None) -> None:
        """Set an attribute that is a module, or None: ``model.name = module``."""
        if not isinstance(module, (Module, NoneType)):
            raise TypeError(f"add_module({name!r}, ...) takes a Module, not {describe(module)}")
        self._register(name, module, Module)

    register_module = add_module

    def _register(self, name: str, value: Any, kind: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of an attribute is a str, not {name!r}")
        if not name or "." in name:
            raise KeyError(f"{name!r} cannot be the name of an attribute: it is empty, or has dots")
        present = getattr(self, name, None)
        is_other = isinstance(present, Parameter) and kind is not Parameter
        if is_other or not isinstance(present, (kind, NoneType)):
            raise KeyError(f"{type(self).__name__} has an attribute {name!r} already")
        setattr(self, name, value)

    def children(self) -> Iterator[Module]:
        """The layers directly within, each once."""
        return (module for _, module in self.named_children())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The layers directly within by path, each once."""
        visited: set[int] = set()
        for name, value in walk(self):
            if isinstance(value, Module) and id(value) not in visited:
                visited.add(id(value))
                yield name, value

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Itself and all within, each once."""
        return (m for _, m in self.named_modules(remove_duplicate=remove_duplicate))

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Itself (named ``""``) and all within, by path, each once.

        Parameters
        ----------
        memo : set of Module, optional
            Those to leave out, with what is in them.
        prefix : str
            What the paths begin with.
        remove_duplicate : bool
            False gives what is shared under each of its names.
        """
        left_out = set(map(id, memo or ()))
        if id(self) not in left_out:
            yield from walk_modules(self, prefix, left_out, again=not remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once: what an optimizer takes."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters by path (``layers.0.weight``), frozen ones too; each once.

        A tensor that requires a gradient and is no :class:`Parameter` is a
        :class:`~tinygrad_lab.warnings.NotAParameterWarning`, and so is an object of another class
        that holds a parameter or a layer, where none is looked for.

        Parameters
        ----------
        prefix : str
            What the paths begin with.
        recurse : bool
            False leaves out those of the layers within.
        remove_duplicate : bool
            False gives what is shared under each of its names.
        """
        others: list[tuple[str, Any]] = []
        visited: set[int] = set()
        of_each = functools.partial(self._own_parameters, others)
        for name, parameter in self._named(of_each, prefix, recurse, remove_duplicate):
            visited.add(id(parameter))
            yield name, parameter
        if others and recurse:
            self._warn_of_hidden(others, visited.union(map(id, self.modules())))

    def _own_parameters(
        self, others: list[tuple[str, Any]], module: Module, path: str
    ) -> Iterator[tuple[str, Any]]:
        for name, value in walk(module, path):
            if isinstance(value, Parameter):
                yield name, value
            elif getattr(value, "__dict__", None) and not isinstance(
                value, (Module, type, ModuleType)
            ):
                others.append((name, value))
            elif isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                warn(
                    f"{type(self).__name__}.{name} requires a gradient but is no "
                    "nn.Parameter, so no optimizer will get it: say nn.Parameter(...), or "
                    "requires_grad=False for a constant",
                    NotAParameterWarning,
                )

    def _warn_of_hidden(self, others: Iterable[tuple[str, Any]], visited: set[int]) -> None:
        """Warn of parameters and layers in objects of other classes, if they are nowhere else."""
        for path, thing in others:
            for name, value in vars(thing).items():
                is_layer = isinstance(value, Module) and any(True for _ in value.parameters())
                if (is_layer or isinstance(value, Parameter)) and id(value) not in visited:
                    warn(
                        f"{type(self).__name__}.{path} is a {type(thing).__name__}, whose .{name} "
                        f"is a {type(value).__name__} that no optimizer will get, because other "
                        "objects are not looked into: make a Module of it, or a dataclass",
                        NotAParameterWarning,
                    )

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        """The buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """The arrays and tensors that belong to the model but are not trained, by path, each once.

        Attributes whose names begin with an underscore are left out, unless they were registered,
        and so are results that have a history.  The arguments are those of
        :meth:`named_parameters`.
        """
        return self._named(buffers_of, prefix, recurse, remove_duplicate)

    def _named(
        self, of: Callable[..., Any], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        visited: set[int] = set()
        within = self.named_modules(None, prefix, remove_duplicate)
        for path, module in within if recurse else [(prefix, self)]:
            for name, value in of(module, path):
                if id(value) not in visited:
                    yield name, value
                if remove_duplicate:
                    visited.add(id(value))

    def get_submodule(self, target: str) -> Module:
        """The module at a path (``"layers.0"``); itself at ``""``.

        Raises
        ------
        AttributeError
            There is none.
        """
        return self._at(target, Module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path (``"layers.0.weight"``), or an AttributeError."""
        return self._at(target, Parameter)

    def get_buffer(self, target: str) -> Any:
        """The buffer at a path, or an AttributeError."""
        buffers = dict(self.named_buffers(remove_duplicate=False))
        if target not in buffers:
            raise _nothing_at(self, target, "buffer", buffers)
        return buffers[target]

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a path; with ``strict`` there must be one.

        Examples
        --------
        >>> from tinygrad_lab import nn
        >>> model = nn.MLP([2, 3, 1], rng=0)
        >>> model.set_submodule("layers.1", nn.Tanh())
        >>> model.layers[1]
        Tanh()
        """
        if not isinstance(module, Module):
            raise TypeError(f"set_submodule takes a Module, not {describe(module)}")
        path, _, name = target.rpartition(".")
        if not name:
            raise ValueError("set_submodule needs the path of a layer within")
        holder = self._at(path, object)
        key, old = child(holder, name) or (name, None)
        if strict and not isinstance(old, Module):
            raise _nothing_at(self, target, "module", dict(self.named_modules()))
        call, *where = put(holder, key)
        call(*where, module)

    def _at(self, target: str, kind: type[T]) -> T:
        value: Any = self
        for name in target.split(".") if target else ():
            _, value = child(value, name) or (None, _NOTHING)
        if value is _NOTHING or not isinstance(value, kind):
            of_kind = {path: None for path, part in state_of(self) if isinstance(part, kind)}
            known = dict(self.named_modules()) if issubclass(Module, kind) else of_kind
            raise _nothing_at(self, target, kind.__name__.lower(), known)
        return value

    # -- what it does to all of them ----------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` with every module within and then with this one, each once.

        Examples
        --------
        >>> from tinygrad_lab import nn
        >>> model = nn.Sequential(nn.Linear(2, 1, rng=0), nn.Tanh())
        >>> _ = model.apply(lambda module: print(type(module).__name__))
        Linear
        Tanh
        Sequential
        """
        for module in list(inner_first(self, set())):
            fn(module)
        return self

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

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set those that there are to 0."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad = np.zeros_like(parameter.grad)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Switch the gradients of all parameters within on, or off (which freezes them)."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def to(
        self,
        *args: Any,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
        non_blocking: bool = False,  # noqa: ARG002 - PyTorch's, and without effect here
    ) -> Self:
        """Convert parameters and floating buffers in place, and forget gradients: all, or none.

        Parameters
        ----------
        *args
            A dtype, a tensor or an array that has the dtype, or ``"cpu"``.
        dtype : dtype, optional
            The dtype by name.
        device : "cpu", optional
            There is no other.

        Raises
        ------
        TypeError
            ``dtype`` is not a float.
        ValueError
            Another device.

        Examples
        --------
        >>> from tinygrad_lab import nn
        >>> nn.Linear(2, 3, rng=0).to(np.float32).weight.dtype
        dtype('float32')
        """
        on_cpu(device)
        for arg in args:
            dtype = _dtype_of(arg) or dtype
        if dtype is None:
            return self
        kind = np.dtype(dtype)
        if kind.kind not in "fc":
            raise TypeError(f"parameters are floats, so a module cannot be converted to {kind}")
        values = [*self.parameters(), *self.buffers()]
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
            for name, value in attributes_of(module).items():
                if (whole := replaced(value, new, changes)) is not value:
                    changes.append((object.__setattr__, module, name, whole))
        at_once(changes)
        return self

    def float(self) -> Self:
        """Convert to float32: ``to(np.float32)``."""
        return self.to(np.float32)

    def double(self) -> Self:
        """Convert to float64: ``to(np.float64)``."""
        return self.to(np.float64)

    def half(self) -> Self:
        """Convert to float16: ``to(np.float16)``."""
        return self.to(np.float16)

    def cpu(self) -> Self:
        """Return the module: its arrays are in the memory of this machine."""
        return self

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """Copies of all parameters, frozen ones too, and buffers, by path.

        What is shared is there under each of its names.

        Parameters
        ----------
        destination : dict, optional
            Where to put them.
        prefix : str
            What the names begin with, with a dot at its end.
        keep_vars : bool
            True gives parameters and buffers themselves.
        """
        state = {} if destination is None else destination
        for name, value in state_of(self):
            array = value.data if isinstance(value, Tensor) else value
            state[prefix + name] = value if keep_vars else array.copy()
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Load values by path, each converted to the dtype it has here.

        Nothing is changed unless everything fits; an interrupt leaves all of it or nothing.

        Parameters
        ----------
        state_dict : dict
            Arrays or tensors by path, PyTorch's too.
        strict : bool
            False lets names be missing, or unknown here.

        Returns
        -------
        IncompatibleKeys
            ``missing_keys`` and ``unexpected_keys``.

        Raises
        ------
        RuntimeError
            With ``strict``: names are missing, or unknown here.  With or without: a shape differs,
            one shared parameter would get two values, or a value is no array of numbers that its
            place can hold.  The text lists all of them.
        TypeError
            ``state_dict`` is no dict.

        Examples
        --------
        >>> from tinygrad_lab import nn
        >>> layer = nn.Linear(2, 1, rng=0)
        >>> layer.load_state_dict({"weight": [[1.0, 2.0]], "bias": [0.5]})
        <All keys matched successfully>
        >>> layer.load_state_dict({"weight": [[3.0, 4.0]]}, strict=False)
        _IncompatibleKeys(missing_keys=['bias'], unexpected_keys=[])
        """
        return load(self, state_dict, strict)

    # -- hooks --------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each ``forward``.

        What it returns, unless None, takes the place of the arguments: a tuple of them, or one.

        Parameters
        ----------
        hook : callable
            Called with the module and the tuple of its positional arguments.
        prepend : bool
            Whether it comes before the hooks that are there.
        with_kwargs : bool
            Call ``hook(module, args, kwargs)``, which returns None or ``(args, kwargs)``.

        Returns
        -------
        RemovableHandle
            Its ``remove()`` takes the hook away.
        """
        return register(self, "_forward_pre_hooks", hook, prepend, with_kwargs)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each ``forward``.

        What it returns, unless None, takes the output's place.

        Parameters
        ----------
        hook : callable
            Called with the module, the tuple of its positional arguments, and its output.
        prepend : bool
            Whether it comes before the hooks that are there.
        with_kwargs : bool
            Call ``hook(module, args, kwargs, output)``.
        always_call : bool
            Call it also when ``forward`` raises, with None for the output.

        Returns
        -------
        RemovableHandle
            Its ``remove()`` takes the hook away.

        Examples
        --------
        >>> from tinygrad_lab import nn
        >>> model = nn.MLP([2, 3, 1], rng=0)
        >>> shapes = []
        >>> for layer in model.layers:
        ...     _ = layer.register_forward_hook(lambda m, args, output: shapes.append(output.shape))
        >>> _ = model(np.ones((4, 2)))
        >>> shapes
        [(4, 3), (4, 3), (4, 1)]
        """
        return register(self, "_forward_hooks", hook, prepend, with_kwargs, always_call)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` when the gradients of all outputs are complete.

        What it returns, unless None, takes their place.
        """
        return register(self, "_backward_pre_hooks", hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when both are complete.

        They are tuples with a gradient, or None, for each positional argument and each output.
        What the hook returns, unless None, takes the place of ``grad_input``.

        Examples
        --------
        >>> import tinygrad_lab as tl
        >>> layer = tl.nn.Linear(2, 1, rng=0)
        >>> handle = layer.register_full_backward_hook(
        ...     lambda module, grad_input, grad_output: print(grad_input[0].shape, grad_output[0])
        ... )
        >>> layer(tl.tensor([[1.0, 2.0]], requires_grad=True)).sum().backward()
        (1, 2) [[1.]]
        """
        return register(self, "_backward_hooks", hook, prepend)

    # -- text ---------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands in the parentheses of a layer's ``repr``."""
        return ""

    @recursive_repr()
    def __repr__(self) -> str:
        extra = self.extra_repr().split("\n") if self.extra_repr() else []
        within = self._children_repr()
        name = type(self).__name__
        if not within and len(extra) < 2:
            return f"{name}({''.join(extra)})"
        return f"{name}(\n  " + "\n  ".join([*extra, *within]) + "\n)"

    def _children_repr(self) -> list[str]:
        """A text for each layer within."""
        within = [(path, value) for path, value in walk(self) if isinstance(value, Module)]
        return [f"({path}): {value!r}".replace("\n", "\n  ") for path, value in within]


_NOTHING = object()


def _nothing_at(module: Module, target: str, kind: str, known: Iterable[str]) -> AttributeError:
    near = get_close_matches(target, known, n=3)
    hint = f"; near it: {', '.join(near)}" if near else ""
    return AttributeError(f"{type(module).__name__} has no {kind} {target!r}{hint}", name=target)


def _dtype_of(arg: Any) -> Any:
    """The dtype that an argument of ``to`` stands for, or None."""
    if hasattr(arg, "dtype") and not isinstance(arg, type):
        return arg.dtype
    if isinstance(arg, str):
        try:
            return np.dtype(arg)
        except TypeError:
            on_cpu(arg)
            return None
    return None if isinstance(arg, bool) else arg


def _as_buffer(value: Any, place: str) -> Any:
    """What is kept as a buffer: an array for a NumPy number, which is the result of a 0-d one."""
    if value is not None and not hasattr(value, "shape"):
        raise TypeError(f"{place}: a buffer is an array, a Tensor or None, not {describe(value)}")
    if isinstance(value, Tensor) and not value.is_leaf:
        raise TypeError(
            f"{place}: a buffer is a constant, and this tensor is the result of a tracked "
            f"computation ({value!r}): say t.detach()"
        )
    is_number = value is not None and value.shape == () and not isinstance(value, Tensor)
    return value[...] if is_number else value
