"""Cross-entropies of similarities: against the plain formula, stored and in tiles, and never below 0."""

import itertools
from collections.abc import Callable

import pytest
import torch
from loops import random
from torch import Tensor

from cl_explore.losses import similarity
from cl_explore.losses.cross_entropy import (
    both_ways,
    contrast,
    cross_entropy,
    excess,
    kept_places,
    pair_contrast,
    view_contrast,
)
from cl_explore.losses.similarity import points, row_lse
from cl_explore.losses.unit import unit

IDS = torch.tensor([0, 1, 1, 0, 2, 3])
TEMPERATURES = {"one": torch.tensor(0.25).double(), "of each": torch.linspace(0.2, 1, 6).double()}


def test_a_positive_among_negatives() -> None:
    positive, negatives = torch.tensor([50.0, 1.0, -2000.0]), torch.tensor([0.0, 1.0, 0.0])
    expected = torch.tensor([1.9287498e-22, 0.6931472, 2000.0])
    torch.testing.assert_close(cross_entropy(positive, negatives), expected, atol=0, rtol=1e-6)
    assert cross_entropy(positive, torch.full((3,), -torch.inf)).tolist() == [0, 0, 0]


def test_an_excess_is_never_negative_and_keeps_its_gradient() -> None:
    total, part = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([1.5, 0.5], requires_grad=True)
    gap = excess(total, part)
    assert gap.tolist() == [0.0, 1.5]
    for found, sign in zip(torch.autograd.grad(gap.sum(), (total, part)), (1.0, -1.0), strict=True):
        assert found.tolist() == [sign, sign]


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_pairs_are_found_among_rows_and_among_columns(temperature: str) -> None:
    a, b, tau = random(6, 4), random(6, 4, seed=1), TEMPERATURES[temperature]
    products, own = (a * b).sum(1), torch.arange(6)
    (there, back), positive = both_ways(a, b, tau)
    torch.testing.assert_close(positive, products)
    torch.testing.assert_close(there, row_lse(a, b, 1 / tau) - products / tau)
    torch.testing.assert_close(back, row_lse(b, a, 1 / tau) - products / tau)
    torch.testing.assert_close(there, -((a @ b.T) / tau[..., None]).log_softmax(1)[own, own])
    torch.testing.assert_close(pair_contrast(a, b, tau), (there, positive))


CONTRASTS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "of classes": lambda z, tau, **rest: contrast(*points(z, IDS), tau, **rest),
    "of views": view_contrast,
    "of pairs": lambda z, tau, **rest: both_ways(z[:, 0], z[:, 1], tau[:6] if tau.ndim else tau, **rest),
}


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("name", CONTRASTS)
def test_large_tables_say_what_stored_ones_say(name: str, views: int, monkeypatch: pytest.MonkeyPatch) -> None:
    z, function = random(6, views, 3).requires_grad_(), CONTRASTS[name]
    for tau in (TEMPERATURES["one"], torch.linspace(0.2, 1, 6 * views).double()):
        results = []
        for limit in (10**9, 0):
            monkeypatch.setattr(similarity, "_dense_limit", lambda device, limit=limit: limit)
            found = function(z, tau)
            gradient = torch.autograd.grad(found[0].cos().sum() + found[1].sum(), z)
            results.append((*found, *gradient))
        torch.testing.assert_close(*results, msg=lambda text, at=tau.ndim: f"{at}: {text}")


@pytest.mark.parametrize("name", CONTRASTS)
def test_second_derivatives_of_stored_tables(name: str) -> None:
    z, tau = random(6, 2, 3).requires_grad_(), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda z, tau: CONTRASTS[name](z, tau)[:2], (z, tau))


@pytest.mark.parametrize("limit", [10**9, 0])
@pytest.mark.parametrize("name", CONTRASTS)
def test_rows_are_normalized_inside_as_before(name: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any length, with all derivatives, of each result alone as of both."""
    monkeypatch.setattr(similarity, "_dense_limit", lambda device: limit)
    for length, part in itertools.product((1e-30, 1.0, 1e30), ("loss", "positive", "both")):
        results: list[list[Tensor]] = []
        for inside in (True, False):
            z = (random(6, 2, 3).clone() * torch.linspace(0.5, 2, 6).double()[:, None, None] * length).requires_grad_()
            each, positive, *_ = CONTRASTS[name](z if inside else unit(z), TEMPERATURES["one"], normalize=inside)
            value = {"loss": each.cos(), "positive": positive.exp(), "both": each.cos() * positive.exp()}[part].sum()
            (slope,) = torch.autograd.grad(value, z, create_graph=limit > 0)
            results.append([value, slope * length])
            if limit:
                results[-1].append(torch.autograd.grad((slope * length).square().sum(), z)[0] * length)
        torch.testing.assert_close(*results, msg=lambda text, at=(length, part): f"{at}: {text}")


@pytest.mark.parametrize("name", ["of views", "of pairs"])
def test_a_first_call_in_inference_mode_leaves_later_ones_differentiable(name: str) -> None:
    """The places of positives are kept from call to call."""
    z, tau = random(6, 2, 3), TEMPERATURES["one"]
    kept_places.cache_clear()
    with torch.inference_mode():
        before, _ = CONTRASTS[name](z, tau)
    after, _ = CONTRASTS[name](z.requires_grad_(), tau)
    after.sum().backward()
    torch.testing.assert_close(before, after.detach())
