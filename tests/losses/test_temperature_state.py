"""What SogCLR and iSogCLR store and when, that it is saved, and where the temperatures settle."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cl_explore.losses import ISogCLR, SogCLR, isogclr, sogclr


def views(samples: int = 5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, 2, 4, generator=generator, dtype=torch.float64)


def kl(z: Tensor, tau: Tensor) -> Tensor:
    """Nats between the softmax of each anchor's negatives at tau (N,) and uniform ones, (N,)."""
    x, sample = F.normalize(z, dim=-1).flatten(0, 1), torch.arange(len(z)).repeat_interleave(2)
    s = torch.stack([(x @ x[i])[sample != sample[i]] for i in range(len(x))])
    p = (s / tau[:, None]).softmax(1)
    return (p * (p * p.shape[1]).log()).sum(1)


def test_order_of_update_of_sogclr() -> None:
    """The loss already holds this batch; the store holds the mean of the two views; other samples stay as they are."""
    z, index, module = views(3), torch.tensor([4, 0, 2]), SogCLR(6, temperature=0.3, gamma=0.4).double()
    for when, batch in enumerate([z, z.flip(0) + 0.5]):
        before = module.log_mean.clone()
        parts = sogclr.parts(batch, before[index], temperature=0.3, gamma=0.4)
        torch.testing.assert_close(module(batch, index), parts["loss"].mean())
        stored = parts["log_mean"].exp().view(3, 2).mean(1).log()
        torch.testing.assert_close(module.log_mean[index], stored)
        assert (module.log_mean[[1, 3, 5]] == -torch.inf).all()
        assert (before[index] == -torch.inf).all() == (when == 0)


def test_order_of_update_of_isogclr() -> None:
    """The loss takes the temperature from before; the momentum's weight is the new gradient's; the step is clipped."""
    z, index = views(3), torch.tensor([4, 0, 2])
    module = ISogCLR(6, temperature=0.2, rho=0.6, gamma=0.7, eta=0.1, beta=0.3, low=0.05, high=0.9).double()
    module.log_mean[0], clipped = 40.0, 0  # an average so large that its logarithm leaves the clip
    for batch in (z, z.flip(0) + 0.5, z):
        tau, u, past = module.temperature.clone(), module.momentum.clone(), module.log_mean.clone()
        parts = isogclr.parts(batch, past[index], temperature=tau[index].repeat_interleave(2), rho=0.6, gamma=0.7)
        torch.testing.assert_close(module(batch, index, reduction="none"), parts["loss"])
        clipped += int((parts["temperature_gradient"].abs() > 3).sum())
        slope = parts["temperature_gradient"].clamp(-3, 3).view(3, 2).mean(1)
        u[index] = 0.7 * u[index] + 0.3 * slope
        torch.testing.assert_close(module.momentum, u)
        tau[index] = (tau[index] - 0.1 * u[index]).clamp(0.05, 0.9)
        torch.testing.assert_close(module.temperature, tau)
        torch.testing.assert_close(module.log_mean[index], parts["log_mean"].exp().view(3, 2).mean(1).log())
    assert clipped


@pytest.mark.parametrize("module", [SogCLR(6), ISogCLR(6)], ids=["SogCLR", "ISogCLR"])
def test_state_is_saved_without_parameters_and_rests_in_evaluation(module: nn.Module) -> None:
    z, index = views(4).float(), torch.tensor([0, 5, 3, 1])
    fresh = {name: value.clone() for name, value in module.state_dict().items()}
    assert set(fresh) == {"log_mean"} | ({"temperature", "momentum"} if isinstance(module, ISogCLR) else set())
    assert not list(module.parameters()), "an optimiser must not see the state"
    module.eval()
    module(z, index)
    assert all(torch.equal(value, fresh[name]) for name, value in module.state_dict().items())
    module.train()
    leaf = z.clone().requires_grad_()
    module(leaf, index).backward()
    assert leaf.grad is not None
    assert leaf.grad.abs().sum() > 0
    copy = type(module)(6)
    copy.load_state_dict(module.state_dict())
    torch.testing.assert_close(copy(z, index), module(z, index))


def test_a_temperature_settles_where_the_weights_carry_rho_nats() -> None:
    """On frozen embeddings, gamma 1: every temperature strictly inside its bounds solves KL = rho (by bisection)."""
    z, rho = views(24, seed=1), 0.3
    index = torch.arange(24)
    module = ISogCLR(24, temperature=0.3, rho=rho, gamma=1.0, eta=0.05, beta=0.5).double()
    for _ in range(800):
        module(z, index)
    tau = module.temperature
    assert ((tau > 0.05) & (tau < 1)).all()
    low, high = torch.full((24,), 0.01, dtype=torch.float64), torch.full((24,), 5.0, dtype=torch.float64)
    for _ in range(60):
        middle = (low + high) / 2
        excess = isogclr.parts(z, temperature=middle.repeat_interleave(2), rho=rho)["temperature_gradient"]
        sharp = excess.view(24, 2).mean(1) < 0
        low, high = torch.where(sharp, middle, low), torch.where(sharp, high, middle)
    torch.testing.assert_close(tau, low, atol=1e-6, rtol=0)
    mean_kl = kl(z, tau.repeat_interleave(2)).view(24, 2).mean(1)
    torch.testing.assert_close(mean_kl, torch.full_like(mean_kl, rho), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("rho", "bound"), [(1e-9, 1.0), (50.0, 0.05)])
def test_temperatures_stay_in_their_bounds(rho: float, bound: float) -> None:
    """No nats to spend: as hot as may be. More than there are: as cold."""
    z, index = views(6), torch.arange(6)
    module = ISogCLR(6, rho=rho, eta=0.1, gamma=1.0).double()
    for _ in range(200):
        module(z, index)
        assert ((module.temperature >= 0.05) & (module.temperature <= 1)).all()
    torch.testing.assert_close(module.temperature, torch.full_like(module.temperature, bound))


def test_an_optimiser_may_learn_the_temperature_instead() -> None:
    """Plain descent on per-sample temperatures follows the same gradient as the module's own update."""
    z = views(8, seed=2)
    tau = torch.full((8,), 0.4, dtype=torch.float64, requires_grad=True)
    isogclr(z, temperature=tau.repeat_interleave(2), rho=0.4, reduction="none").sum().backward()
    slope = isogclr.parts(z, temperature=0.4, rho=0.4)["temperature_gradient"].view(8, 2).sum(1)
    torch.testing.assert_close(tau.grad, slope)


WRONG: list[tuple[type[nn.Module], dict[str, Any], str]] = [
    (SogCLR, {"size": 1}, "size must be at least 2, got 1"),
    (ISogCLR, {"size": 1}, "size must be at least 2, got 1"),
    (ISogCLR, {"size": 4, "temperature": 0.01}, "temperature must lie in low to high"),
    (ISogCLR, {"size": 4, "low": 0.0}, "temperature must lie in low to high"),
    (ISogCLR, {"size": 4, "beta": 1.5}, "beta must be between 0 and 1, got 1.5"),
]


@pytest.mark.parametrize(("kind", "settings", "message"), WRONG)
def test_wrong_settings(kind: type[nn.Module], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**settings)


@pytest.mark.parametrize("module", [SogCLR(6), ISogCLR(6)], ids=["SogCLR", "ISogCLR"])
def test_wrong_index(module: nn.Module) -> None:
    z = views(3).float()
    for index, error, message in [
        (torch.tensor([0, 1, 6]), ValueError, "index must lie in 0 to 5, got 0 to 6"),
        (torch.tensor([0, -1, 2]), ValueError, "index must lie in 0 to 5, got -1 to 2"),
        (torch.tensor([0, 1]), ValueError, r"index must have shape \(B,\) with B = 3, got \(2,\)"),
        (torch.tensor([0.0, 1.0, 2.0]), TypeError, "index must be a tensor of integers, got torch.float32"),
        ([0, 1, 2], TypeError, "index must be a tensor of integers, got list"),
    ]:
        with pytest.raises(error, match=message):
            module(z, index)
    with pytest.raises(ValueError, match="reduction must be 'mean' or 'none', got 'sum'"):
        module(z, torch.arange(3), reduction="sum")
    assert (module.state_dict()["log_mean"] == -math.inf).all(), "nothing is stored when a call fails"
