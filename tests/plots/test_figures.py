"""The figures show the numbers they were given, and refuse what they cannot draw."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from torch import Tensor

from cl_explore import geometry, plots
from cl_explore.plots.layouts import layout
from cl_explore.train import Run, Snapshots

LABELS = torch.arange(60) % 3


def embeddings(dimensions: int, count: int = 60, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dimensions, generator=generator)


def drawn(ax: Any) -> np.ndarray:
    """All points of a scatter, in ascending order of their first coordinate."""
    found = [c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)]
    points = np.concatenate(found)
    return points[points[:, 0].argsort()]


def legend_texts(fig: Figure) -> list[str]:
    return [text.get_text() for legend in fig.legends for text in legend.get_texts()]


def make_run(snapshots: int = 3, labels: Tensor = LABELS) -> Run:
    h = torch.stack([embeddings(6, seed=seed) for seed in range(snapshots)]) if snapshots else torch.empty(0, 60, 0)
    steps = torch.arange(snapshots) * 5
    history = pd.DataFrame({"step": np.arange(1, 11), "loss": np.linspace(5, 4, 10)})
    return Run({}, history, Snapshots(steps, h, h[..., :4], labels, torch.arange(60)), torch.nn.Identity())  # type: ignore[arg-type]


def test_two_dimensions_are_drawn_as_they_are() -> None:
    x = embeddings(2)
    fig = plots.scatter(x, LABELS, class_names=("ape", "bee", "cat"))
    np.testing.assert_allclose(drawn(fig.axes[0]), x[x[:, 0].argsort()].numpy())
    assert legend_texts(fig) == ["ape", "bee", "cat"]


def test_more_dimensions_are_drawn_along_the_largest_variance() -> None:
    x = embeddings(5) * torch.tensor([1.0, 9.0, 1.0, 5.0, 1.0])
    fig = plots.scatter(x.numpy())
    points = drawn(fig.axes[0])
    values = torch.linalg.svdvals(x.double() - x.double().mean(0))
    np.testing.assert_allclose(points.std(0) * np.sqrt(60), values[:2], rtol=1e-5)
    share = values[0] ** 2 / (values**2).sum()
    assert fig.axes[0].get_xlabel() == f"PC 1 ({share:.0%} of variance)"
    assert not fig.legends


def test_unlabelled_points_are_drawn_and_named() -> None:
    labels = torch.where(torch.arange(60) < 10, -1, LABELS)
    fig = plots.scatter(embeddings(2), labels)
    assert legend_texts(fig) == ["unlabelled", "class 0", "class 1", "class 2"]
    assert len(drawn(fig.axes[0])) == 60


def test_many_classes_get_no_legend() -> None:
    assert not plots.scatter(embeddings(2), torch.arange(60)).legends


@pytest.mark.parametrize(
    ("x", "labels", "error", "message"),
    [
        (embeddings(2)[0], None, ValueError, r"x must be \(N, D\), got shape \(2,\)"),
        (embeddings(2).long(), None, TypeError, "x must be floating point"),
        (embeddings(2) / 0, None, ValueError, "x must be finite"),
        (embeddings(2), LABELS[:5], ValueError, r"labels must be \(60,\), one per row of x, got shape \(5,\)"),
        (embeddings(2), LABELS.float(), TypeError, "labels must be integers"),
    ],
)
def test_scatter_refuses_what_it_cannot_draw(x: Tensor, labels: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        plots.scatter(x, labels)


def test_unknown_layouts_are_refused() -> None:
    with pytest.raises(ValueError, match="layout must be one of auto, pca, umap, raw, got 'tsne'"):
        plots.scatter(embeddings(3), layout="tsne")


def test_umap_is_fitted_on_the_last_snapshot_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class StandIn:
        """In place of UMAP, which compiles for a quarter of a minute."""

        fits = 0

        def __init__(self, **settings: object) -> None:
            assert settings["metric"] == "cosine"

        def fit(self, x: np.ndarray) -> "StandIn":
            StandIn.fits += 1
            self.embedding_ = x[:, :2]
            return self

        def transform(self, x: np.ndarray) -> np.ndarray:
            return -x[:, :2]

    place = find_spec("umap").origin  # that of an installed package, whose code does not count, only its version
    monkeypatch.setitem(sys.modules, "umap", type("umap", (), {"UMAP": StandIn, "__file__": place}))
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path))
    shots = torch.stack([embeddings(4, seed=seed) for seed in range(3)])
    first, second = layout(shots, "umap"), layout(shots, "umap")
    np.testing.assert_array_equal(first.points[2], shots[2, :, :2])
    np.testing.assert_array_equal(first.points[0], -shots[0, :, :2])
    np.testing.assert_array_equal(first.points, second.points)
    assert StandIn.fits == 1
    (kept,) = tmp_path.iterdir()
    for damaged in (first.points[:, :3], first.points.astype(float), first.points + np.nan, np.array([None])):
        np.save(kept, damaged, allow_pickle=True)
        np.testing.assert_array_equal(layout(shots, "umap").points, first.points)
    assert StandIn.fits == 5, "what is not what was written is made anew"
    layout(shots + 1, "umap")
    assert StandIn.fits == 6
    assert len(list(tmp_path.iterdir())) == 2


def test_filmstrip_shows_first_and_last_moment_in_one_frame() -> None:
    run = make_run(snapshots=6)
    fig = plots.filmstrip(run.snapshots, moments=3)
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["step 0", "step 10", "step 25"]
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in fig.axes}) == 1
    assert all(len(drawn(ax)) == 60 for ax in fig.axes)
    with pytest.raises(ValueError, match="at least 2 moments and 2 snapshots, got 3 and 1"):
        plots.filmstrip(make_run(snapshots=1).snapshots, moments=3)


def test_circle_puts_points_on_the_circle_and_counts_angles() -> None:
    z = embeddings(2)
    left, right = plots.circle(z, LABELS).axes
    np.testing.assert_allclose(np.linalg.norm(drawn(left), axis=1), 1, rtol=1e-6)
    assert sum(bar.get_height() for bar in right.patches) == 60
    with pytest.raises(ValueError, match=r"z must be \(N, 2\), got shape \(60, 3\)"):
        plots.circle(embeddings(3))


def test_sphere_draws_each_point_on_the_side_it_is_on() -> None:
    z = F.normalize(embeddings(3).double(), dim=1)
    front, back = plots.sphere(z, LABELS).axes
    seen = z[z[:, 0] >= 0][:, 1:]
    np.testing.assert_allclose(drawn(front), seen[seen[:, 0].argsort()])
    hidden = z[z[:, 0] < 0][:, 1:] * torch.tensor([-1.0, 1.0])
    np.testing.assert_allclose(drawn(back), hidden[hidden[:, 0].argsort()])
    with pytest.raises(ValueError, match=r"z must be \(N, 3\), got shape \(60, 2\)"):
        plots.sphere(embeddings(2))


def test_the_sphere_to_turn_holds_every_point_with_its_row() -> None:
    fig = plots.sphere_3d(embeddings(3), LABELS, class_names=("ape", "bee", "cat"))
    assert [trace.name for trace in fig.data] == [None, "ape", "bee", "cat"]
    assert sorted(row for trace in fig.data[1:] for row in trace.customdata) == list(range(60))


def test_histogram_separates_views_of_a_sample_from_other_pairs() -> None:
    z = torch.stack((embeddings(8), embeddings(8)), 1)  # both views alike
    (ax,) = plots.similarity_histogram(z).axes
    positives, negatives = (text.get_text() for text in ax.get_legend().get_texts())
    assert positives == "positives: 60 pairs, mean 1.00"
    assert negatives.startswith("negatives: 7,080 pairs, mean ")


def test_histogram_by_class_counts_each_pair_once() -> None:
    x = embeddings(8)
    (ax,) = plots.similarity_histogram(x, LABELS).axes
    expected = geometry.tolerance(x, LABELS).item()
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[0] == f"positives: 570 pairs, mean {expected:z.2f}"
    assert texts[1].startswith("negatives: 1,200 pairs")


def test_histogram_of_many_samples_compares_some_of_them() -> None:
    (ax,) = plots.similarity_histogram(embeddings(3, count=5000), torch.arange(5000) % 2).axes
    counts = [int(text.get_text().split()[1].replace(",", "")) for text in ax.get_legend().get_texts()]
    assert sum(counts) == 2000 * 1999 // 2


@pytest.mark.parametrize(
    ("z", "labels", "message"),
    [
        (embeddings(4), None, r"z must be \(B, V, D\), or \(B, D\) with labels"),
        (embeddings(4), LABELS[:7], r"labels must be \(60,\), one per row of z"),
        (
            embeddings(4),
            torch.zeros(60, dtype=torch.long),
            "z must have positive and negative pairs, got 1770 of 1770",
        ),
        (embeddings(4), torch.arange(60), "z must have positive and negative pairs, got 0 of 1770"),
    ],
)
def test_histogram_needs_both_kinds_of_pairs(z: Tensor, labels: Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plots.similarity_histogram(z, labels)


def test_negative_weights_are_a_softmax() -> None:
    similarity = torch.tensor([0.1, 0.9, -0.3, 0.4], dtype=torch.float64)
    fig = plots.negative_weights(similarity, temperatures=(0.1, 1000.0))
    left, right = fig.axes
    cold, warm = left.lines[:2]
    s = similarity.sort(descending=True).values
    np.testing.assert_allclose(cold.get_ydata(), 4 * torch.softmax(s / 0.1, 0))
    np.testing.assert_allclose(warm.get_ydata(), np.ones(4), rtol=1e-2)
    assert right.lines[0].get_ydata()[-1] == pytest.approx(1)
    assert legend_texts(fig)[1] == "τ = 1000: 4.0 of 4 count"


@pytest.mark.parametrize("temperatures", [(), (0.0,), (0.5, -1.0)])
def test_negative_weights_need_positive_temperatures(temperatures: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="temperatures must be positive"):
        plots.negative_weights(torch.tensor([0.1, 0.2]), temperatures)


def test_negative_weights_need_negatives() -> None:
    with pytest.raises(ValueError, match=r"similarity must be \(M,\) with at least 2 negatives, got shape \(1,\)"):
        plots.negative_weights(torch.tensor([0.1]))


def test_dispersion_bars_add_up_to_the_measure() -> None:
    x = embeddings(4)
    measured = geometry.dispersion(x, LABELS)
    (ax,) = plots.dispersion(x, LABELS).axes
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights[:3], measured.per_class)
    np.testing.assert_allclose(np.mean(heights[3:]), measured.between)  # the classes are of one size
    assert f"= {measured.ratio:.2f}" in ax.get_title(loc="left")


def test_centroid_heat_map_writes_its_numbers() -> None:
    x = embeddings(4)
    fig = plots.centroid_similarity(x, LABELS, class_names=("ape", "bee", "cat"))
    written = [text.get_text() for text in fig.axes[0].texts]
    assert written == [f"{value:+z.1f}" for value in geometry.centroid_similarity(x, LABELS).flatten().tolist()]
    with pytest.raises(ValueError, match="at most 20 classes, got 60"):
        plots.centroid_similarity(x, torch.arange(60))


def test_training_shows_loss_and_geometry() -> None:
    run = make_run()
    axes = plots.training(run).axes
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), run.history["loss"])
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles[1:3] == ["−uniformity", "tolerance"]
    z_line, h_line = axes[1].lines
    expected = [-geometry.uniformity(z).item() for z in run.snapshots.z]
    np.testing.assert_allclose(z_line.get_ydata(), expected)
    assert list(h_line.get_xdata()) == [0, 5, 10]


def test_training_leaves_unlabelled_samples_out() -> None:
    labels = torch.where(torch.arange(60) < 30, -1, LABELS)
    run = make_run(labels=labels)
    tolerance = plots.training(run).axes[2].lines[0].get_ydata()
    assert tolerance[0] == pytest.approx(geometry.tolerance(run.snapshots.z[0][30:], LABELS[30:]).item())


def test_training_needs_snapshots() -> None:
    with pytest.raises(ValueError, match="run must have snapshots"):
        plots.training(make_run(snapshots=0))


def test_every_figure_can_be_rendered(tmp_path: Path) -> None:
    x, names = embeddings(5), ("ape", "bee", "cat")
    run = make_run()
    for place, fig in enumerate(
        (
            plots.scatter(x, LABELS, class_names=names, title="t"),
            plots.filmstrip(run.snapshots, class_names=names),
            plots.circle(x[:, :2], LABELS),
            plots.sphere(x[:, :3], LABELS),
            plots.similarity_histogram(x, LABELS),
            plots.negative_weights(x[:, 0]),
            plots.dispersion(x, LABELS),
            plots.centroid_similarity(x, LABELS),
            plots.training(run),
        )
    ):
        fig.savefig(tmp_path / f"{place}.png", dpi=40)
