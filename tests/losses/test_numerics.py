"""Finite values and gradients wherever the arguments are legal: any dtype, temperature, size and degenerate batch."""

import itertools

import pytest
import torch
from batches import DEGENERATE, LABELLINGS
from torch import Tensor

from cl_explore import losses

# Losses that need more than views and labels are swept beside their references.
OF_VIEWS = {name: loss for name, loss in losses.catalogue.items() if loss.fits(2)}
every_loss = pytest.mark.parametrize("loss", OF_VIEWS.values(), ids=OF_VIEWS)
HALF = (torch.float16, torch.bfloat16)


def knobs_at(loss: losses.Loss, temperature: float) -> dict[str, float]:
    if "temperature" not in loss.defaults:
        return {}
    return {"temperature": temperature} | ({"epsilon": temperature / 2} if "epsilon" in loss.defaults else {})


def value_and_gradient(loss: losses.Loss, z: Tensor, labels: Tensor, **knobs: float) -> tuple[Tensor, Tensor]:
    z = z.clone().requires_grad_()
    value = loss.on_views(z, labels, **knobs)
    value.backward()
    assert z.grad is not None
    return value.detach(), z.grad


SWEEP = [
    *itertools.product([torch.float64, torch.float32, *HALF], [1e-3, 0.05, 0.5, 10.0], [2, 3, 64]),
    *itertools.product([torch.float32, torch.bfloat16], [0.05], [512]),
]


@every_loss
@pytest.mark.parametrize(("dtype", "temperature", "samples"), SWEEP)
def test_dtype_and_temperature(loss: losses.Loss, dtype: torch.dtype, temperature: float, samples: int) -> None:
    generator = torch.Generator().manual_seed(0)
    # The truth starts from the rounded numbers: what is tested is the loss, not the rounding of its input.
    z = torch.randn(samples, 2, 16, generator=generator).to(dtype)
    labels = torch.arange(samples) % 2
    value, gradient = value_and_gradient(loss, z, labels, **knobs_at(loss, temperature))
    truth, true_gradient = value_and_gradient(loss, z.double(), labels, **knobs_at(loss, temperature))
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert gradient.dtype == dtype
    if loss.name == "barlow_twins" and samples == 2:
        # Two standardised numbers are +1 and -1 whatever they were: the gradient is what rounding leaves of nothing.
        assert gradient.isfinite().all()
        return
    # Logits reach 1 / temperature (or gamma): float32 sums of them are good to that many units in the last place.
    unit = torch.finfo(torch.float32).eps * max(1, 1 / temperature, loss.defaults.get("gamma", 1))
    torch.testing.assert_close(value.double(), truth, atol=16 * unit, rtol=16 * unit)
    rounding = torch.finfo(dtype).eps + torch.finfo(dtype).smallest_normal * 2 / true_gradient.abs().max().clamp(1e-30)
    error = (gradient.double() - true_gradient).norm()
    assert error <= (16 * unit + 2 * rounding) * true_gradient.norm() + 4 * unit


@every_loss
@pytest.mark.parametrize("dtype", HALF)
def test_autocast_does_not_reach_the_logits(loss: losses.Loss, dtype: torch.dtype) -> None:
    z, labels = torch.randn(32, 2, 16, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 4
    with torch.autocast("cpu", dtype=dtype):
        inside = loss.on_views(z, labels)
    assert torch.equal(inside, loss.on_views(z, labels))


@every_loss
@pytest.mark.parametrize("points", DEGENERATE)
@pytest.mark.parametrize("labelling", LABELLINGS)
@pytest.mark.parametrize("temperature", [1e-3, 0.1, 10.0])
def test_degenerate_batches(loss: losses.Loss, points: str, labelling: str, temperature: float) -> None:
    if points == "huge" and loss.name in ("cpc", "n_pair"):
        return  # products of raw embeddings: 1e60 is no number of float32
    if loss.name in ("triplet", "lifted", "circle") and labelling == "one class":
        with pytest.raises(ValueError, match="a negative"):
            loss.on_views(DEGENERATE[points], LABELLINGS[labelling])
        return
    knobs = knobs_at(loss, temperature)
    value, gradient = value_and_gradient(loss, DEGENERATE[points], LABELLINGS[labelling], **knobs)
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("mining", ["all", "semi-hard", "hard"])
@pytest.mark.parametrize("points", DEGENERATE)
def test_degenerate_triplets(mining: str, points: str) -> None:
    value, gradient = value_and_gradient(losses.triplet, DEGENERATE[points], torch.arange(8) % 2, mining=mining)
    assert value.isfinite()
    assert gradient.isfinite().all()


COLLAPSED = [
    # loss, value when all 2 x 8 points coincide
    ("info_nce", torch.tensor(8.0).log()),
    ("nt_xent", torch.tensor(15.0).log()),
    ("supcon", torch.tensor(15.0).log()),
    ("supcon_in", torch.tensor(15.0).log()),
    ("dcl", torch.tensor(14.0).log()),
    ("dclw", torch.tensor(14.0).log()),
    ("alignment", torch.tensor(0.0)),
    ("uniformity", torch.tensor(0.0)),
    ("align_uniform", torch.tensor(0.0)),
    ("contrastive_margin", torch.tensor(0.5 * 8 / 15)),
    ("triplet", torch.tensor(0.2)),
]


@pytest.mark.parametrize(("name", "expected"), COLLAPSED)
def test_value_of_a_collapsed_batch(name: str, expected: Tensor) -> None:
    value = losses.get(name).on_views(torch.ones(8, 2, 4, dtype=torch.float64), torch.arange(8) % 2)
    torch.testing.assert_close(value.float(), expected, atol=1e-6, rtol=1e-6)


def test_a_row_maximum_never_includes_the_point_itself() -> None:
    """At tau 1e-3 the own similarity is e^1000 times any other: it must be left out before the maximum is taken."""
    z = torch.eye(6)[:, None].expand(6, 2, 6) * 1.0
    value = losses.nt_xent(z.roll(1, 0) * 0.1 + z, temperature=1e-3)
    assert value.isfinite()
    orthogonal = losses.supcon(torch.eye(6), torch.arange(6) // 2, temperature=1e-3)
    torch.testing.assert_close(orthogonal, torch.tensor(5.0).log())


def test_no_hidden_floor_under_a_probability() -> None:
    """A positive of probability e^-2000 costs 2000, with a full gradient."""
    query, key = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[-1.0, 0.0], [0.0, -1.0]]).flip(0)
    value = losses.info_nce(query, -query, query, temperature=1e-3)
    torch.testing.assert_close(value, torch.tensor(2000.0), atol=1e-2, rtol=0)
    assert losses.info_nce(query, key, temperature=1e-3).isfinite()
