"""ScatSimCLR: the transform against golden numbers and its identities, the pretext task, and what training does."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import data, losses
from cl_explore.nn import MLP
from cl_explore.nn.resnet import Residual
from cl_explore.papers.scatsimclr import method, panel, study, world
from cl_explore.train import fit
from cl_explore.views import HardViews

CASES = json.loads((Path(__file__).parents[1] / "golden" / "scatsimclr.json").read_text())["cases"]
CONTRASTS = [case for case in CASES if "z1" in case["inputs"]]
SCATTERINGS = [case for case in CASES if "x" in case["inputs"]]


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("case", CONTRASTS, ids=lambda case: case["name"])
def test_the_loss_with_and_without_rotations_is_the_golden_one(case: dict) -> None:
    given = case["inputs"]
    leaves = {name: tensor(given[name]).requires_grad_() for name in case["grad"]}
    z = torch.stack([leaves["z1"], leaves["z2"]], dim=1)
    loss = losses.nt_xent(z, temperature=case["params"]["temperature"])
    if "pretext_logits" in leaves:
        turns = F.cross_entropy(leaves["pretext_logits"], torch.tensor(given["pretext_labels"]))
        loss = loss + case["params"]["pretext_weight"] * turns
    torch.testing.assert_close(loss.item(), case["loss"], atol=1e-9, rtol=0)
    for name, slope in zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True):
        torch.testing.assert_close(slope, tensor(case["grad"][name]), atol=1e-9, rtol=0)


@pytest.mark.parametrize("case", SCATTERINGS, ids=lambda case: case["name"])
def test_the_transform_is_the_golden_one(case: dict) -> None:
    x = torch.tensor(case["inputs"]["x"])[None, None]
    found = method.Scattering(x.shape[2], case["params"]["J"], case["params"]["L"])(x)[0]
    assert list(found.shape) == case["shape"]
    torch.testing.assert_close(found, output(case), atol=1e-5, rtol=0)


def output(case: dict) -> Tensor:
    outputs = case["outputs"]
    return torch.tensor(outputs if isinstance(outputs, list) else next(iter(outputs.values()))).view(case["shape"])


@pytest.mark.parametrize(("size", "scales", "angles"), [(8, 1, 8), (16, 2, 3), (32, 3, 4), (28, 2, 4)])
def test_what_holds_for_every_transform(size: int, scales: int, angles: int) -> None:
    scattering = method.Scattering(size, scales, angles)
    x = noise(2, 3, size, size)
    found = scattering(x).unflatten(1, (3, -1))
    assert found.shape == (2, 3, 1 + scales * angles + scales * (scales - 1) * angles**2 // 2, *[size >> scales] * 2)
    assert scattering.maps == found.shape[2]
    torch.testing.assert_close(scattering(2.5 * x), 2.5 * scattering(x))
    torch.testing.assert_close(scattering(x[:, [1]]), found[:, 1])
    flat = scattering(torch.full((1, 1, size, size), 0.7))[0]
    torch.testing.assert_close(flat[0], torch.full_like(flat[0], 0.7), atol=3e-5, rtol=0)
    assert flat[1:].abs().max() < 1e-6
    assert not list(scattering.parameters())


def test_a_shift_by_a_cell_moves_the_maps_by_a_cell_and_a_small_one_changes_less_than_it_does_pixels() -> None:
    scattering, x = method.Scattering(32, 2, 4), F.pad(noise(1, 1, 12, 12), (10, 10, 10, 10))
    found = scattering(x)
    torch.testing.assert_close(scattering(x.roll(4, 3))[..., 2:-1], found[..., 1:-2], atol=5e-3, rtol=0)
    by_one = (scattering(x.roll(1, 3)) - found).norm() / found.norm()
    assert by_one < 0.5 * (x.roll(1, 3) - x).norm() / x.norm()


def test_the_transform_carries_gradients_and_refuses_what_it_cannot_do() -> None:
    x = noise(1, 1, 8, 8).requires_grad_()
    method.Scattering(8, 1, 2)(x).sum().backward()
    assert x.grad.isfinite().all()
    with pytest.raises(ValueError, match="size must be larger than 8 for 3 scales, got 8"):
        method.Scattering(8, 3, 2)
    with pytest.raises(ValueError, match="scales and angles must be at least 1, got 0 and 4"):
        method.Scattering(8, 0, 4)
    with pytest.raises(ValueError, match=r"x must be \(N, C, 8, 8\), got \(1, 1, 9, 9\)"):
        method.Scattering(8, 1, 2)(torch.zeros(1, 1, 9, 9))


def test_the_networks_have_the_sizes_of_the_paper_in_small() -> None:
    small, large = method.scattering_encoder(1, 8, 1, 8), method.convolutional_encoder(1, 8)
    sizes = [sum(weight.numel() for weight in part.parameters()) for part in (small, large)]
    assert sizes == [17_810, 37_728]
    without = method.scattering_encoder(1, 8, 1, 8, scatter_norm=False)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in without) == 1
    for encoder in (small, large, without):
        assert encoder(noise(2, 1, 8, 8)).shape == (2, 64)


def test_the_networks_of_the_paper_have_the_sizes_that_it_gives() -> None:
    head = MLP([2048, 2048, 128], batch_norm=False)
    for blocks, angles, millions in ((8, 16, 6.1), (30, 8, 14.1)):  # its table gives no angles: these fit
        encoder = method.PaperEncoder(3, 96, 2, angles, blocks)
        total = sum(weight.numel() for part in (encoder, head) for weight in part.parameters())
        assert total / 1e6 == pytest.approx(millions, abs=0.05)
    for blocks in method.ADAPTERS:
        small = method.PaperEncoder(1, 16, 1, 2, blocks, scatter_norm=blocks > 8)
        assert sum(isinstance(layer, Residual) for layer in small) == blocks
        assert isinstance(small[1], nn.BatchNorm2d) == (blocks > 8)
    encoder, head = study.scattering(world.few(0, "digits", 4)[0], 1, 2, blocks=8)
    h = encoder(noise(2, 1, 8, 8))
    assert (h.shape, head(h).shape) == ((2, 2048), (2, 128))
    with pytest.raises(ValueError, match="blocks must be one of 8, 12, 16, 30, 45, got 9"):
        method.PaperEncoder(1, 8, 1, 2, 9)


def test_tiles_are_thirds_of_the_picture_row_by_row() -> None:
    x = noise(2, 3, 27, 27)
    found = world.tiles(x)
    assert found.shape == (2, 9, 3, 27, 27)
    for place in range(9):
        row, column = 9 * (place // 3), 9 * (place % 3)
        torch.testing.assert_close(found[:, place, :, 1::3, 1::3], x[..., row : row + 9, column : column + 9])
    edge = world.tiles(torch.arange(8.0).expand(1, 1, 8, 8))[0, :3, 0, 0]  # 8 = 2 + 2 + 2, and a pixel between each
    assert (edge.amin(1).tolist(), edge.amax(1).tolist()) == ([0, 3, 6], [1, 4, 7])
    with pytest.raises(ValueError, match=r"x must have at least 3 rows and columns, got \(1, 1, 2, 8\)"):
        world.tiles(torch.zeros(1, 1, 2, 8))


def test_orders_of_tiles_are_as_far_apart_as_can_be() -> None:
    orders = world.permutations(72)
    assert torch.equal(orders.sort(dim=1).values, torch.arange(9).expand(72, 9))
    apart = (orders[:, None] != orders).sum(2)
    assert apart[~torch.eye(72, dtype=torch.bool)].min() == 8
    assert torch.equal(world.permutations(35), orders[:35])
    for number in (0, 73):
        with pytest.raises(ValueError, match=f"number must be between 1 and 72, got {number}"):
            world.permutations(number)


def built(form: type = method.Rotations, **options: object) -> tuple[method.Pretext, data.Dataset]:
    train, _ = world.few(0, "digits", 128)
    torch.manual_seed(0)
    encoder, head = study.scattering(train, 1, 4)
    return form(encoder, head, "nt_xent", study.VIEWS, **options), train


def test_rotations_are_what_the_answers_say() -> None:
    x = noise(2, 1, 4, 4)
    questions, answers = built()[0].posed(x, torch.Generator())
    assert answers.tolist() == [[0, 1, 2, 3]] * 2
    for turn in range(4):
        torch.testing.assert_close(questions[:, turn, 0], torch.rot90(x, turn, (-2, -1)))


def test_tiles_lie_in_the_order_that_the_answer_says() -> None:
    jigsaw, _ = built(method.Jigsaw, hidden=(8, 8))
    jigsaw.augment = HardViews(shift=0, erased=0, intensity=0, noise=0)
    x = noise(40, 1, 8, 8)
    questions, answers = jigsaw.posed(x, torch.Generator().manual_seed(0))
    assert (questions.shape, answers.shape) == ((40, 1, 9, 1, 8, 8), (40, 1))
    assert 15 < len(answers.unique()) <= 35
    for picture, (asked, which) in enumerate(zip(questions[:, 0], answers[:, 0], strict=True)):
        torch.testing.assert_close(asked, world.tiles(x)[picture, world.permutations(35)[which]])
    paper = built(method.Jigsaw)[0]
    sizes = [(layer.in_features, layer.out_features) for layer in (paper.own[0], paper.joint[0], paper.joint[3])]
    assert sizes == [(64, 512), (9 * 512, 4096), (4096, 35)]


@pytest.mark.parametrize("form", [method.Rotations, method.Jigsaw])
def test_the_pretext_task_adds_its_cross_entropy_once_it_may(form: type) -> None:
    pretext, train = built(form, weight=0.3, warmup=2, dropout=0.0, hidden=(16, 8))
    batch = train.batch(torch.arange(16))
    for step in range(4):
        embedded = pretext.embed_views(batch, torch.Generator().manual_seed(step))
        state = embedded.generator.get_state()
        found = pretext.compare(embedded)
        embedded.generator.set_state(state)
        questions, answers = pretext.posed(embedded.views[:, 0], embedded.generator)
        h = pretext(questions.flatten(0, 2)).view(*questions.shape[:3], -1)
        logits = pretext.joint(pretext.own(h).flatten(2))
        asked = F.cross_entropy(logits.flatten(0, 1), answers.flatten())
        torch.testing.assert_close(found.metrics["pretext"], asked.detach())
        contrast = losses.nt_xent(embedded.z, temperature=0.5)
        torch.testing.assert_close(found.loss, contrast + 0.3 * (step >= 2) * asked)
        pretext.after_step()
    for wrong in ({"weight": -1.0}, {"warmup": -1}):
        with pytest.raises(ValueError, match="weight and warmup must be at least 0, got"):
            built(form, **wrong)


@pytest.mark.parametrize(("form", "epochs", "better"), [(method.Rotations, 12, 0.2), (method.Jigsaw, 24, 0.1)])
def test_training_learns_the_task_if_it_is_asked_to(form: type, epochs: int, better: float) -> None:
    ends = []
    for weight in (0.0, 1.0):
        pretext, train = built(form, weight=weight, dropout=0.0, hidden=(64, 64))
        run = fit(pretext, train, epochs=epochs, batch_size=64, snapshots=0, store=False, progress=False)
        ends.append(run.history["pretext"].iloc[-4:].mean())
        assert np.isfinite(run.history["loss"]).all()
    assert ends[1] < ends[0] - better
    assert int(pretext.steps) == 2 * epochs


def test_few_pictures_are_drawn_by_the_seed_and_none_is_tested_that_was_seen() -> None:
    train, test = world.few(0, "digits", 100)
    assert (len(train), len(test)) == (100, 800)
    assert not set(train.index.tolist()) & set(test.index.tolist())
    assert (
        train.fingerprint()
        == world.few(0, "digits", 100)[0].fingerprint()
        != world.few(1, "digits", 100)[0].fingerprint()
    )


def state(**changes: object) -> dict[str, object]:
    return {"scales": 2, "angles": 8, "shift": 1, "digit": 3, **changes}


def test_the_panel_counts_the_maps_and_a_shift_changes_them_less_than_pixels() -> None:
    for scales, angles in ((1, 2), (2, 8), (4, 16)):
        picture = panel.scattering_picture(state(scales=scales, angles=angles))
        read = dict(picture.readout)
        assert read["maps a channel, K"] == str(1 + scales * angles + scales * (scales - 1) * angles**2 // 2)
        assert read["of side"] == str(32 >> scales)
        bars = picture.charts[1].marks[0].height
        assert bars[0] > bars[1:].max()
        assert (bars[3] == 0) is np.bool_(scales == 1)
        for chart in picture.charts[2:]:
            assert len(chart.marks[0].x) == scales * len(panel.angles_shown(angles)) <= 8 * scales


def test_more_scales_forgive_more_and_no_shift_changes_nothing() -> None:
    found = [panel.scattering_picture(state(scales=scales)).charts[1].marks[0].height[-1] for scales in (1, 2, 3)]
    assert found[0] > found[1] > found[2]
    np.testing.assert_allclose(panel.scattering_picture(state(shift=0)).charts[1].marks[0].height, 0, atol=1e-6)
    with pytest.raises(ValueError, match="scales must be between 1 and 4, got 5"):
        panel.ScatteringPanel(scales=5)
