from itertools import pairwise

import pytest
import torch

from cl_explore.train import snapshot_steps
from cl_explore.train.schedule import cosine, make_optimizer


def test_cosine_rises_over_the_warm_up_and_falls_to_zero():
    factors = [cosine(step, 100, 10) for step in range(100)]
    assert factors[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert factors[10] == 1
    assert factors[55] == pytest.approx(0.5)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0 < factors[-1] < 1e-3


def test_cosine_without_warm_up_is_that_of_torch():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30)
    for step in range(30):
        assert 0.4 * cosine(step, 30) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(("total", "count"), [(1, 12), (5, 12), (275, 12), (100_000, 30), (7, 2)])
def test_snapshots_begin_untrained_end_trained_and_are_denser_early(total, count):
    steps = snapshot_steps(total, count)
    assert steps[0] == 0
    assert steps[-1] == total
    assert steps == sorted(set(steps))
    assert len(steps) <= count
    if total > 100:
        gaps = [b - a for a, b in pairwise(steps)]
        assert len(steps) == count
        assert gaps[0] < gaps[-1] / 5


def test_few_snapshots():
    assert snapshot_steps(10, 0) == []
    assert snapshot_steps(10, 1) == [10]


@pytest.mark.parametrize(
    ("name", "reference", "options"), [("adam", torch.optim.Adam, {}), ("sgd", torch.optim.SGD, {"momentum": 0.9})]
)
def test_optimizers_are_the_textbook_ones(name, reference, options):
    ours, theirs = (torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    first = make_optimizer(name, [ours], lr=0.01, weight_decay=0.0, fused=True)
    second = reference([theirs], lr=0.01, **options)
    for _ in range(5):
        for point, optimizer in ((ours, first), (theirs, second)):
            optimizer.zero_grad()
            (point - torch.tensor([1.0, 2.0, 5.0])).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)
