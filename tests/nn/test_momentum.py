import copy

import pytest
import torch

from cl_explore import nn


def move(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += torch.randn(parameter.shape, generator=generator)


def test_decay_1_never_moves_and_decay_0_copies():
    for decay in (1.0, 0.0):
        module = nn.MLP([4, 8, 2])
        before = copy.deepcopy(module)
        momentum = nn.Momentum(module, decay)
        move(module)
        momentum.update()
        wanted = before if decay == 1 else module
        for mine, theirs in zip(momentum.copy.parameters(), wanted.parameters(), strict=True):
            assert torch.equal(mine, theirs)


def test_distance_to_a_module_at_rest_shrinks_by_decay_to_the_n():
    module = nn.MLP([4, 8, 2]).double()
    momentum = nn.Momentum(module, 0.9)
    move(module)
    start = [k - q for k, q in zip(momentum.copy.parameters(), module.parameters(), strict=True)]
    for _ in range(7):
        momentum.update()
    for distance, k, q in zip(start, momentum.copy.parameters(), module.parameters(), strict=True):
        torch.testing.assert_close(k - q, 0.9**7 * distance)


def test_buffers_are_copied_not_averaged():
    module = nn.MLP([4, 8, 2])
    momentum = nn.Momentum(module, 0.9)
    module(torch.randn(16, 4) + 3)
    momentum.update()
    for mine, theirs in zip(momentum.copy.buffers(), module.buffers(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_copy_takes_no_gradient_and_is_saved_once():
    module = nn.MLP([4, 8, 2])
    momentum = nn.Momentum(module)
    assert not any(p.requires_grad for p in momentum.parameters())
    assert not momentum(torch.randn(3, 4)).requires_grad
    assert all(p.requires_grad for p in module.parameters())
    assert len(momentum.state_dict()) == len(module.state_dict())
    assert momentum.out_features == 2


def test_a_copied_method_follows_its_own_module():
    pair = torch.nn.ModuleList([nn.MLP([4, 2]), torch.nn.Identity()])
    pair[1] = nn.Momentum(pair[0], 0.0)
    twin = copy.deepcopy(pair)
    move(twin[0])
    twin[1].update()
    assert torch.equal(twin[1].copy.layers[0].weight, twin[0].layers[0].weight)
    assert not torch.equal(twin[1].copy.layers[0].weight, pair[0].layers[0].weight)


@pytest.mark.parametrize("decay", [-0.1, 1.5, float("nan")])
def test_decay_must_be_a_share(decay):
    with pytest.raises(ValueError, match="decay must be between 0 and 1"):
        nn.Momentum(nn.MLP([4, 2]), decay)
