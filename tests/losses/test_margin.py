"""Contrastive margin and triplets against the authors' numbers, loops and closed forms."""

import math
from typing import Any

import pytest
import torch
from loops import Inputs, one, points, repeated, softplus, square
from proofs import Case, Golden, Reference, golden, labels_of, loops
from torch import Tensor

from cl_explore.losses import contrastive_margin, triplet


def triplet_call(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    return triplet(
        x["z"],
        labels_of(case),
        margin=p["margin"],
        mining="hard" if "hardest" in p.get("mining", "") else "all",
        distance="squared" if p.get("squared") else "euclidean",
        hinge="softplus" if p.get("smooth") else "relu",
        swap="on" if p.get("swap") else "off",
        average="active" if p.get("reducer") == "AvgNonZero" else "valid",
        normalize=p["normalize"],
    )


def pairs_of(first: Tensor, second: Tensor, same: list[int], **knobs: Any) -> Tensor:
    """A list of pairs: each is a batch of two points here."""
    pairs = zip(first, second, same, strict=True)
    each = [contrastive_margin(torch.stack([a, b]), torch.tensor([0, 1 - yes]), **knobs) for a, b, yes in pairs]
    return torch.stack(each).mean()


def margin_call(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    return pairs_of(x["z1"], x["z2"], p["same"], margin=p["margin"], normalize=p["normalize"])


def primer(x: Inputs, case: Case) -> Tensor:
    margin = case["params"]["margin"]
    if case["name"] == "triplet_hinge_euclid":  # a batch of one anchor, one positive and one negative for each triplet
        y, rows = torch.tensor([0, 0, 1]), zip(x["anchor"], x["positive"], x["negative"], strict=True)
        each = [triplet(torch.stack(row), y, margin=margin, normalize=False, reduction="none")[0] for row in rows]
        return torch.stack(each).mean()
    y = case["inputs"]["y"]
    return 2 * pairs_of(x["anchor"], x["positive"], y, margin=margin, normalize=False)  # the primer has no one half


GOLDEN = [
    Golden("triplet", triplet_call),
    # The file's other two cases average over the pairs that violate the margin, without the square: another loss.
    Golden("contrastive-margin", margin_call, lambda case: case["name"].startswith("Hadsell")),
    Golden("nlp-primer", primer, lambda case: "anchor" in case["inputs"]),
]
test_golden = golden(GOLDEN)


def loop_triplet(x: Inputs, mining: str, soft: bool = False, squared: bool = False, swap: bool = False) -> list[float]:
    """Mean hinge of each anchor over its mined triplets, margin 0.3; 0 for an anchor without a positive."""
    z, y, power = points(x), repeated(x), 1 if squared else 0.5
    n = range(len(z))
    d = [[square(a, b) ** power for b in z] for a in z]
    out = []
    for a in n:
        near, far = [p for p in n if p != a and y[p] == y[a]], [q for q in n if y[q] != y[a]]
        chosen = [(d[a][p], min(d[a][q], d[p][q]) if swap else d[a][q]) for p in near for q in far]
        if mining == "hard" and chosen:
            chosen = [(max(p for p, _ in chosen), min(q for _, q in chosen))]
        if mining == "semi-hard":
            chosen = [(p, q) for p, q in chosen if p < q < p + 0.3]
        hinges = [softplus(p - q + 0.3) if soft else max(p - q + 0.3, 0) for p, q in chosen]
        out.append(sum(hinges) / max(len(hinges), 1))
    return out


def loop_contrastive_margin(x: Inputs) -> list[float]:
    z, y = points(x), repeated(x)
    out = []
    for i in range(len(z)):
        d = [(math.sqrt(square(z[i], z[j])), y[i] == y[j]) for j in range(len(z)) if j != i]
        out.append(sum((r if same else max(0.9 - r, 0)) ** 2 / 2 for r, same in d) / len(d))
    return out


M = {"margin": 0.3}
REFERENCES = [
    Reference(contrastive_margin, {"margin": 0.9}, loop_contrastive_margin),
    Reference(triplet, M, lambda x: loop_triplet(x, "all")),
    Reference(triplet, M | {"distance": "squared"}, lambda x: loop_triplet(x, "all", squared=True), views=1),
    Reference(triplet, M | {"mining": "semi-hard"}, lambda x: loop_triplet(x, "semi-hard")),
    Reference(triplet, M | {"mining": "hard"}, lambda x: loop_triplet(x, "hard"), views=1),
    Reference(triplet, M | {"hinge": "softplus"}, lambda x: loop_triplet(x, "all", soft=True), views=1),
    Reference(triplet, M | {"mining": "hard", "hinge": "softplus"}, lambda x: loop_triplet(x, "hard", soft=True)),
    Reference(triplet, M | {"swap": "on"}, lambda x: loop_triplet(x, "all", swap=True)),
]
test_loop = loops(REFERENCES)


def test_ties_are_not_semi_hard() -> None:
    """A negative exactly as far as the positive is not farther, and one exactly at the margin costs nothing."""
    z = torch.tensor([[0.0], [1.0], [-1.0], [2.0]], dtype=torch.float64)  # the anchor, a positive, a tie, at the margin
    parts = triplet.parts(z, torch.tensor([0, 0, 1, 1]), margin=1.0, mining="semi-hard", normalize=False)
    assert parts["active"][0] == 0
    assert parts["loss"][0] == 0


def test_landmarks() -> None:
    labels = torch.arange(8) % 2
    assert float(contrastive_margin(one(8, 2, 4), labels)) == pytest.approx(0.5 * 8 / 15)
    assert float(triplet(one(8, 2, 4), labels)) == pytest.approx(0.2)
    assert triplet.bounds(margin=0.25) == pytest.approx((0.25, 0))


def test_what_cannot_be_compared() -> None:
    z = torch.randn(6, 4)
    for labels in (torch.arange(6), torch.zeros(6, dtype=torch.long)):
        with pytest.raises(ValueError, match=r"a positive .* and a negative"):
            triplet(z, labels)
    with pytest.raises(ValueError, match="swap must be 'off'"):
        triplet(z, torch.arange(6) % 2, mining="hard", swap="on")
    with pytest.raises(ValueError, match="hinge must be 'relu'"):
        triplet(z, torch.arange(6) % 2, mining="semi-hard", hinge="softplus")
