"""Losses against prototypes and the concentration of clusters against other codes' numbers, loops and forms."""

import math
from collections.abc import Callable

import torch
from loops import Inputs, dot, points, repeated, square
from proofs import Case, Golden, Reference, golden, loops
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import arcface, cosface, normalized_softmax, proto_nce, proxy_nca


def proxies(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    denominator = "all" if "softmax_scale" in p else "others"
    return proxy_nca(
        x["z"],
        torch.tensor(p["labels"]),
        x["proxies"],
        temperature=1 / p.get("softmax_scale", 1),
        denominator=denominator,
    )


def softmax(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    return normalized_softmax(x["z"], torch.tensor(p["labels"]), x["proxies"].T, temperature=p["temperature"])


def margin_softmax(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    arguments = (x["z"], torch.tensor(p["labels"]), x["proxies"].T)
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


GOLDEN = [
    Golden("proxy-nca", proxies),
    Golden("normalized-softmax", softmax),
    Golden("arcface", margin_softmax),
    Golden("proto-nce", pcl),
]
test_golden = golden(GOLDEN)


def loop_proxy_nca(x: Inputs, denominator: str) -> list[float]:
    w = points(x, "prototypes")
    out = []
    for z, y in zip(points(x), repeated(x), strict=True):
        chosen = [c for c in range(len(w)) if denominator == "all" or c != y]
        out.append(square(z, w[y]) / 0.7 + math.log(sum(math.exp(-square(z, w[c]) / 0.7) for c in chosen)))
    return out


def loop_softmax(x: Inputs, target: Callable[[float], float], spread: list[float], tau: float) -> list[float]:
    w = points(x, "prototypes")
    out = []
    for z, y in zip(points(x), repeated(x), strict=True):
        logits = [(target(dot(z, w[c])) if c == y else dot(z, w[c])) / spread[c] / tau for c in range(len(w))]
        out.append(math.log(sum(map(math.exp, logits))) - logits[y])
    return out


def with_angle(cosine: float, margin: float = 0.5) -> float:
    angle = math.acos(cosine)
    return math.cos(angle + margin) if angle < math.pi - margin else cosine - margin * math.sin(margin)


REFERENCES = [
    Reference(proxy_nca, {"temperature": 0.7}, lambda x: loop_proxy_nca(x, "others")),
    Reference(proxy_nca, {"temperature": 0.7, "denominator": "all"}, lambda x: loop_proxy_nca(x, "all"), views=1),
    Reference(normalized_softmax, {"temperature": 0.2}, lambda x: loop_softmax(x, lambda c: c, [1] * 3, 0.2)),
    Reference(arcface, {"temperature": 0.1, "margin": 0.5}, lambda x: loop_softmax(x, with_angle, [1] * 3, 0.1)),
    Reference(cosface, {"temperature": 0.1, "margin": 0.3}, lambda x: loop_softmax(x, lambda c: c - 0.3, [1] * 3, 0.1)),
    Reference(
        proto_nce,
        {"temperature": 0.2},
        lambda x: loop_softmax(x, lambda c: c, [0.5, 1.0, 1.5], 0.2),
        fed=("concentration",),
    ),
    Reference(proto_nce, {"temperature": 0.2}, lambda x: loop_softmax(x, lambda c: c, [1] * 3, 0.2), views=1),
]
test_loop = loops(REFERENCES)
