import copy
import math

import numpy as np
import pytest
import torch

from cl_explore import data, nn, train
from cl_explore.methods import JointEmbedding
from cl_explore.train import LARS
from cl_explore.views import ImageViews


def parameter(values, gradient):
    point = torch.nn.Parameter(torch.tensor(values, dtype=torch.float64))
    point.grad = torch.tensor(gradient, dtype=torch.float64)
    return point


def test_one_step_by_hand():
    # ||w|| = 5, ||g|| = 10: lambda = 0.1 * 5 / (10 + 0.2 * 5) = 1/22, update = 0.5 / 22 * (g + 0.2 w)
    weight = parameter([[3.0, 4.0]], [[6.0, 8.0]])
    LARS([weight], lr=0.5, weight_decay=0.2, trust=0.1).step()
    torch.testing.assert_close(weight.detach(), torch.tensor([[3 - 6.6 / 44, 4 - 8.8 / 44]], dtype=torch.float64))


def test_algorithm_1_of_the_paper():
    rng = np.random.default_rng(0)
    start, gradients, rates = rng.normal(size=(4, 3)), rng.normal(size=(6, 4, 3)), rng.uniform(0.1, 2, 6)
    weight = torch.nn.Parameter(torch.tensor(start))
    optimizer = LARS([weight], lr=1.0, momentum=0.8, weight_decay=0.01, trust=0.02)
    w, v = start.copy(), np.zeros_like(start)
    for rate, g in zip(rates, gradients, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.tensor(g)
        optimizer.step()
        local = 0.02 * np.linalg.norm(w) / (np.linalg.norm(g) + 0.01 * np.linalg.norm(w))
        v = 0.8 * v + rate * local * (g + 0.01 * w)
        w = w - v
        np.testing.assert_allclose(weight.detach(), w, rtol=1e-12)


def test_a_layer_moves_by_a_share_of_its_length_whatever_its_gradient():
    for scale in (1e-6, 1.0, 1e6):
        weight = parameter([[3.0, 4.0]], [[scale, -scale]])
        before = weight.detach().clone()
        LARS([weight], lr=2.0, trust=0.01).step()
        assert (weight.detach() - before).norm().item() == pytest.approx(2 * 0.01 * 5)


def test_biases_take_plain_momentum_without_decay():
    bias, other = parameter([1.0, 2.0], [0.5, -0.5]), parameter([1.0, 2.0], [0.5, -0.5])
    ours = LARS([bias], lr=0.1, momentum=0.9, weight_decay=0.5)
    theirs = torch.optim.SGD([other], lr=0.1, momentum=0.9)
    for _ in range(3):
        ours.step()
        theirs.step()
    torch.testing.assert_close(bias, other)


def test_layers_at_zero_or_without_slope():
    zero, flat, unused = (
        parameter([[0.0, 0.0]], [[1.0, 2.0]]),
        parameter([[1.0, 2.0]], [[0.0, 0.0]]),
        parameter([[1.0]], [[0.0]]),
    )
    unused.grad = None
    optimizer = LARS([zero, flat, unused], lr=0.1)
    optimizer.step()
    assert zero.tolist() == [[-0.1, -0.2]]
    assert flat.tolist() == [[1.0, 2.0]]
    assert unused.tolist() == [[1.0]]
    assert optimizer.step(lambda: math.pi) == math.pi


def test_it_trains():
    torch.manual_seed(0)
    method = JointEmbedding(nn.MLP([64, 64]), nn.projection_head(64, 32, 16), "nt_xent", ImageViews.weak())
    settings = {"optimizer": "lars", "lr": 30.0, "weight_decay": 1e-4, "warmup_epochs": 1}
    history = train.fit(method, data.load("digits"), epochs=8, store=False, progress=False, **settings).history
    assert history["loss"].tail(5).mean() < history["loss"].iloc[0] - 0.5


def test_lists_give_the_numbers_of_one_weight_after_the_other():
    def step(group, weight, velocity):
        update = weight.grad
        if weight.ndim > 1:
            decay, length, slope = group["weight_decay"], weight.norm(), weight.grad.norm()
            rate = group["trust"] * length / (slope + decay * length)
            update = torch.where((length > 0) & (slope > 0), rate, 1.0) * (update + decay * weight)
        velocity.mul_(group["momentum"]).add_(update, alpha=group["lr"])
        weight.sub_(velocity)

    torch.manual_seed(0)
    network = torch.nn.Sequential(nn.MLP([6, 8, 4]), torch.nn.Linear(4, 2))
    torch.nn.init.zeros_(network[1].weight)
    other = copy.deepcopy(network)
    ours, velocities = LARS(network.parameters(), lr=0.3, weight_decay=0.01), {}
    for _ in range(4):
        for weight, twin in zip(network.parameters(), other.parameters(), strict=True):
            weight.grad = torch.randn(weight.shape)
            twin.grad = weight.grad.clone()
        next(network.parameters()).grad = None
        ours.step()
        with torch.no_grad():
            for name, weight in list(other.named_parameters())[1:]:
                step(ours.param_groups[0], weight, velocities.setdefault(name, torch.zeros_like(weight)))
    for weight, twin in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(weight, twin, rtol=1e-6, atol=1e-7)
