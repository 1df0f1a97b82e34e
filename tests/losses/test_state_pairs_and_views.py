"""Queues, prototypes and learnable scales: what they hold, when they change, and that a checkpoint brings them back."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cl_explore.losses.assignment import SwAV, swav
from cl_explore.losses.modalities import CLIP, clip
from cl_explore.losses.queued import NNCLR, MoCo, moco, nnclr
from cl_explore.losses.sigmoid import SigLIP, siglip


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_moco_sees_the_old_queue_and_then_writes() -> None:
    criterion = MoCo(7, 4, temperature=0.2, generator=seeded())
    before = criterion.queue.rows.clone()
    query, key = random(3, 4, seed=1), random(3, 4, seed=2)
    torch.testing.assert_close(criterion(query, key), moco(query, key, before, temperature=0.2))
    torch.testing.assert_close(criterion.queue.rows[:3], F.normalize(key, dim=1))
    assert torch.equal(criterion.queue.rows[3:], before[3:])
    assert int(criterion.queue.pointer) == 3


def test_nnclr_looks_up_and_then_writes_the_first_view() -> None:
    criterion = NNCLR(7, 4, temperature=0.2, generator=seeded())
    before = criterion.queue.rows.clone()
    z, prediction = random(3, 2, 4, seed=1), random(3, 2, 4, seed=2)
    torch.testing.assert_close(criterion(z, prediction), nnclr(z, prediction, before, temperature=0.2))
    torch.testing.assert_close(criterion.queue.rows[:3], F.normalize(z[:, 0], dim=1))
    again = nnclr.parts(z.requires_grad_(), prediction, criterion.queue.rows)["neighbour"].view(3, 2)
    assert not again.requires_grad
    torch.testing.assert_close(again[:, 0], torch.ones(3))  # in the next step it would be its own neighbour


@pytest.mark.parametrize("batch", [1, 3, 7, 10])
def test_queue_is_first_in_first_out(batch: int) -> None:
    """After nine batches of any size the queue holds exactly the last 7 keys."""
    criterion = MoCo(7, 4)
    keys = random(9 * batch, 4)
    for part in keys.split(batch):
        criterion(random(batch, 4), part)
    found = (criterion.queue.rows @ F.normalize(keys, dim=1).T).max(1)
    torch.testing.assert_close(found.values, torch.ones(7))
    assert sorted(found.indices.tolist()) == list(range(len(keys) - 7, len(keys)))


def test_evaluation_changes_nothing() -> None:
    criterion = MoCo(7, 4).eval()
    before = {name: value.clone() for name, value in criterion.state_dict().items()}
    criterion(random(3, 4), random(3, 4, seed=1))
    assert all(torch.equal(value, before[name]) for name, value in criterion.state_dict().items())


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (lambda seed: MoCo(7, 4, generator=seeded(seed)), (random(3, 4), random(3, 4, seed=1))),
        (lambda seed: NNCLR(7, 4, generator=seeded(seed)), (random(3, 2, 4), random(3, 2, 4, seed=1))),
        (lambda seed: SwAV(5, 4, generator=seeded(seed)), (random(3, 2, 4),)),
        (lambda seed: CLIP(temperature=0.05 + seed), (random(3, 4), random(3, 4, seed=1))),
        (lambda seed: SigLIP(temperature=0.05 + seed, bias=seed), (random(3, 4), random(3, 4, seed=1))),
    ],
)
def test_a_checkpoint_restores_the_state(make: Callable[..., nn.Module], inputs: tuple[Tensor, ...]) -> None:
    criterion, other = make(0), make(1)
    criterion(*inputs)
    assert not torch.equal(criterion(*inputs), other(*inputs))
    other.load_state_dict(criterion.state_dict())
    assert torch.equal(criterion(*inputs), other(*inputs))
    assert torch.equal(make(2)(*inputs), make(2)(*inputs)), "the same generator draws the same start"
    assert criterion(*inputs, reduction="none").ndim == 1


@pytest.mark.parametrize("make", [lambda: MoCo(7, 4), lambda: NNCLR(7, 4), lambda: SwAV(5, 4), CLIP, SigLIP])
def test_two_steps_before_one_backward(make: Callable[..., nn.Module]) -> None:
    """Gradient accumulation: what a call changes must not spoil the graph of the call before."""
    criterion = make()
    shape = (3, 2, 4) if isinstance(criterion, NNCLR | SwAV) else (3, 4)
    x = random(*shape).requires_grad_()
    arguments = (x,) if isinstance(criterion, SwAV) else (x, random(*shape, seed=1).requires_grad_())
    (criterion(*arguments) + criterion(*arguments)).backward()
    given = arguments[1] if isinstance(criterion, NNCLR) else x
    assert given.grad is not None
    assert given.grad.isfinite().all()


def test_nothing_flows_into_keys_or_queue() -> None:
    criterion = MoCo(7, 4)
    query, key = random(3, 4).requires_grad_(), random(3, 4, seed=1).requires_grad_()
    criterion(query, key).backward()
    assert key.grad is None
    assert not criterion.queue.rows.requires_grad


def test_clip_holds_its_scale_below_the_limit() -> None:
    criterion = CLIP(temperature=0.07)
    query, key = random(5, 4), random(5, 4, seed=1)
    torch.testing.assert_close(criterion(query, key), clip(query, key, temperature=0.07))
    with torch.no_grad():
        criterion.log_scale.fill_(9.0)
    value = criterion(query, key)
    assert float(criterion.log_scale.detach()) == pytest.approx(math.log(100))
    torch.testing.assert_close(value, clip(query, key, temperature=0.01))
    value.backward()
    assert criterion.log_scale.grad is not None
    assert criterion.log_scale.grad != 0, "at the limit the scale can still come down"


def test_siglip_learns_scale_and_bias() -> None:
    criterion = SigLIP()
    query, key = random(5, 4), random(5, 4, seed=1)
    torch.testing.assert_close(criterion(query, key), siglip(query, key))
    optimiser = torch.optim.SGD(criterion.parameters(), lr=0.1)
    start = float(criterion(query, key).detach())
    for _ in range(20):
        optimiser.zero_grad()
        criterion(query, key).backward()
        optimiser.step()
    assert float(criterion(query, key).detach()) < start
    assert float(criterion.bias.detach()) != -10


def test_swav_brings_its_prototypes_back_to_the_sphere() -> None:
    criterion = SwAV(5, 4, temperature=0.2, epsilon=0.1, iterations=2, generator=seeded())
    z, memory = random(6, 2, 4), random(8, 2, 4, seed=1)
    start = criterion.prototypes.detach().clone()
    with torch.no_grad():
        criterion.prototypes.mul_(3)
    value = criterion(z, memory)
    torch.testing.assert_close(criterion.prototypes.detach(), start)
    torch.testing.assert_close(value, swav(z, start, memory, temperature=0.2, epsilon=0.1, iterations=2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MoCo(0, 4), "size must be at least 1, got 0"),
        (lambda: NNCLR(4, 0), r"shape must be numbers of at least 1, got \(0,\)"),
        (lambda: SwAV(0, 4), "prototypes must be at least 1, got 0"),
        (lambda: CLIP(temperature=0.0), "temperature must be positive, got 0.0"),
        (lambda: CLIP(max_scale=-1.0), "max_scale must be positive"),
        (lambda: SigLIP(temperature=float("nan")), "temperature must be positive, got nan"),
        (lambda: MoCo(4, 3)(random(5, 4), random(5, 4)), r"queue must have shape \(K, D\) with D = 4"),
    ],
)
def test_wrong_settings(make: Callable[..., nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
