"""What the tests of sweeps share: an executor that runs a task when it is submitted."""

from concurrent.futures import Executor, Future

import pytest


class AtOnce(Executor):
    """Runs a task in the process and thread that submits it, before `submit` returns."""

    def submit(self, function, /, *arguments, **keywords):
        future = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(*arguments, **keywords))
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        return future


@pytest.fixture
def at_once():
    """An executor without threads or processes."""
    return AtOnce()
