"""What things in a picture are called: as the user called them, and as they were written.

Not for: what is drawn (``plan.py``), or numbers (``style.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.scopes import Scope, trace_of
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.viz.outline import Call
from tinygrad_lab.viz.plan import operands

__all__ = ["Naming", "attributes_of", "called", "layer_title", "title_of"]

#: Options of convolutions and poolings, as short as they are spoken of, and what goes unsaid.
_SHORT = {
    "kernel_size": ("k", None), "stride": ("s", 1), "padding": ("p", 0), "dilation": ("d", 1),
    "groups": ("g", 1), "output_padding": ("op", 0),
}  # fmt: skip

_UNSAID = ("inplace", "training", "rng", "bias", "ceil_mode", "return_indices")


class Naming:
    """What nodes and arrays are called, and where the layers of a model are."""

    def __init__(self, loss: Tensor, model: Any, names: Mapping[str, Any] | None) -> None:
        self.names: dict[Hashable, str] = {}  # by the order of a node, or the trace of an array
        self.parameters: dict[int, str] = {}
        self.tensors: dict[int, Tensor] = {}  # those
        self.has_model = model is not None
        if loss.node is not None:
            self.names[loss.node.order] = "loss"
        for name, parameter in _named_parameters(model):
            if parameter.node is not None:
                self.parameters[parameter.node.order] = name
                self.tensors[parameter.node.order] = parameter
                self.names[parameter.node.order] = name
        for name, value in (names or {}).items():
            self.names[trace_of(value)] = str(name)
        modules = model.named_modules() if hasattr(model, "named_modules") else ()
        self.modules: dict[str, Any] = dict(modules)
        self.paths = {id(module): path for path, module in self.modules.items()}

    def is_fed_in(self, node: Node) -> bool:
        """Tell whether a leaf is data: with a model given, whatever is none of its parameters."""
        return node.op is None and self.has_model and node.order not in self.parameters

    def owner(self, node: Node) -> str | None:
        """Return the path of the module that owns a parameter."""
        path, _, _ = self.parameters.get(node.order, "").rpartition(".")
        return path if path and path in self.modules else None


def _named_parameters(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters of whatever has ``named_parameters()``."""
    if model is None:
        return
    if not hasattr(model, "named_parameters"):
        raise TypeError(
            f"model must have named_parameters(), {type(model).__name__} has not; "
            "to name single tensors pass names={'w': w}"
        )
    yield from model.named_parameters()


def title_of(node: Node) -> str:
    """Return the name of an operation."""
    return str(getattr(node.op, "__name__", None) or type(node.op).__name__)


# ---- layers and functions -----------------------------------------------------------------------


def layer_title(path: str | None, module: Any) -> str:
    """Name a layer by where it is and what it is: ``fc1: Linear(2→3)``."""
    kind = _kind(module)
    return f"{path}: {kind}" if path else kind


def _kind(module: Any) -> str:
    """Return the class of a layer and, in brief, its sizes and options."""
    words = []
    for ends in (("in_features", "out_features"), ("in_channels", "out_channels")):
        sizes = [getattr(module, end, None) for end in ends]
        if all(isinstance(size, int) for size in sizes):
            words.append(f"{sizes[0]}→{sizes[1]}")
    options = {name: getattr(module, name, None) for name in _SHORT}
    words += _briefly(options, of_pool="Pool" in type(module).__name__)
    if not words and type(getattr(module, "p", None)) is float:
        words.append(f"p={module.p:g}")
    return f"{type(module).__name__}({', '.join(words)})" if words else type(module).__name__


def _briefly(options: Mapping[str, Any], of_pool: bool = False) -> list[str]:
    """Write options of windows: ``k3``, ``s2``, ``p1``; equal sides once, defaults not at all."""
    words = []
    size = _side(options.get("kernel_size"))
    for name, (letter, usual) in _SHORT.items():
        value = _side(options.get(name))
        as_usual = value in (None, (), usual) or (of_pool and name == "stride" and value == size)
        if as_usual:
            continue
        words.append(f"{letter}{_plain_text(value)}")
    return words


def _side(value: Any) -> Any:
    if isinstance(value, (tuple, list)) and value and all(v == value[0] for v in value):
        return value[0]
    return value


def called(call: Call) -> str:
    """Return the name of what a call called."""
    if call.is_layer:
        return _kind(call.called)
    return str(getattr(call.called, "__name__", type(call.called).__name__))


def arguments_of(call: Call, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Write the options of a call that differ from the defaults, in the user's words.

    ``shapes`` are those of its operands, by name: a kernel has its size from there.
    """
    scope = call.scope
    if scope is None or call.is_layer:
        return ""
    options = dict(scope.options)
    if "conv" in called(call) and len(shapes.get("weight", ())) > 2:
        options["kernel_size"] = shapes["weight"][2:]
    windows = {name: options.pop(name) for name in _SHORT if name in options}
    words = _briefly(windows, of_pool="pool" in called(call))
    defaults = _defaults(call.called)
    for name, value in options.items():
        if name in _UNSAID or value is None or _equal(value, defaults.get(name)):
            continue
        words.append(f"{name}={_plain_text(value)}")
    return ", ".join(words)


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except Exception:  # noqa: BLE001 - of arrays, say: not equal
        return False


def _defaults(function: Any) -> dict[str, Any]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters}


def operand_name(scope: Scope | None, trace: Hashable) -> str:
    """Name an array by the argument that it was passed as."""
    if scope is None:
        return ""
    names = (name for name, own in scope.operands.items() if own == trace)
    return next((name for name in names if isinstance(name, str)), "")


# ---- primitives ---------------------------------------------------------------------------------


def parameter_names(op: Any) -> dict[int, str]:
    """Return the names of positional parameters, of a Python function only: a ufunc has none."""
    code = getattr(getattr(op, "__wrapped__", op), "__code__", None)
    if code is None:
        return {}
    names = code.co_varnames[: code.co_argcount]
    return {i: name for i, name in enumerate(names) if len(name) > 2}  # "a" says nothing


def attributes_of(node: Node) -> str:
    """Write the arguments that are not arrays: ``axis=0``, ``3`` for a power, ``2, ·`` for 2 / x.

    Dots stand for arrays, where it matters which argument is one.
    """
    drawn = {position for position, _, _ in operands(node)}
    args = list(node.args or ())
    names = parameter_names(node.op)
    words = []
    for position, arg in enumerate(args):
        if position in drawn:
            words.append("·")
        elif arg is not None and len(args) > 2 and position in names:
            words.append(f"{names[position]}={_plain_text(arg)}")
        else:
            words.append("" if arg is None else _plain_text(arg))
    named = all("=" in word for word in words if word not in ("·", ""))
    if named or (words[0] == "·" and words.count("·") == 1):
        words = [word for word in words if word != "·"]
    for key, value in (node.kwargs or {}).items():
        if value is not None and value is not False:
            words.append(f"{key}={_plain_text(value)}")
    return ", ".join(word for word in words if word)


def _plain_text(value: Any) -> str:
    """Write an argument that is not drawn as a box, briefly."""
    if callable(value):  # np.float32, say, which has a shape too
        return str(getattr(value, "__name__", type(value).__name__))
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        value = value.item()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, slice):
        ends = ["" if end is None else str(end) for end in (value.start, value.stop, value.step)]
        return ":".join(ends[:2] if value.step is None else ends)
    if value is Ellipsis:
        return "…"
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(_plain_text(item) for item in value) + ")"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"array{tuple(value.shape)}"
    return str(value)
