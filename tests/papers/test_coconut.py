"""COCONUT: its terms and teacher, batches of new and replayed samples, tasks one after another, and the panel."""

import json
from pathlib import Path

import numpy as np
import pytest
import recordings
import torch
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.papers.coconut import method as module
from cl_explore.papers.coconut import panel as panels
from cl_explore.papers.coconut import study
from cl_explore.papers.coconut import world as worlds
from cl_explore.papers.coconut.method import Coconut
from cl_explore.views.noisy import Noisy

CASES = json.loads((Path(__file__).parents[1] / "golden" / "coconut.json").read_text())["cases"]
VIEWS = {"audio": Noisy(), "text": Noisy()}
GENERATOR = torch.Generator()


class Given(nn.Module):
    """Stands for a head: hands out what it was given."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self.z = nn.Parameter(z)

    def forward(self, h: Tensor) -> Tensor:
        return self.z


def build(**options: object) -> Coconut:
    torch.manual_seed(0)
    made = worlds.world("digits", 0, tasks=5, kept=4, samples=300)
    return Coconut(*worlds.networks(made.train), "multimodal_supcon", VIEWS, classes=10, **options)


@pytest.fixture(scope="module")
def made() -> worlds.World:
    return worlds.world("digits", 0, tasks=5, kept=4, samples=600)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
@pytest.mark.parametrize(
    ("options", "variant"),
    [
        ({}, "loss"),
        ({"denominator": "no_positive"}, "nspt_positive_not_in_denominator"),
        ({"denominator": "literal"}, "nspt_self_student_in_denominator"),
        ({"distil": "ntpt"}, "ntpt"),
    ],
)
def test_the_terms_and_their_gradients_are_the_golden_ones(case: dict, options: dict, variant: str) -> None:
    """The whole of it: cross-entropy, 0.1 of the multimodal term and two of three of the distilled one."""
    student, teacher, text = (
        torch.tensor(case["inputs"][name], dtype=torch.float64) for name in ("student", "teacher", "text")
    )
    labels, rehearsal = (torch.tensor(case["inputs"][name]).long() for name in ("labels", "is_rehearsal"))
    head = {"audio": Given(student), "text": Given(text)}
    encoder = {name: nn.Linear(3, 5) for name in head}
    made = Coconut(encoder, head, "multimodal_supcon", VIEWS, classes=9, temperature=case["params"]["temperature"],
                   **options).double().after(2, 1)  # fmt: skip
    made.teacher = module.Frozen(nn.Sequential(nn.Identity(), Given(teacher)))
    x = torch.randn(len(labels), 3, dtype=torch.float64)
    batch = Batch({"audio": x, "text": x}, labels, torch.arange(len(labels)), {"rehearsal": rehearsal})
    step = made.step(batch, GENERATOR)
    wanted = case if variant == "loss" else case["variants"][variant]
    apart = nn.functional.cross_entropy(made.classifier(made.encoder["audio"](x)), labels)
    total = apart + 0.1 * case["multimodal"]["loss"] + 2 / 3 * wanted["loss"]
    torch.testing.assert_close(step.loss, total, atol=1e-9, rtol=0)
    for name, value in {"distilled": wanted["loss"], "multimodal": case["multimodal"]["loss"]}.items():
        assert step.metrics[name].item() == pytest.approx(value, abs=1e-9)
    step.loss.backward()
    held, named = (
        torch.tensor(slope, dtype=torch.float64)
        for slope in (wanted["grad"]["student"], case["multimodal"]["grad"]["audio"])
    )
    torch.testing.assert_close(made.head["audio"].z.grad, 2 / 3 * held + 0.1 * named, atol=1e-9, rtol=0)


def test_the_teacher_is_the_network_of_the_task_before_and_stays_so() -> None:
    first = build()
    batch = Batch({"audio": torch.randn(8, 64), "text": torch.full((8, 1), 2)}, torch.arange(8), torch.arange(8),
                  {"rehearsal": torch.ones(8).long()})  # fmt: skip
    assert set(first.step(batch, GENERATOR).metrics) == {"classes", "multimodal"}, "no teacher yet"
    second = first.after(2, 2)
    assert second.share == 0.5
    z = first.project(first(batch.x))
    assert torch.equal(second.project(second(batch.x)), z)
    optimizer = torch.optim.SGD([one for one in second.parameters() if one.requires_grad], 1.0)
    second.step(batch, GENERATOR).loss.backward()
    optimizer.step()
    assert not torch.equal(second.project(second(batch.x)), z)
    assert torch.equal(second.teacher(batch.x["audio"]), z)
    assert all(not one.requires_grad for one in second.teacher.parameters())
    assert torch.equal(first.project(first(batch.x)), z), "the earlier method is left as it was"
    norm = module.Frozen(nn.BatchNorm1d(3)).train()
    norm(torch.randn(5, 3) + 9)
    assert norm.copy.running_mean.eq(0).all()


def test_a_teacher_of_its_own_remembers_nothing() -> None:
    """With itself as teacher, and no negatives but others, a single replayed sample feels no pull."""
    own = build(own_teacher=True, multimodal_weight=0.0).after(2, 2)
    x = {"audio": torch.randn(4, 64), "text": torch.full((4, 1), 2)}
    batch = Batch(x, torch.arange(4), torch.arange(4), {"rehearsal": torch.tensor([1, 0, 0, 0])})
    z = own.project(own(x))
    wanted = losses.nspt(z, batch.labels, z, batch.factors["rehearsal"])
    found = own.step(batch, GENERATOR).metrics["distilled"]
    torch.testing.assert_close(found, wanted.detach())
    own.teacher = None
    assert set(own.step(batch, GENERATOR).metrics) == {"classes"}


@pytest.mark.parametrize("task", [0, 1, 4])
def test_batches_hold_new_samples_once_and_no_replayed_one_twice(made: worlds.World, task: int) -> None:
    seen = made.seen(task)
    replayed = min(module.REPLAYED, 4 * 2 * task)
    size = module.NEW + replayed
    rows = build().draw_order(seen, size, torch.Generator().manual_seed(0)).view(-1, size)
    new, old = rows[:, : module.NEW], rows[:, module.NEW :]
    assert len(new.unique()) == new.numel() > len(seen) - 4 * 2 * task - module.NEW
    assert seen.factors["rehearsal"][new].eq(0).all()
    assert seen.factors["rehearsal"][old].eq(1).all()
    assert all(len(batch.unique()) == replayed for batch in old)


def test_tasks_share_out_the_classes_and_the_buffer_keeps_some_of_each(made: worlds.World) -> None:
    assert torch.cat(list(made.tasks)).sort().values.tolist() == list(range(10))
    assert torch.bincount(made.train.labels[made.buffer]).tolist() == 10 * [4]
    seen = made.seen(2)
    old = seen.factors["rehearsal"] == 1
    assert set(seen.labels[~old].tolist()) == set(made.tasks[2].tolist())
    assert torch.bincount(seen.labels[old], minlength=10)[made.known(2)].tolist() == 4 * [4]
    assert made.seen(2, replay=False).factors["rehearsal"].eq(0).all()
    assert torch.equal(made.train.x["text"][:, 0] - worlds.FIRST, made.train.labels)
    assert torch.equal(worlds.world("digits", 0, tasks=5, kept=4, samples=600).buffer, made.buffer)
    assert not torch.equal(worlds.world("digits", 1, tasks=5, kept=4).tasks[0], made.tasks[0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "digitz"}, "unknown world 'digitz'"),
        ({"tasks": 1}, "tasks must be from 2 to the 10 classes, got 1"),
        ({"kept": 0}, r"kept must be from 1 to the \d+ samples of the smallest class, got 0"),
        ({"kept": 500}, r"kept must be from 1 to the \d+ samples of the smallest class, got 500"),
    ],
)
def test_worlds_that_cannot_be_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        worlds.world(**{"name": "digits", "seed": 0, "tasks": 5, "kept": 4} | wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"distil": "none"}, "distil must be 'nspt' or 'ntpt', got 'none'"),
        ({"distil_weight": -1.0}, r"distil_weight must be at least 0, got -1\.0"),
        ({"multimodal_weight": float("nan")}, "multimodal_weight must be at least 0, got nan"),
    ],
)
def test_settings_that_cannot_be_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**wrong)


def test_tones_are_loudest_in_their_band() -> None:
    time = torch.arange(4096) / 8000
    tones = torch.stack([(2 * torch.pi * pitch * time).sin() for pitch in (500.0, 1000.0, 3000.0)])
    found = worlds.spectrogram(tones)
    assert found.shape == (3, worlds.BANDS, 33)
    assert found.mean(2).argmax(1).tolist() == [3, 7, 23]  # of 125 Hz each


def test_spoken_digits_become_standardised_spectrograms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings.write(tmp_path)
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    made = worlds.world("spoken digits", 0, tasks=3, kept=1)
    assert [len(classes) for classes in made.tasks] == [4, 3, 3]
    sound = made.train.x["audio"]
    assert sound.shape == (20, worlds.BANDS, 33)
    torch.testing.assert_close(sound.mean((0, 2)), torch.zeros(worlds.BANDS), atol=1e-2, rtol=0)
    encoder, _ = worlds.networks(made.train)
    assert encoder["audio"](sound).shape == (20, worlds.WIDTH)


def test_class_means_tell_whose_direction_is_nearest() -> None:
    x = torch.tensor([[1.0, 0.0], [3.0, 3.0], [-1.0, 0.0]])
    labels = torch.tensor([4, 4, 7])
    eighth = torch.pi / 8
    torch.testing.assert_close(
        module.means(x, labels)[0], torch.stack([torch.cos(torch.tensor(eighth)), torch.sin(torch.tensor(eighth))])
    )
    assert module.by_means(x, labels, torch.tensor([[1.0, 1.0], [-5.0, 1.0]]), torch.tensor([4, 4])) == 0.5


def test_noted_means_age_as_the_network_turns_away_from_them(made: worlds.World) -> None:
    first = build()
    course = [first.after(2 * task, 2) for task in range(5)]
    fresh = study.aged(course, made)
    assert fresh[study.DRIFT] == pytest.approx(0, abs=1e-6)
    assert fresh[study.THEN] == study.read(course[-1], made, 5)[study.MEANS]
    with torch.no_grad():
        course[-1].head["audio"].layers[-1].weight.neg_()
        course[-1].head["audio"].layers[-1].bias.neg_()
    aged = study.aged(course, made)
    assert aged[study.DRIFT] == pytest.approx(2, abs=1e-6)
    assert aged[study.THEN] < 0.3 < fresh[study.THEN]
    assert study.read(course[-1], made, 5)[study.MEANS] == fresh[study.THEN], "means of now have turned as well"


@pytest.fixture(scope="module")
def course() -> panels.Course:
    return panels.learned("NSPT", 1.0)


def test_in_the_panel_means_tell_more_than_the_head_and_are_held(course: panels.Course) -> None:
    """What the study measures over seeds, seen for one: the head is led by the newest classes."""
    alone = panels.learned("none", 0.0)
    assert course.by_means[-1].mean() > alone.by_means[-1].mean() + 0.03
    assert course.by_means[-1].mean() > course.by_head[-1].mean() + 0.1
    assert course.by_head[-1, 8:].mean() > course.by_head[-1, :8].mean() + 0.2
    assert course.turned[:8].mean() < alone.turned[:8].mean() - 0.2
    assert course.by_noted[-1].mean() > alone.by_noted[-1].mean() + 0.1
    np.testing.assert_array_equal(course.by_noted[0, :2], course.by_means[0, :2])
    assert np.isnan(course.places[1, 4:]).all()
    assert panels.experiment("none", 2.0) is alone


def test_the_panel_draws_the_trail_of_each_class(course: panels.Course) -> None:
    picture = panels.drift_picture({"distil": "NSPT", "weight": 1.0, "task": 3}, course)
    trails, curve, bars = picture.charts
    lines = [mark for mark in trails.marks if isinstance(mark, panels.Line)]
    assert [len(line.x) for line in lines] == [3, 3, 2, 2, 1, 1]
    np.testing.assert_array_equal(lines[0].x, course.places[:3, 0, 0])
    np.testing.assert_allclose(curve.marks[0].y, np.nanmean(course.by_means, 1), rtol=1e-6)
    assert curve.marks[3].x == 3
    np.testing.assert_array_equal(bars.marks[1].height, course.by_head[2, :6])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"distil": "L2"}, "distil must be"),
        ({"weight": 0.5}, r"weight must be one of 0\.1, 0\.3, 1, 2, got 0\.5"),
        ({"task": 6}, "task must be one of 1, 2, 3, 4, 5, got 6"),
    ],
)
def test_knobs_out_of_range_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        panels.DriftPanel(**wrong)
