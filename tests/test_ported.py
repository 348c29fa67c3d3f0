"""Six teaching scripts of PyTorch's kind run here with other imports and a few other lines.

``ported/`` has them for PyTorch.  Ours are made of those: the imports replaced, and the lines of
``CHANGES``, each of which, left as it is, is an error that names the change.  From the same
weights both give the same losses.
"""

from __future__ import annotations

import builtins
import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl

FOLDER = Path(__file__).parent / "ported"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))

#: Of each script: a line, what is to be written, and what the error of the line says.
CHANGES: dict[str, list[tuple[str, str, str]]] = {
    "nn_tutorial": [
        ("weights = torch.randn(64, 10) / math.sqrt(64)",
         "weights = torch.randn(64, 10, rng=rng) / math.sqrt(64)", "say randn(..., rng=rng)"),
        ("return (preds == yb).float().mean()", "return (preds == yb).mean()",
         "say t.mean() for a share"),
        ("weights.grad.zero_()", "weights.grad = None",
         "say p.grad = None"),
        ("bias.grad.zero_()", "bias.grad = None",
         "say p.grad = None"),
    ],
    "image_classifier": [
        ("_, predicted = torch.max(outputs, 1)", "predicted = outputs.argmax(1)",
         "t.argmax(axis=1) for the places"),
    ],
    "name_classifier": [
        ("torch.manual_seed(2024)", "", "rng = np.random.default_rng(seed)"),
        ("tensor[li][0][all_letters.index(letter)] = 1",
         "tensor[li, 0, all_letters.index(letter)] = 1", "say t[i, j] = v"),
        ("confusion[i][category_from_output(output)[1]] += 1",
         "confusion[i, category_from_output(output)[1]] += 1", "say t[i, j] = v"),
    ],
    "variational_autoencoder": [
        ("torch.manual_seed(1)", "", "rng = np.random.default_rng(seed)"),
        ("eps = torch.randn_like(std)", "eps = torch.randn_like(std, rng=rng)",
         "say randn_like(..., rng=rng)"),
    ],
    "names_by_hand": [
        ("g = torch.Generator().manual_seed(2147483647)", "g = np.random.default_rng(2147483647)",
         "say np.random.default_rng(seed)"),
        ("bnstdi = hpreact.std(0, keepdim=True)", "bnstdi = hpreact.std(0, keepdims=True, ddof=1)",
         "ddof=1"),
    ],
    "sine_with_optim": [],
}  # fmt: skip
EVERY_CHANGE = [(script, i) for script, rows in CHANGES.items() for i in range(len(rows))]


def theirs(script: str) -> str:
    return (FOLDER / f"{script}.py").read_text(encoding="utf-8")


def ours(script: str, without: int | None = None) -> str:
    """The script for this package; one of its changes may be left out."""
    text = theirs(script)
    text = re.sub(r"^import torch$", "import tinygrad_lab as torch", text, flags=re.M)
    text = re.sub(r"^(from|import) torch(\.utils)?\b", r"\1 tinygrad_lab", text, flags=re.M)
    if "import numpy" not in text:
        text = text.replace("\nimport ", "\nimport numpy as np\nimport ", 1)
    for number, (line, instead, _) in enumerate(CHANGES[script]):
        assert text.count(line) == 1
        if number != without:
            text = text.replace(line, instead)
    return text


def run(text: str, prepare: Callable[[dict[str, Any]], Any] = lambda space: None) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "ported"}
    exec(compile(text, "a ported script", "exec"), space)
    prepare(space)
    return space


def losses_of(text: str) -> Any:
    space = run(text)
    return space["train"](*space["parts"]())


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "print", lambda *args, **kwargs: None)


def test_every_script_is_here():
    assert sorted(CHANGES) == SCRIPTS
    assert len(SCRIPTS) == 6


def test_few_lines_change():
    total = changed = 0
    for script in SCRIPTS:
        there, here = (
            [line for line in text.splitlines()
             if line.strip() and not line.startswith(("import ", "from "))]
            for text in (theirs(script), ours(script))
        )  # fmt: skip
        total += len(there)
        changed += sum(line.startswith("- ") for line in difflib.ndiff(there, here))
    assert changed == len(EVERY_CHANGE)
    assert total > 400
    assert changed <= 0.05 * total


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_runs(script: str):
    assert np.all(np.isfinite(losses_of(ours(script))))


@pytest.mark.parametrize(("script", "number"), EVERY_CHANGE)
def test_a_line_left_as_it_is_says_what_to_write(script: str, number: int):
    text = CHANGES[script][number][2]
    with pytest.raises((TypeError, AttributeError), match=re.escape(text)):
        losses_of(ours(script, without=number))


@pytest.mark.oracle
@pytest.mark.parametrize("script", SCRIPTS)
def test_losses_are_pytorchs(script: str, monkeypatch: pytest.MonkeyPatch):
    torch = pytest.importorskip("torch")
    seeded = np.random.default_rng(2147483647)

    def draw_as_ours(name: str, draw: Callable[..., Any]) -> None:
        def function(*args: Any, generator: Any = None) -> Any:
            rng = space["rng"] if generator is None else seeded
            return torch.from_numpy(np.asarray(draw(rng, *args)))

        monkeypatch.setattr(torch, name, function)

    def keep_the_order(space: dict[str, Any]) -> None:
        """Give batches as they come: PyTorch's order is drawn as nobody else draws it."""
        for kind in (DataLoader, tl.data.DataLoader):
            for name, value in space.items():
                if type(value) is kind:
                    space[name] = kind(value.dataset, value.batch_size)
        if "DataLoader" in space:
            loader = space["DataLoader"]
            space["DataLoader"] = lambda data, shuffle=False, **how: loader(data, **how)

    from torch.utils.data import DataLoader

    draw_as_ours("randn", lambda rng, *size: rng.normal(size=np.ravel(np.array(size))))
    draw_as_ours("randn_like", lambda rng, t: rng.normal(size=tuple(t.shape)))
    draw_as_ours("randint", lambda rng, *limits: rng.integers(*limits))
    before = torch.get_default_dtype()
    try:
        space = run(theirs(script), keep_the_order)
        parts = space["parts"]()
        here = run(ours(script), keep_the_order)
        ported = here["parts"]()
        for there, own in zip(parts, ported, strict=True):
            if isinstance(there, torch.nn.Module):
                own.load_state_dict({key: t.numpy() for key, t in there.state_dict().items()})
            else:
                np.testing.assert_array_equal(there.detach().numpy(), own.data)
        expected = space["train"](*parts)
    finally:
        torch.set_default_dtype(before)
    np.testing.assert_allclose(here["train"](*ported), expected, rtol=1e-10, atol=1e-10)
