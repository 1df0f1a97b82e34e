"""What no loss may depend on: order of samples, rotation of space, names of classes, length of the raw inputs."""

import pickle
from collections.abc import Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_explore import losses

SEEDS = st.integers(0, 10_000)
# Losses that need more than views and labels have their invariances tested beside their references.
OF_VIEWS = {name: loss for name, loss in losses.catalogue.items() if loss.fits(2)}
OF_COORDINATES = {"barlow_twins", "vicreg"}  # their formulas name single coordinates
OF_ONE_DIRECTION = {"info_nce", "cpc", "n_pair", "mochi", "cacr"}  # their first view asks, the second answers


def over(names: Iterable[str]) -> pytest.MarkDecorator:
    """The test for each of these losses."""
    chosen = [name for name in OF_VIEWS if name in set(names)]
    return pytest.mark.parametrize("loss", [OF_VIEWS[name] for name in chosen], ids=chosen)


every_loss = over(OF_VIEWS)


def batch(seed: int, samples: int = 8, dimensions: int = 5) -> tuple[Tensor, Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(samples, 2, dimensions, generator=generator, dtype=torch.float64)
    return z, torch.arange(samples) % 3, generator


def same(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, atol=1e-9, rtol=1e-9)


@every_loss
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_order_of_samples(loss: losses.Loss, seed: int) -> None:
    z, y, generator = batch(seed)
    order = torch.randperm(len(z), generator=generator)
    each = loss.on_views(z, y, reduction="none")
    shuffled = loss.on_views(z[order], y[order], reduction="none")
    per_sample = len(each) // len(z)
    same(shuffled, each.view(len(z), per_sample)[order].flatten())
    same(loss.on_views(z, y), loss.on_views(z[order], y[order]))


@over(OF_VIEWS.keys() - OF_COORDINATES)
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_rotation_of_space(loss: losses.Loss, seed: int) -> None:
    z, y, generator = batch(seed)
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))
    same(loss.on_views(z, y, reduction="none"), loss.on_views(z @ rotation, y, reduction="none"))


@over(name for name, loss in OF_VIEWS.items() if not loss.raw)
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_length_of_raw_inputs(loss: losses.Loss, seed: int) -> None:
    z, y, generator = batch(seed)
    lengths = torch.rand(8, 2, 1, generator=generator, dtype=torch.float64) * 10 + 0.1
    same(loss.on_views(z, y), loss.on_views(z * lengths, y))
    same(loss.on_views(z, y), loss.on_views(torch.nn.functional.normalize(z, dim=-1), y, normalize=False))


@every_loss
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_names_of_classes(loss: losses.Loss, seed: int) -> None:
    z, y, generator = batch(seed)
    names = torch.randperm(1000, generator=generator)[:3]
    same(loss.on_views(z, y, reduction="none"), loss.on_views(z, names[y], reduction="none"))


@over(OF_VIEWS.keys() - OF_ONE_DIRECTION)
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_swap_of_views(loss: losses.Loss, seed: int) -> None:
    z, y, _ = batch(seed)
    same(loss.on_views(z, y), loss.on_views(z.flip(1), y))


@every_loss
def test_mean_is_the_weighted_mean_of_the_anchors(loss: losses.Loss) -> None:
    z, y, _ = batch(5)
    parts = loss.parts_on_views(z, y)
    each = loss.on_views(z, y, reduction="none")
    weight = parts.get("anchor_weight", torch.ones_like(each))
    same(loss.on_views(z, y), (each * weight).sum() / weight.sum())
    same(each, parts["loss"])


@every_loss
def test_a_loss_survives_pickling(loss: losses.Loss) -> None:
    assert pickle.loads(pickle.dumps(loss)) is loss
