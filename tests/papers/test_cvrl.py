"""CVRL: how far apart clips begin, what is drawn once for a clip, films whose action is known, strokes replayed."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_explore import losses
from cl_explore.papers.cvrl import method, panel, study, world
from cl_explore.papers.cvrl.method import Clips, ClipViews
from cl_explore.views import VideoViews

CASES = json.loads((Path(__file__).parents[1] / "golden" / "cvrl.json").read_text(encoding="utf-8"))["cases"]
TABLE = next(case for case in CASES if case["name"] == "interval_sampler_table")["inputs"]["rows"]
DRAWING = "START\n10,-10,0\n10,-90,10\nBREAK\n90,-90,20\nBREAK\n"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_gaps_are_those_that_the_authors_bisection_finds() -> None:
    for length, frames, stride, u, most, gap in TABLE:
        assert length - (frames - 1) * stride == most
        far = most * method.quantile(torch.tensor([u], dtype=torch.float64))
        assert far.long().item() == gap, (length, u)


@settings(max_examples=20, deadline=None)
@given(u=st.floats(0, 1), power=st.floats(0.1, 20), interval=st.sampled_from(["decreasing", "uniform", "increasing"]))
def test_quantile_turns_the_distribution_round(u: float, power: float, interval: method.Interval) -> None:
    ends = torch.tensor([0.0, 1.0, u], dtype=torch.float64)
    share = method.quantile(ends, interval, power)
    torch.testing.assert_close(method.cdf(share, interval, power), ends)
    torch.testing.assert_close(method.cdf(ends[:2], interval, power), ends[:2])
    inside = share[2:].clamp(0.01, 0.99).requires_grad_()
    (slope,) = torch.autograd.grad(method.cdf(inside, interval, power), inside)
    torch.testing.assert_close(slope, method.density(inside, interval, power).detach())


@pytest.mark.parametrize(
    ("interval", "power", "mean"),
    [("decreasing", 1, 1 / 3), ("decreasing", 3, 4 / 10), ("uniform", 1, 1 / 2), ("increasing", 1, 2 / 3),
     ("zero", 1, 0)],
)  # fmt: skip
def test_mean_gaps_are_those_of_the_density(interval: method.Interval, power: float, mean: float) -> None:
    u = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    assert method.quantile(u, interval, power).mean().item() == pytest.approx(mean, abs=1e-4)
    if interval == "decreasing" and power == 1:
        torch.testing.assert_close(method.quantile(u), 1 - (1 - u).sqrt())


@settings(max_examples=20, deadline=None)
@given(length=st.integers(7, 40), stride=st.integers(1, 3), interval=st.sampled_from(["decreasing", "zero"]))
def test_clips_lie_in_their_video_in_either_order(length: int, stride: int, interval: method.Interval) -> None:
    clips = Clips(frames=3, stride=stride, interval=interval)
    starts = clips.starts(300, length, seeded())
    assert starts.min() >= 0
    assert starts.max() + 2 * stride < length
    gap = starts[:, 1] - starts[:, 0]
    assert bool(gap.eq(0).all()) == (interval == "zero" or length == 2 * stride + 1)
    assert gap.sign().double().mean().abs() < 0.2, "either may be the first"


def test_views_are_frames_of_the_video_in_order() -> None:
    x = torch.arange(20.0).div(20).view(1, 20, 1, 1, 1).expand(50, -1, 1, 2, 2)
    views = Clips(frames=4, stride=2)(x, seeded())
    assert views.shape == (50, 2, 4, 1, 2, 2)
    steps = (20 * views[:, :, :, 0, 0, 0]).diff(dim=2)
    torch.testing.assert_close(steps, torch.full_like(steps, 2.0))


def test_a_clip_of_equal_frames_stays_one_only_if_changed_as_a_whole() -> None:
    still = torch.rand(6, 1, 3, 8, 8, generator=seeded()).expand(-1, 5, -1, -1, -1)
    for shared, alike in ((1.0, 30), (0.0, 6)):
        (view,) = ClipViews(**study.CHANGES, flip=0.5, shared=shared)(still, seeded(1), 1).unbind(1)
        assert (view == view[:, :1]).flatten(2).all(2).sum() == alike
    whole = VideoViews(**study.CHANGES)(still, seeded(1))
    assert torch.equal(ClipViews(**study.CHANGES)(still, seeded(1)), whole)
    half = ClipViews(**study.CHANGES, shared=0.5)(still, seeded(1), 2)
    share = (half == whole).flatten(3).all(3).float().mean()
    assert share == pytest.approx(0.5, abs=0.2)


def test_differences_of_frames_are_cropped_as_frames_are() -> None:
    x = torch.rand(4, 5, 3, 8, 8, generator=seeded(), dtype=torch.float64)
    crops = ClipViews(crop_area=0.4)
    drawn = crops.parameters(x, seeded(1))
    moved = crops.apply(x, drawn).diff(dim=1)
    later = crops.parameters(x[:, 1:], seeded(1))
    torch.testing.assert_close(moved, crops.apply(x[:, 1:], later) - crops.apply(x[:, :-1], later))


def test_the_authors_clips_are_blurred_and_inverted_by_one_side() -> None:
    clips = Clips.paper()
    assert (clips.first.blur_probability, clips.second.blur_probability) == (1.0, 0.1)
    x = torch.rand(3, 40, 3, 8, 8, generator=seeded())
    assert clips(x, seeded()).shape == (3, 2, 16, 3, 8, 8)
    bare = Clips(interval="zero", solarise=1.0)(x, seeded())
    torch.testing.assert_close(bare[:, 1], bare[:, 0].where(bare[:, 0] < 0.5, 1 - bare[:, 0]))


def test_sides_of_the_loss_may_be_swapped() -> None:
    z = torch.randn(5, 2, 4, generator=seeded(), dtype=torch.float64)
    torch.testing.assert_close(losses.nt_xent(z.flip(1)), losses.nt_xent(z))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Clips(frames=0), "frames must be at least 1, got 0"),
        (lambda: Clips(interval="near"), "interval must be one of decreasing, uniform, increasing, zero, got 'near'"),
        (lambda: ClipViews(shared=1.5), "shared must be between 0 and 1, got 1.5"),
        (lambda: Clips()(torch.rand(2, 5, 1, 4, 4), seeded()), "x must be videos of 6 frames or more.*got 5"),
        (lambda: Clips()(torch.rand(2, 9, 1, 4, 4), seeded(), 3), "n_views must be 2.*got 3"),
        (lambda: method.quantile(torch.zeros(1), power=0.0), "power must be positive"),
        (lambda: method.density(torch.zeros(1), "zero"), "interval 'zero' has no density"),
        (lambda: world.films(4, seeded(), "resting"), "happening must be one of acting, switching, drifting"),
        (lambda: world.drawn("START\nBREAK"), "a drawing must have lines x,y,t, got none"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_in_a_film_only_what_happens_changes() -> None:
    found = world.films(60, seeded(1))
    assert found.x.shape == (60, 20, 3, 12, 12)
    bright = found.x.float().amax((2, 3, 4))
    flips = bright.diff(dim=1).abs() > 30
    assert flips[found.labels == 4].all(), "it blinks every frame"
    assert 0.3 < flips[found.labels == 5].float().mean() < 0.5
    size = (found.x[:, :, 0] > 90).float().sum((2, 3))
    steps = size.diff(dim=1)
    assert (steps[found.labels == 2] > 0).float().mean() > 0.6
    assert (steps[found.labels == 3] < 0).float().mean() > 0.6
    switched = world.films(60, seeded(1), "switching")
    assert torch.equal(switched.labels, found.labels)
    torch.testing.assert_close(switched.x[:, :10], found.x[:, :10])
    assert (switched.x[:, 10:] != found.x[:, 10:]).flatten(1).any(1).all()


def test_drifting_shapes_go_where_their_label_says() -> None:
    found = world.films(120, seeded(), "drifting")
    ink = (found.x[:, [0, -1], 0].float() - 60).clamp(min=0)
    place = torch.arange(12.0)
    x, y = ((ink.sum(side) * place).sum(2) / ink.sum((2, 3)) for side in (2, 3))
    angle = torch.atan2(y.diff(dim=1), x.diff(dim=1))[:, 0]
    away = torch.remainder(angle - found.labels * torch.pi / 3 + torch.pi, 2 * torch.pi) - torch.pi
    assert away.abs().max() < 0.3


def test_strokes_are_left_behind_in_time() -> None:
    film = world.drawn(DRAWING)
    assert film.shape == (20, 1, 16, 16)
    assert [int(frame.sum()) // 255 for frame in film[[0, 9, 10, 19]]] == [1, 1, 2, 3]
    assert (film[0, 0, 1, 1], film[19, 0, 13, 13]) == (255, 255)


@pytest.mark.parametrize("zipped", [True, False])
def test_published_strokes_are_read_from_a_zip_or_a_folder(tmp_path, monkeypatch, zipped: bool) -> None:
    names = [f"strokes_background/{a}/character01/0001_{d:02}.txt" for a in ("Greek", "Latin") for d in range(1, 21)]
    if zipped:
        with zipfile.ZipFile(tmp_path / "strokes_background.zip", "w") as archive:
            for name in names:
                archive.writestr(name, DRAWING)
    else:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(DRAWING, encoding="utf-8")
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    train, test = (world.pen_films(split, seed=3) for split in ("train", "test"))
    assert len(train) == len(test) == 20
    assert sorted(train.factors["shape"].tolist()) == 10 * [0] + 10 * [1]
    shown = (train.x > 0).flatten(2).sum(2).float()
    for label, way in enumerate((1, -1)):
        assert (way * shown[train.labels == label].diff(dim=1) >= 0).all()
    twice = shown[train.labels == 2]
    assert torch.equal(twice[:, :10], twice[:, 10:])
    assert len(world.pen_films("train", 5)) == 5


def test_missing_strokes_say_where_they_are_to_be_had(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"strokes_background\.zip(?s:.*)MIT"):
        world.pen_films("train")


def test_a_probe_reads_clean_clips_of_the_films() -> None:
    train, test = (world.films(40, seeded(seed)) for seed in (1, 2))
    entry = study.plan({"once": study.clips()}, 1, 0.1)["once"]
    made = entry.build(train, 0).eval()
    found = study.probe(made, train, test)
    assert set(found) == {study.ACTION, study.SHAPE}
    assert found == study.probe(made, replace(train, x=train.x[:, :8]), test)
    batch = train.batch(torch.arange(8))
    made.step(batch, seeded()).loss.backward()
    assert made.encoder(batch.x).shape == (8, 48)


def test_the_panel_keeps_motion_only_where_clips_are_changed_as_one() -> None:
    shown = panel.ClipPanel()
    strip, motion, paths, distances = shown.picture.charts
    assert strip.marks[0].pixels.size == 12 * 20 * 20 * 3
    steps = np.diff(np.stack([paths.marks[0].x, paths.marks[0].y]))
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:, :1], steps.shape), atol=1e-5)
    assert motion.marks[0].y[-1] > 0.9 > 5 * motion.marks[0].y[0]
    assert distances.marks[0].height.sum() == pytest.approx(1, abs=1e-5)
    shown.knobs["shared"].value = 0.0
    jagged = shown.picture.charts[2].marks[0]
    assert np.diff(jagged.x).std() > 10 * np.diff(paths.marks[0].x).std()
    shown.knobs["strength"].value = 0.0
    assert dict(shown.picture.readout)["apparent motion that is its own"] == "100%"
    shown.knobs["interval"].value = "zero"
    assert dict(shown.picture.readout)["frames apart, mean"] == "0.0"
    assert len(shown.picture.charts[3].marks) == 1
    assert len(shown.picture.alt) <= 200
    with pytest.raises(ValueError, match="power must be between"):
        panel.ClipPanel(power=20)
