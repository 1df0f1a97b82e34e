"""Labels that are probably wrong: our neighbours beside cleanlab, over the same vectors and the same errors.

    python benchmarks/suspects.py [--cifar10n FILE] [--json FILE]         # pip install cleanlab

cleanlab's `find_label_issues`, as it comes, is given probabilities as in its tutorials: of a logistic regression over
the vectors, each sample predicted by a model that has not seen it (five folds). It is also given the votes of 15
neighbours, which tells its rule from the classifier. The errors are those of report.py: planted ones among 20,000
vectors, and what people got wrong in the first 5,000 pictures of CIFAR-10N: in pixels, shrunk to 8 x 8, in an untrained
encoder, and in one trained for an epoch without labels.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from machine import setting
from numpy.typing import NDArray
from torch import Tensor

from cl_explore import evaluate, geometry, train

POINTS, DIM, PICTURES, K, FOLDS = 20_000, 768, 5_000, 15, 5
EPOCHS = 1


def neighbours(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Ours: the suspected rows, and all rows, the most suspicious first as far as they are suspected."""
    rows = evaluate.suspicious_labels(geometry.knn_graph(x, K), labels).rows
    return rows, rows


def regression(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """cleanlab over a logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    model = LogisticRegression(max_iter=400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pixels do not converge in as many steps as the tutorials allow
        told = cross_val_predict(model, x.numpy(), labels.numpy(), cv=FOLDS, method="predict_proba")
    return issues(told, labels)


def votes(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """cleanlab over the shares of the 15 nearest, none of which is the sample itself."""
    near = labels[geometry.knn_graph(x, K).rows]
    told = torch.nn.functional.one_hot(near, int(labels.max()) + 1).double().mean(1)
    return issues(told.numpy(), labels)


def issues(told: NDArray[np.floating], labels: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that cleanlab calls issues, and all rows by its score."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    found = find_label_issues(labels.numpy(), told, return_indices_ranked_by="self_confidence", n_jobs=1)
    order = get_label_quality_scores(labels.numpy(), told).argsort(kind="stable")
    return torch.from_numpy(found), torch.from_numpy(order)


WAYS: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "cl_explore, 15 neighbours": neighbours,
    "cleanlab, logistic regression": regression,
    "cleanlab, 15 neighbours": votes,
}


def rows(what: str, x: Tensor, labels: Tensor, bad: Tensor, aside: Tensor | None = None) -> list[dict[str, Any]]:
    """A row for each way; the samples `aside` have no right label and do not count."""
    made = []
    for way, find in WAYS.items():
        start = time.perf_counter()
        named, order = (r if aside is None else r[~torch.isin(r, aside)] for r in find(x, labels))
        made.append({"what": what, "way": way, "share wrong": len(bad) / len(labels), **report.found(named, bad),
                     "first": report.found(order[: len(bad)], bad)["precision"],
                     "seconds": time.perf_counter() - start})  # fmt: skip
        print(line(made[-1]), flush=True)
    return made


def line(row: dict[str, Any]) -> str:
    """A row of the table on the page."""
    shares = " | ".join(f"{row[name]:.0%}" for name in ("share wrong", "recall", "precision", "first"))
    return f"| {row['what']} | {row['way']} | {shares} |"


def planted() -> list[dict[str, Any]]:
    """Wrong labels that were planted among clusters."""
    x, labels, where = report.planted(POINTS, DIM)
    return rows("planted", x, labels, where["wrong"], where["outliers"])


def people(file: Path) -> list[dict[str, Any]]:
    """What people got wrong."""
    told, method = report.human(file), report.learner()
    few, made = told.rows[:PICTURES], []
    for space in ("pixels", "untrained", "encoder"):
        if space == "pixels":
            vectors = torch.nn.functional.avg_pool2d(told.cifar.x[few].float() / 255, 4).flatten(1)
        else:
            if space == "encoder":
                train.fit(method, told.cifar, epochs=EPOCHS, batch_size=256)
            vectors = evaluate.embed(method, told.cifar.subset(few)).h
        for name, given in told.given.items():
            y = given[:PICTURES]
            bad = (y != told.true[:PICTURES]).nonzero().flatten()
            made += rows(f"{space}, {name}", vectors, y, bad)
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cifar10n", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = planted() + (people(options.cifar10n) if options.cifar10n else [])
    if options.json:
        record = {"setting": setting(), "cleanlab": version("cleanlab"), "results": results}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
