"""CLIP and MIL-NCE against the authors' numbers, loops and closed forms, and CLIP's learnable scale."""

import math
from functools import partial

import pytest
import torch
from loops import Inputs, cosines, inputs, log_sum, one, random, simplex, unit
from proofs import Case, Golden, Reference, golden, loops
from torch import Tensor

from cl_explore.losses import CLIP, clip, mil_nce


def clip_call(x: Inputs, case: Case) -> Tensor:
    return clip(x["image"], x["text"], temperature=(-x["log_scale"]).exp())


def vlp(x: Inputs, case: Case) -> Tensor:
    """CLIP alone, and the mean of a CLIP of clean and one of augmented pairs."""
    clean, augmented = ("z_image", "z_text") if "z_image" in x else ("z_image_global", "z_text_global"), []
    value = clip(x[clean[0]], x[clean[1]], temperature=1 / x["logit_scale"])
    if x.get("h_image_local", torch.empty(0)).numel():
        augmented = [clip(x["h_image_local"][0], x["h_text_local"][0], temperature=1 / x["h_logit_scale"])]
    return torch.stack([value, *augmented]).mean()


def vatt(x: Inputs, case: Case) -> Tensor:
    """The authors add the two directions, where the mean is taken here."""
    p = case["params"]
    if "w_va" in p:
        audio = mil_nce(x["video_va"][:, 0], x["audio_va"], temperature=p["tau"])
        text = mil_nce(x["video_vt"][:, 0], x["texts_vt"], temperature=p["tau"])
        return 2 * (p["w_va"] * audio + p["w_vt"] * text) / (p["w_va"] + p["w_vt"])
    present = x["mask1"].detach().long() if "mask1" in x else None
    if p["kind"] == "asym":
        return mil_nce(x["m2"][:, 0], x["m1"], present, temperature=p["tau"], direction="joint")
    return 2 * mil_nce(x["m2"][:, 0], x["m1"], present, temperature=p["tau"])


OF_CLIP = ("clip_B5", "cl2l_1aug_avg_nosmooth", "cl2l_0augs_equals_clip")
GOLDEN = [
    Golden("clip", clip_call),
    # Left out: sums of CLIP with label smoothing and with losses across modalities that are no entries of their own.
    Golden("vlp-baselines", vlp, lambda case: case["name"] in OF_CLIP),
    Golden("vatt", vatt),
]
test_golden = golden(GOLDEN)


def loop_clip(x: Inputs) -> list[float]:
    s = [[v / 0.3 for v in row] for row in cosines(x["query"], x["key"])]
    return [(log_sum(s[i]) + log_sum([row[i] for row in s])) / 2 - s[i][i] for i in range(6)]


def loop_mil_nce(x: Inputs, direction: str) -> list[float]:
    q, k = unit(x["query"]), unit(x["candidates"])
    s = [[[math.exp(float(a @ c) / 0.3) for c in bag] for bag in k] for a in q]
    out = []
    for i in range(6):
        own = sum(s[i][i])
        among_candidates = sum(sum(s[i][j]) for j in range(6))
        among_queries = sum(sum(s[j][i]) for j in range(6))
        out.append(
            {
                "query": math.log(among_candidates / own),
                "both": math.log(among_candidates / own) / 2 + math.log(among_queries / own) / 2,
                "joint": math.log((among_candidates + among_queries) / own),
            }[direction]
        )
    return out


T = {"temperature": 0.3}
REFERENCES = [
    Reference(clip, T, loop_clip),
    Reference(mil_nce, T | {"direction": "query"}, lambda x: loop_mil_nce(x, "query")),
    Reference(mil_nce, T | {"direction": "both"}, lambda x: loop_mil_nce(x, "both")),
    Reference(mil_nce, T | {"direction": "joint"}, lambda x: loop_mil_nce(x, "joint")),
]
test_loop = loops(REFERENCES)


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


@pytest.mark.parametrize("direction", ["both", "joint"])
def test_a_temperature_of_each_query(direction: str) -> None:
    """A bag looks for its query at the temperature of that query."""
    x, tau = inputs(), torch.linspace(0.2, 0.7, 6, dtype=torch.float64)
    s = torch.einsum("nd,mpd->nmp", unit(x["query"]), unit(x["candidates"])) / tau[:, None, None]
    own, among_candidates = s.diagonal().T.logsumexp(1), s.flatten(1).logsumexp(1)
    by_bag = torch.einsum("nd,mpd->mpn", unit(x["query"]), unit(x["candidates"])) / tau[:, None, None]
    among_queries = by_bag.flatten(1).logsumexp(1)
    both = {"both": (among_candidates + among_queries) / 2, "joint": torch.logaddexp(among_candidates, among_queries)}
    each = mil_nce(x["query"], x["candidates"], temperature=tau, direction=direction, reduction="none")
    torch.testing.assert_close(each, both[direction] - own)


@pytest.mark.parametrize("direction", ["query", "both", "joint"])
def test_what_an_empty_bag_holds_counts_nowhere(direction: str) -> None:
    """It is as if the bag were not in the batch, while its query still is among the negatives of other bags."""
    q, bags = random(5, 4), random(5, 3, 4, seed=1).requires_grad_()
    present = torch.tensor([1, 1, 0, 1, 0])
    loss = partial(mil_nce, temperature=0.3, direction=direction)
    each = loss(q, bags, present, reduction="none")
    assert each[present == 0].tolist() == [0, 0]
    torch.testing.assert_close(loss(q, bags, present), each.sum() / 3)
    other = torch.where(present[:, None, None] > 0, bags, 7.0)
    torch.testing.assert_close(loss(q, other, present, reduction="none"), each)
    (slope,) = torch.autograd.grad(each.sum(), bags)
    assert slope[present == 0].abs().max() == 0
    if direction == "query":
        kept = present > 0
        torch.testing.assert_close(each[kept], loss(q[kept], bags[kept], reduction="none"))


@pytest.mark.parametrize("direction", ["query", "both", "joint"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_without_any_bag_the_loss_is_zero_and_pulls_nowhere(direction: str, dtype: torch.dtype) -> None:
    q, bags = random(4, 3).to(dtype).requires_grad_(), random(4, 2, 3, seed=1).to(dtype).requires_grad_()
    value = mil_nce(q, bags, torch.zeros(4, dtype=torch.int64), direction=direction)
    assert float(value.detach()) == 0
    for slope in torch.autograd.grad(value, (q, bags)):
        assert slope.abs().max() == 0


def test_landmarks() -> None:
    z, bags = one(8, 4), one(8, 3, 4)
    assert float(clip(z, z)) == pytest.approx(math.log(8))
    assert float(mil_nce(z, bags)) == pytest.approx(math.log(8))
    z, tau = simplex(8), 0.3
    contrast = math.log1p(7 * math.exp((-1 / 7 - 1) / tau))
    assert float(clip(z, z, temperature=tau)) == pytest.approx(contrast)
    assert float(mil_nce(z, z[:, None].expand(8, 2, 8), temperature=tau)) == pytest.approx(contrast)


def test_too_little_to_compare() -> None:
    z = random(6, 4)
    with pytest.raises(ValueError, match="key must have at least 2 rows"):
        clip(z[:1], z[:1])
    with pytest.raises(ValueError, match="query must have at least 2 rows"):
        mil_nce(z[:1], z[:1, None])


def test_clip_holds_its_scale_below_the_limit() -> None:
    criterion = CLIP(temperature=0.07)
    query, key = random(5, 4), random(5, 4, seed=1)
    torch.testing.assert_close(criterion(query, key), clip(query, key, temperature=0.07))
    with torch.no_grad():
        criterion.log_scale.fill_(9.0)
    value = criterion(query, key)
    assert float(criterion.log_scale.detach()) == pytest.approx(math.log(100))
    torch.testing.assert_close(value, clip(query, key, temperature=0.01))
    value.backward()
    assert criterion.log_scale.grad is not None
    assert criterion.log_scale.grad != 0, "at the limit the scale can still come down"


def test_wrong_settings() -> None:
    with pytest.raises(ValueError, match=r"temperature must be positive and finite, got 0\.0"):
        CLIP(temperature=0.0)
    with pytest.raises(ValueError, match="max_scale must be positive"):
        CLIP(max_scale=-1.0)
