"""Improved baselines: the authors' numbers and gradients, what the losses are at their edges, and refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cl_explore import data, losses
from cl_explore.data.emoji import STYLES
from cl_explore.papers.vlp_baselines import method, panel, study, world

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/vlp-baselines.json").read_text(encoding="utf-8"))
CASES = {case["name"]: case for case in GOLDEN["cases"]}


def extra(name: str, x: dict[str, Any]) -> Tensor | float:
    """What a loss without negatives adds."""
    if name == "SwALIPLoss":
        return 0.2 * method.swalip(x["h_image_local"], x["h_text_local"], h_scale=x["h_logit_scale"])
    if name == "CL2LLoss":
        return 0.0

    def pairs(of: str) -> tuple[Tensor, Tensor]:
        clean = [x[f"{of}_{side}"] for side in ("image", "text")]
        local = [x[f"{of}_{side}_local"] for side in ("image", "text")]
        return method.over_pairs((clean[0], local[0]), (clean[1], local[1]))

    if name == "BarLIPLoss":
        return method.barlip(*pairs("v")).mean()
    (p_image, p_text), (v_image, v_text) = pairs("p"), pairs("v")
    return method.siamlip(p_image, p_text, v_image, v_text).mean()


@pytest.mark.parametrize("name", [name for name in CASES if name != "sinkhorn_4x3"])
def test_the_authors_numbers_and_gradients(name: str) -> None:
    case, x = CASES[name], {}
    for key, value in case["inputs"].items():
        x[key] = torch.tensor(value, dtype=torch.float64) if isinstance(value, list) else value
        if isinstance(value, list):
            x[key] = (x[key].reshape(0, 5, 4) if not value else x[key]).requires_grad_()
    loss = case["params"]["loss"]
    if loss == "CLIPLoss":
        value = losses.clip(x["z_image"], x["z_text"], temperature=1 / x["logit_scale"])
    else:
        summed = case["params"].get("loss_avg_or_sum", "avg" if loss == "CL2LLoss" else "sum") == "sum"
        smoothing = case["params"].get("label_smoothing", 0.0 if loss in ("SwALIPLoss", "CL2LLoss") else 0.1)
        value = extra(loss, x) + method.rocket(
            x["z_image_global"], x["z_text_global"], x["h_image_local"], x["h_text_local"],
            scale=x["logit_scale"], h_scale=x["h_logit_scale"], smoothing=smoothing, total=summed,
        )  # fmt: skip
    assert value.item() == pytest.approx(case["loss"], abs=1e-9)
    value.backward()
    for key, grad in case["grad"].items():
        if None in grad:  # a target
            assert x[key].grad is None
        elif grad:
            torch.testing.assert_close(x[key].grad, torch.tensor(grad, dtype=torch.float64), rtol=0, atol=1e-9)


def test_the_authors_balanced_assignment() -> None:
    case = CASES["sinkhorn_4x3"]
    scores = torch.tensor(case["inputs"]["scores"], dtype=torch.float64)
    expected = torch.tensor(case["output"], dtype=torch.float64)
    torch.testing.assert_close(losses.sinkhorn(scores, 0.05, 3), expected, rtol=0, atol=1e-9)
    balanced = losses.sinkhorn(scores, 0.5, 500)
    torch.testing.assert_close(balanced.sum(0), torch.full((3,), 4 / 3, dtype=torch.float64))
    torch.testing.assert_close(balanced.sum(1), torch.ones(4, dtype=torch.float64))


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(6, 4, generator=generator, dtype=torch.float64) for _ in range(2))


def test_without_views_rocket_is_clip_and_smoothing_touches_views_alone(pair: tuple[Tensor, Tensor]) -> None:
    none = pair[0].new_zeros(0, 6, 4)
    plain = losses.clip(*pair, temperature=0.07)
    for smoothing in (0.0, 0.3):
        torch.testing.assert_close(method.rocket(*pair, none, none, smoothing=smoothing, total=False), plain)
        torch.testing.assert_close(method.rocket(*pair, none, none, smoothing=smoothing), 2 * plain)
    views = [part[None] for part in pair]
    assert method.rocket(*pair, *views, smoothing=0.3) != method.rocket(*pair, *views, smoothing=0.0)
    one = [part[:1] for part in pair]
    assert method.rocket(*one, one[0][None], one[1][None]) == 0


def test_barlip_is_zero_for_the_identity_alone(pair: tuple[Tensor, Tensor]) -> None:
    white = torch.linalg.qr(pair[0])[0] * 6**0.5
    assert method.barlip(white, white) == pytest.approx(0, abs=1e-12)
    turned = white.roll(1, 1)
    assert method.barlip(white, turned) == pytest.approx(0.025 * (4 + 0.005 * 4))
    assert method.barlip(white, turned, redundancy=0.0) == pytest.approx(0.025 * 4)


def test_siamlip_stops_the_gradient_of_the_other_modality(pair: tuple[Tensor, Tensor]) -> None:
    p, v = ([part.clone().requires_grad_() for part in pair] for _ in range(2))
    method.siamlip(*p, *v).backward()
    assert all(part.grad is None for part in v)
    assert all(part.grad.abs().sum() > 0 for part in p)
    assert method.siamlip(*pair, *pair[::-1]) == pytest.approx(0, abs=1e-12)
    assert method.siamlip(*pair, *(-part for part in pair[::-1])) == pytest.approx(4)


def test_assignments_are_exchanged_without_gradient(pair: tuple[Tensor, Tensor]) -> None:
    scores, other = (part.clone().requires_grad_() for part in pair)
    method.exchanged(scores, other, 10.0).backward()
    assert other.grad is None
    assert scores.grad.abs().sum() > 0
    there = method.exchanged(*pair, 10.0) + method.exchanged(*pair[::-1], 10.0)
    torch.testing.assert_close(method.swalip_prototypes(*pair), there / 2)


def test_wrong_shapes_are_named(pair: tuple[Tensor, Tensor]) -> None:
    z, views = pair[0], pair[0].expand(2, 6, 4)
    with pytest.raises(ValueError, match=r"z must have one shape .* got \(6, 4\) and \(5, 4\)"):
        method.rocket(z, z[:5], views, views)
    with pytest.raises(ValueError, match=r"smoothing must be from 0 to 1, got 2"):
        method.rocket(z, z, views, views, smoothing=2)
    with pytest.raises(ValueError, match=r"h must be two views \(2, B, D\), got \(1, 6, 4\)"):
        method.swalip(views[:1], views[:1])
    with pytest.raises(ValueError, match="v must have one shape"):
        method.siamlip(z, z, z, z[:, :2])


def test_views_keep_what_is_said_and_draw_nuisance_anew() -> None:
    train, _, paint = study.vectors(0, 50)
    x, generator = train.x, torch.Generator().manual_seed(0)
    images = study.ImageViews(paint, 2)(x["image"], generator, 1)
    texts = study.TextViews(2)(x["text"], generator, 1)
    assert torch.equal(images[:, 0], x["image"])
    assert torch.equal(texts[:, 0], x["text"])
    content, nuisance = images[..., study.SEEN :].split(16, dim=-1)
    assert torch.equal(content[:, 1], content[:, 0])
    assert (nuisance[:, 1] == nuisance[:, 0]).double().mean() == pytest.approx(0.5, abs=0.1)
    assert (texts[:, 1:] == 0).double().mean() == pytest.approx(0.25, abs=0.05)


def test_the_study_has_a_row_for_every_claim() -> None:
    rows = {row["method"]: row for row in study.run(0, samples=100, epochs=1)}
    for claim in study.STUDY.claims:
        if claim.preset != "real":
            assert claim.metric in rows[claim.method]
            assert isinstance(claim.baseline, float) or claim.baseline in rows
    with pytest.raises(ValueError, match='world must be "vectors" or "emoji"'):
        study.run(0, world="flags")


def signs(split: str, size: int) -> data.Dataset:
    """A hundred made-up signs of two words each; the styles differ in brightness."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(200, (100, 3, size, size), generator=generator, dtype=torch.uint8)
    x = {style: drawn + 20 * number for number, style in enumerate(STYLES)}
    x["text"] = torch.stack([2 + torch.arange(100) // 10, 12 + torch.arange(100) % 10], dim=1)
    index = torch.arange(100)
    whole = data.Dataset("emoji", x, index % 2, index, ("even", "odd"), kind={"text": "tokens"})
    return whole if split == "all" else whole.subset(index % 5 != 4)


def test_emoji_are_learned_in_two_styles_and_looked_up_in_a_third(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "EMOJI", type("Emoji", (), {"load": staticmethod(signs)}))
    train, test = world.drawings()
    assert (train.x["image"].shape, len(test), int(test.labels.sum())) == ((160, 3, 16, 16), 100, 20)
    assert torch.equal(train.x["text"][:80], train.x["text"][80:])
    torch.testing.assert_close(train.x["image"][80:] - train.x["image"][:80], torch.full((80, 3, 16, 16), 20 / 255))
    views = world.Drawings(2)(train.x["image"][:4], torch.Generator().manual_seed(0), 1)
    assert torch.equal(views[:, 0], train.x["image"][:4])
    assert not torch.equal(views[:, 1], views[:, 2])
    rows = {row["method"]: row for row in study.run(0, world="emoji", epochs=1, extras=("", "BarLIP"))}
    for claim in study.STUDY.claims:
        if claim.preset == "real":
            assert claim.metric in rows[claim.method].keys() & rows[claim.baseline].keys()
    assert rows["raw input"][world.KNOWN] == 1  # a style that only brightens moves no drawing past another


def test_the_panel_shows_that_the_recipe_helps_and_one_more_loss_does_not() -> None:
    plain, recipe, siam = (panel.learn(*how) for how in ((0.0, 100, ""), (1.0, 100, ""), (1.0, 100, "SiamLIP")))
    assert recipe.right[0] > plain.right[0] + 0.15
    assert abs(siam.right[0] - recipe.right[0]) < 0.03
    assert plain.right[1] > plain.right[0] + 0.2  # learnt by heart
    for made in (plain, recipe):
        assert made.chosen.sum(1) == pytest.approx(1)
    shown = panel.RecipePanel(strength=1.0)
    assert dict(shown.picture.readout)["with SiamLIP"] == f"{siam.right[0]:.1%}"
    with pytest.raises(ValueError, match="strength must be one of"):
        panel.RecipePanel(strength=0.3)
