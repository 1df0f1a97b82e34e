"""A little of SICK, STS and Multi30k in the folders of their clones."""

import gzip
from pathlib import Path

PAIRS = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"


def clones(root: Path) -> None:
    """Write them below a data folder."""
    sts, captions = root / "dataset-sts" / "data" / "sts", root / "dataset" / "data" / "task2" / "raw"
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
