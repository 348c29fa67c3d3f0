"""What things in a picture are called: as the user called them, and as they were written.

Not for: what is drawn (``plan.py``), or numbers (``style.py``).
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cache
from itertools import takewhile
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.scopes import Scope, trace_of
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.viz.outline import Call, Repeat
from tinygrad_lab.viz.plan import operands

__all__ = [
    "Naming", "argument_name", "arguments_of", "attributes_of", "called", "class_of", "contents_of",
    "frame_title", "layer_title", "operand_name", "options_of", "parameter_names", "title_of",
    "variables", "within", "written",
]  # fmt: skip

#: Options of convolutions and poolings, as short as they are spoken of, and what goes unsaid.
_SHORT = {
    "kernel_size": ("k", None), "stride": ("s", 1), "padding": ("p", 0), "dilation": ("d", 1),
    "groups": ("g", 1), "output_padding": ("op", 0),
}  # fmt: skip

_UNSAID = (
    "inplace",
    "training",
    "rng",
    "bias",
    "ceil_mode",
    "return_indices",
    "normalized_shape",
    "num_features",
)


class Naming:
    """What nodes and arrays are called, and where the layers of a model are.

    ``names`` are those that the user asks for, ``nearby`` the variables where the picture is asked
    for, which name what has no other name.
    """

    def __init__(
        self,
        loss: Tensor,
        model: Any,
        names: Mapping[str, Any] | None,
        nearby: Mapping[str, Any] | None = None,
    ) -> None:
        self.names: dict[Hashable, str] = {}  # by the order of a node, or the trace of an array
        self.parameters: dict[int, str] = {}
        self.tensors: dict[int, Tensor] = {}  # those
        self.has_model = model is not None
        for name, value in (names or {}).items():
            self.names[trace_of(value)] = str(name)
        for name, parameter in _named_parameters(model):
            if parameter.node is not None:
                self.parameters[parameter.node.order] = name
                self.tensors[parameter.node.order] = parameter
                self.names.setdefault(parameter.node.order, name)
        layers = [] if self.has_model else [v for v in (nearby or {}).items() if _is_model(v[1])]
        for name, value in (nearby or {}).items():
            if not _is_model(value):
                self.names.setdefault(trace_of(value), name)
        for name, layer in layers:
            for path, parameter in layer.named_parameters():
                if isinstance(parameter, Tensor) and parameter.node is not None:
                    self.names.setdefault(parameter.node.order, f"{name}.{path}")
        if loss.node is not None:
            self.names.setdefault(loss.node.order, "loss")
        plain = {
            name: value.data if isinstance(value, Tensor) else value
            for name, value in {**(nearby or {}), **(names or {})}.items()
        }
        #: What others may be views of, the smallest first.
        self.arrays = sorted(
            ((name, array) for name, array in plain.items() if isinstance(array, np.ndarray)),
            key=lambda each: each[1].size,
        )
        modules = model.named_modules() if hasattr(model, "named_modules") else ()
        self.modules: dict[str, Any] = dict(modules)
        self.paths = {id(module): path for path, module in self.modules.items()}
        for name, layer in layers:
            for path, module in layer.named_modules():
                self.paths.setdefault(id(module), f"{name}.{path}" if path else name)

    def name_of_view(self, array: Any) -> str:
        """Name a part of an array that has a name: ``x[…]``."""
        if array.base is None:
            return ""
        names = (
            name
            for name, whole in self.arrays
            if array.size < whole.size and np.may_share_memory(array, whole)
        )
        return next((f"{name}[…]" for name in names), "")

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


def _is_model(value: Any) -> bool:
    """Tell whether a variable is a model, by its class: an instance may answer to any name."""
    return hasattr(type(value), "named_parameters") and hasattr(type(value), "named_modules")


def variables(frame: FrameType | None) -> dict[str, Any]:
    """Give the tensors, arrays and models among the variables of a running function, by name."""
    own = frame.f_locals if frame is not None else {}
    return {
        name: value
        for name, value in own.items()
        if name.isidentifier() and name[0] != "_"
        if isinstance(value, (Tensor, np.ndarray)) or _is_model(value)
    }


def title_of(node: Node) -> str:
    """Return the name of an operation."""
    if (transform := getattr(node.op, "transform", None)) is not None:
        return f"{transform}({node.args[0].called})"
    return str(getattr(node.op, "__name__", None) or type(node.op).__name__)


# ---- layers and functions -----------------------------------------------------------------------


def layer_title(path: str | None, module: Any) -> str:
    """Name a layer by where it is and what it is: ``fc1: Linear(2→3)``."""
    name, options = class_of(module), options_of(module)
    kind = f"{name}({options})" if options else name
    return f"{path}: {kind}" if path else kind


def class_of(module: Any) -> str:
    """Return the name of the class of a layer, which itself is given where it is no more."""
    return (module if isinstance(module, type) else type(module)).__name__


def frame_title(parts: Sequence[Call | Repeat], outer: str | None) -> str:
    """Name a frame that stands for layers, or what repeats, around one another.

    ``layers.0 … layers.11: TransformerEncoderLayer``, by paths within that of the layer around.
    """
    titles = []
    for before, part in zip([None, *parts], parts, strict=False):
        if isinstance(part, Repeat):
            titles += [_paths_in(part, outer)] if part is parts[-1] else []
            continue
        path = within(part.path or "", outer)
        last = before.last[0] if isinstance(before, Repeat) else part
        if isinstance(last, Call) and last.path and last.path != part.path:
            path += f" … {within(last.path, outer)}"
        titles.append(layer_title(path, part.called))
        outer = part.path or outer
    return " › ".join(filter(None, titles))


def _paths_in(repeat: Repeat, outer: str | None) -> str:
    first, last = (
        [part.path for part in parts if isinstance(part, Call) and part.path]
        for parts in (repeat.parts, repeat.last)
    )
    return f"{within(first[0], outer)} … {within(last[-1], outer)}" if first != last else ""


def within(path: str, outer: str | None) -> str:
    """Shorten a path by that of the layer around it."""
    return path.removeprefix(f"{outer}.") if outer else path


_ENDS = (
    ("in_features", "out_features"), ("in_channels", "out_channels"),
    ("input_size", "hidden_size"), ("num_embeddings", "embedding_dim"),
)  # fmt: skip
_SIZES = ("num_features", "normalized_shape", "embed_dim", "d_model")
_COUNTS = {"num_heads": "heads", "num_groups": "groups"}


def options_of(module: Any) -> str:
    """Return the sizes and options of a layer, in brief."""
    if isinstance(module, type):
        return ""
    words = []
    for ends in _ENDS:
        sizes = [getattr(module, end, None) for end in ends]
        if all(isinstance(size, int) for size in sizes):
            words.append(f"{sizes[0]}→{sizes[1]}")
    for name in _SIZES:
        size = getattr(module, name, None)
        if isinstance(size, (int, tuple)):
            words.append(_unwrapped(_plain_text(size)))
    for name, noun in _COUNTS.items():
        if isinstance(getattr(module, name, None), int):
            words.append(f"{getattr(module, name)} {noun}")
    options = {name: getattr(module, name, None) for name in _SHORT}
    words += _briefly(options, of_pool="Pool" in type(module).__name__)
    if not words and type(getattr(module, "p", None)) is float:
        words.append(f"p={module.p:g}")
    return ", ".join(words)


def _unwrapped(text: str) -> str:
    """Leave out the brackets of a tuple that is everything there is."""
    is_whole = text.startswith("(") and text.endswith(")") and text.count("(") == 1
    return text[1:-1] if is_whole else text


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
    if call.called is None:
        return f"{len(call.nodes)} operations"
    if call.is_layer:
        return class_of(call.called)
    name = str(getattr(call.called, "__name__", type(call.called).__name__))
    transform = getattr(call.called, "transform", None)
    return name if transform is None else f"{transform}({name})"


def contents_of(nodes: Sequence[Node]) -> str:
    """Say which operations there are most of: ``10 × multiply, 4 × cos, …``."""
    counts = Counter(map(title_of, nodes)).most_common(3)
    words = [f"{count} × {title}" for title, count in counts]
    return ", ".join([*words[:2], *["…"] * (len(words) > 2)])


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


@cache
def _defaults(function: Any) -> dict[str, Any]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters}


def argument_name(scope: Scope, key: Any) -> str:
    """Name an argument by its place or its word."""
    if isinstance(key, int):
        of_layer = _arguments_of(scope.called)
        return of_layer[key] if key < len(of_layer) else ""
    return str(key)


def operand_name(scope: Scope | None, trace: Hashable) -> str:
    """Name an array by the argument that it was passed as."""
    operands = scope.operands.items() if scope is not None else ()
    keys = (key for key, own in operands if own == trace)
    return next((argument_name(scope, key) for key in keys if scope is not None), "")


@cache
def _arguments_of(layer: Any) -> tuple[str, ...]:
    """Return the names of the arguments of a layer's ``forward``."""
    try:
        parameters = [*inspect.signature(layer.forward).parameters.values()][1:]
    except (AttributeError, TypeError, ValueError):
        return ()
    return tuple(p.name for p in takewhile(lambda p: p.kind != p.VAR_POSITIONAL, parameters))


# ---- primitives ---------------------------------------------------------------------------------


def parameter_names(op: Any) -> dict[int, str]:
    """Return the names of positional parameters, of a Python function only: a ufunc has none."""
    code = getattr(getattr(op, "__wrapped__", op), "__code__", None)
    if code is None:
        return {}
    names = code.co_varnames[: code.co_argcount]
    # "a" and "axis1" say nothing.
    return {i: name for i, name in enumerate(names) if len(name) > 2 and name[-1].isalpha()}


def attributes_of(node: Node) -> str:
    """Write the arguments that are not arrays: ``axis=0``, ``3`` for a power, ``2, ·`` for 2 / x.

    Dots stand for arrays, where it matters which argument is one.
    """
    if getattr(node.op, "transform", None) is not None:
        return ""
    drawn = {position for position, _, _ in operands(node)}
    args = list(node.args or ())
    names, defaults = parameter_names(node.op), _defaults(node.op)
    words = []
    for position, arg in enumerate(args):
        if position in drawn:
            words.append("·")
        elif arg is not None and len(args) > 2 and position in names:
            words.append(f"{names[position]}={_plain_text(arg)}")
        else:
            words.append("" if arg is None else _plain_text(arg))
    if len(words) == 2 and words[0] == "·":
        words[1] = _unwrapped(words[1])
    named = all("=" in word for word in words if word not in ("·", ""))
    if named or (words[0] == "·" and words.count("·") == 1):
        words = [word for word in words if word != "·"]
    for key, value in (node.kwargs or {}).items():
        if value is not None and value is not False and not _equal(value, defaults.get(key)):
            words.append(f"{key}={_plain_text(value)}")
    return ", ".join(word for word in words if word)


#: How Python writes operations.
_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "true_divide": "/",
    "power": "**", "float_power": "**", "floor_divide": "//", "remainder": "%", "matmul": "@",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==",
    "not_equal": "!=",
}  # fmt: skip


def written(nodes: Sequence[Node], subject: str = "") -> str:
    """Write an operation as it is written in Python: ``sum(axis=0)``, ``x[:, 0]``, ``2 / x``.

    ``nodes`` are those of all copies.  What differs between them is written for the first and the
    last: ``x[:, 0 … 19]``.  ``subject`` is what the operand is called, if it is the only one.
    """
    node, title = nodes[0], title_of(nodes[0])
    if title == "getitem":
        return f"{subject}[{_varied(*(_index_of(n) for n in _ends(nodes)))}]"
    if title in _SIGNS and not node.kwargs:
        numbers = [_numbers_of(n) for n in _ends(nodes)]
        if len(numbers[0]) == 2 and numbers[0].count(None) == 1:
            number = _varied(*([next(v for v in each if v is not None)] for each in numbers))
            if numbers[0][1] is None:
                return f"{number} {_SIGNS[title]} {subject or '·'}"
            return f"{subject} {_SIGNS[title]} {number}".strip()
    if title == "reshape":  # its sizes tell it
        return title
    attributes = _varied(*(attributes_of(n).split(", ") for n in _ends(nodes)))
    return f"{title}({attributes})" if attributes else title


def _ends(nodes: Sequence[Node]) -> list[Node]:
    return [nodes[0], nodes[-1]] if len(nodes) > 1 else [nodes[0]]


def _varied(first: Sequence[str], last: Sequence[str] | None = None) -> str:
    """Join words, each as it is the first and the last time."""
    if last is None or len(first) != len(last):
        return ", ".join(first)
    return ", ".join(a if a == b else f"{a} … {b}" for a, b in zip(first, last, strict=True))


def _index_of(node: Node) -> list[str]:
    index = node.args[1] if len(node.args) > 1 else ()
    parts = index if isinstance(index, tuple) else (index,)
    return ["·" if getattr(part, "shape", ()) else _plain_text(part) for part in parts]


def _numbers_of(node: Node) -> list[str | None]:
    """Write the arguments that are numbers; None stands for the others."""
    drawn = {position for position, _, _ in operands(node)}
    return [None if i in drawn else _plain_text(a) for i, a in enumerate(node.args or ())]


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
