"""VATT: its total against the authors' numbers, heads and spaces, bags of captions, DropToken, and spoken digits."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import recordings
import torch
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.nn import Transformer
from cl_explore.papers.vatt import method as module
from cl_explore.papers.vatt import panel as panels
from cl_explore.papers.vatt import world
from cl_explore.papers.vatt.method import VATT, VideoHead, drop_tokens, fac_heads, joint_heads
from cl_explore.papers.vatt.study import VIEWS, told

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vatt.json").read_text())["cases"]
SPACES = {"video": 4, "audio": 3, "text": 5}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch(clips: int = 6, captions: int = 3) -> Batch:
    x = {"video": random(clips, 4), "audio": random(clips, 3, seed=1), "text": random(clips, captions, 5, seed=2)}
    return Batch(x, torch.zeros(clips, dtype=torch.int64), torch.arange(clips))


def build(heads=fac_heads, loss: str = "mil_nce", **options: object) -> VATT:
    torch.manual_seed(0)
    encoders = {name: nn.Linear(width, 7) for name, width in SPACES.items()}
    return VATT(encoders, heads(dict.fromkeys(SPACES, 7), *((8, 4) if heads is fac_heads else (8,))), loss, VIEWS,
                **options).double()  # fmt: skip


class Given(nn.Module):
    """Stands for a head: hands out what it was given."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self.z = z

    def forward(self, h: Tensor) -> Tensor:
        return self.z


@pytest.mark.parametrize("weight_norm", ["code", "paper"])
def test_the_total_and_its_gradient_are_the_authors(weight_norm: str) -> None:
    """They add the two directions of a pair, where the mean is taken here; the paper does not divide by the weights."""
    (case,) = (case for case in GOLDEN if "w_va" in case["params"])
    p = case["params"]
    leaves = {name: torch.tensor(value, dtype=torch.float64).requires_grad_() for name, value in case["inputs"].items()}
    head = {
        "video": VideoHead(Given(leaves["video_va"][:, 0]), Given(leaves["video_vt"][:, 0])),
        "audio": Given(leaves["audio_va"][:, 0]),
        "text": Given(leaves["texts_vt"].flatten(0, 1)),
    }
    method = VATT(
        {name: nn.Identity() for name in head}, head, "mil_nce", VIEWS, temperature=p["tau"],
        text_weight=p["w_vt"] / p["w_va"], weight_norm=weight_norm,
    )  # fmt: skip
    step = method.step(batch(4, 5), torch.Generator())
    scale = 2 * p["w_va"] / (1 if weight_norm == "code" else p["w_va"] + p["w_vt"])
    torch.testing.assert_close((scale * step.loss).item(), case["loss"], atol=1e-9, rtol=1e-9)
    found = torch.autograd.grad(scale * step.loss, list(leaves.values()))
    for name, slope in zip(leaves, found, strict=True):
        torch.testing.assert_close(slope, torch.tensor(case["grad"][name], dtype=torch.float64), atol=1e-9, rtol=1e-9)
    assert step.metrics.keys() == {"weight", "audio_weight"}


def test_the_video_reaches_the_text_through_the_space_of_the_sounds() -> None:
    method, given = build(), batch()
    step = method.step(given, torch.Generator())
    h = method.encoder["video"](given.x["video"])
    fine = method.head["video"](h)
    audio = method.head["audio"](method.encoder["audio"](given.x["audio"]))
    text = method.head["text"](method.encoder["text"](given.x["text"]))
    heard = losses.clip(fine, audio)
    told = losses.mil_nce(method.head["video"].coarse(fine), text)
    torch.testing.assert_close(step.loss, (heard + told) / 2)
    step.loss.backward()
    assert all(weight.grad is not None for weight in method.parameters())
    kinds = [type(layer).__name__ for layer in method.head["video"].fine.modules() if not list(layer.children())]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d"]
    assert method.head["audio"].bias is not None
    method.eval()
    seen = method.in_text_space()
    torch.testing.assert_close(
        seen.project(seen(given.x)), method.head["video"].coarse(method.project(method(given.x)))
    )


def test_flat_heads_have_one_space() -> None:
    method, given = build(joint_heads), batch()
    z = method.embed_views(given, torch.Generator()).z
    assert z.shape == (6, 2 + 1 + 3, 8)
    torch.testing.assert_close(z[:, 0], z[:, 2])


def test_identical_captions_are_one_caption_exactly() -> None:
    given = batch(captions=1)
    repeated = given._replace(x={**given.x, "text": given.x["text"].expand(-1, 4, -1)})
    once, often = (build().step(one, torch.Generator()).loss for one in (given, repeated))
    torch.testing.assert_close(once, often, atol=1e-12, rtol=0)


def test_what_the_switches_refuse() -> None:
    for wrong, message in (
        ({"weight_norm": "none"}, "weight_norm must be 'code' or 'paper', got 'none'"),
        ({"text_weight": -1.0}, r"text_weight must be at least 0, got -1\.0"),
    ):
        with pytest.raises(ValueError, match=message):
            build(**wrong)
    flipped = {name: nn.Identity() for name in ("text", "audio", "video")}
    with pytest.raises(ValueError, match="encoder must name video, audio and text, in this order, got text, audio"):
        VATT(flipped, flipped, "mil_nce", VIEWS)


def test_outside_the_logarithm_every_caption_must_fit() -> None:
    query, candidates = torch.eye(5, dtype=torch.float64), random(5, 3, 5)
    candidates[:, 0] = torch.eye(5)
    inside = losses.mil_nce(query, candidates, temperature=0.1)
    outside = module.MeanOfLogs(0.1)(query, candidates)
    scores = torch.einsum("nd,mpd->nmp", query, nn.functional.normalize(candidates, dim=2)) / 0.1
    among = (scores.flatten(1).logsumexp(1) + scores.transpose(0, 1).transpose(1, 2).flatten(1).logsumexp(1)) / 2
    terms = among[:, None] - scores.diagonal().T  # (N, P), a logarithm for each caption
    torch.testing.assert_close(outside, terms.mean())
    assert outside > inside + math.log(3)
    alone = candidates[:, :1]
    for other in (module.MeanOfLogs(0.1), module.MeanCaption(0.1)):
        torch.testing.assert_close(other(query, alone), losses.clip(query, alone[:, 0], temperature=0.1))


def test_one_of_a_bag_is_drawn_evenly() -> None:
    bags = torch.arange(4)[None, :, None].expand(4000, -1, 2)
    drawn = module.one_of_bag(bags, torch.Generator().manual_seed(0), 1)
    assert drawn.shape == (4000, 1, 2)
    share = torch.bincount(drawn[:, 0, 0]) / 4000
    torch.testing.assert_close(share, torch.full((4,), 0.25), atol=0.03, rtol=0)


@pytest.mark.parametrize("per_sample", [False, True])
def test_dropped_tokens_are_a_random_subset(per_sample: bool) -> None:
    tokens = torch.arange(12.0).expand(50, -1)[..., None]
    torch.manual_seed(0)
    kept = drop_tokens(tokens, 0.5, per_sample)
    assert kept.shape == (50, 6, 1)
    assert all(len(row.unique()) == 6 for row in kept)
    assert bool((kept == kept[:1]).all()) is not per_sample
    assert drop_tokens(tokens, 0.9, per_sample).shape[1] == int(0.1 * 12)
    assert drop_tokens(tokens[:, :10], 0.9, per_sample).shape[1] == 1
    assert drop_tokens(tokens[:, :2], 0.9, per_sample).shape[1] == 1
    assert drop_tokens(tokens, 0.0, per_sample) is tokens


def test_a_transformer_sees_all_tokens_when_it_drops_none_or_is_evaluated() -> None:
    torch.manual_seed(0)
    x, trunk = random(4, 2, 16).float(), Transformer(8, heads=2)
    patches = module.Patches(x[0], 4, 8)
    every, half = (module.DroppingTransformer(patches, patches.count, trunk, drop=drop) for drop in (0.0, 0.5))
    half.load_state_dict(every.state_dict())
    full = every(x)
    assert full.shape == (4, every.out_features)
    assert not torch.allclose(half(x), full)
    torch.testing.assert_close(half.eval()(x), full)
    with pytest.raises(ValueError, match="drop must be from 0 to below 1, got 1"):
        module.DroppingTransformer(patches, patches.count, trunk, drop=1)


def test_two_modalities_may_share_a_trunk() -> None:
    trunk = Transformer(8, heads=2)
    image, words = module.Patches(torch.zeros(3, 6, 6), 2, 8), nn.Embedding(20, 8, padding_idx=0)
    seen, told = module.DroppingTransformer(image, image.count, trunk), module.DroppingTransformer(words, 4, trunk)
    (seen(torch.randn(3, 3, 6, 6)).sum() + told(torch.randint(20, (3, 4))).sum()).backward()
    own = sum(weight.numel() for part in (seen, told) for weight in part.parameters())
    shared = sum(weight.numel() for weight in trunk.parameters())
    assert sum(weight.numel() for weight in nn.ModuleList([seen, told]).parameters()) == own - shared
    assert all(weight.grad is not None for weight in trunk.parameters())


def test_patches_are_cut_in_order() -> None:
    x = torch.arange(32.0).view(1, 2, 4, 4)
    patches = module.Patches(x[0], 2, 8)
    nn.init.eye_(patches.project.weight)
    nn.init.zeros_(patches.project.bias)
    tokens = patches(x)
    assert tokens.shape == (1, patches.count, 8)
    assert tokens[0, 1].tolist() == [2, 3, 6, 7, 18, 19, 22, 23]


def test_a_bag_holds_as_many_fitting_captions_as_asked_for() -> None:
    for fitting in (0, 1, 3):
        train, test = world.feature_streams(0, clips=400, unseen=50, candidates=4, fitting=fitting)
        words = train.x["text"][..., :2] - torch.tensor([world.FIRST, world.FIRST + world.ACTIONS])
        fits = (words == torch.stack([train.factors["action"], train.factors["colour"]], dim=1)[:, None]).all(2)
        assert (fits.sum(1) >= fitting).all()
        assert float(fits.float().sum(1).mean()) == pytest.approx(fitting, abs=0.1)  # others fit by chance
        if fitting:
            own = fits[torch.arange(400), train.factors["place"]]
            assert own.all()
    assert test.x["text"].shape == (50, 4)
    assert torch.bincount(train.factors["place"], minlength=4).min() > 30
    with pytest.raises(ValueError, match="fitting must be from 0 to the 2 captions of a bag, got 3"):
        world.feature_streams(0, candidates=2, fitting=3)


def test_whoever_is_told_gets_the_caption_that_fits() -> None:
    train, _ = world.feature_streams(0, clips=100, unseen=10)
    words = told(train).x["text"]
    assert words.shape == (100, 1, 4)
    assert torch.equal(words[:, 0, 0] - world.FIRST, train.factors["action"])


def test_frames_together_are_as_noisy_as_one_vector() -> None:
    train, _ = world.feature_streams(0, clips=300, unseen=10, frames=16)
    assert train.x["video"].shape == (300, 40, 16)
    same = train.x["video"][train.labels == train.labels[0]].mean(2)
    assert float(same.std(0).mean()) == pytest.approx(world.NOISE, rel=0.4)


@pytest.fixture
def spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings.write(tmp_path)
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))


@pytest.mark.usefixtures("spoken")
def test_spoken_digits_stand_beside_images_and_words_of_the_same_digit() -> None:
    train, test = world.spoken_digits(0, candidates=3)
    assert (len(train), len(test)) == (20, 10)
    assert torch.equal(train.x["audio"][:, 0, 0].long(), train.labels + 1)
    assert torch.equal(told(train).x["text"][:, 0, 0] - world.FIRST, train.labels)
    assert torch.equal(test.x["text"][:, 0] - world.FIRST, test.labels)
    again = world.spoken_digits(0, candidates=3).train
    assert again.fingerprint() == train.fingerprint()


@pytest.fixture(scope="module")
def course() -> panels.Course:
    return panels.learn(5, 0.8)


def test_in_the_panel_the_weight_gathers_on_what_fits_and_only_mil_nce_learns(course: panels.Course) -> None:
    assert course.on_fitting[0] < 0.4
    assert course.on_fitting[-1] > 0.6
    assert course.top1[-1, 0] > course.top1[-1, 1:].max() + 0.1
    assert (course.fits.sum(1) >= 1).all()
    np.testing.assert_allclose(course.weight.sum(2), 1, rtol=1e-5)
    before = torch.get_rng_state()
    np.testing.assert_array_equal(panels.learn(5, 0.8).cosines, course.cosines)
    assert torch.equal(before, torch.get_rng_state())


def test_the_panel_frames_own_captions_and_those_that_fit(course: panels.Course) -> None:
    picture = panels.bag_picture({"step": 80, "drop": 0.5}, course)
    scores, weights, retrieval, dropped = picture.charts
    rows, columns = np.nonzero(course.fits)
    own, fitting = scores.marks[1], weights.marks[1]
    np.testing.assert_array_equal(own.x.reshape(-1, 6)[:, 0], 5 * np.arange(panels.SHOWN))
    np.testing.assert_array_equal(fitting.x.reshape(-1, 6)[:, :2].T, [columns, columns + 1])
    np.testing.assert_array_equal(fitting.y.reshape(-1, 6)[:, 1:3].T, [rows, rows + 1])
    np.testing.assert_allclose(retrieval.marks[0].height, course.top1[-1])
    assert dropped.marks[0].values.sum() == panels.PATCHES**2 / 2
    assert "25% of the pairs" in dropped.note
    nothing = panels.bag_picture({"step": 0, "drop": 0.0}, course._replace(fits=np.zeros_like(course.fits)))
    assert len(nothing.charts[1].marks) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"captions": 10}, "captions must be between 1 and 9, got 10"),
        ({"wrong": 1.5}, "wrong must be between 0 and 1, got 1.5"),
        ({"drop": 0.95}, r"drop must be between 0 and 0\.9, got 0\.95"),
    ],
)
def test_knobs_out_of_range_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        panels.BagPanel(**wrong)
