"""Losses of pairs, of two sides, with queues and without negatives where pencil and paper give the answer."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses import uniformity
from cl_explore.losses.assignment import sinkhorn, swav
from cl_explore.losses.catalogue import Loss
from cl_explore.losses.hypersphere import koleo
from cl_explore.losses.infonce import cpc
from cl_explore.losses.modalities import clip, mil_nce
from cl_explore.losses.pairs import circle, lifted, multi_similarity, n_pair
from cl_explore.losses.predictive import byol, simsiam
from cl_explore.losses.queued import moco, nnclr
from cl_explore.losses.redundancy import barlow_twins, vicreg
from cl_explore.losses.sigmoid import siglip
from cl_explore.losses.spectral import spectral


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one(*shape: int) -> Tensor:
    """Unit vectors that all coincide."""
    return F.normalize(torch.ones(*shape, dtype=torch.float64), dim=-1)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x)) if x < 30 else x


CLASSES = torch.arange(8) % 2  # of 8 samples with 2 views: 7 positives and 8 negatives for each point
COLLAPSED = [
    # loss, tensors, value when all points coincide
    (n_pair, (one(8, 4), one(8, 4)), math.log(8) + 2 * 0.02),
    (lifted, (one(8, 2, 4), CLASSES), (1 + math.log(16)) ** 2 / 2),
    (multi_similarity, (one(8, 2, 4), CLASSES), softplus(math.log(7) - 1) / 2 + softplus(math.log(8) + 25) / 50),
    (circle, (one(8, 2, 4), CLASSES), softplus(math.log(56) + 80 * (1 - 2 * 0.4**2))),
    (cpc, (one(8, 4), one(8, 4)), math.log(8)),
    (clip, (one(8, 4), one(8, 4)), math.log(8)),
    (siglip, (one(8, 4), one(8, 4)), 8 * math.log(2)),
    (mil_nce, (one(8, 4), one(8, 3, 4)), math.log(8)),
    (moco, (one(8, 4), one(8, 4), one(11, 4)), math.log(12)),
    (nnclr, (one(8, 2, 4), one(8, 2, 4), one(11, 4)), math.log(8)),
    (byol, (one(8, 2, 4), one(8, 2, 4)), 0),
    (simsiam, (one(8, 2, 4), one(8, 2, 4)), -1),
    (barlow_twins, (one(8, 2, 4),), 4),
    (vicreg, (one(8, 2, 4),), 25 * 0.99),
    (swav, (one(8, 2, 4), torch.eye(4, dtype=torch.float64)), math.log(4)),
    (koleo, (one(8, 2, 4),), 8 * math.log(10)),
    (spectral, (one(8, 4), one(8, 4)), -1),
]


@pytest.mark.parametrize(("loss", "tensors", "expected"), COLLAPSED, ids=[row[0].name for row in COLLAPSED])
def test_value_of_a_collapsed_batch(loss: Loss, tensors: tuple[Tensor, ...], expected: float) -> None:
    assert float(loss(*tensors)) == pytest.approx(expected, rel=1e-7, abs=1e-9)


def simplex(points: int) -> Tensor:
    return F.normalize(torch.eye(points, dtype=torch.float64) - 1 / points, dim=1)


def test_value_of_a_perfect_batch() -> None:
    """B samples on a simplex, views equal: cosines 1 and -1/(B-1)."""
    b, tau = 8, 0.3
    z, cosine = simplex(b), -1 / (b - 1)
    both = z[:, None].expand(b, 2, b)
    contrast = math.log1p((b - 1) * math.exp((cosine - 1) / tau))
    assert float(clip(z, z, temperature=tau)) == pytest.approx(contrast)
    assert float(mil_nce(z, both, temperature=tau)) == pytest.approx(contrast)
    assert float(nnclr(both, both, z, temperature=tau)) == pytest.approx(contrast)
    assert float(siglip(z, z, temperature=tau, bias=-1.0)) == pytest.approx(
        softplus(1 - 1 / tau) + (b - 1) * softplus(cosine / tau - 1)
    )
    assert float(koleo(both)) == pytest.approx(-math.log(math.sqrt(2 * b / (b - 1))), abs=1e-7)
    assert float(spectral(z, z)) == pytest.approx(-2 + cosine**2)
    assert float(spectral(torch.eye(b), torch.eye(b))) == -2
    assert float(byol(both, both)) == pytest.approx(0, abs=1e-12)
    assert float(byol(both, -both)) == pytest.approx(4)


def test_gradient_of_circle_holds_its_weights_constant() -> None:
    """One positive and one negative: the slopes are those of the logits with alpha fixed."""
    s_p, s_n, m, gamma = 0.3, 0.5, 0.25, 8.0
    gap = gamma * (s_n + m) * (s_n - m) - gamma * (1 + m - s_p) * (s_p - 1 + m)
    share = 1 / (1 + math.exp(-gap))
    anchor = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    positive = torch.tensor([s_p, math.sqrt(1 - s_p**2), 0.0], dtype=torch.float64).requires_grad_()
    negative = torch.tensor([s_n, 0.0, math.sqrt(1 - s_n**2)], dtype=torch.float64).requires_grad_()
    labels = torch.tensor([0, 0, 1])
    z = torch.stack([anchor, positive, negative])
    each = circle(z, labels, margin=m, gamma=gamma, reduction="none", normalize=False)
    assert float(each[0].detach()) == pytest.approx(math.log1p(math.exp(gap)))
    by_positive, by_negative = torch.autograd.grad(each[0], (positive, negative))
    assert float(by_positive[0]) == pytest.approx(-share * gamma * (1 + m - s_p))
    assert float(by_negative[0]) == pytest.approx(share * gamma * (s_n + m))


def test_circle_leaves_a_positive_alone_that_is_beyond_its_optimum() -> None:
    """Raw embeddings may have inner products above 1 + m: alpha_p is 0 there and the sum of positives is 1."""
    z = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    parts = circle.parts(z, torch.tensor([0, 0, 1]), normalize=False)
    assert float(parts["pull"][0]) == 0


@pytest.mark.parametrize("form", ["lifted", "generalized"])
def test_lifted_leaves_alone_what_is_far_enough(form: str) -> None:
    """Two tight classes at opposite poles, distance 2: all hinges are closed, and one more negative opens none."""
    poles = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    z = poles.repeat_interleave(2, 0).requires_grad_()
    labels = torch.tensor([0, 0, 1, 1])
    parts = lifted.parts(z, labels, margin=0.4, form=form)
    assert parts["loss"].max() == 0
    assert parts["active"].max() == 0
    assert torch.autograd.grad(parts["loss"].sum(), z)[0].abs().max() == 0
    near = lifted.parts(z, labels, margin=1.5, form=form)
    squared = {"lifted": lambda j: j**2 / 2, "generalized": lambda j: j}[form]
    negatives = {"lifted": 4, "generalized": 2}[form]  # of both ends, or of the anchor
    torch.testing.assert_close(near["loss"], torch.full_like(near["loss"], squared(math.log(negatives) - 0.5)))
    assert near["active"].tolist() == [1] * 4


def test_lifted_forgets_negatives_that_are_far() -> None:
    x, labels = random(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    far, more = torch.cat([x, 1e4 + x[:1]]), torch.cat([labels, torch.tensor([3])])
    for form in ("lifted", "generalized"):
        alone = lifted(x, labels, form=form, normalize=False, reduction="none")
        joined = lifted(far, more, form=form, normalize=False, reduction="none")
        torch.testing.assert_close(joined[:6], alone)
        assert joined[6] == 0


def test_a_sharp_multi_similarity_is_a_hinge_on_the_nearest_negative() -> None:
    x = F.normalize(random(6, 3), dim=1)
    push = multi_similarity.parts(x, torch.arange(6), beta=1e6, base=0.2)["push"]
    nearest = (x @ x.T).fill_diagonal_(-1).amax(1)
    torch.testing.assert_close(push, (nearest - 0.2).relu(), atol=1e-5, rtol=0)


def test_duplicates_stay_positives_of_multi_similarity() -> None:
    z = torch.eye(3, dtype=torch.float64)[[0, 0, 1]]
    for mining in ("all", "hard"):
        pull = multi_similarity.parts(z, torch.tensor([0, 0, 1]), margin=1.5, mining=mining)["pull"]
        assert float(pull[0]) == pytest.approx(softplus(-2 * 0.5) / 2)


def test_siglip_at_the_start_and_alone() -> None:
    q, k = random(64, 32), random(64, 32, seed=1)
    assert float(siglip(q, k)) == pytest.approx(10, abs=1)
    alone = siglip(q[:1], q[:1])
    assert float(alone) == pytest.approx(softplus(10 - 10))
    # Four orthogonal pairs: each is pulled with 1 - 1/4 and pushed three times with 1/4, so the bias stands still.
    q, k = torch.eye(8, dtype=torch.float64).split(4)
    bias = torch.tensor(-math.log(3), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(siglip(q, k, bias=bias), bias)
    assert float(slope) == pytest.approx(0, abs=1e-12)


def test_joint_mil_nce_cannot_fall_below_log_two() -> None:
    z = torch.eye(6, dtype=torch.float64)
    bags = z[:, None].expand(6, 3, 6)
    assert float(mil_nce(z, bags, temperature=0.01, direction="joint")) == pytest.approx(math.log(2))
    assert float(mil_nce(z, bags, temperature=0.01)) == pytest.approx(0, abs=1e-12)


def test_gradient_of_mil_nce_is_the_share_among_all_minus_the_share_in_the_bag() -> None:
    """Embeddings on the axes: candidate c of bag j has the score q[3 j + c] with the only query that is not zero."""
    q = random(2, 6) / 3
    q[1] = 0
    q.requires_grad_()
    bags = torch.eye(6, dtype=torch.float64).view(2, 3, 6)
    each = mil_nce(q, bags, temperature=0.5, direction="query", normalize=False, reduction="none")
    (slope,) = torch.autograd.grad(each[0], q)
    everyone, own = (q[0] / 0.5).softmax(0), (q[0, :3] / 0.5).softmax(0)
    expected = everyone - torch.cat([own, torch.zeros(3, dtype=torch.float64)])
    torch.testing.assert_close(slope[0] * 0.5, expected.detach())


def test_mil_nce_weighs_the_candidate_that_fits() -> None:
    q = torch.eye(4, dtype=torch.float64)
    bags = torch.stack([q, -q, q.roll(1, 0)], dim=1)
    weight = mil_nce.parts(q, bags, temperature=0.1)["weight"]
    torch.testing.assert_close(weight.sum(1), torch.ones(4, dtype=torch.float64))
    assert (weight[:, 0] > 0.99).all()


def test_barlow_twins_of_opposite_and_of_rescaled_views() -> None:
    z = random(64, 3)
    opposite = barlow_twins.parts(torch.stack([z, -z], 1))
    assert float(opposite["on_diagonal"][0]) == pytest.approx(4 * 3, rel=1e-4)
    both = torch.stack([z, z + 0.3 * random(64, 3, seed=1)], 1)
    moved = both * torch.tensor([2.0, 30.0, 0.5], dtype=torch.float64) + torch.tensor([5.0, -1.0, 0.0])
    torch.testing.assert_close(barlow_twins(moved), barlow_twins(both), atol=1e-4, rtol=0)
    white = torch.linalg.qr(z - z.mean(0)).Q * 8
    assert float(barlow_twins(torch.stack([white, white], 1))) == pytest.approx(0, abs=1e-8)


def test_vicreg_leaves_alone_what_is_spread_and_uncorrelated() -> None:
    z = random(64, 3)
    white = torch.linalg.qr(z - z.mean(0)).Q * math.sqrt(63)
    parts = vicreg.parts(torch.stack([white, white + 1.0], 1))
    assert float(parts["variance"].max()) == 0
    assert float(parts["covariance"].max()) == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(parts["invariance"], torch.ones(128, dtype=torch.float64))


def test_koleo_pushes_both_ends_apart_and_leaves_duplicates() -> None:
    x = torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    each = koleo(x, reduction="none")
    (slope,) = torch.autograd.grad(each[0], x)
    assert slope[0, 1] < 0 < slope[1, 1], "a step against the gradient moves the first up and its neighbour down"
    assert (slope[2] == 0).all()
    duplicates = torch.ones(3, 2, requires_grad=True)
    assert float(koleo(duplicates).detach()) == pytest.approx(8 * math.log(10), rel=1e-6)
    assert torch.autograd.grad(koleo(duplicates), duplicates)[0].abs().max() == 0


def test_koleo_is_uniformity_at_an_infinitely_sharp_kernel() -> None:
    """The log mean potential of an anchor over -t tends to the squared distance of its nearest neighbour."""
    x = random(8, 3)
    potential = uniformity.parts(x, t=1e7)["potential"]
    torch.testing.assert_close(-0.5 * (-potential / 1e7).log(), koleo(x, reduction="none"), atol=1e-5, rtol=0)


def test_minimum_of_the_spectral_loss_is_the_spectrum_of_the_augmentation_graph() -> None:
    """Every pair of augmentations as often as the graph joins it: minus the squared leading eigenvalues, summed."""
    generator = torch.Generator().manual_seed(0)
    views_of_samples = torch.randint(0, 4, (3, 5), generator=generator)  # how often each sample gives each of 5 views
    joined = views_of_samples.T @ views_of_samples
    left, right = joined.nonzero().T
    rows = torch.stack([left, right]).repeat_interleave(joined[left, right], dim=1).repeat(1, 500)
    degree = joined.sum(1).double()
    spectrum = torch.linalg.eigvalsh(joined / (degree[:, None] * degree).sqrt()).flip(0)
    f = torch.randn(5, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([f], max_iter=100, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimiser.zero_grad()
        value = spectral(f[rows[0]], f[rows[1]], radius="free")
        value.backward()
        return value

    optimiser.step(step)
    assert float(step().detach()) == pytest.approx(-float(spectrum[:2].square().sum()), abs=1e-3)


def test_cross_entropy_of_swav_is_at_least_the_entropy_of_its_codes() -> None:
    parts = swav.parts(random(9, 2, 4), random(3, 4, seed=1), epsilon=0.5)
    code = parts["code"].view(9, 2, 3).flip(1).flatten(0, 1)
    torch.testing.assert_close(code.sum(1), torch.ones(18, dtype=torch.float64))
    assert (parts["loss"] >= -(code * code.log()).sum(1) - 1e-12).all()


def test_more_views_are_averaged() -> None:
    """Each view against the mean over its two others: what the three pairs of views give, averaged."""
    z, p, w = random(5, 3, 4), random(5, 3, 4, seed=1), random(3, 4, seed=2)
    for loss in (byol, simsiam):
        pairs = [loss(z[:, [a, b]], p[:, [a, b]]) for a, b in ((0, 1), (0, 2), (1, 2))]
        torch.testing.assert_close(loss(z, p), torch.stack(pairs).mean())
    pairs = [swav(z[:, [a, b]], w) for a, b in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(swav(z, w), torch.stack(pairs).mean())
    views = [koleo(z[:, v]) for v in range(3)]
    torch.testing.assert_close(koleo(z), torch.stack(views).mean())


def test_memory_of_swav_changes_the_balance_only() -> None:
    z, w = random(4, 2, 4), torch.eye(4, dtype=torch.float64)
    full_of_first = w[:1, None].expand(50, 2, 4)
    alone, beside = (swav.parts(z, w, memory)["code"] for memory in (None, full_of_first))
    assert alone.shape == beside.shape == (8, 4)
    assert (beside[:, 0] < alone[:, 0]).all(), "a crowded prototype is given to fewer points"


def test_sinkhorn_balances() -> None:
    scores = torch.randn(12, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    codes = sinkhorn(scores, epsilon=0.3, iterations=300)
    torch.testing.assert_close(codes.sum(1), torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close(codes.sum(0), torch.full((4,), 3.0, dtype=torch.float64))
    torch.testing.assert_close(sinkhorn(scores, epsilon=1e9, iterations=3), torch.full_like(scores, 1 / 4))
    hard = sinkhorn(scores.float(), epsilon=1e-3, iterations=3)
    assert hard.isfinite().all(), "exponentials of 1000 must stay in the logarithm"
    assert torch.equal(sinkhorn(scores[:, :1], epsilon=0.1, iterations=1), torch.ones(12, 1, dtype=torch.float64))
