import base64
import warnings
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.cbook import is_math_text
from matplotlib.text import Text
from PIL import Image
from static_pages import unpacked
from torch import nn

from cl_explore import geometry
from cl_explore.data import Dataset
from cl_explore.plots.layouts import pca, turned
from cl_explore.plots.style import class_look
from cl_explore.train import Run
from cl_explore.widgets import EmbeddingPanel
from cl_explore.widgets.embedding_panel import ALL, DISTANCE, PREDICTION, PURITY
from cl_explore.widgets.looks import value_colours
from cl_explore.widgets.marks import Edges, Points
from cl_explore.widgets.neighbourhood import describe, nearest, vote
from cl_explore.widgets.shown import SHARED, rows_of
from cl_explore.widgets.space import Space
from cl_explore.widgets.thumbnails import pixels, sprite_sheet

N, S = 30, 4


def cloud(panel: EmbeddingPanel) -> Points:
    """The points of the map."""
    return next(mark for mark in panel.picture.charts[0].marks if isinstance(mark, Points))


def places(panel: EmbeddingPanel) -> np.ndarray:
    mark = cloud(panel)
    return np.stack([mark.x, mark.y] if mark.z is None else [mark.x, mark.y, mark.z], axis=1)


def strong(panel: EmbeddingPanel) -> list[Points]:
    """The points that stand out, in a copy above the map's."""
    return [mark for mark in panel.picture.charts[0].marks if isinstance(mark, Points)][1:]


def say(panel: EmbeddingPanel, **knobs: object) -> None:
    """What the page sends."""
    panel.canvas.moved = {"knobs": knobs, "count": panel.canvas.moved.get("count", 0) + 1}


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
    np.testing.assert_allclose(places(panel), map_.points[-1], rtol=1e-6)
    panel.snapshot.value = 0
    np.testing.assert_allclose(places(panel), map_.points[0], rtol=1e-6)
    assert cloud(panel).x.tobytes() in panel.canvas.data
    assert dict(panel.picture.readout) == {
        "step": "0 of 30",
        "−uniformity": f"{-geometry.uniformity(unit[0]).item():.2f}",
        "within-class spread": f"{geometry.dispersion(unit[0], run.snapshots.labels).within.item():.3f}",
        "between-class spread": f"{geometry.dispersion(unit[0], run.snapshots.labels).between.item():.3f}",
    }
    assert (cloud(panel).colour[2], cloud(panel).marker[2]) == class_look(2)
    assert panel.colour.label == "class"
    assert panel.highlight.label == "all classes"
    panel.colour.value = "loss"
    assert (np.diff(cloud(panel).group.astype(int)) >= 0).all()
    assert scale_of(panel) == ["0", "1", "2"]
    panel.colour.value = "drift"  # a number a snapshot: the scale is that of the whole training
    assert scale_of(panel)[2] == str(S * N - 1)
    np.testing.assert_array_equal(cloud(panel).fields["said"], np.arange(N))
    panel.snapshot.value = 2
    np.testing.assert_array_equal(cloud(panel).fields["said"], np.arange(2 * N, 3 * N))
    panel.space.value = "h"
    np.testing.assert_allclose(places(panel), pca(run.snapshots.h).points[2], rtol=1e-6)
    panel.highlight.value = 1
    np.testing.assert_array_equal(strong(panel)[0].x, cloud(panel).x[run.snapshots.labels == 1])
    assert "10 samples selected, 100 % of them class 1" in panel.picture.status
    assert N / 3 == 10
    panel.highlight.value = ALL
    assert not strong(panel)
    assert not panel.picture.status


def scale_of(panel: EmbeddingPanel) -> list[str]:
    """The numbers at the scale of colours, which stands first beside the map."""
    return list(panel.picture.charts[1].x.names)


def test_a_click_shows_neighbours_in_all_dimensions_and_follows_the_snapshots(make_run: Callable[..., Run]) -> None:
    run = make_run()
    panel = EmbeddingPanel(run)
    say(panel, near=4)
    for place in (S - 1, 0):
        panel.snapshot.value = place
        unit = nn.functional.normalize(run.snapshots.z[place], dim=1)
        cosines = unit @ unit[4]
        order = cosines.argsort(descending=True)
        assert order[0] == 4
        lines = next(mark for mark in panel.picture.charts[0].marks if isinstance(mark, Edges))
        np.testing.assert_array_equal(lines.pairs.reshape(-1, 2), [[4, row] for row in order[1:7]])
        chosen = panel._chosen(unit)
        np.testing.assert_array_equal(chosen.near, order[1:7])
        np.testing.assert_allclose(chosen.cosines, cosines[order[1:7]], rtol=1e-5)
        first = f"Sample 104, class 1: nearest in all dimensions are class {order[1] % 3} ({cosines[order[1]]:.3g})"
        assert panel.picture.status.startswith(first)
    say(panel, select=[])  # a click on nothing
    assert not strong(panel)
    assert not panel.picture.status


def test_a_lasso_shows_the_statistics_of_what_it_encloses(make_run: Callable[..., Run]) -> None:
    run = make_run()
    panel = EmbeddingPanel(run)
    panel.choose(3)
    say(panel, select=[0, 3, 4, 5])
    unit = nn.functional.normalize(run.snapshots.z[-1], dim=1)[[0, 3, 4, 5]]
    (shown,) = strong(panel)
    np.testing.assert_array_equal(shown.x, cloud(panel).x[[0, 3, 4, 5]])
    np.testing.assert_array_equal(panel.picture.charts[1].marks[0].height, [2, 1, 1])
    spread = (unit - unit.mean(0)).square().sum(1).mean().item()
    pairs = (unit @ unit.T)[~torch.eye(4, dtype=torch.bool)].mean().item()
    numbers = f"dispersion {spread:.3g}, mean cosine {pairs:.3g}.".replace("-", "−")
    assert panel.picture.status == f"4 samples selected, 50 % of them class 0; {numbers}"
    about = panel._chosen(nn.functional.normalize(run.snapshots.z[-1], dim=1)).about
    assert about["counts"].tolist() == [2, 1, 1]
    assert about["dispersion"] == pytest.approx(spread, abs=1e-5)
    assert about["similarity"] == pytest.approx(pairs, abs=1e-5)
    panel.select([])
    assert not strong(panel)
    say(panel, show=2)  # a click on a class of the legend, and again to let go of it
    assert panel.highlight.value == 2
    assert panel.picture.charts[1].title == "10 selected"
    assert panel.picture.charts[1].x.names == ["class 2"]
    say(panel, show=2)
    assert panel.highlight.value == ALL


MASK = [row in (1, 4) for row in range(N)]


@pytest.mark.parametrize(
    "rows",
    [
        [4, 1], (1, 4, 4), {1, 4}, range(1, 5, 3), iter([4, 1]), np.array([4, 1], ">i2"), np.arange(5)[::-3],
        torch.tensor([1, 4], dtype=torch.uint8), [torch.tensor(1), torch.tensor(4)], pd.Series([4, 1]),
        MASK, np.array(MASK), torch.tensor(MASK), pd.Series(MASK),
    ],
    ids=lambda rows: type(rows).__name__,
)  # fmt: skip
def test_rows_are_selected_by_number_or_mask_of_any_kind(make_run: Callable[..., Run], rows: object) -> None:
    panel = EmbeddingPanel(make_run())
    panel.select(rows)
    np.testing.assert_array_equal(strong(panel)[0].x, cloud(panel).x[[1, 4]])
    assert panel.picture.status.startswith("2 samples selected")
    for none in (None, [], np.zeros(0), torch.zeros(N, dtype=torch.bool)):
        panel.select(none)
        assert panel.picture.status == ""


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([4, -1], ValueError, "rows must be from 0 to 29, got -1 to 4"),
        ([True, False], ValueError, r"rows as a mask must be \(30,\), got shape \(2,\)"),
        (3, TypeError, "rows must be a tensor or array, got int"),
        ([[1, 2]], ValueError, r"rows must be numbers \(m,\) or a mask \(30,\), got shape \(1, 2\)"),
        ([0.5], TypeError, "rows must be integers, got torch.float64"),
        ("abc", TypeError, "rows must be numbers, got texts|rows must be a tensor or array"),
    ],
)
def test_other_rows_are_refused_by_name(
    make_run: Callable[..., Run], rows: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        EmbeddingPanel(make_run()).select(rows)


def test_a_sample_is_a_whole_number(make_run: Callable[..., Run]) -> None:
    panel = EmbeddingPanel(make_run())
    for sample in (4, np.int64(4), torch.tensor(4)):
        panel.choose(sample)
        assert panel.picture.status.startswith("Sample 104")
    with pytest.raises(ValueError, match="sample must be from 0 to 29, got 30"):
        panel.choose(30)
    with pytest.raises(TypeError, match=r"sample must be a whole number, got 1\.5"):
        panel.choose(1.5)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("layout", ["pca", "raw"])
def test_few_samples_are_shown_in_depth(make_run: Callable[..., Run], layout: str, count: int) -> None:
    panel = EmbeddingPanel(make_run(count=count), layout=layout, dims=3)
    assert places(panel).shape == (count, 3)
    assert np.isfinite(places(panel)).all()
    panel.choose(0)
    assert panel.picture.status.startswith("Sample 100, class 0: nearest in all dimensions are")
    panel.static()
    panel.layout_menu.value = "umap"
    assert panel.picture.status == f"not drawn: UMAP with 3 axes needs at least 5 samples, got {count}"
    panel.layout_menu.value = "pca"
    assert panel.picture.status.startswith("Sample 100")


@pytest.mark.parametrize("shape", [(1, 1000, 4), (3, 4, 1000), (1, 1, 1), (3, 32, 8)])
def test_pictures_far_from_square_keep_at_least_a_pixel(shape: tuple[int, ...]) -> None:
    sheet = sprite_sheet(pixels(torch.rand(5, *shape)))
    height, width = shape[1:]
    share = min(1.0, 32 / max(height, width))
    assert sheet["tile"] == [max(1, round(share * width)), max(1, round(share * height))]


EVIL = ("$100", "$x^$", "</script><b>", "<!-- <script", "\"quoted\" & 'so'", "\u2028", "שלום", "🦉" * 200, "{class}")


def test_names_of_any_letters_are_shown_as_they_are(make_run: Callable[..., Run], dataset: Dataset) -> None:
    named = replace(dataset, class_names=EVIL)
    panel = EmbeddingPanel(make_run(), named)
    for labels in (torch.arange(N) % 3, torch.arange(N) % 3 + 3, torch.arange(N) % 3 + 6):
        panel = EmbeddingPanel(make_run(labels=labels, dim=9), named)
        panel.choose(1)
        with mpl.rc_context({"font.family": "DejaVu Sans"}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")
            figure = panel.picture.figure()
            figure.savefig(BytesIO())
        assert not [text for text in figure.findobj(Text) if is_math_text(text.get_text())]
        text = panel.static().data
        frames, _ = unpacked(text)
        (mark,) = (mark for mark in frames[0]["rows"][0][0][0]["marks"] if mark["look"]["kind"] == "points")
        assert {EVIL[label] for label in labels.tolist()} <= {
            name.removeprefix("class ") for name in mark["fields.class"]
        }
        assert max(map(len, mark["look"]["name"])) <= 32
        assert text.count("<script") == text.count("</script") == 1


def test_computed_colours_say_vote_purity_and_distance(make_run: Callable[..., Run]) -> None:
    run = make_run()
    panel = EmbeddingPanel(run)
    unit, labels = nn.functional.normalize(run.snapshots.z, dim=2), run.snapshots.labels
    panel.colour.value = PREDICTION
    said = vote(unit[-1], labels)
    np.testing.assert_array_equal(cloud(panel).group, said.prediction)
    assert cloud(panel).name == ["class 0", "class 1", "class 2"]
    panel.colour.value = PURITY
    np.testing.assert_array_equal(cloud(panel).fields["said"], said.purity)
    assert scale_of(panel) == ["0", "0.5", "1"]
    panel.colour.value = DISTANCE
    mean = unit[-1][labels == 1].mean(0)
    np.testing.assert_allclose(
        cloud(panel).fields["said"][labels == 1], (unit[-1][labels == 1] - mean).norm(dim=1), rtol=1e-5
    )
    assert float(scale_of(panel)[2]) >= 0.99 * cloud(panel).fields["said"].max()


def test_vote_is_that_of_a_plain_search_and_leaves_out_the_sample_itself() -> None:
    generator = torch.Generator().manual_seed(3)
    x = nn.functional.normalize(torch.randn(40, 5, generator=generator), dim=1)
    labels = torch.randint(-1, 4, (40,), generator=generator)
    said = vote(x, labels, k=5)
    for row in range(40):
        cosines = (x @ x[row]).masked_fill(labels < 0, -2)
        cosines[row] = -2
        near = cosines.argsort(descending=True)[:5]
        classes, weights = labels[near].tolist(), (cosines[near] / 0.07).exp().tolist()
        votes = {label: sum(w for w, own in zip(weights, classes, strict=True) if own == label) for label in classes}
        assert votes[said.prediction[row]] == pytest.approx(max(votes.values()), rel=1e-4)
        assert said.purity[row] == pytest.approx(classes.count(labels[row].item()) / 5)
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        vote(x[:3], torch.tensor([-1, 0, -1]))


def test_of_many_samples_some_vote_and_all_are_voted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cl_explore.widgets.neighbourhood.VOTERS", 10)
    monkeypatch.setattr("cl_explore.geometry.neighbours.PAIRS", 35)
    labels = torch.arange(60) % 2
    x = nn.functional.normalize(torch.eye(2)[labels] + 0.01 * torch.arange(60)[:, None] / 60, dim=1)
    said = vote(x, labels[:60], k=3)
    # every sixth sample votes, all of them of class 0: nobody votes for class 1
    assert (said.prediction == 0).all()
    said = vote(x, (torch.arange(60) // 3) % 2, k=3)
    assert len(said.prediction) == 60


def test_one_sample_has_no_mean_cosine_and_few_have_few_neighbours() -> None:
    x = torch.eye(3)
    assert describe(x, np.zeros(3, dtype=int), 1, np.array([1]))["similarity"] is None
    assert len(nearest(x, 0)[0]) == 2


def test_layouts_in_depth_and_raw(make_run: Callable[..., Run]) -> None:
    run = make_run()
    panel = EmbeddingPanel(run, layout="raw", dims=3)
    unit = nn.functional.normalize(run.snapshots.z, dim=2)
    raw = unit[-1][:, :3].numpy()
    moved = places(panel) - raw  # to the middle of the map, round which it turns
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-6)
    assert panel.picture.charts[0].turns
    assert panel.picture.charts[0].marks[0].z is not None  # the edges of a box
    panel.layout_menu.value = "pca"
    flat = pca(unit).points[-1]
    moved = places(panel)[:, :2] - flat
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-5)
    panel.dims.value = 2
    np.testing.assert_allclose(places(panel), flat, atol=1e-5)
    two = EmbeddingPanel(make_run(dim=2, labels=torch.arange(N) % 2), dims=3)
    assert not two.picture.charts[0].turns  # there are no more than two


def test_maps_turn_onto_each_other_without_changing_their_shape() -> None:
    generator = np.random.default_rng(0)
    points = generator.normal(size=(20, 2))
    mirrored = points @ np.array([[0.6, 0.8], [0.8, -0.6]]) + 3
    np.testing.assert_allclose(turned(mirrored, points), points - points.mean(0), atol=1e-12)


def test_static_page_can_find_neighbours_itself(make_run: Callable[..., Run]) -> None:
    run = make_run()
    panel = EmbeddingPanel(run)
    space = panel._spaces["z"]
    x = nn.functional.normalize(torch.from_numpy(space.rounded(0, 100)).float(), dim=1)
    torch.testing.assert_close(x @ x.T, space.unit[0] @ space.unit[0].T, atol=0.02, rtol=0)
    # fewer bytes than vectors: the directions that hold most of them
    flat = run.snapshots.z.clone()
    flat[..., 3:] *= 0.01
    space = Space(flat, run.snapshots.labels)
    x = nn.functional.normalize(torch.from_numpy(space.rounded(1, 3)).float(), dim=1)
    assert x.shape[1] == 3
    torch.testing.assert_close(x @ x.T, space.unit[1] @ space.unit[1].T, atol=0.03, rtol=0)


def test_static_page_holds_all_snapshots_and_colours(make_run: Callable[..., Run], dataset: Dataset) -> None:
    panel = EmbeddingPanel(make_run(), dataset)
    text = panel.static().data
    frames, (menu, training) = unpacked(text)
    colours = [name for name, _ in panel.colour.options]
    assert (menu["stops"], menu["menu"], len(training["stops"])) == (colours, True, S)
    shown = [frame["rows"][0][0][0]["marks"][0] for frame in frames]
    for place in range(S):
        panel.snapshot.value = place
        for colour in range(len(colours)):
            np.testing.assert_allclose(shown[S * colour + place]["x"], cloud(panel).x, atol=1e-3)
    np.testing.assert_array_equal(shown[0]["fields.sample"], 100 + np.arange(N))  # exact
    np.testing.assert_array_equal(shown[0]["fields.place"], np.arange(N) % 3)
    assert len(shown[0]["unit"]) == 6 * N
    assert shown[S * colours.index("size")]["look"]["hover"].endswith("size {said}")
    assert text.count(panel.canvas.sheet["sprite"]) == 1


def test_a_data_set_gives_names_images_and_factors_of_the_right_samples(
    make_run: Callable[..., Run], dataset: Dataset
) -> None:
    run = make_run()
    rows = rows_of(run.snapshots.index, dataset)
    torch.testing.assert_close(dataset.index[rows], run.snapshots.index)
    panel = EmbeddingPanel(run, dataset)
    assert cloud(panel).name == ["ant", "bee", "cat"]
    assert cloud(panel).thumbnails
    panel.colour.value = "size"
    np.testing.assert_array_equal(cloud(panel).fields["said"], 2 * run.snapshots.index)
    width, height = panel.canvas.sheet["tile"]
    assert (width, height) == (6, 4)
    sheet = np.asarray(Image.open(BytesIO(base64.b64decode(panel.canvas.sheet["sprite"].split(",")[1]))).convert("L"))
    for place in (0, 7, 29):
        row, column = divmod(place, panel.canvas.sheet["columns"])
        x, y = width * column, height * row
        assert sheet[y + 1, x + 1] == pytest.approx(255 * (100 + place) / 200, abs=6)
    panel.choose(7)
    images = panel.picture.charts[2].marks[0]  # beside map and scale
    assert (len(images.x), images.tall, images.wide) == (6, 4, 6)


def test_unlabelled_points_are_grey_and_named(make_run: Callable[..., Run], dataset: Dataset) -> None:
    labels = torch.arange(N) % 3 - 1
    panel = EmbeddingPanel(make_run(labels=labels), dataset)
    assert cloud(panel).name == ["unlabelled", "ant", "bee"]
    assert cloud(panel).colour[0] == "#9a9a9a"
    np.testing.assert_array_equal(cloud(panel).group, np.arange(N) % 3)
    assert [name for name, _ in panel.picture.readout] == ["step", "−uniformity"]
    assert PREDICTION not in dict(panel.colour.options)


def test_value_colours_span_the_scale_and_survive_a_constant() -> None:
    group = value_colours("x", np.array([0.0, 0.5, 1.0]), 0.0, 1.0).look["group"]
    np.testing.assert_array_equal(group, [0, 16, 31])
    np.testing.assert_array_equal(value_colours("x", np.ones(3), 1.0, 1.0).look["group"], 0)


def test_sprite_sheet_shrinks_large_images_and_keeps_colour() -> None:
    images = torch.zeros(3, 3, 64, 48, dtype=torch.uint8)
    images[1, 0] = 255
    sheet = sprite_sheet(pixels(images))
    assert sheet["tile"] == [24, 32]
    picture = np.asarray(Image.open(BytesIO(base64.b64decode(sheet["sprite"].split(",")[1]))).convert("RGB"))
    assert picture[16, 24 + 12].tolist() == pytest.approx([255, 0, 0], abs=12)
    many = sprite_sheet(pixels(torch.zeros(10_000, 1, 28, 28)))
    assert many["tile"] == [15, 15]  # ten thousand images in two and a half million pixels
    with pytest.raises(
        ValueError, match=r"images must be \(n, C, H, W\) with 1 or 3 channels, got shape \(3, 2, 4, 4\)"
    ):
        pixels(torch.zeros(3, 2, 4, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "tsne"}, "layout must be"),
        ({"dims": 4}, "dims must be 2 or 3, got 4"),
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


OWN = np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32)
KINDS = ["cat", "dog"] * 20


def test_own_vectors_are_shown_with_their_labels_texts_and_pictures() -> None:
    texts = [f"text {row}" for row in range(40)]
    panel = EmbeddingPanel(
        OWN, labels=KINDS, texts=texts, images=np.zeros((40, 8, 8), np.uint8), values={"id": range(40)}
    )
    assert panel.picture.title == "40 samples: your vectors at unit length"
    assert panel.snapshot not in panel.children[0].children
    assert [name for name, _ in panel.colour.options] == ["class", PREDICTION, PURITY, DISTANCE, "id"]
    assert cloud(panel).fields["text"][3] == "text 3"
    panel.choose(3)
    unit = torch.nn.functional.normalize(torch.from_numpy(OWN), dim=1)
    others = (unit @ unit[3]).argsort(descending=True)[1:7]
    assert panel.picture.status.startswith("Sample 3 “text 3”, class dog: nearest in all dimensions are ")
    assert panel.picture.status.count(f"class {KINDS[others[0]]}") >= 1
    panel.highlight.value = 1
    assert panel.selection.tolist() == list(range(1, 40, 2))
    panel.select(None)
    assert panel.selection.tolist() == []
    frames, sliders = unpacked(panel.static().data)
    assert len(sliders) == 1
    assert len(frames) == 5


def test_the_forms_of_own_vectors_give_one_picture(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", OWN)
    frame = pd.DataFrame(OWN).assign(kind=KINDS)
    panels = [EmbeddingPanel(source, labels=KINDS) for source in (OWN, torch.from_numpy(OWN), tmp_path / "x.npy")]
    panels.append(EmbeddingPanel(frame, labels="kind"))
    first, *others = [(panel.canvas.spec, panel.canvas.data) for panel in panels]
    assert all(other == first for other in others)


def test_of_very_many_vectors_some_are_drawn_and_a_selection_says_their_rows() -> None:
    x = torch.randn(12_000, 4, generator=torch.Generator().manual_seed(0))
    panel = EmbeddingPanel(x, values={"row": range(12_000)})
    assert panel.picture.title.startswith("4000 of 12000 samples")
    panel.select([0, 5])
    assert panel.selection.tolist() == [0, 15]
    panel.colour.value = "row"
    assert cloud(panel).fields["said"][5] == 15


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"source": OWN, "labels": KINDS[:3]}, "labels must be 40 whole numbers or texts"),
        ({"source": OWN, "values": {"id": range(3)}}, r"values\['id'\] must have shape \(40,\)"),
        ({"source": OWN[0]}, r"source must be \(N, D\), got shape \(6,\)"),
        ({"source": np.full((4, 2), np.nan)}, "source must be finite, got 4 of 4 rows"),
    ],
)
def test_what_own_vectors_lack_is_named(arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EmbeddingPanel(**arguments)


def test_what_belongs_to_a_run_and_what_to_vectors_is_not_mixed(make_run: Callable[..., Run], dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="labels must come with vectors; of a run, dataset brings"):
        EmbeddingPanel(make_run(), dataset, labels=KINDS)
    with pytest.raises(ValueError, match="dataset must come with a run; with vectors give labels="):
        EmbeddingPanel(OWN, dataset)


def test_two_embeddings_stand_side_by_side() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(40, 6, generator=draw)
    other = torch.cat((x[:20], torch.randn(20, 6, generator=draw)))
    panel = EmbeddingPanel(x, labels=[0, 1] * 20, other=other @ torch.linalg.qr(torch.randn(6, 6, generator=draw)).Q)
    panel.colour.value = SHARED
    shared = geometry.shared_neighbours(x, other, 15)
    assert ("neighbours shared", f"{shared.double().mean() / 15:.0%}") in panel.picture.readout
    np.testing.assert_array_equal(cloud(panel).fields["said"], shared)
    panel.select([3, 5])
    left, right = ([mark for mark in chart.marks if isinstance(mark, Points)] for chart in panel.picture.charts[:2])
    for cloud_, chosen in (left, right):  # the same rows, on both
        np.testing.assert_array_equal(chosen.x, cloud_.x[[3, 5]])
    same = EmbeddingPanel(x, other=x.numpy()[:, ::-1].copy())
    first, second = (
        next(mark for mark in chart.marks if isinstance(mark, Points)) for chart in same.picture.charts[:2]
    )
    np.testing.assert_allclose(second.x, first.x - first.x.mean(), atol=1e-5)  # turned to lie as the first
    with pytest.raises(ValueError, match="other must hold the same 40 samples as source, got 39"):
        EmbeddingPanel(x, other=other[1:])
