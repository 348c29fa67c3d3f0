"""Write the table on the page about vmap: `python docs/batched.py`, again when forms are added.

Which of NumPy's functions take a whole batch at once, and which are called for each example.
"""

import re
import warnings
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab.core.operations import OPERATIONS, Operation
from tinygrad_lab.core.rules.namespace import kind, public_functions
from tinygrad_lab.testing.inputs.catalogue import CASES
from tinygrad_lab.transforms.batching import refuse
from tinygrad_lab.transforms.level import FORMS, OF_SHAPES
from tinygrad_lab.warnings import SlowBatchWarning

_UNKNOWN = Operation(refusal="is unknown")
PAGE = Path(__file__).parent / "vmap.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
TITLES = {
    "form": "With a form of their own",
    "composed": "As the functions that they consist of",
    "in turn": "Called for each example in turn, at least with some arguments",
}


def functions() -> dict[str, object]:
    """Give NumPy's functions of arrays, by name."""
    return {
        name: f
        for name, f in public_functions()
        if kind(OPERATIONS.get(f, _UNKNOWN)) in ("differentiable", "constant")
        and f not in OF_SHAPES
        and FORMS.get(f) is not refuse
    }


def is_called_in_turn(op: object, examples: int) -> bool:
    """Whether calls of the catalogue, or their gradients, are made for each example in turn."""
    notices: list[object] = []

    @settings(
        max_examples=examples, phases=[Phase.generate], derandomize=True, database=None,
        deadline=None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def trial(data):
        call = data.draw(CASES[op])
        stacks = [np.stack([a, a]) for a in call.arrays]
        with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
            warnings.simplefilter("always")
            try:
                with tl.debug():
                    tl.vmap(call.f)(*stacks)
            except (FloatingPointError, TypeError, ValueError):
                return
        notices.extend(w for w in caught if issubclass(w.category, SlowBatchWarning))

    trial()
    return bool(notices)


def lists(in_turn: set[str]) -> dict[str, list[str]]:
    """Sort all functions into three lists; of those composed of others, some are called in turn."""
    sorted_in: dict[str, list[str]] = {key: [] for key in TITLES}
    for name, f in functions().items():
        has_form = f in FORMS or (isinstance(f, np.ufunc) and f.signature is None)
        is_composed = OPERATIONS[f].composition is not None
        which = "form" if has_form else "composed" if is_composed else "in turn"
        sorted_in["in turn" if name in in_turn and which == "composed" else which].append(name)
    return sorted_in


def written() -> dict[str, set[str]]:
    """Give the lists that are on the page."""
    text = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    lines = [line for line in text.splitlines() if line]
    pairs = zip(lines[::2], lines[1::2], strict=True)
    keys = {title: key for key, title in TITLES.items()}
    return {keys[title]: set(re.findall(r"`np\.([^`]+)`", names)) for title, names in pairs}


def main() -> None:
    """Try all functions, and write the table."""
    composed = {n: f for n, f in functions().items() if OPERATIONS[f].composition}
    in_turn = {n for n, f in composed.items() if f in CASES and is_called_in_turn(f, 20)}
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    table = "\n".join(
        f"{TITLES[key]}\n: {', '.join(f'`np.{name}`' for name in names)}\n"
        for key, names in lists(in_turn).items()
    )
    PAGE.write_text(before + BEGIN + table + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
