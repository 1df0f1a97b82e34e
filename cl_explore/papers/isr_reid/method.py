"""ISR: who of one frame is who of the next is found by matching, and pairs count as far as they can be trusted.

Source: the abstract and the framework figure of the paper; the authors published no training code. That instances are
associated by maximum-weight bipartite matching is theirs. How the reliability of a pair is measured is a
reconstruction: four weights that do what the abstract asks for, reliable pairs dominate.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.data import Batch, Dataset
from cl_explore.data.groups import ranked
from cl_explore.methods import Augment, Method, Step
from cl_explore.names import unknown

Association = Literal["hungarian", "greedy", "mutual", "oracle"]
Reliability = Literal["posterior", "similarity", "margin"]
Negatives = Literal["batch", "video"]
Matched = tuple[NDArray[np.int64], NDArray[np.int64]]


def hungarian(similarity: NDArray[np.float64]) -> Matched:
    """Rows and columns of the matching of (n, m) with the largest total; all of the smaller side find a partner."""
    from scipy.optimize import linear_sum_assignment  # takes half a second, which those who only look need not wait

    return linear_sum_assignment(similarity, maximize=True)


def greedy(similarity: NDArray[np.float64]) -> Matched:
    """The best pair of (n, m) first, then the best of what is left; of equal ones the first by row and column."""
    left, found = similarity.copy(), []
    for _ in range(min(left.shape)):
        row, column = divmod(int(left.argmax()), left.shape[1])
        found.append((row, column))
        left[row], left[:, column] = -np.inf, -np.inf
    rows, columns = np.array(sorted(found)).T
    return rows, columns


def mutual(similarity: NDArray[np.float64]) -> Matched:
    """Pairs of (n, m) in which each is the other's most similar; some find nobody."""
    rows, columns = np.arange(len(similarity)), similarity.argmax(1)
    kept = similarity.argmax(0)[columns] == rows
    return rows[kept], columns[kept]


MATCHINGS: dict[str, Callable[[NDArray[np.float64]], Matched]] = {
    "hungarian": hungarian, "greedy": greedy, "mutual": mutual,
}  # fmt: skip


def associate(x: Tensor, y: Tensor, video_x: Tensor, video_y: Tensor, how: str = "hungarian") -> Tensor:
    """Who of the first frames is who of the second: places (2, P) in x and in y, in the order of x within a video.

    x, y: (N, D) and (M, D), of unit length, what is in the first and in the second frames; carries no gradient
    video_x, video_y: (N,) and (M,) int64, the frame pair of each; only those of one pair are matched, so that the cost
        grows with the number of pairs, not with its cube
    how: "hungarian", "greedy" or "mutual"
    Raises: ValueError for another way
    """
    if how not in MATCHINGS:
        raise unknown("association", how, MATCHINGS)
    similarity = (x.detach() @ y.detach().T).double().cpu().numpy()
    of_x, of_y = video_x.cpu().numpy(), video_y.cpu().numpy()
    found = [np.empty((2, 0), dtype=np.int64)]
    for video in np.intersect1d(of_x, of_y):
        rows, columns = np.flatnonzero(of_x == video), np.flatnonzero(of_y == video)
        i, j = MATCHINGS[how](similarity[np.ix_(rows, columns)])
        found.append(np.stack([rows[i], columns[j]]))
    return torch.from_numpy(np.concatenate(found, axis=1)).to(x.device)


class Contrasted(NamedTuple):
    """What became of P pairs.

    loss: scalar, the mean of `each` by weight; 0 where no pair has any.
    each: (P,), the loss of a pair, with gradient.
    weight: (P,), how far it is trusted, without gradient.
    """

    loss: Tensor
    each: Tensor
    weight: Tensor


class ReliableContrast(nn.Module):
    """The contrast of pairs in both directions, each as much as it can be trusted (a reconstruction, see the module).

    A pair (i, j) costs the mean of -log softmax over the row i and over the column j of the similarities over tau. The
    loss is sum r l / sum r: what all weights have in common does not count.

    >>> x = F.normalize(torch.randn(6, 4), dim=1)
    >>> pairs, video = torch.arange(6).expand(2, -1), torch.zeros(6)
    >>> plain = ReliableContrast(power=0)(x, x, pairs, video, video).loss
    >>> from cl_explore.losses import clip
    >>> torch.allclose(plain, clip(x, x, temperature=0.1))
    True
    """

    def __init__(
        self,
        reliability: Reliability = "posterior",
        power: float = 1.0,
        negatives: Negatives = "batch",
        temperature: float = 0.1,
    ) -> None:
        """What a pair is trusted for, and whom it is compared with.

        reliability: "posterior": e^-l, the geometric mean of the two probabilities that the softmaxes give the pair;
            "similarity": its cosine, 0 below 0; "margin": the sigmoid of its lead over the best rival in row and
            column, over tau.
        power: of the weight; 0 trusts all pairs alike, large ones only the surest.
        negatives: all others of the batch, or those of the same frame pair.
        Raises: ValueError for another word, a power below 0 or a temperature that is not above 0
        """
        super().__init__()
        for name, given, words in (
            ("reliability", reliability, get_args(Reliability)), ("negatives", negatives, get_args(Negatives)),
        ):  # fmt: skip
            if given not in words:
                raise unknown(name, given, words)
        if not power >= 0:
            raise ValueError(f"power must be at least 0, got {power}")
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.reliability, self.power, self.negatives, self.temperature = reliability, power, negatives, temperature

    def forward(self, x: Tensor, y: Tensor, pairs: Tensor, video_x: Tensor, video_y: Tensor) -> Contrasted:
        """Pairs (2, P) of x (N, D) and y (M, D), of unit length, of which video_x (N,) and video_y (M,) say the video.

        Who found no partner is a negative of the others all the same.
        """
        i, j = pairs
        similarity = x @ y.T
        if self.negatives == "video":
            similarity = similarity.masked_fill(video_x[:, None] != video_y, -torch.inf)
        logits = similarity / self.temperature
        each = -(logits.log_softmax(1)[i, j] + logits.log_softmax(0)[i, j]) / 2
        weight = self.trust(similarity.detach(), i, j, each.detach()) ** self.power
        total = weight.sum()
        return Contrasted((weight * each).sum() / torch.where(total > 0, total, 1), each, weight)

    def trust(self, similarity: Tensor, i: Tensor, j: Tensor, each: Tensor) -> Tensor:
        """How far pairs (i, j) of similarities (N, M) can be trusted (P,), in [0, 1]."""
        if self.reliability == "posterior":
            return (-each).exp()
        own = similarity[i, j]
        if self.reliability == "similarity":
            return own.clamp(min=0)
        row = similarity[i].scatter(1, j[:, None], -torch.inf).amax(1)
        column = similarity.T[j].scatter(1, i[:, None], -torch.inf).amax(1)
        return ((own - torch.maximum(row, column)) / self.temperature).sigmoid()

    def extra_repr(self) -> str:
        own = f"reliability={self.reliability!r}, power={self.power}, negatives={self.negatives!r}"
        return f"{own}, temperature={self.temperature}"


class ISR(Method):
    """Contrast of whom matching finds in two frames of a video; nobody says who is who.

    A sample is a crop. The data set's factors "video" and "frame" (0 or 1) say where it is from; labels, its
    identities, are looked at by `association="oracle"` alone, and by the metrics `precision` and `trusted`: the share
    of pairs that are one person, plain and by weight.
    """

    loss: ReliableContrast

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: ReliableContrast,
        augment: Augment,
        *,
        association: Association = "hungarian",
    ) -> None:
        """association: as `associate`, or "oracle": the true pairs, and nobody whose partner has left.

        Raises: ValueError for another way
        """
        super().__init__(encoder, head, augment, n_views=1)
        if association not in (ways := get_args(Association)):
            raise unknown("association", association, ways)
        self.loss, self.association = loss, association

    def draw_order(self, dataset: Dataset, batch_size: int, generator: torch.Generator) -> Tensor:
        """Rows of an epoch, whole videos in a drawn order.

        Raises: ValueError unless all videos have equally many crops, and batch_size is a multiple of that
        """
        rows, _, _, sizes = ranked(dataset.factors["video"])
        crops = int(sizes[0])
        if not (sizes == crops).all() or batch_size % crops:
            raise ValueError(
                f"batch_size must be a multiple of {crops}, as many crops as every video has, got {batch_size} for "
                f"videos of {int(sizes.min())} to {int(sizes.max())}"
            )
        order = rows.view(-1, crops)[torch.randperm(len(sizes), generator=generator, device="cpu")].flatten()
        return order[: len(order) // batch_size * batch_size]

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Match within each video as the encoder sees it now, then contrast all pairs of the joined batch."""
        embedded = self.embed_views(batch, generator)
        pairs, trusted, true = self.found(embedded.z[:, 0], embedded.labels, embedded.factors)
        weight = trusted.weight
        shares = {"precision": true.sum() / len(true), "trusted": (weight * true).sum() / weight.sum()}
        return Step(trusted.loss, {name: share.nan_to_num() for name, share in shares.items()} | {
            "pairs": torch.tensor(float(pairs.shape[1]), device=weight.device)})  # fmt: skip

    def found(self, z: Tensor, labels: Tensor, factors: Mapping[str, Tensor]) -> tuple[Tensor, Contrasted, Tensor]:
        """Pairs (2, P) among crops z (B, D), what becomes of them, and whether each is one person (P,)."""
        first, second = (torch.nonzero(factors["frame"] == frame)[:, 0] for frame in (0, 1))
        unit = F.normalize(z, dim=1)
        x, y, of_x, of_y = unit[first], unit[second], factors["video"][first], factors["video"][second]
        same = labels[first][:, None] == labels[second]
        if self.association == "oracle":
            pairs = torch.nonzero(same & (of_x[:, None] == of_y)).T
        else:
            pairs = associate(x, y, of_x, of_y, self.association)
        return pairs, self.loss(x, y, pairs, of_x, of_y), same[pairs[0], pairs[1]]

    def extra_repr(self) -> str:
        return f"association={self.association!r}, augment={self.augment!r}"
