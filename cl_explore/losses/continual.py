"""COCONUT's losses for learning class after class: a frozen copy of the network holds the old classes in place."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import excess
from cl_explore.losses.knob import Choice, Scalar
from cl_explore.losses.similarity import Rule, class_sums, row_lse


def _replay(z: Tensor, labels: Tensor, teacher: Tensor, rehearsal: Tensor | None) -> tuple[Tensor, ...]:
    """Points of student and teacher, classes, which are replayed, and which teacher points are whose positives."""
    x = z.flatten(0, 1)
    t = teacher.reshape(len(z), -1, z.shape[2]).expand_as(z).flatten(0, 1).detach()
    y = labels.repeat_interleave(z.shape[1])
    old = torch.ones_like(y, dtype=torch.bool) if rehearsal is None else rehearsal.repeat_interleave(z.shape[1]) > 0
    return x, t, y, old, (y[:, None] == y) & old


@loss(
    title="NSPT (COCONUT)",
    paper="2310.02699",
    family="continual",
    formula=r"\frac{-1}{|P(k)|} \sum_{p \in P(k)} \log \frac{e^{a_k \cdot t_p/\tau}}"
    r"{e^{a_k \cdot t_p/\tau} + \sum_{i \ne k} e^{a_k \cdot a_i/\tau}}",
    knobs=[
        TEMPERATURE,
        Choice(
            "denominator",
            ("clean", "other_classes", "no_positive", "literal"),
            help="negatives and positive; with those of other classes alone; negatives only; they and the anchor",
        ),
    ],
)
def nspt(
    z: Tensor,
    labels: Tensor,
    teacher: Tensor,
    rehearsal: Tensor | None = None,
    *,
    temperature: Scalar = 0.1,
    denominator: str = "clean",
) -> Parts:
    """Negative-student positive-teacher: replayed samples stay where the old network put them, away from all others.

    z: (B, V, D) or (B, D) of the student a
    labels: (B,)
    teacher: as z: the points t of the frozen old network, a constant
    rehearsal: (B,) 1 for a sample from the buffer, else 0; without it all are
    Parts: `loss` (N,), `positive` (N,) the mean cosine with the positives, `anchor_weight` (N,) 1 for a replayed point
    Source: Cappellazzo et al. 2024 for positives and negatives; the exact denominator was not to be checked
    Collapsed: log N
    Perfect: log(1 + (N-1) exp(-N/((N-1) tau))) for one replayed sample of each class, N points on a simplex
    Note: Anchors are the replayed points; positives P(k) are the teacher's points of replayed samples of the class, the
        anchor's own among them; negatives are all other points of the student, whatever their class. "clean" keeps the
        ratio below 1, "other_classes" leaves out points of the anchor's class, "no_positive" decouples it, "literal"
        holds exp(1/tau) of the anchor itself instead of the positive. A batch without a replayed point gives 0.

    >>> z, labels = torch.randn(6, 8), torch.arange(6) // 2
    >>> torch.allclose(nspt(z, labels, z, denominator="literal"), ntpt(z, labels, z))
    True
    """
    x, t, y, old, positives = _replay(z, labels, teacher, rehearsal)
    scale = 1 / temperature
    cosine, number = x @ t.T, positives.sum(1).clamp(min=1)
    left_out: dict[str, list[Rule]] = {"literal": [], "other_classes": ["same"]}
    negative = row_lse(x, x, scale, exclude=left_out.get(denominator, ["self"]), a_ids=y, b_ids=y)
    gap = negative[:, None] - cosine * scale[..., None]
    each = -F.logsigmoid(-gap) if denominator in ("clean", "other_classes") else gap
    return {
        "loss": (each * positives).sum(1) / number * old,
        "positive": (cosine * positives).sum(1) / number * old,
        "anchor_weight": old.to(x.dtype),
    }


@loss(
    title="NTPT (teacher distillation)",
    paper="2310.02699",
    family="continual",
    formula=r"\frac{-1}{|P(k)|} \sum_{p \in P(k)} \log"
    r" \frac{e^{a_k \cdot t_p/\tau}}{\sum_i e^{a_k \cdot t_i/\tau}}",
    knobs=[TEMPERATURE],
)
def ntpt(
    z: Tensor,
    labels: Tensor,
    teacher: Tensor,
    rehearsal: Tensor | None = None,
    *,
    temperature: Scalar = 0.1,
) -> Parts:
    """Negative-teacher positive-teacher, the baseline of `nspt`: the old network supplies the negatives as well.

    z: (B, V, D) or (B, D) of the student a
    labels: (B,)
    teacher: as z: the points t of the frozen old network, a constant
    rehearsal: (B,) 1 for a sample from the buffer, else 0; without it all are
    Parts: `loss` (N,), `positive` (N,) the mean cosine with the positives, `anchor_weight` (N,) 1 for a replayed point
    Source: Cappellazzo et al. 2024
    Collapsed: log N
    Perfect: log(1 + (N-1) exp(-N/((N-1) tau))) for one replayed sample of each class
    Note: The student's points of new classes feel nothing, and stand against the teacher's guesses about classes it
        never saw. A batch without a replayed point gives 0.

    >>> ntpt(torch.ones(4, 2, 3), torch.tensor([0, 0, 1, 1]), torch.ones(4, 2, 3)).exp().round()
    tensor(8.)
    """
    x, t, _, old, positives = _replay(z, labels, teacher, rehearsal)
    scale = 1 / temperature
    positive = (x @ t.T * positives).sum(1) / positives.sum(1).clamp(min=1)
    each = excess(row_lse(x, t, scale), scale * positive)
    return {"loss": each * old, "positive": positive * old, "anchor_weight": old.to(x.dtype)}


@loss(
    title="Multimodal SupCon (COCONUT)",
    paper="2310.02699",
    family="continual",
    formula=r"\frac{-1}{|P(k)|} \sum_{p \in P(k)} \log"
    r" \frac{e^{a_k \cdot t_p/\tau}}{\sum_i e^{a_k \cdot t_i/\tau}}",
    knobs=[TEMPERATURE],
    min_views=2,
    max_views=2,
)
def multimodal_supcon(z: Tensor, labels: Tensor, *, temperature: Scalar = 0.1) -> Parts:
    """Supervised contrast across two modalities: everything of the class on the other side is a positive.

    z: (B, 2, D), the two modalities (audio and text, image and text) as views; N = 2 B anchors
    labels: (B,)
    Parts: `loss` (N,), `positive` (N,) the mean cosine with the positives
    Source: Cappellazzo et al. 2024, as the mean (not the sum) over both directions
    Collapsed: log B
    Perfect: log n + log(1 + (C-1) exp(-C/((C-1) tau))), classes on a simplex, n samples each
    Note: Each point is an anchor against the B points of the other modality. All labels different: CLIP, the mean of
        `info_nce` both ways.

    >>> from cl_explore.losses import info_nce
    >>> z = torch.randn(4, 2, 8)
    >>> both_ways = (info_nce(z[:, 0], z[:, 1]) + info_nce(z[:, 1], z[:, 0])) / 2
    >>> torch.allclose(multimodal_supcon(z, torch.arange(4)), both_ways)
    True
    """
    scale = 1 / temperature
    scale = scale.expand(z.shape[0] * 2).view(-1, 2)
    positive, total = [], []
    for side, other in ((0, 1), (1, 0)):
        sums, counts = class_sums(z[:, other], labels)
        positive.append((z[:, side] * sums).sum(1) / counts)
        total.append(row_lse(z[:, side], z[:, other], scale[:, side]))
    cosine = torch.stack(positive, 1)
    return {"loss": excess(torch.stack(total, 1), scale * cosine).flatten(), "positive": cosine.flatten()}
