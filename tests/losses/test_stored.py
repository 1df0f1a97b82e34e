"""Log-sum-exps of a stored table against autograd of the plain formula: every rule, first and second derivatives."""

import itertools

import pytest
import torch
from loops import random
from torch import Tensor

from cl_explore.losses import stored

IDS = torch.tensor([0, 1, 0, 2, 2, 0])
LEFT_OUT = {"all": None, "same": IDS[:, None] == IDS, "other": IDS[:, None] != IDS}


def plain(a: Tensor, b: Tensor, scale: Tensor, own: bool, left_out: Tensor | None) -> Tensor:
    logits = (a * scale[..., None]) @ b.T
    if own:
        logits = logits.masked_fill(torch.eye(len(a), dtype=torch.bool), -torch.inf)
    return (logits if left_out is None else logits.masked_fill(left_out, -torch.inf)).logsumexp(1)


@pytest.mark.parametrize("left_out", LEFT_OUT)
def test_values_and_gradients(left_out: str) -> None:
    one, two, each = torch.tensor(3.0).double(), random(6, 3, seed=1), torch.linspace(1, 5, 6).double()
    for square, scale, own in itertools.product((True, False), (one, each), (True, False)):
        a, scale = random(6, 3).requires_grad_(), scale.clone().requires_grad_()
        b = a if square else two.clone().requires_grad_()
        results = []
        for function in (stored.rows, plain):
            value = function(a, b, scale, own, LEFT_OUT[left_out])
            finite = value.isfinite()
            weighed = (value[finite] * torch.linspace(-1, 2, int(finite.sum())).double()).sum()
            results.append((value, *torch.autograd.grad(weighed, (a, scale) if square else (a, b, scale))))
        for found, expected in zip(*results, strict=True):
            torch.testing.assert_close(found, expected, msg=lambda text, at=(square, scale.ndim, own): f"{at}: {text}")


def test_second_derivatives() -> None:
    a, b = random(5, 3).requires_grad_(), random(4, 3, seed=1).requires_grad_()
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda a, b, s: stored.rows(a, b, s, False, None), (a, b, scale))
    assert torch.autograd.gradgradcheck(lambda a, s: stored.rows(a, a, s, True, None), (a, scale))


def test_second_derivatives_of_a_contrast_whose_temperature_depends_on_its_rows() -> None:
    a, own = random(6, 3).requires_grad_(), torch.arange(6) ^ 1
    for share, normalize in itertools.product((own, torch.eye(6).double()[own]), (True, False)):

        def values(a: Tensor, share: Tensor = share, normalize: bool = normalize) -> tuple[Tensor, Tensor]:
            return stored.contrast(a, None, a.square().mean(), share, normalize=normalize)

        once, again = (torch.autograd.grad(values(a)[0].sum(), a, create_graph=further)[0] for further in (False, True))
        torch.testing.assert_close(once, again)
        assert torch.autograd.gradcheck(values, a)
        assert torch.autograd.gradgradcheck(values, a)


def test_a_row_without_a_pair_is_minus_infinity_without_a_gradient() -> None:
    a, lonely = random(6, 3).requires_grad_(), torch.tensor([0, 1, 1, 2, 2, 2])
    value = stored.rows(a, a, torch.tensor(2.0).double(), True, lonely[:, None] != lonely)
    assert value[0] == -torch.inf
    assert value[1:].isfinite().all()
    (gradient,) = torch.autograd.grad(value[1:].sum(), a)
    assert (gradient[0] == 0).all()
    assert gradient.isfinite().all()
