"""Views of samples of any kind."""

import pytest
import torch

from cl_explore.views.noisy import Noisy


def test_noisy_views_differ_by_the_noise_and_without_it_are_the_samples() -> None:
    x = torch.rand(500, 1, 8, 8)
    state = (generator := torch.Generator().manual_seed(0)).get_state()
    assert torch.equal(Noisy()(x, generator, 2), torch.stack([x, x], dim=1))
    assert torch.equal(generator.get_state(), state), "nothing is drawn for no noise"
    added = Noisy(0.2)(x, generator, 2) - x[:, None]
    assert float(added.std()) == pytest.approx(0.2, abs=0.01)
    assert not torch.equal(added[:, 0], added[:, 1])
