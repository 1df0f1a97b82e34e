"""ColloSSL against the numbers of its code, of both signs, loops, and what its weights and negatives make of it."""

import math

import pytest
import torch
from loops import Inputs, inputs, random, unit
from proofs import Case, Golden, Reference, golden, loops
from torch import Tensor
from torch.nn import functional as F

from cl_explore.losses import collossl, mil_nce


def released(x: Inputs, case: Case) -> Tensor:
    """The file lists devices first, and weights of positives, which are equal, beside those of negatives."""
    weights, p = (x["negative_weights"] / x["positive_weights"][0, 0])[:, 0].detach(), case["params"]
    sign = "cosine" if "paper" in p["similarity"] else "minus cosine"
    parts = (x["positives"].transpose(0, 1), x["negatives"].transpose(0, 1))
    return collossl(x["anchor"], *parts, weights, temperature=p["temperature"], sign=sign)


test_golden = golden([Golden("collossl", released, lambda case: "loss" in case)])


def loop(x: Inputs, weights: list[float] | None = None, toward: int = 1) -> list[float]:
    """With weights, of negatives; without, the candidates of other queries are the negatives."""
    q, k, far = (unit(x[name]) for name in ("query", "candidates", "negatives"))
    found = []
    for i, anchor in enumerate(q):
        pull = sum(math.exp(toward * float(anchor @ c) / 0.3) for c in k[i])
        if weights is None:
            push = sum(math.exp(toward * float(anchor @ c) / 0.3) for j in range(6) if j != i for c in k[j])
        else:
            push = sum(w * math.exp(toward * float(anchor @ n) / 0.3) for w, n in zip(weights, far, strict=True))
        found.append(-math.log(pull / (pull + push)))
    return found


T, WEIGHTS = {"temperature": 0.3}, inputs()["negative_weights"].tolist()
REFERENCES = [
    Reference(collossl, T, loop),
    Reference(collossl, T, lambda x: loop(x, [1.0] * 5), fed=("negatives",)),
    Reference(collossl, T, lambda x: loop(x, WEIGHTS), fed=("negatives", "negative_weights")),
    Reference(collossl, T | {"sign": "minus cosine"}, lambda x: loop(x, WEIGHTS, -1),
              fed=("negatives", "negative_weights")),
]  # fmt: skip
test_loop = loops(REFERENCES)


def test_one_positive_and_one_negative_make_a_softplus() -> None:
    q, near, far = random(8, 4), random(8, 1, 4, seed=1), random(8, 1, 4, seed=2)
    gap = (F.cosine_similarity(q, far[:, 0]) - F.cosine_similarity(q, near[:, 0])) / 0.2
    for sign, toward in (("cosine", 1), ("minus cosine", -1)):
        each = collossl(q, near, far, temperature=0.2, sign=sign, reduction="none")
        torch.testing.assert_close(each, F.softplus(toward * gap))


def test_weights_count_as_copies_and_only_beside_the_positives() -> None:
    q, near, far = random(8, 4), random(8, 2, 4, seed=1), random(8, 3, 4, seed=2)
    torch.testing.assert_close(collossl(q, near, near), torch.tensor(math.log(2), dtype=torch.float64))
    copies = torch.tensor([3, 1, 2])
    torch.testing.assert_close(collossl(q, near, far, copies.double()),
                               collossl(q, near, far.repeat_interleave(copies, 1)))  # fmt: skip
    torch.testing.assert_close(collossl(q, near.repeat(1, 5, 1), far, torch.full((3,), 5.0)), collossl(q, near, far))
    shared, weights = far[0], torch.tensor([0.2, 1.0, 7.0]).double()
    heat = torch.linspace(0.1, 0.9, 8).double()
    torch.testing.assert_close(collossl(q, near, shared, weights, temperature=heat),
                               collossl(q, near, shared.expand(8, 3, 4), weights, temperature=heat))  # fmt: skip


def test_without_negatives_it_is_mil_nce_of_queries() -> None:
    q, bags = random(6, 4), random(6, 3, 4, seed=1)
    torch.testing.assert_close(collossl(q, bags, temperature=0.2), mil_nce(q, bags, temperature=0.2, direction="query"))
    with pytest.raises(ValueError, match="negative_weights must come with negatives"):
        collossl(q, bags, negative_weights=torch.ones(3))
