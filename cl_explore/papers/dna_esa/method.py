"""Embed, search, align: reads and fragments by one encoder, the nearest fragments, and the best local alignment.

Training is InfoNCE in one direction (`losses.info_nce`: fragments are the anchors, reads of the batch the candidates;
temperature 0.05) by `JointEmbedding` with views of `world.FragmentAndRead`; the symmetric form is `losses.clip`.

Source: Holur et al. 2025 and the authors' code (similarity.py, trainer.py, smith_waterman.py, helpers.py).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.geometry import nearest
from cl_explore.losses.arguments import require
from cl_explore.methods import JointEmbedding
from cl_explore.nn import Transformer
from cl_explore.papers.dna_esa.world import FragmentAndRead
from cl_explore.takes import Amount, Count, Positive, takes


def embedder(
    encoder: nn.Module, augment: FragmentAndRead, *, symmetric: bool = False, temperature: float = 0.05
) -> JointEmbedding:
    """DNA-ESA as it is trained, without a projection head; symmetric: reads are anchors too."""
    loss = losses.clip if symmetric else losses.info_nce
    return JointEmbedding(encoder, nn.Identity(), loss, augment, temperature=temperature)


class KmerCounts(nn.Module):
    """Bases (N, L) -> (N, 4^k): square roots of how often each word of k bases occurs, of length 1.

    Padding stands at the end. A sequence that is shorter than a word gives zeros. This small encoder
    is the library's, not the paper's.

    >>> KmerCounts(2)(torch.tensor([[1, 2, 1, 2, 0]])).square().nonzero().tolist()
    [[0, 1], [0, 4]]
    """

    @takes
    def __init__(self, k: Count = 5) -> None:
        """k: bases of a word."""
        super().__init__()
        self.k, self.out_features = k, 4**k

    def forward(self, bases: Tensor) -> Tensor:
        require(bases=(bases, "ids N L"))
        digits = (F.pad(bases, (0, max(self.k - bases.shape[1], 0))) - 1).clamp(min=0)
        words = digits.shape[1] - self.k + 1
        number = digits[:, :words]
        for place in range(1, self.k):
            number = 4 * number + digits[:, place : place + words]
        whole = bases[:, self.k - 1 :] > 0 if bases.shape[1] >= self.k else torch.zeros_like(number, dtype=torch.bool)
        counts = torch.zeros(len(bases), self.out_features, device=bases.device)
        counts.scatter_add_(1, number, whole.float())
        return F.normalize(counts.sqrt(), dim=1)


@takes
def learn_merges(genome: Tensor, vocabulary: Count) -> list[tuple[int, int]]:
    """The merges of byte-pair encoding: again and again the most frequent pair of tokens becomes a new one.

    genome: (L,) of bases 1 to 4; merge number i makes token 5 + i
    vocabulary: tokens in all, with padding: vocabulary - 5 merges. The paper's has 10,000.
    Source: Sennrich et al. 2016 (1508.07909), on the whole genome as one word
    Raises: ValueError for fewer than 6 tokens
    """
    if vocabulary < 6:
        raise ValueError(f"vocabulary must be at least 6, padding, four bases and a pair, got {vocabulary}")
    merges: list[tuple[int, int]] = []
    row = genome[None]
    while len(merges) < vocabulary - 5 and row.shape[1] > 1:
        pair = int((row[0, :-1] * vocabulary + row[0, 1:]).bincount().argmax())
        merges.append(divmod(pair, vocabulary))
        row = _merge(row, merges[-1], 4 + len(merges))
        row = row[:, row[0] > 0]
    return merges


def encode_pairs(bases: Tensor, merges: Sequence[tuple[int, int]]) -> Tensor:
    """Bases (N, L) as tokens (N, L) of byte pairs, padded: all merges in their order, each from left to right."""
    for number, pair in enumerate(merges):
        bases = _merge(bases, pair, 5 + number)
    return bases


def _merge(row: Tensor, pair: tuple[int, int], token: int) -> Tensor:
    first, second = pair
    place = torch.arange(row.shape[1], device=row.device)
    met = (row == first) & (F.pad(row[:, 1:], (0, 1)) == second)
    if first == second:  # of aaa the first two
        before = torch.where(met, -1, place).cummax(1).values
        met &= (place - before) % 2 == 1
    gone = F.pad(met[:, :-1], (1, 0)) | (row == 0)
    target = torch.where(gone, row.shape[1], (~gone).cumsum(1) - 1)
    made = row.new_zeros(len(row), row.shape[1] + 1)
    return made.scatter(1, target, torch.where(met, token, row))[:, :-1]


class ReadTransformer(nn.Module):
    """The paper's encoder: byte pairs, sines of their places, a transformer, the mean over what is no padding.

    Maps bases (N, L) to (N, width). The paper's has 6 layers, 12 heads, width 384 and 10,000 tokens.
    """

    @takes
    def __init__(
        self, merges: Sequence[tuple[int, int]], width: Count = 384, depth: Count = 6, heads: Count = 12
    ) -> None:
        """merges: see `learn_merges`; ValueError if width is odd or no multiple of heads."""
        super().__init__()
        if width % 2:
            raise ValueError(f"width must be even, for a sine and a cosine each, got {width}")
        self.merges, self.out_features = list(merges), width
        self.embedding = nn.Embedding(5 + len(self.merges), width, padding_idx=0)
        self.transformer = Transformer(width, depth, heads)

    def forward(self, bases: Tensor) -> Tensor:
        require(bases=(bases, "ids N L"))
        tokens = encode_pairs(bases, self.merges)
        tokens = tokens[:, : max(int((tokens > 0).sum(1).max()), 1)]
        padding = tokens == 0
        padding[:, 0] = False  # attention to nothing at all is not a number
        x = self.transformer(self.embedding(tokens) + self.sines(tokens.shape[1], tokens.device), padding)
        real = (tokens > 0)[..., None]
        return (x * real).sum(1) / real.sum(1).clamp(min=1)

    def sines(self, length: int, device: torch.device) -> Tensor:
        """(length, width): sines, then cosines, of the place times frequencies from 1 down to 1 / 10,000."""
        half = self.out_features // 2
        angle = torch.arange(length, device=device)[:, None] * torch.logspace(0, -4, half, device=device)
        return torch.cat([angle.sin(), angle.cos()], 1)


class Alignment(NamedTuple):
    """The best local alignment of each pair: `score` (P,) and `begins` (P,), the first aligned base of the fragment."""

    score: Tensor
    begins: Tensor


@takes
def smith_waterman(
    read: Tensor,
    fragment: Tensor,
    match: Positive = 2.0,
    mismatch: float = -1.0,
    open_gap: float = -0.5,
    extend_gap: float = -0.1,
) -> Alignment:
    """Local alignment with affine gaps, of P pairs at once; the scores are the authors'.

    read: (P, R) bases, padded with 0; fragment: (P, L) likewise
    open_gap, extend_gap: what the first base of a gap costs, and each further one
    Perfect: a score of 2 R, of a read that lies in the fragment as it is
    Source: smith_waterman.py, whose `distance` is minus the score
    Raises: TypeError or ValueError for other shapes, and unless gaps cost, the first base the most
    Note: gaps that cost so little join chance matches: a random read scores more than half of a perfect one.
    """
    require(read=(read, "ids P R"), fragment=(fragment, "ids P L"))
    if not open_gap <= extend_gap < 0:
        raise ValueError(f"open_gap must be at most extend_gap, and both negative, got {open_gap} and {extend_gap}")
    place = torch.arange(fragment.shape[1], device=fragment.device)
    score = torch.zeros(fragment.shape, dtype=torch.float64, device=fragment.device)
    start = place.expand_as(fragment)
    gap, gap_start = torch.full_like(score, -math.inf), start
    slope = place.double() * extend_gap
    best, begins = score.new_zeros(len(read)), start.new_zeros(len(read))
    for base in read.unbind(1):
        alike = (base[:, None] == fragment) & (fragment > 0)
        before = F.pad(score[:, :-1], (1, 0))
        pair = before + torch.where(alike, match, mismatch)
        pair_start = torch.where(before > 0, F.pad(start[:, :-1], (1, 0)), place)
        opened, gap = score + open_gap, gap + extend_gap  # bases of the read that the fragment lacks
        gap_start = torch.where(opened >= gap, start, gap_start)
        gap = torch.maximum(opened, gap)
        start = torch.where(pair >= gap, pair_start, gap_start)
        score = torch.maximum(pair, gap).clamp(min=0)
        # bases of the fragment that the read lacks: from the best cell to the left, at what it costs to come here
        reach, source = (score - slope).cummax(1)
        along = F.pad(reach[:, :-1], (1, 0), value=-math.inf) + slope + open_gap - extend_gap
        start = torch.where(score >= along, start, start.gather(1, F.pad(source[:, :-1], (1, 0))))
        score = torch.maximum(score, along)
        top, column = score.max(1)
        begins = torch.where(top > best, start.gather(1, column[:, None])[:, 0], begins)
        best = torch.maximum(best, top)
    return Alignment(best, begins)


class Placed(NamedTuple):
    """Where reads are placed: `place` (N,) in the genome, `score` (N,) of the alignment, `row` (N,) of the fragment."""

    place: Tensor
    score: Tensor
    row: Tensor


def align(reads: Tensor, fragments: Tensor, starts: Tensor, candidates: Tensor) -> Placed:
    """Align each read with its K candidates, and keep the best.

    reads: (N, R); fragments: (M, L), which begin at starts (M,)
    candidates: (N, K), rows of fragments, the most similar first: of equal scores the first wins
    """
    count, k = candidates.shape
    found = smith_waterman(reads.repeat_interleave(k, 0), fragments[candidates.flatten()])
    score, begins = (part.view(count, k) for part in found)
    chosen = score.argmax(1, keepdim=True)
    row = candidates.gather(1, chosen)[:, 0]
    return Placed(starts[row] + begins.gather(1, chosen)[:, 0], score.gather(1, chosen)[:, 0], row)


def search(reads: Tensor, fragments: Tensor, k: int) -> Tensor:
    """The k fragments (N, k) nearest to each read by the cosine of their vectors (N, D) and (M, D), nearest first."""
    return nearest(F.normalize(reads, dim=1), F.normalize(fragments, dim=1), k).rows


def success(placed: Placed, places: Tensor, read: int, exactness: Amount = 10, distance_bound: Amount = 20) -> Tensor:
    """Whether each read (N,) counts as aligned: near its place, or as good a match elsewhere, as at a repeat.

    places: (N,), where the reads were taken from; read: bases of each
    exactness: bases that it may be off; distance_bound: how far below the perfect score, 2 `read`, the match may be
    Source: main_align of the authors' helpers.py; they try 2 to 10, and 5 to 50
    """
    return ((placed.place - places).abs() <= exactness) | (placed.score >= 2 * read - distance_bound)
