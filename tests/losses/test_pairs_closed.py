"""N-pair, lifted structure, multi-similarity and circle where pencil and paper give the answer."""

import math

import pytest
import torch
import torch.nn.functional as F
from loops import one, random, softplus

from cl_explore.losses import Choice, Loss, circle, lifted, multi_similarity, n_pair


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


@pytest.mark.parametrize("loss", [lifted, multi_similarity, circle], ids=lambda loss: loss.name)
@pytest.mark.parametrize("choice", [0, 1])
def test_anchors_without_a_positive(loss: Loss, choice: int) -> None:
    """They do not count, or only push, and send no NaN back."""
    switch = next(knob for knob in loss.knobs if isinstance(knob, Choice))
    knobs = {switch.name: switch.options[choice]}
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.tensor([0, 0, 1, 2, 3])
    parts = loss.parts(x, labels, **knobs)
    parts["loss"].sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(part.isfinite().all() for part in parts.values())
    if "anchor_weight" in parts:
        assert parts["anchor_weight"].tolist() == [1, 1, 0, 0, 0]
        assert (parts["loss"][2:] == 0).all()


def test_value_of_a_collapsed_batch() -> None:
    """8 samples of 2 views in 2 classes: 7 positives and 8 negatives for each point."""
    z, y = one(8, 2, 4), torch.arange(8) % 2
    assert float(n_pair(z[:, 0], z[:, 1])) == pytest.approx(math.log(8) + 2 * 0.02)
    assert float(lifted(z, y)) == pytest.approx((1 + math.log(16)) ** 2 / 2)
    pull, push = softplus(math.log(7) - 1) / 2, softplus(math.log(8) + 25) / 50
    assert float(multi_similarity(z, y)) == pytest.approx(pull + push)
    assert float(circle(z, y)) == pytest.approx(softplus(math.log(56) + 80 * (1 - 2 * 0.4**2)))


def test_the_logarithm_of_one_and_an_exponential_is_exact() -> None:
    """Orthogonal points, a gap of 21: from 20 on the softplus of torch is exactly linear, which is 8e-10 off."""
    value = circle(torch.eye(3, dtype=torch.float64), torch.tensor([0, 0, 1]), margin=0.0, gamma=21.0)
    assert float(value) == pytest.approx(math.log1p(math.exp(21)), abs=1e-12, rel=0)


def test_too_little_to_compare() -> None:
    z = random(6, 4)
    with pytest.raises(ValueError, match="key must have at least 2 rows"):
        n_pair(z[:1], z[:1])
    for loss, labels in ((lifted, torch.arange(6)), (circle, torch.zeros(6, dtype=torch.long))):
        with pytest.raises(ValueError, match=r"a positive .* and a negative"):
            loss(z, labels)
