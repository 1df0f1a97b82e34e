"""ScatSimCLR: the transform against golden numbers and its identities, the pretext task, and what training does."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import data, losses
from cl_explore.data import mnist
from cl_explore.papers.scatsimclr import method, panel, study
from cl_explore.train import fit

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


def test_rotations_are_what_their_labels_say() -> None:
    x = torch.arange(8.0).view(2, 1, 2, 2)
    turned, which = method.rotations(x)
    assert which.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    for place in range(8):
        torch.testing.assert_close(turned[place], torch.rot90(x[place % 2], int(which[place]), (-2, -1)))


def built(**options: object) -> tuple[method.Pretext, data.Dataset]:
    train, _ = study.few(0, "digits", 128)
    torch.manual_seed(0)
    encoder, head = study.scattering(train, 1, 4)
    return method.Pretext(encoder, head, "nt_xent", study.VIEWS, **options), train


def test_the_pretext_task_adds_its_cross_entropy_once_it_may() -> None:
    pretext, train = built(weight=0.3, warmup=2, dropout=0.0)
    batch = train.batch(torch.arange(16))
    for step in range(4):
        embedded = pretext.embed_views(batch, torch.Generator().manual_seed(step))
        found = pretext.compare(embedded)
        turned, which = method.rotations(embedded.views[:, 0])
        turns = F.cross_entropy(pretext.classifier_of_turns(pretext(turned)), which)
        torch.testing.assert_close(found.metrics["turns"], turns.detach())
        contrast = losses.nt_xent(embedded.z, temperature=0.5)
        torch.testing.assert_close(found.loss, contrast + 0.3 * (step >= 2) * turns)
        pretext.after_step()
    for wrong in ({"weight": -1.0}, {"warmup": -1}):
        with pytest.raises(ValueError, match="weight and warmup must be at least 0, got"):
            built(**wrong)


def test_training_learns_to_tell_rotations_if_it_is_asked_to() -> None:
    ends = []
    for weight in (0.0, 1.0):
        pretext, train = built(weight=weight)
        run = fit(pretext, train, epochs=12, batch_size=64, snapshots=0, store=False, progress=False)
        ends.append(run.history["turns"].iloc[-4:].mean())
        assert np.isfinite(run.history["loss"]).all()
    assert ends[1] < ends[0] - 0.2
    assert int(pretext.steps) == 24


def test_few_pictures_are_drawn_by_the_seed_and_none_is_tested_that_was_seen() -> None:
    train, test = study.few(0, "digits", 100)
    assert (len(train), len(test)) == (100, 800)
    assert not set(train.index.tolist()) & set(test.index.tolist())
    assert (
        train.fingerprint()
        == study.few(0, "digits", 100)[0].fingerprint()
        != study.few(1, "digits", 100)[0].fingerprint()
    )


def test_where_clothes_are_missing_it_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cl_explore.data.published.CLONE", tmp_path)
    monkeypatch.setattr(mnist, "FASHION_MNIST", replace(mnist.FASHION_MNIST, elsewhere=()))
    with pytest.raises(FileNotFoundError, match=r"(?s)fashion_mnist.*To get it"):
        study.STUDY.run(0, **study.STUDY.settings("real"))


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
