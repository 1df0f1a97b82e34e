"""Arrays and labels give the same in every form that people have them in, whatever torch's defaults are."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cl_explore import evaluate, geometry, losses
from cl_explore.given import classes

X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)).half().float()
Y = torch.arange(12) % 3
A, B = X.numpy(), Y.numpy()
TEXTS = [("ape", "bee", "cat")[label] for label in Y.tolist()]
ROWS: dict[str, Any] = {
    "array": A, "list": A.tolist(), "list of tensors": list(X), "frame": pd.DataFrame(A), "big-endian": A.astype(">f4"),
    "reversed": A[::-1].copy()[::-1], "objects": A.astype(object), "half": X.half(), "Fortran": np.asfortranarray(A),
    "with gradient": X.clone().requires_grad_(),
}  # fmt: skip
LABELS: dict[str, Any] = {
    "array": B, "list": B.tolist(), "list of tensors": list(Y), "column": pd.Series(B, index=range(10, 22)),
    "nullable": pd.Series(B, dtype="Int64"), "big-endian": B.astype(">i8"), "reversed": B[::-1].copy()[::-1],
    "objects": B.astype(object), "uint16": B.astype(np.uint16), "torch uint64": Y.to(torch.uint64), "texts": TEXTS,
    "text column": pd.Series(TEXTS), "categories": pd.Series(TEXTS, dtype="category"), "huge": Y * 10**15,
}  # fmt: skip
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "summary": lambda x, y: list(geometry.summary(x, y).values()),
    "collapse": lambda x, y: [geometry.neural_collapse(x, y).nc1.item()],
    "kNN": lambda x, y: [evaluate.knn_accuracy(x, y, x, y, k=3)],
    "clusters": lambda x, y: [*evaluate.agreement(y, y), *evaluate.kmeans(x, 2).tolist()],
    "retrieval": lambda x, y: [evaluate.recall(x, x, 2, y, y)],
}


@pytest.mark.parametrize("call", CALLS)
def test_every_form_gives_the_same(call: str) -> None:
    right = CALLS[call](X, Y)
    for name, x in ROWS.items():
        assert CALLS[call](x, Y) == pytest.approx(right, rel=1e-4), name
    for name, labels in LABELS.items():
        assert CALLS[call](X, labels) == pytest.approx(right), name


@pytest.mark.parametrize("labels", [[*TEXTS[:-1], None], [*TEXTS[:-1], 1], [*B.tolist()[:-1], None]])
def test_gaps_and_mixtures_are_refused(labels: list) -> None:
    with pytest.raises(TypeError, match="labels must be numbers"):
        geometry.summary(X, labels)


def test_two_classes_may_be_truth_values_and_texts_bytes() -> None:
    truths, places = Y == 1, (Y == 1).long()
    for call in CALLS.values():
        right = call(X, places)
        for labels in (truths, truths.numpy(), truths.tolist(), pd.Series(truths), truths.numpy().astype("S5")):
            assert call(X, labels) == pytest.approx(right)


def test_declared_categories_keep_their_order() -> None:
    column = pd.Series(TEXTS, dtype=pd.CategoricalDtype(["cat", "bee", "ape"]))
    (coded,), names = classes({"labels": column})
    assert names == ("cat", "bee", "ape")
    assert [names[place] for place in coded] == TEXTS


def test_labels_of_both_parts_are_of_one_kind() -> None:
    with pytest.raises(TypeError, match="test_labels must be texts as train_labels are"):
        evaluate.knn_accuracy(X, TEXTS, X, Y, k=1)


@pytest.mark.parametrize("call", CALLS)
def test_torch_defaults_change_nothing(call: str) -> None:
    right = CALLS[call](X, Y)
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        assert CALLS[call](X, Y) == pytest.approx(right)
    finally:
        torch.set_default_dtype(before)
        torch.set_default_device(None)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda z: losses.nt_xent(z[:, 0], z[:, 1]), "nt_xent(torch.stack([z1, z2], 1))"),
        (lambda z: losses.supcon(z[:, 0], z[:, 1], Y), "supcon(torch.stack([z1, z2], 1), labels)"),
        (lambda z: losses.nt_xent(z.transpose(0, 1).flatten(0, 1)), "z.view(2, 12, 4).transpose(0, 1)"),
        (lambda z: losses.clip(z), "clip(z[:, 0], z[:, 1])"),
        (lambda z: losses.triplet(z[:, 0], z[:, 1], z[:, 0]), "triplet(torch.cat([anchor, positive, negative])"),
    ],
)
def test_calls_of_other_libraries_are_told_the_line_to_write(call: Callable, line: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        call(torch.stack([X, X], 1))
    assert line in str(error.value)


def test_float32_beside_float64_is_compared_in_float64() -> None:
    y = X.roll(1, 0)
    for loss in (losses.siglip, losses.spectral, losses.info_nce):
        assert loss(X, y.double()) == loss(X.double(), y.double())
