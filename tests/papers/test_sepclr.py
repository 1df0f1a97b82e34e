"""SepCLR: two codes and what attributes ask of them, the worlds of common and salient classes, training, the panel."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cl_explore import data, losses
from cl_explore.data import Dataset, mnist
from cl_explore.methods import JointEmbedding
from cl_explore.papers.sepclr import method, panel, study, world
from cl_explore.train import fit
from cl_explore.views import VectorViews

NO_NOISE = VectorViews(noise=0.0, dropout=0.0)


class Given(nn.Module):
    """The samples are the codes already."""

    out_features = 6

    def forward(self, x: Tensor) -> Tensor:
        return x


def attributed(labels: list[int], **options: object) -> tuple[method.AttributeSepCLR, Dataset]:
    """Codes of 3 + 3 numbers; attributes a and b, NaN where a sample is background."""
    generator = torch.Generator().manual_seed(0)
    n, y = len(labels), torch.tensor(labels)
    known = {name: torch.rand(n, generator=generator).where(y > 0, torch.nan) for name in "ab"}
    x = torch.randn(n, 6, generator=generator)
    given = Dataset("given", x, y, torch.arange(n), ("background", "target"), known)
    return method.AttributeSepCLR(Given(), nn.Identity(), NO_NOISE, attributes=("a", "b"), **options), given


def test_two_encoders_and_projectors_keep_the_codes_apart() -> None:
    both = method.TwoEncoders(nn.Linear(5, 2), nn.Linear(5, 2), 2)
    heads = method.TwoProjectors(nn.Linear(2, 3), nn.Linear(2, 3), 3)
    x = torch.randn(4, 5, requires_grad=True)
    h = both(x)
    assert (both.out_features, heads.out_features, tuple(h.shape), tuple(heads(h).shape)) == (4, 6, (4, 4), (4, 6))
    heads(h)[:, :3].sum().backward()
    assert both.common.weight.grad is not None
    assert not both.salient.weight.grad.any()
    assert heads.salient.weight.grad is None or not heads.salient.weight.grad.any()


@pytest.mark.parametrize("labels", [[0, 1, 1, 0, 1], [1, 1, 1], [0, 0, 0], [0, 1]], ids=str)
def test_an_attribute_asks_of_its_number_what_the_formula_says(labels: list[int]) -> None:
    knobs = {"temperature": 0.8, "salient_weight": 3.0, "joint_weight": 2.0}
    made, given = attributed(labels, bandwidth=0.1, **knobs)
    step = made.step(given.batch(torch.arange(len(labels))), torch.Generator())
    flags, s = given.labels, given.x[:, 3:]
    targets, background = (flags == 1).nonzero()[:, 0].tolist(), (flags == 0).nonzero()[:, 0].tolist()
    rows = range(len(labels))
    each = []
    for place, name in enumerate("ab"):
        y, number = given.factors[name].tolist(), s[:, place].tolist()
        shown = [value * flag for value, flag in zip(number, labels, strict=True)]
        spread = [math.exp(-((shown[i] - shown[j]) ** 2) / 1.6) for i in rows for j in rows if i < j]
        # each target stands there twice, as its two equal views
        views = [i for i in targets for _ in "12"]
        pulls = [
            math.exp(-((y[i] - y[j]) ** 2) / 0.2) * (number[i] - number[j]) ** 2
            for a, i in enumerate(views)
            for b, j in enumerate(views)
            if a != b
        ]
        alignment = sum(pulls) / len(pulls) if pulls else 0.0
        pressed = sum(number[i] ** 2 for i in background) / (0.2 * len(background)) if background else 0.0
        each.append(math.log(sum(spread) / len(spread)) + (alignment + pressed) / 2)
    assert step.metrics["attributes"].item() == pytest.approx(sum(each) / 2, rel=1e-5)
    pair = given.x[:, None].expand(-1, 2, -1)
    plain = losses.sepclr(
        pair[..., :3], pair[..., 3:], flags, **{**knobs, "salient_weight": 0.0, "informationless_weight": 0.0}
    )
    torch.testing.assert_close(step.loss, plain + 3 * step.metrics["attributes"])


def test_numbers_come_to_follow_their_attributes_and_leave_background_at_0() -> None:
    generator = torch.Generator().manual_seed(0)
    direction, common = torch.randn(2, 12, generator=generator), torch.randn(4, 12, generator=generator)
    labels = torch.arange(240) % 2
    known = {name: torch.rand(240, generator=generator) for name in "ab"}
    hue = torch.stack(list(known.values()), 1) * 2 - 1
    x = common[torch.arange(240) // 2 % 4] + labels[:, None] * (3 + hue) @ direction
    given = Dataset("attributes", x, labels, torch.arange(240), ("background", "target"), known)
    torch.manual_seed(0)
    both = method.TwoEncoders(*(nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 2)) for _ in "cs"), 2)
    made = method.AttributeSepCLR(
        both, nn.Identity(), VectorViews(noise=0.1, dropout=0.0), attributes=("a", "b"), salient_weight=100.0
    )
    fit(made, given, epochs=40, batch_size=120, lr=3e-2, snapshots=0, store=False, progress=False)
    with torch.no_grad():
        s = made(given.x)[:, 2:]
    target = labels == 1
    related = torch.corrcoef(torch.cat([s[target].T, hue[target].T]))[:2, 2:].abs()
    assert related.diag().min() > 0.9
    assert s[~target].square().mean() < 0.05 * s[target].square().mean()


@pytest.mark.parametrize("name", ["templates", "gratings"])
def test_half_are_background_and_what_targets_have_more_is_their_class(name: str) -> None:
    train, test = world.world(name, 0, samples=200, unseen=100)
    assert (len(train), len(test)) == (200, 100)
    assert train.labels.sum() == 100
    assert ((train.factors["salient"] == -1) == (train.labels == 0)).all()
    assert set(train.factors["salient"].tolist()) == {-1, 0, 1, 2, 3}
    again, other = world.world(name, 0, samples=200)[0], world.world(name, 1, samples=200)[0]
    assert again.fingerprint() == train.fingerprint() != other.fingerprint()


def test_templates_are_added_up_and_gratings_lie_behind_digits() -> None:
    train, _ = world.world("templates", 0, samples=4000)
    means = torch.stack([
        torch.stack([train.x[(train.factors["common"] == c) & (train.factors["salient"] == s)].mean(0)
                     for s in range(-1, 4)]) for c in range(8)
    ])  # fmt: skip
    more = means[:, 1:] - means[:, :1]
    assert (more - more.mean(0)).abs().mean() < 0.1, "the same whatever the common class"
    train, _ = world.world("gratings", 0, samples=400)
    assert (train.x.min() >= 0, train.x.max() <= 1, tuple(train.x.shape[1:])) == (True, True, (1, 8, 8))
    digits = data.load("digits", "train").x / 2
    bare, covered = (torch.cdist(train.x[train.labels == y].flatten(1), digits.flatten(1)) for y in (0, 1))
    assert (bare.min(1).values == 0).all()
    assert covered.min() > 0


def test_clothes_have_digits_on_half_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    worn = torch.randint(256, (60, 1, 28, 28), dtype=torch.uint8, generator=generator)
    shop = Dataset("clothes", worn, torch.arange(60) % 10, torch.arange(60), tuple("0123456789"))
    load = data.load
    monkeypatch.setattr(data, "load", lambda name, split: shop if name == "fashion_mnist" else load(name, split))
    train, _ = world.world("clothes", 0, samples=40, unseen=10)
    assert tuple(train.x.shape) == (40, 1, 28, 28)
    assert 0 <= train.x.min() < train.x.max() <= 1
    found = (train.x[:, None] * 510 - worn).abs().amax((2, 3, 4))
    assert (found[:20].min(1).values < 1e-3).all(), "background is clothes at half their brightness"
    assert (found[20:].min(1).values > 100).all()


def test_where_clothes_are_missing_it_says_where_they_are_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    absent = replace(data.PUBLISHED["fashion_mnist"], elsewhere=())
    monkeypatch.setattr(mnist, "FASHION_MNIST", absent)
    with pytest.raises(FileNotFoundError, match=r"(?s)fashion.*download=True"):
        world.world("clothes", 0)
    with pytest.raises(ValueError, match="unknown world 'template'; did you mean 'templates'"):
        world.world("template", 0)


def test_probes_read_each_code_of_targets_alone() -> None:
    """Codes that hold one class each, as one-hot vectors: the diagonal is 1, the rest chance."""
    train, test = world.world("templates", 0, samples=1200)

    class Told(method.TwoEncoders):
        def forward(self, x: Tensor) -> Tensor:
            return x

    def told(part: Dataset) -> Dataset:
        c, s = (torch.eye(8)[part.factors[name].clamp(min=0)] for name in study.FACTORS)
        return Dataset("told", torch.cat([c, s], 1), part.labels, part.index, part.class_names, part.factors)

    made = JointEmbedding(Told(nn.Identity(), nn.Identity(), 8), nn.Identity(), "sepclr", NO_NOISE)
    found = study.leaks(made, told(train), told(test))
    assert list(found) == study.LEAKS
    assert found["c→common"] == found["s→salient"] == 1
    assert found["c→salient"] < 0.35
    assert found["s→common"] < 0.25


def test_training_turns_the_leaks_towards_the_diagonal() -> None:
    train, test = world.world("templates", 0, samples=600, unseen=400)
    entry = study.plan("templates", train, epochs=25, batch_size=150, lr=4e-3)["SepCLR"]
    before = study.leaks(entry.build(train, 0), train, test)
    made = entry.build(train, 0)
    fit(made, train, store=False, progress=False, snapshots=0, **entry.settings)
    after = study.leaks(made, train, test)
    assert after["s→common"] < before["s→common"] - 0.3
    assert after["c→common"] > after["s→common"] + 0.3
    assert after["s→salient"] > 0.9


def test_projectors_are_read_too() -> None:
    train, test = world.world("templates", 0, samples=100, unseen=60)
    entries = study.plan("templates", train, epochs=1, batch_size=50, lr=1e-3)
    found = study.leaks(entries["with projectors"].build(train, 0), train, test)
    assert list(found) == [*study.LEAKS, *(leak + study.AFTER for leak in study.LEAKS)]
    assert study.leaks(entries["raw input"].build(train, 0), train, test)["c→common"] > 0.8


def course() -> panel.Course:
    accuracy = np.array([[[0.9, 0.9], [0.9, 0.9]], [[0.9, 0.3], [0.1, 1.0]]], np.float32).repeat(2, 0)
    return panel.Course(accuracy, np.ones((4, 10, 2), np.float32), np.arange(10) % 5)


def test_the_panel_shows_accuracies_above_chance() -> None:
    picture = panel.leak_picture({"step": panel.SHOTS[-1]}, course())
    (heat,) = picture.charts[0].marks
    np.testing.assert_allclose(heat.values, [0.9 - 1 / 8, 0.05, 0, 0.75], atol=1e-6)
    assert dict(picture.readout)["c tells the salient class"] == "30% (chance 25%)"
    assert dict(picture.readout)["s tells the common class"] == "10% (chance 12%)"
    assert len(picture.alt) <= 200


def test_in_the_panel_the_weights_turn_the_leaks_diagonal_and_press_background_onto_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(panel, "SHOTS", (0, 60))
    apart, mixed = panel.learn(10.0, 300.0), panel.learn(0.0, 1.0)
    np.testing.assert_array_equal(apart.accuracy[0], mixed.accuracy[0])
    assert apart.accuracy[1, 0, 1] < mixed.accuracy[1, 0, 1] - 0.1
    assert apart.accuracy[1, 1, 0] < mixed.accuracy[1, 1, 0] - 0.1
    bare = apart.group == panel.SALIENT
    assert bare.sum() == panel.SHOWN // 2
    assert np.square(apart.s[1, bare]).mean() < 0.1 * np.square(apart.s[1, ~bare]).mean()


def test_the_panel_trains_anew_only_for_other_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(panel, "learn", lambda **weights: made.append(tuple(weights.values())) or course())
    shown = panel.LeakPanel()
    shown.knobs["step"].value = 0
    assert made == [(10.0, 300.0)]
    assert dict(shown.picture.readout)["c tells the salient class"] == "90% (chance 25%)"
    shown.knobs["joint"].value = 0.0
    shown.wait()
    assert made == [(10.0, 300.0), (0.0, 300.0)]
    with pytest.raises(ValueError, match=r"joint must be between 0 and 30, got 40"):
        panel.LeakPanel(joint=40.0)
