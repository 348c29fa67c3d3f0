"""``tinygrad-lab check``: whether gradients are right.

Not for the checker (``tinygrad_lab.testing``).
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import typer

from tinygrad_lab import nn
from tinygrad_lab.lab.commands.frame import CommandError, Json, echo_json
from tinygrad_lab.lab.networks import Network, read_network
from tinygrad_lab.lab.training import load_data, loss_of

WRONG = 1

# So many examples show what there is to see of a network, in seconds.
_EXAMPLES = 16


def command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT", help="A saved network, or a function in a file: backprop.py:step."
        ),
    ],
    grad: Annotated[
        str | None, typer.Option(help="The function of the file that returns its gradients.")
    ] = None,
    backward: Annotated[
        str | None, typer.Option(help="The function of the file that takes what flows back to it.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="What it is called with: W, b; or np.ones((3, 2)), 0.5.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="The most time that it takes.", min=0.1)] = 60.0,
    json: Json = False,
) -> None:
    r"""Compare gradients with slopes that are measured; exit with status 1 if they are wrong.

    \b
    tinygrad-lab check xor.safetensors
    tinygrad-lab check backprop.py:step
    tinygrad-lab check backprop.py:loss --grad gradients --at "W1, b1"

    Of a saved network the gradients of its loss by every weight and input, on examples of its data.
    Of a file a function in NumPy: one that returns the loss and its gradients (in a tuple or a
    dict), or the loss with --grad, or a forward pass with --backward; or a function of Tensors. It
    is called with what --at says in Python, or else with the variables of the file that are called
    as its parameters are. The file is run, as by import: check none that you would not run.

    A wrong gradient is reported with its place, the ratio to the right one, and the first wrong
    line. Status 1 is also that of a check that could not be decided.
    """
    if ":" in what and not Path(what).exists():
        report = _of_file(what, grad, backward, at, seconds, json)
    else:
        for option, value in (("grad", grad), ("backward", backward), ("at", at)):
            if value is not None:
                raise CommandError(f"--{option} is for a function in a file: backprop.py:step")
        report = replace(_of_network(read_network(what), seconds), name=f"loss of {what}")
    if json:
        echo_json(_document(what, report))
    else:
        typer.echo(_text(report))
    if not report.passed:
        raise typer.Exit(WRONG)


class _Loss(nn.Module):
    """The loss of a network as a function of its inputs and weights."""

    def __init__(self, network: Network, y: Any) -> None:
        self.model = network.model()
        self.settings, self.y = network.settings, y

    def forward(self, x: Any) -> Any:
        """The loss, from inputs of shape (n, inputs)."""
        return loss_of(self.settings, self.model, x, self.y)


def _of_network(network: Network, seconds: float) -> Any:
    from tinygrad_lab import testing
    from tinygrad_lab.testing.adapters.modules import of_module

    data = load_data(network.settings, network.seed)
    loss = _Loss(network, data.y[:_EXAMPLES])
    x, names = data.x[:_EXAMPLES], ["x", *dict(loss.model.named_parameters())]
    return testing.gradcheck(of_module(loss), x, names=names, budget=seconds, raises=False)


def _of_file(
    what: str, grad: str | None, backward: str | None, at: str | None, seconds: float, json: bool
) -> Any:
    from tinygrad_lab import testing

    path, _, name = what.rpartition(":")
    with redirect_stdout(sys.stderr) if json else nullcontext():
        module = _imported(Path(path))
        function = _function(module, name, path)
        inputs = _inputs(module, function, at, path)
        adapt = testing.adapters.numpy
        with _errors_of(path):
            if grad is not None:
                function = adapt(function, grad=_function(module, grad, path))
            elif backward is not None:
                cached = isinstance(function(*inputs), tuple)
                function = adapt(function, _function(module, backward, path), cache=cached)
            elif isinstance(function(*inputs), tuple):
                function = adapt(loss_and_grads=function)
            return testing.gradcheck(function, *inputs, budget=seconds, raises=False)


def _imported(path: Path) -> ModuleType:
    """Run a file as a module, with its own folder to import from."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise CommandError(f"{path} is no Python file; name one, and a function: backprop.py:step")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules.setdefault(spec.name, module)  # a file called json.py takes nobody's place
    with _errors_of(str(path)):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _errors_of(path: str) -> Iterator[None]:
    """Say in one line what went wrong in somebody's file, and where."""
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a file may raise anything
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).name == Path(path).name
        ]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
        place = f"{path}, line {line}" if line else path
        raise CommandError(f"{place}: {type(error).__name__}: {error}") from None


def _function(module: ModuleType, name: str, path: str) -> Any:
    function = getattr(module, name, None)
    if not callable(function):
        own = [
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        ]
        raise CommandError(
            f"{path} has no function {name!r}; there are: {', '.join(own) or 'none'}"
        )
    return function


def _inputs(module: ModuleType, function: Any, at: str | None, path: str) -> tuple[Any, ...]:
    """Return what a function is called with."""
    if at is not None:
        with _errors_of("--at"):
            value = eval(at, vars(module) | {"np": np})
        return value if isinstance(value, tuple) else (value,)
    names = list(inspect.signature(function).parameters)
    missing = [name for name in names if not hasattr(module, name)]
    if missing or not names:
        raise CommandError(
            f"{path} has no variable {', '.join(missing) or 'for it'}: say --at and what the "
            f"function is called with, in Python"
        )
    return tuple(getattr(module, name) for name in names)


def _text(report: Any) -> str:
    """Return a report without the properties that were decided, and without a program to run."""
    from tinygrad_lab.testing import PROPERTIES

    findings = [replace(finding, reproducer="") for finding in report.findings]
    lines = str(replace(report, findings=findings)).splitlines()
    return "\n".join(
        line for line in lines if "inconclusive" in line or line.split()[0] not in PROPERTIES
    )


def _document(what: str, report: Any) -> dict[str, Any]:
    return {
        "checked": what,
        "verdict": report.verdict,
        "resolutions": report.resolutions,
        "findings": [
            {"text": finding.text, "lines": finding.lines, "site": finding.site}
            for finding in report.findings
        ],
        "notes": report.notes,
    }
