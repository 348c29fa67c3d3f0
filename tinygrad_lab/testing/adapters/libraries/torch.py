"""Functions of PyTorch tensors, modules with their parameters, ``torch.autograd.Function``s.

Not for: looking into the graph of a call (``torch_graph.py``), or keeping a module as it was
(``torch_modules.py``).
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.ownership import without_repeats
from tinygrad_lab.testing.adapters.adapted import called
from tinygrad_lab.testing.adapters.libraries import torch_graph
from tinygrad_lab.testing.adapters.libraries.library import LibrarySubject, Pullback, line_of
from tinygrad_lab.testing.adapters.libraries.torch_modules import FunctionOfParameters, is_module
from tinygrad_lab.testing.judging.arrays import Arguments, Array, first_difference
from tinygrad_lab.testing.judging.judgement import DerivedOnce, Kind, Misbehaved
from tinygrad_lab.testing.judging.subject import (
    Adapter,
    Evaluation,
    Inside,
    Kept,
    Recorded,
    Rule,
    Subject,
)


def torch(fn: Callable[..., Any], name: str | None = None, *, device: str | None = None) -> Adapter:
    """Adapt a function of PyTorch tensors, a module, or a ``torch.autograd.Function``.

    Of a module, the gradients by its parameters are looked at as well, under their names
    (``0.weight``).  It is called with parameters and buffers of its own in float64, in the mode
    that it is in, and left as it was.  A function that only computes in float32, because weights
    of its own are float32, is run in float32: what can be seen is coarser then.

    Parameters
    ----------
    fn : callable, Module or subclass of torch.autograd.Function
        It may return several tensors, in tuples, lists, dicts and dataclasses.  Integers and masks
        beside floats are not differentiated.
    name : str, optional
        What to call it in messages.
    device : str, optional
        Where to compute, "cuda" say: inputs and parameters are moved there, results back.  By
        default where the inputs, or the parameters, are.  What a GPU computes is compared with
        itself up to rounding, since it may add up in another order at each call.

    Raises
    ------
    ValueError
        There is no such device.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> import torch                                                         # doctest: +SKIP
    >>> tgt.gradcheck(tgt.adapters.torch(torch.tanh), np.ones(3)).verdict    # doctest: +SKIP
    'pass'
    >>> layer = torch.nn.Linear(3, 2)                                        # doctest: +SKIP
    >>> tgt.gradcheck(tgt.adapters.torch(layer), np.ones((4, 3))).verdict    # doctest: +SKIP
    'pass'
    """
    if torch_graph.is_function_class(fn):
        fn = fn.apply  # type: ignore[attr-defined]
    if device is not None:
        _refuse_missing(device)
    label = name or called(fn)
    if is_module(fn):
        return Adapter(lambda args: _of_module(fn, args, label, device), label, has_parameters=True)
    return Adapter(lambda args: _Torch(fn, args, label, device), label)


def _of_module(module: Any, args: Arguments, name: str, device: str | None) -> _Torch:
    """Make a subject of the inputs of a module, and of its parameters behind them."""
    fn = FunctionOfParameters(module, args.inputs, device)
    subject = _Torch(fn, args.followed_by(list(fn.parameters.values())), name, fn.device)
    subject.names = [*args.names(fn.module.forward), *fn.parameters]
    return subject


def _refuse_missing(device: str) -> None:
    import torch as library

    try:
        library.empty(1, device=device)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r}: PyTorch cannot use it on this machine "
            f"({str(error).splitlines()[0]}); leave device= out to check on the CPU, or skip the "
            "check where torch.cuda.is_available() is False"
        ) from error


SMALL = 10_000  # numbers that threads are slower with than without


class Precision(enum.IntEnum):
    """In what a function computes."""

    GIVEN = 0  # what its inputs are of
    WIDENED = 1  # the same, its own float32 weights being converted
    NARROW = 2  # float32


class _Torch(LibrarySubject):
    """A function of PyTorch tensors at some arguments."""

    modules = ("torch",)
    told_results = True

    def __init__(
        self, fn: Callable[..., Any], args: Arguments, name: str, device: str | None = None
    ) -> None:
        super().__init__(fn, args, name)
        self.device = device or args.device
        self.adds_in_any_order = self.device not in (None, "cpu")
        self.cut_off: list[int] = []  # results that are constant without a word
        self.precision = Precision.GIVEN
        self.is_small = sum(x.size for x in args.arrays) <= SMALL
        self.constant: frozenset[int] = frozenset()  # results that it declared to be
        owner = torch_graph.function_of(fn)
        if owner is not None:
            self.names = args.names(torch_graph.forward_of(owner))

    @property
    def written(self) -> tuple[str, tuple[Any, ...]]:
        template, functions = super().written
        if self.device is not None:
            template = f"tgt.adapters.torch({{}}, device={self.device!r})"
        owner = torch_graph.function_of(self.fn)
        return (template, functions) if owner is None else (template, (owner,))

    def to_library(self, x: Array) -> Any:
        """Copy an array with its strides, except negative ones, which PyTorch does not have."""
        if x.dtype == np.longdouble:
            raise TypeError("PyTorch has no long double")
        once = x[without_repeats(x.strides)]
        tensor = self.library.from_numpy(np.array(once))
        if all(step > 0 for step in once.strides):
            strides = [step // x.itemsize for step in once.strides]
            empty = self.library.empty_strided(once.shape, strides, dtype=tensor.dtype)
            tensor = empty.copy_(tensor)
        tensor = tensor if tensor.shape == x.shape else tensor.expand(x.shape)
        is_wide = self.precision is Precision.NARROW and tensor.dtype == self.library.float64
        if is_wide or self.device is not None:
            dtype = self.library.float32 if is_wide else tensor.dtype
            tensor = torch_graph.moved(tensor, self.device, dtype)
        return tensor

    def cotangent(self, u: Array, y: Array) -> Any:
        """Make an upstream that lies in memory as it did."""
        dtype = self.library.from_numpy(np.empty(0, y.dtype)).dtype
        tensor = self.to_library(u)
        return tensor if tensor.dtype == dtype else torch_graph.moved(tensor, self.device, dtype)

    def to_numpy(self, y: Any) -> Array:
        return np.array(self.plain(y))

    def plain(self, y: Any) -> Any:
        return torch_graph.numbers(y) if isinstance(y, self.library.Tensor) else y

    @contextlib.contextmanager
    def context(self) -> Iterator[None]:
        """Differentiate, whatever is set outside: functions may do so inside themselves."""
        with self.library.inference_mode(False), self.library.enable_grad(), self._computing():
            yield

    @contextlib.contextmanager
    def pulling(self) -> Iterator[None]:
        with self.library.inference_mode(False), self.library.no_grad(), self._computing():
            yield

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """Widen where that is needed; let threads not wait for each other over a few numbers."""
        threads = self.library.get_num_threads()
        wide = self.precision is Precision.WIDENED
        try:
            if self.is_small:
                self.library.set_num_threads(1)
            with torch_graph.widening() if wide else contextlib.nullcontext():
                yield
        finally:
            self.library.set_num_threads(threads)

    def evaluated(self, inputs: Sequence[Array]) -> Evaluation:
        return self._in_some_precision(lambda: super(_Torch, self).evaluated(inputs))

    def recorded(self, inputs: Sequence[Array]) -> Recorded:
        recorded = self._in_some_precision(lambda: super(_Torch, self).recorded(inputs))
        if self.precision is not Precision.NARROW:
            return recorded
        pull = recorded.pull

        def widened(upstreams: Sequence[Any]) -> list[Any]:
            pairs = zip(pull(upstreams), inputs, strict=True)
            return [np.asarray(g, x.dtype) for g, x in pairs]

        return Recorded(recorded.outputs, widened)

    def _in_some_precision(self, compute: Callable[[], Any]) -> Any:
        """Compute in float64; where the function has float32 weights, by widening those.

        What cannot be widened is computed in float32.
        """
        while True:
            try:
                return compute()
            except RuntimeError as error:
                if self.precision is Precision.NARROW or not torch_graph.is_about_dtypes(error):
                    raise
                self.precision = Precision(self.precision + 1)

    def _leaves_of(self, xs: Sequence[Any]) -> None:
        for x in xs:
            if not x.requires_grad:
                x.requires_grad_()

    def values(self, xs: Sequence[Any]) -> list[Any]:
        self._leaves_of(xs)
        return self.call(xs)

    def call(self, xs: Sequence[Any]) -> list[Any]:
        ys = super().call(xs)
        if any(y.device.type != "cpu" for y in ys if isinstance(y, self.library.Tensor)):
            self.adds_in_any_order = True  # it went there by itself
        return [y for i, y in enumerate(ys) if i not in self.constant]

    def vjp(self, xs: Sequence[Any]) -> tuple[list[Any], Pullback]:
        with self.library.enable_grad():
            self._leaves_of(xs)
            ys = self._call_watched(xs)
        live = [i for i, y in enumerate(ys) if getattr(y, "requires_grad", False)]
        if not live:
            tensors = all(isinstance(y, self.library.Tensor) for y in ys)
            ways = "detach(), .data or no_grad()" if tensors else "float(), item() or numpy()"
            raise Misbehaved(Kind.UNTRACKED, ways=ways)
        if torch_graph.is_derived_once(ys):
            raise DerivedOnce
        if len(live) < len(ys):
            self._leave_out_constants(ys, xs)
            if self.constant:
                return self.vjp(xs)
        self.cut_off = [i for i in range(len(ys)) if i not in live]

        def pullback(upstreams: Sequence[Any]) -> list[Any]:
            used = [i for i in live if upstreams[i] is not None]
            if not used:
                return [self.library.zeros_like(x) for x in xs]
            cotangents = [self._beside(upstreams[i], ys[i]) for i in used]
            before = [self.to_numpy(u) for u in cotangents]
            twice = self.library.is_grad_enabled()  # while the gradient is differentiated itself
            gradients = self._pulled([ys[i] for i in used], xs, cotangents, twice)
            if first_difference(before, [self.to_numpy(u) for u in cotangents]) is not None:
                raise Misbehaved(Kind.MUTATES_UPSTREAM)
            zeros = self.library.zeros_like
            pairs = zip(gradients, xs, strict=True)
            return [zeros(x) if g is None else g for g, x in pairs]

        return ys, pullback

    @staticmethod
    def _beside(upstream: Any, y: Any) -> Any:
        """Bring an upstream to where its result is."""
        if upstream.device == y.device:
            return upstream
        if upstream.requires_grad:  # it needs its history more than its place in memory
            return upstream.to(y.device)
        return torch_graph.moved(upstream, y.device, upstream.dtype)

    def derivative(self, args: Arguments) -> Subject:
        """Make a subject of the gradient, computed where the function is."""
        subject = super().derivative(args)
        vars(subject).update(device=self.device, adds_in_any_order=self.adds_in_any_order)
        return subject

    def _pulled(
        self, ys: Sequence[Any], xs: Sequence[Any], ups: Sequence[Any], twice: bool
    ) -> Sequence[Any]:
        autograd = self.library.autograd
        options = {"retain_graph": True, "create_graph": twice}
        try:
            gradients: Sequence[Any] = autograd.grad(ys, xs, ups, allow_unused=True, **options)
        except RuntimeError as error:
            if torch_graph.is_about_second_derivatives(error):
                raise DerivedOnce(str(error)) from error
            if "use_reentrant=True" not in str(error):  # checkpoint() knows backward() only
                raise
            if twice:
                raise DerivedOnce(str(error)) from error
            with torch_graph.gradients_of_leaves(ys):
                autograd.backward(ys, ups, retain_graph=True)
                return [x.grad for x in xs]
        return gradients

    def _leave_out_constants(self, ys: Sequence[Any], xs: Sequence[Any]) -> None:
        """Remember which results were declared constant (``ctx.mark_non_differentiable``)."""
        if self.constant:
            return
        with self.library.enable_grad(), torch_graph.declared_constant() as declared:
            again = self.call(xs)
        marked = (i for i, y in enumerate(again) if any(y is x for x in declared))
        self.constant = frozenset(marked) if len(again) == len(ys) else frozenset()

    def _call_watched(self, xs: Sequence[Any]) -> list[Any]:
        """Call the function, and refuse one that writes into what it is given."""
        before = [self.to_numpy(x) for x in xs]
        try:
            ys = self.call(xs)
        except RuntimeError as error:
            text = str(error)
            if "in-place" in text or "inplace" in text:  # PyTorch does not say which input
                with self.library.no_grad():
                    xs = [x.detach().clone() for x in xs]
                    self.call(xs)
                self._refuse_changed(before, xs, error)
            raise
        self._refuse_changed(before, xs)
        return ys

    def _refuse_changed(
        self, before: Sequence[Array], after: Sequence[Any], cause: Exception | None = None
    ) -> None:
        i = first_difference(before, [self.to_numpy(x) for x in after])
        if i is not None:
            raise Misbehaved(Kind.MUTATES_INPUT, self.site(i)) from cause

    # -- looking into the call ---------------------------------------------------------------------

    def unguarded(self, inputs: Sequence[Array], upstreams: Sequence[Array]) -> list[Kept]:
        """Find tensors that are inputs or results, and kept on ``ctx`` nonetheless."""
        result = []
        _, right = self._recorded_graph(inputs)
        expected = right(upstreams)
        number = len(torch_graph.kept_on_ctx(self._recorded_graph(inputs)[0]))
        for k in range(number):
            ys, pull = self._recorded_graph(inputs)
            owner, name, tensor, is_result = torch_graph.kept_on_ctx(ys)[k]
            with self.library.no_grad():
                tensor.add_(1.0)  # as whoever uses it next may do
            try:
                wrong = first_difference(expected, pull(upstreams)) is not None
            except RuntimeError:  # it is saved for backward as well
                wrong = False
            whose = "result" if is_result else "input"
            site = line_of(owner.forward)
            result.append(Kept(owner.__name__, name, whose, site, wrong))
        return result

    def _recorded_graph(
        self, inputs: Sequence[Array]
    ) -> tuple[list[Any], Callable[[Sequence[Array]], list[Array]]]:
        """Give the results with their graph, and what pulls back through it."""
        with self.context():
            ys, pullback = self.vjp([self.to_library(x) for x in inputs])

        def pull(upstreams: Sequence[Array]) -> list[Array]:
            with self.pulling():
                return [self.to_numpy(g) for g in pullback([self.to_library(u) for u in upstreams])]

        return ys, pull

    def hints(self, kind: Kind) -> list[str]:
        lines = [
            f"result {i} has no history (detach(), .data, made of numbers): it counts as constant"
            for i in self.cut_off
            if kind in (Kind.WRONG, Kind.SECOND_ORDER)
        ]
        return lines + (self.fn.hints(kind) if isinstance(self.fn, FunctionOfParameters) else [])

    def rule(self) -> Rule | None:
        owner = torch_graph.function_of(self.fn)
        return None if owner is None else torch_graph.rule_of(owner)

    def called(self, inputs: Sequence[Array]) -> list[Inside]:
        """Give the calls of ``torch.autograd.Function``s inside, each as a subject by itself."""
        if torch_graph.function_of(self.fn) is not None:
            return []
        ys, _ = self._recorded_graph(inputs)
        classes = torch_graph.function_classes(ys)
        with torch_graph.watched(classes) as calls:
            self._recorded_graph(inputs)
        return [self._alone(*call) for call in calls]

    def _alone(self, cls: Any, values: Sequence[Any]) -> Inside:
        differentiated = [i for i, x in enumerate(values) if getattr(x, "requires_grad", False)]
        plain = [torch_graph.numbers(x) if i in differentiated else x for i, x in enumerate(values)]
        args = Arguments(tuple(plain), tuple(differentiated))
        subject = _Torch(cls.apply, args, cls.__name__, self.device)
        subject.precision = self.precision
        return Inside(subject, args.arrays, torch_graph.rule_of(cls))
