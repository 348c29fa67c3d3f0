"""Processes that work for this one: a pool of which one is killed breaks, and never hangs."""

import os
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from multiprocessing import connection

import pytest

from tinygrad_lab.lab.workers import pool_of

# A task comes to a process as the text of a program: a test is no module that could be imported.
HALF_SENT = """
import os, signal
from multiprocessing import connection

def send_half(self, data, write=None):
    os.write(self.fileno(), bytes(data)[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

connection.Connection._send = send_half
"""


@pytest.mark.skipif(os.name == "nt", reason="processes are ended in POSIX's way")
def test_a_process_killed_while_it_sends_its_result_breaks_the_pool():
    assert hasattr(connection.Connection, "_send")
    with pytest.raises(BrokenExecutor), pool_of(2) as pool:
        half_sent(pool)


def half_sent(pool):
    pool.submit(time.sleep, 600)  # the other process lives, and could send the rest
    pool.submit(exec, HALF_SENT, {}).result(timeout=30)


SCRIPT = """
print("the script runs")
from tinygrad_lab.lab.workers import pool_of

with pool_of(2) as pool:
    print(sum(pool.map(abs, range(3))))
"""


def test_processes_do_not_run_the_script_that_started_them(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("the script runs\n3\n", "")
