import threading

import numpy as np
import pandas as pd
import pytest
import torch
from static_pages import unpacked
from torch import nn

from cl_explore import geometry
from cl_explore.train import Run, Snapshots
from cl_explore.widgets import SweepPanel
from cl_explore.widgets.marks import Points
from cl_explore.widgets.neighbourhood import vote
from cl_explore.widgets.picture import Picture
from cl_explore.widgets.runs import MEASURES, Shown, positions, sweep_picture

GRID = {"temperature": [0.1, 0.3, 1.0]}


@pytest.fixture
def trained(make_run):
    """Stands for training: the hotter, the wider the classes lie; 0.3 fails."""

    def run_at(temperature: float) -> Run:
        if temperature == 0.3:
            raise MemoryError("too hot")
        run = make_run()
        shots = run.snapshots
        noise = torch.randn(shots.z.shape, generator=torch.Generator().manual_seed(1))
        z = shots.z + temperature * noise
        return Run({}, run.history, Snapshots(shots.steps, shots.h, z, shots.labels, shots.index), run.method)

    return run_at


def places(picture: Picture) -> np.ndarray:
    """The samples on the map, (n, 2)."""
    found = [mark for mark in picture.charts[0].marks if isinstance(mark, Points)]
    return np.stack([found[0].x, found[0].y], axis=1) if found else np.empty((0, 2))


def curves(picture: Picture) -> list[tuple[int, int, int, list[float]]]:
    """Of each measure: how many runs are ready, failed and waiting, and the numbers of those that are ready."""
    shown = []
    for chart in picture.charts[1:]:
        ready, failed, waiting = [mark for mark in chart.marks if isinstance(mark, Points)][:3]
        assert failed.marker == ("X",)
        assert waiting.hollow
        shown.append((len(ready.x), len(failed.x), len(waiting.x), ready.y.tolist()))
    return shown


def finished(panel: SweepPanel) -> SweepPanel:
    assert panel.wait(30)
    return panel


def test_runs_come_in_the_background_and_the_slider_moves_between_them(trained) -> None:
    gate = threading.Event()

    def slow(temperature: float) -> Run:
        gate.wait(10)
        return trained(temperature)

    panel = SweepPanel(slow, {"temperature": [0.1, 1.0]}, jobs=1)
    assert curves(panel.picture) == [(0, 0, 2, [])] * 4
    assert panel.picture.title == "2 runs over temperature, 2 still to come"
    assert dict(panel.picture.readout) == {"temperature": "0.1", "this run": "waiting"}
    assert len(places(panel.picture)) == 0
    assert not panel.wait(0)
    gate.set()
    finished(panel)
    assert [counts[:3] for counts in curves(panel.picture)] == [(2, 0, 0)] * 4
    for value in (1.0, 0.1):
        panel.value.value = value
        run = trained(value)
        unit = nn.functional.normalize(run.snapshots.z[-1], dim=1)
        labels = run.snapshots.labels
        numbers = (
            np.mean(vote(unit, labels).prediction == labels.numpy()),
            -geometry.uniformity(unit).item(),
            geometry.tolerance(unit, labels).item(),
            geometry.dispersion(unit, labels).ratio.item(),
        )
        shown = [f"{number:.3f}" for number in numbers]
        assert panel.picture.readout == [("temperature", f"{value:g}"), *zip(MEASURES, shown, strict=True)]
        assert places(panel.picture).shape == (30, 2)
        place = [0.1, 1.0].index(value)
        assert [ready[place] for *_, ready in curves(panel.picture)] == pytest.approx(numbers)


def test_maps_of_all_runs_lie_on_each_other(trained) -> None:
    first = Shown(trained(0.1), None)
    same = Shown(trained(0.1), first)
    np.testing.assert_allclose(same.points, first.points, atol=1e-4)
    far, alone = Shown(trained(1.0), first), Shown(trained(1.0), None)
    # the same shape, turned or mirrored, and as near as no plain mirroring comes
    distances = [np.linalg.norm(x[:, None] - x, axis=2) for x in (far.points, alone.points)]
    np.testing.assert_allclose(*distances, atol=1e-4)
    near = np.square(far.points - first.points).sum()
    for x in (1, -1):
        for y in (1, -1):
            assert near < np.square(alone.points * [x, y] - first.points).sum()


def test_a_run_that_fails_is_said_and_the_others_go_on(trained) -> None:
    panel = finished(SweepPanel(trained, GRID, jobs=1))
    assert [counts[:3] for counts in curves(panel.picture)] == [(2, 1, 0)] * 4
    assert panel.picture.status == "temperature 0.3 failed: MemoryError: too hot"
    panel.value.value = 0.3
    assert dict(panel.picture.readout)["this run"] == "failed"
    frames, (slider,) = unpacked(panel.static().data)
    assert slider["stops"] == ["0.1", "1"]  # only what can be shown
    assert all("too hot" in frame["status"] for frame in frames)


def test_runs_that_cannot_be_compared_fail_with_the_reason(trained, make_run) -> None:
    def other(temperature: float) -> Run:
        if temperature == 0.1:
            return make_run()
        run = make_run(snapshots=1 if temperature == 1.0 else 0)
        if temperature == 1.0:
            run.snapshots.index.add_(1)
        return run

    panel = finished(SweepPanel(other, GRID, jobs=1))
    assert "no snapshots" in panel.errors[0.3]
    assert "other samples" in panel.errors[1.0]


def test_a_sweep_that_cannot_begin_is_said(trained) -> None:
    panel = finished(SweepPanel(trained, {"epsilon": [0.0, 0.1]}, jobs=1))
    assert "train cannot be called with epsilon" in panel.picture.status
    with pytest.raises(ValueError, match="no run to show: TypeError: train cannot be called"):
        panel.static()


def test_a_closed_panel_begins_no_further_runs(trained) -> None:
    gate, begun = threading.Event(), []

    def slow(temperature: float) -> Run:
        begun.append(temperature)
        gate.wait(10)
        return trained(temperature)

    panel = SweepPanel(slow, {"temperature": [0.1, 0.5, 1.0]}, jobs=1)
    panel.close()
    gate.set()
    finished(panel)
    assert len(begun) < 3


def test_a_data_set_gives_names_and_images(trained, dataset) -> None:
    panel = finished(SweepPanel(trained, {"temperature": [0.1, 1.0]}, dataset, jobs=1))
    samples = next(mark for mark in panel.picture.charts[0].marks if isinstance(mark, Points))
    assert samples.name == ["ant", "bee", "cat"]
    assert samples.thumbnails
    assert panel.canvas.sheet["tile"] == [6, 4]


def test_unlabelled_samples_are_left_out(make_run) -> None:
    shown = Shown(make_run(labels=torch.arange(30) % 3 - 1), None)
    assert shown.points.shape == (20, 2)
    assert set(shown.labels.tolist()) == {0, 1}


def test_values_stand_where_they_can_be_told_apart() -> None:
    assert positions([0.05, 0.1, 0.2]) == [0, pytest.approx(1 / 3, abs=1e-4), 1]  # not spread wide: evenly by value
    assert positions([32, 64, 512]) == [0, 0.25, 1]  # by logarithm
    assert positions(["a", "b", "c", "d"])[1] == pytest.approx(1 / 3, abs=1e-4)
    assert positions([0.0, 0.09]) == [0, 1]


def test_the_picture_is_a_function_of_what_is_there(trained) -> None:
    shown = {0.1: Shown(trained(0.1), None)}
    picture = sweep_picture("temperature", [0.1, 0.3, 1.0], 1.0, shown, {0.3: "no"})
    assert curves(picture)[1] == (1, 1, 1, [pytest.approx(shown[0.1].numbers[1])])
    assert dict(picture.readout) == {"temperature": "1", "this run": "waiting"}


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({}, "grid must hold one argument of train, got none"),
        ({"a": [1, 2], "b": [1]}, "grid must hold one argument of train, got a, b"),
        ({"a": [1]}, r"grid\['a'\] must hold at least 2 values, all different, got \[1\]"),
        ({"a": [1, 1]}, "all different"),
    ],
)
def test_bad_input_is_named(trained, grid: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SweepPanel(trained, grid)


@pytest.mark.parametrize("values", [np.array([0.25, 1.0]), torch.tensor([0.25, 1.0]), pd.Series([0.25, 1.0])])
def test_a_grid_may_be_an_array_a_tensor_or_a_series(trained, values) -> None:
    panel = finished(SweepPanel(trained, {"temperature": values}, jobs=1))
    panel.value.value = 1.0
    assert [text for text, _ in panel.value.options] == ["0.25", "1"]
    assert [count for count, *_ in curves(panel.picture)] == [2] * 4
