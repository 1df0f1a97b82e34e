"""GOPro: prompts and their three terms against golden numbers, what reaches what, views, the world and its panel."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import data, losses
from cl_explore.data.emoji import STYLES
from cl_explore.methods.plain import take_step
from cl_explore.papers.gopro import method, panel, study, world

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "gopro.json").read_text())
CASES = {case["name"]: case for case in GOLDEN["cases"]}
DOUBLE = torch.float64


def given(case: dict[str, Any]) -> dict[str, Tensor]:
    return {
        name: torch.tensor(value, dtype=DOUBLE).requires_grad_()
        for name, value in case["inputs"].items()
        if name != "label"
    }


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("total")])
def test_terms_and_gradients_are_the_golden_ones(name: str) -> None:
    case = CASES[name]
    leaves = given(case)
    logits, first, moco, augmix, *z = leaves.values()
    terms = {
        "ce": F.cross_entropy(logits, torch.tensor(case["inputs"]["label"])),
        "sem": method.drift(torch.stack([first, moco, augmix], 1)),
        "con": losses.nt_xent(torch.stack(z, 1), temperature=case["params"]["tau"]),
    }
    for term, value in terms.items():
        assert value.item() == pytest.approx(case["components"][term], abs=1e-9)
    loss = terms["ce"] + terms["sem"] + 0.1 * terms["con"]
    assert loss.item() == pytest.approx(case["loss"], abs=1e-9)
    loss.backward()
    for leaf, expected in case["grad"].items():
        torch.testing.assert_close(leaves[leaf].grad, torch.tensor(expected, dtype=DOUBLE), atol=1e-9, rtol=0)


def test_contrast_is_the_authors_and_statistics_are_too() -> None:
    case = CASES["simclr_B4_tau0.1"]
    leaves = given(case)
    loss = losses.nt_xent(torch.stack(list(leaves.values()), 1), temperature=0.1)
    assert loss.item() == pytest.approx(case["loss"], abs=1e-9)
    for leaf, expected in zip(torch.autograd.grad(loss, list(leaves.values())), case["grad"].values(), strict=True):
        torch.testing.assert_close(leaf, torch.tensor(expected, dtype=DOUBLE), atol=1e-9, rtol=0)
    case = CASES["style_mu_sigma"]
    found = method.statistics(torch.tensor(case["inputs"]["tokens"], dtype=DOUBLE))
    for part, name in zip(found, ("mu", "sigma"), strict=True):
        torch.testing.assert_close(part, torch.tensor(case["output"][name], dtype=DOUBLE), atol=1e-9, rtol=0)


def frozen() -> method.FrozenCLIP:
    torch.manual_seed(0)
    return method.FrozenCLIP(world.Stages().stages, nn.Linear(48, 48), world.Captions(), 10.0)


def made(conditioning: method.Conditioning = "both", **options: Any) -> method.GOPro:
    clip = frozen()
    torch.manual_seed(1)
    prompts = method.Prompts(clip.text.vectors(world.tokens(*world.PHRASE)), world.CHANNELS, conditioning)
    own = {"names": world.tokens(*world.SHAPES), "known": 4, "temperature": 0.1, **options}
    projector = nn.Sequential(nn.Linear(48, 48), nn.BatchNorm1d(48))
    return method.GOPro(clip, projector, "nt_xent", world.PromptViews(), prompts=prompts, **own)


FEW = world.bare(world.pictures(8, torch.Generator().manual_seed(0), "shifted", shape=torch.arange(8) % 4))
BATCH = FEW.batch(torch.arange(8))


def loss_of(model: method.GOPro, seed: int = 0) -> Tensor:
    return model.step(BATCH, torch.Generator().manual_seed(seed)).loss


def test_without_conditioning_and_terms_it_is_the_cross_entropy_of_coop() -> None:
    model = made("none", drift_weight=0.0, contrast_weight=0.0)
    text = model.encoder.text
    classes = torch.stack([torch.cat([world.tokens(*world.PHRASE), world.tokens(name)]) for name in world.SHAPES[:4]])
    image = model(BATCH.x)[:, :48]
    torch.testing.assert_close(image.norm(dim=1), torch.ones(8))
    cosines = image @ F.normalize(text(classes), dim=1).T
    torch.testing.assert_close(loss_of(model), F.cross_entropy(10 * cosines, BATCH.labels))


def test_the_contrast_reaches_the_projector_alone_unless_it_stands_in_the_logits() -> None:
    def reached(**options: Any) -> set[str]:
        model = made(**options)
        loss_of(model).backward()
        return {name.split(".")[0] for name, leaf in model.named_parameters() if leaf.grad is not None}

    assert reached() == {"prompts", "head"}
    assert reached(contrast_weight=0.0) == {"prompts"}
    assert reached(contrast_weight=0.0, project_for_ce=True) == {"prompts", "head"}
    one, other = (made(contrast_weight=weight) for weight in (0.1, 5.0))
    for model in (one, other):
        loss_of(model).backward()
    assert one.prompts.context.grad is not None
    torch.testing.assert_close(one.prompts.context.grad, other.prompts.context.grad, atol=1e-9, rtol=1e-4)


def test_a_mix_of_zero_makes_prompts_that_do_not_hear_the_picture_and_do_not_drift() -> None:
    model = made(contrast_weight=0.0)
    with torch.no_grad():
        texts = model.texts(model(BATCH.x), torch.arange(8))
        assert (texts[0] - texts[1]).abs().max() > 1e-4
        model.prompts.mix.weight.zero_()
        texts = model.texts(model(BATCH.x), torch.arange(8))
    torch.testing.assert_close(texts, texts[:1].expand_as(texts))
    assert model.step(BATCH, torch.Generator().manual_seed(0)).metrics["drift"].item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("conditioning", ["style", "content", "both"])
def test_the_shift_is_what_the_formula_says(conditioning: method.Conditioning) -> None:
    prompts = made(conditioning).prompts
    said = frozen()(BATCH.x)[:, 48:]
    shift, start = torch.zeros(8, 48), 0
    for layer, size in enumerate(world.CHANNELS):
        mean, spread = said[:, start : start + size], said[:, start + size : start + 2 * size]
        style, content = prompts.style[layer]((mean + spread) / 2), prompts.content[layer](mean)
        heard = {"style": style, "content": content, "both": (style + content) / 2}[conditioning]
        shift, start = shift + prompts.mix.weight[0, layer] * heard, start + 2 * size
    expected = prompts.context + (shift + prompts.mix.bias)[:, None]
    torch.testing.assert_close(prompts(said), expected, atol=1e-5, rtol=1e-4)


def test_a_step_moves_prompts_and_leaves_the_model_as_it_was() -> None:
    model = made()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.Adam([leaf for leaf in model.parameters() if leaf.requires_grad], 1e-2)
    model.train()
    take_step(model, BATCH, optimizer, torch.Generator().manual_seed(0))
    moved = {name.split(".")[0] for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert moved == {"prompts", "head"}
    assert set(model.predict(BATCH.x, torch.tensor([5, 7])).tolist()) <= {5, 7}


def test_views_are_the_picture_and_two_of_it_and_the_slip_mixes_the_first_alone() -> None:
    x = BATCH.x
    for name in ("each", "first"):
        views = world.PromptViews(augmix=name)(x, torch.Generator().manual_seed(0))
        assert views.shape == (8, 3, 3, 16, 16)
        assert views.min() >= 0
        assert views.max() <= 1
        assert views[:, 0].equal(x)
    same = world.PromptViews(strength=0.0, augmix="first")(x, torch.Generator().manual_seed(0))
    torch.testing.assert_close(same[:, 1], x)
    torch.testing.assert_close(same[:, 2], x[:1].expand_as(x))
    size = torch.full((8,), 0.5)
    torch.testing.assert_close(world.operate(x, torch.full((8,), 6), 0 * size), (x * 32).floor().clamp(max=31) / 31)
    torch.testing.assert_close(world.operate(x, torch.full((8,), 7), 2 * size), torch.where(x > 0.5, 1 - x, x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drift_weight": -1.0}, "drift_weight must be at least 0, got -1.0"),
        ({"contrast_weight": float("nan")}, "contrast_weight must be at least 0, got nan"),
        ({"known": 9}, "known must be 2 to all 8 classes, got 9"),
        ({"conditioning": "colour"}, "conditioning"),
    ],
)
def test_errors_name_the_argument(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**options)
    with pytest.raises(ValueError, match="augmix must be 'each' or 'first', got 'all'"):
        world.PromptViews(augmix="all")


def test_a_heavier_weight_holds_the_prompts_of_the_panel_closer_together() -> None:
    free, held = panel.learn(0.0), panel.learn(10000.0)
    assert held.drift.mean() < free.drift.mean() / 3
    assert free.drift[0].mean() < free.drift[-1].mean()  # weaker views move them less
    state = {"weight": 0.0, "strength": 0.5, "picture": 2}
    assert panel.prompt_picture(state, free).readout != panel.prompt_picture(state, held).readout
    for wrong in ({"picture": 7}, {"weight": 3.0}, {"strength": 2.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            panel.PromptPanel(**wrong)


def test_the_smoke_study_has_every_row_that_claims_are_about() -> None:
    rows = study.STUDY.run(0, **study.STUDY.settings("smoke"))
    known = {row["method"]: row for row in rows}
    for claim in study.STUDY.claims:
        for side in (claim.method, claim.baseline):
            assert not isinstance(side, str) or claim.preset == "real" or claim.metric in known[side]
    assert known["CoOp"][study.DRIFT] == -9


def test_emoji_of_a_new_style_make_a_world_of_known_and_new_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [*world.NAMES, "a", "photo", "of"]
    index = torch.arange(96)
    text = torch.zeros(96, 9, dtype=torch.int64)
    text[:, 0], text[:3, 1], text[3, 6] = 2 + index % 8, 2 + 7, 2 + 7  # three of two classes; the seventh word is cut
    x = {style: torch.full((96, 3, 16, 16), number, dtype=torch.uint8) for number, style in enumerate(STYLES)}
    found = data.Dataset("emoji", {**x, "text": text}, index % 2, index, ("even", "odd"), kind={"text": "tokens"})
    monkeypatch.setattr(world, "EMOJI", type("Emoji", (), {"load": staticmethod(lambda split, size: found)}))
    monkeypatch.setattr(world, "emoji_words", lambda: listed)
    seen = {}

    def trained(train: data.Dataset, seed: int, epochs: int, *, words: int) -> method.FrozenCLIP:
        seen["train"] = train
        return method.FrozenCLIP(world.Stages().stages, nn.Linear(48, 48), world.Captions(words), 10.0)

    monkeypatch.setattr(world, "pretrained", trained)
    made = world.signs(0, epochs=1, shots=4)
    image, caption = (seen["train"].x[name] for name in ("image", "caption"))
    assert (len(image), float(image.max())) == (192, pytest.approx(1 / 255))
    assert caption[:, :4].unique(dim=0).tolist() == [[10, 11, 12, 10]]
    assert caption.shape[1] == world.LONGEST
    assert made.few.labels.bincount().tolist() == [4] * 4
    assert made.unseen.labels.bincount().tolist() == [7, 7, 7, 8, 8, 8, 8, 8]  # three are of no class
    assert not set(made.few.index.tolist()) & set(made.unseen.index.tolist())
    assert float(made.few.x.min()) == pytest.approx(2 / 255)
    assert (made.names.tolist(), made.known, made.context.shape) == (list(range(2, 10)), 4, (4, 48))
    with pytest.raises(ValueError, match="shots must leave pictures of 'flag' to test with, got 11 of 11"):
        world.signs(0, epochs=1, shots=11)
    rows = study.run(0, world="emoji", arms=("CoOp", "w_sem=1e3"), shots=4, epochs=1)
    assert [row["method"] for row in rows[3:]] == ["CoOp", "w_sem=1e3"]
    with pytest.raises(ValueError, match='world must be "shapes" or "emoji"'):
        study.run(0, world="flags")
