"""Golden values and gradients of the losses led by labels, targets, prototypes, levels of relevance or a teacher."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import losses
from cl_explore.losses.continual import multimodal_supcon, nspt, ntpt
from cl_explore.losses.listwise import listwise_wasserstein
from cl_explore.losses.longtail import bcl, logit_adjusted, paco
from cl_explore.losses.mixing import mix
from cl_explore.losses.prototypes import arcface, cosface, normalized_softmax, proto_nce, proxy_nca
from cl_explore.losses.regression import rnc, supremix
from cl_explore.losses.supervised import focal_supcon, soft_nn

GOLDEN = Path(__file__).parents[1] / "golden"
Case = dict[str, Any]
Inputs = dict[str, Tensor]
Call = Callable[[Inputs, Case], Tensor]


def cases(file: str) -> list[Case]:
    return json.loads((GOLDEN / f"{file}.json").read_text())["cases"]


def ids(values: list[int]) -> Tensor:
    return torch.tensor(values)


def leaves(case: Case) -> Inputs:
    """The arrays of a case as float64 tensors that carry a gradient."""
    return {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in case["inputs"].items()
        if name not in ("num_classes", "centroids", "density", "assignment")
    }


def check(value: Tensor, x: Inputs, expected: Case) -> None:
    torch.testing.assert_close(value.item(), expected["loss"], atol=1e-9, rtol=1e-9)
    names = list(expected["grad"])
    for name, grad in zip(names, torch.autograd.grad(value, [x[name] for name in names]), strict=True):
        golden = torch.tensor(expected["grad"][name], dtype=torch.float64)
        torch.testing.assert_close(grad, golden, atol=1e-9, rtol=1e-9)


def soft_nearest(x: Inputs, case: Case) -> Tensor:
    """A temperature T of 1 - cos is 2 T of the squared distance of unit vectors."""
    p = case["params"]
    cosine = p["distance"] == "1-cos"
    temperature = p["temperature"] * (2 if cosine else 1)
    return soft_nn(x["z"], ids(p["labels"]), temperature=temperature, normalize=cosine)


def focal(x: Inputs, case: Case) -> Tensor:
    labels = ids(case["inputs"]["labels"])
    return focal_supcon(x["x"], labels, temperature=case["params"]["temperature"], divide="all")


def proxies(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    denominator = "all" if "softmax_scale" in p else "others"
    return proxy_nca(
        x["z"], ids(p["labels"]), x["proxies"], temperature=1 / p.get("softmax_scale", 1), denominator=denominator
    )


def softmax(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    return normalized_softmax(x["z"], ids(p["labels"]), x["proxies"].T, temperature=p["temperature"])


def margin_softmax(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    arguments = (x["z"], ids(p["labels"]), x["proxies"].T)
    if p.get("variant") == "cosface":
        return cosface(*arguments, temperature=1 / p["scale"], margin=p["margin"])
    margin = torch.deg2rad(torch.tensor(p["margin_deg"], dtype=torch.float64))
    return arcface(*arguments, temperature=1 / p["scale"], margin=margin)


def pcl(x: Inputs, case: Case) -> Tensor:
    """The whole of PCL: a momentum InfoNCE and, averaged over the clusterings, the prototype term.

    Its columns are the prototypes of all anchors, repeated where two share a cluster, then the negative prototypes:
    each anchor's own column is its row number.
    """
    i, p = case["inputs"], case["params"]
    negatives = torch.tensor(i["queue"], dtype=torch.float64)
    key = x["x_k"].detach()
    total = losses.info_nce(x["x_q"], key, negatives.T, temperature=p["temperature"])
    torch.testing.assert_close(total.item(), case["outputs"]["instance_loss"], atol=1e-9, rtol=1e-9)
    extra = int(case["name"].split("r=")[1].split(",")[0])
    for centroids, density, assignment in zip(i["centroids"], i["density"], i["assignment"], strict=True):
        free = [c for c in range(len(centroids)) if c not in assignment][:extra]
        columns = assignment + free
        prototypes = torch.tensor(centroids, dtype=torch.float64)[columns]
        concentration = torch.tensor(density, dtype=torch.float64)[columns]
        own = torch.arange(len(assignment))
        term = proto_nce(x["x_q"], own, prototypes, concentration, temperature=1.0)
        total = total + term / len(i["centroids"])
    return total


def parametric(x: Inputs, case: Case) -> Tensor:
    """The authors add 1e-9 to the prior and keep the weights of the positives, and their sum, in float32."""
    p, n = case["params"], len(case["inputs"]["q"])
    labels, counts = ids(p["labels"]), ids(p["cls_num"])
    alpha = torch.tensor(p["alpha"], dtype=torch.float32).double()
    prior = counts.double() / counts.sum()
    parts = paco.parts(
        x["q"],
        labels[:n],
        x["sup_logits"] + ((prior + 1e-9) / prior).log(),
        x["k"],
        x["queue"],
        labels[2 * n :],
        counts,
        temperature=p["temperature"],
        alpha=float(alpha),
        beta=p["beta"],
        gamma=p["gamma"],
    )
    same = (labels[:n, None] == labels) & ~torch.eye(n, len(labels), dtype=torch.bool)
    centre = F.one_hot(labels[:n], len(counts)).float()
    rounded = torch.cat([centre * p["beta"], same.float() * alpha.float()], 1).sum(1)
    return (parts["loss"] * (p["beta"] + alpha * parts["positives"]) / rounded).mean()


def balanced(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    return bcl(x["features"], ids(p["labels"]), x["centers"], temperature=p["temperature"])


def adjusted(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    return logit_adjusted(x["logits"], ids(p["labels"]), ids(p["cls_num"]), strength=p["tau"])


def rank(x: Inputs, case: Case) -> Tensor:
    targets = torch.tensor(case["params"].get("labels", case["inputs"].get("labels")), dtype=torch.float64)
    return rnc(x["features"], targets, temperature=case["params"]["temperature"])


def mixed_ranks(x: Inputs, case: Case, **knobs: str) -> Tensor:
    """The file counts points view by view, the library sample by sample."""
    p, i = case["params"], case["inputs"]
    batch, views, _ = x["x"].shape
    order = torch.arange(batch * views).view(views, batch).T.flatten()
    shares = torch.tensor(i["lam_neg"], dtype=torch.float64)[order][:, order]
    on = {True: "on", False: "off"}
    knobs = {"mix_negatives": on[p["mix_neg"]], "mix_positives": on[p["mix_pos"]]} | knobs
    targets = torch.tensor(i["labels"], dtype=torch.float64)
    return supremix(x["x"], targets, shares, temperature=p["temperature"], window=p["window"], **knobs)


def replay(x: Inputs, case: Case) -> Tensor:
    return nspt(*student(x, case), temperature=case["params"]["temperature"])


def student(x: Inputs, case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return x["student"], ids(case["inputs"]["labels"]), x["teacher"], ids(case["inputs"]["is_rehearsal"])


CALLS: dict[str, tuple[Call, Callable[[Case], bool]]] = {
    # file: how to call the library, and which of the file's cases this is about
    # The others of soft-nn have 1e-5 inside the logarithm: see test_the_reference_code_of_soft_nn_caps_the_loss.
    "soft-nn": (soft_nearest, lambda case: case["params"]["eps"] == 0),
    # The mixing cases are in test_mixtures_of_core_tuning, with their own inputs.
    "core-tuning": (focal, lambda case: case["name"].startswith("focal")),
    "proxy-nca": (proxies, lambda case: True),
    "normalized-softmax": (softmax, lambda case: True),
    "arcface": (margin_softmax, lambda case: True),
    "proto-nce": (pcl, lambda case: True),
    "paco": (parametric, lambda case: True),
    "bcl": (balanced, lambda case: True),
    "logit-adjust": (adjusted, lambda case: True),
    "rnc": (rank, lambda case: True),
    "supremix": (lambda x, case: (rank if case["name"].startswith("rnc") else mixed_ranks)(x, case), lambda case: True),
    "coconut": (replay, lambda case: True),
}


def table() -> list[Any]:
    return [
        pytest.param(call, case, id=f"{file}: {case['name']}")
        for file, (call, wanted) in CALLS.items()
        for case in cases(file)
        if wanted(case)
    ]


@pytest.mark.parametrize(("call", "case"), table())
def test_value_and_gradient(call: Call, case: Case) -> None:
    x = leaves(case)
    check(call(x, case), x, case)


def named(file: str, start: str = "") -> Any:
    chosen = [case for case in cases(file) if case["name"].startswith(start)]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case["name"])


@named("soft-nn")
def test_the_reference_code_of_soft_nn_caps_the_loss(case: Case) -> None:
    """1e-5 beside far neighbours makes up to 0.01, for a singleton all of its 11.5, which does not count with us."""
    p = case["params"]
    labels = ids(p["labels"])
    each = soft_nn.parts(
        leaves(case)["z"],
        labels,
        temperature=p["temperature"] * (2 if p["distance"] == "1-cos" else 1),
        normalize=p["distance"] == "1-cos",
    )
    lonely = int((each["anchor_weight"] == 0).sum())
    assert lonely == (1 if case["name"].startswith("singleton") else 0)
    capped = lonely * -torch.tensor(1e-5, dtype=torch.float64).log()
    torch.testing.assert_close(((each["loss"].sum() + capped) / len(labels)).item(), case["loss"], atol=0.02, rtol=0)


@named("core-tuning", "focal")
def test_core_tuning_variants(case: Case) -> None:
    for variant in ("variant_mean_over_positives", "variant_mean_over_positives_tau05"):
        expected, x = case[variant], leaves(case)
        temperature = expected.get("temperature", case["params"]["temperature"])
        if "grad" not in expected:
            value = focal_supcon(x["x"], ids(case["inputs"]["labels"]), temperature=temperature)
            torch.testing.assert_close(value.item(), expected["loss"], atol=1e-9, rtol=1e-9)
        else:
            check(focal_supcon(x["x"], ids(case["inputs"]["labels"]), temperature=temperature), x, expected)


@named("core-tuning", "mixup")
def test_mixtures_of_core_tuning(case: Case) -> None:
    """The authors' mixtures and their loss, with the rows that their search finds (zeros of a mask among them)."""
    i, x = case["inputs"], leaves(case)
    features, labels, order = x["features"], ids(i["labels"]), ids(i["order"])
    rows = torch.arange(len(labels))
    unit = F.normalize(features.detach(), dim=1)
    cosine, same = unit @ unit.T, (labels[:, None] == labels).double()
    positive = (cosine * (same - torch.eye(len(labels)))).argmin(1)
    positive = torch.where(positive == 0, rows, positive)
    negative = (cosine * (1 - same)).argmax(1)
    keep = torch.tensor(i["lam_neg"], dtype=torch.float64).clamp(min=case["params"]["clip_lam_neg_min"])
    pull = torch.tensor(i["lam_pos"], dtype=torch.float64)
    one_hot = F.one_hot(labels, i["num_classes"]).double()

    def three_blocks(points: Tensor) -> Tensor:
        return torch.cat([points.detach(), mix(points, order, rows, keep), mix(points, positive, negative, pull)])

    mixed, soft = three_blocks(features), three_blocks(one_hot)
    for ours, golden in ((mixed, "mixed_features"), (soft, "mixed_labels")):
        expected = torch.tensor(case["outputs"][golden], dtype=torch.float64)
        torch.testing.assert_close(ours.detach(), expected, atol=1e-9, rtol=1e-9)
    probe = (mixed * torch.arange(1, mixed.numel() + 1).view_as(mixed) / mixed.numel()).sum()
    (gradient,) = torch.autograd.grad(probe, features, retain_graph=True)
    expected = torch.tensor(case["probe_grad"]["features"], dtype=torch.float64)
    torch.testing.assert_close(gradient, expected, atol=1e-9, rtol=1e-9)
    # Points with exactly equal soft labels are positives of each other.
    groups = soft.round(decimals=6).unique(dim=0, return_inverse=True)[1]
    check(focal_supcon(mixed, groups, temperature=0.07, divide="all"), x, case)


@named("supremix")
def test_supremix_variants(case: Case) -> None:
    """Kept apart: the authors' numerics, which shift points and mixtures by different maxima inside one sum."""
    variants = {
        "loss_without_distance_weight": {"distance_weight": "off"},
        "grad_through_mixtures": {"mixture_grad": "live"},
    }
    for name, knobs in variants.items():
        if name in case:
            x = leaves(case)
            check(mixed_ranks(x, case, **knobs), x, case[name])


@named("coconut")
def test_coconut_variants(case: Case) -> None:
    x, variants = leaves(case), case["variants"]
    temperature = case["params"]["temperature"]
    for denominator, name in (
        ("no_positive", "nspt_positive_not_in_denominator"),
        ("literal", "nspt_self_student_in_denominator"),
    ):
        check(nspt(*student(x, case), temperature=temperature, denominator=denominator), x, variants[name])
    check(ntpt(*student(x, case), temperature=temperature), x, variants["ntpt"])


@named("coconut")
def test_coconut_multimodal(case: Case) -> None:
    x = {"audio": leaves(case)["student"], "text": leaves(case)["text"]}
    z = torch.stack([x["audio"], x["text"]], 1)
    value = multimodal_supcon(z, ids(case["inputs"]["labels"]), temperature=case["params"]["temperature"])
    check(value, x, case["multimodal"])


@named("listwise-wasserstein")
def test_listwise_wasserstein(case: Case) -> None:
    """The authors add 1e-15 to the squared singular values, one of which is 0: that makes 6e-8, and no more."""
    scores = leaves(case)["logits"]
    relevance, p = ids(case["inputs"]["labels"]), case["params"]
    # Scores become inner products with the coordinate axes.
    passages = torch.eye(relevance.numel(), dtype=torch.float64).view(*relevance.shape, -1)
    parts = listwise_wasserstein.parts(scores, passages, relevance, temperature=p["temperature"], normalize=False)
    share = [
        rows.detach().softmax(1)
        for rows in (scores / p["temperature"], torch.tensor(case["inputs"]["labels_block_diag"]).double())
    ]
    centred = [(rows - rows.mean(0)) / (len(rows) - 1) ** 0.5 for rows in share]
    singular = torch.linalg.svdvals(centred[0] @ centred[1].T)
    offset = 2 * ((singular.square() + 1e-15).sqrt() - singular).sum()
    value = parts["loss"].mean()
    torch.testing.assert_close((value - offset).item(), case["loss"], atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(parts["mean_term"][0].item(), case["outputs"]["mean_term"], atol=1e-12, rtol=1e-9)
    value.backward()
    golden = torch.tensor(case["grad"]["logits"], dtype=torch.float64)
    torch.testing.assert_close(scores.grad, golden, atol=1e-8, rtol=1e-8)


def primer(x: Inputs, case: Case) -> Tensor:
    """The families of the primer that are losses of the catalogue already."""
    name, p = case["name"], case["params"]
    tau = p.get("temperature", 1.0)
    if name == "ranking_nce_uncorrected":
        return losses.info_nce(x["x"], x["y_pos"], x["y_neg"], temperature=tau, normalize=False)
    if name == "energy_softplus_dot":  # the sum over negatives of an InfoNCE with one negative
        each = [
            losses.info_nce(x["x"], x["y_pos"], x["y_neg"][:, [k]], temperature=tau, normalize=False) for k in range(3)
        ]
        return torch.stack(each).sum()
    if name == "infonce_one_direction":
        return losses.info_nce(x["a"], x["b"], temperature=tau)
    if name == "infonce_symmetric":
        return (losses.info_nce(x["a"], x["b"], temperature=tau) + losses.info_nce(x["b"], x["a"], temperature=tau)) / 2
    if name == "nt_xent":
        return losses.nt_xent(torch.stack([x["a"], x["b"]], 1), temperature=tau)
    if name == "queue_infonce":
        return losses.info_nce(x["q"], x["k_pos"].detach(), x["queue"].detach(), temperature=tau)
    if name == "triplet_hinge_euclid":  # a batch of one anchor, one positive and one negative for each triplet
        rows = zip(x["anchor"], x["positive"], x["negative"], strict=True)
        each = [
            losses.triplet(
                torch.stack(row), torch.tensor([0, 0, 1]), margin=p["margin"], normalize=False, reduction="none"
            )[0]
            for row in rows
        ]
        return torch.stack(each).mean()
    pairs = zip(x["anchor"], x["positive"], case["inputs"]["y"], strict=True)
    each = [
        losses.contrastive_margin(torch.stack([a, b]), torch.tensor([0, 1 - same]), margin=p["margin"], normalize=False)
        for a, b, same in pairs
    ]
    return 2 * torch.stack(each).mean()  # the primer leaves out the one half


# Left out: binary NCE, ranking NCE with log q and the hinge of dot products are no losses of the catalogue.
PRIMER = [
    case
    for case in cases("nlp-primer")
    if case["name"] not in ("binary_nce_sum_over_negs", "ranking_nce_logq_corrected", "energy_hinge_dot")
]


@pytest.mark.parametrize("case", PRIMER, ids=lambda case: case["name"])
def test_primer(case: Case) -> None:
    x = leaves(case)
    check(primer(x, case), x, case)
