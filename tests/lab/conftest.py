"""What the tests of the lab share: the section on hand-written backprop, made once."""

import pytest

from tinygrad_lab.lab.reports import checked


@pytest.fixture(scope="session")
def section():
    """The section, made once: it is the same each time, which test_checked.py shows."""
    return checked.section()
