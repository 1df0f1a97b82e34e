"""Values and gradients are finite and exact wherever the arguments are legal: any dtype, temperature and batch."""

import itertools
import re
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

import pytest
import torch
from gpu_stages.inputs import Inputs, given, temperatures
from roles import LABELLINGS, MAY_BE_NEGATIVE, POINTS, ends, options

from cl_explore import losses
from cl_explore.losses import Loss, similarity, tiles
from cl_explore.losses.arguments import ROLES

every_loss = pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)
HALF = (torch.float16, torch.bfloat16)
DTYPES = (torch.float64, torch.float32, *HALF)
TEMPERATURES = (1e-3, 0.05, 0.5, 10.0)
EPS = torch.finfo(torch.float32).eps


def grid(loss: Loss) -> Iterator[tuple[int, torch.dtype, dict[str, Any]]]:
    """Samples, dtype and knobs: all sizes at all temperatures, then every switch and number of the loss."""
    yield from itertools.product((2, 3, 24), DTYPES, temperatures(loss, TEMPERATURES))
    for knobs in (*options(loss)[1:], *ends(loss)):
        yield from itertools.product((24,), (torch.float32, torch.float16), (knobs,))
    for knobs in options(loss)[1:]:
        cold = [knobs | at for at in temperatures(loss, (1e-3, 10.0)) if at]
        yield from itertools.product((2, 24), (torch.float32, torch.bfloat16), cold)
    if loss.fits(2):
        yield from itertools.product((512,), (torch.float32, torch.bfloat16), temperatures(loss, (0.05,)))


def sharpness(loss: Loss, knobs: dict[str, Any]) -> float:
    """How large the logits of a loss get: sums of them in float32 are good to so many units in the last place."""
    numbers = [abs(v) for v in (loss.defaults | knobs).values() if not isinstance(v, str)]
    heat = knobs.get("temperature", loss.defaults.get("temperature", 1.0))
    return max(1.0, 1 / heat, *numbers) * (40 if loss.raw else 1)


def value_and_gradients(loss: Loss, x: Inputs, **knobs: Any) -> tuple[torch.Tensor, Inputs]:
    x = {name: t.clone().requires_grad_() if t.is_floating_point() else t for name, t in x.items()}
    value = loss(**x, **knobs)
    value.backward()
    found = {name: t.grad for name, t in x.items() if t.grad is not None}
    assert found, "nothing carries a gradient"
    return value.detach(), found


@every_loss
def test_precision(loss: Loss) -> None:
    """Against float64 on the same rounded numbers: what is tested is the loss, not the rounding of its input."""
    for samples, dtype, knobs in grid(loss):
        where = f"{loss.name}, {samples} samples, {dtype}, {knobs}"
        z = torch.randn(samples, 2, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
        x = given(loss, z, torch.arange(samples) % 2)
        value, gradients = value_and_gradients(loss, x, **knobs)
        exact = {name: t.double() if t.is_floating_point() else t for name, t in x.items()}
        truth, true_gradients = value_and_gradients(loss, exact, **knobs)
        assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32), where
        unit = EPS * sharpness(loss, knobs)
        assert (value.double() - truth).abs() <= 16 * unit * (1 + truth.abs()), where
        assert gradients.keys() == true_gradients.keys(), where
        for name, true in true_gradients.items():
            assert gradients[name].dtype == dtype, where
            if loss.name == "barlow_twins" and samples == 2:
                # Two standardised numbers are +1 and -1 whatever they were: the gradient is what rounding leaves.
                assert gradients[name].isfinite().all(), where
                continue
            info = torch.finfo(dtype)
            if true.abs().max() > info.max:
                continue  # no number of this dtype is so large
            rounding = info.eps + info.smallest_normal * 2 / true.abs().max().clamp(1e-30)
            error = (gradients[name].double() - true).norm()
            assert error <= (16 * unit + 2 * rounding) * true.norm() + 4 * unit, f"{where}, gradient of {name}"


@every_loss
def test_autocast_does_not_reach_the_logits(loss: Loss) -> None:
    z = torch.randn(32, 2, 16, generator=torch.Generator().manual_seed(0))
    x = given(loss, z, torch.arange(32) % 4)
    for knobs, dtype in itertools.product(options(loss), HALF):
        with torch.autocast("cpu", dtype=dtype):
            inside = loss(**x, **knobs)
        assert torch.equal(inside, loss(**x, **knobs)), f"{loss.name}, {dtype}, {knobs}"


SQUARES = {"cpc", "n_pair", "spectral", "attribute_alignment", "shamisa", "selfie", "label_nce"}
"""Raw losses whose formula multiplies lengths: 1e30 times 1e30 is no number of float32, 1e6 is tried instead."""


@every_loss
def test_degenerate_batches(loss: Loss) -> None:
    """Finite, or refused where the documentation says so."""
    doc = re.sub(r"\s+", " ", loss.__doc__ or "")
    for points, labelling in itertools.product(POINTS, LABELLINGS if "labels" in loss.needs else ("two classes",)):
        z = POINTS[points].clamp(max=1e6) if loss.name in SQUARES else POINTS[points]
        knobs = [a | b for a in options(loss) for b in temperatures(loss, (1e-3, 0.1, 10.0))] + list(ends(loss))
        for optional, setting in itertools.product((True, False), knobs):
            where = f"{loss.name}, {points}, {labelling}, {setting}, {'every' if optional else 'no optional'} argument"
            x = given(loss, z, LABELLINGS[labelling], optional)
            one = labelling in ("one class", "only targets")
            needs_two = one and "no anchor has both a positive and a negative" in doc
            with pytest.raises(ValueError, match="a negative") if needs_two else nullcontext():
                value, gradients = value_and_gradients(loss, x, **setting)
                assert value.isfinite(), where
                assert all(gradient.isfinite().all() for gradient in gradients.values()), where


@pytest.mark.parametrize("name", ["rnc", "barlow_twins", "vicreg", "spectral"])
def test_raw_points_far_away(name: str) -> None:
    """Very long embeddings that all coincide."""
    loss = losses.get(name)
    value, gradients = value_and_gradients(loss, given(loss, POINTS["huge"], LABELLINGS["two classes"]))
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients.values())


@every_loss
def test_no_loss_but_some_says_less_than_nothing(loss: Loss, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of views that agree, each anchor: stored and in tiles, classes apart or collapsed, at small temperatures."""
    z = torch.randn(24, 1, 128, generator=torch.Generator().manual_seed(0)).expand(-1, 2, -1)
    monkeypatch.setattr(tiles, "_side", lambda a, b: 16)
    for limit, labels, collapsed in itertools.product((10**9, 0), (torch.arange(24), torch.arange(24) % 5), (0, 1)):
        monkeypatch.setattr(similarity, "_dense_limit", lambda device, limit=limit: limit)
        x = z[labels] if collapsed else z
        agreed = {
            name: value if ROLES[name].kind != "embeddings" else x if value.ndim == 3 else x[: len(value), 0]
            for name, value in given(loss, x, labels, optional=False).items()
        }
        for knobs, heat in itertools.product(options(loss), temperatures(loss, (0.07, 0.05, 0.02))):
            chosen = (loss.defaults | knobs).values()
            if MAY_BE_NEGATIVE.isdisjoint({loss.name, *(f"{loss.name} {value}" for value in chosen)}):
                with suppress(ValueError):  # such as one class for each sample, where a loss needs more of one
                    least = loss(**agreed, **knobs, **heat, reduction="none").min()
                    assert least >= 0, (
                        f"{loss.name}, {limit}, {len(labels.unique())} classes, {collapsed}, {knobs | heat}"
                    )


def test_supcon_in_is_never_above_supcon() -> None:
    for samples, classes, tau in itertools.product((24, 100, 300), (5, 40, 300), (0.07, 0.02)):
        labels = torch.arange(samples) % classes
        for sample in (torch.arange(samples), labels):
            z = torch.randn(samples, 1, 64, generator=torch.Generator().manual_seed(1))[sample].expand(-1, 2, -1)
            inside, outside = (
                loss(z, labels, temperature=tau, reduction="none") for loss in (losses.supcon_in, losses.supcon)
            )
            assert (inside <= outside).all(), (samples, classes, tau)


def test_a_row_maximum_never_includes_the_point_itself() -> None:
    """At tau 1e-3 the own similarity is e^1000 times any other: it must be left out before the maximum is taken."""
    z = torch.eye(6)[:, None].expand(6, 2, 6) * 1.0
    value = losses.nt_xent(z.roll(1, 0) * 0.1 + z, temperature=1e-3)
    assert value.isfinite()
    orthogonal = losses.supcon(torch.eye(6), torch.arange(6) // 2, temperature=1e-3)
    torch.testing.assert_close(orthogonal, torch.tensor(5.0).log())


def test_no_hidden_floor_under_a_probability() -> None:
    """A positive of probability e^-2000 costs 2000, with a full gradient."""
    query, key = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[-1.0, 0.0], [0.0, -1.0]]).flip(0)
    value = losses.info_nce(query, -query, query, temperature=1e-3)
    torch.testing.assert_close(value, torch.tensor(2000.0), atol=1e-2, rtol=0)
    assert losses.info_nce(query, key, temperature=1e-3).isfinite()
