"""Losses of pairs, of two sides, with queues and without negatives: never NaN, and blind to what must not matter."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from batches import DEGENERATE, LABELLINGS
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_explore.losses.assignment import swav
from cl_explore.losses.catalogue import Choice, Loss
from cl_explore.losses.hypersphere import koleo
from cl_explore.losses.infonce import cpc
from cl_explore.losses.modalities import clip, mil_nce
from cl_explore.losses.pairs import circle, lifted, multi_similarity, n_pair
from cl_explore.losses.predictive import byol, simsiam
from cl_explore.losses.queued import moco, nnclr
from cl_explore.losses.redundancy import barlow_twins, vicreg
from cl_explore.losses.sigmoid import siglip
from cl_explore.losses.spectral import spectral

LOSSES: list[tuple[Loss, dict[str, Any]]] = [
    (n_pair, {}),
    (lifted, {}),
    (lifted, {"form": "generalized"}),
    (multi_similarity, {}),
    (multi_similarity, {"mining": "hard"}),
    (circle, {}),
    (circle, {"scope": "batch"}),
    (cpc, {}),
    (clip, {}),
    (siglip, {}),
    (mil_nce, {}),
    (mil_nce, {"direction": "query"}),
    (mil_nce, {"direction": "joint"}),
    (moco, {}),
    (nnclr, {}),
    (byol, {}),
    (simsiam, {}),
    (barlow_twins, {}),
    (vicreg, {}),
    (swav, {}),
    (koleo, {}),
    (spectral, {}),
    (spectral, {"radius": "free"}),
]
IDS = ["-".join([loss.name, *knobs.values()]) for loss, knobs in LOSSES]
every_loss = pytest.mark.parametrize(("loss", "knobs"), LOSSES, ids=IDS)
SEEDS = st.integers(0, 10_000)


def filled(loss: Loss, z: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What a loss needs, made of z (B, 2, D) alone: the batch stands for the queue, one view for the prototypes."""
    have = {
        "z": z,
        "labels": labels,
        "query": z[:, 0],
        "context": z[:, 0],
        "key": z[:, 1],
        "candidates": z[:, 1:],
        "prediction": z,
        "queue": z.flatten(0, 1),
        "prototypes": z[:, 0],
    }
    return {name: have[name] for name in loss.needs}


def value_and_gradient(loss: Loss, z: Tensor, labels: Tensor, **knobs: Any) -> tuple[Tensor, Tensor]:
    z = z.clone().requires_grad_()
    value = loss(**filled(loss, z, labels), **knobs)
    value.backward()
    assert z.grad is not None
    return value.detach(), z.grad


def at_temperature(loss: Loss, temperature: float) -> dict[str, float]:
    return {"temperature": temperature} if "temperature" in loss.defaults else {}


def largest_logit(loss: Loss, temperature: float) -> float:
    """Float32 sums of logits of this size are good to as many units in the last place."""
    own = {"circle": 200.0, "multi_similarity": 50.0, "n_pair": 40.0, "vicreg": 50.0, "spectral": 40.0}
    own["barlow_twins"] = 10.0  # two samples: standardising them takes differences of nearly equal numbers
    if "temperature" in loss.defaults:
        return (40.0 if loss.raw else 10.0) / min(temperature, 1.0)
    return own.get(loss.name, 1.0)


def at_temperatures(temperatures: list[float]) -> pytest.MarkDecorator:
    """Every loss at all `temperatures` if it has one, else once."""
    rows = [
        pytest.param(loss, knobs | at_temperature(loss, temperature), temperature, id=f"{name}-{temperature}")
        for name, (loss, knobs) in zip(IDS, LOSSES, strict=True)
        for temperature in (temperatures if "temperature" in loss.defaults else [1.0])
    ]
    return pytest.mark.parametrize(("loss", "knobs", "temperature"), rows)


@at_temperatures([1e-3, 0.05, 0.5, 10.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("samples", [2, 3, 64])
def test_dtype_and_temperature(
    loss: Loss, knobs: dict[str, Any], temperature: float, dtype: torch.dtype, samples: int
) -> None:
    z = torch.randn(samples, 2, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    labels = torch.arange(samples) % 2
    value, gradient = value_and_gradient(loss, z, labels, **knobs)
    truth, true_gradient = value_and_gradient(loss, z.double(), labels, **knobs)
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert gradient.dtype == dtype
    unit = torch.finfo(torch.float32).eps * largest_logit(loss, temperature)
    torch.testing.assert_close(value.double(), truth, atol=16 * unit, rtol=16 * unit)
    rounding = torch.finfo(dtype).eps + torch.finfo(dtype).smallest_normal * 2 / true_gradient.abs().max().clamp(1e-30)
    error = (gradient.double() - true_gradient).norm()
    assert error <= (16 * unit + 2 * rounding) * true_gradient.norm() + 4 * unit


@every_loss
def test_autocast_does_not_reach_the_logits(loss: Loss, knobs: dict[str, Any]) -> None:
    z, labels = torch.randn(32, 2, 16, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 4
    tensors = filled(loss, z, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(**tensors, **knobs)
    assert torch.equal(inside, loss(**tensors, **knobs))


@at_temperatures([1e-3, 0.1, 10.0])
@pytest.mark.parametrize("points", DEGENERATE)
def test_degenerate_batches(loss: Loss, knobs: dict[str, Any], temperature: float, points: str) -> None:
    z = DEGENERATE[points]
    if loss.raw and points == "huge":
        z = torch.full_like(z, 1e6)  # the formula itself squares the lengths, twice: 1e30 is infinite in float32
    for labelling in LABELLINGS if "labels" in loss.needs else ["two classes"]:
        labels = LABELLINGS[labelling]
        if loss in (lifted, circle) and labelling == "one class":
            with pytest.raises(ValueError, match="a negative"):
                loss(z, labels, **knobs)
            continue
        value, gradient = value_and_gradient(loss, z, labels, **knobs)
        assert value.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("loss", [lifted, multi_similarity, circle], ids=lambda loss: loss.name)
@pytest.mark.parametrize("choice", [0, 1])
def test_anchors_without_a_positive(loss: Loss, choice: int) -> None:
    """They do not count, or only push, and send no NaN back."""
    switch = next(knob for knob in loss.knobs if isinstance(knob, Choice))
    knobs = {switch.name: switch.options[choice]}
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.tensor([0, 0, 1, 2, 3])
    parts = loss.parts(x, labels, **knobs)
    parts["loss"].sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(part.isfinite().all() for part in parts.values())
    if "anchor_weight" in parts:
        assert parts["anchor_weight"].tolist() == [1, 1, 0, 0, 0]
        assert (parts["loss"][2:] == 0).all()


def batch(seed: int) -> tuple[Tensor, Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, 2, 5, generator=generator, dtype=torch.float64), torch.arange(8) % 3, generator


def same(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, atol=1e-9, rtol=1e-9)


@every_loss
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_order_of_samples(loss: Loss, knobs: dict[str, Any], seed: int) -> None:
    z, y, generator = batch(seed)
    order = torch.randperm(8, generator=generator)
    each = loss(**filled(loss, z, y), **knobs, reduction="none")
    shuffled = loss(**filled(loss, z[order], y[order]), **knobs, reduction="none")
    same(shuffled, each.view(8, -1)[order].flatten())


@every_loss
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_rotation_of_space(loss: Loss, knobs: dict[str, Any], seed: int) -> None:
    z, y, generator = batch(seed)
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))
    each = loss(**filled(loss, z, y), **knobs, reduction="none")
    turned = loss(**filled(loss, z @ rotation, y), **knobs, reduction="none")
    if loss in (barlow_twins, vicreg):  # these are about the axes themselves
        assert not torch.allclose(each, turned)
    else:
        same(each, turned)


@every_loss
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_length_of_the_inputs(loss: Loss, knobs: dict[str, Any], seed: int) -> None:
    z, y, generator = batch(seed)
    longer = z * (torch.rand(8, 2, 1, generator=generator, dtype=torch.float64) * 10 + 0.1)
    same(*(loss(**filled(loss, x, y), **knobs, normalize=True) for x in (z, longer)))
    same(
        loss(**filled(loss, z, y), **knobs, normalize=True),
        loss(**filled(loss, F.normalize(z, dim=-1), y), **knobs, normalize=False),
    )
    value, other = (loss(**filled(loss, x, y), **knobs) for x in (z, z / 20))
    assert torch.allclose(value, other) is not loss.raw


SYMMETRIC = [row for row in LOSSES if row[0] not in (n_pair, cpc, moco, swav) and row[1].get("direction") != "query"]


@pytest.mark.parametrize(("loss", "knobs"), SYMMETRIC, ids=lambda row: getattr(row, "name", ""))
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_swap_of_views(loss: Loss, knobs: dict[str, Any], seed: int) -> None:
    z, y, _ = batch(seed)
    same(loss(**filled(loss, z, y), **knobs), loss(**filled(loss, z.flip(1), y), **knobs))


def test_swap_of_views_of_swav() -> None:
    z, w = torch.randn(8, 2, 5, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    same(swav(z, w), swav(z.flip(1), w))
