"""SupReMix, which draws anew how much of the anchor is in each mixed negative, and plain regression beside it."""

from typing import Any

from torch import Tensor, nn

from cl_explore import losses
from cl_explore.methods import JointEmbedding, gather
from cl_explore.methods.method import Embedded


class SupReMix(JointEmbedding):
    """`losses.supremix` with a share of the anchor of its own for every pair, drawn in each step.

    Source: Wu et al. 2023 and the authors' code, whose parts (`pool`) of a batch are not needed: the loss works in
        blocks
    """

    serves = JointEmbedding.serves | {"shares"}

    def __init__(self, *parts: Any, concentration: tuple[float, float] = (2.0, 8.0), **options: Any) -> None:
        """What it knows.

        parts, options: see `JointEmbedding`.
        concentration: a and b of the Beta distribution of shares, of mean a / (a + b).
        """
        super().__init__(*parts, **options)
        self.concentration = concentration

    def provide(self, need: str, embedded: Embedded) -> Tensor | None:
        """As `JointEmbedding`, and `shares` (B V, B V), of which every process draws the rows of its own anchors."""
        if need != "shares":
            return super().provide(need, embedded)
        samples, views = embedded.h.shape[:2]
        a, b = self.concentration
        own = losses.beta(samples, views, len(embedded.z) * views, a=a, b=b, generator=embedded.generator)
        (shares,) = gather(own.to(embedded.z))
        return shares.flatten(0, 1)


class AbsoluteError(nn.Module):
    """Regression by L1: the mean absolute error of a linear function of z, which learns with the encoder."""

    raw = True  # as of losses of the catalogue: z is not brought to unit length

    def __init__(self, features: int) -> None:
        """features: numbers of z. The function starts at 0 everywhere, so that nothing is drawn here."""
        super().__init__()
        self.linear = nn.Linear(features, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, z: Tensor, targets: Tensor) -> Tensor:
        """A scalar of z (B, V, D) and targets (B,)."""
        return (self.linear(z).squeeze(-1) - targets[:, None]).abs().mean()
