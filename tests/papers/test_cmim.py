"""cMIM: golden losses and gradients, the closed forms, what each objective rewards, the study's parts and the panel."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.nn import MLP
from cl_explore.papers.cmim import panel
from cl_explore.papers.cmim.method import Coder, Terms, latent, log_belongs, log_normal, marginal_mim
from cl_explore.views.noisy import Noisy

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "cmim.json").read_text())["cases"]


def double(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("case", GOLDEN[:-1], ids=lambda case: case["name"])
def test_contrast_and_latent_terms_and_their_gradients_are_golden(case: dict[str, Any]) -> None:
    given, params, out = case["inputs"], case["params"], case["outputs"]
    mean, log_scale = (double(given[name]).requires_grad_() for name in ("mean", "log_scale"))
    z = mean + log_scale.exp() * double(given["eps"])
    terms = Terms(torch.zeros(len(z)), log_normal(z, mean, log_scale), log_normal(z, 0.0, 0.0))
    belongs = log_belongs(z, params["temperature"])
    flags = {name: params[name] for name in ("normalize_loss", "normalize_gradient")}
    each = -belongs - latent(terms, z.shape[1], **flags)
    each.mean().backward()  # type: ignore[no-untyped-call]
    close = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(each, double(out["cmim_loss"]), **close)
    torch.testing.assert_close(belongs, double(out["log_p_k1_given_zx"]), **close)
    torch.testing.assert_close(mean.grad, double(case["grad"]["mean"]), **close)
    torch.testing.assert_close(log_scale.grad, double(case["grad"]["log_scale"]), **close)


def test_the_vae_is_golden_and_mim_with_its_marginal_is_the_joint_likelihood() -> None:
    case = GOLDEN[-1]
    given = case["inputs"]
    x, z, weights = (double(given[name]) for name in ("x", "z", "decoder_W"))
    mean = double(given["mean"]).requires_grad_()
    log_scale = math.log(given["scale"])
    code = mean + (z - mean.detach())
    log_px = log_normal(x, code @ weights, math.log(given["x_scale"]))
    terms = Terms(log_px, log_normal(code, mean, log_scale), log_normal(code, 0.0, 0.0))
    loss = -(terms.log_px + terms.log_pz - terms.log_qz).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(case["loss"], abs=1e-9)
    torch.testing.assert_close(marginal_mim(terms), -(terms.log_px + terms.log_pz))
    torch.testing.assert_close(mean.grad, double(case["grad"]["mean"]), rtol=1e-9, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.floats(0.1, 2))
def test_the_mean_form_does_not_count_the_negatives_and_infonce_does(count: int, tau: float) -> None:
    alike, apart = torch.ones(count, 3).double(), torch.eye(count).double()
    assert -log_belongs(alike, tau).mean().item() == pytest.approx(math.log(2))
    assert -log_belongs(apart, tau).mean().item() == pytest.approx(math.log1p(math.exp(-1 / tau)))
    assert losses.clip(alike, alike, temperature=tau).item() == pytest.approx(math.log(count))
    z = torch.randn(count, 4, generator=Generator().manual_seed(count)).double()
    mean, total = (log_belongs(z, tau, kind).expm1().neg() for kind in ("mean", "sum"))  # type: ignore[arg-type]
    torch.testing.assert_close(total / (1 - total), (count - 1) * mean / (1 - mean))


def test_the_contrast_turns_codes_and_never_stretches_them() -> None:
    z = torch.randn(6, 4, generator=Generator().manual_seed(0)).double().requires_grad_()
    log_belongs(z, 0.5).mean().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    assert z.grad.abs().max() > 1e-3
    torch.testing.assert_close((z * z.grad).sum(1), torch.zeros(6).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(log_belongs(3 * z.view(6, 2, 2), 0.5), log_belongs(z, 0.5))


def built(objective: str, **options: Any) -> Coder:
    torch.manual_seed(0)
    encoder, head = nn.Sequential(MLP([64, 16], batch_norm=False), nn.ReLU()), nn.Linear(16, 8)
    return Coder(encoder, head, objective, Noisy(), pixels=64, **options)  # type: ignore[arg-type]


def loss(batch: int, objective: str, **options: Any) -> float:
    x = torch.rand(batch, 1, 8, 8, generator=Generator().manual_seed(1))
    rows = torch.arange(batch)
    return built(objective, **options).step(Batch(x, rows, rows), Generator().manual_seed(2)).loss.item()


def test_objectives_differ_by_their_terms() -> None:
    x = torch.rand(5, 1, 8, 8, generator=Generator().manual_seed(1))
    z, (log_px, log_qz, log_pz) = built("ae").terms(x, Generator().manual_seed(2))
    ae = -log_px.mean().item()
    mim = ae - (log_qz + log_pz).mean().item() / 2
    found = {
        "ae": ae,
        "vae": ae + (log_qz - log_pz).mean().item(),
        "mim": mim,
        "cmim": mim - log_belongs(z, 1.0).mean().item(),
    }
    assert {name: loss(5, name) for name in found} == pytest.approx(found, rel=1e-5)
    assert loss(1, "cmim") == pytest.approx(loss(1, "mim"))
    assert loss(5, "ae", weight=0) == 0


def test_scales_are_clamped_and_means_are_the_embedding() -> None:
    method, x = built("cmim", least_log_scale=5.0), torch.rand(3, 1, 8, 8)
    mean, log_scale = method.posterior(method(x))
    assert log_scale.eq(5).all()
    assert torch.equal(method.project(method(x)), mean)
    assert method.informative(mean).shape == (3, 128)
    assert method.draw(mean).shape == (3, 64)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objective": "gan"}, "loss must be"),
        ({"objective": "ae", "sigma": 0.0}, "sigma must be"),
        ({"objective": "cmim", "temperature": -1.0}, "temperature must be"),
        ({"objective": "cmim", "negatives": "most"}, "negatives must be"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        built(**options)
    with pytest.raises(ValueError, match="head must give a mean and a scale"):
        Coder(nn.Identity(), nn.Linear(4, 3), "ae", Noisy(), pixels=4)


def test_the_panel_charges_by_batch_size_for_the_sum_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {name: np.eye(4, 2, dtype=np.float32) for name in panel.OBJECTIVES}
    made = panel.Learned(codes, np.arange(4), dict.fromkeys(codes, 0.1))
    monkeypatch.setattr(panel, "learn", lambda: made)
    shown = panel.CodesPanel(cosine=1.0)
    shown.wait()
    assert len(shown.picture.charts) == 5
    for batch in (2, 256):
        shown.knobs["batch"].value = batch
        read = dict(shown.picture.readout)
        assert read["mean of negatives"] == "0.693"
        assert read[f"sum of {batch - 1}"] == f"{math.log(batch):.3f}"
    for unfit in ({"batch": 5}, {"temperature": 3.0}, {"cosine": 2.0}):
        with pytest.raises(ValueError, match=f"{next(iter(unfit))} must be"):
            panel.CodesPanel(**unfit)
