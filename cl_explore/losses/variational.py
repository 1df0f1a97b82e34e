"""VarCon: supervised contrast with class centroids as a variational posterior."""

import torch
from torch import Tensor

from cl_explore.losses.arguments import require_anchor, values_are_at_hand
from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import excess
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import group_sums, points
from cl_explore.losses.unit import unit


@loss(
    title="VarCon",
    paper="2506.07413",
    family="supervised",
    formula=r"D_{\mathrm{KL}}(q_\phi(r'|z) \,\|\, p_\theta(r'|z)) - \log p_\theta(y|z)",
    knobs=[
        TEMPERATURE,
        Knob(
            "epsilon",
            0.0,
            0.09,
            minimum=0,
            help="how much confidence moves the target's temperature; below temperature",
        ),
        Knob("kl_weight", 0.0, 2.0, minimum=0, help="weight of the divergence from the target"),
        Knob("nll_weight", 0.0, 2.0, minimum=0, help="weight of the cross-entropy to the own class"),
        Choice("target_grad", ("live", "detach"), help="whether the gradient also flows through the target"),
        Choice("centroid_grad", ("detach", "live"), help="whether the gradient also flows through the centroids"),
        Choice("centroid_self", ("include", "leave_one_out"), help="whether an anchor is part of its own centroid"),
    ],
)
def varcon(
    z: Tensor,
    labels: Tensor,
    *,
    temperature: Scalar = 0.1,
    epsilon: Scalar = 0.02,
    kl_weight: Scalar = 1.0,
    nll_weight: Scalar = 1.0,
    target_grad: str = "live",
    centroid_grad: str = "detach",
    centroid_self: str = "include",
) -> Parts:
    """Variational supervised contrastive loss: samples against the centroids of the C classes in the batch.

    z: (B, V, D) or (B, D), N = B V points
    labels: (B,) any integers
    Parts: `loss`, `kl`, `nll`, `tau2`, `confidence` (p_y), `target` (q_y), each (N,), and with
        centroid_self="leave_one_out" `anchor_weight` (0 for a point alone in its class, whose centroid would be empty)
    Source: Wang et al. 2025, equations 7 to 13, and the authors' code: centroids detached, target not
    Collapsed: p is uniform, so the negative log-likelihood is log C
    Raises: `ValueError` unless epsilon < temperature
    Note: p is the softmax of z . w_r / temperature over unit class centroids w_r; the target q is one-hot softened by a
        temperature that follows the sample's confidence p_y, tau2 = (temperature - epsilon) + 2 epsilon p_y: a sample
        the model is sure of is pulled less hard. The target is computed in closed form in log space, q_y = 1 / (1 +
        (C-1) exp(-1/tau2)), so it never overflows and costs O(N), the loss O(N C D). The number of classes is read from
        the labels, for which a GPU waits once. One class in the batch: exactly 0.

    >>> float(varcon(torch.eye(4), torch.zeros(4, dtype=torch.long)))
    0.0
    """
    x, y = points(z, labels)
    if values_are_at_hand(temperature) and (temperature <= epsilon).any():
        least = float(temperature.min())
        raise ValueError(f"epsilon must be smaller than temperature ({least:g}), got {float(epsilon):g}")
    classes, own, members = torch.unique(y, return_inverse=True, return_counts=True)
    count = len(classes)
    sums = group_sums(x, own, count)
    centroids = unit(sums.detach() if centroid_grad == "detach" else sums)
    similarity = x @ centroids.T
    if centroid_self == "leave_one_out":
        require_anchor(members > 1, "another point of its class")
        others = sums.index_select(0, own) - x
        without = unit(others.detach() if centroid_grad == "detach" else others)
        similarity = similarity.scatter(1, own[:, None], (x * without).sum(1, keepdim=True))
    log_ps = (similarity / temperature[..., None]).log_softmax(1)
    log_p = log_ps.gather(1, own[:, None]).squeeze(1)
    confidence = log_p.exp()

    tau2 = (temperature - epsilon) + 2 * epsilon * confidence
    if target_grad == "detach":
        tau2 = tau2.detach()
    log_q = -torch.log1p((count - 1) * (-1 / tau2).exp())
    log_q_other = log_q - 1 / tau2
    q_other = log_q_other.exp()  # of each of the C - 1 other classes
    cross = -log_q.exp() * log_p - q_other * (log_ps.sum(1) - log_p)
    kl = excess(cross, -log_q.exp() * log_q - q_other * (count - 1) * log_q_other)
    parts = {
        "loss": kl_weight * kl - nll_weight * log_p,
        "kl": kl,
        "nll": -log_p,
        "tau2": tau2,
        "confidence": confidence,
        "target": log_q.exp(),
    }
    if centroid_self == "leave_one_out":
        counted = (members > 1)[own]
        parts = {name: part * counted for name, part in parts.items()} | {"anchor_weight": counted.to(x.dtype)}
    return parts
