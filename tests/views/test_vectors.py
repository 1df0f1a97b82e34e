"""Vector views: noise and feature dropout of the stated size, seeded, each vector by itself."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from cl_explore.views import VectorParameters, VectorViews


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_strength_zero_changes_nothing() -> None:
    x = torch.randn(5, 7, generator=seeded())
    views = VectorViews(strength=0.0)(x, seeded(), n_views=3)
    assert all(torch.equal(views[:, v], x) for v in range(3))


def test_views_follow_the_generator_and_differ_from_each_other() -> None:
    x = torch.randn(1, 64, generator=seeded()).expand(30, -1)
    generator = seeded()
    first, second = VectorViews()(x, generator), VectorViews()(x, generator)
    assert first.shape == (30, 2, 64)
    assert torch.equal(first, VectorViews()(x, seeded()))
    assert not torch.equal(first, second)
    assert torch.pdist(first.flatten(0, 1)).min() > 0.1


def test_apply_adds_the_noise_and_drops_features() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    drawn = VectorParameters(noise=torch.full((2, 2), 0.5), keep=torch.tensor([[True, False], [True, True]]))
    assert VectorViews().apply(x, drawn).tolist() == [[1.5, 0.0], [3.5, 4.5]]


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_noise_and_dropout_have_the_stated_size(strength: float) -> None:
    drawn = VectorViews(strength=strength).parameters(torch.zeros(500, 64), seeded())
    assert drawn.noise.std().item() == pytest.approx(0.15 * strength, rel=0.02)
    assert (~drawn.keep).float().mean().item() == pytest.approx(0.1 * strength, rel=0.05)


def test_switching_a_step_off_leaves_the_other_draws() -> None:
    x = torch.zeros(5, 7)
    full, without = VectorViews().parameters(x, seeded()), VectorViews(noise=0.0).parameters(x, seeded())
    assert torch.equal(full.keep, without.keep)


def test_repr_states_all_settings() -> None:
    augment = VectorViews(noise=0.2, dropout=0.3, strength=0.5)
    assert repr(augment) == "VectorViews(strength=0.5, noise=0.2, dropout=0.3)"
    assert replace(augment, strength=1.0) != augment


def test_data_may_lie_on_another_device_than_the_generator() -> None:
    assert VectorViews()(torch.empty(4, 8, device="meta"), seeded()).device.type == "meta"


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.int64), TypeError, "x must be a floating point tensor, got torch.int64"),
        (torch.zeros(2, 3, 4), ValueError, r"x must have shape \(B, F\), got \(2, 3, 4\)"),
    ],
)
def test_bad_vectors_are_refused(x: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        VectorViews()(x, seeded())


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"dropout must be at least 0 and finite, got -0\.1"):
        VectorViews(dropout=-0.1)
    with pytest.raises(ValueError, match=r"strength \* dropout must be below 1, got 1\.2"):
        VectorViews(dropout=0.6, strength=2.0)
