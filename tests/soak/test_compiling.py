"""Ctrl-C at any moment of compiling, and several processes that compile at once into one folder."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("numba", exc_type=ImportError)

SCRIPT = """
import sys
import numpy as np
import tinygrad_lab as tl
from tinygrad_lab import nn, optim

x = np.random.default_rng(0).uniform(size=(100, 2))
model = nn.MLP([2, 3, 1], activation="tanh", rng=int(sys.argv[1]))
optimizer = optim.Adam(model.parameters())

def step():
    loss = nn.functional.mse_loss(model(x), x[:, :1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss

print("ready", flush=True)
print(tl.repeat(tl.jit(step, backend="numba"), 30)()[-1].hex())
"""


def begin(folder: Path, seed: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "TINYGRAD_LAB_CACHE": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(seed)], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def result(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.split()[-1]


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
def test_interrupts_while_compiling(
    rng: random.Random, rounds: Iterator[int], tried: Callable[[str], None], tmp_path: Path
) -> None:
    expected = result(begin(tmp_path / "undisturbed", 0))
    interrupted = 0
    for number in rounds:
        folder = tmp_path / f"kernels{number % 3}"  # kept, thrown away, kept, ...
        process = begin(folder, 0)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0, 3))
        process.send_signal(rng.choice((signal.SIGINT, signal.SIGKILL)))
        process.communicate(timeout=300)
        interrupted += process.returncode != 0
        assert result(begin(folder, 0)) == expected
    tried(f"{interrupted} interrupts and kills while compiling")


def test_processes_that_compile_at_once(
    rounds: Iterator[int], tried: Callable[[str], None], tmp_path: Path
) -> None:
    expected = [result(begin(tmp_path / "alone", seed)) for seed in range(2)]
    count = 0
    for count in rounds:
        together = [begin(tmp_path / f"kernels{count}", seed % 2) for seed in range(4)]
        assert [result(process) for process in together] == expected * 2
    tried(f"{count + 1} times four processes that compiled at once")
