"""Write what the pages show of the checker: `python -m docs.shown`, again when its words change.

On a page, what stands between `<!-- shown: NAME -->` and `<!-- end -->` is the code of an example
and what it printed when it was run.  `tests/testing/test_shown.py` holds both together.

Not for: examples that print nothing, which are run where they stand (`tests/test_docs.py`).
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.testing.wild.cases import CASES
from tinygrad_lab.testing import GradientError

ROOT = Path(__file__).parents[1]

EXAMPLES = ROOT / "examples" / "checking_gradients"
REGION = re.compile(r"(<!-- shown: (.+?) -->\n).*?(<!-- end -->\n)", re.DOTALL)
PAGES = [ROOT / "README.md", ROOT / "docs" / "testing.md", ROOT / "docs" / "found-in-the-wild.md"]


def code_of(name: str) -> str:
    """Give the code of an example, without its docstring."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    return re.sub(r'\A""".*?"""\n+', "", text, flags=re.DOTALL)


def said_by(script: Path) -> str:
    """Run a script, and give what it prints, and how it fails."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            runpy.run_path(str(script))
        except GradientError as error:
            printed.write(f"GradientError: {error}")
    return printed.getvalue().rstrip()


def script(name: str) -> str:
    """Show a script, and what it says."""
    return f"```py\n{code_of(name)}```\n\n```text\n{said_by(EXAMPLES / name)}\n```\n"


def mended(name: str, wrong: str, right: str) -> str:
    """Show what a script says with a line mended."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert text.count(wrong) == 1, wrong
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / name
        copy.write_text(text.replace(wrong, right), encoding="utf-8")
        said = said_by(copy)
    return f"```py\n{right}\n```\n\n```text\n{said}\n```\n"


def suite() -> str:
    """Show a library, its tests, and what pytest says of them."""
    options = ["-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--gradtest-mutate"]
    # not what changes the output: options of pytest's, a CI that Hypothesis has a profile for
    names = ("PATH", "HOME", "TMPDIR")
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("layers.py", "test_layers.py"):
            shutil.copy(EXAMPLES / name, folder)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, "test_layers.py"],
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if not line.startswith("All traceback")]
    files = "\n\n# test_layers.py\n".join(code_of(n) for n in ("layers.py", "test_layers.py"))
    said = "\n".join(lines)
    return f"```py\n# layers.py\n{files}```\n\n```text\n$ pytest --gradtest-mutate\n{said}\n```\n"


SHOWN: dict[str, Callable[[], str]] = {
    "one layer": partial(script, "one_layer.py"),
    **{f"wild, {name}": case.markdown for name, case in CASES.items()},
    "lab": partial(script, "lab.py"),
    "lab, mended": partial(
        mended, "lab.py", "dZ2 = 2 * (A2 - Y) / n", "dZ2 = 2 * (A2 - Y) / n * A2 * (1 - A2)"
    ),
    "swish": partial(script, "swish.py"),
    "cut off": partial(script, "cut_off.py"),
    "suite": suite,
}


def regions() -> Iterator[tuple[Path, str, str]]:
    """Give every region of the pages: the page, the name, and what stands there."""
    for page in PAGES:
        for match in REGION.finditer(page.read_text(encoding="utf-8")):
            yield page, match[2], match[0]


def main() -> None:
    """Run all examples, and write the pages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(REGION.sub(lambda m: m[1] + SHOWN[m[2]]() + m[3], text), encoding="utf-8")


if __name__ == "__main__":
    main()
