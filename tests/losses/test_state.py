"""Modules that keep something: a checkpoint brings it back, evaluation leaves it, accumulation keeps its graph."""

import pytest
import torch
from loops import random
from torch import Tensor, nn

from cl_explore.losses import CLIP, NNCLR, MoCo, PaCo, SigLIP, SwAV

Made = tuple[nn.Module, tuple[Tensor, ...]]
Z, Q, P = (random(*shape).float() for shape in ((3, 2, 4), (3, 4), (3, 2, 4)))
Y = torch.tensor([0, 1, 0])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(name: str, seed: int) -> Made:
    """A criterion drawn with this seed, and what it is called with."""
    key = random(3, 4, seed=1).float()
    return {
        "MoCo": lambda: (MoCo(7, 4, generator=seeded(seed)), (Q, key)),
        "NNCLR": lambda: (NNCLR(7, 4, generator=seeded(seed)), (Z, P)),
        "PaCo": lambda: (PaCo(7, 4, generator=seeded(seed)), (Q, Y, Q[:, :2], key)),
        "SwAV": lambda: (SwAV(5, 4, generator=seeded(seed)), (Z,)),
        "CLIP": lambda: (CLIP(temperature=0.05 + seed), (Q, key)),
        "SigLIP": lambda: (SigLIP(temperature=0.05 + seed, bias=seed), (Q, key)),
    }[name]()


every_module = pytest.mark.parametrize("name", ["MoCo", "NNCLR", "PaCo", "SwAV", "CLIP", "SigLIP"])


@every_module
def test_a_checkpoint_restores_the_state(name: str) -> None:
    (criterion, inputs), (other, _) = make(name, 0), make(name, 1)
    criterion(*inputs)
    assert not torch.equal(criterion(*inputs), other(*inputs))
    other.load_state_dict(criterion.state_dict())
    assert torch.equal(criterion(*inputs), other(*inputs))
    first, second = (make(name, 2)[0] for _ in range(2))
    assert torch.equal(first(*inputs), second(*inputs)), "the same generator draws the same start"
    assert criterion(*inputs, reduction="none").ndim == 1


@every_module
def test_evaluation_changes_nothing(name: str) -> None:
    criterion, inputs = make(name, 0)
    criterion.eval()
    before = {key: value.clone() for key, value in criterion.state_dict().items()}
    criterion(*inputs)
    assert before
    torch.testing.assert_close(dict(criterion.state_dict()), before)  # unit vectors may be rounded once more


@every_module
def test_two_steps_before_one_backward(name: str) -> None:
    """Gradient accumulation: what a call changes must not spoil the graph of the call before."""
    criterion, inputs = make(name, 0)
    inputs = tuple(x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs)
    (criterion(*inputs) + criterion(*inputs)).backward()
    found = [x.grad for x in inputs if x.grad is not None]
    assert found
    assert all(gradient.isfinite().all() for gradient in found)
