"""Mask & Match: both contrasts against golden numbers and closed forms, masks, attention, and where symbols are."""

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from cl_explore import losses
from cl_explore.data import Batch, Dataset
from cl_explore.methods import JointEmbedding
from cl_explore.papers.mask_and_match import method, panel, study, world
from cl_explore.papers.mask_and_match.method import AttentionPool, GridEncoder, MaskAndMatch, local_contrast
from cl_explore.train import fit

CASES = json.loads((Path(__file__).parents[1] / "golden" / "mask-and-match.json").read_text())["cases"]
MEAN = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def cells(samples: int = 3, places: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(samples, 2, places, 5, dtype=torch.float64, generator=generator(seed))


def batch_of(x: Tensor) -> Batch:
    rows = torch.arange(len(x))
    return Batch(x, torch.zeros_like(rows), rows, {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_losses_and_gradients_of_a_step_are_the_golden_ones(case: dict) -> None:
    sides = ("cells_view1", "cells_view2")
    given_cells = [torch.tensor(case["inputs"][side], dtype=torch.float64, requires_grad=True) for side in sides]
    features, known = given_cells[0].shape[-1], case["params"]
    x = torch.cat(given_cells, 2).mT[:, :, None]  # the cells are the pixels, the views stand in the channels

    def augment(x: Tensor, generator: Generator, n_views: int) -> Tensor:
        return x.unflatten(1, (n_views, features))

    matched = MaskAndMatch(
        GridEncoder(nn.Identity(), MEAN, features), nn.Identity(), "nt_xent", augment, steps=1, last=0.0,
        anchors="all", temperature=known["tau_global"], local_temperature=known["tau_local"],
        local_weight=known["local_weight"],
    )  # fmt: skip
    matched.local = nn.Identity()
    loss, metrics = matched.step(batch_of(x), generator())
    assert loss.item() == pytest.approx(case["loss"], abs=1e-9)
    assert ("local" in metrics) == (known["local_weight"] > 0)
    if "local" in metrics:
        assert metrics["local"].item() == pytest.approx(case["local"], abs=1e-9)
    for found, side in zip(torch.autograd.grad(loss, given_cells), sides, strict=True):
        expected = torch.tensor(case["grad"][side], dtype=torch.float64)
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def test_the_local_contrast_is_clip_over_the_places() -> None:
    z = cells()
    each = [losses.clip(*views, temperature=0.2, reduction="none") for views in z]
    torch.testing.assert_close(local_contrast(z), torch.stack(each).mean())
    weight = torch.rand(3, 4, dtype=torch.float64, generator=generator())
    torch.testing.assert_close(local_contrast(z, weight), (weight * torch.stack(each)).sum() / weight.sum())
    whole = losses.clip(*z.transpose(0, 1).flatten(1, 2), temperature=0.5)
    torch.testing.assert_close(local_contrast(z, temperature=0.5, negatives="batch"), whole)
    assert local_contrast(z[:, :, :1]).item() == 0, "one place"
    assert local_contrast(torch.ones_like(z)).item() == pytest.approx(math.log(4))
    none = z.clone().requires_grad_()
    local_contrast(none, torch.zeros(3, 4, dtype=torch.float64)).backward()
    assert none.grad is not None
    assert none.grad.eq(0).all(), "no anchor, no loss"
    assert torch.autograd.gradcheck(local_contrast, (cells(2, 3).requires_grad_(), weight[:2, :3]))


@given(seed=st.integers(0, 1000), negatives=st.sampled_from(["same_image", "batch"]))
@settings(max_examples=15, deadline=None)
def test_the_order_of_the_places_and_of_the_views_does_not_count(seed: int, negatives: method.Negatives) -> None:
    z, weight = cells(seed=seed), torch.rand(3, 4, dtype=torch.float64, generator=generator(seed))
    order = torch.randperm(4, generator=generator(seed))
    found = local_contrast(z, weight, negatives=negatives)
    assert found >= 0
    torch.testing.assert_close(local_contrast(z[:, :, order], weight[:, order], negatives=negatives), found)
    torch.testing.assert_close(local_contrast(z.flip(1), weight, negatives=negatives), found)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: local_contrast(torch.ones(2, 4, 3)), r"cells must have shape \(B, 2, P, D\), got \(2, 4, 3\)"),
        (lambda: local_contrast(cells(), torch.ones(3, 5)), r"weight must have shape \(3, 4\), got \(3, 5\)"),
        (lambda: local_contrast(cells(), temperature=0), "temperature must be"),
        (lambda: local_contrast(cells(), negatives="none"), "negatives must be"),
        (lambda: method.mask_ratio(torch.tensor(0.5), "cosin"), "schedule must be one of"),
        (lambda: method.mask_ratio(torch.tensor(0.5), last=1.5), "last must be"),
        (lambda: method.hide_blocks(torch.ones(1, 1, 8, 8), 0.5, generator(), block=0), "block must be at least 1"),
        (lambda: world.InkViews()(torch.ones(2, 8, 8), generator()), r"x must have shape \(B, C, H, W\)"),
    ],
)
def test_what_does_not_fit_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_masks_grow_and_hide_as_much_as_they_say() -> None:
    progress = torch.linspace(-0.5, 1.5, 41)
    for schedule in ("linear", "cosine", "steps"):
        found = torch.stack([method.mask_ratio(one, schedule, 0.1, 0.7) for one in progress])
        assert (found.diff() >= -1e-6).all()
        assert (found[0].item(), found[-1].item()) == pytest.approx((0.1, 0.7))
    assert len(found.round(decimals=4).unique()) == 4, "steps"
    x = torch.rand(200, 2, 24, 40, generator=generator()) + 0.1
    masked, hidden = method.hide_blocks(x, torch.tensor(0.4), generator())
    blocks = hidden.unflatten(2, (10, 4)).unflatten(1, (6, 4))
    assert (blocks == blocks[:, :, :1, :, :1]).all(), "whole blocks"
    assert hidden.double().mean().item() == pytest.approx(0.4, abs=4 * math.sqrt(0.24 / (200 * 60)))
    torch.testing.assert_close(masked, x * ~hidden[:, None])
    assert method.hide_blocks(x, 0.5, generator(), block=9)[1].shape == (200, 24, 40), "cut at the edges"


def test_attention_starts_as_the_mean_and_weighs_cells() -> None:
    grid = torch.randn(3, 5, 2, 4, generator=generator())
    pool = AttentionPool(5)
    torch.testing.assert_close(pool(grid), MEAN(grid))
    nn.init.normal_(pool.outer.weight, std=5, generator=generator())
    weight = pool.logits(grid).softmax(1)
    torch.testing.assert_close(weight.sum(1), torch.ones(3))
    torch.testing.assert_close(pool(grid), torch.einsum("np,nfp->nf", weight, grid.flatten(2)))
    order = torch.randperm(8, generator=generator())
    torch.testing.assert_close(pool(grid.flatten(2)[:, :, order][:, :, None]), pool(grid))


def built(form: type = MaskAndMatch, *, attention: bool = False, **options: object) -> JointEmbedding:
    torch.manual_seed(0)
    given_data = world.formulas(0, "train", 1)
    return form(*world.networks(given_data, attention=attention), "nt_xent", world.InkViews(), **options)


def test_without_cells_and_masks_a_step_is_that_of_simclr() -> None:
    x = world.formulas(0, "train", 6).x
    ours, theirs = built(steps=10, local_weight=0, last=0), built(JointEmbedding)
    found, expected = (one.step(batch_of(x), generator()) for one in (ours, theirs))
    torch.testing.assert_close(found.loss, expected.loss)
    assert found.metrics.keys() == expected.metrics.keys()


def test_masked_and_white_cells_are_no_anchors() -> None:
    x = torch.zeros(1, 1, 8, 12)
    x[0, 0, :4, 4:8] = x[0, 0, 4:, :4] = 0.5
    hidden = torch.zeros(1, 8, 12, dtype=torch.bool)
    hidden[0, 5, 2] = True
    for anchors, expected in (("ink", [0, 1, 0, 0, 0, 0]), ("all", [1, 1, 1, 0, 1, 1])):
        assert built(steps=1, anchors=anchors).weight(x, hidden, (2, 3)).tolist() == [expected]


def test_a_training_masks_more_and_more_and_leaves_a_frozen_grid_as_it_was() -> None:
    train = world.formulas(0, "train", 16)
    attending = built(attention=True, steps=4, local_weight=0, last=0.8)
    attending.encoder.grid.requires_grad_(False)
    before = [weight.clone() for weight in attending.encoder.grid.parameters()]
    run = fit(attending, train, epochs=2, batch_size=8, snapshots=0, store=False, progress=False, device="cpu")
    assert run.method.done == 4
    assert run.method.ratio() == pytest.approx(0.8)
    assert attending.ratio() in (0, pytest.approx(0.8))
    for weight, old in zip(run.method.encoder.grid.parameters(), before, strict=True):
        assert torch.equal(weight.cpu(), old)
    assert run.method.encoder.pool.outer.weight.abs().max() > 0
    assert run.history["entropy"].iloc[0] == pytest.approx(math.log(60), rel=1e-4)


def test_formulas_say_where_their_symbols_are() -> None:
    made, again = (world.formulas(0, "test", 60) for _ in range(2))
    assert made.fingerprint() == again.fingerprint() != world.formulas(1, "test", 60).fingerprint()
    assert made.x.shape == (60, 1, 24, 40)
    assert 0 <= made.x.min() < made.x.max() <= 1
    assert set(made.labels.tolist()) == set(range(6))
    inked = method.inked(made.x, (6, 10)).flatten(1)
    for place in range(2):
        assert made.factors[f"symbol {place}"].max() <= 9
        assert inked.gather(1, made.factors[f"cell {place}"][:, None]).double().mean() > 0.9


def test_views_keep_places_and_cells_see_so_far() -> None:
    x = world.formulas(0, "train", 40).x
    thick = world.InkViews(gain=0, thick=1, noise=0)(x, generator(), 2)
    torch.testing.assert_close(thick[:, 0].where(x > 0.5, 0), x.where(x > 0.5, 0))
    torch.testing.assert_close(world.InkViews(strength=0)(x, generator(), 2), x[:, None].expand(-1, 2, -1, -1, -1))
    gained = world.InkViews(gain=0.3, thick=0, noise=0)(x, generator(), 1)[:, 0].amax((1, 2, 3)) / x.amax((1, 2, 3))
    assert 0.7 <= gained.min() < 0.85 < 1.15 < gained.max() <= 1.3
    grid = world.networks(Dataset("one", x, torch.zeros(40, dtype=torch.int64), torch.arange(40), ("x",)))[0].grid[::3]
    picture = x[:1].clone().requires_grad_()  # the convolutions alone, as normalisation sees the whole
    grid(picture)[0, :, 3, 5].sum().backward()
    rows, columns = picture.grad[0, 0].nonzero().unbind(1)
    assert rows.max() <= 4 * 3 + 11
    assert (columns.min() >= 4 * 5 - 11) & (columns.max() <= 4 * 5 + 11)


def learned() -> panel.Learned:
    torch.manual_seed(0)
    encoder = world.networks(world.formulas(0, "train", 1), attention=True)[0].requires_grad_(False)
    return panel.Learned(encoder, [1 - ratio for ratio in panel.RATIOS], 0.3, 0.9)


def state(**changes: object) -> dict[str, object]:
    return {"ratio": 0.4, "local_weight": 1.0, "last": 0.6, "structure": "a over b", **changes}


def test_the_panel_shows_what_blocks_take_away() -> None:
    made = learned()
    whole, gaps = (panel.match_picture(state(ratio=ratio), made) for ratio in (0.0, 0.6))
    assert dict(whole.readout)["cells that find their place"] == "100%"
    left, size = dict(gaps.readout)["cells with ink left"].split(" of ")
    assert int(left) < int(size)
    share, area = dict(gaps.readout)["attention on ink"].removesuffix(")").split(" (area ")
    assert share == area, "before training all cells weigh alike"
    pictures, _, cosines, found = gaps.charts
    assert not np.array_equal(*pictures.marks[0].pixels.reshape(2, -1))
    matrix = whole.charts[2].marks[0].values.reshape(int(size), -1)
    assert np.diag(matrix) == pytest.approx(1, abs=1e-5)
    assert len(cosines.marks[0].values) == int(size) ** 2
    assert found.marks[0].y.tolist() == pytest.approx(made.found)
    texts = {name: panel.match_picture(state(structure=name), made).readout for name in world.LAYOUTS}
    assert len(set(map(str, texts.values()))) > 3, "formulas differ"


def test_the_panel_trains_anew_and_refuses_what_it_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, float]] = []
    monkeypatch.setattr(panel, "learn", lambda local_weight, last: asked.append((local_weight, last)) or learned())
    shown = panel.MatchPanel()
    shown.knobs["ratio"].value = 0.2
    shown.knobs["last"].value = 0.0
    shown.wait()
    assert asked == [(1.0, 0.6), (1.0, 0.0)]
    for unfit in ({"ratio": 0.45}, {"local_weight": 2.0}, {"last": 0.9}):
        with pytest.raises(ValueError, match=f"{next(iter(unfit))} must be one of"):
            panel.MatchPanel(**unfit)


def test_what_the_panel_learns_is_measured_on_other_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SAMPLES": 64, "UNSEEN": 40, "STEPS": 2}.items():
        monkeypatch.setattr(panel, name, value)
    monkeypatch.setattr(panel, "world", cache(panel.world.__wrapped__))
    made = panel.learn(1.0, 0.6)
    assert made.found[0] == 1
    assert len(made.found) == len(panel.RATIOS)
    assert made.found[-1] < 1
    assert 0 < made.symbol < made.structure <= 1


INKML = """<ink xmlns="http://www.w3.org/2003/InkML">
{writer}<annotation type="truth">$x^2$</annotation>
<trace id="5">100 200 7, 300 400 8</trace><trace id="6">300 200, 100 400</trace><trace id="9">380 100</trace>
<traceGroup><annotation type="truth">Segmentation</annotation>
<traceGroup><annotation type="truth">x</annotation><traceView traceDataRef="5"/>
<traceView traceDataRef="6"/></traceGroup>
<traceGroup><annotation type="truth">\\gamma</annotation><traceView traceDataRef="9"/></traceGroup>
</traceGroup></ink>"""


def test_crohme_is_read_as_published_and_writers_are_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    folder = tmp_path / "crohme" / "TrainINKML" / "HAMEX"
    folder.mkdir(parents=True)
    for writer in ("a", "b", "b", "c", "d", "e", ""):
        said = f'<annotation type="writer">{writer}</annotation>' if writer else ""
        text = INKML.format(writer=said)
        (folder / f"{len(list(folder.iterdir()))}.inkml").write_text(text, encoding="utf-8")
    train, test = world.crohme("train"), world.crohme("test")
    assert (len(train), len(test)) == (4, 2), "writers a and e are held out, the unknown one is in neither"
    assert train.x.shape == (4, 1, 32, 96)
    assert [train.class_names[label] for label in train.labels.unique()] == ["power"]
    assert world.KNOWN[int(train.factors["symbol 0"][0])] == "x"
    assert train.factors["symbol 1"].eq(-1).all(), "a name that is not known"
    rows, columns = train.x[0, 0].nonzero().T
    assert (rows.min(), rows.max()) == (2, 29), "as high as the page allows"
    assert (columns.min() + columns.max()) / 2 == pytest.approx(47.5, abs=0.5)
    cell = int(train.factors["cell 0"][0])
    assert method.inked(train.x[:1], (8, 24)).flatten()[cell]
    drawn = study.written(0, "train", 3)
    assert (len(drawn), study.written(1, "train", 9).x.shape) == (3, (4, 1, 32, 96))


@pytest.mark.parametrize(
    ("latex", "name"),
    [("$a + b$", "flat"), ("$x^2$", "power"), ("$a_i$", "index"), (r"$\frac{a}{b}$", "fraction"),
     (r"$\sqrt{a}$", "root"), ("$a_i^2$", "several")],
)  # fmt: skip
def test_structures_are_read_from_latex(latex: str, name: str) -> None:
    assert world.STRUCTURES[world.structure(latex)] == name


def test_pixels_of_a_cell_are_what_it_sees_and_probes_read_known_symbols_alone() -> None:
    made = world.formulas(0, "train", 8)
    around = study.Surroundings()(made.x)
    assert around.shape == (8, 23 * 23, 6, 10)
    middle = around.unflatten(1, (23, 23))[:, 11, 11]
    torch.testing.assert_close(middle, made.x[:, 0, ::4, ::4])
    made.factors["symbol 1"][:3] = -1
    seen = study.Seen(built(steps=1), made)
    cells, labels = seen.symbols()
    assert len(cells) == len(labels) == 13
    torch.testing.assert_close(cells[0], seen.grid[0].flatten(1)[:, made.factors["cell 0"][0]])
    assert 0 < seen.matched() <= 1
