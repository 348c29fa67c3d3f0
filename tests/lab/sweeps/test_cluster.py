"""Sweeps on Dask: a lost worker costs nothing, and a cluster that will not do is one line.

Schedulers and workers of their own are in ``tests/soak/test_cluster.py``.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import closing, suppress
from threading import Lock, Thread

import pytest

from tests.lab.sweeps.test_running import compared, swept
from tinygrad_lab.lab import Settings, commands
from tinygrad_lab.lab.sweeps import Store, SweepError, cluster
from tinygrad_lab.lab.sweeps.cluster import dask_executor
from tinygrad_lab.lab.sweeps.trial import run_trials

TEXT = "seeds = 2\nsettings.epochs = 50\ngrid.lr = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]"


class Killing(Store):
    """A store that ends a process when the first trial has come home."""

    victim = 0

    def record(self, trial):
        super().record(trial)
        if self.victim:
            os.kill(self.victim, signal.SIGKILL)
            self.victim = 0


@pytest.mark.skipif(os.name == "nt", reason="processes are ended in POSIX's way")
def test_a_killed_worker_costs_nothing(tmp_path, at_once, capfd):
    pytest.importorskip("distributed")
    with Store(tmp_path / "a.sqlite") as store:
        swept(store, TEXT, executor=at_once)
        undisturbed = compared(store)
    with Killing(tmp_path / "b.sqlite") as store, dask_executor("local", 2) as (executor, threads):
        assert threads == 2
        store.victim = min(executor.submit(os.getpid).result() for _ in range(4))
        status = swept(store, TEXT, executor=executor, ahead=4)
        assert not store.victim
        assert (status.done, status.failed) == (12, 0)
        assert compared(store) == undisturbed
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def listening():
    """A port of this machine that is listened to, by nobody who says anything."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server


def test_what_listens_is_no_scheduler(listening, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", 0.1)
    address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(SweepError, match=f"what listens at {address} is no Dask scheduler"):
        refused(address)
    listening.close()
    with pytest.raises(SweepError, match=f"no Dask scheduler answers at {address}.*start one"):
        refused(address)


def refused(address, workers=None):
    with dask_executor(address, workers):
        pytest.fail("it was let in")


@pytest.mark.parametrize(
    "address",
    ["", "loacl", "host", "http://host:8786", "tcp://host", "tcp://host:port", "tcp://:8786"],
)
def test_what_is_no_address(address):
    with pytest.raises(SweepError, match=f"'{address}' is no address .* one is like tcp://"):
        refused(address)


def test_the_command_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text("seeds = 1")
    assert commands.run(["sweep", "a.toml", "--dask", "loacl"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tinygrad-lab: 'loacl' is no address of a Dask scheduler; one is like")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.toml"]


# Where a trial ends in the middle of another library's `open`, nobody closes that file but Python.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_trials_that_nobody_waits_for_end_wherever_they_are():
    def train_on():
        with suppress(BaseException):
            run_trials(Settings(epochs=10**6), [0])

    run_trials(Settings(epochs=1), [0])  # imports what it needs, in which Python's locks are lost
    threads = [Thread(target=train_on, daemon=True) for _ in range(3)]

    class Worker:
        active_threads_lock = Lock()
        active_threads = property(lambda _: {t.ident: "a-1" for t in threads if t.is_alive()})

    for thread in threads:
        thread.start()
    asyncio.run(cluster._end_calls("a", Worker()))
    assert not Worker().active_threads


def test_a_cluster_by_address_has_its_workers():
    with pytest.raises(SweepError, match="leave out --workers"):
        refused("tcp://host:8786", 3)


def test_dask_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SweepError, match=r'pip install "tinygrad-lab\[dask\]"'):
        refused("local")


HERE = {"python": "3.12.1.final.0", "dask": "2026.8.0", "numpy": "2.4.0"}


@pytest.mark.parametrize(
    ("differs", "message"),
    [
        ({"python": "3.12.9.final.0"}, None),
        ({"python": "3.13.1.final.0"}, r"python is 3\.13 on tcp://w and 3\.12 here"),
        ({"numpy": "2.3.0"}, r"numpy is 2\.3\.0 on tcp://w and 2\.4\.0 here"),
        ({"dask": None}, r"dask is not installed on tcp://w; it is 2026\.8\.0 here"),
    ],
)
def test_versions_that_differ(differs, message):
    here, there = {"packages": HERE}, {"tcp://w": {"packages": HERE | differs}}
    if message is None:
        cluster._compare(here, there, tuple(HERE))
    else:
        with pytest.raises(SweepError, match=message):
            cluster._compare(here, there, tuple(HERE))
