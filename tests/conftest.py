"""What all tests stand on."""

import signal
from collections.abc import Iterator

import pytest

from cl_explore import losses

# A shell that starts the tests in the background makes them, and every process they start, deaf to interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def losses_as_they_were() -> Iterator[None]:
    """A loss that a test declares is gone after it, in whatever order and on whatever core tests run."""
    before = dict(losses.catalogue)
    yield
    if losses.catalogue != before:
        losses.catalogue.clear()
        losses.catalogue.update(before)
