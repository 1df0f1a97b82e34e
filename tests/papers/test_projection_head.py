"""The projection head: theory against golden numbers and against descent, heads, views that lose, and what is read."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cl_explore import data, losses
from cl_explore.data import Batch, Dataset
from cl_explore.papers.projection_head import method, panel, study, world
from cl_explore.papers.projection_head.method import FixedHead, Layers, SymmetricReLU, moments

CASES = json.loads((Path(__file__).parents[1] / "golden" / "projection-head.json").read_text())["cases"]
SUPCON = [case for case in CASES if "h" in case["inputs"]]
SPECTRAL = [case for case in CASES if "z1" in case["inputs"]]
(OPTIMUM,) = [case for case in CASES if "phi" in case["inputs"]]


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found: Tensor, wanted: object, atol: float = 1e-9) -> None:
    torch.testing.assert_close(found.detach(), tensor(wanted), atol=atol, rtol=0)


@pytest.fixture(scope="module")
def known() -> method.Moments:
    given = OPTIMUM["inputs"]
    return moments(tensor(given["phi"]), tensor(given["keep"]), given["noise_var"] ** 0.5, signs=True)


def layers(features: int = 5, seed: int = 0) -> Layers:
    torch.manual_seed(seed)
    return Layers(*(method.layer(features).weight.detach().double() for _ in range(2)))


@pytest.mark.parametrize("case", SUPCON, ids=lambda case: case["name"])
def test_supcon_behind_the_fixed_head_is_the_authors(case: dict) -> None:
    h, p = tensor(case["inputs"]["h"]).requires_grad_(), case["params"]
    z = FixedHead(h.shape[1], p["kappa"])(h) if p["kappa"] else h
    z = z.unflatten(0, (p["n_views"], -1)).transpose(0, 1)  # theirs are listed view by view
    loss = losses.supcon(z, torch.tensor(case["inputs"]["labels"]), temperature=p["temperature"])
    close(loss, case["loss"])
    close(torch.autograd.grad(loss, h)[0], case["grad"]["h"])


@pytest.mark.parametrize("case", SPECTRAL, ids=lambda case: case["name"])
def test_the_spectral_loss_is_the_golden_one(case: dict) -> None:
    sides = [tensor(case["inputs"][name]).requires_grad_() for name in ("z1", "z2")]
    loss = losses.spectral(*sides, radius="free")
    close(loss, case["loss"])
    for found, name in zip(torch.autograd.grad(loss, sides), ("z1", "z2"), strict=True):
        close(found, case["grad"][name])


def test_the_optimum_is_the_golden_one(known: method.Moments) -> None:
    wanted, w, phi = OPTIMUM["outputs"], known.singular_values(), tensor(OPTIMUM["inputs"]["phi"])
    close(w, wanted["end_to_end_singular_values"])
    close(w.sqrt(), wanted["first_layer_singular_values"])
    close(phi * w, wanted["post_strength"])
    close(phi * w.sqrt(), wanted["pre_strength"])
    best = torch.diag(w.sqrt()).requires_grad_()
    value = method.population_loss(best, best, known)
    close(value, known.optimum().item())
    close(torch.autograd.grad(value, best)[0], torch.zeros(5, 5).tolist())
    kept = moments(phi, tensor(OPTIMUM["inputs"]["keep"]), 0.2)
    given, before, after = method.strengths(phi, tensor(OPTIMUM["inputs"]["keep"]), 0.2)
    torch.testing.assert_close(before.square(), given * after)
    torch.testing.assert_close(after, phi * kept.singular_values())


def test_descent_takes_the_gradient_of_the_loss_and_keeps_layers_balanced(known: method.Moments) -> None:
    start = layers()
    leaves = [one.clone().requires_grad_() for one in start]
    slopes = torch.autograd.grad(method.population_loss(*leaves, known), leaves)
    for found, before, slope in zip(method.descend(start, known, 1, 1e-3), start, slopes, strict=True):
        torch.testing.assert_close(found, before - 1e-3 * slope)
    uneven = Layers(start.first, 2 * start.second)
    after = method.descend(uneven, known, 2000, 1e-3)
    torch.testing.assert_close(after.imbalance(), uneven.imbalance(), atol=2e-3, rtol=0)
    assert method.descend(start, known, 2000, 1e-3).imbalance() < 2e-3


def test_features_are_learned_in_stages(known: method.Moments) -> None:
    """Just before the time of a feature little of it is there, soon after it nearly all."""
    w, lr = known.singular_values(), 0.005
    for feature in (1, 2):
        steps = round(1 / (8 * lr * method.START**2 * known.shared[feature].item()))
        assert method.learned_from(steps, lr) == pytest.approx(known.shared[feature].item(), rel=0.01)
        ends = [method.descend(layers(), known, round(steps * time), lr) for time in (0.5, 2.5)]
        share = [(end.second @ end.first).norm(dim=0)[feature] / w[feature] for end in ends]
        assert share[0] < 0.35
        assert share[1] > 0.9


def test_features_as_strong_as_the_noise_weigh_most() -> None:
    strength = torch.linspace(0.05, 1, 96)
    w = moments(strength, torch.ones(96), 0.2).singular_values()
    assert strength[w.argmax()].item() == pytest.approx(0.2, abs=0.011)
    lost = moments(strength, torch.full((96,), 0.3), 0.2, signs=True).singular_values()
    torch.testing.assert_close(lost, 0.3 * w)
    with pytest.raises(ValueError, match=r"keep must be between 0 and 1, got 0\.5 to 1\.5"):
        moments(torch.ones(2), torch.tensor([0.5, 1.5]), 0.2)
    with pytest.raises(ValueError, match="strength must be at least 0, got -1"):
        moments(-torch.ones(2), torch.ones(2), 0.2)


def test_the_fixed_head_is_none_at_kappa_1_and_may_fall_by_width() -> None:
    h = torch.randn(4, 512, generator=torch.Generator().manual_seed(0))
    assert torch.equal(FixedHead(512, 1.0)(h), h)
    assert not list(FixedHead(512).parameters())
    assert (FixedHead(512, 1.5)(h)[:, 300:] == 0).all(), "a float32 is too small for 1.5 to the -511"
    scaled = FixedHead(512, 1.5, over=64)(torch.ones(1, 512))[0]
    assert scaled[256].item() == pytest.approx(1.5**-32)
    with pytest.raises(ValueError, match=r"kappa must be at least 1, got 0\.9"):
        FixedHead(4, 0.9)


def test_a_threshold_cuts_off_what_is_below_it() -> None:
    cut = SymmetricReLU(3, 0.5)
    u = torch.tensor([[0.4, 2.0, -0.7]])
    torch.testing.assert_close(cut(u), torch.tensor([[0.0, 1.5, -0.2]]))
    torch.testing.assert_close(SymmetricReLU(3)(u), u)
    torch.testing.assert_close(cut(-u), -cut(u))
    cut(u).sum().backward()
    assert cut.threshold.grad.tolist() == [0, -1, 1]


def test_a_diagonal_network_may_lose_features_behind_the_head() -> None:
    encoder, head = method.Diagonal(4, start=1.0), method.Diagonal(4, start=1.0)
    head.activation.threshold.data[1:3] = 5.0
    made = study.Entry(
        "spectral", settings=None, networks=lambda _: (encoder, head), augment=world.LosingViews((1,) * 4)
    )
    x = torch.ones(6, 4)
    x[:, 2] = 0
    rows = Dataset("ones", x, torch.zeros(6, dtype=torch.int64), torch.arange(6), ("one",))
    assert study.gone(made.build(rows, 0), rows, rows) == {study.GONE: 1.0}  # the third is nowhere


def test_the_classifier_stands_behind_the_head() -> None:
    torch.manual_seed(0)
    made = method.BehindHead(nn.Linear(3, 5), FixedHead(5, 2.0), "logit_adjusted",
                             lambda x, generator, n_views: x[:, None].expand(-1, n_views, -1),
                             classes=torch.tensor([2, 2]), strength=0.0)  # fmt: skip
    batch = Batch(torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), torch.arange(4))
    h = made(batch.x)
    wanted = nn.functional.cross_entropy(made.classifier(h * 0.5 ** torch.arange(5)), batch.labels)
    torch.testing.assert_close(made.step(batch, torch.Generator()).loss, wanted)


def test_views_lose_features_as_often_as_they_are_told() -> None:
    keep = (0.15, 1.0, 0.6)
    views = world.LosingViews(keep, noise=0.2)(torch.full((4000, 3), 2.0), torch.Generator().manual_seed(0), 2)
    found = moments(torch.full((3,), 2.0), torch.tensor(keep), 0.2)
    torch.testing.assert_close(views.square().mean((0, 1)), found.total, atol=0.06, rtol=0)
    torch.testing.assert_close(views.prod(1).mean(0), found.shared, atol=0.06, rtol=0)


def test_all_views_of_a_digit_show_its_code() -> None:
    train, test = world.coded_digits(0, 100)
    assert (train.x.shape, len(test)) == ((100, 74), 100)
    assert train.x[:, world.PIXELS :].abs().eq(1).all()
    views = world.SharedCode(0.5)(train.x, torch.Generator().manual_seed(0), 2)
    assert torch.equal(views[:, 0, world.PIXELS :], train.x[:, world.PIXELS :])
    assert torch.equal(views[:, 1, world.PIXELS :], train.x[:, world.PIXELS :])
    assert views[..., : world.PIXELS].eq(0).all(2).float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert (views[:, 0] != views[:, 1]).any(1).float().mean() > 0.6


@pytest.fixture
def photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve classes in six superclasses, stored as CIFAR-100 is."""

    def load(name: str, split: str) -> Dataset:
        generator = torch.Generator().manual_seed(int(split == "test"))
        labels = torch.arange(12).repeat_interleave(9)[torch.randperm(108, generator=generator)]
        x = torch.randint(256, (108, 3, 8, 8), dtype=torch.uint8, generator=generator)
        names = tuple(f"class {kind}" for kind in range(12))
        return Dataset(name, x, labels, torch.arange(108), names, {"superclass": labels % 6})

    monkeypatch.setattr(data, "load", load)


@pytest.mark.usefixtures("photographs")
def test_superclasses_are_a_balanced_part_with_the_same_classes_in_the_test() -> None:
    train, test = world.superclasses(3, groups=2, each=5)
    for part, count in ((train, 5), (test, 9)):
        assert torch.bincount(part.labels).tolist() == 2 * [2 * count]
        assert torch.bincount(part.factors["class"]).tolist() == 4 * [count]
    of = [dict(zip(part.factors["class"].tolist(), part.labels.tolist(), strict=True)) for part in (train, test)]
    assert of[0] == of[1]
    assert train.class_names == test.class_names


@pytest.mark.usefixtures("photographs")
def test_every_loss_and_head_is_tried_on_photographs() -> None:
    rows = study.photographs(0, "cifar100", each=3, epochs=1)
    assert len(rows) == 2 + 3 + 2 + 2
    assert all(0 <= row[f"{study.CLASS}, z"] <= 1 for row in rows)
    (raw,) = (row for row in rows if row["method"] == "raw input")
    assert raw[study.gap(study.CLASS)] == 0


def test_data_without_superclasses_are_refused() -> None:
    with pytest.raises(ValueError, match="name must be of a data set with the factor superclass, got 'digits'"):
        world.superclasses(0, "digits")


def test_a_ridge_knows_the_scale_of_features_unless_it_standardises() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (60,), generator=generator)
    h = torch.eye(3)[labels] + 0.3 * torch.randn(60, 3, generator=generator)
    halves = h[:30], labels[:30], h[30:], labels[30:]
    found = method.ridge_accuracy(*halves, standardise=True)
    assert found > 0.9
    scale = torch.tensor([1.0, 1e-3, 1e-6])
    scaled = halves[0] * scale, halves[1], halves[2] * scale, halves[3]
    assert method.ridge_accuracy(*scaled, standardise=True) == found
    assert method.ridge_accuracy(*scaled, standardise=False) < found
    assert method.ridge_accuracy(*scaled, standardise=False, alpha=1e-15) == pytest.approx(found, abs=0.05)


@pytest.fixture(scope="module")
def readings() -> panel.Readings:
    return panel.learn()


def test_in_the_panel_the_digit_survives_before_the_head(readings: panel.Readings) -> None:
    assert readings.before == pytest.approx(readings.behind, abs=0.01), "standardised, a fixed head is undone"
    assert readings.before[-1] > readings.before[0] + 0.05
    assert readings.behind_raw[-1] < readings.before[-1] - 0.4
    assert readings.mlp[0] > readings.mlp[1] + 0.4


def test_the_panel_draws_the_closed_form(readings: panel.Readings) -> None:
    state = {"strength": 2.0, "keep": 0.2, "noise": 0.2, "kappa": 1.3}
    bars, over, digit = panel.head_picture(state, readings).charts
    levels = bars.marks[0].height.reshape(3, 5)
    torch.testing.assert_close(levels[:, 0].tolist(), levels[:, 1].tolist())  # the first of the others is the same
    assert levels[0].tolist() == pytest.approx([2, 2, 1, 0.5, 0.25])
    assert over.marks[-1].x == 2.0
    assert digit.marks[2].y.tolist() == pytest.approx([readings.before[-1]])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"strength": 4.0}, r"strength must be between 0\.05 and 3, got 4"),
        ({"keep": 1.5}, r"keep must be between 0 and 1, got 1\.5"),
        ({"noise": 0.0}, r"noise must be between 0\.05 and 1, got 0"),
        ({"kappa": 1.15}, r"kappa must be one of 1, 1\.05, 1\.1, 1\.3, got 1\.15"),
    ],
)
def test_knobs_out_of_range_are_named(wrong: dict, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "learn", lambda: pytest.fail("no work before the check"))
    with pytest.raises(ValueError, match=message):
        panel.HeadPanel(**wrong)
