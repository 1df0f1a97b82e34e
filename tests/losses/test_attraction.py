"""CACR and its momentum form against the authors' numbers, loops, weights and closed forms."""

import math

import pytest
import torch
from loops import Inputs, e, each_anchor, one, random, unit
from proofs import Case, Golden, Reference, cases, close, golden, leaves, loops, views
from roles import batch
from torch import Tensor

from cl_explore.losses import cacr, cacr_momentum


def cacr_call(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    if "T" in p:
        return cacr_momentum(views(x, "x_q"), x["x_k"], temperature=p["T"])
    none = p.get("choice") == "none"
    return cacr(
        views(x, "x"),
        tau_pos=0.0 if none else p["tau_pos"],
        tau_neg=0.0 if none else p["tau_neg"],
        alpha=p["alpha"],
        beta=p["beta"],
        tau_plus=p.get("tau_plus", 0.0),
    )


GOLDEN = [Golden("cacr", cacr_call)]
test_golden = golden(GOLDEN)


@pytest.mark.parametrize(
    "case", [case for case in cases("cacr") if "small" in case["name"]], ids=lambda case: case["name"]
)
def test_anatomy(case: Case) -> None:
    """The file lists the weights of the last query view (positives) and of the last pair of views (negatives)."""
    x, p, extra = leaves(case), case["params"], case["extra"]
    z = views(x, "x")
    none = p.get("choice") == "none"
    knobs = {"alpha": p["alpha"], "beta": p["beta"], "tau_plus": p.get("tau_plus", 0.0)}
    parts = cacr.parts(z, tau_pos=0 if none else p["tau_pos"], tau_neg=0 if none else p["tau_neg"], **knobs)
    close(parts["attraction"].mean(), extra["loss_attraction"])
    close(parts["repulsion"].mean(), extra["loss_repulsion"])
    samples, count, _ = z.shape
    positive = parts["positive_weight"].view(samples, count, count)[:, -1, :-1]
    negative = parts["negative_weight"].view(samples, count, count, samples)[:, -2, -1]
    others = ~torch.eye(samples, dtype=torch.bool)
    if not none:
        close(positive, extra["last_pos_weights"])
        close(negative[others].view(samples, -1), extra["last_neg_weights"])
    close(positive.sum(1), [1.0] * samples)
    close(negative.sum(1), [1.0] * samples)


@pytest.mark.parametrize(
    "case", [case for case in cases("cacr") if "moco" in case["name"]], ids=lambda case: case["name"]
)
def test_momentum_with_euclidean_cost(case: Case) -> None:
    """The authors sum this form over the batch."""
    x = leaves(case)
    samples = len(x["x_k"])
    z = views(x, "x_q")
    value = samples * cacr_momentum(z, x["x_k"], temperature=case["params"]["T"], cost="euclidean")
    close(value, case["extra"]["loss_euclidean"])
    value.backward()
    for v, expected in enumerate(case["extra"]["grad_euclidean"]):
        close(x[f"x_q{v}"].grad, expected)


def loop_cacr(x: Inputs, later_only: bool, tau_plus: float = 0.0) -> list[float]:
    """alpha 1.5, beta 0.5, tau_pos 2, tau_neg 3."""
    z = unit(x["z"])
    views = z.shape[1]

    def cost(a: Tensor, b: Tensor) -> float:
        return float((a - b).square().sum())

    def mean(costs: list[float], tau: float) -> float:
        weights = [math.exp(tau * c) for c in costs]
        return sum(w * c for w, c in zip(weights, costs, strict=True)) / sum(weights)

    def value(b: int, v: int) -> float:
        total = 1.5 * mean([cost(z[b, v], z[b, u]) for u in range(views) if u != v], 2)
        for u in range(views):
            if u == v or (later_only and u < v):
                continue
            push = 0.5 * mean([cost(z[b, v], z[j, u]) for j in range(len(z)) if j != b], -3)
            push = (push + tau_plus * cost(z[b, v], z[b, u])) / (1 - tau_plus)
            total -= push * (2 if later_only else 1) / (views - 1)
        return total

    return each_anchor(z, value)


def loop_momentum(x: Inputs, euclidean: bool) -> list[float]:
    z, k = unit(x["z"]), unit(x["key"])

    def value(b: int, v: int) -> float:
        far = [math.exp(float((z[b, u] - k[b]).square().sum()) / 0.2) for u in range(z.shape[1])]
        share = far[v] / sum(far) * z.shape[1]
        if not euclidean:
            return share * 2 * 0.2 * math.log(sum(e(z[b, v], k[j]) for j in range(len(z))) / e(z[b, v], k[b]))
        cost = [float((z[b, v] - k[j]).square().sum()) / 2 for j in range(len(z))]
        near = [(math.exp(-c / 0.2), c) for j, c in enumerate(cost) if j != b]
        return share * (cost[b] - sum(w * c for w, c in near) / sum(w for w, _ in near))

    return each_anchor(z, value)


CACR = {"alpha": 1.5, "beta": 0.5, "tau_pos": 2.0, "tau_neg": 3.0}
T = {"temperature": 0.2}
REFERENCES = [
    Reference(cacr, CACR, lambda x: loop_cacr(x, True), views=3),
    Reference(cacr, CACR | {"pairs": "all", "tau_plus": 0.2}, lambda x: loop_cacr(x, False, 0.2), views=3),
    Reference(cacr_momentum, T, lambda x: loop_momentum(x, False), views=3),
    Reference(cacr_momentum, T | {"cost": "euclidean"}, lambda x: loop_momentum(x, True), views=3),
]
test_loop = loops(REFERENCES)


def test_live_weights_attract_far_negatives_and_held_ones_never_do() -> None:
    """By a negative's cost the derivative is pi (1 - tau (c - mean)) times the push: it turns beyond 1 / tau."""
    angles = torch.tensor([0.0, 0.4, 0.8, 3.0], dtype=torch.float64)
    z = torch.stack([angles.cos(), angles.sin()], 1)[:, None].repeat(1, 2, 1)
    for switch, sign in (("live", 1.0), ("detach", -1.0)):
        leaf = z.clone().requires_grad_()
        parts = cacr.parts(leaf, tau_neg=5.0, weight_grad=switch)
        first = parts["repulsion"].view(4, 2)[0, 0]
        (gradient,) = torch.autograd.grad(first, leaf)
        away = (z[3, 1] - z[0, 0]) / (z[3, 1] - z[0, 0]).norm()
        tangent = away - (away @ z[3, 1]) * z[3, 1]
        assert math.copysign(1, float(gradient[3, 1] @ tangent)) == sign
        held = parts["negative_weight"].view(4, 2, 2, 4)[0, 0, 1].detach()
        cost = parts["negative_cost"].view(4, 2, 2, 4)[0, 0, 1].detach()
        derivative = held * (1 - 5 * (cost - held @ cost)) if switch == "live" else held
        towards = (2 * derivative[3] * (z[0, 0] - z[3, 1])) @ tangent
        torch.testing.assert_close(gradient[3, 1] @ tangent, towards)


@pytest.mark.parametrize("cost", ["rbf", "euclidean"])
def test_momentum_holds_its_weights(cost: str) -> None:
    """The gradient is that of the costs, each times a weight that is a constant; with one query rbf holds none."""
    z, key, tau = random(5, 2, 4).requires_grad_(), unit(random(5, 4, seed=1)), 0.3
    parts = cacr_momentum.parts(z, key, temperature=tau, cost=cost)
    s = unit(z) @ key.T
    own = torch.eye(5, dtype=torch.bool)[:, None]
    if cost == "rbf":
        each = 2 * (tau * (s / tau).logsumexp(2) - s.diagonal(dim1=0, dim2=2).T)
    else:
        near = (s / tau).masked_fill(own, -torch.inf).softmax(2).detach()
        each = 1 - s.diagonal(dim1=0, dim2=2).T - (near * (1 - s)).sum(2)
    assert not parts["weight"].requires_grad
    expected = (2 * parts["weight"] * each.flatten()).mean()
    torch.testing.assert_close(parts["loss"].mean(), expected)
    found, wanted = (torch.autograd.grad(value, z, retain_graph=True)[0] for value in (parts["loss"].mean(), expected))
    torch.testing.assert_close(found, wanted)


def test_gradient_of_momentum_to_the_temperature() -> None:
    z, key = random(5, 4), random(5, 4, seed=1)
    for temperature in (torch.linspace(0.3, 0.6, 5).double(), torch.tensor(0.3).double()):
        assert torch.autograd.gradcheck(lambda t: cacr_momentum(z, key, temperature=t), temperature.requires_grad_())


def test_a_noisy_view_is_attracted_more_the_larger_tau_pos() -> None:
    z, _, generator = batch(4, samples=32)
    z = z[:, :1].expand(-1, 5, -1) + 0.1 * torch.randn(32, 5, 5, generator=generator, dtype=torch.float64)
    z[:, 4] += torch.randn(32, 5, generator=generator, dtype=torch.float64)
    mean = [
        float(cacr.parts(z, tau_pos=tau)["positive_weight"].view(32, 5, 5)[:, :4, 4].mean()) for tau in (0.0, 1.0, 4.0)
    ]
    assert mean[0] == pytest.approx(0.25)
    assert mean == sorted(mean)
    assert mean[1] > 0.26


def test_landmarks() -> None:
    z, far = one(8, 2, 5), -1 / 15
    assert float(cacr(z)) == pytest.approx(0, abs=1e-12)
    assert float(cacr_momentum(z, z[:, 0], temperature=0.3)) == pytest.approx(0.6 * math.log(8))
    assert float(cacr_momentum(z, z[:, 0], cost="euclidean")) == pytest.approx(0, abs=1e-12)
    assert cacr.bounds(16, beta=0.5) == pytest.approx((0, -0.5 * (2 - 2 * far)), abs=1e-12)


def test_wrong_arguments() -> None:
    z = random(6, 2, 4)
    with pytest.raises(ValueError, match=r"tau_plus must be at least 0 and at most 0\.99 and finite, got 1"):
        cacr(z, tau_plus=1.0)
    with pytest.raises(ValueError, match="key must have one row for each of the 6 samples of z, got 5"):
        cacr_momentum(z, z[:5, 0])
