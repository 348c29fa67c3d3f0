"""What the tests of the lab share: a command line, and what is made once for all of them."""

import shlex

import pytest

from tinygrad_lab.lab import cli
from tinygrad_lab.lab.reports import checked


@pytest.fixture(scope="session")
def section():
    """The section, made once: it is the same each time, which test_checked.py shows."""
    return checked.section()


@pytest.fixture
def command(capsys):
    """Run the command and return its exit status, output and errors."""

    def run(line):
        with pytest.raises(SystemExit) as left:
            cli.main(shlex.split(line))
        out, err = capsys.readouterr()
        return left.value.code or 0, out, err

    return run
