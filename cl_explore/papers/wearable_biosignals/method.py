"""Positive pairs of two segments of one person, keys from a momentum copy, and KoLeo on what the encoder makes."""

import torch
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.data import Batch, Dataset
from cl_explore.data.groups import ranked
from cl_explore.losses.arguments import require
from cl_explore.methods import Augment, Method, Step
from cl_explore.methods.gather import gather
from cl_explore.nn import Momentum
from cl_explore.takes import Amount, Positive, Share, takes


class PersonContrast(nn.Module):
    """InfoNCE of each segment against the keys of the other one, and KoLeo within each view.

    The candidates of a segment are the keys of all persons in the *other* view: B of them, not 2B - 1. In KoLeo the
    views stay apart, since a positive pair would else push itself apart.
    Source: arXiv 2312.05409, section 3, as told by others (the paper's text was not at hand); KoLeo as in DINOv2

    >>> z = torch.eye(4)[:, None].repeat(1, 2, 1)
    >>> losses.means(PersonContrast(temperature=1.0)(z, -z))["contrast"].round(decimals=4)
    tensor(2.2143)
    """

    @takes
    def __init__(
        self,
        temperature: Positive = 0.04,
        koleo_weight: Amount = 0.1,
        koleo_eps: Positive = 1e-8,
        symmetric: bool = True,
    ) -> None:
        """koleo_weight, koleo_eps: of `losses.koleo`; symmetric: whether second segments look for first ones, too."""
        super().__init__()
        self.temperature, self.koleo_weight, self.koleo_eps = temperature, koleo_weight, koleo_eps
        self.symmetric = symmetric

    def forward(self, z: Tensor, key: Tensor) -> dict[str, Tensor]:
        """What two segments of each of B persons cost.

        z: (B, 2, D), with gradient; key: (B, 2, D) from the momentum copy, of which no gradient is taken
        Parts: `loss`, `contrast`, `koleo`, scalars
        Raises: TypeError or ValueError for other tensors, and for z and key of different shapes
        """
        require(z=(z, "B V D"), key=(key, "B V D"))
        if z.shape[1] != 2:
            raise ValueError(f"z must hold 2 segments of each person, got {z.shape[1]}")
        key = key.detach()
        ways = ((0, 1), (1, 0)) if self.symmetric else ((0, 1),)
        contrast = torch.stack([losses.info_nce(z[:, one], key[:, other], temperature=self.temperature)
                                for one, other in ways]).mean()  # fmt: skip
        koleo = losses.koleo(z, eps=self.koleo_eps)
        return {"loss": contrast + self.koleo_weight * koleo, "contrast": contrast, "koleo": koleo}

    def extra_repr(self) -> str:
        own = f"temperature={self.temperature}, koleo_weight={self.koleo_weight}, koleo_eps={self.koleo_eps}"
        return f"{own}, symmetric={self.symmetric}"


class PersonPairs(Method):
    """Two segments of each person are a positive pair, and no person is in a batch twice.

    A sample is a segment; the data set's factor "person" says whose. A batch holds pairs of rows: the two segments of
    the first person, those of the second, and so on, each augmented by itself.
    """

    loss: PersonContrast

    @takes
    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: PersonContrast,
        augment: Augment,
        *,
        across: Share = 1.0,
        decay: Share = 0.99,
    ) -> None:
        """across: how often the second segment is another one of the person's: 1 always, as in the paper; 0 never, so
        that a pair is two views of one segment, as in SimCLR.
        decay: of the momentum copy that makes the keys; 0 for keys of the encoder as it is.
        """
        super().__init__(encoder, head, augment, n_views=1)
        self.loss, self.across = loss, across
        self.copy = Momentum(nn.Sequential(encoder, head), decay)

    def draw_order(self, dataset: Dataset, batch_size: int, generator: torch.Generator) -> Tensor:
        """Rows of an epoch: several rounds of all persons, in each of which a person brings two segments.

        There are half as many rounds as the person with the fewest has segments, and no segment is drawn for two.
        Raises: ValueError unless every person has two segments, and batch_size is even and at most twice the persons
        """
        rows, _, rank, sizes = ranked(dataset.factors["person"], generator)
        persons, fewest = len(sizes), int(sizes.min())
        if fewest < 2:
            raise ValueError(f"dataset must hold at least 2 segments of every person, got one with {fewest}")
        if batch_size % 2 or batch_size > 2 * persons:
            raise ValueError(
                f"batch_size must be even and at most {2 * persons}, a pair of each of {persons} persons, "
                f"got {batch_size}"
            )
        pairs = rows[rank < fewest // 2 * 2].view(persons, -1, 2)
        again = torch.rand(pairs.shape[:2], generator=generator, device=generator.device).cpu() >= self.across
        pairs[..., 1] = torch.where(again, pairs[..., 0], pairs[..., 1])
        whole = 2 * persons // batch_size * batch_size // 2
        rounds = [of_all[torch.randperm(persons, generator=generator, device="cpu")[:whole]]
                  for of_all in pairs.unbind(1)]  # fmt: skip
        return torch.cat(rounds).flatten()

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """The loss of the joined batch; `contrast` and `koleo` are metrics."""
        embedded = self.embed_views(batch, generator)
        (key,) = gather(self.copy(embedded.views[:, 0]))
        parts = self.loss(*(rows.reshape(-1, 2, rows.shape[-1]) for rows in (embedded.z, key)))
        return Step(parts.pop("loss"), {name: part.detach() for name, part in parts.items()})

    def after_step(self) -> None:
        """Move the momentum copy."""
        self.copy.update()

    def extra_repr(self) -> str:
        return f"across={self.across}, augment={self.augment!r}"
