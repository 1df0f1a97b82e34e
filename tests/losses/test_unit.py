"""Unit vectors: values and all derivatives against the plain formula."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.unit import unit


def batch(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_is_the_plain_formula_at_any_length() -> None:
    for length, dtype in itertools.product((1e-30, 1e-6, 1.0, 1e6, 1e30), (torch.float32, torch.float64)):
        results = []
        for function in (unit, lambda z: F.normalize(z.double(), dim=-1).to(z.dtype)):
            z = (length * batch(dtype)).requires_grad_()
            x = function(z)
            results.append((x, torch.autograd.grad((x * batch(dtype).roll(1, 0)).sum(), z)[0] * length))
        torch.testing.assert_close(*results, msg=lambda text, at=(length, dtype): f"{at}: {text}")


def test_derivatives() -> None:
    z = batch().requires_grad_()
    assert torch.autograd.gradcheck(unit, z, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(unit, z)


def test_zero_stays_zero() -> None:
    """And has no direction to turn to: a gradient of 1e12 would be infinite in half precision."""
    z = torch.zeros(2, 3, requires_grad=True)
    assert torch.equal(unit(z), z)
    for gradient in (torch.autograd.grad(unit(z).sum(), z)[0], torch.func.grad(lambda z: unit(z).sum())(z)):
        assert (gradient.abs() < 1e-30).all()


def test_transforms() -> None:
    def cubes(z: Tensor) -> Tensor:
        return unit(z).pow(3).sum()

    def plain(z: Tensor) -> Tensor:
        return F.normalize(z, dim=-1).pow(3).sum()

    z = batch()
    torch.testing.assert_close(torch.func.hessian(cubes)(z[0]), torch.func.hessian(plain)(z[0]))
    each = torch.func.vmap(torch.func.grad(cubes))(z)
    torch.testing.assert_close(each, torch.func.vmap(torch.func.grad(plain))(z))
    torch.testing.assert_close(torch.compile(cubes, backend="aot_eager", fullgraph=True)(z), plain(z))
