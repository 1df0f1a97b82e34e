"""Core-tuning: its loss against formulas, its switches, whom it teaches, and what the panel draws."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.losses import hard_pairs
from cl_explore.methods import Step
from cl_explore.nn import MLP
from cl_explore.papers.core_tuning import panel, study, world
from cl_explore.papers.core_tuning.method import CoreTuning, equal_targets

CLASSES = 3


def as_it_is(x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
    return x[:, None].expand(-1, n_views, *x.shape[1:])


def made(**options: object) -> CoreTuning:
    torch.manual_seed(0)
    encoder, head = nn.Sequential(MLP([5, 8, 6], batch_norm=False), nn.ReLU()), MLP([6, 6, 4], batch_norm=False)
    options = {"num_classes": CLASSES, "n_views": 1, "temperature": 0.2, **options}
    return CoreTuning(encoder, head, "focal_supcon", as_it_is, **options).double()


@pytest.fixture
def batch() -> Batch:
    x = torch.randn(9, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Batch(x, torch.arange(9) % CLASSES, torch.arange(9))


def step(method: CoreTuning, batch: Batch) -> Step:
    return method.step(batch, torch.Generator().manual_seed(2))


def test_without_contrast_and_mixtures_it_is_cross_entropy(batch: Batch) -> None:
    method = made(eta=0.0, mixtures=False)
    found = step(method, batch)
    wanted = F.cross_entropy(method.encoder(batch.x) @ method.classifier.weight.T, batch.labels)
    torch.testing.assert_close(found.loss, wanted)
    assert set(found.metrics) == {"cross_entropy"}


def test_without_focus_and_mixtures_the_contrast_is_supcon(batch: Batch) -> None:
    method = made(eta=0.7, mixtures=False, gamma=0.0)
    found = step(method, batch)
    contrast = losses.supcon(method.project(method(batch.x))[:, None], batch.labels, temperature=0.2)
    torch.testing.assert_close(found.loss, found.metrics["cross_entropy"] + 0.7 * contrast)


def soft_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return -(targets * logits.log_softmax(1)).sum(1).mean()


def loop(z: Tensor, mates: list[list[int]]) -> Tensor:
    """The focal contrast of the rows that have mates, one after another."""
    x = F.normalize(z, dim=1)
    terms = []
    for i, own in enumerate(mates):
        q = torch.stack([x[i] @ x[j] / 0.2 for j in range(len(x)) if j != i]).softmax(0)
        at = [j - (j > i) for j in own]
        if at:
            terms.append(-torch.stack([(1 - q[j]) * q[j].log() for j in at]).mean())
    return torch.stack(terms).mean()


@pytest.mark.parametrize("mining", ["masked", "authors"])
@pytest.mark.parametrize("mixture_positives", [True, False])
def test_the_whole_loss_is_that_of_a_loop(batch: Batch, mining: str, mixture_positives: bool) -> None:
    method = made(eta=0.5, mining=mining, mixture_positives=mixture_positives)
    found = step(method, batch)
    h = method(batch.x)
    pairs = hard_pairs(h, batch.labels, num_classes=CLASSES, mining=mining, generator=torch.Generator().manual_seed(2))
    rows = torch.cat([h, pairs.positives, pairs.negatives])
    clean = F.one_hot(batch.labels, CLASSES).double()
    targets = torch.cat([clean, pairs.positive_targets, pairs.negative_targets])
    y = batch.labels.tolist()
    if mixture_positives:
        mates = [[j for j in range(9) if j != i and y[j] == y[i]] + [9 + i] for i in range(9)] + [[]] * 18
    else:
        like = [[bool((a - b).abs().max() < 1e-7) for b in targets] for a in targets]
        mates = [[j for j in range(27) if j != i and like[i][j]] for i in range(27)]
        assert any(mates[18:]), "shares clipped to the same number give hard negatives mates"
    wanted = soft_entropy(method.classifier(rows), targets) + 0.5 * loop(method.project(rows), mates)
    torch.testing.assert_close(found.loss, wanted)
    parameters = list(method.parameters())
    for ours, theirs in zip(torch.autograd.grad(found.loss, parameters), torch.autograd.grad(wanted, parameters),
                            strict=True):  # fmt: skip
        torch.testing.assert_close(ours, theirs)


def test_a_detached_clean_part_teaches_the_encoder_through_mixtures_alone(batch: Batch) -> None:
    values = {}
    for detach in (False, True):
        method = made(eta=0.5, detach_clean=detach)
        loss = step(method, batch).loss
        values[detach] = (
            loss,
            *torch.autograd.grad(loss, [method.classifier.weight, method.encoder[0].layers[0].weight]),
        )
    torch.testing.assert_close(values[False][:2], values[True][:2])
    assert not torch.allclose(values[False][2], values[True][2])


def test_wrong_uses_are_named() -> None:
    with pytest.raises(ValueError, match="loss must be focal_supcon, got supcon"):
        CoreTuning(MLP([5, 6]), MLP([6, 4]), "supcon", as_it_is, n_views=1, num_classes=2)
    with pytest.raises(ValueError, match="detach_clean must be False without mixtures"):
        made(mixtures=False, detach_clean=True)
    with pytest.raises(ValueError, match=r"eta must be at least 0 and finite, got -1\.0"):
        made(eta=-1.0)
    with pytest.raises(ValueError, match=r"mining must be .masked. or .authors., got 'hard'"):
        made(mining="hard")


def test_a_class_of_one_counts_by_its_mixture_alone(batch: Batch) -> None:
    lonely = batch._replace(labels=torch.tensor([2, 0, 0, 0, 0, 1, 1, 1, 1]))
    assert step(made(), lonely).loss.isfinite()
    alone = batch._replace(labels=torch.arange(9))
    assert step(made(num_classes=9), alone).loss.isfinite()
    with pytest.raises(ValueError, match="at least one anchor needs a positive"):
        step(made(num_classes=9, mixtures=False), alone)


def test_targets_that_are_equal_get_one_number() -> None:
    assert equal_targets(torch.tensor([[0.3, 0.7], [1, 0], [0.3, 0.7], [0.7, 0.3], [1, 0]])).tolist() == [0, 1, 0, 3, 1]


def test_the_world_keeps_unseen_samples_apart_and_views_in_their_order() -> None:
    made = world.world(0, "digits", 1200, 500)
    assert (len(made.given), len(made.test)) == (1200, 500)
    assert not set(made.given.index.tolist()) & set(made.test.index.tolist())
    assert len(set(made.test.index.tolist())) == 500
    assert all(torch.equal(part.labels, made.test.labels) for part in made.views)
    assert not torch.equal(made.views[0].x, made.views[1].x)
    few = world.labelled(made.given, 3)
    assert few.labels.bincount().tolist() == [3] * 10
    with pytest.raises(ValueError, match=r"shots must be at most \d+, the samples of the rarest class, got 500"):
        world.labelled(made.given, 500)


def test_all_arms_start_from_one_encoder_and_are_measured() -> None:
    rows = study.run(0, samples=250, unseen=60, epochs=1, steps=4, labels=((5, 1.0),))
    by = {row["method"]: row for row in rows}
    tuned = {"CE", "CE + contrast", "CE + mixtures", "Core-tuning"}
    assert tuned <= set(by)
    assert all(0 <= by[name][column] <= 1 for name in tuned for column in (study.ACCURACY, study.PARTNER))
    assert by["Core-tuning"][study.WON] == by["Core-tuning"][study.ACCURACY] - by["CE + mixtures"][study.ACCURACY]
    assert 0 <= by["CE, even or odd"][study.CLASS] <= 1
    assert by["search of the code"][study.FOUND] == 0


@pytest.fixture(scope="module")
def found() -> panel.Tuned:
    return panel.learn(steps=20)


def test_the_panel_shows_every_weight_with_and_without_mixtures(found: panel.Tuned) -> None:
    assert found.ratio.shape == found.accuracy.shape == found.maps.shape[:2] == (2, len(panel.ETAS))
    assert (found.accuracy > 0.3).all()
    assert found.ratio[0, 3] < found.ratio[0, 0], "without mixtures, the contrast gathers"
    assert set(found.labels.tolist()) == set(panel.SHOWN)


def test_mixtures_lie_between_what_they_are_mixed_of(found: panel.Tuned) -> None:
    def four(share: float) -> tuple[Tensor, Tensor, list[float]]:
        state = {"eta": 1.0, "mixtures": panel.ARMS[1], "share": share}
        marks = panel.core_picture(state, found).charts[1].marks
        points, mixed = (torch.stack([torch.tensor(mark.x), torch.tensor(mark.y)], 1)
                         for mark in marks if isinstance(mark, panel.Points))  # fmt: skip
        arrows = [mark for mark in marks if isinstance(mark, panel.Arrows)]
        return points, mixed, [float(arrow.dx[0]) for arrow in arrows]

    for share, kept in ((1.0, 1.0), (0.0, 0.8), (0.5, 0.8)):
        (anchor, positive, negative, other), (hard, harder), _ = four(share)
        torch.testing.assert_close(hard, share * positive + (1 - share) * negative)
        torch.testing.assert_close(harder, kept * other + (1 - kept) * anchor)
    _, _, pulls = four(0.5)
    assert all(pull < 0 for pull in pulls), "to the hardest positive, on the left"


def test_a_panel_refuses_what_its_sliders_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "learn", lambda: pytest.fail("no work before the check"))
    with pytest.raises(ValueError, match=r"eta must be one of 0, 0\.1, 0\.3, 1, 3, got 0\.2"):
        panel.CoreTuningPanel(eta=0.2)
    with pytest.raises(ValueError, match="share must be between 0 and 1, got 2"):
        panel.CoreTuningPanel(share=2.0)
