"""SupReMix: shares drawn anew, worlds of numbers, what is read of an embedding, the panel of mixtures and order."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.data import Dataset, ett
from cl_explore.methods import JointEmbedding
from cl_explore.papers.supremix import method, panel, study, world
from cl_explore.train import fit
from cl_explore.views import VectorViews

PLAIN = VectorViews(noise=0.0, dropout=0.0)


def numbered(x: Tensor, target: Tensor) -> Dataset:
    labels = target.floor().long()
    return Dataset("numbered", x, labels, torch.arange(len(x)), tuple(map(str, range(40))), {"target": target})


def given(**options: object) -> tuple[method.SupReMix, Dataset]:
    """Embeddings are the samples, eight with four targets."""
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    made = method.SupReMix(nn.Identity(), nn.Identity(), "supremix", PLAIN, **options)
    return made, numbered(x, torch.arange(8.0) // 2)


def test_every_step_draws_shares_of_its_own_for_all_pairs() -> None:
    made, dataset = given(temperature=0.5, concentration=(6.0, 3.0))
    generator = torch.Generator().manual_seed(1)
    batch = dataset.batch(torch.arange(8))
    first, second = (made.step(batch, generator).loss for _ in "12")
    assert first != second
    again = torch.Generator().manual_seed(1)
    PLAIN(dataset.x, again, 2)
    shares = losses.beta(8, 2, 16, a=6.0, b=3.0, generator=again).flatten(0, 1).float()
    assert shares.mean() == pytest.approx(2 / 3, abs=0.05)
    z = dataset.x[:, None].expand(-1, 2, -1)
    assert first == losses.supremix(z, dataset.labels.float(), shares, temperature=0.5)


def test_a_process_draws_the_shares_of_its_own_anchors_for_the_joined_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    made, dataset = given()
    drawn = []
    monkeypatch.setattr(method, "gather", lambda own: drawn.append(own.shape) or (torch.cat([own, own]),))
    embedded = made.embed_views(dataset.batch(torch.arange(8)), torch.Generator())
    joined = embedded._replace(z=embedded.z.repeat(2, 1, 1))
    assert made.provide("shares", joined).shape == (32, 32)
    assert drawn == [(8, 2, 32)]


def test_without_mixed_negatives_nothing_depends_on_shares() -> None:
    losses_of = []
    for concentration in ((2.0, 8.0), (8.0, 2.0)):
        made, dataset = given(concentration=concentration, **study.NO_MIXTURES)
        losses_of.append(made.step(dataset.batch(torch.arange(8)), torch.Generator().manual_seed(0)).loss)
    assert losses_of[0] == losses_of[1]


def test_plain_regression_is_a_mean_absolute_error_that_starts_at_0() -> None:
    made = method.AbsoluteError(2)
    targets = torch.tensor([1.0, 3.0, 8.0])
    z = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert made(z, targets) == targets.mean()
    with torch.no_grad():
        made.linear.bias.fill_(3.0)
    assert made(z, targets).item() == pytest.approx(7 / 3)


def test_on_the_curve_high_targets_are_rare_and_tested_evenly() -> None:
    train, test = world.world("curve", 0, samples=4000, unseen=4000)
    assert (train.labels < 10).float().mean() == pytest.approx(0.5, abs=0.03)
    assert (test.labels < 10).float().mean() == pytest.approx(0.25, abs=0.03)
    assert (train.factors["target"] == train.labels).all()
    again, other = world.world("curve", 0)[0], world.world("curve", 1)[0]
    assert len(again) == 300
    assert again.fingerprint() == world.world("curve", 0)[0].fingerprint() != other.fingerprint()
    with pytest.raises(ValueError, match="unknown world 'curves'; did you mean 'curve'"):
        world.world("curves", 0)


def test_diabetes_is_split_and_standardised_by_the_training_part() -> None:
    train, test = world.world("diabetes", 0)
    assert (len(train), len(test), tuple(train.x.shape[1:])) == (332, 110, (10,))
    torch.testing.assert_close(train.x.mean(0), torch.zeros(10), atol=1e-5, rtol=0)
    torch.testing.assert_close(train.x.std(0), torch.ones(10))
    target = train.factors["target"]
    assert (target.min(), target.max()) == (0, 40)
    assert (train.labels == target.floor().clamp(max=39)).all()
    assert len(world.world("diabetes", 0, samples=50)[0]) == 50


def hours(folder: Path, count: int = ett.HOURS) -> None:
    """Column c of hour t is t + c / 10, but the oil, which is t."""
    rows = [",".join([f"hour {t}", *(f"{t + c / 10}" for c in range(6)), str(t)]) for t in range(count)]
    (folder / ett.FILE).write_text("\n".join([",".join(ett.COLUMNS), *rows]) + "\n", encoding="utf-8")


def test_oil_is_told_by_a_day_of_loads_and_tested_in_weeks_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(world, "_split", lambda name, x, target, train, test: (x, target, train, test))
    with pytest.raises(FileNotFoundError, match=r"(?s)ETTh1.csv.*CC BY-ND 4\.0.*ETDataset"):
        world.world("oil", 0)
    hours(tmp_path)
    x, now, train, test = world.world("oil", 0, samples=500, unseen=200)
    torch.testing.assert_close(x[:, :12], torch.cat([now[:, None] - ago + torch.arange(6) / 10 for ago in (0, 1)], 1))
    assert tuple(x.shape[1:]) == (6 * world.DAY,)
    assert (len(train), len(test)) == (500, 200)
    last, first = now, now - world.DAY + 1
    assert (last // world.WEEK == first // world.WEEK).all()
    assert (now[test] // world.WEEK % 5 == 4).all()
    assert not (now[train] // world.WEEK % 5 == 4).any()
    hours(tmp_path, 100)
    with pytest.raises(ValueError, match=r"ETTh1\.csv must have 17420 hours, got 100"):
        world.world("oil", 0)
    (tmp_path / ett.FILE).write_text("date,OT\n", encoding="utf-8")
    with pytest.raises(ValueError, match="must have columns date, HUFL"):
        world.world("oil", 0)


def test_an_arc_is_read_as_in_order_whatever_the_lengths_that_an_angular_loss_does_not_see() -> None:
    target = torch.linspace(0, 39, 60)
    arc = torch.stack([(target / 20).cos(), (target / 20).sin()], 1)
    length = torch.rand(60, 1, generator=torch.Generator().manual_seed(0)) + 0.1
    found = {}
    for loss in ("supcon", "rnc"):
        made = JointEmbedding(nn.Identity(), nn.Linear(2, 2, bias=False), loss, PLAIN)
        nn.init.eye_(made.head.weight)
        found[loss] = study.read(made, numbered(arc * length, target), numbered(arc * length, target))
    assert found["supcon"][study.ORDER] == pytest.approx(1, abs=1e-3)
    assert found["supcon"][study.MAE] < 4
    assert found["rnc"][study.ORDER] < 0.9, "it does see lengths"


def test_weighing_by_distance_brings_the_order_of_targets() -> None:
    train, test = world.world("curve", 0, unseen=300)
    found = {}
    for name in ("SupCon", "distance weight"):
        entry = study.plan(train, epochs=12, batch_size=16, lr=2e-3)[name]
        made = entry.build(train, 0)
        fit(made, train, store=False, progress=False, snapshots=0, **entry.settings)
        found[name] = study.read(made, train, test)
    assert found["distance weight"][study.ORDER] > found["SupCon"][study.ORDER] + 0.1
    assert found["distance weight"][study.MAE] < found["SupCon"][study.MAE]


def test_mixtures_of_the_panel_have_the_targets_that_the_paper_gives_them() -> None:
    negatives = panel.mixed_negatives(3, 0.2)
    torch.testing.assert_close(negatives.targets[0], 0.2 * panel.TARGETS[3] + 0.8 * panel.TARGETS[0])
    torch.testing.assert_close(negatives.places[0], 0.2 * panel.PLACES[3] + 0.8 * panel.PLACES[0])
    middle = panel.mixed_positives(3, 5.0)
    torch.testing.assert_close(middle.places, (panel.PLACES[2] + panel.PLACES[4])[None] / 2)
    assert middle.targets.tolist() == [9.0]
    assert len(panel.mixed_positives(3, 10.0).targets) == 9
    assert len(panel.mixed_positives(0, 20.0).targets) == len(panel.mixed_positives(3, 3.0).targets) == 0


@pytest.mark.parametrize("anchor", [3, 8])
def test_the_force_leads_a_displaced_point_back_and_that_of_supcon_hardly(anchor: int) -> None:
    pushed = panel.force(anchor, **panel.knobs_of("linear", 10.0, 0.2, "both"))
    plain = panel.force(anchor, **panel.knobs_of("off", 1.0, 0.0, "none"))
    back = panel.PLACES[anchor - 1] - panel.PLACES[anchor]
    assert pushed @ panel.PLACES[anchor] == pytest.approx(0, abs=1e-6)
    assert pushed @ back > 0.3
    assert plain.norm() < 0.2 * pushed.norm()


def course() -> panel.Course:
    shots = len(panel.SHOTS)
    cosines = np.linspace(-0.5, 1, shots * panel.BINS**2, dtype=np.float32).reshape(shots, panel.BINS, panel.BINS)
    return panel.Course(cosines, [7.0, 5.0, 3.0], [0.1, 0.5, 0.8])


def test_the_panel_trains_anew_only_for_what_decides_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(panel, "learn", lambda **knobs: made.append(tuple(knobs.values())) or course())
    shown = panel.OrderPanel()
    shown.take("anchor", 8)
    shown.knobs["step"].value = 0
    assert made == [("linear", 10.0, 0.2, "both")]
    readout = dict(shown.picture.readout)
    assert readout["error of a ridge"] == "7.0 levels of 40"
    assert readout["order of distances (rank correlation)"] == "0.10"
    assert len(shown.picture.alt) <= 200
    marks = {mark.name for mark in shown.picture.charts[0].marks}
    assert {"mixed negatives", "mixed positives"} <= marks
    shown.knobs["mixtures"].value = "negatives"
    shown.wait()
    assert made[1:] == [("linear", 10.0, 0.2, "negatives")]
    assert "mixed positives" not in {mark.name for mark in shown.picture.charts[0].marks}
    with pytest.raises(ValueError, match="window must be between 1 and 20, got 40"):
        panel.OrderPanel(window=40.0)
    with pytest.raises(ValueError, match="weight must be one of linear, squared, off, got 'cubed'"):
        panel.OrderPanel(weight="cubed")


def test_in_the_panel_the_weight_brings_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "SHOTS", (0, 60))
    knobs = {"window": 1.0, "share": 0.2, "mixtures": "none"}
    weighed, plain = panel.learn(weight="linear", **knobs), panel.learn(weight="off", **knobs)
    np.testing.assert_array_equal(weighed.cosines[0], plain.cosines[0])
    assert weighed.order[1] > plain.order[1] + 0.1
    far = weighed.cosines[1, 0, 10], plain.cosines[1, 0, 10]
    assert far[0] < far[1], "half the range apart"
