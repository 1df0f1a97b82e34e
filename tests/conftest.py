"""What all tests stand on."""

import gzip
import signal
from collections.abc import Iterator
from pathlib import Path

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


PAIRS = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A little of SICK, STS and Multi30k in the folders of their clones."""
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    sts, captions = tmp_path / "dataset-sts" / "data" / "sts", tmp_path / "dataset" / "data" / "task2" / "raw"
    for folder in (sts / "sick2014", captions, *(sts / "semeval-sts" / str(year) for year in range(2012, 2017))):
        folder.mkdir(parents=True)
    graded = [
        ("A dog runs fast", "A dog runs quickly", 5, "ENTAILMENT"),
        ("A dog runs fast", "One two three four", 1.3, "NEUTRAL"),
        ("A dog runs fast", "A dog sits there", 3.6, "CONTRADICTION"),
        ("A dog runs fast", "A cat sits there", 2.2, "NEUTRAL"),
        ("One", "Two", 2, "NEUTRAL"),
        ("One", "Three", 1, "CONTRADICTION"),
    ]
    text = PAIRS + "".join(f"{place}\t{a}\t{b}\t{score}\t{said}\n" for place, (a, b, score, said) in enumerate(graded))
    for name in ("SICK_train", "SICK_test_annotated"):
        (sts / "sick2014" / f"{name}.txt").write_text(text)
    (sts / "semeval-sts" / "2014" / "images.test.tsv").write_text("5\ta dog\tdog\n1\ta dog\ttwo\n\tnot\tjudged\n")
    (sts / "semeval-sts" / "2015" / "belief.test.tsv").write_text("1\tone\tone\n2\tthree\tfour\n")
    for number in range(1, 6):
        lines = "".join(f"Caption {number} of image {image}.\n" for image in range(12))
        for split in ("train", "test_2016"):
            (captions / f"{split}.{number}.en.gz").write_bytes(gzip.compress(lines.encode()))
    return tmp_path
