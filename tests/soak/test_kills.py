"""SIGKILL and Ctrl-C at random moments of whatever writes: a file is the old one or the new one.

Not for kills at each line of one function: ``tests/lab/reports/test_publishing.py`` has them.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.test_saving import kills_while_saving

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are ended in POSIX's way")

ROOT = Path(__file__).parents[2]

#: What writes a whole file or report each time it is called, "one" or "two" by turns.
WRITERS = {
    "picture": """
import numpy as np
import tinygrad_lab as tl
from tinygrad_lab.viz import graph

def picture(run):
    x = tl.tensor(np.ones(3), requires_grad=True)
    return graph((x * x).sum(), names={run: x}, show=())

pictures = {run: picture(run) for run in ("one", "two")}
def write(out, run):
    pictures[run].save(out / "a.svg" if DRAWN else out / "a.dot")
""",
    "gradient report": """
from tinygrad_lab.testing.telling import summary

row = {"operation": "one", "verdict": "pass", "resolution": 1e-9, "summary": "", "checks": 1,
       "test": "", "notes": {}, "messages": []}
def write(out, run):
    rows = [{**row, "test": run} for _ in range(2000)]
    summary.write(out / "a.html", rows, [])
""",
    "benchmark": """
from contextlib import redirect_stdout
from benchmarks.__main__ import write as write_record

def write(out, run):
    with redirect_stdout(None):
        write_record({"one": [run] * 20000}, out / "a.json")
""",
    "report": """
from tests.lab.reports import test_publishing

def write(out, run):
    test_publishing.publish(out / "report", run)
""",
}

LOOP = """
import itertools, os, sys
from pathlib import Path

out = Path(sys.argv[1])
for run in itertools.cycle(("one", "two")):
    try:
        write(out, run)
        os.write(1, b".")
    except KeyboardInterrupt:
        os.write(1, b"!")
"""


def started(writer, out, drawn=False):
    code = f"DRAWN = {drawn}\n{WRITERS[writer]}\n{LOOP}"
    # An own signal handler: it is ignored in a suite that runs in the background.
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{code}"
    child = subprocess.Popen(
        [sys.executable, "-c", code, out],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    if child.stdout.read(1) != b".":
        child.kill()
        pytest.fail(child.communicate()[1].decode())
    return child


def runs(text):
    return set(re.findall(r"\b(one|two)\b", text))


def one_run(out):
    """Assert that what lies there is whole and of one run; return which."""
    if (out / "report").exists():
        files = sorted(path for path in (out / "report").rglob("*") if path.is_file())
        assert [path.name for path in files] == ["base.csv", "runs.csv", "index.html"]
        (run,) = set().union(*(runs(path.read_text()) for path in files))
        return run
    (path,) = (path for path in out.iterdir() if not path.name.startswith("."))
    text = path.read_text()
    ends = {".svg": "</svg>", ".dot": "}\n", ".html": "</html>\n", ".json": "}"}
    assert text.endswith(ends[path.suffix]), text[-100:]
    (run,) = runs(text) - ({"one"} if path.suffix in (".html", ".json") else set()) or {"one"}
    return run


@pytest.mark.parametrize("writer", WRITERS)
def test_killed(tmp_path, rng, rounds, tried, writer):
    left = Counter()
    for _ in rounds:
        child = started(writer, tmp_path)
        time.sleep(rng.uniform(0, 0.05))
        child.kill()
        child.communicate()
        left[one_run(tmp_path)] += 1
    tried(f"{left.total()} kills, {dict(left)} left")


def test_killed_while_saving_a_model(tmp_path, rng, rounds, tried):
    kills = kills_while_saving(tmp_path / "a.safetensors", rng)
    left = Counter(next(kills)[0] for _ in range(200))
    left.update(next(kills)[0] for _ in rounds)
    tried(f"{left.total()} kills, {dict(left)} left")


@pytest.mark.parametrize("drawn", [False, True], ids=["text", "drawn"])
def test_interrupted_while_drawing(tmp_path, rng, rounds, tried, drawn):
    if drawn:
        pytest.importorskip("pygraphviz")
    child = started("picture", tmp_path, drawn)
    os.set_blocking(child.stdout.fileno(), False)
    sent = 0
    try:
        for _ in rounds:
            time.sleep(rng.uniform(0, 0.3 if drawn else 0.01))
            child.send_signal(signal.SIGINT)  # to it alone: what it started is its own to end
            sent += 1
            one_run(tmp_path)
            child.stdout.read()
            if child.poll() is not None:  # the interrupt came in between two rounds
                child.communicate()
                child = started("picture", tmp_path, drawn)
                os.set_blocking(child.stdout.fileno(), False)
    finally:
        child.kill()
        child.communicate()
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    leftovers = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    # Where the interrupt comes between two lines of the clean-up, nothing can clean up.
    assert len(leftovers) <= 1 + sent // 100
    tried(f"{sent} interrupts, {len(leftovers)} leftovers")


def test_many_writers_of_one_name(tmp_path, rounds, tried):
    children = [started("picture", tmp_path) for _ in range(4)]
    children += [started("gradient report", tmp_path / "b") for _ in range(4)]
    reads = 0
    try:
        for reads in rounds:  # noqa: B007
            assert runs((tmp_path / "a.dot").read_text()) in ({"one"}, {"two"})
            assert (tmp_path / "a.dot").read_text().endswith("}\n")
            assert (tmp_path / "b/a.html").read_text().endswith("</html>\n")
    finally:
        for child in children:
            child.kill()
            child.communicate()
    tried(f"{reads} reads of files that 4 processes write")
