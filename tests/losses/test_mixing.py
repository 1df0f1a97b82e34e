"""Hard pairs are what their name says, mixtures lie where they should, and draws follow their distribution."""

import pytest
import torch
import torch.nn.functional as F
from proofs import Case, cases, check, leaves
from torch import Tensor

from cl_explore.losses import beta, focal_supcon, hard_pairs, hardest_pairs, mix


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_hardest_pairs_against_a_loop() -> None:
    features = torch.randn(20, 5, generator=generator(), dtype=torch.float64).relu()  # no negative cosines, as is usual
    labels = torch.cat([torch.arange(19) % 4, torch.tensor([9])])
    positive, negative = hardest_pairs(features, labels)
    x = F.normalize(features, dim=1)
    for i in range(20):
        same = [j for j in range(20) if j != i and labels[j] == labels[i]]
        other = [j for j in range(20) if labels[j] != labels[i]]
        assert positive[i] == (min(same, key=lambda j: float(x[i] @ x[j])) if same else i)
        assert negative[i] == max(other, key=lambda j: float(x[i] @ x[j]))


def test_after_a_relu_the_search_of_the_authors_finds_no_positive() -> None:
    features = torch.randn(20, 5, generator=generator()).relu()
    labels = torch.arange(20) % 4
    positive, negative = hardest_pairs(features, labels, mining="authors")
    assert torch.equal(negative, hardest_pairs(features, labels)[1])
    own = positive == torch.arange(20)
    assert (own | (labels[positive] != labels)).all()
    with pytest.raises(ValueError, match=r"mining must be .masked. or .authors., got 'hard'"):
        hardest_pairs(features, labels, mining="hard")  # type: ignore[arg-type]


def test_one_class_has_no_negatives() -> None:
    _, negative = hardest_pairs(torch.randn(5, 3, generator=generator()), torch.zeros(5, dtype=torch.long))
    assert negative.tolist() == list(range(5))


def test_hard_pairs_lie_between_their_ends() -> None:
    features = torch.randn(12, 5, generator=generator(), dtype=torch.float64, requires_grad=True)
    labels = torch.arange(12) % 3
    pairs = hard_pairs(features, labels, num_classes=4, generator=generator(1))
    positive, negative = hardest_pairs(features, labels)
    share = pairs.positive_targets.gather(1, labels[:, None])
    torch.testing.assert_close(pairs.positives, share * features[positive] + (1 - share) * features[negative])
    for targets in (pairs.positive_targets, pairs.negative_targets):
        assert targets.shape == (12, 4)
        torch.testing.assert_close(targets.sum(1), torch.ones(12, dtype=torch.float64))
    pairs.positives.sum().backward()
    assert features.grad is not None
    assert features.grad.any(), "mixtures send their gradient to the features"
    again = hard_pairs(features, labels, num_classes=4, generator=generator(1))
    assert all(torch.equal(a, b) for a, b in zip(pairs, again, strict=True)), "the generator decides everything"


def test_hard_negatives_keep_their_share() -> None:
    features, labels = torch.eye(12, dtype=torch.float64), torch.arange(12) % 3
    pairs = hard_pairs(features, labels, num_classes=3, least=0.8, generator=generator(1))
    largest = pairs.negatives.amax(1)
    assert ((largest >= 0.8) & (largest <= 1)).all()
    assert (largest < 1).any(), "and some of the anchor is mixed in"
    whole = hard_pairs(features, labels, num_classes=3, least=1.0, generator=generator(1))
    assert whole.negatives.sort(0).values.equal(features.sort(0).values), "nothing mixed: a permutation of the rows"


def test_mix_at_its_ends() -> None:
    points = torch.randn(4, 3, generator=generator())
    first, second = torch.tensor([0, 1]), torch.tensor([2, 3])
    assert torch.equal(mix(points, first, second, torch.ones(2)), points[first])
    assert torch.equal(mix(points, first, second, torch.zeros(2)), points[second])


@pytest.mark.parametrize(("a", "b"), [(2, 8), (0.1, 0.1), (1, 1), (4, 4)])
def test_beta_moments(a: float, b: float) -> None:
    draws = beta(200, 100, a=a, b=b, generator=generator(3))
    mean, variance = a / (a + b), a * b / (a + b) ** 2 / (a + b + 1)
    assert draws.shape == (200, 100)
    assert draws.isfinite().all()
    assert ((draws >= 0) & (draws <= 1)).all()
    assert abs(float(draws.mean()) - mean) < 5 * (variance / draws.numel()) ** 0.5
    assert float(draws.var()) == pytest.approx(variance, rel=0.05)


def test_bad_input() -> None:
    features, labels = torch.randn(4, 3), torch.arange(4)
    with pytest.raises(ValueError, match=r"labels must have shape \(N\) with N = 4, no size 0; got \(3,\)"):
        hard_pairs(features, labels[:3], num_classes=4, generator=generator())
    with pytest.raises(ValueError, match=r"least must be between 0 and 1, got 1\.5"):
        hard_pairs(features, labels, num_classes=4, least=1.5, generator=generator())
    with pytest.raises(ValueError, match="alpha must be positive and finite, got 0"):
        hard_pairs(features, labels, num_classes=4, alpha=0, generator=generator())


@pytest.mark.parametrize("case", cases("core-tuning", "mixup"), ids=lambda case: case["name"])
def test_mixtures_of_core_tuning(case: Case) -> None:
    """The authors' mixtures and their loss, with the rows that their search finds (zeros of a mask among them)."""
    i, x = case["inputs"], leaves(case)
    features, labels, order = x["features"], torch.tensor(i["labels"]), torch.tensor(i["order"])
    rows = torch.arange(len(labels))
    positive, negative = hardest_pairs(features, labels, mining="authors")
    keep = torch.tensor(i["lam_neg"], dtype=torch.float64).clamp(min=case["params"]["clip_lam_neg_min"])
    pull = torch.tensor(i["lam_pos"], dtype=torch.float64)
    one_hot = F.one_hot(labels, i["num_classes"]).double()

    def three_blocks(points: Tensor) -> Tensor:
        return torch.cat([points.detach(), mix(points, order, rows, keep), mix(points, positive, negative, pull)])

    mixed, soft = three_blocks(features), three_blocks(one_hot)
    for ours, golden in ((mixed, "mixed_features"), (soft, "mixed_labels")):
        expected = torch.tensor(case["outputs"][golden], dtype=torch.float64)
        torch.testing.assert_close(ours.detach(), expected, atol=1e-9, rtol=1e-9)
    probe = (mixed * torch.arange(1, mixed.numel() + 1).view_as(mixed) / mixed.numel()).sum()
    (gradient,) = torch.autograd.grad(probe, features, retain_graph=True)
    expected = torch.tensor(case["probe_grad"]["features"], dtype=torch.float64)
    torch.testing.assert_close(gradient, expected, atol=1e-9, rtol=1e-9)
    # Points with exactly equal soft labels are positives of each other.
    groups = soft.round(decimals=6).unique(dim=0, return_inverse=True)[1]
    check(focal_supcon(mixed, groups, temperature=0.07, divide="all"), x, case)
