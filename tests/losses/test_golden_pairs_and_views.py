"""Losses of pairs, of two sides, with queues and without negatives against numbers of the authors' codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cl_explore.losses.assignment import sinkhorn, swav
from cl_explore.losses.hypersphere import koleo
from cl_explore.losses.infonce import cpc, info_nce, nt_xent
from cl_explore.losses.modalities import clip, mil_nce
from cl_explore.losses.pairs import circle, lifted, multi_similarity, n_pair
from cl_explore.losses.predictive import byol, simsiam
from cl_explore.losses.queued import MoCo, moco, nnclr
from cl_explore.losses.redundancy import barlow_twins, vicreg
from cl_explore.losses.sigmoid import siglip
from cl_explore.losses.spectral import spectral

GOLDEN = Path(__file__).parents[1] / "golden"
Inputs = dict[str, Tensor]
Case = dict[str, Any]
Call = Callable[[Inputs, dict[str, Any]], Tensor]


def views(x: Inputs, *names: str) -> Tensor:
    return torch.stack([x[name] for name in names], dim=1)


def call_n_pair(x: Inputs, p: dict[str, Any]) -> Tensor:
    """The file's z holds the two points of each class in turn; its penalty has a factor of 1/4."""
    query, key = (x["anchor"], x["positive"]) if "anchor" in x else (x["z"][::2], x["z"][1::2])
    return n_pair(query, key, l2=p.get("l2", 0) / 4, normalize=p["normalize"])


def call_lifted(x: Inputs, p: dict[str, Any]) -> Tensor:
    form = p.get("variant", "lifted")
    return lifted(x["z"], torch.tensor(p["labels"]), margin=p["neg_margin"], form=form, normalize=p["normalize"])


def call_multi_similarity(x: Inputs, p: dict[str, Any]) -> Tensor:
    return multi_similarity(
        x["z"],
        torch.tensor(p["labels"]),
        alpha=p["alpha"],
        beta=p["beta"],
        base=p["base"],
        margin=0.1,
        mining="all" if p["mining"] == "none" else "hard",
    )


def call_circle(x: Inputs, p: dict[str, Any]) -> Tensor:
    scope = "batch" if p["scope"].startswith("batch") else "anchor"
    return circle(x["z"], torch.tensor(p["labels"]), margin=p["m"], gamma=p["gamma"], scope=scope)


def call_cpc(x: Inputs, p: dict[str, Any]) -> Tensor:
    return cpc(x["query"], x["positive"], x.get("W"), temperature=p["temperature"])


def call_moco(x: Inputs, p: dict[str, Any]) -> Tensor:
    return moco(x["query"], x["key"], x["queue"].T, temperature=p["temperature"])


def call_clip(x: Inputs, p: dict[str, Any]) -> Tensor:
    return clip(x["image"], x["text"], temperature=(-x["log_scale"]).exp())


def call_siglip(x: Inputs, p: dict[str, Any]) -> Tensor:
    return siglip(x["image"], x["text"], temperature=(-x["log_scale"]).exp(), bias=x["bias"])


def call_nnclr(x: Inputs, p: dict[str, Any]) -> Tensor:
    """One direction is two views that are the same."""
    z = views(x, "z0", "z1") if "z0" in x else views(x, "z", "z")
    prediction = views(x, "p0", "p1") if "p0" in x else views(x, "p", "p")
    return nnclr(z, prediction, x["queue"], temperature=p["temperature"])


def call_byol(x: Inputs, p: dict[str, Any]) -> Tensor:
    """The authors add the two directions, where the mean is taken here."""
    if "z0" in x:
        return 2 * byol(views(x, "z0", "z1"), views(x, "p0", "p1"))
    return byol(views(x, "z", "z"), views(x, "p", "p"))


def call_simsiam(x: Inputs, p: dict[str, Any]) -> Tensor:
    return simsiam(views(x, "z1", "z2"), views(x, "p1", "p2"))


def call_barlow_twins(x: Inputs, p: dict[str, Any]) -> Tensor:
    return barlow_twins(views(x, "z0", "z1"), redundancy=p["lambd"])


def call_vicreg(x: Inputs, p: dict[str, Any]) -> Tensor:
    return vicreg(views(x, "z0", "z1"), invariance=p["sim"], variance=p["std"], covariance=p["cov"], gamma=p["gamma"])


def call_swav(x: Inputs, p: dict[str, Any]) -> Tensor:
    """The file starts from scores: embeddings whose prototypes are the axes."""
    scores = views(x, "scores0", "scores1")
    memory = None
    if "queue0" in p:
        memory = torch.tensor([p["queue0"], p["queue1"]], dtype=torch.float64).transpose(0, 1)
    knobs = {name: p[name] for name in ("temperature", "epsilon", "iterations")}
    axes = torch.eye(scores.shape[2], dtype=scores.dtype)
    return swav(scores, axes, memory, normalize=False, **knobs)


def call_koleo(x: Inputs, p: dict[str, Any]) -> Tensor:
    return koleo(x["z"], eps=p["eps"])


def call_spectral(x: Inputs, p: dict[str, Any]) -> Tensor:
    query, key = x.values()
    return spectral(query, key, radius="free") if isinstance(p["mu"], str) else spectral(query, key, mu=p["mu"])


def call_vlp(x: Inputs, p: dict[str, Any]) -> Tensor:
    """CLIP alone, and the mean of a CLIP of clean and one of augmented pairs."""
    clean, augmented = ("z_image", "z_text") if "z_image" in x else ("z_image_global", "z_text_global"), []
    value = clip(x[clean[0]], x[clean[1]], temperature=1 / x["logit_scale"])
    if x.get("h_image_local", torch.empty(0)).numel():
        augmented = [clip(x["h_image_local"][0], x["h_text_local"][0], temperature=1 / x["h_logit_scale"])]
    return torch.stack([value, *augmented]).mean()


def call_vatt(x: Inputs, p: dict[str, Any]) -> Tensor:
    """The authors add the two directions, where the mean is taken here."""
    if "w_va" in p:
        audio = mil_nce(x["video_va"][:, 0], x["audio_va"], temperature=p["tau"])
        text = mil_nce(x["video_vt"][:, 0], x["texts_vt"], temperature=p["tau"])
        return 2 * (p["w_va"] * audio + p["w_vt"] * text) / (p["w_va"] + p["w_vt"])
    if p["kind"] == "asym":
        return mil_nce(x["m2"][:, 0], x["m1"], temperature=p["tau"], direction="joint")
    return 2 * mil_nce(x["m2"][:, 0], x["m1"], temperature=p["tau"])


def call_cvrl(x: Inputs, p: dict[str, Any]) -> Tensor:
    return 2 * nt_xent(views(x, "z1", "z2"), temperature=p["tau"], normalize=p["normalize"])


def call_slidr(x: Inputs, p: dict[str, Any]) -> Tensor:
    return info_nce(x["k"], x["q"], temperature=p["tau"])


CALLS: dict[str, tuple[Call, Callable[[str], bool]]] = {
    # file: how to call the library, and which of the file's cases are about these losses
    "n-pair": (call_n_pair, lambda name: True),
    "lifted": (call_lifted, lambda name: True),
    "multi-similarity": (call_multi_similarity, lambda name: True),
    "circle": (call_circle, lambda name: True),
    "info-nce": (call_cpc, lambda name: name.startswith("CPC")),
    "moco": (call_moco, lambda name: name.startswith("loss only")),  # the step is tested below
    "clip": (call_clip, lambda name: True),
    "siglip": (call_siglip, lambda name: True),
    "nnclr": (call_nnclr, lambda name: True),
    "byol": (call_byol, lambda name: True),
    "simsiam": (call_simsiam, lambda name: True),
    "barlow-twins": (call_barlow_twins, lambda name: True),
    "vicreg": (call_vicreg, lambda name: True),
    "swav": (call_swav, lambda name: True),
    "koleo": (call_koleo, lambda name: True),
    "spectral": (call_spectral, lambda name: True),
    # Left out: sums of CLIP with label smoothing and with losses across modalities that are no entries of their own.
    "vlp-baselines": (
        call_vlp,
        lambda name: name in ("clip_B5", "cl2l_1aug_avg_nosmooth", "cl2l_0augs_equals_clip"),
    ),
    "vatt": (call_vatt, lambda name: "masked" not in name),  # left out: clips without a text
    "cvrl": (call_cvrl, lambda name: name.startswith("B")),  # left out: its sampler of clips
    "slidr": (call_slidr, lambda name: name.startswith("point")),  # left out: pooling of superpixels
}
# DINOv2 adds 1e-8 to each coordinate of the difference before the norm: about 1e-8 in value and slope.
TOLERANCE = {"koleo": 5e-8}


def cases() -> list[Any]:
    return [
        pytest.param(call, case, TOLERANCE.get(file, 1e-9), id=f"{file}: {case['name']}")
        for file, (call, wanted) in CALLS.items()
        for case in json.loads((GOLDEN / f"{file}.json").read_text())["cases"]
        if wanted(case["name"])
    ]


def leaves(case: Case) -> Inputs:
    return {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in case["inputs"].items()
    }


@pytest.mark.parametrize(("call", "case", "tolerance"), cases())
def test_value_and_gradient(call: Call, case: Case, tolerance: float) -> None:
    x = leaves(case)
    value = call(x, case["params"])
    torch.testing.assert_close(value.item(), case["loss"], atol=tolerance, rtol=tolerance)
    value.backward()
    for name, expected in case["grad"].items():
        gradient = x[name].grad
        if expected is None:
            assert gradient is None, f"{name} must carry no gradient"
        elif x[name].numel():
            expected = torch.tensor(expected, dtype=torch.float64)
            torch.testing.assert_close(gradient, expected, atol=tolerance, rtol=tolerance)


def case_of(file: str, start: str) -> Case:
    found = json.loads((GOLDEN / f"{file}.json").read_text())["cases"]
    return next(case for case in found if case["name"].startswith(start))


def test_a_full_step_of_moco() -> None:
    """Momentum update first, then the keys, logits against the old queue, then the keys into the queue."""
    case = case_of("moco", "K8")
    x, p, expected = leaves(case), case["params"], case["outputs"]
    criterion = MoCo(p["K"], 3, temperature=p["temperature"]).double()
    criterion.queue.rows.copy_(x["queue"].detach().T)
    criterion.queue.pointer.copy_(x["ptr"].detach().long())
    weight_k = p["m"] * x["weight_k"] + (1 - p["m"]) * x["weight_q"].detach()
    query, key = x["x_q"] @ x["weight_q"].T, x["x_k"] @ weight_k.T
    value = criterion(query, key)
    torch.testing.assert_close(value.item(), case["loss"], atol=1e-9, rtol=1e-9)
    value.backward()
    gradient = torch.tensor(case["grad"]["weight_q"], dtype=torch.float64)
    torch.testing.assert_close(x["weight_q"].grad, gradient, atol=1e-9, rtol=1e-9)
    assert x["weight_k"].grad is None
    queue = torch.tensor(expected["queue_after"], dtype=torch.float64).T
    torch.testing.assert_close(criterion.queue.rows, queue, atol=1e-9, rtol=1e-9)
    assert int(criterion.queue.pointer) == expected["ptr_after"]


@pytest.mark.parametrize("start", ["B6 K3", "B5 K4"])
def test_codes_of_swav(start: str) -> None:
    case = case_of("swav", start)
    for view in ("0", "1"):
        scores = torch.tensor(case["inputs"][f"scores{view}"], dtype=torch.float64)
        codes = torch.tensor(case["outputs"][f"codes{view}"], dtype=torch.float64)
        p = case["params"]
        torch.testing.assert_close(sinkhorn(scores, p["epsilon"], p["iterations"]), codes, atol=1e-9, rtol=1e-9)


def test_sinkhorn_of_another_code() -> None:
    case = case_of("vlp-baselines", "sinkhorn")
    scores = torch.tensor(case["inputs"]["scores"], dtype=torch.float64)
    codes = sinkhorn(scores, case["params"]["epsilon"], case["params"]["iters"])
    torch.testing.assert_close(codes, torch.tensor(case["output"], dtype=torch.float64), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("case", [case_of("barlow-twins", start) for start in ("B6", "B8", "z1 =")])
def test_correlation_of_barlow_twins(case: Case) -> None:
    correlation = barlow_twins.parts(views(leaves(case), "z0", "z1"))["correlation"]
    torch.testing.assert_close(correlation, torch.tensor(case["outputs"]["c"], dtype=torch.float64), atol=1e-9, rtol=0)
