"""Losses of pairs, of two sides, with queues and without negatives name what is wrong with an argument."""

from typing import Any

import pytest
import torch
from torch import Tensor

from cl_explore.losses.assignment import swav
from cl_explore.losses.catalogue import Knob, Loss
from cl_explore.losses.hypersphere import koleo
from cl_explore.losses.infonce import cpc
from cl_explore.losses.modalities import clip, mil_nce
from cl_explore.losses.pairs import circle, lifted, multi_similarity, n_pair
from cl_explore.losses.predictive import byol, simsiam
from cl_explore.losses.queued import moco, nnclr
from cl_explore.losses.redundancy import barlow_twins, vicreg
from cl_explore.losses.sigmoid import siglip
from cl_explore.losses.spectral import spectral

LOSSES = [
    n_pair,
    lifted,
    multi_similarity,
    circle,
    cpc,
    clip,
    siglip,
    mil_nce,
    moco,
    nnclr,
    byol,
    simsiam,
    barlow_twins,
]
LOSSES += [vicreg, swav, koleo, spectral]
FIRST = {"z": torch.randn(6, 2, 4), "labels": torch.arange(6) % 2, "query": torch.randn(6, 4), "key": torch.randn(6, 4)}
FIRST |= {"context": torch.randn(6, 3), "critic": torch.randn(3, 4), "candidates": torch.randn(6, 3, 4)}
FIRST |= {"prediction": torch.randn(6, 2, 4), "queue": torch.randn(9, 4), "prototypes": torch.randn(3, 4)}
FIRST |= {"memory": torch.randn(7, 2, 4)}
WRONG: dict[str, list[tuple[Any, type[Exception], str]]] = {
    # argument: (what comes, the error, what its message must say)
    "context": [
        (torch.randn(6, 3, 1), ValueError, r"\(N, E\), no size 0; got \(6, 3, 1\)"),
        ([1.0], TypeError, "torch.Tensor, got list"),
    ],
    "critic": [
        (torch.randn(4, 4), ValueError, r"\(E, D\) with E = 3 and D = 4"),
        (torch.ones(3, 4, dtype=torch.long), TypeError, "floating point"),
    ],
    "candidates": [
        (torch.randn(6, 4), ValueError, r"\(N, P, D\) with N = 6 and D = 4"),
        (torch.randn(5, 3, 4), ValueError, r"\(N, P, D\) with N = 6 and D = 4"),
        (torch.randn(6, 0, 4), ValueError, "no size 0"),
    ],
    "prediction": [
        (torch.randn(6, 4), ValueError, r"\(B, V, D\) with B = 6 and V = 2 and D = 4"),
        (torch.randn(6, 2, 3), ValueError, r"\(B, V, D\) with B = 6 and V = 2 and D = 4"),
        (None, TypeError, "torch.Tensor, got NoneType"),
    ],
    "queue": [(torch.randn(9, 3), ValueError, r"\(K, D\) with D = 4"), (torch.randn(4), ValueError, r"\(K, D\)")],
    "prototypes": [(torch.randn(3, 5), ValueError, r"\(C, D\) with D = 4")],
    "memory": [(torch.randn(7, 4), ValueError, r"\(K, V, D\) with V = 2 and D = 4")],
}


def table() -> list[Any]:
    rows = [
        pytest.param(loss, {name: value}, error, f"{name} must.*{message}")
        for loss in LOSSES
        for name in loss.arguments
        for value, error, message in WRONG.get(name, [])
    ]
    for loss in LOSSES:
        for knob in loss.knobs:
            kind = TypeError if isinstance(knob, Knob) else ValueError
            wrong: list[tuple[Any, type[Exception]]] = [("often", kind), (None, kind)]
            if isinstance(knob, Knob):
                wrong += [(True, TypeError), (0.0 if knob.log else knob.minimum - 1, ValueError)]
                wrong += [(float("nan"), ValueError), (float("inf"), ValueError)]
            rows += [pytest.param(loss, {knob.name: value}, error, f"{knob.name} must") for value, error in wrong]
    return rows


@pytest.mark.parametrize(("loss", "wrong", "error", "message"), table())
def test_wrong_argument(loss: Loss, wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        loss(**{name: FIRST[name] for name in loss.arguments} | wrong)


@pytest.mark.parametrize(
    ("loss", "tensors", "message"),
    [
        (n_pair, {"query": FIRST["query"][:1], "key": FIRST["key"][:1]}, "key must have at least 2 rows"),
        (clip, {"query": FIRST["query"][:1], "key": FIRST["key"][:1]}, "key must have at least 2 rows"),
        (cpc, {"context": FIRST["key"][:1], "key": FIRST["key"][:1]}, "key must have at least 2 rows"),
        (spectral, {"query": FIRST["query"][:1], "key": FIRST["key"][:1]}, "key must have at least 2 rows"),
        (mil_nce, {"query": FIRST["query"][:1], "candidates": FIRST["candidates"][:1]}, "query must have at least 2"),
        (cpc, {"context": FIRST["context"], "key": FIRST["key"]}, "critic must be given where context has 3 and key 4"),
        (byol, {"z": FIRST["z"][:, :1], "prediction": FIRST["z"][:, :1]}, "at least 2 views"),
        (vicreg, {"z": torch.randn(6, 3, 4)}, "exactly 2 views"),
        (nnclr, {"z": torch.randn(6, 3, 4)} | {n: FIRST[n] for n in ("prediction", "queue")}, "exactly 2 views"),
        (lifted, {"z": torch.randn(6, 4), "labels": torch.arange(6)}, r"a positive .* and a negative"),
        (circle, {"z": torch.randn(6, 4), "labels": torch.zeros(6, dtype=torch.long)}, r"a positive .* and a negative"),
    ],
)
def test_too_little_to_compare(loss: Loss, tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loss(**tensors)
