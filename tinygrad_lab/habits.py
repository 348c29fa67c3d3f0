"""What people who know PyTorch write, and what to write here instead: asked on every miss.

``tl.manual_seed(0)`` fails with the word to write; so do ``t.median()`` and ``tl.std(t)``.  The
documentation's page about PyTorch's words is made of the same tables.

Not for: words that mean the same, which work (``words.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import NoReturn

from tinygrad_lab.absent import ABSENT

__all__ = ["PACKAGE", "TABLES", "Absent", "markdown", "missing", "teach"]

_NOTHING = "t as it is: arrays are in the memory of this machine"

#: Methods and attributes of tensors.  Each remedy begins with code, and may say more after a colon
#: or give another way after ", or ".
TENSOR = {
    "mH": "t.conj().mT",
    "is_contiguous": "t.data.flags.c_contiguous",
    "stride": "t.data.strides",
    "data_ptr": "t.data.ctypes.data",
    "cuda": _NOTHING,
    "is_cuda": _NOTHING,
    "grad_fn": "tl.viz.graph(t): it draws what t was computed from",
    "cross": "np.cross(t, u)",
    "median": "np.median(t, axis): of an even number the mean of two, PyTorch's the lower",
    "scatter": "u = t.copy(); u[i] = value",
    "index_put": "u = t.copy(); u[i] = value",
    "kthvalue": "np.sort(t, axis)[..., k - 1]",
    "unique": "np.unique(t.data)",
    "svd": "np.linalg.svd(t, full_matrices=False)",
    "qr": "np.linalg.qr(t)",
    "eig": "np.linalg.eig(A)",
    "cholesky": "np.linalg.cholesky(A)",
    "slogdet": "np.linalg.slogdet(A)",
    "logdet": "np.linalg.slogdet(A)[1]",
    "pinverse": "np.linalg.pinv(t)",
    "matrix_power": "np.linalg.matrix_power(A, n)",
    "histc": "np.histogram(t, n)[0]",
    "std_mean": "t.std(axis=0, ddof=1), t.mean(axis=0)",
    "var_mean": "t.var(axis=0, ddof=1), t.mean(axis=0)",
    "xlogy": "u * np.log(t)",
    "index_add": "u = t.copy(); u[i] = u[i] + value",
    "index_fill": "u = t.copy(); u[i] = value",
    "new_full": "tl.full(shape, value)",
    "new_empty": "tl.zeros(shape)",
    "detach_": "t = t.detach()",
    "new_zeros": "tl.zeros(shape)",
    "new_ones": "tl.ones(shape)",
    "new_tensor": "tl.tensor(a)",
    "at": "u = t.copy(); u[i] = value",
}

#: Functions and types of the package itself.
PACKAGE = {
    # what NumPy and PyTorch both have, and mean differently: say which
    "std": "t.std(ddof=1), or np.std(t): PyTorch's divides by n - 1, NumPy's by n",
    "var": "t.var(ddof=1), or np.var(t): PyTorch's divides by n - 1, NumPy's by n",
    "sort": "t.sort().values, or np.sort(t): PyTorch's gives values and places, NumPy's the values",
    "split": "t.split(n), or np.split(t, n): PyTorch's is told lengths, NumPy's how many",
    "median": "np.median(t): of an even number the mean of two, PyTorch's the lower",
    "nanmedian": "np.nanmedian(t): of an even number the mean of two, PyTorch's the lower",
    "equal": "np.array_equal(t, u), or t == u: PyTorch's is one answer, NumPy's one an element",
    "meshgrid": 'np.meshgrid(t, u, indexing="ij"): which is PyTorch\'s order',
    "nonzero": "np.argwhere(t), or np.nonzero(t): PyTorch's has rows, NumPy's an array an axis",
    "cross": "np.cross(t, u): along the last axis",
    "gradient": "np.gradient(t)",
    "histogram": "np.histogram(t)",
    # what is said in another way
    "manual_seed": "rng = np.random.default_rng(seed): what draws numbers takes rng=",
    "Generator": "np.random.default_rng(seed)",
    "array": "tl.tensor(a)",
    "Parameter": "tl.nn.Parameter(a)",
    "linalg": "np.linalg: it takes tensors",
    "fft": "np.fft: it takes tensors",
    "utils": "tl.data, or tl.nn.utils",
    "compile": "tl.jit(f)",
    "seed": "rng = np.random.default_rng(seed): what draws numbers takes rng=",
    "get_rng_state": "rng.bit_generator.state",
    "randint_like": "tl.randint(low, high, t.shape, rng=rng)",
    "broadcast_tensors": "np.broadcast_arrays(t, u)",
    "cdist": "np.linalg.norm(t[:, None] - u, axis=-1)",
    "Variable": "tl.tensor(a, requires_grad=True)",
    "FloatTensor": "tl.tensor(a, dtype=np.float32)",
    "DoubleTensor": "tl.tensor(a, dtype=np.float64)",
    "LongTensor": "tl.tensor(a, dtype=np.int64)",
    "Function": "tl.primitive(f): and give it its derivative with tl.defvjp",
    "set_grad_enabled": "tl.no_grad(), or tl.enable_grad()",
    "autograd": "tl.gradients(y, t), or tl.grad(f): for a Function tl.primitive and tl.defvjp, for "
    "gradcheck tl.testing.gradcheck, for detect_anomaly tl.debug()",
    "func": "tl.grad(f), or tl.jacobian(f): tl.vmap, tl.vjp, tl.jvp, tl.functional_call too",
    "jacrev": "tl.jacobian(f)",
    "jacfwd": "tl.jacobian(f)",
    "custom_vjp": "tl.primitive(f): and give it its derivative with tl.defvjp",
    "custom_jvp": "tl.primitive(f): and give it its derivative with tl.defvjp",
    "stop_gradient": "t.detach()",
    "lax": "tl.repeat(f, n): or a loop of Python, which tl.jit records",
    "tree_map": "{name: f(p) for name, p in model.named_parameters()}",
    "autocast": "model.to(np.float32): what is computed in is the dtype of the arrays",
    "distributions": "rng.normal(size=shape): with the density written as its formula",
    "functional": "tl.nn.functional",
    "relu6": "np.clip(t, 0, 6)",
}

#: Methods of modules.
MODULE = {
    "fit": "tl.fit(model, data, nn.MSELoss(), optimizer)",
    "predict": "model(x): after model.eval(), and inside tl.no_grad()",
    "summary": "tl.summary(model, x.shape)",
    "save": "tl.save(model, file)",
    "cuda": "model as it is: arrays are in the memory of this machine",
    "bfloat16": "model.to(np.float32): NumPy has no bfloat16",
    "type": "model.to(dtype)",
    "compile": "tl.jit(model)",
    "register_backward_hook": "model.register_full_backward_hook(print)",
}

#: Layers and losses.
NN = {
    "Swish": "nn.SiLU()",
    "Dense": "nn.Linear(2, 3): how many come in, how many go out",
}

#: Functions of layers.
FUNCTIONAL = {
    "flatten": "t.reshape(len(t), -1)",
    "swish": "F.silu(t)",
}

#: Optimizers and schedules.
OPTIM = {
    "SparseAdam": "optim.Adam(parameters): gradients are whole arrays",
    "Adafactor": "optim.Adam(parameters)",
    **{name: f"optim.lr_scheduler.{name}" for name in (
        "LambdaLR", "MultiplicativeLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR",
        "PolynomialLR", "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR",
        "ReduceLROnPlateau", "ChainedScheduler", "SequentialLR", "LRScheduler",
    )},
    "SWALR": "optim.swa_utils.SWALR",
    "AveragedModel": "optim.swa_utils.AveragedModel(model)",
}  # fmt: skip

#: Pictures of graphs.
VIZ = {
    "make_dot": "tl.viz.graph(loss, model)",
    "draw_graph": "tl.viz.graph(loss, model)",
    "plot_model": "tl.viz.graph(loss, model)",
}

#: The tables by what is asked, as one writes it.
TABLES: dict[str, Mapping[str, str]] = {
    "Tensor": TENSOR,
    "Module": MODULE,
    "tinygrad_lab": {**NN, **FUNCTIONAL, **OPTIM, **TENSOR, **PACKAGE},
    "tinygrad_lab.nn": NN,
    "tinygrad_lab.nn.functional": {**TENSOR, **FUNCTIONAL},
    "tinygrad_lab.optim": OPTIM,
    "tinygrad_lab.viz": VIZ,
}


#: What PyTorch calls a home, where that is not our name of it.
_HOMES = {"tinygrad_lab.data": "utils.data"}


def missing(home: str, name: str, own: Iterable[str] = (), hint: str = "") -> AttributeError:
    """Make the error of a name that a module does not have: PyTorch's, a near miss, or neither.

    Examples
    --------
    >>> str(missing("tinygrad_lab.nn", "Swish"))
    'tinygrad_lab.nn has no Swish: say nn.SiLU()'
    """
    own = [word for word in own if word[0].lower() == name[0].lower() != "_"]
    own.sort(key=lambda word: word.islower() != name.islower())
    near = get_close_matches(name.lower(), [word.lower() for word in own], n=1, cutoff=0.75)
    if remedy := TABLES.get(home, {}).get(name):
        hint = f": say {remedy}"
    elif reason := ABSENT.get(_HOMES.get(home, home.partition(".")[2]), {}).get(name):
        hint = f": {reason}"
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

    A name with an underscore at its end is PyTorch's for writing in place: those of words that
    keep the shape are there (``words.py``), and of the others tensors are values.
    """
    table = dict(TABLES[kind.__name__])
    if table == TENSOR:
        for name in [name for name in dir(kind) if name.strip("_") == name]:
            table.setdefault(f"{name}_", f"t = t.{name}(...)")
    for name, remedy in table.items():
        if not hasattr(kind, name):
            setattr(kind, name, Absent(kind.__name__, name, remedy))


def markdown() -> str:
    """Write the tables down for the documentation."""
    tables = {"A tensor's words": TENSOR, "A module's": MODULE, "The package's": PACKAGE,
              "`nn`": NN, "`nn.functional`": FUNCTIONAL, "`optim`": OPTIM,
              "`viz`": VIZ}  # fmt: skip
    lines = []
    for title, table in tables.items():
        if table:
            lines += [f"### {title}", "", "| PyTorch | say |", "|---|---|"]
        for name, remedy in table.items():
            code, colon, remark = remedy.partition(": ")
            code = code.replace("|", "\\|").replace(", or ", "`, or `")
            lines.append(f"| `{name}` | `{code}`{colon}{remark} |")
        lines.append("")
    return "\n".join(lines)
