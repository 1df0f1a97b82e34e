"""VTP: its losses against golden numbers and identities, where gradients go, what a step keeps, and the world."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cl_explore import data, losses
from cl_explore.data import Batch
from cl_explore.nn import BagOfTokens
from cl_explore.papers.vtp import method, panel, study, world
from cl_explore.views.noisy import Noisy

CASES = {
    one["name"]: one for one in json.loads((Path(__file__).parents[1] / "golden" / "vtp.json").read_text())["cases"]
}
AS_THEY_ARE = {"image": Noisy(), "text": Noisy()}


def given(case: dict[str, Any], *names: str) -> list[Tensor]:
    """Its inputs in double precision, those with a golden gradient to be differentiated."""
    found = [torch.tensor(case["inputs"][name], dtype=torch.float64) for name in names]
    return [x.requires_grad_(name in case["grad"]) for name, x in zip(names, found, strict=True)]


def agree(case: dict[str, Any], loss: Tensor, **inputs: Tensor) -> None:
    assert loss.item() == pytest.approx(case["loss"], abs=1e-9)
    for (name, x), grad in zip(inputs.items(), torch.autograd.grad(loss, list(inputs.values())), strict=True):
        torch.testing.assert_close(grad, torch.tensor(case["grad"][name], dtype=x.dtype), atol=1e-9, rtol=1e-9)


def by_sample(x: Tensor, crops: int) -> Tensor:
    """Rows of crops, crop after crop, as (B, crops, ...)."""
    return x.unflatten(0, (crops, -1)).transpose(0, 1)


def vtp(**options: Any) -> method.VTP:
    torch.manual_seed(0)
    width = method.HIDDEN if options.get("bottleneck_ae_only", True) else 4
    encoder = {"image": method.Tokenizer(4, 16), "text": BagOfTokens(9, 6)}
    head = {"image": nn.Linear(width, 5), "text": nn.Linear(6, 5)}
    return method.VTP(encoder, head, losses.CLIP(), AS_THEY_ARE, **options)


def batch(n: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = {
        "image": torch.rand(n, 3, 16, 16, generator=generator),
        "text": torch.randint(2, 9, (n, 3), generator=generator),
    }
    return Batch(x, torch.zeros(n, dtype=torch.int64), torch.arange(n), {})


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def test_contrast_and_spread_are_the_golden_ones() -> None:
    case = CASES["clip_B5"]
    image, text = given(case, "image", "text")
    agree(case, losses.clip(image, text, temperature=1 / case["params"]["logit_scale"]), image=image, text=text)
    case = CASES["koleo_B6"]
    (x,) = given(case, "x")
    assert losses.koleo(x).item() == pytest.approx(case["loss"], abs=1e-7)  # its eps is added to each coordinate


def test_self_distillation_is_the_golden_one() -> None:
    case = CASES["ssl_sinkhorn_knopp_B2_K4_local1"]
    near, local, patch, known, places = given(
        case, "student_global", "student_local", "student_patch", "teacher_global", "teacher_patch"
    )
    masks = torch.tensor(case["inputs"]["masks"], dtype=torch.bool)
    temperature = case["params"]["teacher_temp"]
    teacher, there = method.targets(known, temperature), method.targets(places, temperature)
    parts = {
        **dict(zip(("dino_global", "dino_local"), method.dino(by_sample(near, 2), by_sample(local, 1),
                                                              by_sample(teacher, 2)), strict=True)),
        "ibot": method.ibot(patch, there, masks),
    }  # fmt: skip
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(case["components"], abs=1e-9)
    agree(case, sum(parts.values(), torch.zeros(())), student_global=near, student_local=local, student_patch=patch)
    swapped = torch.tensor(case["teacher_probs"]["global_swapped"], dtype=torch.float64)
    torch.testing.assert_close(by_sample(teacher, 2).flip(1).transpose(0, 1), swapped, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(there.sum(1), torch.ones_like(there[:, 0]))


def test_the_total_is_the_golden_one() -> None:
    case = CASES["total_rec0.1_clip1"]
    image, made, z_image, z_text = given(case, "image", "recon", "z_image", "z_text")
    plain = method.reconstruction(image, made, edges=0.0).mean()
    assert plain.item() == pytest.approx(case["components"]["l1"], abs=1e-9)
    agree(case, 0.1 * plain + losses.clip(z_image, z_text), recon=made, z_image=z_image, z_text=z_text)


@pytest.mark.parametrize("crops", [1, 3])
def test_a_student_that_is_its_teacher_pays_the_entropy(crops: int) -> None:
    scores = torch.randn(4, 1, 5, generator=generator(), dtype=torch.float64)
    teacher = method.targets(scores.flatten(0, 1), 0.1, torch.zeros(5)).view_as(scores).expand(-1, 2, -1)
    entropy = -(teacher[:, 0] * teacher[:, 0].log()).sum(1).mean()
    found = sum(method.dino(scores.expand(-1, 2, -1), scores.expand(-1, crops, -1), teacher))
    torch.testing.assert_close(found, entropy)
    flat = torch.zeros(4, 2, 5)
    uniform = sum(method.dino(flat, torch.zeros(4, crops, 5), method.targets(flat.flatten(0, 1), 0.1).view_as(flat)))
    assert float(uniform) == pytest.approx(math.log(5))


def test_an_image_without_a_mask_counts_nothing_but_is_counted() -> None:
    scores, teacher = torch.randn(3, 5, generator=generator()), torch.full((3, 5), 0.2)
    masks = torch.tensor([[True, True, False], [False, False, True]])
    more = torch.cat([masks, torch.zeros(2, 3, dtype=torch.bool)])
    torch.testing.assert_close(method.ibot(scores, teacher, more), method.ibot(scores, teacher, masks) / 2)
    assert method.ibot(scores[:0], teacher[:0], more[2:]) == 0
    drawn = method.draw_masks(40, 16, generator(), torch.device("cpu")).sum(1)
    assert ((drawn > 0).sum(), int(drawn.max()) <= 8, int(drawn[drawn > 0].min()) >= 2) == (20, True, True)


def test_sinkhorn_gives_prototypes_equal_mass_and_a_centre_does_not() -> None:
    scores = 0.1 * torch.randn(200, 4, generator=generator()) + torch.tensor([0.3, 0.0, 0.0, 0.0])
    assert float((method.targets(scores, 0.1).mean(0) - 0.25).abs().max()) < 0.01
    assert method.targets(scores, 0.1, torch.zeros(4)).mean(0)[0] > 0.7


@pytest.mark.parametrize("ae_only", [True, False])
def test_only_reconstruction_goes_through_the_bottleneck_where_it_is_said(ae_only: bool) -> None:
    made = vtp(rec_weight=0.0, ssl_weight=1.0, bottleneck_ae_only=ae_only)
    made.step(batch(), generator()).loss.backward()
    moved = made.tokenizer.bottleneck.weight.grad
    assert bool(moved is None or not moved.any()) == ae_only
    assert all(one.grad is None for one in made.teacher.parameters())


def test_without_meaning_it_is_an_auto_encoder() -> None:
    made, given = vtp(clip_weight=0.0, ssl_weight=0.0, rec_weight=1.0), batch()
    step = made.step(given, generator())
    x = given.x["image"]
    torch.testing.assert_close(step.loss, method.reconstruction(x, made.decode(made.tokenizer(x))).mean())
    assert not hasattr(made, "teacher")


@pytest.mark.parametrize("balance", ["centre", "sinkhorn"])
def test_a_step_moves_the_centre_and_then_the_teacher(balance: str) -> None:
    made = vtp(balance=balance, rec_share=0.5, ssl_share=0.5)
    before = made.teacher.copy.head.prototypes.clone()
    step = made.step(batch(), generator())
    assert bool(made.centre.any()) == bool(made.centre_patch.any()) == (balance == "centre")
    assert {"reconstruction", "distillation"} <= step.metrics.keys()
    with torch.no_grad():
        made.scores.prototypes.add_(1.0)
    made.after_step()
    torch.testing.assert_close(made.teacher.copy.head.prototypes, before + 0.008)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rec_share": 0.0}, "rec_share must be in"),
        ({"clip_weight": -1.0}, "clip_weight must be at least 0"),
        ({"balance": "mean"}, "balance must be centre or sinkhorn"),
    ],
)
def test_unfit_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vtp(**options)


def test_captions_name_what_is_drawn() -> None:
    train, test = world.shapes(3, 40, 20)
    image, text = (train.x[name] for name in ("image", "text"))
    assert (image.shape, text.shape, len(test)) == ((40, 3, 16, 16), (40, 6), 20)
    assert 0 <= float(image.min()) <= float(image.max()) <= 1
    torch.testing.assert_close(text[:, 0] - 2, train.labels)
    again = world.shapes(3, 40, 20)[0]
    torch.testing.assert_close(again.x["image"], image)


def test_emoji_come_as_pairs_of_the_same_form(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="emoji"):
        world.emoji(0)
    x = {"noto": torch.full((5, 3, 16, 16), 255, dtype=torch.uint8), "text": torch.ones(5, 2, dtype=torch.int64)}
    signs = data.Dataset("emoji", x, torch.arange(5), torch.arange(5), tuple("abcde"), {}, {"text": "tokens"})
    monkeypatch.setattr(world, "EMOJI", type("Emoji", (), {"load": staticmethod(lambda split, size: signs)}))
    train, _ = world.emoji(0)
    assert float(train.x["image"].mean()) == 1
    assert train.x["text"].shape == (5, 2)


def test_the_study_measures_what_is_pooled_and_what_is_restored() -> None:
    train, test = world.shapes(0, 60, 30)
    made = vtp(ssl_weight=0.0, bottleneck_ae_only=False)
    made.encoder["text"], made.decoder = BagOfTokens(80, 6), nn.Sequential(nn.Flatten(), nn.Linear(64, 768),
                                                                             nn.Unflatten(1, (3, 16, 16)))  # fmt: skip
    nn.init.zeros_(made.decoder[1].weight)
    nn.init.zeros_(made.decoder[1].bias)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "CHANNELS", 4)
        found = study.measured(made, train, test)
    assert found[study.PSNR] == pytest.approx(float(-10 * test.x["image"].square().mean().log10()), abs=1e-4)
    assert 0 <= found[study.PROBE] <= 1
    h = torch.arange(256.0).view(2, 128)
    torch.testing.assert_close(study.pooled(h)[0], torch.arange(8) * 16 + 7.5)
    assert study.raw(train, test)[study.PROBE] > 1 / 6


def test_the_panel_draws_an_arrow_from_reconstruction_alone() -> None:
    pixels = np.zeros((3, panel.SHOWN, 16, 16, 3), np.uint8)
    alone, now = panel.Learned(pixels, 22.0, 0.2), panel.Learned(pixels, 21.0, 0.5)
    picture = panel.tokenizer_picture({}, (alone, now))
    rows, trade = picture.charts
    assert (trade.marks[0].dx[0], float(trade.marks[0].dy[0])) == (-1.0, pytest.approx(0.3))
    assert [mark.tall for mark in rows.marks[:3]] == [16] * 3
    assert ("shape told", "0.50") in picture.readout
