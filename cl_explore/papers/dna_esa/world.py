"""Genomes as tokens, fragments and noisy reads of them, and reads whose place is known.

A base is a token: A 1, C 2, G 3, T 4; 0 is padding. Strands are forward ones, as in the authors' training.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from cl_explore.data import Dataset
from cl_explore.data.published import Layout, Published

BASES = "ACGT"
LAMBDA = Path(__file__).with_name("lambda_phage.2bit")
"""NC_001416.1, of the public domain: four bases a byte, the first in the lowest bits."""
LENGTH, SHA256 = 48_502, "36432a40f602258d19ae7c8152ddbc30390b559f2859c01d7047c77b048c71b3"


def letters(bases: Tensor) -> str:
    """Tokens (L,) as text, without padding."""
    return "".join(BASES[base - 1] for base in bases.tolist() if base)


def tokens(text: str) -> Tensor:
    """Text as tokens (L,) int64; ValueError names letters other than A, C, G, T, of either case."""
    codes = np.frombuffer(text.upper().encode("ascii", "replace"), np.uint8)
    if strange := sorted(set(np.unique(codes).tolist()) - set(BASES.encode())):
        raise ValueError(f"a sequence must be of A, C, G and T, got {', '.join(map(repr, map(chr, strange)))}")
    return torch.from_numpy(1 + np.searchsorted(np.frombuffer(BASES.encode(), np.uint8), codes))


def lambda_phage() -> Tensor:
    """The genome of the phage lambda, (48502,) int64; it comes with the library."""
    packed = np.frombuffer(LAMBDA.read_bytes(), np.uint8)
    bases = 1 + (packed[:, None] >> np.array([0, 2, 4, 6], np.uint8) & 3).ravel()[:LENGTH].astype(np.int64)
    found = hashlib.sha256(np.frombuffer(b" " + BASES.encode(), np.uint8)[bases].tobytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{LAMBDA} is damaged: the sequence has sha256 {found}, needed is {SHA256}")
    return torch.from_numpy(bases)


def read_fasta(path: Path) -> Tensor:
    """The one sequence of a FASTA file, (L,) int64; ValueError for several records, or none.

    path: plain, or compressed with gzip if it ends in .gz
    """
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        lines = file.read().splitlines()
    heads = [place for place, line in enumerate(lines) if line.startswith(">")]
    body = [line for line in lines if not line.startswith(">")]
    if len(heads) != 1 or heads[0] != 0:
        raise ValueError(f"{path} must hold one record, which begins with >, got {len(heads)}")
    return tokens("".join("".join(body).split()))


def _read(folder: Path, split: str) -> Dataset:
    sequence = read_fasta(folder / FILES[split][0])
    return Dataset(split, sequence[None], torch.zeros(1, dtype=torch.int64), torch.arange(1), (split,), kind="tokens")


FILES = {"E. coli": ("E.Coli/references/MG1655-K12.fasta.gz",), "H. pylori": ("H.Pylori/references/G27.fasta.gz",)}
BACTERIA = Published(
    "Bacterial genomes",
    (Layout(_read, FILES),),
    folders=("ragout-examples", "ragout/examples"),
    elsewhere=(Path("/usr/share/doc/ragout/examples"),),
    advice="apt install ragout-examples (Debian, 18 MB), which puts them into /usr/share/doc/ragout/examples",
    licence="BSD-3, that of the package; the sequences are of NCBI, whose data are free to use",
)
"""Whole chromosomes: E. coli K-12 MG1655, which lambda infects (4.6 million bases), and H. pylori G27 (1.7 million)."""


def bacterium(name: str) -> Tensor:
    """The genome (L,) of a bacterium of FILES; errors as of `data.load`."""
    return BACTERIA.load(name).x[0]


def random_dna(length: int, generator: Generator) -> Tensor:
    """Bases (length,) drawn evenly and independently: DNA without any structure."""
    return torch.randint(1, 5, (length,), generator=generator)


def windows(genome: Tensor, count: int, length: int) -> Dataset:
    """Evenly spaced windows (count, length) of a genome (L,), for views to be cut from; ValueError if it is shorter."""
    if len(genome) < length:
        raise ValueError(f"genome must have at least {length} bases, those of a window, got {len(genome)}")
    starts = torch.linspace(0, len(genome) - length, count).long()
    rows = torch.arange(count)
    return Dataset("windows", genome.unfold(0, length, 1)[starts], torch.zeros_like(rows), rows, ("genome",),
                   {"start": starts}, "tokens")  # fmt: skip


def cut(bases: Tensor, low: int, high: int, generator: Generator) -> Tensor:
    """A stretch of `low` to `high` bases of each row (N, L), from a random place, moved to the front of the row."""
    count, device = len(bases), bases.device
    lengths = torch.randint(low, high + 1, (count,), generator=generator, device=device)
    room = ((bases > 0).sum(1) - lengths).clamp(min=0)
    starts = (torch.rand(count, generator=generator, device=device) * (room + 1)).long()
    place = torch.arange(bases.shape[1], device=device)
    taken = bases.gather(1, (starts[:, None] + place).clamp(max=bases.shape[1] - 1))
    return taken * (place < lengths[:, None])


def noisy(bases: Tensor, substitutions: float, indels: float, generator: Generator) -> Tensor:
    """Reads (N, L) with errors: what is pushed out of a row by insertions is lost.

    substitutions: share of bases that become another one
    indels: share of bases that are lost, one half, or before which a random one is inserted, the other half
    """
    count, width = bases.shape
    drawn = torch.rand(2, count, width, generator=generator, device=bases.device)
    shift = torch.randint(3, bases.shape, generator=generator, device=bases.device)
    inserted = torch.randint(1, 5, bases.shape, generator=generator, device=bases.device)
    changed = torch.where(drawn[0] < substitutions, 1 + (bases + shift) % 4, bases)
    copies = (1 + (drawn[1] < indels).long() - 2 * (drawn[1] < indels / 2).long()) * (bases > 0)
    ends = copies.cumsum(1)
    made = bases.new_zeros(count, width + 1)  # the last column takes what falls off
    for from_end, values in ((1, changed), (2, inserted)):
        place = torch.where(copies >= from_end, ends - from_end, width).clamp(max=width)
        made.scatter_(1, place, values)
    return made[:, :width]


@dataclass(frozen=True)
class FragmentAndRead:
    """Two views of a window, for `JointEmbedding`: a fragment of it and a read of that fragment, at random places.

    fragment, read: the fewest and most bases. The paper's are 800 to 2000 and 80 to 180.
    substitutions, indels: errors of the read, see `noisy`. The authors' training has none.
    """

    fragment: tuple[int, int] = (300, 400)
    read: tuple[int, int] = (70, 130)
    substitutions: float = 0.05
    indels: float = 0.03

    def __post_init__(self) -> None:
        shortest, longest = self.fragment
        low, high = self.read
        if not 0 < low <= high <= shortest <= longest:
            raise ValueError(f"read must be at most as long as any fragment, got {self.read} of {self.fragment}")
        for name in ("substitutions", "indels"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")

    def __call__(self, x: Tensor, generator: Generator, n_views: int) -> Tensor:
        """Windows (B, L) -> (B, 2, L), padded; ValueError for windows that are too short or other than two views."""
        if n_views != 2 or x.shape[1] < self.fragment[1]:
            need = f"windows must have at least {self.fragment[1]} bases, and two views"
            raise ValueError(f"{need}, got {x.shape[1]} and {n_views}")
        fragment = cut(x, *self.fragment, generator)
        read = noisy(cut(fragment, *self.read, generator), self.substitutions, self.indels, generator)
        return torch.stack([fragment, read], 1)


class Trial(NamedTuple):
    """Reads to be found again in a genome that is cut into overlapping fragments.

    fragments: (M, F), and starts: (M,), where in the genome they begin.
    reads: (N, R), padded, and places: (N,), where they were taken from.
    holds: (M, N) bool, whether a fragment has all of the read: two or three do.
    """

    fragments: Tensor
    starts: Tensor
    reads: Tensor
    places: Tensor
    holds: Tensor


def trial(
    genome: Tensor,
    count: int,
    generator: Generator,
    *,
    fragment: int = 400,
    stride: int = 150,
    read: int = 100,
    substitutions: float = 0.05,
    indels: float = 0.03,
) -> Trial:
    """Fragments every `stride` bases (the last one ends where the genome does), and `count` reads of `read` bases.

    Raises: ValueError if fragments overlap by less than a read, which some reads would fit into none of
    """
    if fragment - stride < read:
        raise ValueError(f"fragments must overlap by at least a read of {read} bases, got {fragment - stride}")
    last = len(genome) - fragment
    starts = torch.cat([torch.arange(0, last, stride), torch.tensor([last])])
    places = torch.randint(len(genome) - read + 1, (count,), generator=generator)
    room = torch.zeros(count, read // 5, dtype=torch.int64)  # for insertions
    reads = noisy(torch.cat([genome.unfold(0, read, 1)[places], room], 1), substitutions, indels, generator)
    holds = (starts[:, None] <= places) & (places + read <= starts[:, None] + fragment)
    return Trial(genome.unfold(0, fragment, 1)[starts], starts, reads, places, holds)
