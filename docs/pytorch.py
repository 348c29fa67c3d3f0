"""Every public name of PyTorch's for models, and whether it is here: `python docs/pytorch.py`.

Run as a script it writes down PyTorch's names with their arguments (`pytorch.json`), which needs
PyTorch; the page is made of these, of what is here, and of the remarks in `pytorch.toml`.  A name
that is neither here nor remarked, or whose arguments differ and that is not, fails a test.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinygrad_lab.absent import ABSENT
from tinygrad_lab.habits import markdown as refused
from tinygrad_lab.words import expressions

FOLDER = Path(__file__).parent
NAMES, REMARKS = FOLDER / "pytorch.json", FOLDER / "pytorch.toml"

#: PyTorch's homes of names, and ours.
HOMES = {
    "nn": "tinygrad_lab.nn",
    "nn.functional": "tinygrad_lab.nn.functional",
    "nn.init": "tinygrad_lab.nn.init",
    "nn.utils": "tinygrad_lab.nn.utils",
    "nn.utils.rnn": "tinygrad_lab.nn.utils.rnn",
    "optim": "tinygrad_lab.optim",
    "optim.lr_scheduler": "tinygrad_lab.optim.lr_scheduler",
    "optim.swa_utils": "tinygrad_lab.optim.swa_utils",
    "utils.data": "tinygrad_lab.data",
}
#: Where arrays are, of what type, and what draws them: by name alone here, wherever it makes sense.
_BY_NAME = {"device", "dtype", "init", "rng", "generator"}
#: Old arguments of losses, which `reduction=` says; both are refused in words.
_OLD = {"size_average", "reduce"}
#: Of PyTorch's functional, what is there for itself, or is an old name.
_NOT_ITS_OWN = re.compile(
    r"Optional|boolean_dispatch|assert_int_or_pair|.*_torch_function.*|.*_with_indices|native_.*|"
    r"adaptive_max_pool\dd_with.*|multi_head_attention_forward|upsample.*|.*(?<!_)_$"
)


def _torchs(home: str, module: Any) -> Iterator[tuple[str, Any]]:
    names = [name for name in getattr(module, "__all__", dir(module)) if name[0] != "_"]
    if home == "nn":
        names = [*module.modules.__all__, "Parameter", "Buffer"]
    for name in sorted(set(names)):
        value = getattr(module, name)
        if not callable(value):
            continue
        if home == "nn.functional" and (inspect.isclass(value) or _NOT_ITS_OWN.fullmatch(name)):
            continue
        if home == "optim.swa_utils" and not value.__module__.endswith("swa_utils"):
            continue
        if home == "nn.init" and not (name.endswith("_") or name == "calculate_gain"):
            continue  # Python's own, and the old names
        yield name, getattr(module, f"{name}_with_indices", value)


def _said(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default is parameter.empty:  # the name of what takes all the rest is nobody's
        return {2: "*", 4: "**"}.get(parameter.kind, parameter.name)
    default = getattr(default, "__name__", default)
    default = "..." if " at 0x" in repr(default) else default  # a generator, at its address
    is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
    return f"{parameter.name}={float(default) if is_number else default!r}"


def arguments(value: Any) -> list[str] | None:
    """The arguments of a function or a class, or None where it does not tell."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        line = re.match(r"\s*\w+\((.*?)\) ->", value.__doc__ or "")
        if line is None:
            return None
        space: dict[str, Any] = {}
        try:
            exec(f"def told({line[1]}): ...", space)
        except SyntaxError:
            return None
        return arguments(space["told"])
    listed = [_said(p) for p in parameters if p.name not in ("self", "_stacklevel")]
    return None if listed == ["*", "**"] else listed


def installed() -> dict[str, Any]:
    """PyTorch's names and arguments, of the version that is installed."""
    import torch

    names = {
        home: {name: arguments(value)
               for name, value in _torchs(home, importlib.import_module(f"torch.{home}"))}
        for home in HOMES
    }  # fmt: skip
    return {"version": torch.__version__.partition("+")[0], "names": names}


def here(home: str, name: str) -> Any:
    """What has the name here, or None."""
    try:
        return getattr(importlib.import_module(HOMES[home]), name, None)
    except ModuleNotFoundError:
        return None


def difference(home: str, name: str, theirs: list[str] | None) -> str:
    """Say how the arguments of a name that is here differ from PyTorch's; "" if they do not."""
    ours = arguments(here(home, name))
    if ours is None or theirs is None:
        return ""
    apart = _BY_NAME | _OLD
    of = [[a for a in listed if a.partition("=")[0] not in apart] for listed in (theirs, ours)]
    if of[0] == of[1]:
        return ""
    missing = [a for a in of[0] if a not in of[1]]
    extra = [a for a in of[1] if a not in of[0]]
    order = "" if missing or extra else "another order"
    return "; ".join(
        text for text in (
            order,
            f"without {', '.join(missing)}" if missing else "",
            f"with {', '.join(extra)}" if extra else "",
        ) if text
    )  # fmt: skip


def remarks() -> dict[str, dict[str, str]]:
    """The remarks by home and name: what is absent and why, what differs and how."""
    differs = tomllib.loads(REMARKS.read_text(encoding="utf-8"))
    return {home: ABSENT.get(home, {}) | differs.get(home, {}) for home in HOMES}


def markdown() -> str:
    """Write the page's tables: here, here with a difference, absent."""
    listed, remarked = json.loads(NAMES.read_text(encoding="utf-8")), remarks()
    lines = [f"The names are those of PyTorch {listed['version']}.", ""]
    for home, names in listed["names"].items():
        about = remarked.get(home, {})
        same = [f"`{n}`" for n in names if here(home, n) is not None and n not in about]
        lines += [f"## `{home}`", "", f"Here, as in PyTorch: {', '.join(same) or 'none'}.", ""]
        for title, present in (("Differs", True), ("Absent", False)):
            rows = [n for n in names if n in about and (here(home, n) is not None) is present]
            if rows:
                lines += [f"| {title} | |", "|---|---|"]
                lines += [f"| `{n}` | {about[n]} |" for n in rows]
                lines.append("")
    return "\n".join(lines)


def words() -> str:
    """Write the tables of words that work, and of those that are refused."""
    tables = expressions()
    tables["IN_PLACE"] = {name: f"the tensor's value is {text}"
                          for name, text in tables["IN_PLACE"].items()}  # fmt: skip
    titles = {"TENSOR": "Methods of tensors, and functions", "IN_PLACE": "In place",
              "PACKAGE": "The package's own", "_DRAWS": "Draws, from `rng=`"}  # fmt: skip
    lines = ["## Words that work", ""]
    for table, title in titles.items():
        lines += [f"### {title}", "", "| PyTorch | is |", "|---|---|"]
        lines += [f"| `{word}` | {text.replace('|', chr(92) + '|')} |"
                  for word, text in tables[table].items()]  # fmt: skip
        lines.append("")
    return "\n".join([*lines, "## Words that are refused", "", refused()])


if __name__ == "__main__":
    text = json.dumps(installed(), indent=1)
    lists = re.compile(r"\[\s+([^\[\]{}]*?)\s+\]")
    text = lists.sub(lambda m: "[" + " ".join(m[1].split()) + "]", text)
    NAMES.write_text(text + "\n", encoding="utf-8")
