"""COMET: the losses of four levels against the authors' numbers and identities, and the step that adds them up."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import data, losses
from cl_explore.nn import DilatedNet
from cl_explore.papers.comet import method, panel, study, world

CASES = json.loads((Path(__file__).parents[1] / "golden" / "comet.json").read_text())["cases"]
SEEDS = st.integers(0, 10_000)
some = settings(max_examples=10, deadline=None)


def codes(seed: int, samples: int = 4, steps: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, 2, steps, 3, generator=generator, dtype=torch.float64)


def call(z: Tensor, params: dict) -> Tensor:
    if params["loss_kind"] == "id":
        return method.id_contrast(z, torch.tensor(params["ids"]), params["temperature"])
    loss = {"sample": method.sample_contrast, "observation": method.observation_contrast}[params["loss_kind"]]
    return params["factor"] * loss(z, params["hierarchical"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_losses_and_gradients_are_those_of_the_authors(case: dict) -> None:
    params = case["params"]
    factor = params["factor"] if params["loss_kind"] == "id" else 1.0
    views = [torch.tensor(case["inputs"][name], dtype=torch.float64).requires_grad_() for name in ("z1", "z2")]
    value = call(torch.stack(views, 1), params)
    close = {"atol": 1e-9, "rtol": 1e-9}
    torch.testing.assert_close(value, torch.tensor(case["loss"], dtype=torch.float64), **close)
    assert factor in (1.0, 0.25), "their code multiplies it into sample and observation alone"
    for view, found in zip(("z1", "z2"), torch.autograd.grad(value, views), strict=True):
        expected = (case["grad"] or {}).get(view)
        expected = torch.zeros_like(found) if expected is None else torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(found, expected, **close)


@some
@given(SEEDS)
def test_steps_and_samples_are_nt_xent_along_two_axes(seed: int) -> None:
    z = codes(seed)
    by_steps = [losses.nt_xent(one.transpose(0, 1), temperature=1.0, normalize=False) for one in z]
    torch.testing.assert_close(method.observation_contrast(z, False), torch.stack(by_steps).mean())
    exchanged = z.transpose(0, 2)
    torch.testing.assert_close(method.observation_contrast(z, False), method.sample_contrast(exchanged, False))
    torch.testing.assert_close(method.sample_contrast(z[:, :, :2], True), method.sample_contrast(z[:, :, :2], False))
    halves = F.max_pool1d(z.flatten(0, 1).mT, 2).mT.unflatten(0, z.shape[:2])  # 6 steps, 3, and then 1
    mean = (method.sample_contrast(z, False) + method.sample_contrast(halves, False)) / 2
    torch.testing.assert_close(method.sample_contrast(z, True), mean)


def by_hand(z: Tensor, ids: list[int], symmetric: bool) -> float:
    a = F.normalize(F.normalize(z, dim=2).flatten(2), dim=2)
    terms = []
    for i, own in enumerate(ids):
        for j, other in enumerate(ids):
            if own == other and (i < j or (symmetric and i != j)):
                for this, that in ((0, 1), (1, 0)):
                    row = a[:, that] @ a[i, this] / 0.2
                    terms.append((row.logsumexp(0) - row[j]).item())
    return sum(terms) / len(terms)


@some
@given(SEEDS)
def test_ids_are_contrasted_across_views_pair_by_pair(seed: int) -> None:
    z, ids = codes(seed, 6), [3, 1, 3, 3, 1, 0]
    y = torch.tensor(ids)
    for symmetric in (False, True):
        value = method.id_contrast(z, y, 0.2, symmetric)
        assert value.item() == pytest.approx(by_hand(z, ids, symmetric), rel=1e-9)
        scale = 0.5 + torch.rand(6, 2, 1, 3, dtype=torch.float64)
        torch.testing.assert_close(method.id_contrast(z * scale, y, 0.2, symmetric), value)
        torch.testing.assert_close(method.id_contrast(z, 7 - y, 0.2, symmetric), value)
    turned = torch.randperm(6, generator=torch.Generator().manual_seed(seed)).roll(1)
    torch.testing.assert_close(
        method.id_contrast(z[turned], y[turned], symmetric=True), method.id_contrast(z, y, symmetric=True)
    )
    assert not torch.isclose(method.id_contrast(z.flip(0), y.flip(0)), method.id_contrast(z, y))


def test_collapsed_and_empty_values() -> None:
    flat = torch.zeros(4, 2, 6, 3)
    assert method.sample_contrast(flat, False).item() == pytest.approx(math.log(7))
    assert method.observation_contrast(flat, False).item() == pytest.approx(math.log(11))
    assert method.id_contrast(flat + 1, torch.tensor([0, 0, 1, 1])).item() == pytest.approx(math.log(4))
    assert method.sample_contrast(codes(0)[:1]).item() == 0
    assert method.observation_contrast(codes(0)[:, :, :1], False).item() == 0
    z = codes(0).requires_grad_()
    alone = method.id_contrast(z, torch.arange(4))
    alone.backward()
    assert alone.item() == 0
    assert not z.grad.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: method.sample_contrast(torch.zeros(4, 6, 3)), r"z must have shape \(B, V, T, C\)"),
        (lambda: method.observation_contrast(torch.zeros(4, 2, 1, 3)), "z must have at least 2 steps .* got 1"),
        (lambda: method.id_contrast(torch.zeros(4, 2, 5, 3), torch.zeros(3).long()), "ids must have shape .* B = 4"),
        (lambda: made(weights={"patients": 1.0}), "unknown level 'patients'; did you mean 'patient'"),
        (lambda: made(weights={"patient": 0.0}), "weights must be above 0 for one level at least"),
        (lambda: made(id_factor="code"), "id_factor must be"),
    ],
)
def test_wrong_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def made(**options: object) -> method.COMET:
    torch.manual_seed(0)
    net = DilatedNet(1, width=4, depth=2, out_features=3, dropout=0.0)
    return method.COMET(net, **options)


WORLD = data.pulses(4, 3, 2, torch.Generator().manual_seed(0), steps=20)


def test_a_step_adds_the_levels_by_weight_and_ids_see_every_step() -> None:
    batch = WORLD.batch(torch.arange(12))
    weights = {"patient": 0.5, "trial": 0.25, "sample": 2.0, "observation": 0.125}
    one, other = made(weights=weights), made(weights=weights, id_factor="authors")
    step, code = (each.step(batch, torch.Generator().manual_seed(1)) for each in (one, other))
    total = sum(weights[level] * value for level, value in step.metrics.items())
    torch.testing.assert_close(step.loss, total)
    torch.testing.assert_close(code.loss, total + 0.5 * step.metrics["patient"] + 0.75 * step.metrics["trial"])
    z = one.encoder(batch.x)[:, None].expand(-1, 2, -1, -1)
    for level, name in method.IDS.items():
        torch.testing.assert_close(step.metrics[level], method.id_contrast(z, batch.factors[name]))
    alone = made(weights={"trial": 1.0}).step(batch, torch.Generator())
    assert list(alone.metrics) == ["trial"]
    torch.testing.assert_close(alone.loss, step.metrics["trial"])


def test_hidden_steps_are_a_few_stretches() -> None:
    hidden = method.hidden_steps(500, 40, torch.Generator().manual_seed(0))
    edges = (hidden[:, 1:] & ~hidden[:, :-1]).sum(1) + hidden[:, 0]
    assert (edges.max(), hidden.sum(1).min() >= 4, hidden.sum(1).max()) == (5, True, 20)
    assert 0.3 < hidden.float().mean() < 0.45  # 1 - 0.9^5, less at the ends
    assert not method.hidden_steps(3, 40, torch.Generator(), blocks=0).any()


def test_groups_stay_together_in_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    for together, size in (("recording", 2), ("person", 6)):
        rows = made(together=together).draw_order(WORLD, 12, generator)
        assert sorted(rows.tolist()) == list(range(24))
        drawn = WORLD.factors[together][rows].view(-1, size)
        assert (drawn == drawn[:, :1]).all()
        assert drawn[:, 0].tolist() != sorted(drawn[:, 0].tolist())
    assert len(made().draw_order(WORLD, 9, generator)) == 18


def test_the_encoder_that_is_kept_is_the_mean_of_all_iterates() -> None:
    trained = made()
    before = trained(WORLD.x)
    iterates = []
    for shift in (1.0, 2.0, 6.0):
        with torch.no_grad():
            for parameter in trained.encoder.parameters():
                parameter += shift
        iterates.append(nn.utils.parameters_to_vector(trained.encoder.parameters()).detach())
        trained.after_step()
    mean = nn.utils.parameters_to_vector(trained.averaged.parameters())
    torch.testing.assert_close(mean, torch.stack(iterates).mean(0))
    assert not torch.allclose(trained(WORLD.x), before)
    last = made(average=False)
    torch.testing.assert_close(last(WORLD.x), last.encoder(WORLD.x).amax(1))


def test_consistency_counts_what_is_found_at_each_level() -> None:
    """Codes that tell the sample and the step, or the trial, or the patient alone."""
    test = data.pulses(3, 2, 2, torch.Generator().manual_seed(0), steps=16)
    n, t = len(test), torch.eye(16)
    sample, person = torch.eye(n), F.one_hot(test.factors["person"]).float()
    trial = F.one_hot(test.factors["recording"]).float()

    def told(*what: Tensor):
        """One channel for each of a code's numbers, at a step of its own, so that channels stay apart over time."""
        whole = torch.cat(what, 1)
        return lambda x, hidden: torch.cat([t.expand(n, -1, -1), whole[:, None] * t[:, :1]], 2)

    found = study.consistency(told(sample * 3), test)
    assert found[study.OBSERVATION] == 1
    levels = (study.TRIAL, study.PATIENT)
    both = study.consistency(told(trial, person), test)
    assert [both[name] for name in levels] == [1, 1]
    only = study.consistency(told(person), test)
    assert only[study.PATIENT] == 1
    each = study.consistency(lambda x, hidden: sample[:, None].expand(-1, 16, -1), test)
    assert each[study.SAMPLE] == 1
    assert each[study.OBSERVATION] == pytest.approx(1 / 16), "steps are all alike"


def test_the_study_runs_each_level_and_reads_traits_of_unseen_persons() -> None:
    rows = {row["method"]: row for row in study.run(0, persons=10, steps=16, epochs=1, batch_size=54, shifted=False)}
    assert list(rows) == ["raw input", study.UNTRAINED, *study.ARMS]
    assert all(set(row) >= {*study.METRICS, study.TRAIT} for row in rows.values())
    train, test = world.world("pulses", 0, persons=10)
    assert not set(train.factors["person"].tolist()) & set(test.factors["person"].tolist())


def watched() -> data.Dataset:
    """What the loader of the watch gives: nine windows of each of four recordings of two subjects."""
    recording = torch.arange(36) // 9 + 5
    x = torch.randn(36, 6, 20, generator=torch.Generator().manual_seed(0)) * recording[:, None, None] + 3
    factors = {"subject": recording // 7, "side": recording % 2, "recording": recording, "start": torch.arange(36)}
    return data.Dataset("watch", x, recording % 2, torch.arange(36), ("a", "b"), factors, "series")


def test_of_the_watch_six_windows_of_each_standardised_recording_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "load", lambda name, split, **options: watched())
    train, _ = world.world("watch", 0, steps=20)
    assert train.factors["recording"].bincount().tolist() == [6] * 4
    assert train.index[:6].tolist() == [0, 1, 3, 4, 6, 8]
    whole = world._of_recordings(watched(), 9)
    spread, mean = torch.std_mean(whole.x.view(4, 9, 6, 20), (1, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(4, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(spread, torch.ones(4, 6))
    with pytest.raises(ValueError, match="unknown world 'pulse'; did you mean 'pulses'"):
        world.world("pulse", 0)


def course(level: str) -> panel.Course:
    metrics = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    codes = F.one_hot(torch.arange(288) // (9 if level == "patient" else 3)).float()
    return panel.Course(metrics, codes.expand(3, -1, -1), torch.eye(32).expand(3, 288, 2, -1, -1) * 50)


def test_the_panel_shows_the_nested_matrix_and_trains_only_for_another_level(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(panel, "learn", lambda level: made.append(level) or course(level))
    shown = panel.NestedPanel()
    matrix, steps, _ = shown.picture.charts
    heat = matrix.marks[0].values.reshape(27, 27)
    np.testing.assert_array_equal(heat, np.kron(np.eye(3), np.ones((9, 9))))
    np.testing.assert_allclose(steps.marks[0].values.reshape(32, 32), np.eye(32), atol=1e-6)
    shown.knobs["first"].value = 4
    assert shown.picture.charts[0].x.names[0] == "patient 4"
    shown.knobs["step"].value = 10
    assert dict(shown.picture.readout)["neighbour of the patient"] == "63.6% (before 27.3%)"
    assert made == ["patient"]
    shown.knobs["level"].value = "trial"
    shown.wait()
    assert made == ["patient", "trial"]
    np.testing.assert_array_equal(
        shown.picture.charts[0].marks[0].values.reshape(27, 27), np.kron(np.eye(9), np.ones((3, 3)))
    )
    assert len(shown.picture.alt) <= 200
    with pytest.raises(ValueError, match="step must be one of 0, 10, 30, got 5"):
        panel.NestedPanel(step=5)


def test_in_the_panel_a_training_lights_up_its_own_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "SHOTS", (0, 16))
    trained = panel.learn("observation")
    assert trained.metrics[1, 0] > trained.metrics[0, 0] + 0.1
    assert (tuple(trained.codes.shape), tuple(trained.views.shape)) == ((2, 288, 512), (2, 288, 2, 32, 16))
