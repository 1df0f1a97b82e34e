"""Debiased, hard and masked negatives against the authors' numbers, loops and closed forms."""

import math

import pytest
import torch
from loops import Inputs, e, each_anchor, one, others, random, unit
from proofs import Case, Golden, Reference, golden, loops, views
from torch import Tensor

from cl_explore.losses import Loss, debiased, g_simclr, hard, mcl, nt_xent, selfie


def debias(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    z, tau = views(x, "z"), p["temperature"]
    if not p.get("debiased", True) or p.get("estimator") == "easy":
        return nt_xent(z, temperature=tau)
    if "beta" in p:
        return hard(z, temperature=tau, tau_plus=p["tau_plus"], beta=p["beta"])
    return debiased(z, temperature=tau, tau_plus=p["tau_plus"])


def pseudo_labels(x: Inputs, case: Case) -> Tensor:
    labels = case["inputs"].get("pseudo_labels", range(len(x["z1"])))
    return g_simclr(views(x, "z"), torch.tensor(list(labels)), temperature=case["params"]["temperature"])


def groups(x: Inputs, case: Case) -> Tensor:
    return mcl(views(x, "z"), torch.tensor(case["inputs"]["pseudo_label"]), temperature=case["params"]["temperature"])


def patches(x: Inputs, case: Case) -> Tensor:
    holes = case["inputs"]["mask_ids"]
    image = torch.tensor([number for number, places in enumerate(holes) for _ in places])
    place = torch.tensor([place for places in holes for place in places])
    query = x["u"][image] + x["pos"][place]
    return selfie(query, x["h"][image, place], image, temperature=case["params"]["tau"])


GOLDEN = [
    Golden("debiased", debias),
    Golden("hcl", debias),
    # The other case of the file is an order of batches, not a loss.
    Golden("g-simclr", pseudo_labels, lambda case: not case["name"].startswith("rank")),
    # The others are labels of groups and an order of batches.
    Golden("mcl-feature-suppression", groups, lambda case: case["name"].startswith("masked")),
    Golden("selfie", patches),
]
test_golden = golden(GOLDEN)


def loop_hard(x: Inputs, tau_plus: float, beta: float) -> list[float]:
    z = x["z"]

    def value(b: int, v: int) -> float:
        near = [e(z[b, v], z[j, u]) for j, u in others(z, b)]
        positive, n = e(z[b, v], z[b, 1 - v]), len(near)
        mean = sum(s**beta for s in near) / n
        total = sum(s**beta / mean * s for s in near)
        g = max((total - tau_plus * n * positive) / (1 - tau_plus), n * math.exp(-1 / 0.2))
        return -math.log(positive / (positive + g))

    return each_anchor(z, value)


def loop_g_simclr(x: Inputs) -> list[float]:
    z, y = x["z"], x["labels"]

    def value(b: int, v: int) -> float:
        positives = [e(z[b, v], z[b, u]) for u in range(z.shape[1]) if u != v]
        total = sum(positives) + sum(e(z[b, v], z[j, u]) for j, u in others(z, b) if y[j] != y[b])
        return -sum(math.log(p / total) for p in positives) / len(positives)

    return each_anchor(z, value)


def loop_mcl(x: Inputs) -> list[float]:
    z, y = x["z"], x["labels"]

    def value(b: int, v: int) -> float:
        positives = [e(z[b, v], z[b, u]) for u in range(z.shape[1]) if u != v]
        total = sum(positives) + sum(e(z[b, v], z[j, u]) for j, u in others(z, b) if y[j] == y[b])
        return -sum(math.log(p / total) for p in positives) / len(positives)

    return each_anchor(z, value)


def loop_selfie(x: Inputs) -> list[float]:
    def score(i: int, j: int) -> float:
        return math.exp(float(x["query"][i] @ x["key"][j]) / 0.2)

    image = x["group"].tolist()
    each = range(len(image))
    return [-math.log(score(i, i) / sum(score(i, j) for j in each if image[j] == image[i])) for i in each]


T = {"temperature": 0.2}
REFERENCES = [
    Reference(debiased, T | {"tau_plus": 0.05}, lambda x: loop_hard(x, 0.05, 0)),
    Reference(debiased, T | {"tau_plus": 0.6}, lambda x: loop_hard(x, 0.6, 0)),
    Reference(hard, T | {"tau_plus": 0.05, "beta": 1.5}, lambda x: loop_hard(x, 0.05, 1.5)),
    Reference(g_simclr, T, loop_g_simclr),
    Reference(g_simclr, T, loop_g_simclr, views=3),
    Reference(mcl, T, loop_mcl),
    Reference(mcl, T, loop_mcl, views=3),
    Reference(selfie, T, loop_selfie, fed=("group",)),
]
test_loop = loops(REFERENCES)


def test_hard_with_held_weights() -> None:
    """The gradient of the sum written out with a table of weights that are constants; the value does not change."""
    z = random(5, 2, 4, seed=2).requires_grad_()
    x, sample = unit(z).flatten(0, 1), torch.arange(5).repeat_interleave(2)
    s = (x @ x.T / 0.2).masked_fill(sample[:, None] == sample, -torch.inf)
    weight = 8 * (1.5 * s).softmax(1).detach()
    pull = (unit(z[:, 0]) * unit(z[:, 1])).sum(1).repeat_interleave(2) / 0.2
    g = ((weight * s.exp()).sum(1) - 0.05 * 8 * pull.exp()) / 0.95
    assert (g > 8 * math.exp(-1 / 0.2)).all(), "the floor is tested elsewhere"
    expected = (torch.log(pull.exp() + g) - pull).mean()
    value = hard(z, temperature=0.2, tau_plus=0.05, beta=1.5, weight_grad="detach")
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, z), torch.autograd.grad(expected, z))
    torch.testing.assert_close(value, hard(z, temperature=0.2, tau_plus=0.05, beta=1.5))


def test_anatomy() -> None:
    z = random(6, 2, 4)
    assert g_simclr.parts(z, torch.tensor([0, 0, 0, 1, 1, 2]))["masked"].tolist() == [4] * 6 + [2] * 4 + [0] * 2
    assert mcl.parts(z, torch.tensor([0, 0, 0, 1, 1, 2]))["negatives"].tolist() == [4] * 6 + [2] * 4 + [0] * 2
    floor = debiased.parts(z, temperature=0.2, tau_plus=0.6)
    assert 0 < float(floor["clamped"].mean()) < 1
    assert (floor["negatives"] >= math.log(10) - 1 / 0.2).all()


def test_debiasing_is_exact_where_its_sums_overflow() -> None:
    """At tau 1e-3 the sums are e^1000: in log space positives of 0.9 against negatives of 0.1 cost e^-800, not NaN."""
    z = torch.eye(4)[:, None].expand(4, 2, 4)
    assert debiased(z, temperature=1e-3).isfinite()
    assert float(debiased.parts(z, temperature=1e-3)["clamped"].mean()) == 1
    assert float(debiased.parts(z, temperature=1e-3)["negatives"][0]) == pytest.approx(math.log(6) - 1000)
    swapped = torch.stack([torch.eye(4), torch.eye(4).roll(1, 0)], 1)
    assert float(hard(swapped, temperature=1e-3)) == pytest.approx(1000 + math.log(1 / 0.9), rel=0.01)


def test_value_of_a_collapsed_batch() -> None:
    for loss in (debiased, hard):
        assert float(loss(one(8, 2, 5))) == pytest.approx(math.log(15))
    assert float(g_simclr(one(8, 2, 5), torch.arange(8) // 2)) == pytest.approx(math.log(15 - 2))
    assert float(mcl(one(8, 2, 5), torch.arange(8) // 2)) == pytest.approx(math.log(2 * 2 - 1))
    assert float(selfie(one(8, 5), one(8, 5), torch.arange(8) // 4)) == pytest.approx(math.log(4))


def test_samples_of_other_groups_get_no_gradient() -> None:
    z, labels = random(6, 2, 4).requires_grad_(), torch.tensor([0, 0, 1, 1, 1, 2])
    of_group = mcl(z, labels, reduction="none").view(6, 2)[labels == 0].sum()
    (slope,) = torch.autograd.grad(of_group, z)
    assert slope[labels == 0].abs().sum() > 0
    assert slope[labels != 0].eq(0).all()


def test_bounds() -> None:
    b, tau = 16, 0.3
    gap = b / (b - 1) / tau
    assert debiased.bounds(b, tau_plus=0.0, temperature=tau) == pytest.approx(
        (math.log(2 * b - 1), math.log1p((2 * b - 2) * math.exp(-gap)))
    )


@pytest.mark.parametrize("loss", [debiased, hard], ids=lambda loss: loss.name)
@pytest.mark.parametrize("share", [1.0, 1.5])
def test_not_every_negative_may_be_false(loss: Loss, share: float) -> None:
    with pytest.raises(ValueError, match=rf"tau_plus must be at least 0 and at most 0\.99 and finite, got {share:g}"):
        loss(random(6, 2, 4), tau_plus=share)
