"""Finite and exact wherever the arguments are legal, and one clear error wherever they are not."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from batches import DEGENERATE
from torch import Tensor

from cl_explore.losses.attraction import cacr, cacr_momentum
from cl_explore.losses.decoupled import dhel
from cl_explore.losses.mochi import Mixes, draw_mixes, mix_hard_negatives, mochi
from cl_explore.losses.multiview import mv_dhel, mv_infonce
from cl_explore.losses.negatives import debiased, g_simclr, hard
from cl_explore.losses.sorting import groco, soft_sort
from cl_explore.losses.structure import attribute_alignment, sepclr
from cl_explore.losses.temperature import isogclr, sogclr
from cl_explore.losses.truncation import hard_simple, hard_truncated, simple

Call = Callable[[Tensor, Tensor, float], Tensor]
HALF = (torch.float16, torch.bfloat16)


def with_synthesis(z: Tensor, y: Tensor, tau: float) -> Tensor:
    recipe = draw_mixes(len(z), hardest=2, pairs=3, queries=2, generator=torch.Generator().manual_seed(0))
    queue = z.detach().flatten(0, 1).roll(1, -1)
    return mochi(z[:, 0], z[:, 1], queue, mix_hard_negatives(z[:, 0], queue, recipe), temperature=tau)


def with_state(z: Tensor, y: Tensor, tau: float) -> Tensor:
    """Averages of another time: not yet seen, far too small, far too large."""
    state = torch.tensor([-torch.inf, -50.0, 3.0, 2000.0]).repeat(len(z))[: len(z)]
    return isogclr(z, state, temperature=tau, gamma=0.5)


CALLS: dict[str, Call] = {
    "dhel": lambda z, y, tau: dhel(z, temperature=tau),
    "mv_dhel": lambda z, y, tau: mv_dhel(z.repeat(1, 2, 1), temperature=tau),
    "mv_infonce": lambda z, y, tau: mv_infonce(z, temperature=tau),
    "mv_infonce cross_view": lambda z, y, tau: mv_infonce(z, temperature=tau, denominator="cross_view"),
    "debiased": lambda z, y, tau: debiased(z, temperature=tau),
    "debiased, many false": lambda z, y, tau: debiased(z, temperature=tau, tau_plus=0.9),
    "hard": lambda z, y, tau: hard(z, temperature=tau),
    "hard, very": lambda z, y, tau: hard(z, temperature=tau, beta=4.0, tau_plus=0.0),
    "hard_truncated": lambda z, y, tau: hard_truncated(z, temperature=tau, alpha=0.2),
    "simple": lambda z, y, tau: simple(z),
    "hard_simple": lambda z, y, tau: hard_simple(z),
    "g_simclr": lambda z, y, tau: g_simclr(z, y, temperature=tau),
    "mochi": with_synthesis,
    "sogclr": lambda z, y, tau: sogclr(z, temperature=tau),
    "isogclr": with_state,
    "cacr": lambda z, y, tau: cacr(z, tau_pos=1 / tau, tau_neg=1 / tau),
    "cacr all": lambda z, y, tau: cacr(z, pairs="all", tau_plus=0.1),
    "cacr_momentum": lambda z, y, tau: cacr_momentum(z, z[:, 0].roll(1, -1), temperature=tau),
    "cacr_momentum euclidean": lambda z, y, tau: cacr_momentum(z, z[:, 0], temperature=tau, cost="euclidean"),
    "groco": lambda z, y, tau: groco(z, hardest=3, steepness=1 / tau),
    "groco live": lambda z, y, tau: groco(z, key_grad="live"),
    "sepclr": lambda z, y, tau: sepclr(z, z.detach().clamp(-10, 10), y, temperature=max(tau, 0.05)),
    "sepclr drop": lambda z, y, tau: sepclr(z, z.clamp(-10, 10), y, background_pairs="drop"),
    "attribute_alignment": lambda z, y, tau: attribute_alignment(z.clamp(-10, 10), y.to(z.dtype), bandwidth=tau),
}
every_call = pytest.mark.parametrize("name", CALLS)


def value_and_gradient(name: str, z: Tensor, y: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    z = z.clone().requires_grad_()
    value = CALLS[name](z, y, tau)
    value.backward()
    assert z.grad is not None
    return value.detach(), z.grad


@every_call
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
@pytest.mark.parametrize("tau", [1e-3, 0.05, 0.5, 10.0])
@pytest.mark.parametrize("samples", [2, 64])
def test_dtype_and_temperature(name: str, dtype: torch.dtype, tau: float, samples: int) -> None:
    # The truth starts from the rounded numbers: what is tested is the loss, not the rounding of its input.
    z = torch.randn(samples, 2, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    y = torch.arange(samples) % 2
    value, gradient = value_and_gradient(name, z, y, tau)
    truth, true_gradient = value_and_gradient(name, z.double(), y, tau)
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert gradient.dtype == dtype
    unit = torch.finfo(torch.float32).eps * max(1, 1 / tau)
    torch.testing.assert_close(value.double(), truth, atol=16 * unit, rtol=16 * unit)
    rounding = torch.finfo(dtype).eps + torch.finfo(dtype).smallest_normal * 2 / true_gradient.abs().max().clamp(1e-30)
    error = (gradient.double() - true_gradient).norm()
    assert error <= (16 * unit + 2 * rounding) * true_gradient.norm() + 4 * unit


@every_call
@pytest.mark.parametrize("dtype", HALF)
def test_autocast_does_not_reach_the_logits(name: str, dtype: torch.dtype) -> None:
    z, y = torch.randn(16, 2, 8, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 4
    if name == "mochi":  # mixes are made outside of the loss
        return
    with torch.autocast("cpu", dtype=dtype):
        inside = CALLS[name](z, y, 0.2)
    torch.testing.assert_close(inside, CALLS[name](z, y, 0.2), atol=0, rtol=1e-5)


LABELLINGS = {
    "two classes": torch.arange(8) % 2,
    "all background": torch.zeros(8, dtype=torch.long),
    "all different": torch.arange(8),
    "all targets": torch.ones(8, dtype=torch.long),
    "one target": torch.tensor([0, 0, 0, 1, 0, 0, 0, 0]),
}
OF_LABELS = ["g_simclr", "sepclr", "sepclr drop", "attribute_alignment"]


@pytest.mark.parametrize(
    ("name", "labelling"),
    [(name, "two classes") for name in CALLS] + [(name, labelling) for name in OF_LABELS for labelling in LABELLINGS],
)
@pytest.mark.parametrize("points", DEGENERATE)
@pytest.mark.parametrize("tau", [1e-3, 0.1, 10.0])
def test_degenerate_batches(name: str, labelling: str, points: str, tau: float) -> None:
    value, gradient = value_and_gradient(name, DEGENERATE[points], LABELLINGS[labelling], tau)
    assert value.isfinite()
    assert gradient.isfinite().all()


def test_debiasing_is_exact_where_its_sums_overflow() -> None:
    """At tau 1e-3 the sums are e^1000: in log space positives of 0.9 against negatives of 0.1 cost e^-800, not NaN."""
    z = torch.eye(4)[:, None].expand(4, 2, 4)
    assert debiased(z, temperature=1e-3).isfinite()
    assert float(debiased.parts(z, temperature=1e-3)["clamped"].mean()) == 1
    assert float(debiased.parts(z, temperature=1e-3)["negatives"][0]) == pytest.approx(math.log(6) - 1000)
    swapped = torch.stack([torch.eye(4), torch.eye(4).roll(1, 0)], 1)
    assert float(hard(swapped, temperature=1e-3)) == pytest.approx(1000 + math.log(1 / 0.9), rel=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steepness", [1e-6, 1.0, 1e6, 1e12, 1e30])
def test_sorting_at_any_steepness(dtype: torch.dtype, steepness: float) -> None:
    x = torch.tensor([[0.3, -0.2, 0.3, 0.9, -1.0]], dtype=dtype, requires_grad=True)
    numbers, permutation = soft_sort(x, steepness)
    torch.testing.assert_close(permutation.sum(1), torch.ones_like(x), atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad((numbers * torch.arange(5)).sum(), x)
    assert gradient.isfinite().all()
    z = torch.stack([torch.eye(4, dtype=dtype), -torch.eye(4, dtype=dtype)], 1).requires_grad_()
    value = groco(z, hardest=3, steepness=steepness)
    value.backward()
    assert value.isfinite()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_tiny_probabilities_keep_their_gradient() -> None:
    """A positive opposite to its anchor: the chance to rank right is about 1e-8, its logarithm and slope exact."""
    z = torch.stack([torch.eye(3), -torch.eye(3)], 1).double()
    single = groco(z.float(), hardest=1, steepness=1e7)
    torch.testing.assert_close(single.double(), groco(z, hardest=1, steepness=1e7), rtol=1e-5, atol=0)
    assert float(single) == pytest.approx(math.log(math.pi * 1e7), rel=1e-4)


def test_near_raw_codes_far_from_the_origin_keep_their_distances() -> None:
    """Codes 0.1 apart at 1000: squared lengths would have swallowed the distance."""
    z = torch.nn.functional.normalize(torch.randn(32, 2, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    salient = (1000 + 0.1 * z).float()
    labels = torch.ones(32, dtype=torch.long)
    found = sepclr.parts(z, salient, labels)["salient_uniformity"].mean()
    exact = sepclr.parts(z.double(), salient.double(), labels)["salient_uniformity"].mean()
    torch.testing.assert_close(found.double(), exact, atol=1e-6, rtol=1e-4)


Z, Y = torch.randn(6, 2, 4), torch.arange(6) % 2
RECIPE = {"hardest": 2, "pairs": 1, "queries": 1, "generator": torch.Generator()}
WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: debiased(Z, tau_plus=1.0), ValueError, "tau_plus must be at least 0 and at most 0.99 and finite, got 1"),
    (lambda: hard(Z, tau_plus=1.5), ValueError, "tau_plus must be at least 0 and at most 0.99 and finite, got 1.5"),
    (lambda: hard(Z, beta=-1.0), ValueError, "beta must be at least 0"),
    (lambda: hard(Z, weight_grad="off"), ValueError, "weight_grad must be one of 'live', 'detach'"),
    (lambda: debiased(torch.randn(6, 3, 4)), ValueError, "exactly 2 views"),
    (lambda: hard_truncated(Z, alpha=1.5), ValueError, "alpha must be positive and at most 1 and finite, got 1.5"),
    (lambda: hard_simple(Z, alpha=0.0), ValueError, "alpha must be positive"),
    (lambda: hard_truncated(Z, torch.randn(12, 3, 4)), ValueError, r"negatives must have shape \(M, D\) here"),
    (lambda: simple(Z, torch.randn(12, 3, 4)), ValueError, r"negatives must have shape \(M, D\) here"),
    (lambda: simple(Z, torch.randn(3, 5)), ValueError, r"negatives must have shape \(M, D\) with D = 4"),
    (lambda: dhel(torch.randn(6, 3, 4)), ValueError, "exactly 2 views"),
    (lambda: mv_dhel(torch.randn(6, 1, 4)), ValueError, "at least 2 views"),
    (lambda: mv_infonce(Z, denominator="some"), ValueError, "denominator must be one of"),
    (lambda: g_simclr(Z, Y[:5]), ValueError, r"labels must have shape \(B\) with B = 6"),
    (lambda: mochi(Z[:1, 0], Z[:1, 1]), ValueError, "key must have at least 2 rows"),
    (lambda: mochi(Z[:, 0], Z[:, 1], Z[0, :, :3]), ValueError, r"queue must have shape \(K, D\) with D = 4"),
    (lambda: mochi(Z[:, 0], Z[:, 1], None, Z[:5]), ValueError, r"synthetic must have shape \(N, S, D\) with N = 6"),
    (lambda: draw_mixes(0, **RECIPE), ValueError, "anchors must be at least 1, got 0"),
    (lambda: draw_mixes(3, **RECIPE | {"hardest": 0}), ValueError, "hardest must be at least 1, got 0"),
    (lambda: draw_mixes(3, **RECIPE | {"pairs": -1}), ValueError, "pairs must be at least 0, got -1"),
    (lambda: draw_mixes(3, **RECIPE | {"queries": -1}), ValueError, "queries must be at least 0"),
    (lambda: draw_mixes(3, **RECIPE | {"pairs": 0, "queries": 0}), ValueError, "queries must be at least 0, and"),
    (lambda: draw_mixes(3, **RECIPE, query_share=1.1), ValueError, "query_share must be between 0 and 1, got 1.1"),
    (
        lambda: mix_hard_negatives(Z[:, 0], Z[:1, 0], draw_mixes(6, **RECIPE)),
        ValueError,
        "queue must hold at least hardest = 2 negatives, got 1",
    ),
    (
        lambda: mix_hard_negatives(Z[:4, 0], Z[:, 0], draw_mixes(6, **RECIPE)),
        ValueError,
        "mixes must hold a recipe for each of the 4 rows of query, got 6",
    ),
    (lambda: sogclr(Z, gamma=1.1), ValueError, "gamma must be positive and at most 1 and finite, got 1.1"),
    (lambda: isogclr(Z, gamma=0.0), ValueError, "gamma must be positive"),
    (lambda: isogclr(Z, rho=0.0), ValueError, "rho must be positive"),
    (lambda: sogclr(Z, torch.zeros(5)), ValueError, r"log_mean must have shape \(B\) with B = 6"),
    (lambda: sogclr(Z, torch.zeros(6, dtype=torch.long)), TypeError, "log_mean must be floating point"),
    (lambda: cacr(Z, tau_plus=1.0), ValueError, "tau_plus must be at least 0 and at most 0.99 and finite, got 1"),
    (lambda: cacr(Z[:, :1]), ValueError, "at least 2 views"),
    (lambda: cacr_momentum(Z, Z[:5, 0]), ValueError, "key must have one row for each of the 6 samples of z, got 5"),
    (lambda: groco(Z, hardest=0), ValueError, "hardest must be at least 1"),
    (lambda: groco(Z, steepness=0.0), ValueError, "steepness must be positive"),
    (lambda: soft_sort(torch.tensor([1.0])), ValueError, r"x must hold at least 2 numbers .*got shape \(1,\)"),
    (lambda: soft_sort(torch.tensor(1.0)), ValueError, "x must hold at least 2 numbers"),
    (lambda: soft_sort(torch.tensor([1, 2])), TypeError, "x must be floating point, got torch.int64"),
    (lambda: soft_sort(torch.ones(3), 0.0), ValueError, "steepness must be positive and finite, got 0"),
    (lambda: soft_sort(torch.ones(3), math.nan), ValueError, "steepness must be positive and finite, got nan"),
    (lambda: sepclr(Z, Z[:5], Y), ValueError, r"salient must have shape \(B, V, S\) with B = 6 and V = 2"),
    (lambda: sepclr(Z, Z, Y.float()), TypeError, "labels must be integers"),
    (lambda: attribute_alignment(Z, Y), TypeError, "targets must be floating point"),
    (lambda: attribute_alignment(Z, torch.ones(5)), ValueError, r"targets must have shape \(B\) with B = 6"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), WRONG, ids=[row[2][:60] for row in WRONG])
def test_wrong_argument(wrong: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()


def test_mixes_of_another_number_type_and_length() -> None:
    """Queue and query in half precision and of any length: the mixes are of unit length and at least float32."""
    recipe = Mixes(
        2, torch.zeros(2, 6, 3, dtype=torch.long), torch.rand(6, 3), torch.ones(6, 1).long(), torch.rand(6, 1)
    )
    found = mix_hard_negatives(Z[:, 0].half() * 30, Z.flatten(0, 1).half() / 30, recipe)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(6, 4))
