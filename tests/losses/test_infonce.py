"""InfoNCE, CPC and NT-Xent against the authors' numbers, loops and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from loops import Inputs, anchors, cosines, e, each_anchor, inputs, log_sum, one
from proofs import Case, Golden, Reference, golden, loops, views
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import cpc, info_nce, nt_xent


def info_nce_call(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    return info_nce(
        x["query"], x["positive"], x.get("negatives"), temperature=p["temperature"], normalize=p["normalize"]
    )


def nt_xent_call(x: Inputs, case: Case) -> Tensor:
    return nt_xent(torch.stack(list(x.values())[:2], dim=1), temperature=case["params"]["temperature"])


def cpc_call(x: Inputs, case: Case) -> Tensor:
    return cpc(x["query"], x["positive"], x.get("W"), temperature=case["params"]["temperature"])


def behaviour(x: Inputs, case: Case) -> Tensor:
    return info_nce(x["x_anchor"], x["x_positive"], x["x_memory"], temperature=case["params"]["tau"])


def cvrl(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    return 2 * nt_xent(views(x, "z1", "z2"), temperature=p["tau"], normalize=p["normalize"])


def slidr(x: Inputs, case: Case) -> Tensor:
    return info_nce(x["k"], x["q"], temperature=case["params"]["tau"])


def primer(x: Inputs, case: Case) -> Tensor:
    """The families of the primer that are losses of the catalogue already; its margins are in test_margin.py."""
    name, tau = case["name"], case["params"].get("temperature", 1.0)
    if name == "ranking_nce_uncorrected":
        return info_nce(x["x"], x["y_pos"], x["y_neg"], temperature=tau, normalize=False)
    if name == "energy_softplus_dot":  # the sum over negatives of an InfoNCE with one negative
        each = [info_nce(x["x"], x["y_pos"], x["y_neg"][:, [k]], temperature=tau, normalize=False) for k in range(3)]
        return torch.stack(each).sum()
    if name == "infonce_one_direction":
        return info_nce(x["a"], x["b"], temperature=tau)
    if name == "infonce_symmetric":
        return (info_nce(x["a"], x["b"], temperature=tau) + info_nce(x["b"], x["a"], temperature=tau)) / 2
    if name == "nt_xent":
        return nt_xent(torch.stack([x["a"], x["b"]], 1), temperature=tau)
    return info_nce(x["q"], x["k_pos"].detach(), x["queue"].detach(), temperature=tau)  # queue_infonce


# Left out: losses that are not in the catalogue, a sampler of clips, pooling of superpixels.
NO_LOSS_OF_OURS = ("binary_nce_sum_over_negs", "ranking_nce_logq_corrected", "energy_hinge_dot")
GOLDEN = [
    Golden("info-nce", info_nce_call, lambda case: "bilinear" not in case["name"]),
    Golden("info-nce", cpc_call, lambda case: case["name"].startswith("CPC")),
    Golden("nt-xent", nt_xent_call, lambda case: case["name"].startswith("lightly")),
    Golden("behaviour-of-contrastive-loss", behaviour, lambda case: case["name"].startswith("contrastive")),
    Golden("cvrl", cvrl, lambda case: case["name"].startswith("B")),
    Golden("slidr", slidr, lambda case: case["name"].startswith("point")),
    Golden(
        "nlp-primer",
        primer,
        lambda case: case["name"] not in NO_LOSS_OF_OURS and "anchor" not in case["inputs"],
    ),
]
test_golden = golden(GOLDEN)


def loop_nt_xent(x: Inputs, tau: float) -> list[float]:
    """-log softmax of the other views over all other points, averaged outside of the logarithm."""
    z = x["z"]

    def value(b: int, v: int) -> float:
        total = sum(e(z[b, v], z[j, u], tau) for j, u in anchors(z) if (j, u) != (b, v))
        p = [e(z[b, v], z[b, u], tau) / total for u in range(z.shape[1]) if u != v]
        return -sum(map(math.log, p)) / len(p)

    return each_anchor(z, value)


def loop_info_nce(x: Inputs) -> list[float]:
    s = [[v / 0.2 for v in row] for row in cosines(x["query"], x["key"])]
    return [log_sum(row) - row[i] for i, row in enumerate(s)]


def loop_info_nce_of_negatives(x: Inputs) -> list[float]:
    own, far = cosines(x["query"], x["key"]), cosines(x["query"], x["negatives"])
    return [log_sum([own[i][i] / 0.2, *(s / 0.2 for s in far[i])]) - own[i][i] / 0.2 for i in range(len(own))]


def loop_cpc(x: Inputs) -> list[float]:
    logit = [[float(c @ x["critic"] @ k) / 0.3 for k in x["key"]] for c in x["context"]]
    return [log_sum(row) - row[i] for i, row in enumerate(logit)]


REFERENCES = [
    Reference(info_nce, {"temperature": 0.2}, loop_info_nce),
    Reference(info_nce, {"temperature": 0.2}, loop_info_nce_of_negatives, fed=("negatives",)),
    Reference(cpc, {"temperature": 0.3}, loop_cpc, fed=("critic",)),
    Reference(nt_xent, {"temperature": 0.2}, lambda x: loop_nt_xent(x, 0.2)),
    Reference(nt_xent, {"temperature": 0.5}, lambda x: loop_nt_xent(x, 0.5), views=4),
]
test_loop = loops(REFERENCES)


def test_negatives_of_its_own() -> None:
    """A list of negatives for each query that is the same for all equals the shared list."""
    x = inputs()
    shared = info_nce(x["query"], x["key"], x["negatives"], reduction="none")
    own = info_nce(x["query"], x["key"], x["negatives"].expand(6, 5, 4), reduction="none")
    torch.testing.assert_close(shared, own)


def test_limits_of_the_temperature() -> None:
    """tau to 0: (nearest negative - positive) / tau; tau to infinity: the plain attract-repel loss plus log N."""
    z = F.normalize(torch.randn(1, 2, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64), dim=-1)
    negatives = F.normalize(torch.randn(9, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64), dim=-1)
    query, key = z[:, 0], z[:, 1]
    positive, negative = float(query @ key.T), (query @ negatives.T)[0]
    cold = losses.info_nce(query, key, negatives, temperature=1e-4) * 1e-4
    torch.testing.assert_close(float(cold), max(float(negative.max()) - positive, 0.0), atol=1e-3, rtol=0)
    tau = 1e4
    hot = float(losses.info_nce(query, key, negatives, temperature=tau))
    simple = torch.log(torch.tensor(10.0, dtype=torch.float64)) + (float(negative.sum()) - 9 * positive) / (10 * tau)
    torch.testing.assert_close(hot, float(simple), atol=1e-7, rtol=0)


def test_landmarks() -> None:
    """All points equal; then cosines 1 and -1 / (B - 1)."""
    b, tau = 16, 0.3
    gap = b / (b - 1) / tau
    collapsed, perfect = nt_xent.bounds(samples=b, temperature=tau)
    assert collapsed == pytest.approx(math.log(2 * b - 1))
    assert perfect == pytest.approx(math.log1p((2 * b - 2) * math.exp(-gap)))
    collapsed, perfect = info_nce.bounds(samples=b, temperature=tau)
    assert (collapsed, perfect) == pytest.approx((math.log(b), math.log1p((b - 1) * math.exp(-gap))))
    assert float(cpc(one(8, 4), one(8, 4))) == pytest.approx(math.log(8))


def test_too_little_to_compare() -> None:
    x = inputs()
    for loss, names in ((info_nce, ("query", "key")), (cpc, ("key", "key"))):
        with pytest.raises(ValueError, match="key must have at least 2 rows to hold in-batch negatives, got 1"):
            loss(*(x[name][:1] for name in names))
    assert info_nce(x["query"][:1], x["key"][:1], x["negatives"]).isfinite()
    with pytest.raises(ValueError, match="critic must be given where context has 3 and key 4 dimensions"):
        cpc(x["context"], x["key"])


def test_negatives_of_the_wrong_shape() -> None:
    x = inputs()
    for negatives in (torch.randn(5, 3).double(), torch.randn(5, 2, 4).double(), torch.randn(4).double()):
        with pytest.raises(
            ValueError, match=r"negatives must have shape \(M, D\) with D = 4 or \(N, M, D\) with N = 6 and D = 4"
        ):
            info_nce(x["query"], x["key"], negatives)
