"""Gradients against finite differences: by every tensor that carries one, and by the knobs an anchor may own."""

from typing import Any

import pytest
import torch
from gpu_stages.inputs import Inputs, given
from roles import batch, options
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import Choice, Knob, Loss

every_loss = pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)
HELD: dict[str, set[str]] = {
    # loss: the tensors it takes as constants
    "moco": {"key", "queue"},
    "nnclr": {"z", "queue"},
    "byol": {"z"},
    "simsiam": {"z"},
    "deviation": {"z"},
    "swav": {"memory"},
    "paco": {"teacher", "queue"},
    "nspt": {"teacher"},
    "ntpt": {"teacher"},
    "rnc": {"targets"},
    "supremix": {"targets"},
    "sogclr": {"log_mean"},
    "isogclr": {"log_mean"},
}
# Finite differences see through every stop-gradient: these hold weights or codes, and their own files test the rest.
HOLDS_PARTS = {"swav", "sogclr", "isogclr", "cacr_momentum"}


def live(loss: Loss) -> dict[str, str]:
    """Every switch of a gradient on."""
    return {k.name: "live" for k in loss.knobs if isinstance(k, Choice) and "live" in k.options}


def small(loss: Loss, seed: int) -> Inputs:
    z, y, _ = batch(seed, samples=4, dimensions=4)
    return given(loss, z, y)


@every_loss
def test_gradient(loss: Loss) -> None:
    x = small(loss, seed=3)
    numbers = [name for name in x if x[name].is_floating_point()]
    for name in numbers:
        x[name] = x[name].clone().requires_grad_()
    free = [name for name in numbers if name not in HELD.get(loss.name, ())]
    for knobs in options(loss):

        def value(*moved: Tensor, knobs: dict[str, Any] = knobs) -> Tensor:
            return loss(**x | dict(zip(free, moved, strict=True)), **knobs)

        found = torch.autograd.grad(value(*(x[name] for name in free)), [x[n] for n in numbers], allow_unused=True)
        carry = {name for name, gradient in zip(numbers, found, strict=True) if gradient is not None}
        assert carry == set(free) if not knobs else carry <= set(free), f"{knobs}: a gradient reaches {sorted(carry)}"
        knobs |= live(loss)
        if loss.name not in HOLDS_PARTS:
            moved = [x[name] for name in free]
            assert torch.autograd.gradcheck(value, moved, atol=1e-6), knobs


@pytest.mark.parametrize("loss", [loss for loss in losses.catalogue.values() if live(loss)], ids=lambda loss: loss.name)
def test_switches_of_gradients(loss: Loss) -> None:
    """They change the gradient, never the value."""
    x = small(loss, seed=5)
    for name in live(loss):
        z = x["z"].clone().requires_grad_()
        on, off = (loss(**x | {"z": z}, **{name: option}) for option in ("live", "detach"))
        torch.testing.assert_close(on, off, atol=1e-12, rtol=1e-12)
        assert not torch.allclose(torch.autograd.grad(on, z)[0], torch.autograd.grad(off, z)[0]), name
        default = torch.autograd.grad(loss(**x | {"z": z}), z)[0]
        first = torch.autograd.grad(loss(**x | {"z": z}, **{name: loss.defaults[name]}), z)[0]
        assert torch.equal(default, first)


OWNED = [loss for loss in losses.catalogue.values() if any(getattr(knob, "per_anchor", False) for knob in loss.knobs)]
SHARED = {"listwise_wasserstein", "dhel", "mv_dhel", "mv_infonce", "sepclr"}
"""Losses with one number for several anchors, which the temperatures of all of them move."""


@pytest.mark.parametrize("loss", OWNED, ids=lambda loss: loss.name)
def test_gradient_of_the_knobs_of_an_anchor(loss: Loss) -> None:
    """One number for all is as many equal ones; each moves the value of its own anchor only."""
    x = small(loss, seed=4)
    count = len(loss(**x, reduction="none"))
    for knob in loss.knobs:
        if not (isinstance(knob, Knob) and knob.per_anchor):
            continue
        one = torch.tensor(0.4, dtype=torch.float64)
        same = loss(**x, **{knob.name: one.expand(count)}, reduction="none")
        torch.testing.assert_close(loss(**x, **{knob.name: one}, reduction="none"), same)
        torch.testing.assert_close(loss(**x, **{knob.name: 0.4}, reduction="none"), same)
        each = torch.linspace(0.2, 0.6, count, dtype=torch.float64).requires_grad_()
        if loss.name not in HOLDS_PARTS - {"swav"}:

            def value(number: Tensor, name: str = knob.name) -> Tensor:
                return loss(**x, **{name: number})

            assert torch.autograd.gradcheck(value, one.clone().requires_grad_(), atol=1e-6)
            assert torch.autograd.gradcheck(value, each, atol=1e-6)
        (slope,) = torch.autograd.grad(loss(**x, **{knob.name: each}, reduction="none")[1], each)
        assert slope[1] != 0
        others = torch.cat([slope[:1], slope[2:]]).abs().max()
        assert (others > 0) == (loss.name in SHARED), knob.name
