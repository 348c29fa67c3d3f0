"""The checkers that are measured, and how a call of ours is carried to each of them.

It becomes a custom function of that library, made of the same NumPy forward and backward
computation.

Not for: which calls (``points.py``), or what is made of the answers (``planted.py``).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from tinygrad_lab.testing.check import gradcheck
from tinygrad_lab.testing.inputs.calls import Call
from tinygrad_lab.testing.judging.arrays import bind
from tinygrad_lab.testing.judging.subject import Subject, subject_of

__all__ = ["TOOLS", "HungError", "Ours", "Tool", "is_installed", "version"]

Array = Any
PATIENCE = 60.0  # seconds for one check, which takes a tenth of one


class HungError(Exception):
    """A tool did not come back: callbacks into Python may deadlock in others' thread pools."""


class Tool(Protocol):
    """A checker: ``alarm(call, rng)`` tells whether it objects to the gradient of a call."""

    name: str
    package: str
    setting: str

    def alarm(self, call: Call, rng: int) -> str:
        """Say what it objects to, or nothing."""
        ...


def _subject(call: Call) -> tuple[Subject, list[Array]]:
    args = bind(call.arrays, None)
    return subject_of(call.f, args), [np.array(x) for x in args.arrays]


class Ours:
    """``gradcheck`` of this package, as ``check_op`` calls it."""

    name, package = "ours", "tinygrad-lab"
    setting = "gradcheck and check_op, default profile, order=2, strict=True"

    def alarm(self, call: Call, rng: int) -> str:
        """Report the kind of the first finding."""
        report = gradcheck(
            call.f, *call.arrays, order=2, strict=True, rng=rng, raises=False, name="f"
        )
        return report.findings[0].kind if report.findings else ""


class Torch:
    """``torch.autograd.gradcheck``, of a ``torch.autograd.Function``."""

    package = "torch"

    def __init__(self, fast: bool) -> None:
        self.fast = fast
        self.name = f"torch {'fast' if fast else 'slow'}"
        self.setting = f"torch.autograd.gradcheck, fast_mode={fast}, otherwise its defaults"

    def alarm(self, call: Call, rng: int) -> str:
        """Run it, and report the type of what it raises."""
        import torch

        subject, arrays = _subject(call)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(rng)
            # gradcheck refuses the strides that NumPy gives to empty arrays
            new = [torch.empty(x.shape, dtype=torch.float64) for x in arrays]
            for t, x in zip(new, arrays, strict=True):
                t.copy_(torch.from_numpy(x))
            inputs = [t.requires_grad_() for t in new]
            function = _torch_function(subject)
            return _raised(lambda: torch.autograd.gradcheck(function, inputs, fast_mode=self.fast))


def _torch_function(subject: Subject) -> Callable[..., Any]:
    import torch

    def tensor(x: Any) -> Any:
        """Share memory where that is possible; PyTorch knows no negative strides."""
        x = np.asarray(x)
        shareable = x.flags.writeable and all(step >= 0 for step in x.strides)
        return torch.from_numpy(x if shareable else x.copy())

    class Carried(torch.autograd.Function):  # type: ignore[misc, unused-ignore]
        @staticmethod
        def forward(ctx: Any, *xs: Any) -> Any:
            recorded = subject.record([x.detach().numpy() for x in xs])
            ctx.pull = recorded.pull
            ys = tuple(tensor(np.array(y)) for y in recorded.outputs)
            return ys[0] if len(ys) == 1 else ys

        @staticmethod
        def backward(ctx: Any, *gs: Any) -> Any:
            gradients = ctx.pull([g.detach().numpy() for g in gs])
            return tuple(None if g is None else tensor(g) for g in gradients)

    return lambda *xs: Carried.apply(*xs)  # type: ignore[no-untyped-call, unused-ignore]


class Autograd:
    """``autograd.test_util.check_grads``, of a ``primitive`` with ``defvjp``."""

    name, package = "autograd", "autograd"
    setting = 'autograd.test_util.check_grads, of all inputs, modes=["rev"], order=1'

    def alarm(self, call: Call, rng: int) -> str:
        """Run it, and report the type of what it raises."""
        from autograd.extend import defvjp_argnums, primitive
        from autograd.test_util import check_grads

        subject, arrays = _subject(call)
        latest: dict[str, Any] = {}

        @primitive  # type: ignore[untyped-decorator, unused-ignore]
        def carried(*xs: Any) -> Any:
            recorded = subject.record([np.asarray(x) for x in xs])
            latest["pull"] = recorded.pull
            return recorded.outputs[0]

        def maker(argnums: Any, *_call: Any) -> Any:
            pull = latest["pull"]

            def vjp(g: Any) -> Any:
                gradients = pull([g])
                return tuple(np.asarray(gradients[i]) for i in argnums)

            return vjp

        defvjp_argnums(carried, maker)
        argnum = tuple(range(len(arrays)))  # by default it looks at the first input alone
        state = np.random.get_state()  # noqa: NPY002 - it draws its directions from there
        np.random.seed(rng)  # noqa: NPY002
        try:
            return _raised(lambda: check_grads(carried, argnum, modes=["rev"], order=1)(*arrays))
        finally:
            np.random.set_state(state)  # noqa: NPY002


class Jax:
    """``jax.test_util.check_grads``, of a ``custom_vjp`` around ``pure_callback``."""

    name, package = "jax", "jax"
    setting = 'jax.test_util.check_grads, modes=["rev"], order=1, 64-bit'

    def __init__(self) -> None:
        self.hung = False  # and then for good: what it waits for is held by a thread of its own

    def alarm(self, call: Call, rng: int) -> str:  # noqa: ARG002 - its directions are fixed
        """Run it, and report the type of what it raises."""
        jax: Any = importlib.import_module("jax")
        check_grads: Any = importlib.import_module("jax.test_util").check_grads
        subject, arrays = _subject(call)
        log, wide = logging.getLogger("jax"), jax.config.jax_enable_x64
        before = log.level
        log.setLevel(logging.CRITICAL)  # it tells of what a callback raised, at length
        jax.config.update("jax_enable_x64", True)
        try:
            carried = _jax_function(subject, arrays)
            check = lambda: check_grads(carried, tuple(arrays), order=1, modes=["rev"])
            return self._within(PATIENCE, lambda: _raised(check))
        finally:
            jax.config.update("jax_enable_x64", wide)
            log.setLevel(before)

    def _within(self, seconds: float, call: Callable[[], str]) -> str:
        """Call in a thread, which is left behind if it does not come back."""
        answers: list[str] = []
        if not self.hung:
            thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
            thread.start()
            thread.join(seconds)
            self.hung = not answers
        if self.hung:
            raise HungError(self.name)
        return answers[0]


def _jax_function(subject: Subject, arrays: list[Array]) -> Callable[..., Any]:
    jax: Any = importlib.import_module("jax")
    like: Any = lambda xs: tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in xs)
    outputs = like([np.asarray(y) for y in subject.evaluate(arrays).outputs])
    plain: Any = lambda xs: [np.array(x) for x in xs]

    def compute(*xs: Any) -> Any:
        return tuple(subject.evaluate(plain(xs)).outputs)

    def pull(g: Any, *xs: Any) -> Any:
        return tuple(subject.record(plain(xs)).pull(plain(g)))

    carried: Any = jax.custom_vjp(lambda *xs: jax.pure_callback(compute, outputs, *xs))

    def backward(xs: Any, g: Any) -> Any:
        return jax.pure_callback(pull, like(xs), g, *xs)

    carried.defvjp(lambda *xs: (carried(*xs), xs), backward)
    return carried


def _raised(check: Callable[[], Any]) -> str:
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check()
    except Exception as error:  # noqa: BLE001 - that it raises is what it has to say
        return type(error).__name__
    return ""


TOOLS: tuple[Tool, ...] = (Ours(), Torch(fast=False), Torch(fast=True), Autograd(), Jax())


def is_installed(tool: Tool) -> bool:
    """Whether it can be asked."""
    return isinstance(tool, Ours) or importlib.util.find_spec(tool.package) is not None


def version(tool: Tool) -> str:
    """Name its version, or say that it is not installed."""
    try:
        return importlib.metadata.version(tool.package)
    except importlib.metadata.PackageNotFoundError:
        return "this tree" if isinstance(tool, Ours) else "not installed"
