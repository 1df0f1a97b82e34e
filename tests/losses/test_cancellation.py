"""Small differences of large numbers: float32 against float64, far from the origin, of great length, of near views."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from gpu_stages.inputs import given
from roles import options
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cl_explore import geometry, losses
from cl_explore.losses import Loss

LABELS = torch.arange(32) % 8
OF_DISTANCES: dict[str, dict[str, Any]] = {
    **{name: {"normalize": False} for name in ("triplet", "lifted", "contrastive_margin", "cacr")},
    "soft_nn": {"normalize": False, "temperature": 1.0},
    "proxy_nca": {"normalize": False},
    "rnc": {"temperature": 1.0},
    "attribute_alignment": {},
    "shamisa": {},
}
"""Losses of distances, on raw vectors."""


def gradient(loss: Loss, z: Tensor, **knobs: Any) -> tuple[Tensor, Tensor]:
    z = z.clone().requires_grad_()
    value = loss(**given(loss, z, LABELS, optional=False), **knobs)
    return value.detach().double(), torch.autograd.grad(value, z)[0].double()


def assert_near_float64(loss: Loss, z: Tensor, tolerance: float, **knobs: Any) -> None:
    """What is compared is the loss: both see the same numbers of float32."""
    (value, found), (true, expected) = (gradient(loss, x, **knobs) for x in (z.float(), z.float().double()))
    assert (value - true).abs() <= tolerance * (1 + true.abs()), knobs
    assert (found - expected).norm() <= tolerance * expected.norm(), knobs


@pytest.mark.parametrize("name", OF_DISTANCES)
def test_far_from_the_origin(name: str) -> None:
    loss = losses.get(name)
    z = 0.5 * torch.randn(32, 2, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for offset in (0, 10, 100, 1000):
        for knobs in options(loss):
            assert_near_float64(loss, z + offset, 1e-4, **OF_DISTANCES[name], **knobs)


@pytest.mark.parametrize("name", ["triplet", "lifted", "contrastive_margin", "cacr", "alignment", "supcon", "nt_xent"])
def test_views_near_each_other(name: str) -> None:
    """Unit vectors are themselves rounded, by 6e-8: of a distance of 1e-4 that is a share of 1e-3."""
    generator = torch.Generator().manual_seed(1)
    z, noise = (torch.randn(32, views, 16, generator=generator, dtype=torch.float64) for views in (1, 2))
    for distance in (1e-1, 1e-2, 1e-3, 1e-4):
        for knobs in options(losses.get(name)):
            if "hard" in knobs.values():
                continue  # rounding alone says which of two near views is the farther
            assert_near_float64(losses.get(name), z + distance * noise, 1e-5 + 1e-6 / distance, **knobs)


def of_ten_bits(x: Tensor) -> Tensor:
    """x (float32) rounded as TF32 does."""
    return ((x.clone().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


class TF32(TorchDispatchMode):
    """Matrix products of rounded factors, as a GPU takes them where TF32 is allowed."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_):
            args = (*args[:-2], *(of_ten_bits(x) for x in args[-2:]))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["nt_xent", "supcon", "clip", "info_nce"])
def test_products_of_ten_bits_spoil_no_solved_batch(name: str) -> None:
    """Stored (64 and 128 points) and in tiles (600), where every digit of a gradient was an error of rounding."""
    for samples in (64, 300):
        z = torch.randn(samples, 1, 64, generator=torch.Generator().manual_seed(4)).expand(-1, 2, -1)
        results = []
        for x, mode in ((z, TF32()), (z.double(), nullcontext())):
            x = x.clone().requires_grad_()
            with mode:
                each = losses.get(name).on_views(x, LABELS.repeat(10)[:samples], temperature=0.02, reduction="none")
                results.append((each.min(), torch.autograd.grad(each.mean(), x)[0].double()))
        (least, found), (_, expected) = results
        assert least >= 0
        assert (found - expected).norm() < 0.01 * expected.norm()


def test_no_length_is_too_great() -> None:
    z = torch.randn(32, 2, 16, generator=torch.Generator().manual_seed(2))
    for length in (1e18, 2e19, 1e30):
        for name in ("nt_xent", "supcon", "spectral", "varcon"):
            value, found = gradient(losses.get(name), length * z)
            true, expected = gradient(losses.get(name), z.double() * float(torch.tensor(length)))
            torch.testing.assert_close(value, true, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(length * found, length * expected, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(geometry.uniformity(length * z[:, 0]), geometry.uniformity(z[:, 0]))
        torch.testing.assert_close(geometry.alignment(length * z), geometry.alignment(z))


def test_rows_of_zeros_send_no_gradient_in_half_precision() -> None:
    for name in ("nt_xent", "supcon", "clip", "uniformity"):
        z = torch.randn(32, 2, 16, generator=torch.Generator().manual_seed(3)).half()
        z[3] = 0
        _, found = gradient(losses.get(name), z)
        assert found.isfinite().all()
        assert (found[3] == 0).all()
