"""What all tests stand on."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from graded import clones

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


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A little of SICK, STS and Multi30k in a data folder."""
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    clones(tmp_path)
    return tmp_path
