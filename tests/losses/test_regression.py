"""Rank-N-Contrast and SupReMix against the authors' numbers, loops and closed forms."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from loops import Inputs, dot, inputs, log_sum, one, points, random, repeated, square
from proofs import Case, Golden, Reference, cases, check, golden, leaves, loops, tensor
from torch import Tensor

from cl_explore.losses import rnc, supremix


def rank(x: Inputs, case: Case) -> Tensor:
    targets = torch.tensor(case["params"].get("labels", case["inputs"].get("labels")), dtype=torch.float64)
    return rnc(x["features"], targets, temperature=case["params"]["temperature"])


def mixed_ranks(x: Inputs, case: Case, **knobs: str) -> Tensor:
    """The file counts points view by view, the library sample by sample."""
    p, i = case["params"], case["inputs"]
    batch, views, _ = x["x"].shape
    order = torch.arange(batch * views).view(views, batch).T.flatten()
    shares = torch.tensor(i["lam_neg"], dtype=torch.float64)[order][:, order]
    on = {True: "on", False: "off"}
    knobs = {"mix_negatives": on[p["mix_neg"]], "mix_positives": on[p["mix_pos"]]} | knobs
    targets = torch.tensor(i["labels"], dtype=torch.float64)
    return supremix(x["x"], targets, shares, temperature=p["temperature"], window=p["window"], **knobs)


GOLDEN = [
    Golden("rnc", rank),
    Golden("supremix", lambda x, case: (rank if case["name"].startswith("rnc") else mixed_ranks)(x, case)),
]
test_golden = golden(GOLDEN)


def test_variants_of_supremix() -> None:
    """Kept apart: the authors' numerics, which shift points and mixtures by different maxima inside one sum."""
    variants = {
        "loss_without_distance_weight": {"distance_weight": "off"},
        "grad_through_mixtures": {"mixture_grad": "live"},
    }
    for case in cases("supremix"):
        for name, knobs in variants.items():
            if name in case:
                x = leaves(case)
                check(mixed_ranks(x, case, **knobs), x, case[name], f"{case['name']}, {name}")


def loop_rnc(x: Inputs, raw: bool) -> list[float]:
    z, y = points(x, raw=raw), repeated(x, "targets")
    out = []
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        logit = {j: -math.sqrt(square(z[i], z[j])) / 0.7 for j in others}
        each = []
        for j in others:
            rivals = [k for k in others if abs(y[i] - y[k]) >= abs(y[i] - y[j])]
            each.append(log_sum([logit[k] for k in rivals]) - logit[j])
        out.append(sum(each) / len(each))
    return out


def loop_supremix(x: Inputs, weight: Callable[[float], float], window: float) -> list[float]:
    z, y, share = points(x), repeated(x, "targets"), x["shares"].tolist()
    n = range(len(z))
    out = []
    for i in n:
        positives = [z[j] for j in n if j != i and y[j] == y[i]]
        for j in n:
            for k in n:
                if y[i] - window < y[j] < y[i] < y[k] < y[i] + window:
                    a = (y[k] - y[i]) / (y[k] - y[j])
                    positives.append([a * p + (1 - a) * q for p, q in zip(z[j], z[k], strict=True)])
        negatives = []
        for k in n:
            if y[k] != y[i]:
                s, gap = share[i][k], abs(y[i] - y[k])
                negatives.append((z[k], weight(gap)))
                mixture = [s * p + (1 - s) * q for p, q in zip(z[i], z[k], strict=True)]
                negatives.append((mixture, weight((1 - s) * gap)))
        e = [math.exp(dot(z[i], p) / 0.4) for p in positives]
        total = sum(e) + sum(w * math.exp(dot(z[i], m) / 0.4) for m, w in negatives)
        out.append(-sum(math.log(value / total) for value in e) / len(e))
    return out


MIXED = {"temperature": 0.4, "window": 3.0}
REFERENCES = [
    Reference(rnc, {"temperature": 0.7}, lambda x: loop_rnc(x, raw=True)),
    Reference(rnc, {"temperature": 0.7, "normalize": True}, lambda x: loop_rnc(x, raw=False), views=1),
    Reference(supremix, MIXED, lambda x: loop_supremix(x, lambda d: d + 1, 3.0), fed=("shares",)),
    Reference(
        supremix,
        MIXED | {"window": 4.0, "distance_weight": "squared"},
        lambda x: loop_supremix(x, lambda d: d * d + 1, 4.0),
        fed=("shares",),
    ),
]
test_loop = loops(REFERENCES)


def test_supremix_mixtures_carry_no_gradient_unless_asked() -> None:
    """Detached, a point that is only ever part of mixtures is not moved by the anchors it helps."""
    x = inputs(samples=3, views=1)
    z, targets = x["z"].clone().requires_grad_(), torch.tensor([0.0, 1.0, 2.0])
    knobs: dict[str, Any] = {"mix_negatives": "off", "window": 1.5}
    gradients = {}
    for grad in ("detach", "live"):
        each = supremix(z, targets, mixture_grad=grad, reduction="none", **knobs)
        assert each.count_nonzero() == 1, "only the middle one lies between two others"
        (gradients[grad],) = torch.autograd.grad(each[1], z)
    assert not torch.allclose(gradients["detach"], gradients["live"])


def test_supremix_in_blocks_equals_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    x = inputs()
    gradients = []
    for table in (2**22, 400):
        monkeypatch.setattr("cl_explore.losses.blocks.TABLE", table)
        z = x["z"].clone().requires_grad_()
        supremix(z, x["targets"], window=4.0).backward()
        gradients.append(z.grad)
    torch.testing.assert_close(*gradients, atol=1e-14, rtol=1e-12)


def test_lonely_anchors_of_supremix_do_not_count() -> None:
    z, targets = random(6, 4), tensor([0.0, 0.0, 1.0, 2.0, 3.0, 4.0])
    parts = supremix.parts(z, targets, mix_positives="off")
    assert parts["anchor_weight"].tolist() == [1, 1, 0, 0, 0, 0]
    assert (parts["loss"][2:] == 0).all()
    with pytest.raises(ValueError, match="at least one anchor needs a positive"):
        supremix(z, torch.arange(6.0), mix_positives="off")


def test_small_distances_of_long_vectors() -> None:
    """Views 1e-3 apart at length 100: a distance by way of inner products would be rounding error."""
    z = torch.randn(8, 1, 16, generator=torch.Generator().manual_seed(0)) * 100
    z, targets = torch.cat([z, z + 1e-3], 1), torch.arange(8.0)
    truth = rnc(z.double(), targets.double(), temperature=1e-2)
    torch.testing.assert_close(rnc(z, targets, temperature=1e-2).double(), truth, atol=0, rtol=1e-5)


def test_landmarks_of_rnc() -> None:
    place = tensor([0.0, 1.0, 3.0, 7.0])
    assert float(rnc(place[:, None], place, temperature=1e-2)) == pytest.approx(0), "no two equally far from a third"
    views = rnc(place[:, None, None].expand(-1, 2, 1), place, temperature=1e-2)
    assert float(views) == pytest.approx(6 / 7 * math.log(2)), "each other sample is two points equally far"
    assert float(rnc(one(8, 2, 4), torch.zeros(8).double())) == pytest.approx(math.log(15))
    rivals = [(2, 1), (1, 2), (2, 1)]  # how many are as far as each of the two others, or farther
    value = rnc(one(3, 1, 4), tensor([0.0, 1.0, 3.0]))
    assert float(value) == pytest.approx(sum(math.log(a) + math.log(b) for a, b in rivals) / 6)


def test_value_of_supremix_for_a_collapsed_batch() -> None:
    plain = {"distance_weight": "off", "mix_negatives": "off", "mix_positives": "off"}
    labels = tensor([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0])
    assert float(supremix(one(8, 2, 4), labels, **plain)) == pytest.approx(math.log(15))


def test_wrong_arguments() -> None:
    x = inputs()
    with pytest.raises(ValueError, match=r"targets must have shape \(B,\), one number for each sample, got \(6, 2\)"):
        supremix(x["z"], random(6, 2))
    with pytest.raises(ValueError, match=r"anchor_share must be at least 0 and at most 1 and finite, got 1\.5"):
        supremix(x["z"], x["targets"], anchor_share=1.5)
