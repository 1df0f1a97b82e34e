"""Values and gradients against numbers computed with the authors' code, or with a float64 loop of the formula."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cl_explore import losses

GOLDEN = Path(__file__).parents[1] / "golden"
Case = dict[str, Any]
Call = Callable[[dict[str, Tensor], dict[str, Any]], Tensor]


def two_views(x: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(x.values())[:2], dim=1)


def labels_of(params: dict[str, Any]) -> Tensor:
    return torch.tensor(params["labels"])


def counting_singletons(loss: losses.Loss, z: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """The authors' SupCon keeps anchors without a positive in the mean, as zeros; ours leaves them out."""
    return loss(z, labels, temperature=temperature, reduction="none").mean()


def info_nce(x: dict[str, Tensor], p: dict[str, Any]) -> Tensor:
    return losses.info_nce(
        x["query"], x["positive"], x.get("negatives"), temperature=p["temperature"], normalize=p["normalize"]
    )


def nt_xent(x: dict[str, Tensor], p: dict[str, Any]) -> Tensor:
    return losses.nt_xent(two_views(x), temperature=p["temperature"])


def supcon(x: dict[str, Tensor], p: dict[str, Any]) -> Tensor:
    z = x["features"]
    labels = labels_of(p) if "labels" in p else torch.arange(len(z))
    each = losses.supcon(
        z, labels, temperature=p["temperature"], normalize=p["normalize_inputs"], reduction="none"
    ).view(z.shape[:2])
    if p.get("contrast_mode") == "one":
        each = each[:, :1]
    return each.mean() * p["temperature"] / p["base_temperature"]


def supcon_in_out(x: dict[str, Tensor], p: dict[str, Any]) -> Tensor:
    loss = {"in": losses.supcon_in, "out": losses.supcon}[p["variant"]]
    return counting_singletons(loss, x["z"], labels_of(p), p["temperature"])


def triplet(x: dict[str, Tensor], p: dict[str, Any]) -> Tensor:
    return losses.triplet(
        x["z"],
        labels_of(p),
        margin=p["margin"],
        mining="hard" if "hardest" in p.get("mining", "") else "all",
        distance="squared" if p.get("squared") else "euclidean",
        hinge="softplus" if p.get("smooth") else "relu",
        swap="on" if p.get("swap") else "off",
        average="active" if p.get("reducer") == "AvgNonZero" else "valid",
        normalize=p["normalize"],
    )


def contrastive_margin(x: dict[str, Tensor], p: dict[str, Any]) -> Tensor:
    """The file holds a list of pairs: each is a batch of two points here."""
    pairs = zip(x["z1"], x["z2"], p["same"], strict=True)
    each = [
        losses.contrastive_margin(
            torch.stack([a, b]), torch.tensor([0, 1 - same]), margin=p["margin"], normalize=p["normalize"]
        )
        for a, b, same in pairs
    ]
    return torch.stack(each).mean()


def align_uniform(x: dict[str, Tensor], p: dict[str, Any]) -> Tensor:
    if "alpha" not in p:
        return losses.uniformity(x["z0"], t=p["t"])
    if "t" not in p:
        return losses.alignment(two_views(x), alpha=p["alpha"])
    return losses.align_uniform(two_views(x), alpha=p["alpha"], t=p["t"], weight=p["unif_w"])


def decoupled(x: dict[str, Tensor], p: dict[str, Any]) -> Tensor:
    if "sigma" in p:
        return losses.dclw(two_views(x), temperature=p["temperature"], sigma=p["sigma"])
    return losses.dcl(two_views(x), temperature=p["temperature"])


def varcon(x: dict[str, Tensor], p: dict[str, Any]) -> Tensor:
    return losses.varcon(x["x"], labels_of(p), temperature=p["tau1"], epsilon=p["epsilon"])


def behaviour(x: dict[str, Tensor], p: dict[str, Any]) -> Tensor:
    if "alpha" in p:
        return losses.alignment(two_views(x), alpha=p["alpha"])
    if "t" in p:
        return losses.uniformity(x["x"], t=p["t"])
    return losses.info_nce(x["x_anchor"], x["x_positive"], x["x_memory"], temperature=p["tau"])


CALLS: dict[str, tuple[Call, Callable[[str], bool]]] = {
    # file: how to call the library, and which of the file's cases are about these losses
    "info-nce": (info_nce, lambda name: "bilinear" not in name),
    "nt-xent": (nt_xent, lambda name: name.startswith("lightly")),
    "supcon": (supcon, lambda name: True),
    "supcon-in-out": (supcon_in_out, lambda name: True),
    "triplet": (triplet, lambda name: True),
    # The file's other two cases average over the pairs that violate the margin, without the square: another loss.
    "contrastive-margin": (contrastive_margin, lambda name: name.startswith("Hadsell")),
    "align-uniform": (align_uniform, lambda name: True),
    "decoupled-contrastive-learning": (decoupled, lambda name: True),
    "varcon": (varcon, lambda name: True),
    "behaviour-of-contrastive-loss": (
        behaviour,
        lambda name: name.startswith(("contrastive", "align", "uniform")),
    ),
}


def cases() -> list[Any]:
    return [
        pytest.param(call, case, id=f"{file}: {case['name']}")
        for file, (call, wanted) in CALLS.items()
        for case in json.loads((GOLDEN / f"{file}.json").read_text())["cases"]
        if wanted(case["name"])
    ]


def leaves(case: Case) -> dict[str, Tensor]:
    return {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in case["inputs"].items()
        if name != "labels"
    }


@pytest.mark.parametrize(("call", "case"), cases())
def test_value_and_gradient(call: Call, case: Case) -> None:
    x = leaves(case)
    value = call(x, case["params"] | {k: v for k, v in case["inputs"].items() if k == "labels"})
    torch.testing.assert_close(value.item(), case["loss"], atol=1e-9, rtol=1e-9)
    value.backward()
    for name, expected in case["grad"].items():
        torch.testing.assert_close(x[name].grad, torch.tensor(expected, dtype=torch.float64), atol=1e-9, rtol=1e-9)


def varcon_cases() -> list[Case]:
    return json.loads((GOLDEN / "varcon.json").read_text())["cases"]


@pytest.mark.parametrize("case", varcon_cases(), ids=lambda case: case["name"])
def test_varcon_anatomy_and_switches(case: Case) -> None:
    """KL, NLL, tau2 and confidence as the authors compute them; the other gradient paths as the switches promise."""
    labels, p, extra = torch.tensor(case["inputs"]["labels"]), case["params"], case["extra"]
    knobs = {"temperature": p["tau1"], "epsilon": p["epsilon"]}
    parts = losses.varcon.parts(torch.tensor(case["inputs"]["x"], dtype=torch.float64), labels, **knobs)
    for part, expected in [("kl", extra["kl"]), ("nll", extra["nll"]), ("confidence", extra["avg_confidence"])]:
        torch.testing.assert_close(float(parts[part].mean()), abs(expected), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(parts["tau2"], torch.tensor(extra["tau2"], dtype=torch.float64), atol=1e-9, rtol=1e-9)
    for switch, expected in [
        ({"target_grad": "detach"}, extra["grad_target_detached"]),
        ({"centroid_grad": "live"}, extra["grad_live_centroid"]),
    ]:
        x = torch.tensor(case["inputs"]["x"], dtype=torch.float64, requires_grad=True)
        losses.varcon(x, labels, **knobs, **switch).backward()
        torch.testing.assert_close(x.grad, torch.tensor(expected, dtype=torch.float64), atol=1e-9, rtol=1e-9)


def dclw_cases() -> list[Case]:
    found = json.loads((GOLDEN / "decoupled-contrastive-learning.json").read_text())["cases"]
    return [case for case in found if "sigma" in case["params"]]


@pytest.mark.parametrize("case", dclw_cases(), ids=lambda case: case["name"])
def test_dclw_weight_and_its_live_gradient(case: Case) -> None:
    x, extra = leaves(case), case["extra"]
    knobs = {"temperature": case["params"]["temperature"], "sigma": case["params"]["sigma"]}
    weight = losses.dclw.parts(two_views(x), **knobs)["weight"]
    expected = torch.tensor(extra["weight"], dtype=torch.float64)
    torch.testing.assert_close(weight.detach()[::2], expected, atol=1e-9, rtol=1e-9)
    losses.dclw(two_views(x), **knobs, weight_grad="live").backward()
    for name, leaf in x.items():
        expected = torch.tensor(extra[f"grad_live_weight_{name}"], dtype=torch.float64)
        torch.testing.assert_close(leaf.grad, expected, atol=1e-9, rtol=1e-9)
