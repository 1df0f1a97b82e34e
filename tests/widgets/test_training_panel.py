import asyncio
import math
import os
import signal
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
import torch
from ipywidgets.widgets.widget import _instances
from torch import nn

from cl_explore import data, geometry, losses, train
from cl_explore.data import Dataset
from cl_explore.widgets import TrainingPanel
from cl_explore.widgets.learning import training_picture
from cl_explore.widgets.live import ENCODERS, LiveTraining
from cl_explore.widgets.marks import Line, Points, Rule, Text
from cl_explore.widgets.picture import Picture


@pytest.fixture(scope="module")
def points() -> Dataset:
    return data.load("gaussians", classes=3, latent=8, features=16, train_per_class=40, test_per_class=2)


def begin(points: Dataset, loss: str = "nt_xent", **settings) -> LiveTraining:
    given = {"knobs": dict(losses.get(loss).defaults), "strength": 1.0, "seed": 0, "epochs": 40, "batch_size": 30}
    return LiveTraining(points, losses.get(loss), "linear", **given | settings)


def samples(picture: Picture) -> Points:
    return next(mark for mark in picture.charts[0].marks if isinstance(mark, Points))


def step(panel: TrainingPanel) -> int:
    """At which step the picture is."""
    return int(dict(panel.picture.readout)["step"].split()[0])


def panel_of(points: Dataset, **settings) -> TrainingPanel:
    return TrainingPanel(points, **{"encoder": "linear", "epochs": 40, "batch_size": 30} | settings)


def test_work_by_work_trains_as_in_one_go(points: Dataset) -> None:
    live, whole = begin(points), begin(points)
    while not live.over:
        live.work(math.inf, steps=7)
    whole.work(math.inf)
    assert live.loop.step == whole.loop.step == 160
    for one, other in zip(live.method.parameters(), whole.method.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert [look.step for look in live.looks] == [*range(0, 160, 7), 160]


def test_a_look_says_what_the_network_does_to_the_shown_samples(points: Dataset) -> None:
    live = begin(points)
    first = live.looks[0]
    assert first.step == 0
    assert first.points.shape == (120, 2)
    look = live.work(math.inf, steps=40)
    assert not live.method.training  # between works the state is whole and at rest
    numbers = dict(zip(live.measures, look.numbers, strict=True))
    history = live.loop.read()
    assert numbers["loss"] == pytest.approx(history["loss"].mean(), rel=1e-5)
    z = nn.functional.normalize(live.method.project(live.method(live.shown.x)).detach(), dim=1)
    assert numbers["−uniformity"] == pytest.approx(-geometry.uniformity(z).item(), rel=1e-5)
    assert numbers["tolerance"] == pytest.approx(geometry.tolerance(z, live.shown.labels).item(), rel=1e-5)
    assert 0.3 < numbers["kNN accuracy"] <= 1


def test_turned_knobs_take_effect_with_the_next_work_and_are_noted(points: Dataset) -> None:
    live = begin(points)
    live.turn({"temperature": 0.3}, 1.0)
    live.work(math.inf, steps=5)
    assert live.method.knobs["temperature"] == 0.3
    assert live.turns == []  # before the first step it is not a turn
    live.turn({"temperature": 0.2}, 1.0)
    assert live.method.knobs["temperature"] == 0.3
    live.work(math.inf, steps=5)
    live.turn({"temperature": 0.1}, 1.0)
    live.work(math.inf, steps=10)
    assert live.turns == [(5, "temperature", "0.1")]  # one slow drag
    live.turn({"temperature": 0.1}, 0.5)
    live.work(math.inf, steps=1)
    assert live.turns[1:] == [(20, "view strength", "0.5")]
    assert live.method.augment.strength == 0.5


def test_knobs_that_do_not_go_together_are_refused_and_change_nothing(points: Dataset) -> None:
    live = begin(points, "varcon")
    with pytest.raises(ValueError, match="epsilon"):
        live.turn({"temperature": 0.05, "epsilon": 0.09}, 1.0)
    live.work(math.inf, steps=2)
    assert live.method.knobs == losses.get("varcon").defaults
    assert live.loop.step == 2


def test_looks_and_curve_are_thinned_but_keep_both_ends(points: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cl_explore.widgets.live.LOOKS", 10)
    monkeypatch.setattr("cl_explore.widgets.live.CURVE", 20)
    live = begin(points, epochs=8)
    while not live.over:
        live.work(math.inf, steps=1)
    steps = [look.step for look in live.looks]
    assert 5 < len(steps) <= 10
    assert (steps[0], steps[-1]) == (0, 32)
    assert steps == sorted(steps)
    curve = [step for step, *_ in live.curve]
    assert 10 < len(curve) <= 20
    assert (curve[0], curve[-1]) == (0, 32)


def test_a_picture_shows_the_samples_and_the_course(points: Dataset) -> None:
    live = begin(points)
    look = live.work(math.inf, steps=3)
    picture = training_picture(live, look)
    shown = samples(picture)
    assert shown.name == ["class 0", "class 1", "class 2"]
    np.testing.assert_array_equal(shown.group, points.labels)  # all 120 are shown
    np.testing.assert_array_equal(np.stack([shown.x, shown.y], axis=1), look.points)
    assert picture.readout[0] == ("step", "3 of 160")
    course = next(mark for mark in picture.charts[1].marks if isinstance(mark, Line))
    np.testing.assert_array_equal(course.x, [0, 3])
    assert course.y[1] == pytest.approx(look.numbers[0], rel=1e-3)
    first = training_picture(live, live.looks[0])  # on a page without a kernel, which knows the whole course
    assert first.charts[1].axes == picture.charts[1].axes
    assert first.charts[1].marks[0].x.tolist() == [0]


def test_turned_knobs_are_marked_and_named(points: Dataset) -> None:
    live = begin(points)
    live.work(math.inf, steps=5)
    live.turn({"temperature": 0.2}, 1.0)
    marks = training_picture(live, live.work(math.inf, steps=5)).charts[1].marks
    assert [mark.x for mark in marks if isinstance(mark, Rule)] == [5]
    assert [mark.text for mark in marks if isinstance(mark, Text)] == [("temperature → 0.2",)]
    assert not any(isinstance(mark, Rule) for mark in training_picture(live, live.looks[1]).charts[1].marks[1:])


def test_data_without_classes_is_measured_without_them(points: Dataset) -> None:
    live = begin(Dataset("plain", points.x, torch.full_like(points.labels, -1), points.index, ()))
    assert live.measures == ("loss", "−uniformity")
    assert samples(training_picture(live, live.looks[-1])).name == ["unlabelled"]


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_takes_images(name: str) -> None:
    digits = data.load("digits").subset(torch.arange(64))
    live = LiveTraining(digits, losses.get("supcon"), name, knobs={}, strength=1.0, seed=0, epochs=1, batch_size=32)
    assert live.work(math.inf).step == 2


async def until(happened: Callable[[], bool], seconds: float = 10.0) -> None:
    for _ in range(int(seconds / 0.01)):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not happen")


def play(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scene())


def test_start_pause_turn_resume_stop_and_begin_anew(points: Dataset) -> None:
    async def scene() -> None:
        panel = panel_of(points, epochs=400)
        panel.buttons["start"].click()
        panel.start()  # a second start is the same training
        await until(lambda: step(panel) > 0)
        assert panel.picture.status == "training"
        assert panel.buttons["start"].disabled
        panel.knobs["temperature"].value = 0.1
        await until(lambda: panel.live.method.knobs["temperature"] == pytest.approx(0.1))
        panel.buttons["pause"].click()
        held = step(panel)
        assert held == panel.live.loop.step
        await asyncio.sleep(0.3)
        assert step(panel) == held == panel.live.loop.step
        assert panel.canvas.tick == 0
        texts = [mark.text for mark in panel.picture.charts[1].marks if isinstance(mark, Text)]
        assert texts == [("temperature → 0.1",)]
        panel.start()
        await until(lambda: step(panel) > held)
        live = panel.live
        panel.buttons["stop"].click()
        assert isinstance(panel.run, train.Run)
        assert len(panel.run.history) == live.loop.step
        panel.start()
        assert panel.live is not live
        assert panel.run is None
        panel.close()

    play(scene)


def test_a_training_comes_to_its_end_by_itself(points: Dataset) -> None:
    async def scene() -> None:
        panel = panel_of(points, epochs=2)
        panel.start()
        await until(lambda: panel.run is not None)
        assert step(panel) == 8
        assert "ended at step 8" in panel.picture.status
        assert not panel.buttons["start"].disabled

    play(scene)


def test_reset_while_training_drops_what_was_under_way(points: Dataset) -> None:
    async def scene() -> None:
        panel = panel_of(points, epochs=400)
        origin = [weight.clone() for weight in panel.live.method.parameters()]
        panel.start()
        await until(lambda: step(panel) > 0)
        panel.reset()
        await asyncio.sleep(0.2)
        assert step(panel) == panel.live.loop.step == 0
        for weight, before in zip(panel.live.method.parameters(), origin, strict=True):
            torch.testing.assert_close(weight, before, rtol=0, atol=0)

    play(scene)


def test_an_interrupt_leaves_a_whole_state_that_goes_on(points: Dataset) -> None:
    async def scene() -> None:
        panel = panel_of(points, epochs=400)
        panel.start()
        await until(lambda: step(panel) > 0)
        panel._task.cancel()  # as an interrupt of the kernel ends it, wherever it stands
        await until(lambda: panel.canvas.tick == 0)
        panel._worker.submit(int).result()  # the turn being worked has ended
        held = panel.live.loop.step
        assert not panel.live.method.training
        assert panel.live.loop.run().history["step"].iloc[-1] == held
        panel.start()
        await until(lambda: panel.live.loop.step > held)
        panel.close()

    play(scene)


def test_an_interrupt_of_an_idle_kernel_pauses_the_training(points: Dataset) -> None:
    async def scene() -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a kernel does between two cells
        try:
            panel = panel_of(points, epochs=400)
            panel.start()
            await until(lambda: step(panel) > 0)
            os.kill(os.getpid(), signal.SIGINT)
            await until(lambda: panel.canvas.tick == 0)
            assert panel.picture.status == "paused"
            await until(lambda: signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
            panel.close()
        finally:
            signal.signal(signal.SIGINT, before)

    play(scene)


def test_controls_of_a_loss_that_is_left_are_freed(points: Dataset) -> None:
    panel = panel_of(points)
    before = len(_instances)
    for name in ("uniformity", "nt_xent"):
        panel.loss.value = losses.get(name)
    assert len(_instances) == before
    panel.close()


def test_refused_knobs_and_settings_are_said_where_the_reader_looks(points: Dataset) -> None:
    panel = panel_of(points, loss="varcon")
    panel.knobs["epsilon"].value = 0.09
    panel.knobs["temperature"].value = 0.05
    assert "not taken" in panel.picture.status
    assert "epsilon" in panel.picture.status
    panel.encoder.value = "ConvNet"
    assert "needs images" in panel.picture.status
    assert panel.live is None
    panel.knobs["temperature"].value = 0.5
    panel.encoder.value = "linear"
    assert panel.picture.status == "ready"
    assert panel.live.method.knobs["epsilon"] == 0.09
    panel.encoder.value = "ConvNet"
    with pytest.raises(ValueError, match="no training to show"):
        panel.static()


def test_an_error_while_training_stops_it_and_is_said(points: Dataset) -> None:
    async def scene() -> None:
        panel = panel_of(points)

        def broken(*_) -> None:
            raise RuntimeError("no more memory")

        panel.live.method.step = broken
        panel.start()
        await until(lambda: panel.canvas.tick == 0)
        assert panel.picture.status == "stopped: no more memory"
        panel.reset()
        assert panel.picture.status == "ready"

    play(scene)


def test_menus_change_data_loss_and_knobs(points: Dataset) -> None:
    panel = panel_of(points)
    assert panel.data.value == "gaussians"
    panel.loss.value = losses.get("supcon")
    assert list(panel.knobs) == [knob.name for knob in losses.get("supcon").knobs]
    assert panel.live.method.loss is losses.get("supcon")
    assert panel.picture.title == f"{losses.get('supcon').title} on gaussians"
    panel.data.value = "digits"
    assert "digits" in panel.picture.title
    panel.epochs.value = 3
    assert panel.live.loop.settings.epochs == 3
    panel.data.value = "gaussians"
    assert panel.live.shown.name == points.name
    assert len(panel.live.shown) == 120  # the reader's own, not the catalogue's of the same name


def test_static_shows_the_training_so_far_or_records_one(points: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cl_explore.widgets.training_panel.RECORDED", 12)
    panel = panel_of(points)
    assert 'stops":["0","4","8","12"]' in panel.static().data
    assert panel.live.loop.step == 0
    panel.live.work(math.inf, steps=5)
    assert 'stops":["0","5"]' in panel.static().data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "nt_xnt"}, "unknown loss 'nt_xnt'.*nt_xent"),
        ({"encoder": "transformer"}, "encoder must be one of MLP.*got 'transformer'"),
        ({"encoder": "ConvNet"}, "encoder 'ConvNet' needs images, got the vectors of gaussians"),
        ({"batch_size": 500}, "batch_size must be at most the 120 samples"),
        ({"loss": "moco"}, "loss moco cannot be computed"),
        ({"lr": 0.5}, "lr must be between 0.0001 and 0.1, got 0.5"),
        ({"lr": 1e-5}, "lr must be between 0.0001 and 0.1, got 1e-05"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
    ],
)
def test_bad_input_is_named(points: Dataset, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        panel_of(points, **arguments)
