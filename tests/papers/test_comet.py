"""COMET: the losses of four levels against the authors' numbers and identities, and the step that adds them up."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import data, losses
from cl_explore.nn import DilatedNet
from cl_explore.papers.comet import method

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
