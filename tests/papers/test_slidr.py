"""SLidR: golden numbers of the authors' functions, and what pooling by region does and does not see."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore.data import Batch
from cl_explore.papers.slidr.method import OnStreets, RangeNetwork, contrast, in_images, pool, superpixels
from cl_explore.papers.slidr.panel import SuperpixelPanel, losses, pairs
from cl_explore.papers.slidr.world import SKY, streets
from cl_explore.views.noisy import Noisy

CASES = json.loads((Path(__file__).parents[1] / "golden" / "slidr.json").read_text())["cases"]


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found: Tensor, wanted: Tensor, atol: float = 1e-9) -> None:
    torch.testing.assert_close(found.detach(), wanted.detach(), atol=atol, rtol=0)


def pooled_loss(points: Tensor, pixels: Tensor, of_point: Tensor, of_pixel: Tensor, tau: float = 0.07) -> Tensor:
    pooled = pool(points, pixels, of_point, of_pixel)
    return contrast(pooled.points, pooled.pixels, tau)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_losses_and_gradients_are_the_authors(case: dict) -> None:
    given, p = case["inputs"], case["params"]
    leaves = {name: tensor(given[name]).requires_grad_() for name in case["grad"]}
    if "points" in leaves:
        points, images = leaves["points"], leaves["images"]
        if p["l2_normalise_per_point_and_pixel_first"]:
            points, images = F.normalize(points, dim=1), F.normalize(images, dim=1)
        superpixels, pairs = (torch.tensor(given[name]) for name in ("superpixels", "pairing_images"))
        of_point, of_pixel = in_images(superpixels, pairs, p["superpixel_size"])
        pixels = images.movedim(1, 3).flatten(0, 2)
        pooled = pool(points[given["pairing_points"]], pixels, of_point, of_pixel)
        assert pooled.regions.tolist() == p["used_superpixel_ids"]
        loss = contrast(pooled.points, pooled.pixels, p["tau"])
    else:
        loss = contrast(*(F.normalize(leaves[name], dim=1) for name in "kq"), p["tau"])
    close(loss, tensor(case["loss"]))
    for name, found in zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True):
        close(found, tensor(case["grad"][name]))


@pytest.fixture
def world() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    points, pixels = (F.normalize(torch.randn(n, 5, generator=generator).double(), dim=1) for n in (40, 60))
    return points, pixels, torch.arange(40) % 6, torch.arange(60) % 6


def test_density_names_and_empty_regions_do_not_count(world: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    points, pixels, of_point, of_pixel = world
    loss = pooled_loss(*world)
    first = of_point == 0
    dense = torch.cat([points, points[first].repeat(8, 1)]), torch.cat([of_point, of_point[first].repeat(8)])
    close(pooled_loss(dense[0], pixels, dense[1], of_pixel), loss, 1e-5)
    names = torch.tensor([4, 2, 0, 5, 1, 3])
    close(pooled_loss(points, pixels, names[of_point], names[of_pixel]), loss)
    close(
        pooled_loss(points, torch.cat([pixels, pixels[:7]]), of_point, torch.cat([of_pixel, torch.full((7,), 6)])), loss
    )
    rows = picked = torch.arange(40)
    denser = torch.cat([rows, torch.arange(6).repeat(8)])
    plain, changed = (contrast(points[each], pixels[picked[each]], 0.07) for each in (rows, denser))
    assert (plain - changed).abs() > 0.1


def test_regions_of_one_pixel_are_pairs_and_a_single_region_teaches_nothing(
    world: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    points, pixels, *_ = world
    each = torch.arange(40)
    close(pooled_loss(points, pixels[:40], each, each), contrast(points, pixels[:40], 0.07), 1e-4)
    points.requires_grad_()
    loss = pooled_loss(points, pixels, torch.zeros(40).long(), torch.zeros(60).long())
    close(loss, tensor(0.0))
    close(torch.autograd.grad(loss, points)[0], torch.zeros_like(points))


@pytest.mark.parametrize(
    ("points", "pixels", "of_point", "of_pixel", "wanted"),
    [
        (torch.ones(3, 2), torch.ones(3, 2), torch.zeros(2), torch.zeros(3), "of_point"),
        (torch.ones(3, 2), torch.ones(3, 2), torch.zeros(3), torch.zeros(2), "of_pixel"),
        (torch.ones(3, 2), torch.ones(3, 4), torch.zeros(3), torch.zeros(3), "pixels must have 2"),
        (torch.ones(0, 2), torch.ones(3, 2), torch.zeros(0), torch.zeros(3), "at least one point"),
    ],
)
def test_what_does_not_fit_is_named(
    points: Tensor, pixels: Tensor, of_point: Tensor, of_pixel: Tensor, wanted: str
) -> None:
    with pytest.raises(ValueError, match=wanted):
        pool(points, pixels, of_point.long(), of_pixel.long())


def test_a_superpixel_of_the_next_image_is_refused() -> None:
    with pytest.raises(ValueError, match="superpixels must be from 0 to 2"):
        in_images(torch.full((1, 2, 2), 3), torch.zeros(1, 3).long(), 3)


def test_the_panel_charges_wrong_pairs_one_by_one_and_less_by_superpixel() -> None:
    right, wrong = pairs(0.0), pairs(0.4)
    assert not right.bad.any()
    assert wrong.bad.double().mean() == pytest.approx(0.4, abs=0.05)
    assert wrong.each[wrong.bad].mean() > wrong.each[~wrong.bad].mean() + 2
    assert wrong.slidr(30) - right.slidr(30) < wrong.each.mean() - right.each.mean()
    anchors, keys = torch.eye(4), torch.eye(4).roll(1, 0)
    close(losses(anchors, keys).mean(), contrast(anchors, keys, 0.07), 1e-6)
    panel = SuperpixelPanel(wrong=0.0)
    assert len(panel.picture.alt) <= 200
    before = dict(panel.picture.readout)
    assert before["superpixels with more wrong points than right"] == "0%"
    panel.knobs["wrong"].value, panel.knobs["superpixels"].value = 0.8, 600
    after = dict(panel.picture.readout)
    assert int(after["superpixels with more wrong points than right"].rstrip("%")) > 50
    assert int(after["superpixels"].rstrip("%")) > int(before["superpixels"].rstrip("%"))
    _, negatives, _ = panel.picture.charts
    for bars in negatives.marks[:2]:
        assert bars.height.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="superpixels must be one of"):
        SuperpixelPanel(superpixels=31)


def test_superpixels_follow_the_edges_of_what_is_seen_and_a_blank_image_is_cut_by_the_grid() -> None:
    halves = torch.zeros(1, 3, 20, 32)
    halves[..., 18:] = 1.0  # no border of the grid
    cut = superpixels(halves)
    assert set(cut[..., :18].unique().tolist()).isdisjoint(cut[..., 18:].unique().tolist())
    grid = (torch.arange(20) // 4)[:, None] * 8 + torch.arange(32) // 4
    assert superpixels(torch.full((2, 3, 20, 32), 0.5)).equal(grid.expand(2, -1, -1))


def test_a_lidar_keeps_more_of_what_is_near_and_nothing_of_the_sky() -> None:
    x = streets(0, 40).x
    kept, far = x["scan"][:, 0] > 0, x["scan"][:, 1]
    kind = x["kind"].view(kept.shape)
    assert not kept[kind == SKY].any()
    road = kind == 0
    shares = [kept[:, row][road[:, row]].float().mean() for row in (9, 12, 16, 23)]
    assert shares == sorted(shares)
    assert far[:, 23][road[:, 23] & kept[:, 23]].unique().numel() == 1
    again = streets(0, 40)
    assert all(part.equal(again.x[name]) for name, part in x.items())
    assert not streets(0, 40, part=1).x["kind"].equal(x["kind"])


def on_streets(cut: Tensor, **options: int) -> tuple[Tensor, Tensor]:
    """The loss of two streets by the method, and the cosines by hand of every point with every pixel."""
    x = {**streets(0, 2).x, "superpixel": cut}
    torch.manual_seed(0)
    method = OnStreets(RangeNetwork(), torch.nn.Linear(32, 8), None, Noisy(), features=16, **options)
    batch = Batch(x, torch.zeros(2).long(), torch.arange(2))
    loss = method.step(batch, torch.Generator().manual_seed(0)).loss
    there = (x["scan"][:, 0] > 0).flatten()
    points = F.normalize(method.head(method.encoder(x["scan"]).flatten(2).mT.flatten(0, 1)[there]), dim=1)
    pixels = F.normalize(method.image_head(x["pixels"].mT.flatten(0, 1)), dim=1)
    return loss, (points @ pixels.T)[:, there]


def test_where_every_pixel_is_a_superpixel_regions_are_pairs() -> None:
    loss, cosines = on_streets(torch.arange(960.0).expand(2, 1, -1))
    close(loss, -(cosines / 0.07).log_softmax(1).diagonal().mean(), atol=1e-4)  # for the authors' SMALL
    close(on_streets(torch.zeros(2, 1, 960), pairs=10_000)[0], loss, atol=1e-4)


def test_a_calibration_that_is_off_pairs_points_with_other_pixels() -> None:
    every = torch.arange(960.0).expand(2, 1, -1)
    assert abs(on_streets(every, shift=3)[0] - on_streets(every)[0]) > 1e-3
    with pytest.raises(ValueError, match="shift must be"):
        on_streets(every, shift=-1)
