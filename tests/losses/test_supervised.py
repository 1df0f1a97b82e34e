"""Supervised contrast, soft nearest neighbours and the focal form against numbers, loops and closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import Inputs, dot, inputs, one, points, random, repeated, simplex, square
from proofs import Case, Golden, Reference, cases, check, close, golden, labels_of, leaves, loops, tensor
from roles import batch
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import Loss, focal_supcon, soft_nn, soft_supcon, supcon, supcon_in


def supcon_call(x: Inputs, case: Case) -> Tensor:
    p, z = case["params"], x["features"]
    labels = labels_of(case) if "labels" in p or "labels" in case["inputs"] else torch.arange(len(z))
    each = supcon(z, labels, temperature=p["temperature"], normalize=p["normalize_inputs"], reduction="none")
    each = each.view(z.shape[:2])[:, : 1 if p.get("contrast_mode") == "one" else None]
    return each.mean() * p["temperature"] / p["base_temperature"]


def in_and_out(x: Inputs, case: Case) -> Tensor:
    """The authors keep anchors without a positive in the mean, as zeros; ours leaves them out."""
    p = case["params"]
    loss = {"in": supcon_in, "out": supcon}[p["variant"]]
    return loss(x["z"], labels_of(case), temperature=p["temperature"], reduction="none").mean()


def soft_nearest(x: Inputs, case: Case) -> Tensor:
    """A temperature T of 1 - cos is 2 T of the squared distance of unit vectors."""
    p = case["params"]
    unit = p["distance"] == "1-cos"
    return soft_nn(x["z"], labels_of(case), temperature=p["temperature"] * (2 if unit else 1), normalize=unit)


def focal(x: Inputs, case: Case) -> Tensor:
    return focal_supcon(x["x"], labels_of(case), temperature=case["params"]["temperature"], divide="all")


GOLDEN = [
    Golden("supcon", supcon_call),
    Golden("supcon-in-out", in_and_out),
    # The others of soft-nn have 1e-5 inside the logarithm: see test_the_reference_code_of_soft_nn_caps_the_loss.
    Golden("soft-nn", soft_nearest, lambda case: case["params"]["eps"] == 0),
    Golden("core-tuning", focal, lambda case: case["name"].startswith("focal")),  # the mixtures: test_mixing.py
]
test_golden = golden(GOLDEN)


def test_the_reference_code_of_soft_nn_caps_the_loss() -> None:
    """1e-5 beside far neighbours makes up to 0.01, for a singleton all of its 11.5, which does not count with us."""
    for case in cases("soft-nn"):
        p, labels = case["params"], labels_of(case)
        cosine = p["distance"] == "1-cos"
        temperature = p["temperature"] * (2 if cosine else 1)
        each = soft_nn.parts(leaves(case)["z"], labels, temperature=temperature, normalize=cosine)
        lonely = int((each["anchor_weight"] == 0).sum())
        assert lonely == (1 if case["name"].startswith("singleton") else 0)
        capped = lonely * -math.log(1e-5)
        close((each["loss"].sum() + capped) / len(labels), case["loss"], case["name"], tolerance=0.02)


def test_core_tuning_variants() -> None:
    for case in cases("core-tuning", "focal"):
        for variant in ("variant_mean_over_positives", "variant_mean_over_positives_tau05"):
            expected, x = case[variant], leaves(case)
            temperature = expected.get("temperature", case["params"]["temperature"])
            value = focal_supcon(x["x"], labels_of(case), temperature=temperature)
            check(value, x, {"grad": {}} | expected, case["name"])


@pytest.mark.parametrize("case", [c for c in cases("space-2") if "features" in c["inputs"]], ids=lambda c: c["name"])
def test_soft_supcon_is_that_of_the_authors(case: Case) -> None:
    p, mask = case["params"], case["inputs"]["mask"]
    x = {"features": tensor(case["inputs"]["features"]).requires_grad_()}
    weights = None if mask is None else tensor(mask)
    value = soft_supcon(x["features"], weights, temperature=p["temperature"], normalize=False)
    check(value * p["temperature"] / p["base_temperature"], x, case)


def loop_softmax(x: Inputs, tau: float, mean: str) -> list[float]:
    """-log softmax of the positives over all other points, averaged outside or inside the logarithm; 0 without any."""
    z, y = points(x), repeated(x)
    out = []
    for i in range(len(z)):
        near = {a: math.exp(dot(z[i], z[a]) / tau) for a in range(len(z)) if a != i}
        p = [value / sum(near.values()) for a, value in near.items() if y[a] == y[i]]
        if not p:
            out.append(0.0)
        else:
            out.append(-sum(map(math.log, p)) / len(p) if mean == "out" else -math.log(sum(p) / len(p)))
    return out


def loop_soft_nn(x: Inputs, temperature: float, raw: bool) -> list[float]:
    z, y = points(x, raw=raw), repeated(x)
    out = []
    for i in range(len(z)):
        near = {a: math.exp(-square(z[i], z[a]) / temperature) for a in range(len(z)) if a != i}
        own = sum(value for a, value in near.items() if y[a] == y[i])
        out.append(-math.log(own / sum(near.values())))
    return out


def loop_focal(x: Inputs, gamma: float, fed: bool) -> list[float]:
    z, y = points(x), repeated(x)
    out = []
    for i in range(len(z)):
        columns = [(z[a], y[a] == y[i]) for a in range(len(z)) if a != i]
        if fed:
            columns += [(p, a == i) for a, p in enumerate(points(x, "positives"))]
            columns += [(n, False) for n in points(x, "negatives")]
        total = sum(math.exp(dot(z[i], c) / 0.2) for c, _ in columns)
        q = [math.exp(dot(z[i], c) / 0.2) / total for c, positive in columns if positive]
        out.append(-sum((1 - p) ** gamma * math.log(p) for p in q) / len(q))
    return out


def loop_soft_supcon(x: Inputs, tau: float) -> list[float]:
    z, sample = points(x), [b for b in range(len(x["z"])) for _ in range(x["z"].shape[1])]
    out = []
    for i in range(len(z)):
        near = {a: math.exp(dot(z[i], z[a]) / tau) for a in range(len(z)) if a != i}
        f = {a: float(x["weights"][sample[i], sample[a]]) for a in near}
        terms = (f[a] * math.log(near[a] / sum(near.values())) for a in near)
        out.append(-sum(terms) / (sum(f.values()) or 1))
    return out


REFERENCES = [
    Reference(supcon, {"temperature": 0.2}, lambda x: loop_softmax(x, 0.2, "out"), views=1),
    Reference(supcon, {"temperature": 0.1}, lambda x: loop_softmax(x, 0.1, "out"), views=3),
    Reference(supcon_in, {"temperature": 0.2}, lambda x: loop_softmax(x, 0.2, "in")),
    Reference(supcon_in, {"temperature": 0.2}, lambda x: loop_softmax(x, 0.2, "in"), views=1),
    Reference(soft_nn, {"temperature": 0.5}, lambda x: loop_soft_nn(x, 0.5, raw=False)),
    Reference(soft_nn, {"temperature": 3.0, "normalize": False}, lambda x: loop_soft_nn(x, 3.0, raw=True), views=3),
    Reference(focal_supcon, {"temperature": 0.2, "gamma": 1.0}, lambda x: loop_focal(x, 1.0, fed=False)),
    Reference(
        focal_supcon,
        {"temperature": 0.2, "gamma": 0.5},
        lambda x: loop_focal(x, 0.5, fed=True),
        fed=("positives", "negatives"),
    ),
    Reference(soft_supcon, {"temperature": 0.2}, lambda x: loop_soft_supcon(x, 0.2), views=3, fed=("weights",)),
    Reference(soft_supcon, {"temperature": 0.5}, lambda x: loop_soft_supcon(x, 0.5), views=1, fed=("weights",)),
]
test_loop = loops(REFERENCES)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
def test_supcon_in_is_never_above_out(seed: int, tau: float) -> None:
    z = torch.randn(9, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = torch.arange(9) % 3
    inside, outside = (loss(z, y, temperature=tau, reduction="none") for loss in (losses.supcon_in, losses.supcon))
    assert (inside <= outside + 1e-12).all()


@pytest.mark.parametrize("loss", [supcon, supcon_in, soft_nn, focal_supcon], ids=lambda loss: loss.name)
def test_anchors_without_a_positive_do_not_count(loss: Loss) -> None:
    z = random(6, 4).requires_grad_()
    parts = loss.parts(z, torch.tensor([0, 0, 1, 2, 3, 4]))
    assert parts["anchor_weight"].tolist() == [1, 1, 0, 0, 0, 0]
    assert (parts["loss"][2:] == 0).all()
    assert (parts["loss"][:2] > 0).all()
    torch.testing.assert_close(loss(z, torch.tensor([0, 0, 1, 2, 3, 4])), parts["loss"][:2].mean())
    (gradient,) = torch.autograd.grad(parts["loss"].sum(), z)
    assert gradient.isfinite().all()
    with pytest.raises(ValueError, match="at least one anchor needs a positive"):
        loss(z, torch.arange(6))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focus_of_pairs_already_won(gamma: float) -> None:
    """q rounds to 1 there, and the power of 1 - q has an infinite slope for gamma below 1."""
    z = torch.eye(4)[:, None].repeat(1, 2, 1).requires_grad_()
    value = focal_supcon(z, torch.arange(4), gamma=gamma, temperature=1e-3)
    assert value == 0
    assert torch.autograd.grad(value, z)[0].isfinite().all()


def test_a_larger_focus_never_makes_the_loss_larger() -> None:
    for seed in range(20):
        z, y, _ = batch(seed)
        none, one, two = (focal_supcon(z, y, temperature=0.2, gamma=g, reduction="none") for g in (0.0, 1.0, 2.0))
        assert (none >= one).all()
        assert (one >= two).all()


def test_focal_positives_and_negatives_of_other_shapes() -> None:
    """One harder positive shared by the views of a sample; negatives of each anchor that are the same for all."""
    x = inputs()
    shared = x["positives"][:, 0]
    left = focal_supcon(x["z"], x["labels"], shared, x["negatives"])
    both = shared[:, None].expand(-1, 2, -1)
    torch.testing.assert_close(left, focal_supcon(x["z"], x["labels"], both, x["negatives"].expand(12, 5, 4)))


def test_value_of_a_collapsed_batch() -> None:
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
    z = one(8, 2, 4)
    for loss in (supcon, supcon_in):
        assert float(loss(z, labels)) == pytest.approx(math.log(15))
    number = (2 * torch.bincount(labels)[labels] - 1).double().repeat_interleave(2)
    torch.testing.assert_close(soft_nn(z, labels, reduction="none"), (15 / number).log())
    assert float(focal_supcon(z, labels)) == pytest.approx((1 - 1 / 15) * math.log(15))


def test_value_of_a_perfect_batch() -> None:
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3, 4])
    z = simplex(5)[labels][:, None].expand(-1, 2, -1)
    number = (2 * torch.bincount(labels)[labels] - 1).double().repeat_interleave(2)
    each = soft_nn(z, labels, temperature=1e-2, reduction="none")
    close(each, [0.0] * 18)
    close(focal_supcon(z, labels, temperature=1e-2, gamma=0, reduction="none"), number.log().tolist())
    close(focal_supcon(z, labels, temperature=1e-2, reduction="none"), ((1 - 1 / number) * number.log()).tolist())


def test_bounds() -> None:
    collapsed, perfect = supcon.bounds(samples=16, classes=4, temperature=0.3)
    assert collapsed == pytest.approx(math.log(31))
    assert perfect == pytest.approx(math.log(7 + 24 * math.exp(-4 / 3 / 0.3)))
    assert soft_nn.bounds(samples=16, classes=4)[0] == pytest.approx(math.log(31 / 7))
    assert focal_supcon.bounds(samples=16, classes=4)[0] == pytest.approx(30 / 31 * math.log(31))


def test_soft_supcon_is_least_where_softmax_and_shares_agree() -> None:
    """Three points on a line of their own each, one pair nearer by tau log 3: shares of 3 to 1."""
    weights = torch.tensor([[1.0, 3, 1], [3, 1, 1], [1, 1, 1]], dtype=torch.float64)
    near = 0.5 * math.log(3)
    gram = torch.tensor([[1, near, 0], [near, 1, 0], [0, 0, 1]], dtype=torch.float64)
    z = torch.linalg.cholesky(gram)
    parts = soft_supcon.parts(z, weights, temperature=0.5)
    torch.testing.assert_close(parts["loss"], parts["entropy"])
    close(parts["entropy"][0], math.log(4) - 0.75 * math.log(3))
    moved = soft_supcon.parts(z + 0.1 * random(3, 3), weights, temperature=0.5)
    assert (moved["loss"] > parts["loss"]).all()


def test_an_anchor_with_weak_kin_alone_counts_in_full_and_one_without_any_not_at_all() -> None:
    z = random(4, 3)
    weights = torch.eye(4, dtype=torch.float64)
    weights[0, 1] = 1e-3
    parts = soft_supcon.parts(z, weights)
    assert parts["anchor_weight"].tolist() == [1, 0, 0, 0]
    weights[0, 1] = 1.0
    torch.testing.assert_close(parts["loss"], soft_supcon.parts(z, weights)["loss"])
    torch.testing.assert_close(soft_supcon(z, weights), parts["loss"][0])
