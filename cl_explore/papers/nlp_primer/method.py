"""Texts beside labels, of which the texts' own words are pseudo-labels; a mixture with cross-entropy; two bounds.

The survey has no code; what it lists is written here as it is commonly known.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.losses.arguments import require
from cl_explore.methods import JointEmbedding
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Embedded, Step, of_views
from cl_explore.methods.skeleton import title, width
from cl_explore.takes import Count, Share, takes


class TextLabel(JointEmbedding):
    """A text through the encoder and the head beside a label text through a network of its own.

    The augmentation gives two views (B, 2, L): the text, and the label. Labels of a batch are each other's negatives,
    but for equal ones; with `sampled`, only so many of them, drawn anew for each text.
    """

    serves = JointEmbedding.serves | {"negatives", "group"}
    log_noise: Tensor | None

    @takes
    def __init__(
        self,
        *parts: Any,
        labels: nn.Module,
        sampled: Count | None = None,
        log_noise: Tensor | None = None,
        **options: Any,
    ) -> None:
        """parts, options: see `JointEmbedding`; the loss is `label_nce`.

        labels: maps label texts (N, L) to (N, D)
        sampled: K wrong labels for each text; if left out all of the batch
        log_noise: (W,) log q of each word as a label, by which scores are corrected; labels are then of one word
        Raises: ValueError for another loss or number of views
        """
        super().__init__(*parts, **options)
        if title(self.loss) != "label_nce" or self.n_views != 2:
            raise ValueError(f"loss must be label_nce of 2 views, got {title(self.loss)} of {self.n_views}")
        self.labels, self.sampled = labels, sampled
        self.register_buffer("log_noise", log_noise)

    def networks(self) -> list[nn.Module]:
        """Encoder, head and the network of labels."""
        return [*super().networks(), self.labels]

    def embed(self, views: Any) -> tuple[Tensor, Tensor]:
        """h (b, 1, H) of texts, and z (b, 2, D) of texts and labels."""
        h, z = self.encode(views[:, 0])
        sides = torch.stack([z, self.labels(views[:, 1])], dim=1)
        return of_views("encoder", h, (len(h), 1)), sides

    def score(self, texts: Tensor, labels: Tensor) -> Tensor:
        """Products (N, M) of texts (N, L) and label texts (M, L), seen or unseen: zero-shot classes."""
        return self.encode(texts)[1] @ self.labels(labels).T

    def compare(self, embedded: Embedded) -> Step:
        """The loss of texts and their labels; the metric is `positive`, the mean product of both."""
        (query, key), negatives = embedded.z.unbind(1), None
        (words,) = gather(embedded.views[:, 1])
        same = (words[:, None] == words).all(2).int().argmax(1)  # the first label like it
        count = len(key) - 1 if self.sampled is None else self.sampled
        if self.log_noise is not None:
            most = math.log(count) if self.knobs["objective"] == "binary" else 0.0
            key = torch.cat([key, -(self.log_noise[words[:, 0]] + most)[:, None]], dim=1)
            query = F.pad(query, (0, 1), value=self.knobs["temperature"])
        group: Tensor | None = same
        if self.sampled is not None:
            others = torch.ne(same[:, None], same).float()
            at = embedded.generator.device
            drawn = torch.multinomial(others.to(at), self.sampled, replacement=True, generator=embedded.generator)
            negatives, group = key[drawn.to(key.device)], None
        parts = losses.means(losses.label_nce.parts(query, key, negatives, group, **self.knobs))
        return Step(parts["loss"], {"positive": parts["positive"].detach()})

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, sampled={self.sampled}"


class LabelsAndContrast(JointEmbedding):
    """Few-shot fine-tuning: (1 - weight) cross-entropy + weight * SupCon; an anchor without a positive counts 0.

    The loss is `supcon` at temperature 0.3; its mean is over all points of the batch.
    """

    @takes
    def __init__(self, *parts: Any, classes: Count, weight: Share = 0.9, **options: Any) -> None:
        """parts, options: see `JointEmbedding`; classes: how many the linear classifier of h tells apart."""
        super().__init__(*parts, **{"temperature": 0.3, **options})
        if title(self.loss) != "supcon":
            raise ValueError(f"loss must be supcon, got {title(self.loss)}")
        self.weight = weight
        self.classifier = nn.Linear(width(self.encoder), classes)

    def compare(self, embedded: Embedded) -> Step:
        """The loss of an embedded batch; metrics: `cross_entropy` and `contrast`."""
        (h,) = gather(embedded.h)
        targets = embedded.labels.repeat_interleave(h.shape[1])
        crossed = F.cross_entropy(self.classifier(h.flatten(0, 1)), targets)
        parts = losses.supcon.parts(embedded.z, embedded.labels, **self.knobs)
        contrast = (parts["loss"] * parts["anchor_weight"]).mean()
        loss = (1 - self.weight) * crossed + self.weight * contrast
        return Step(loss, {"cross_entropy": crossed.detach(), "contrast": contrast.detach()})


def information(positive: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """Two lower bounds of the information that texts and labels share, scalars: InfoNCE's and Jensen-Shannon's.

    positive: (N,), scores of right labels; negatives: (N, K), of wrong ones
    Source: log(K + 1) minus the ranking loss; the mean of -softplus(-s+) minus that of softplus(s-), as in DIM
    Raises: TypeError or ValueError for other tensors
    """
    require(positive=(positive, "N"), negatives=(negatives, "N K"))
    ranking = F.pad(negatives - positive[:, None], (1, 0)).logsumexp(1).mean()
    shannon = -F.softplus(-positive).mean() - F.softplus(negatives).mean()
    return math.log(negatives.shape[1] + 1) - ranking, shannon
