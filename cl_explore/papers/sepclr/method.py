"""Two encoders side by side, one for what all samples share and one for what targets have beside it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.data.batch import Samples
from cl_explore.methods import Augment, JointEmbedding, Step
from cl_explore.methods.method import Embedded


class TwoEncoders(nn.Module):
    """The common code and the salient code of a sample, as the two halves of one vector."""

    def __init__(self, common: nn.Module, salient: nn.Module, size: int) -> None:
        """common, salient: networks from x (N, ...) to `size` numbers each."""
        super().__init__()
        self.common, self.salient, self.out_features = common, salient, 2 * size

    def forward(self, x: Samples) -> Tensor:
        """c and s (N, 2 size) of x (N, ...)."""
        return torch.cat([self.common(x), self.salient(x)], dim=1)


class TwoProjectors(TwoEncoders):
    """A projector for each of the two halves of h."""

    def forward(self, h: Samples) -> Tensor:
        """z (N, 2 size) of h (N, H)."""
        assert isinstance(h, Tensor)
        common, salient = h.chunk(2, dim=1)
        return torch.cat([self.common(common), self.salient(salient)], dim=1)


class AttributeSepCLR(JointEmbedding):
    """SepCLR where attributes of targets are known: each gets one number of the salient code.

    Such a number is spread out, alike for targets of like attributes, and 0 for background; the terms of the common
    code and the joint entropy of both are those of `losses.sepclr`. All views have their numbers, where the authors'
    code takes the sample as it is alone: a reconstruction.
    Source: the authors' code for attributes, `dsprite_digit_grid`
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        augment: Augment,
        *,
        attributes: Sequence[str],
        bandwidth: float = 0.025,
        **knobs: Any,
    ) -> None:
        """What it knows.

        attributes: factors of the data set, each for one of the first numbers of the salient code; those of background
            are not looked at.
        bandwidth: of `losses.attribute_alignment`; twice this divides the square of a background's number, too.
        knobs: of `losses.sepclr`, but `informationless_weight`, which has no part in it.
        """
        super().__init__(encoder, head, "sepclr", augment, informationless_weight=0.0, **knobs)
        self.attributes, self.bandwidth = tuple(attributes), bandwidth

    def compare(self, embedded: Embedded) -> Step:
        """The sum of its terms, of which `common`, `attributes` and `joint_entropy` are metrics."""
        c, s = embedded.z.chunk(2, dim=2)
        parts = losses.means(losses.sepclr.parts(c, s, embedded.labels, **self.knobs))
        common = parts["common_alignment"] + 2 * parts["common_uniformity"]
        each = torch.stack([
            self._of_attribute(s[..., [place]], embedded.labels > 0, self._factor(name, embedded))
            for place, name in enumerate(self.attributes)
        ]).mean()  # fmt: skip
        joint = parts["joint_entropy"]
        loss = common + self.knobs["salient_weight"] * each + self.knobs["joint_weight"] * joint
        terms = {"common": common, "attributes": each, "joint_entropy": joint}
        return Step(loss, {name: term.detach() for name, term in terms.items()})

    def _of_attribute(self, s: Tensor, target: Tensor, attribute: Tensor) -> Tensor:
        """What is asked of one number s (B, V, 1), a scalar."""
        samples, views, _ = s.shape
        parts = losses.means(losses.sepclr.parts(s, s, target.long(), **self.knobs))
        number = target.sum()
        away = 1e3 * self.bandwidth * torch.arange(1, samples + 1, device=s.device)
        # background is placed where nothing attracts it, so that no shape depends on how many targets there are
        known = attribute.to(s.dtype).where(target, 0)
        places = known.where(target, known.max() + away)
        pulls = losses.attribute_alignment(s, places, bandwidth=self.bandwidth, reduction="none").view(samples, views)
        others = (number * views - 1).clamp(min=1)
        alignment = (pulls * target[:, None]).sum() * (samples * views - 1) / (others * (number * views).clamp(min=1))
        pressed = parts["informationless"] * self.knobs["temperature"] / self.bandwidth
        return parts["salient_uniformity"] + (alignment + pressed) / 2
