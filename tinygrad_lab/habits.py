"""What people who know PyTorch write, and NumPy's words for it: one table, asked on every miss.

``t.view(6)`` fails with the word to write; so do ``tl.zeros``, ``nn.CrossEntropyLoss``,
``F.one_hot``, ``optim.lr_scheduler`` and ``t.mean(dim=1)``.  The documentation's page about
PyTorch's words is made of the same table.

Not for: names that mean the same, which are simply there; nor aliases, of which there are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import NoReturn

from tinygrad_lab.core.errors import KEYWORDS

__all__ = ["PACKAGE", "TABLES", "Absent", "markdown", "missing", "teach"]

_NOTHING = "t as it is: arrays are in the memory of this machine"
_RNG = "tl.tensor(rng.{}), with rng = np.random.default_rng(seed)"

#: Methods and attributes of tensors.  Each remedy begins with code, and may say more after a colon
#: or give another way after ", or ".
TENSOR = {
    # shapes and axes
    "view": "t.reshape(shape)",
    "view_as": "t.reshape(u.shape)",
    "reshape_as": "t.reshape(u.shape)",
    "unflatten": "t.reshape(shape)",
    "unsqueeze": "np.expand_dims(t, axis), or t[:, None]",
    "permute": "t.transpose(axes)",
    "movedim": "np.moveaxis(t, 0, 1)",
    "t": "t.T",
    "mH": "t.conj().mT",
    "expand": "np.broadcast_to(t, shape)",
    "expand_as": "np.broadcast_to(t, u.shape)",
    "tile": "np.tile(t, n)",
    "repeat_interleave": "t.repeat(n, axis)",
    "flip": "np.flip(t, axis)",
    "roll": "np.roll(t, n, axis)",
    "numel": "t.size",
    "nelement": "t.size",
    "dim": "t.ndim",
    "ndimension": "t.ndim",
    "element_size": "t.itemsize",
    "contiguous": "t as it is: NumPy's functions take any layout",
    "is_contiguous": "t.data.flags.c_contiguous",
    "stride": "t.data.strides",
    "data_ptr": "t.data.ctypes.data",
    # types and places
    "to": "t.astype(dtype): there is one device",
    "type": "t.astype(dtype)",
    "type_as": "t.astype(u.dtype)",
    "float": "t.astype(np.float32)",
    "double": "t.astype(np.float64)",
    "half": "t.astype(np.float16)",
    "long": "t.astype(np.int64)",
    "int": "t.astype(np.int32)",
    "short": "t.astype(np.int16)",
    "byte": "t.astype(np.uint8)",
    "bool": "t.astype(bool)",
    "cpu": _NOTHING,
    "cuda": _NOTHING,
    "device": _NOTHING,
    "is_cuda": _NOTHING,
    "grad_fn": "tl.viz.graph(t): it draws what t was computed from",
    "clone": "t.copy()",
    # arithmetic
    "add": "t + u",
    "sub": "t - u",
    "mul": "t * u",
    "div": "t / u",
    "true_divide": "t / u",
    "neg": "-t",
    "pow": "t ** n",
    "mm": "t @ A",
    "mv": "t @ v",
    "bmm": "t @ A",
    "addmm": "t + t @ A",
    "outer": "np.outer(t, u)",
    "ger": "np.outer(t, u)",
    "inner": "np.inner(t, u)",
    "cross": "np.cross(t, u)",
    "clamp": "t.clip(low, high)",
    "clamp_min": "np.maximum(t, low)",
    "clamp_max": "np.minimum(t, high)",
    "rsqrt": "1 / np.sqrt(t)",
    "lerp": "t + (u - t) * w",
    "sign": "np.sign(t)",
    "floor": "np.floor(t)",
    "ceil": "np.ceil(t)",
    "trunc": "np.trunc(t)",
    "logit": "np.log(t) - np.log1p(-t)",
    "norm": "np.linalg.norm(t)",
    "det": "np.linalg.det(A)",
    "inverse": "np.linalg.inv(A)",
    "tril": "np.tril(t)",
    "triu": "np.triu(t)",
    "diag": "np.diag(t)",
    "median": "np.median(t, axis)",
    "quantile": "np.quantile(t, 0.5, axis)",
    "nansum": "np.nansum(t, axis)",
    "amax": "t.max(axis)",
    "amin": "t.min(axis)",
    "count_nonzero": "np.count_nonzero(t)",
    "diff": "np.diff(t)",
    # comparisons
    "eq": "t == u",
    "ne": "t != u",
    "lt": "t < u",
    "le": "t <= u",
    "gt": "t > u",
    "ge": "t >= u",
    "equal": "np.array_equal(t, u)",
    "allclose": "np.allclose(t, u)",
    "isclose": "np.isclose(t, u)",
    "isnan": "np.isnan(t)",
    "isinf": "np.isinf(t)",
    "isfinite": "np.isfinite(t)",
    "logical_not": "np.logical_not(t)",
    # parts, and places in them
    "where": "np.where(mask, t, u)",
    "masked_fill": "np.where(mask, value, t)",
    "masked_select": "t[mask]",
    "index_select": "np.take(t, i, axis)",
    "gather": "np.take_along_axis(t, index, axis)",
    "scatter": "u = t.copy(); u[i] = value",
    "index_put": "u = t.copy(); u[i] = value",
    "narrow": "t[:, 0:n]",
    "select": "t[:, 0]",
    "chunk": "np.array_split(t, n)",
    "split": "np.split(t, places)",
    "unbind": "list(t)",
    "sort": "np.sort(t, axis)",
    "topk": "np.sort(t, axis)[..., -k:]",
    "kthvalue": "np.sort(t, axis)[..., k - 1]",
    "unique": "np.unique(t.data)",
    # in place, where it is not only the underscore
    "zero_": "t = tl.tensor(np.zeros(t.shape)), or t.grad = None for a gradient",
    "fill_": "t = tl.tensor(np.full(t.shape, value))",
    "copy_": "t = u.copy()",
    "normal_": "t = tl.tensor(rng.normal(size=t.shape))",
    "uniform_": "t = tl.tensor(rng.uniform(size=t.shape))",
    "detach_": "t = t.detach()",
    "new_zeros": "tl.tensor(np.zeros(shape))",
    "new_ones": "tl.tensor(np.ones(shape))",
    "new_tensor": "tl.tensor(a)",
}

#: Functions and types of the package itself.
PACKAGE = {
    "zeros": "tl.tensor(np.zeros(shape))",
    "ones": "tl.tensor(np.ones(shape))",
    "full": "tl.tensor(np.full(shape, value))",
    "empty": "tl.tensor(np.zeros(shape))",
    "eye": "tl.tensor(np.eye(n))",
    "arange": "tl.tensor(np.arange(n))",
    "rand": _RNG.format("random(shape)"),
    "randn": _RNG.format("normal(size=shape)"),
    "randint": _RNG.format("integers(low, high, shape)"),
    "randperm": "rng.permutation(n), with rng = np.random.default_rng(seed)",
    "bernoulli": "rng.random(shape) < p, with rng = np.random.default_rng(seed)",
    "multinomial": "rng.choice(n, k), with rng = np.random.default_rng(seed)",
    "manual_seed": "rng = np.random.default_rng(seed): what draws numbers takes rng=",
    "Generator": "np.random.default_rng(seed)",
    "array": "tl.tensor(a)",
    "asarray": "tl.tensor(a)",
    "as_tensor": "tl.tensor(a)",
    "from_numpy": "tl.tensor(a)",
    "Parameter": "tl.nn.Parameter(a)",
    "is_tensor": "isinstance(t, tl.Tensor)",
    "Size": "tuple(shape)",
    "cat": "np.concatenate([t, u], axis)",
    "sub": "t - u",
    "save": "np.savez(file, **model.state_dict())",
    "load": "model.load_state_dict(np.load(file))",
    "rand_like": _RNG.format("random(t.shape)"),
    "randn_like": _RNG.format("normal(size=t.shape)"),
    "Variable": "tl.tensor(a, requires_grad=True)",
    "FloatTensor": "tl.tensor(a, dtype=np.float32)",
    "DoubleTensor": "tl.tensor(a, dtype=np.float64)",
    "LongTensor": "tl.tensor(a, dtype=np.int64)",
    "Function": "tl.primitive(f): and give it its derivative with tl.defvjp",
    "half": "np.float16",
    "float": "np.float32",
    "double": "np.float64",
    "int": "np.int32",
    "long": "np.int64",
    "bool": "np.bool_",
    "float16": "np.float16",
    "float32": "np.float32",
    "float64": "np.float64",
    "int32": "np.int32",
    "int64": "np.int64",
    "uint8": "np.uint8",
    "complex64": "np.complex64",
    "complex128": "np.complex128",
    "set_default_dtype": "dtype=np.float32: layers and tl.tensor take it",
    "set_grad_enabled": "tl.no_grad(), or tl.enable_grad()",
    "inference_mode": "tl.no_grad()",
    "autograd": "tl.gradients(y, t), or tl.grad(f)",
    "func": "tl.grad(f), or tl.jacobian(f)",
    "functional": "tl.nn.functional",
    "relu6": "np.clip(t, 0, 6)",
}

#: Methods of modules.
MODULE = {
    "cuda": "model as it is: arrays are in the memory of this machine",
    "bfloat16": "model.to(np.float32): NumPy has no bfloat16",
    "type": "model.to(dtype)",
    "compile": "tl.jit(model)",
    "register_backward_hook": "model.register_full_backward_hook(print)",
}

#: Layers and losses.
NN = {
    "CrossEntropyLoss": "F.cross_entropy(logits, labels)",
    "NLLLoss": "F.nll_loss(F.log_softmax(logits), labels)",
    "MSELoss": "F.mse_loss(t, u)",
    "L1Loss": "F.l1_loss(t, u)",
    "BCELoss": "F.binary_cross_entropy(t, u)",
    "BCEWithLogitsLoss": "F.binary_cross_entropy_with_logits(t, u)",
    "AdaptiveAvgPool2d": "np.mean(images, axis=(2, 3))",
    "AdaptiveMaxPool2d": "np.max(images, axis=(2, 3))",
    "ZeroPad2d": "np.pad(images, ((0, 0), (0, 0), (n, n), (n, n)))",
    "Swish": "nn.SiLU()",
}

#: Functions of layers.
FUNCTIONAL = {
    "pad": "np.pad(t, widths)",
    "normalize": "t / np.linalg.norm(t, axis=axis, keepdims=True)",
    "cosine_similarity": "np.sum(t * u) / (np.linalg.norm(t) * np.linalg.norm(u))",
    "pairwise_distance": "np.linalg.norm(t - u, axis=-1)",
    "flatten": "t.reshape(len(t), -1)",
    "adaptive_avg_pool2d": "np.mean(images, axis=(2, 3))",
    "adaptive_max_pool2d": "np.max(images, axis=(2, 3))",
    "swish": "F.silu(t)",
}

#: Optimizers and schedules.
OPTIM = {
    "lr_scheduler": "optim.StepLR(optimizer, n), or optim.CosineAnnealingLR(optimizer, n)",
    "ExponentialLR": "optim.StepLR(optimizer, 1, gamma)",
}

#: The tables by what is asked, as one writes it.
TABLES: dict[str, Mapping[str, str]] = {
    "Tensor": TENSOR,
    "Module": MODULE,
    "tinygrad_lab": {**NN, **FUNCTIONAL, **OPTIM, **TENSOR, **PACKAGE},
    "tinygrad_lab.nn": NN,
    "tinygrad_lab.nn.functional": {**TENSOR, **FUNCTIONAL},
    "tinygrad_lab.optim": OPTIM,
}


def missing(home: str, name: str, own: Iterable[str] = (), hint: str = "") -> AttributeError:
    """Make the error of a name that a module does not have: PyTorch's, a near miss, or neither.

    Examples
    --------
    >>> str(missing("tinygrad_lab.nn", "MSELoss"))
    'tinygrad_lab.nn has no MSELoss: say F.mse_loss(t, u)'
    """
    own = [word for word in own if word[0].lower() == name[0].lower() != "_"]
    own.sort(key=lambda word: word.islower() != name.islower())
    near = get_close_matches(name.lower(), [word.lower() for word in own], n=1, cutoff=0.75)
    if remedy := TABLES[home].get(name):
        hint = f": say {remedy}"
    elif near:
        hint = f"; did you mean {next(word for word in own if word.lower() == near[0])}?"
    return AttributeError(f"{home} has no {name}{hint}", name=name)


class Absent:
    """A descriptor for a name that a class does not have, and that somebody will write.

    ``hasattr`` is false, as without it.  (``__getattr__`` would slow every other attribute.)
    """

    def __init__(self, owner: str, name: str, remedy: str) -> None:
        self._text, self._name = f"a {owner} has no {name}(): say {remedy}", name

    def __get__(self, instance: object, owner: type | None = None) -> NoReturn:
        raise AttributeError(self._text, name=self._name)


def teach(kind: type) -> None:
    """Let tensors, or modules, answer PyTorch's names for what they do not have.

    A name with an underscore at its end is PyTorch's for writing in place, and tensors are values.
    """
    table = dict(TABLES[kind.__name__])
    if table == TENSOR:
        for name in [name for name in (*dir(kind), *TENSOR) if name.strip("_") == name]:
            remedy = TENSOR.get(name, f"t.{name}(...)")
            table.setdefault(f"{name}_", remedy if "=" in remedy else f"t = {remedy}")
    for name, remedy in table.items():
        if not hasattr(kind, name):
            setattr(kind, name, Absent(kind.__name__, name, remedy))


def markdown() -> str:
    """Write the tables down for the documentation."""
    tables = {"A tensor's": TENSOR, "A module's": MODULE, "The package's": PACKAGE,
              "`nn`": NN, "`nn.functional`": FUNCTIONAL, "`optim`": OPTIM,
              "Arguments": {f"{name}=": f"{own}=" for name, own in KEYWORDS.items()}}  # fmt: skip
    lines = []
    for title, table in tables.items():
        lines += [f"## {title}", "", "| PyTorch | here |", "|---|---|"]
        for name, remedy in table.items():
            code, colon, remark = remedy.partition(": ")
            code = code.replace("|", "\\|").replace(", or ", "`, or `")
            lines.append(f"| `{name}` | `{code}`{colon}{remark} |")
        lines.append("")
    return "\n".join(lines)
