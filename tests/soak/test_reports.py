"""A report that is killed at random, again and again, ends as one that nobody disturbed.

Not for kills while a report takes the place of another: ``test_kills.py``.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are ended in POSIX's way")

ROOT = Path(__file__).parents[2]

REPORT = """
import signal, sys
from functools import partial
from tinygrad_lab.lab import cli, reports
from tinygrad_lab.lab.reports.study import Row, Study
from tinygrad_lab.lab.settings import Settings

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup and & ignore it
    epochs = range(600, 6600, 600)
    rows = [Row("", f"epochs {n}", Settings(hidden=(2,), epochs=n)) for n in epochs]
    studies = [Study("slow", "Slow", "", tuple(rows))]
    reports.make_report = partial(reports.make_report, studies=studies, parts=(), workers=2)
    cli.main(["report", "--quick", "--out", sys.argv[1]])
"""


def begun(script, out):
    return subprocess.Popen(
        [sys.executable, script, out],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def whole(script, out):
    child = begun(script, out)
    _, stderr = child.communicate()
    assert child.returncode == 0, stderr.decode()


def contents(out):
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {p.name: re.sub(r"in \d+&nbsp;s", "", p.read_text("utf-8")) for p in files}


def test_killed_until_it_is_there(tmp_path, rng: random.Random, rounds, tried):
    script = tmp_path / "report.py"
    script.write_text(REPORT)
    before = time.monotonic()
    whole(script, tmp_path / "undisturbed")
    usual = time.monotonic() - before
    undisturbed, kills, reports = contents(tmp_path / "undisturbed"), 0, 0
    home = tmp_path / "home"
    for _ in rounds:
        for _ in range(5):
            child = begun(script, home / "report")
            try:
                child.wait(rng.uniform(0, 1.2 * usual))
            except subprocess.TimeoutExpired:
                child.send_signal(rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
                kills += 1
            _, stderr = child.communicate(timeout=60)  # at its end no worker is left either
            # While Python starts, Ctrl-C is nobody's but Python's.
            assert b"Traceback" not in stderr or b"KeyboardInterrupt" in stderr, stderr.decode()
            if (home / "report").exists():  # of this round or of the last: whole in any case
                assert contents(home / "report") == undisturbed
        whole(script, home / "report")
        reports += 1
        assert contents(home / "report") == undisturbed
        assert [path.name for path in home.iterdir()] == ["report"]
    tried(f"{kills} kills of {reports} reports")
