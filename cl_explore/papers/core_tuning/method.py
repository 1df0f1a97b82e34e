"""Core-tuning: cross-entropy and a focal contrast of features, their hard positive and their hard negative mixtures."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.losses import hard_pairs
from cl_explore.losses.mixing import Mining
from cl_explore.methods import JointEmbedding
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Embedded, Step
from cl_explore.methods.skeleton import title, width
from cl_explore.takes import Amount, Count, Positive, Share, takes


def equal_targets(targets: Tensor) -> Tensor:
    """A number (N,) for each row of soft labels (N, C), the same for rows that are equal to six decimals.

    >>> equal_targets(torch.tensor([[1.0, 0.0], [0.2, 0.8], [1.0, 0.0]]))
    tensor([0, 1, 0])
    """
    rounded = targets.round(decimals=6)
    return (rounded[:, None] == rounded).all(2).int().argmax(1)  # the first row like it


class CoreTuning(JointEmbedding):
    """Fine-tuning of a trained encoder: cross-entropy + eta * focal contrast, of features h and mixtures of them.

    The linear classifier has no offset; classifier and head see features and mixtures alike. Each view of a sample
    counts as a sample. Several processes that train together mix the joined batch each in its own way.
    """

    serves = JointEmbedding.serves | {"positives", "negatives"}

    @takes
    def __init__(
        self,
        *parts: Any,
        num_classes: Count,
        eta: Amount = 0.1,
        mixtures: bool = True,
        alpha: Positive = 1.0,
        least: Share = 0.8,
        mining: Mining = "masked",
        mixture_positives: bool = True,
        detach_clean: bool = False,
        **options: Any,
    ) -> None:
        """parts, options: see `JointEmbedding`; the loss is `focal_supcon`, of which `divide="all"` is as in the code.

        eta: weight of the contrast; 0 leaves cross-entropy alone
        mixtures: whether there are any
        alpha, least, mining: see `losses.hard_pairs`
        mixture_positives: an anchor is a sample, its positives its class and its own hard positive mixture; False, as
            in the code: every row is an anchor, and rows of equal soft labels are positives. These are also hard
            negatives whose partner is of one class with them, or whose shares were both clipped to `least`
        detach_clean: the encoder is taught by mixtures alone, as in the code
        Source: Zhang et al. 2021 and its code, which differ where an argument says so
        Raises: ValueError for another loss, for detach_clean without mixtures, and in a step with a contrast if no
            anchor has a positive
        """
        super().__init__(*parts, **options)
        if title(self.loss) != "focal_supcon":
            raise ValueError(f"loss must be focal_supcon, got {title(self.loss)}")
        if detach_clean and not mixtures:
            raise ValueError("detach_clean must be False without mixtures, or nothing teaches the encoder")
        self.eta, self.mixtures, self.alpha, self.least, self.mining = eta, mixtures, alpha, least, mining
        self.mixture_positives, self.detach_clean = mixture_positives, detach_clean
        self.classifier = nn.Linear(width(self.encoder), num_classes, bias=False)

    def compare(self, embedded: Embedded) -> Step:
        """The loss of an embedded batch; metrics: cross_entropy, and with a contrast also contrast and focus."""
        (h,) = gather(embedded.h)
        h, z = h.flatten(0, 1), embedded.z.flatten(0, 1)
        labels = embedded.labels.repeat_interleave(self.n_views)
        targets = F.one_hot(labels, self.classifier.out_features).to(h)
        sides: dict[str, Any] = {}
        if self.mixtures:
            pairs = hard_pairs(
                h, labels, num_classes=self.classifier.out_features, alpha=self.alpha, least=self.least,
                mining=self.mining, generator=embedded.generator,
            )  # fmt: skip
            if self.detach_clean:
                h = h.detach()
                z = self.project(h)
            h = torch.cat([h, pairs.positives, pairs.negatives])
            targets = torch.cat([targets, pairs.positive_targets, pairs.negative_targets])
            positives, negatives = self.project(h[len(labels) :]).chunk(2)
            if self.mixture_positives:
                sides = {"positives": positives, "negatives": negatives}
            else:
                z, labels = torch.cat([z, positives, negatives]), equal_targets(targets)
        total = F.cross_entropy(self.classifier(h), targets)
        metrics = {"cross_entropy": total.detach()}
        if self.eta:
            parts = losses.means(losses.focal_supcon.parts(z=z, labels=labels, **sides, **self.knobs))
            total = total + self.eta * parts["loss"]
            metrics |= {"contrast": parts["loss"].detach(), "focus": parts["focus"].detach()}
        return Step(total, metrics)

    def classify(self, h: Tensor) -> Tensor:
        """The class (N,) of each representation h (N, H)."""
        return self.classifier(h).argmax(1)

    def extra_repr(self) -> str:
        own = ("eta", "mixtures", "alpha", "least", "mining", "mixture_positives", "detach_clean")
        return ", ".join([f"{name}={getattr(self, name)!r}" for name in own] + [super().extra_repr()])
