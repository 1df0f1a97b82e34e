import base64
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cl_explore import geometry
from cl_explore.data import Dataset
from cl_explore.plots.layouts import pca
from cl_explore.plots.style import class_look
from cl_explore.train import Run
from cl_explore.widgets import EmbeddingPanel
from cl_explore.widgets.embedding import rows_of, value_colours
from cl_explore.widgets.thumbnails import sprite_sheet

N, S = 30, 4


def test_pca_finds_the_plane_of_the_last_snapshot_and_keeps_it() -> None:
    generator = torch.Generator().manual_seed(2)
    plane = torch.linalg.qr(torch.randn(7, 2, generator=generator))[0]
    flat = torch.randn(3, 50, 2, generator=generator) * torch.tensor([3.0, 1.0])
    snapshots = flat @ plane.T
    points, axes = pca(snapshots)
    # a rotation of the plane: distances within the last snapshot, and between snapshots, are kept
    torch.testing.assert_close(
        torch.cdist(torch.tensor(points[2]), torch.tensor(points[0])), torch.cdist(flat[2], flat[0])
    )
    assert points[2, :, 0].var() > points[2, :, 1].var()
    np.testing.assert_allclose(points[2].mean(0), 0, atol=1e-5)
    share = points[2, :, 0].var() / points[2].var(0).sum()
    assert axes[0] == f"PC 1 ({share:.0%} of variance)"


def test_pca_does_not_flip_with_the_sign_or_order_of_the_solver(make_run: Callable[..., Run]) -> None:
    snapshots = make_run().snapshots.z
    shuffled = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    np.testing.assert_allclose(pca(snapshots).points[:, shuffled], pca(snapshots[:, shuffled]).points, atol=1e-4)
    np.testing.assert_allclose(pca(snapshots).points[-1], pca(snapshots[-1:]).points[0], atol=1e-6)


def test_slider_scrubs_and_menus_recolour_from_code(make_run: Callable[..., Run]) -> None:
    run = make_run()
    loss = np.linspace(0, 2, N)
    panel = EmbeddingPanel(run, values={"loss": loss, "drift": torch.arange(S * N).view(S, N)})
    unit = nn.functional.normalize(run.snapshots.z, dim=2)
    map_ = pca(unit)
    np.testing.assert_allclose(panel.frame["points"], map_.points[-1].ravel())
    panel.snapshot.value = 0
    np.testing.assert_allclose(panel.frame["points"], map_.points[0].ravel())
    sent = np.frombuffer(panel.canvas.frame["points"], dtype="<f4")
    np.testing.assert_array_equal(sent, panel.frame["points"])
    assert dict(panel.frame["readout"]) == {
        "step": "0 of 30",
        "−uniformity": f"{-geometry.uniformity(unit[0]).item():.2f}",
        "within-class spread": f"{geometry.dispersion(unit[0], run.snapshots.labels).within.item():.3f}",
        "between-class spread": f"{geometry.dispersion(unit[0], run.snapshots.labels).between.item():.3f}",
    }
    assert panel.scene["looks"][2] == dict(zip(("colour", "marker"), class_look(2), strict=True))
    assert panel.colour.label == "class"
    assert panel.highlight.label == "all classes"
    panel.colour.value = "loss"
    assert (np.diff(panel.frame["group"]) >= 0).all()
    assert panel.frame["scale"] == [0, 2]
    panel.colour.value = "drift"  # a number a snapshot: the scale is that of the whole training
    assert panel.frame["scale"] == [0, S * N - 1]
    np.testing.assert_array_equal(panel.frame["values"], np.arange(N))
    panel.snapshot.value = 2
    np.testing.assert_array_equal(panel.frame["values"], np.arange(2 * N, 3 * N))
    panel.space.value = "h"
    np.testing.assert_allclose(panel.frame["points"], pca(run.snapshots.h).points[2].ravel())
    panel.highlight.value = 1
    assert panel.scene["highlight"] == 1


def test_a_data_set_gives_names_images_and_factors_of_the_right_samples(
    make_run: Callable[..., Run], dataset: Dataset
) -> None:
    run = make_run()
    rows = rows_of(run.snapshots.index, dataset)
    torch.testing.assert_close(dataset.index[rows], run.snapshots.index)
    panel = EmbeddingPanel(run, dataset)
    assert panel.scene["names"] == ["ant", "bee", "cat"]
    panel.colour.value = "size"
    np.testing.assert_array_equal(panel.frame["values"], 2 * run.snapshots.index)
    width, height = panel.scene["tile"]
    assert (width, height) == (6, 4)
    sheet = np.asarray(Image.open(BytesIO(base64.b64decode(panel.scene["sprite"].split(",")[1]))).convert("L"))
    for place in (0, 7, 29):
        x, y = width * (place % panel.scene["columns"]), height * (place // panel.scene["columns"])
        assert sheet[y + 1, x + 1] == pytest.approx(255 * (100 + place) / 200, abs=6)


def test_unlabelled_points_are_grey_and_named(make_run: Callable[..., Run], dataset: Dataset) -> None:
    labels = torch.arange(N) % 3 - 1
    panel = EmbeddingPanel(make_run(labels=labels), dataset)
    assert panel.scene["names"] == ["unlabelled", "ant", "bee"]
    np.testing.assert_array_equal(panel.scene["group"], np.arange(N) % 3)
    assert [name for name, _ in panel.frame["readout"]] == ["step", "−uniformity"]


def test_value_colours_span_the_scale_and_survive_a_constant() -> None:
    group = value_colours("x", np.array([0.0, 0.5, 1.0]), 0.0, 1.0)["group"]
    np.testing.assert_array_equal(group, [0, 16, 31])
    np.testing.assert_array_equal(value_colours("x", np.ones(3), 1.0, 1.0)["group"], 0)


def test_sprite_sheet_shrinks_large_images_and_keeps_colour() -> None:
    images = torch.zeros(3, 3, 64, 48, dtype=torch.uint8)
    images[1, 0] = 255
    sheet = sprite_sheet(images)
    assert sheet["tile"] == [24, 32]
    picture = np.asarray(Image.open(BytesIO(base64.b64decode(sheet["sprite"].split(",")[1]))).convert("RGB"))
    assert picture[16, 24 + 12].tolist() == pytest.approx([255, 0, 0], abs=12)
    with pytest.raises(
        ValueError, match=r"images must be \(n, C, H, W\) with 1 or 3 channels, got shape \(3, 2, 4, 4\)"
    ):
        sprite_sheet(torch.zeros(3, 2, 4, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "tsne"}, "layout must be"),
        ({"values": {"loss": np.zeros(N - 1)}}, r"values\['loss'\] must have shape \(30,\) or \(4, 30\), got \(29,\)"),
        ({"values": {"loss": np.full(N, np.nan)}}, r"values\['loss'\] must be finite"),
    ],
)
def test_bad_input_is_named(make_run: Callable[..., Run], arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmbeddingPanel(make_run(), **arguments)


def test_a_run_without_snapshots_or_of_other_samples_is_refused(make_run: Callable[..., Run], dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="run has no snapshots"):
        EmbeddingPanel(make_run(snapshots=0))
    with pytest.raises(ValueError, match="dataset 'stripes' must hold every sample"):
        EmbeddingPanel(make_run(), dataset.subset(torch.arange(20)))
