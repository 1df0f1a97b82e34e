"""Selfie: patches and holes, the score matrix against the golden loss, poolings, its leak and its panel."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from cl_explore.data import Batch, Dataset
from cl_explore.methods.plain import take_step
from cl_explore.nn import AttentionPool, Transformer
from cl_explore.papers.selfie import panel, study, world
from cl_explore.papers.selfie.method import Holes, MeanPool, PatchNetwork, Selfie, cut, on_whole_images

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "selfie.json").read_text())["cases"]


def images(count: int = 6, size: int = 12, seed: int = 0) -> Dataset:
    x = torch.rand(count, 3, size, size, generator=Generator().manual_seed(seed))
    return Dataset("noise", x, torch.arange(count) % 2, torch.arange(count), ("a", "b"))


def built(head: nn.Module | None = None, grid: int = 3, **options: Any) -> Selfie:
    torch.manual_seed(0)
    network = PatchNetwork(3, 8)
    return Selfie(network, head or AttentionPool(Transformer(8, depth=1, heads=2)), "selfie", Holes(grid, 4), **options)


class Given(nn.Module):
    """Stands for a network or a pool: gives what it was made with."""

    out_features = 4

    def __init__(self, made: Tensor) -> None:
        super().__init__()
        self.made = made

    def forward(self, x: Tensor) -> Tensor:
        return self.made


def test_holes_and_candidates_of_the_step_are_those_of_the_golden_loss() -> None:
    (case,) = (case for case in GOLDEN if case["name"] == "B3_N9_m3")
    u, pos, h = (torch.tensor(case["inputs"][name], dtype=torch.float64) for name in ("u", "pos", "h"))
    missing = torch.tensor(case["inputs"]["mask_ids"])
    seen = torch.stack([torch.tensor([p for p in range(9) if p not in gone]) for gone in missing.tolist()])
    place = torch.cat([missing, seen], 1)
    patches = h[torch.arange(3)[:, None], place].flatten(0, 1)
    method = Selfie(Given(patches), Given(u), "selfie", Holes(3, 3))  # type: ignore[arg-type]
    # a table of nine places is no sum of rows and columns: each place is a row of its own here
    method.rows, method.columns = nn.Parameter(pos), nn.Parameter(torch.zeros(1, 4, dtype=torch.float64))
    method.augment = SimpleNamespace(grid=1, masked=3)  # type: ignore[assignment]
    z = method.embed({"patch": torch.zeros(3, 9, 1, 1, 1), "place": place})[1]
    labels = torch.arange(3).repeat(3)
    found = nn.functional.cross_entropy(method.scores(z).flatten(0, 1), labels)
    assert found.item() == pytest.approx(case["loss"], abs=1e-9)


def test_patches_are_cut_row_by_row_and_dealt_with_their_places() -> None:
    x = torch.arange(36.0).view(1, 1, 6, 6)
    assert cut(x, 3)[0, 1].flatten().tolist() == [2, 3, 8, 9]
    x = images().x
    views = Holes(3, 4)(x, Generator().manual_seed(0))
    assert views["place"].sort(1).values.eq(torch.arange(9)).all()
    assert len(views["place"].unique(dim=0)) > 1, "other holes in each image"
    rows = torch.arange(len(x))[:, None]
    assert torch.equal(views["patch"], cut(x, 3)[rows, views["place"]])
    for unfit, said in ({"masked": 1}, "masked must be from 2 to 15"), ({"masked": 16}, "masked must be from 2 to 15"):
        with pytest.raises(ValueError, match=said):
            Holes(**unfit)
    with pytest.raises(ValueError, match="grid must divide both sides of the images, 12 x 12, got 5"):
        cut(x, 5)


def test_a_query_is_the_pool_of_what_is_visible_and_the_place_of_the_hole() -> None:
    method, x = built(MeanPool()).eval(), images().x
    views = method.draw_views(x, Generator().manual_seed(0))
    h, z = method.embed(views)
    place = views["place"]
    e = method.rows[place // 3] + method.columns[place % 3]
    query, key = z.chunk(2, dim=1)
    torch.testing.assert_close(query, (h + e)[:, 4:].mean(1, keepdim=True) + e[:, :4])
    torch.testing.assert_close(key, h[:, :4], msg="candidates know no place")
    changed = views | {"patch": views["patch"].clone()}
    changed["patch"][:, :4] = 0.5
    torch.testing.assert_close(method.embed(changed)[1][:, :4], query, msg="nothing of a missing patch is seen")


@pytest.mark.parametrize(
    "head", [MeanPool(), AttentionPool(Transformer(8, depth=2, heads=2))], ids=["mean", "attention"]
)
def test_pools_do_not_mind_in_which_order_patches_come_with_their_places(head: nn.Module) -> None:
    method = built(head).eval()
    views = method.draw_views(images().x, Generator().manual_seed(0))
    order = torch.cat([torch.arange(4), 4 + torch.randperm(5)])
    moved = {name: part[:, order] for name, part in views.items()}
    torch.testing.assert_close(method.embed(moved)[1], method.embed(views)[1])


def test_candidates_are_of_the_same_image_or_of_the_whole_batch() -> None:
    data = images()
    batch = Batch(data.x, data.labels, data.index)
    for distractors, candidates in (("image", 4), ("batch", 24)):
        method = built(distractors=distractors)
        loss, metrics = method.step(batch, Generator().manual_seed(0))
        assert metrics["candidates"].item() == candidates
        z = method.embed(method.draw_views(data.x, Generator().manual_seed(0)))[1]
        query, key = z.chunk(2, dim=1)
        scores = method.scores(z).flatten(0, 1) if candidates == 4 else query.flatten(0, 1) @ key.flatten(0, 1).T
        expected = nn.functional.cross_entropy(scores, torch.arange(24) % candidates)
        torch.testing.assert_close(loss, expected)
    for unfit in ({"distractors": "all"}, {"placed": "key"}):
        with pytest.raises(ValueError, match=f"{next(iter(unfit))} must be '"):
            built(**unfit)


def test_places_on_candidates_give_the_answer_away() -> None:
    data, chosen = images(24), {}
    batch = Batch(data.x, data.labels, data.index)
    for placed in ("query", "both"):
        method = built(MeanPool(), placed=placed)
        optimizer, generator = torch.optim.Adam(method.parameters(), 0.05), Generator().manual_seed(0)
        for _ in range(30):
            take_step(method, batch, optimizer, generator)
        chosen[placed] = study.placing(method, images(48, seed=1))[study.PRETEXT]
    assert chosen["both"] > 0.8 > 0.5 > chosen["query"], chosen  # noise shows nothing about its place


def test_what_is_kept_reads_whole_images_by_their_own_statistics() -> None:
    method, data = built(), images(40, 24)
    kept = on_whole_images(method, data)
    h = kept(data.x)
    assert h.shape == (40, 4 * method.encoder.out_features)
    torch.testing.assert_close(h, method.encoder.train().maps(data.x), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(method.eval()(data.x), h, atol=1e-2), "statistics of patches are others"


def test_the_world_is_of_six_shapes_and_its_ceiling_counts_flat_patches() -> None:
    train, test = world.pictures(0, 60, 40)
    assert train.x.shape == (60, 3, 24, 24)
    assert set(train.labels.tolist()) == set(range(6))
    assert not torch.equal(train.x[:40], test.x)
    away = torch.full((40,), 5.0)
    bare = Dataset(test.name, test.x, test.labels, test.index, test.class_names, test.factors | {"x": away})
    place = torch.rand(40, 16).argsort(1)
    assert world.ceiling(bare, place, 4, 4) == pytest.approx(1 / 4)
    assert 0.9 < world.ceiling(test, place, 4, 4) <= 1


def state(**changes: object) -> dict[str, object]:
    return {"missing": 4, "side": 6, "step": 30, "picture": 0, **changes}


@pytest.fixture(scope="module")
def course() -> panel.Course:
    methods = [built(MeanPool(), 4) for _ in panel.STOPS]
    return panel.Course(methods, np.tile(1 / np.array(panel.MISSING), (len(panel.STOPS), 1)))


def test_the_panel_shows_each_hole_with_the_patch_it_gets(course: panel.Course) -> None:
    for missing in (2, 7):
        picture = panel.holes_picture(state(missing=missing), course)
        holes, cells, lines = picture.charts
        chance = cells.marks[0].values.reshape(missing, missing)
        assert chance.sum(1) == pytest.approx(np.ones(missing), abs=1e-5)
        visible, candidates, names, _, true, false = holes.marks
        assert (len(visible.x), len(candidates.x), len(names.text)) == (16 - missing, missing, missing)
        assert (len(true.pairs) + len(false.pairs)) // 2 == missing
        right = int((chance.argmax(1) == np.arange(missing)).sum())
        read = dict(picture.readout)
        assert read["here"] == f"{right} of {missing} right"
        assert len(true.pairs) // 2 == right
        assert read["visible"] == f"{16 - missing} of 16 patches"
        assert lines.marks[0].y[missing - 2] == pytest.approx(1 / missing)


def test_the_panel_answers_its_knobs_and_refuses_what_it_cannot_show(
    monkeypatch: pytest.MonkeyPatch, course: panel.Course
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(panel, "learned", lambda side: asked.append(side) or course)
    shown = panel.HolesPanel()
    shown.knobs["side"].value = 8
    shown.wait()
    assert asked == [6, 8]
    shown.knobs["missing"].value = 6
    assert dict(shown.picture.readout)["chance"] == "17%"
    for unfit in ({"missing": 9}, {"side": 7}):
        with pytest.raises(ValueError, match=f"{next(iter(unfit))} must be"):
            panel.HolesPanel(**unfit)
