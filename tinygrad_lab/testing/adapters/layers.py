"""Objects with a forward and a backward pass in plain NumPy: layers, losses, whole networks.

    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> class Affine:
    ...     def __init__(self):
    ...         self.W, self.b = np.ones((3, 2)) / 2, np.zeros(2)
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x @ self.W + self.b
    ...     def backward(self, dout):
    ...         self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
    ...         return dout @ self.W.T
    >>> print(tgt.gradcheck(tgt.adapters.layer(Affine), np.ones((4, 3))).verdict)
    pass

The parameters are what has a gradient after a backward pass.  Each evaluation has an object of its
own, with the parameters put into it, so that what two objects share shows as shared state.

Not for: where arrays lie in an object (``holders.py``), or functions (``adapted.py``).
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.testing.adapters.adapted import Adapted, joined, own
from tinygrad_lab.testing.adapters.holders import (
    arrays_in,
    is_floats,
    is_gradient,
    pairs,
    place_of,
    places_by_array,
    plain_name,
    walk,
)
from tinygrad_lab.testing.judging.arrays import Arguments, Array
from tinygrad_lab.testing.judging.gradient_names import is_weight, key_of, variable_of
from tinygrad_lab.testing.judging.judgement import Kind, Misbehaved
from tinygrad_lab.testing.judging.running import as_the_user_has_it
from tinygrad_lab.testing.judging.subject import (
    Adapter,
    BackwardPass,
    Evaluation,
    Recorded,
    Reuse,
    outputs_of,
)
from tinygrad_lab.transforms.containers import leaves, rebuild

FORWARD = (
    "forward", "forward_pass", "forward_propagation", "forward_prop", "feedforward", "fprop",
    "fwd", "__call__", "call", "loss", "predict",
)  # fmt: skip
BACKWARD = (
    "backward", "backward_pass", "backward_propagation", "backward_prop", "backprop",
    "back_propagation", "backpropagation", "back_propagate", "backpropagate", "bprop", "bwd",
    "back", "gradient", "gradients", "grad", "derivative",
)  # fmt: skip
DERIVATIVES = ("gradient", "gradients", "grad", "derivative", "prime", "deriv")  # elementwise
RESULTS = ("output", "outputs", "out", "y", "a", "A", "activation", "z", "result", "probs")
UPSTREAMS = (
    "dout", "dy", "dz", "da", "g", "grad", "grad_output", "output_grad", "output_gradient",
    "upstream", "delta", "dvalues", "accum_grad", "error", "d", "dl", "dloss",
)  # fmt: skip
RATES = ("learning_rate", "lr", "eta", "alpha", "step_size", "rate", "learn_rate", "lrate")
RATE = 0.5  #: Of a step, where it can be chosen: not 1, because one may have been forgotten.
RESETS = ("flush_gradients", "zero_grad", "zero_grads", "zero_gradients", "clear_grads")


def layer(
    make: Any,
    *,
    forward: str | Callable[..., Any] | None = None,
    backward: str | Callable[..., Any] | None = None,
    params: Mapping[str, str] | Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    rate: float | None = None,
    name: str | None = None,
) -> Adapter:
    """Adapt an object with a forward and a backward pass: a layer, a loss, a network.

    ``gradcheck`` then takes what the forward pass takes.  It looks at the gradients by these
    inputs and by the parameters, which are called by where they are: ``W``, ``layers[0].W``.

    Parameters
    ----------
    make : callable or object
        Makes the object: its class, or a function without arguments.  An object, which is copied
        for each evaluation, or a module of Python with parameters in its variables, will do too.
    forward, backward : str or callable, optional
        The methods, where they have no common name (``forward`` or ``__call__``, ``backward``,
        ``backprop``, ``backward_pass``, ``grad``, ...), or functions: ``forward(object, *inputs)``
        and ``backward(object, g, *inputs)``, where ``g`` is the upstream.  A method for the
        backward pass is called with the upstream, with what the forward pass returned as cache,
        and with inputs, each as its arguments are named.  If ``forward`` returns a number and its
        gradients, no ``backward`` is needed.
    params : mapping of str to str, or names, optional
        Where parameters and their gradients are, as ``{"W": "dW"}`` or
        ``{"params['W']": "grads['W']"}``, or which parameters there are; empty for none.  By
        default every array that has a gradient, by its name, after a backward pass: ``dW`` or
        ``grad_W`` beside ``W``, ``W.grad``, ``grads["W"]``, ``grads[0]`` for ``params[0]``, or what
        is returned behind the gradients by the inputs.
    options : mapping, optional
        Keyword arguments of the forward pass, such as ``{"train": True}``.
    rate : float, optional
        Of a backward pass that moves the parameters: their gradients are what they moved by,
        divided by the rate.  Not needed where the object has it (``learning_rate``, ``lr``) or the
        backward pass takes it: it is then 1/2, by which hardly a digit gets lost.
    name : str, optional
        What to call it in messages.

    Raises
    ------
    TypeError
        ``make`` is two functions, or needs arguments.

    Examples
    --------
    A layer that keeps its gradients in a dict, and moves nothing:

    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> class Scale:
    ...     def __init__(self, factor):
    ...         self.params, self.grads = {"k": np.array([factor])}, {}
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x * self.params["k"]
    ...     def backward(self, dout):
    ...         self.grads["k"] = np.array([np.sum(dout)])  # a mistake: without the x
    ...         return dout * self.params["k"]
    >>> scale = tgt.adapters.layer(lambda: Scale(2.0))
    >>> report = tgt.gradcheck(scale, np.array([0.5, 3.0]), raises=False)
    >>> report.verdict, report.findings[0].text
    ('fail', 'gradient by input 1 (k) is wrong')
    """
    _refuse_functions(make, backward)
    use = _Use(make, forward, backward, params, dict(options or {}), rate)
    label = name or _label(make)
    return Adapter(
        lambda args: _Layer(make, args, label, use),
        label,
        value=lambda *inputs: use.value(inputs),
        has_parameters=True,
    )


def _refuse_functions(make: Any, backward: Any) -> None:
    if not _is_maker(make):
        return
    try:
        inspect.signature(make).bind()
    except ValueError:  # of what is compiled
        return
    except TypeError as error:
        if inspect.isclass(make):
            words = f"say adapters.layer(lambda: {make.__name__}(...))"
        elif callable(backward):
            words = "for a pair of functions say adapters.numpy(forward, backward, cache=True)"
        else:
            words = "make is called without arguments, once for each evaluation"
        raise TypeError(f"adapters.layer({_label(make)}): {error}; {words}") from None


def _is_maker(make: Any) -> bool:
    return inspect.isclass(make) or inspect.isroutine(make) or isinstance(make, functools.partial)


def _label(make: Any) -> str:
    if inspect.isclass(make) or isinstance(make, types.ModuleType):
        return make.__name__
    if inspect.isroutine(make) or isinstance(make, functools.partial):
        name = getattr(make, "__name__", "<lambda>")
        return "layer" if name == "<lambda>" else name
    return type(make).__name__


class NotALayerError(TypeError):
    """An object cannot be used as it was said, or not without saying more."""


@dataclass
class _Shape:
    """Where everything is: what was learned from one forward and one backward pass."""

    parameters: dict[str, Array] = field(default_factory=dict)  # by path, with their values
    names: list[str] = field(default_factory=list)  # of the parameters, for messages
    gradients: dict[str, str] = field(default_factory=dict)  # path of parameter to path
    returned: dict[str, Any] = field(default_factory=dict)  # path of parameter to key or number
    inputs: list[Any] = field(default_factory=list)  # of each input: number, key, or path
    positions: tuple[int, ...] = ()  # of the inputs that have a gradient
    stepped: bool = False  # the gradients are read off a step
    is_lazy: bool = False  # parameters are made by the first forward pass
    notes: list[str] = field(default_factory=list)


class _Use:
    """How an object is used: made, filled with parameters, called, and pulled back through."""

    def __init__(
        self,
        make: Any,
        forward: Any,
        backward: Any,
        params: Any,
        options: dict[str, Any],
        rate: float | None,
    ) -> None:
        self.make, self.params, self.options, self.rate = make, params, options, rate
        self.named_forward, self.named_backward = forward, backward
        said = {
            "forward": forward, "backward": backward, "params": params, "options": options,
            "rate": rate,
        }  # fmt: skip
        self.said = {name: x for name, x in said.items() if x is not None and x != {}}
        self.is_maker = _is_maker(make)
        self.in_place = isinstance(make, types.ModuleType)  # there is one, which cannot be copied
        self.is_one = False  # make() hands out the same object each time
        self.takes_upstream = True
        self.went_forward = False  # the first time

    # -- objects ----------------------------------------------------------------------------------

    def fresh(self) -> Any:
        """Make an object."""
        if self.is_maker:
            one = self.make()
            if one is None:
                raise NotALayerError("adapters.layer(make): make() returned None")
            return self._copied(one) if self.is_one else one
        return self.make if self.in_place else self._copied(self.make)

    def _copied(self, one: Any) -> Any:
        try:
            return copy.deepcopy(one)
        except Exception:  # noqa: BLE001 - it holds a lock, a generator, a file: used as it is
            self.in_place = True
            return one

    def filled(self, shape: _Shape, values: Sequence[Any], inputs: Sequence[Any]) -> Any:
        """Make an object that holds some parameters, and no gradients yet."""
        one = self.fresh()
        if shape.is_lazy:
            self.forward(one, inputs)
            self.reset(one)
        places = places_by_array(one)
        for path, x in zip(shape.parameters, values, strict=True):
            # a step in place needs an array of its own
            value = np.array(x) if shape.stepped else x
            place = place_of(one, path)
            array = place.get()
            for each in places.get(id(array), []) or [place]:
                each.put(value if isinstance(array, np.ndarray) else value[()])
            slot = place_of(one, shape.gradients[path]) if path in shape.gradients else None
            buffer = slot.get() if slot else None
            if isinstance(buffer, np.ndarray) and buffer.shape == np.shape(value):
                for each in places.get(id(buffer), []):
                    each.put(np.zeros(np.shape(value), getattr(value, "dtype", float)))
        if shape.stepped and self.rate is None:
            for place in self.rates(one):
                place.put(RATE)
        return one

    def reset(self, one: Any) -> None:
        """Let an object forget the gradients that it has added up."""
        for method in RESETS:
            if callable(getattr(one, method, None)):
                getattr(one, method)()
                return

    @staticmethod
    def rates(one: Any) -> list[Any]:
        """Find the learning rates in an object."""
        places = [(place, value) for _, place, value in walk(one) if not place.is_item]
        return [p for p, v in places if str(p.key).lstrip("_") in RATES and isinstance(v, float)]

    # -- its two passes ---------------------------------------------------------------------------

    def method(self, one: Any, said: Any, common: Sequence[str]) -> Callable[..., Any] | None:
        """Find a method by what the user said, or by a common name; None where there is none."""
        if callable(said):
            return functools.partial(said, one)
        if isinstance(said, str):
            if not callable(getattr(one, said, None)):
                raise NotALayerError(f"{_label(one)} has no method {said}")
            return getattr(one, said)
        return next((getattr(one, n) for n in common if callable(getattr(one, n, None))), None)

    def forward(self, one: Any, inputs: Sequence[Any]) -> Any:
        """Run the forward pass, and give what it computed: returned, or left on the object."""
        method = self.method(one, self.named_forward, FORWARD)
        if method is None:
            raise NotALayerError(
                f"{type(one).__name__} has no forward pass: say forward='its name'"
            )
        result = method(*inputs, **self.options)
        if result is not None:
            return result
        left = (getattr(one, n, None) for n in RESULTS)
        return next((y for y in left if is_floats(y) or hasattr(y, "requires_grad")), None)

    def names_of_inputs(self, one: Any, number: int) -> list[str]:
        """Name the inputs as the forward pass does."""
        method = self.method(one, self.named_forward, FORWARD)
        skip = 1 if callable(self.named_forward) else 0
        names = _positional(getattr(method, "func", method))[skip:]
        return [names[i] if i < len(names) else f"input {i}" for i in range(number)]

    def names_of(self, one: Any, args: Arguments) -> list[str]:
        """Name what is differentiated by: by the names in the forward pass, and paths in them."""
        names = self.names_of_inputs(one, len(args.inputs))
        holders = args.containers or (None,) * len(names)
        every = [
            f"{n}{path}"
            for n, x in zip(names, holders, strict=True)
            for path, _ in leaves(x, open_modules=False)
        ]
        return [every[i] for i in args.positions]

    def value(self, inputs: Sequence[Any]) -> Any:
        """Compute the value alone."""
        return self.output(self.forward(self.fresh(), inputs))

    def output(self, result: Any) -> Any:
        """Give the result without what comes with it: a cache, or the gradients."""
        return result[0] if self.brings_more(result) else result

    def brings_more(self, result: Any) -> bool:
        """Whether a forward pass returned a cache, or gradients, behind its result."""
        if not isinstance(result, tuple) or len(result) != 2:
            return False
        if isinstance(result[1], dict):
            return True
        return self.takes_cache or self.gives_gradients

    takes_cache = False
    gives_gradients = False

    def backward(self, one: Any, g: Any, inputs: Sequence[Any], result: Any) -> Any:
        """Run the backward pass, with the arguments that it has by their names."""
        if self.gives_gradients:
            self.takes_upstream = False
            return _scaled(result[1], g)
        if callable(self.named_backward):
            return self.named_backward(one, g, *inputs)
        method = self.method(one, self.named_backward, BACKWARD)
        assert method is not None
        args, keywords, self.takes_upstream = self.arguments(one, method, g, inputs, result)
        returned = method(*args, **keywords)
        return returned if self.takes_upstream else _scaled(returned, g)

    def arguments(
        self, one: Any, method: Any, g: Any, inputs: Sequence[Any], result: Any
    ) -> tuple[list[Any], dict[str, Any], bool]:
        """Choose what the backward pass is called with."""
        required, optional = _parameters(method)
        names = dict(zip(self.names_of_inputs(one, len(inputs)), inputs, strict=True))
        is_number = np.ndim(self.output(result)) == 0
        by_inputs = [n for n in required if n in names]
        if len(required) == 1 and not is_number and method.__name__ not in DERIVATIVES:
            by_inputs = []
        args: list[Any] = []
        takes_upstream = False
        for parameter in required:
            if parameter in by_inputs:
                args.append(names[parameter])
            elif parameter in RATES:
                args.append(RATE if self.rate is None else self.rate)
            elif not takes_upstream:
                args.append(g)
                takes_upstream = True
            else:
                args.append(result[1] if isinstance(result, tuple) else result)
        keywords: dict[str, Any] = {}
        for n, default in optional.items() if not takes_upstream else ():
            plain = default is None or (default in (1, 1.0) and not isinstance(default, bool))
            if n not in names and n not in RATES and (plain or n.lower() in UPSTREAMS):
                keywords[n], takes_upstream = g, True
                break
        return args, keywords, takes_upstream

    # -- what there is ----------------------------------------------------------------------------

    def look(self, args: Arguments) -> _Shape:
        """Run both passes once, and learn where parameters and gradients are."""
        inputs = [rebuild(x, own, open_modules=False) for x in args.inputs]
        self.is_one = self.is_maker and self.make() is self.make()
        one = self.fresh()
        state = _State(one) if self.in_place else None
        try:
            return self._look(one, inputs, args)
        finally:
            if state is not None:
                state.restore()

    def _look(self, one: Any, inputs: list[Any], args: Arguments) -> _Shape:
        before = {p: v for p, _, v in walk(one) if is_floats(v)}
        plainest = arrays_in(one)
        result = self._first_result(one, inputs)
        values = {p: np.array(v) for p, v in before.items()}
        ups = [np.ones(np.shape(y), np.asarray(y).dtype) for y in outputs_of(self.output(result))]
        g = joined(self.output(result), ups)
        self.went_forward = True
        still = {p: np.array(v) for p, _, v in walk(one) if p in values and is_floats(v)}
        returned = self.backward(one, g, inputs, result)
        shape = _Shape()
        candidates = [
            p for p, v in before.items() if p in plainest or not isinstance(v, np.ndarray)
        ]
        if self.params is None:
            candidates = [p for p in candidates if not is_gradient(p, before)]
        else:
            candidates = self._named(one, list(self.params))
        self._pair(shape, one, candidates)
        if self.params is None and not shape.gradients:
            lazy = self._made_by_forward(one, before, inputs)
            self._pair(shape, one, lazy)
            shape.is_lazy = bool(shape.gradients)
            values |= {p: np.array(place_of(one, p).get()) for p in shape.gradients}
            candidates = candidates or lazy
        self._match_returned(shape, returned, args, candidates, values, one)
        after = {p: place_of(one, p).get() for p in candidates if p in still}
        moved = [
            p for p, x in after.items()
            if p not in shape.gradients and p not in shape.returned and not _same(still[p], x)
        ]  # fmt: skip
        self._add_steps(shape, moved, one)
        chosen = [p for p in candidates if self._is_parameter(p, shape, moved)]
        shape.parameters = {p: np.asarray(values[p]) for p in chosen}
        shape.names = [plain_name(p, chosen) for p in chosen]
        self._compare_two(shape)
        rest = {p: np.array(v) for p, v in before.items() if p in candidates and p not in chosen}
        if self.params is None:
            self._look_at_others(shape, rest, inputs, self.output(result))
        return shape

    def _look_at_others(
        self, shape: _Shape, others: Mapping[str, Array], inputs: Sequence[Any], output: Any
    ) -> None:
        """Find arrays that the output moves with, and no gradient comes back for."""
        before, left = [np.array(y) for y in outputs_of(output)], []
        for path, x in others.items():
            one = _Shape({**shape.parameters, path: x})
            values = [*shape.parameters.values(), x + 2.0**-9 * np.maximum(np.abs(x), 1)]
            try:
                moved = self.output(self.forward(self.filled(one, values, inputs), inputs))
            except Exception:  # noqa: BLE001 - so it is no number to move
                continue
            if not all(map(_same, before, outputs_of(moved))):
                left.append(path)
        missing = [p for p in left if is_weight(p)]
        if missing:
            raise Misbehaved(Kind.COUNT, missing=missing, of_layer=True)
        if left:
            shape.notes.append(f"not differentiated by: {', '.join(left)} (no gradient for it)")

    def _first_result(self, one: Any, inputs: Sequence[Any]) -> Any:
        """Run the first forward pass, and see what comes with the result."""
        result = self.forward(one, inputs)
        if result is None:
            raise Misbehaved(Kind.RETURNS_NOTHING)
        method = self.method(one, self.named_backward, BACKWARD)
        if method is None:
            if isinstance(result, tuple) and len(result) == 2 and np.ndim(result[0]) == 0:
                self.gives_gradients = True
                return result
            raise NotALayerError(
                f"{type(one).__name__} has no backward pass: say backward='its name', or "
                "backward=lambda layer, g, *inputs: ..."
            )
        if not callable(self.named_backward):
            required, _ = _parameters(method)
            names = self.names_of_inputs(one, len(inputs))
            others = [n for n in required if n not in names and n not in RATES]
            self.takes_cache = len(others) > 1
        return result

    def _named(self, one: Any, paths: Sequence[str]) -> list[str]:
        """Check that parameters which the user named are there, or may come to be."""
        absent = [p for p in paths if not is_floats(place_of(one, p).get())]
        if absent:
            what = ", ".join(f"{p} is {describe(place_of(one, p).get())}" for p in absent)
            raise NotALayerError(f"params: {what}, not an array of floats, after a forward pass")
        return list(paths)

    def _pair(self, shape: _Shape, one: Any, candidates: Sequence[str]) -> None:
        if isinstance(self.params, Mapping):
            shape.gradients |= dict(self.params)
        else:
            shape.gradients |= pairs(one, candidates)

    def _made_by_forward(
        self, one: Any, before: Mapping[str, Any], inputs: Sequence[Any]
    ) -> list[str]:
        """List the arrays that the first forward pass made, and the next one leaves in place."""
        first = arrays_in(one)
        self.forward(one, inputs)
        second = arrays_in(one)
        return [
            p for p, x in first.items()
            if p not in before and second.get(p) is x and not is_gradient(p, first)
            and not any(isinstance(y, np.ndarray) and np.shares_memory(x, y) for y in inputs)
        ]  # fmt: skip

    def _match_returned(
        self,
        shape: _Shape,
        returned: Any,
        args: Arguments,
        candidates: Sequence[str],
        values: Mapping[str, Any],
        one: Any,
    ) -> None:
        """Say which input or parameter each of the returned gradients belongs to."""
        names = dict(zip(args.positions, self.names_of(one, args), strict=True))
        positions = list(args.positions)
        waiting = [p for p in candidates if p not in shape.gradients]
        if isinstance(self.params, Mapping):  # a key, then, of what is returned
            waiting = list(self.params) if isinstance(returned, dict) else []
        slots: list[Any] = [None] * len(positions)
        if isinstance(returned, dict):
            slots = [_step_to(names[i], returned) for i in positions]
            self._by_key(shape, returned, waiting, ())
        elif isinstance(returned, (tuple, list)):
            items = list(returned)
            if _are_gradients_by(items, [values[p] for p in waiting]) and not _are_gradients_by(
                items[: len(positions)], [args.values[i] for i in positions]
            ):
                shape.returned |= {p: (k,) for k, p in enumerate(waiting)}
            else:
                slots = [(k,) if k < len(items) else None for k in range(len(positions))]
                rest = items[len(positions) :]
                if rest and isinstance(rest[0], dict):
                    self._by_key(shape, rest[0], waiting, (len(positions),))
                else:
                    start = len(positions)
                    pairs_ = zip(range(start, len(items)), waiting, strict=False)
                    shape.returned |= {p: (k,) for k, p in pairs_}
        elif returned is not None:
            slots = [() if k == 0 else None for k in range(len(positions))]
        after = {p: v for p, _, v in walk(one) if "." not in p and "[" not in p}
        for k, i in enumerate(positions):
            if slots[k] is None:
                left = [p for p, v in after.items() if is_floats(v) and variable_of(p, [names[i]])]
                slots[k] = left[0] if left else None
        self._choose_inputs(shape, slots, positions, names, bool(candidates))

    def _by_key(
        self, shape: _Shape, gradients: dict[Any, Any], waiting: Sequence[str], where: Any
    ) -> None:
        for path in waiting:
            step = _step_to(path, gradients)
            if step is not None:
                shape.returned[path] = (*where, *step)
                shape.gradients.pop(path, None)

    @staticmethod
    def _choose_inputs(
        shape: _Shape,
        slots: Sequence[Any],
        positions: Sequence[int],
        names: Mapping[int, str],
        has_arrays: bool,
    ) -> None:
        """Differentiate by the inputs that a gradient comes back for, or by all if by none."""
        if not has_arrays and not any(slot is not None for slot in slots):
            raise Misbehaved(Kind.RETURNS_NOTHING, by_gradient=True)
        pairs_ = [(s, i) for s, i in zip(slots, positions, strict=True) if s is not None]
        shape.inputs, shape.positions = [s for s, _ in pairs_], tuple(i for _, i in pairs_)
        left = [names[i] for i in positions if i not in shape.positions]
        if left:
            shape.notes.append(f"not differentiated by: {', '.join(left)} (no gradient comes back)")

    def _add_steps(self, shape: _Shape, moved: Sequence[str], one: Any) -> None:
        """Read the gradients of parameters off a step, where the backward pass makes one."""
        if not moved:
            return
        method = self.method(one, self.named_backward, BACKWARD)
        takes_rate = not callable(self.named_backward) and any(
            n in RATES for n in _parameters(method)[0]
        )
        if self.rate is None and not takes_rate and not self.rates(one):
            raise NotALayerError(
                f"the backward pass moves {', '.join(moved)}, and its rate is not known: say "
                "rate=, or params={} to leave the parameters out"
            )
        shape.stepped = True

    def _is_parameter(self, path: str, shape: _Shape, moved: Sequence[str]) -> bool:
        in_use = path in shape.gradients or path in shape.returned or path in moved
        if self.params is not None and not in_use:
            raise Misbehaved(Kind.COUNT, missing=[path])
        return in_use

    def _compare_two(self, shape: _Shape) -> None:
        """Refuse an object that is made of other numbers each time, but for its parameters."""
        if not self.is_maker:
            return
        first, second = (arrays_in(self.fresh()) for _ in range(2))
        differ = [p for p, x in first.items() if p in second and not _same(x, second[p])]
        unseeded = [p for p in differ if p not in shape.parameters]
        if unseeded:
            raise Misbehaved(Kind.GLOBAL_STATE, unseeded=unseeded)
        if differ:
            shape.notes.append(
                "make() draws other parameters each time, so each run checks at another point: "
                "seed it, np.random.default_rng(0) say"
            )


class _State:
    """What an object holds, or a module, that cannot be copied: to be put back."""

    def __init__(self, holder: Any) -> None:
        self.holder, self.names = holder, set(vars(holder))
        self.places = [(p, v) for _, p, v in walk(holder)]
        arrays = (v for _, v in self.places if isinstance(v, np.ndarray))
        self.arrays = [(v, v.copy()) for v in arrays]

    def restore(self) -> None:
        """Put it back."""
        for name in set(vars(self.holder)) - self.names:
            delattr(self.holder, name)
        for place, value in self.places:
            if place.get() is not value:
                place.put(value)
        for array, values in self.arrays:
            if array.flags.writeable:
                array[...] = values


class _Layer(Adapted):
    """An object at some inputs and parameters."""

    is_for_a_step = True

    def __init__(self, fn: Any, args: Arguments, name: str, use: _Use) -> None:
        self.use, self.shape, self.error = use, _Shape(), None
        self.number = len(args.inputs)
        try:
            with as_the_user_has_it():
                self.shape = use.look(args)
        except NotALayerError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again where errors of a call are judged
            self.error = error
        else:
            chosen = dataclasses.replace(args, positions=self.shape.positions)
            args = chosen.followed_by(list(self.shape.parameters.values()))
        super().__init__(fn, args, name)
        self.notes = list(self.shape.notes)
        if not use.takes_upstream:
            self.upstream = 1.0  # so that messages show the numbers that its author knows
        if self.error is None:
            one = use.fresh()
            self.names = [*use.names_of(one, chosen), *self.shape.names]
            method = use.method(one, use.named_backward, BACKWARD)
            self.gradient_of = getattr(method, "func", getattr(method, "__func__", method)) or fn

    def evaluated(self, inputs: Sequence[Array]) -> Evaluation:
        """Compute the outputs."""
        if self.error is not None:
            raise self.error
        args = self.args.filled(inputs)
        return Evaluation(self._outputs(self._call(args)[1]))

    def _outputs(self, result: Any) -> list[Array]:
        return [np.asarray(y) for y in outputs_of(self.use.output(result))]

    def _call(self, args: Sequence[Any]) -> tuple[Any, Any]:
        """Make an object, and run its forward pass."""
        own, values = args[: self.number], args[self.number :]
        if not self.use.in_place:
            one = self.use.filled(self.shape, values, own)
            return one, self.use.forward(one, own)
        state = _State(self.use.make)
        try:
            one = self.use.filled(self.shape, values, own)
            return one, self.use.forward(one, own)
        finally:
            state.restore()

    def recorded(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs; the first pass back goes through the object, later ones a copy."""
        if self.error is not None:
            return self._failing(self.error, inputs)
        args = self.args.filled(inputs)
        if self.use.in_place:
            return Recorded(self._outputs(self._call(args)[1]), lambda ups: self._redone(args, ups))
        calls = [self._call(args)]
        outputs = self._outputs(calls[0][1])
        later = _copied_but(calls[0], args)

        def pull(upstreams: Sequence[Array]) -> list[Any]:
            one, result = calls.pop() if calls else _copied_but(later, args)
            return self._pulled(one, result, args, upstreams)

        return Recorded(outputs, pull)

    def used_again(
        self, before: Sequence[Array], inputs: Sequence[Array], upstreams: Sequence[Array]
    ) -> Reuse | None:
        """Go both ways twice with one object: what it keeps of the first time shows."""
        if self.use.in_place or self.shape.stepped:
            return None  # the second time it would be at other parameters
        with as_the_user_has_it():
            earlier, args = self.args.filled(before), self.args.filled(inputs)
            one = self.use.filled(self.shape, args[self.number :], earlier[: self.number])
            passes = []
            for each in (earlier, args):
                result = self.use.forward(one, each[: self.number])
                # a pass back may write into its upstream, which is a fault of another kind
                gradients = self._pulled(one, result, each, [u.copy() for u in upstreams])
                passes.append((self._outputs(result), copy.deepcopy(gradients)))
                self.use.reset(one)
        return Reuse(passes[1][0], passes[0][1], passes[1][1])

    def _failing(self, error: Exception, inputs: Sequence[Array]) -> Recorded:
        """Raise again what the first passes raised, in the pass where it belongs."""
        if not self.use.went_forward:
            raise error

        def pull(_upstreams: Sequence[Array]) -> list[Any]:
            raise error

        result = self.use.forward(self.use.fresh(), self.args.filled(inputs))
        return Recorded(self._outputs(result), pull)

    def _redone(self, args: Sequence[Any], upstreams: Sequence[Array]) -> list[Any]:
        """Run both passes one after the other, on the one object that there is."""
        state = _State(self.use.make)
        own, values = args[: self.number], args[self.number :]
        try:
            one = self.use.filled(self.shape, values, own)
            gradients = self._pulled(one, self.use.forward(one, own), args, upstreams)
            return [np.array(g) if isinstance(g, np.ndarray) else g for g in gradients]
        finally:
            state.restore()

    def _pulled(
        self, one: Any, result: Any, args: Sequence[Any], upstreams: Sequence[Array]
    ) -> list[Any]:
        shape, own, values = self.shape, args[: self.number], args[self.number :]
        g = joined(self.use.output(result), upstreams)
        returned = self.use.backward(one, g, own, result)
        # what was returned without an upstream is scaled by it already, what lies elsewhere is not
        scale = g if not self.use.takes_upstream and np.ndim(g) == 0 else 1.0
        slots = list(shape.inputs)
        slots += [shape.returned.get(p, shape.gradients.get(p)) for p in shape.parameters]
        gradients = [_slot(one, returned, slot, scale) for slot in slots]
        rate = RATE if self.use.rate is None else self.use.rate
        for k, (path, x) in enumerate(zip(shape.parameters, values, strict=True)):
            if slots[len(shape.inputs) + k] is None:
                step = x - np.asarray(place_of(one, path).get())
                gradients[len(shape.inputs) + k] = scale * step / rate
        return gradients

    @property
    def written(self) -> tuple[str, tuple[Any, ...]]:
        """Give what a program says for it."""
        template, functions = "tgt.adapters.layer({}", [self.use.make]
        for name, value in self.use.said.items():
            plain = repr(value).replace("{", "{{").replace("}", "}}")
            template += f", {name}={{}}" if callable(value) else f", {name}={plain}"
            functions += [value] if callable(value) else []
        return template + ")", tuple(functions)

    def backward_pass(self, inputs: Sequence[Array], upstreams: Sequence[Array]) -> BackwardPass:
        """Give both passes, to be read line by line."""
        args = self.args.filled(inputs)
        own = args[: self.number]
        use, paths = self.use, dict[int, str]()
        if not use.takes_upstream:  # what it computes is for an upstream of 1
            upstreams = [np.ones_like(u) for u in upstreams]
        objects: list[Any] = []  # so that no other one gets the identity of one that is watched
        once = None if use.in_place else self._call(args)
        fresh = None if use.in_place else use.filled(self.shape, args[self.number :], own)

        def watched(one: Any) -> Any:
            objects.append(one)
            paths.update({id(v): p for p, _, v in walk(one)} | {id(one): ""})
            return one

        def run() -> list[Any]:
            # everything is its own, because the audit writes into it
            ups, copied = copy.deepcopy((list(upstreams), args))
            if once is None:
                watched(use.make)
                return self._redone(copied, ups)
            if use.gives_gradients:  # the forward pass is the backward pass
                one = watched(_copied_but(fresh, ()))
                result = use.forward(one, copied[: self.number])
            else:
                one, result = _copied_but(once, ())
            return self._pulled(watched(one), result, copied, ups)

        def forward(moved: Sequence[Any]) -> Any:
            those = self.args.filled(moved)
            if once is None:
                watched(use.make)
                return use.output(self._call(those)[1])
            one = watched(use.filled(self.shape, those[self.number :], those[: self.number]))
            return use.output(use.forward(one, those[: self.number]))

        def path(holder: Any) -> str | None:
            return paths.get(id(holder))

        return BackwardPass(forward, run, inputs, self.names, upstreams, path)


def _copied_but(value: Any, shared: Sequence[Any]) -> Any:
    """Copy what a forward pass left, but for its own inputs, which nobody may write into."""
    try:
        return copy.deepcopy(value, {id(x): x for x in shared})
    except Exception:  # noqa: BLE001 - what cannot be copied is used again
        return value


def _slot(one: Any, returned: Any, slot: Any, scale: Any = 1.0) -> Any:
    """Give a gradient: of what was returned by number or key, or from a place in the object."""
    if slot is None:
        return None
    if isinstance(slot, str):
        value = place_of(one, slot).get()
        if value is not None and np.ndim(scale) == 0 and scale != 1:
            value = np.asarray(scale * value, np.asarray(value).dtype)
    else:
        value = returned
        for key in slot:
            try:
                value = value[key]
            except (LookupError, TypeError):
                return None
    return np.asarray(value) if isinstance(value, float) else value


def _positional(method: Any) -> list[str]:
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds]


def _parameters(method: Any) -> tuple[list[str], dict[str, Any]]:
    """Name the arguments a method needs, and those that it need not have, with their defaults."""
    try:
        parameters = list(inspect.signature(method).parameters.values())
    except (TypeError, ValueError):
        return ["g"], {}
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own = [p for p in parameters if p.kind in kinds]
    required = [p.name for p in own if p.default is p.empty]
    return required, {p.name: p.default for p in own if p.default is not p.empty}


def _scaled(gradients: Any, g: Any) -> Any:
    """Multiply gradients that were computed without an upstream by it, elementwise."""
    if isinstance(gradients, dict):
        return {key: _scaled(value, g) for key, value in gradients.items()}
    if isinstance(gradients, (tuple, list)):
        return type(gradients)(_scaled(value, g) for value in gradients)
    return gradients if gradients is None else np.asarray(gradients) * g


def _step_to(name: str, gradients: Mapping[Any, Any]) -> tuple[Any] | None:
    key = key_of(name, gradients)
    return None if key is None else (key,)


def _are_gradients_by(gradients: Sequence[Any], values: Sequence[Any]) -> bool:
    """Whether there is one gradient for each value, of its shape."""
    pairs_ = zip(gradients, values, strict=False)
    return len(gradients) == len(values) and all(np.shape(g) == np.shape(v) for g, v in pairs_)


def _same(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and bool(np.array_equal(a, b, equal_nan=True))
