"""The trials of a sweep on a Dask cluster: one that runs already, or one made on this machine.

The store stays here: trials come home and are kept by this process, so that workers need no file
of ours.  Dask runs again what a lost worker was running.  Its packages are loaded when they are
asked for.  Not for which trials there are and what becomes of them (``running.py``).
"""

from __future__ import annotations

import ctypes
import itertools
import logging
import signal
import socket
import sys
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from tinygrad_lab.lab.sweeps.errors import ExecutorError, SweepError, WorkerEndedError
from tinygrad_lab.lab.workers import environment_of_workers, undisturbed
from tinygrad_lab.nn.kernels.threads import processors

#: In place of an address: make a cluster here, and end it afterwards.
LOCAL = "local"

# Seconds that a scheduler may take to answer, and its workers to be there.
_PATIENCE = 5.0

# What all must have in the same version: to understand each other, and to compute the same.
_OF_SCHEDULERS = ("python", "dask", "distributed")
_OF_WORKERS = (*_OF_SCHEDULERS, "numpy", "tinygrad-lab")

# A local worker that is killed is replaced however often.  Dask would give up those that are not
# back after 15 seconds, and one that is killed twice may not be: then nobody is left, in the end.
_CONFIGURATION = {"distributed.deploy.lost-worker-timeout": "1000 days"}

# Dask says on the terminal what it does about lost workers; here it is one line or none.
_TALKERS = ("distributed", "distributed.client", "tornado", "tornado.application")


@contextmanager
def dask_executor(where: str, workers: int | None = None) -> Iterator[tuple[Executor, int]]:
    """Run trials on a Dask cluster for as long as the ``with`` block lasts.

    What the cluster is still running when the block is left by an error or Ctrl-C is ended there.

    Parameters
    ----------
    where
        A scheduler's address, such as ``tcp://host:8786``; or ``"local"``: processes on this
        machine with one thread each, which end with this process in whatever way it ends.
    workers
        How many processes for ``"local"``, by default one a processor.

    Yields
    ------
    executor, threads
        For :func:`run_sweep`, and how many trials can be run at a time.

    Raises
    ------
    SweepError
        Dask is not installed; there is no scheduler, or it has no workers; versions differ; the
        scheduler was lost.

    Examples
    --------
    >>> with dask_executor("http://localhost:8786"):
    ...     pass
    Traceback (most recent call last):
      ...
    tinygrad_lab.lab.sweeps.errors.SweepError: 'http://localhost:8786' is no address of a Dask...
    """
    if where != LOCAL and workers is not None:
        raise SweepError(f"the cluster at {where} has the workers it has; leave out --workers")
    with _started(workers) if where == LOCAL else _connected(where) as client:
        trials = _Trials(client)
        try:
            yield trials, sum(client.nthreads().values())
        except ExecutorError as error:
            raise SweepError(
                f"lost the Dask scheduler at {client.scheduler.address}; what is finished is kept, "
                "and the same command goes on from there when there is a scheduler again"
            ) from error
        except BaseException:
            trials.end()
            raise


@contextmanager
def _started(workers: int | None) -> Iterator[Any]:
    """Start processes on this machine, and yield their client."""
    with _dask() as distributed, environment_of_workers(), ExitStack() as stack:
        with undisturbed():
            cluster = distributed.LocalCluster(
                n_workers=workers or processors(),
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",  # any port that is free, for this machine alone
                silence_logs=logging.CRITICAL,
                preload=__name__,
            )
            stack.enter_context(cluster)
        yield stack.enter_context(distributed.Client(cluster, set_as_default=False))


def dask_setup(_: Any) -> None:
    """Leave Ctrl-C, and the terminal, to the process that started this one, a local worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.unraisablehook = lambda _: None  # of trials that are ended while garbage is collected


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Connect with a scheduler whose workers are as they must be, and yield the client."""
    _listen_to(address)
    with _dask() as distributed, _client(distributed, address) as client:
        versions = client.get_versions()
        _compare(versions["client"], {"the scheduler": versions["scheduler"]}, _OF_SCHEDULERS)
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError:
            raise SweepError(
                f"the Dask scheduler at {address} has no workers; start some where tinygrad_lab "
                f"is installed: dask worker {address}"
            ) from None
        versions = client.get_versions(packages=["tinygrad-lab"])
        _compare(versions["client"], versions["workers"], _OF_WORKERS)
        yield client


def _client(distributed: Any, address: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)
            return distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
    except Exception as error:  # whatever another version of Dask, or a wrong certificate, leads to
        raise SweepError(
            f"cannot connect to the Dask scheduler at {address}: {error}; Dask is "
            f"{distributed.__version__} here, and must be the same there"
        ) from error


def _listen_to(address: str) -> None:
    """Raise SweepError if there is no scheduler: Dask itself would wait for it for ever.

    A scheduler speaks first, and begins with the number of bytes that follow.
    """
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:  # a port that is no number
        port = None
    if port is None or not host or scheme not in ("tcp", "tls"):
        raise SweepError(
            f"{address!r} is no address of a Dask scheduler; one is like tcp://host:8786, and "
            f"{LOCAL} is for processes on this machine"
        )
    try:
        connection = socket.create_connection((host, port), timeout=_PATIENCE)
    except OSError as error:
        raise SweepError(
            f"no Dask scheduler answers at {address} ({error.strerror or error}); start one with "
            "dask scheduler, which says its address"
        ) from None
    with connection, connection.makefile("rb") as stream, suppress(OSError):
        if scheme == "tls":  # where the client speaks first
            return
        first = stream.read(8)
        if len(first) == 8 and int.from_bytes(first, "little") < 2**20:
            return
    raise SweepError(f"what listens at {address} is no Dask scheduler, or hangs")


def _compare(here: Any, there: Mapping[str, Any], packages: Sequence[str]) -> None:
    """Raise SweepError at the first package that is another one there, or is not there."""
    for place, versions in there.items():
        for package in packages:
            ours, theirs = (_version(each["packages"], package) for each in (here, versions))
            if theirs is None:
                raise SweepError(f"{package} is not installed on {place}; it is {ours} here")
            if theirs != ours:
                raise SweepError(
                    f"{package} is {theirs} on {place} and {ours} here; install the same in both"
                )


def _version(packages: Mapping[str, str | None], package: str) -> str | None:
    """Return a version, of Python without what differs between its repairs."""
    version = packages.get(package)
    return ".".join(version.split(".")[:2]) if version and package == "python" else version


@contextmanager
def _dask() -> Iterator[Any]:
    """Load Dask, and keep to ourselves what it logs of workers and connections that are lost."""
    try:
        import dask.config
        import distributed
    except ModuleNotFoundError as error:
        if error.name not in ("dask", "distributed"):
            raise
        raise SweepError(
            f"{error.name} is not installed; clusters need the dask extra: "
            'pip install "tinygrad-lab[dask]"'
        ) from None
    WorkerEndedError.register(distributed.KilledWorker)
    loggers = [logging.getLogger(name) for name in _TALKERS]
    levels = [logger.level for logger in loggers]  # set where they are loaded
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with dask.config.set(_CONFIGURATION):
            yield distributed
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _Trials(Executor):
    """Submits trials under names by which they can be ended."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executor = client.get_executor()
        self._name = f"trial-{uuid.uuid4().hex}"
        self._numbers = itertools.count()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Send a call to the cluster."""
        key = f"{self._name}-{next(self._numbers)}"
        future: Future[Any] = self._executor.submit(fn, *args, key=key, **kwargs)
        return future

    def end(self) -> None:
        """End what is being run, which Dask by itself would let run to its end."""
        with suppress(Exception):  # of a cluster that is gone there is nothing to end
            self._executor.shutdown(wait=False)
            self._client.run(_end_calls, self._name)


class _EndedError(BaseException):
    """Raised in the middle of a trial that nobody waits for: nothing there is to catch it."""


async def _end_calls(name: str, dask_worker: Any) -> None:
    """Raise an error in the threads of this worker that are running calls of this name.

    More than once, if need be: what is raised while Python collects garbage is lost.
    """
    import asyncio  # which workers have loaded, and the command line need not

    for _ in range(20):
        with dask_worker.active_threads_lock:
            threads = [
                thread
                for thread, key in dask_worker.active_threads.items()
                if str(key).startswith(name)
            ]
            for thread in threads:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread), ctypes.py_object(_EndedError)
                )
        if not threads:
            return
        await asyncio.sleep(0.1)
