"""SyCL on graded lists: whether order inside the classes of binary labels is learned, and what the loss never asks."""

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, baselines, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.graded import FOUND, GRADES, SETS, agreement, directions, retrievers
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset, sentences
from cl_explore.methods import Method
from cl_explore.nn import MLP
from cl_explore.papers.listwise_wasserstein import PAPER
from cl_explore.papers.listwise_wasserstein import world as worlds
from cl_explore.papers.listwise_wasserstein.method import BinaryLists, GradedLists
from cl_explore.papers.listwise_wasserstein.world import FEATURES, PASSAGES, Looks, World

WITHIN, RELATED, NDCG = "order within classes", "2 above 1", "nDCG@10"
TAU = 0.2
Networks = tuple[nn.Module, nn.Module]


def order(scores: Tensor, levels: Tensor, high: int, low: int) -> float:
    """Of the pairs of a passage of one level and one of a lower, how many the scores order so: the mean over queries.

    scores, levels: (N, M), of each query and passage; a level below 0 is none
    Raises: ValueError if no query has both
    """
    shares = [
        (score[level == high][:, None] > score[level == low]).double().mean()
        for score, level in zip(scores, levels, strict=True)
        if (level == high).any() and (level == low).any()
    ]
    if not shares:
        raise ValueError(f"levels must hold {high} and {low} for some query")
    return torch.stack(shares).mean().item()


def orders(scores: Tensor, levels: Tensor) -> dict[str, float]:
    """The order across the border of binary labels, and the mean of both within their classes."""
    top, bottom = order(scores, levels, 3, 2), order(scores, levels, 1, 0)
    return {WITHIN: (top + bottom) / 2, "3 above 2": top, RELATED: order(scores, levels, 2, 1), "1 above 0": bottom}


def retrieval(method: Method, train: Dataset, test: Dataset, *, relevance: Tensor) -> dict[str, float]:
    """How the passages of all unseen lists are ranked for each unseen query; gains are 2^level - 1."""
    z = evaluate.embed_views(method, test)
    query, passages = z[:, 0], z[:, 1:].flatten(0, 1)
    scores = F.normalize(query, dim=1) @ F.normalize(passages, dim=1).T
    return orders(scores, relevance) | {NDCG: evaluate.ndcg(query, passages, 2**relevance - 1, 10)}


def networks(_: Dataset) -> Networks:
    """32-64-32 and no head."""
    return MLP([FEATURES, 64, 32], batch_norm=False), nn.Identity()


def started(method: Method) -> Networks:
    """Copies of what a method has learned."""
    return copy.deepcopy(method.encoder), copy.deepcopy(method.head)


def plan(settings: Mapping[str, Any], **common: Any) -> dict[str, Entry]:
    """InfoNCE on binary labels, and both list-wise losses on the levels.

    common: of each entry.
    """
    common |= {"settings": settings, "passages": PASSAGES, "temperature": TAU}
    return {
        "InfoNCE": Entry("info_nce", form=BinaryLists, **common),
        "Wasserstein": Entry("listwise_wasserstein", form=GradedLists, **common),
        "KL": Entry("listwise_kl", form=GradedLists, **common),
    }


def small(seed: int, lists: int, epochs: int, batch_size: int) -> list[Row]:
    """All on lists of two attributes, some with queries at the wrong list; then on lists of plain similarity."""
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": 3e-3}
    half = {**settings, "epochs": max(epochs // 2, 1)}
    common: dict[str, Any] = {"networks": networks, "augment": Looks(seed)}

    def rows(made: World, entries: Mapping[str, Entry]) -> tuple[list[Row], dict[str, Method]]:
        measure = partial(retrieval, relevance=made.relevance)
        found = compare(entries, made.train, made.test, (measure,), seed=seed)
        return found.rows, found.methods

    two = worlds.attributes(seed, lists)
    shifted = plan(settings, shift=1, **common)
    entries = {
        **baselines(n_views=1 + PASSAGES, **common),
        **plan(settings, **common),
        "Wasserstein, wrong lists": shifted["Wasserstein"],
        "KL, wrong lists": shifted["KL"],
    }
    found, _ = rows(two, entries)
    start, methods = rows(two, {"InfoNCE, half": plan(half, **common)["InfoNCE"]})
    common["networks"] = lambda _: started(methods["InfoNCE, half"])
    warm, _ = rows(two, {"InfoNCE, then Wasserstein": plan(half, **common)["Wasserstein"]})
    common["networks"] = networks
    plain, _ = rows(worlds.similarity(seed, lists), plan(settings, **common))
    return found + start + warm + [{**row, "method": f"{row['method']}, plain similarity"} for row in plain]


def as_they_are(x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
    """The sides of a list (B, 1 + K, L) as its views."""
    return x


def ranking(method: Method, train: Dataset, pairs: Dataset) -> dict[str, float]:
    """How each sentence of SICK's pairs ranks its partners, by the levels of what people said."""
    query, listed, levels = worlds.partners(pairs)
    scores = torch.einsum("qd,qpd->qp", directions(method, query[:, None])[:, 0], directions(method, listed))
    return orders(scores, levels)


def read(seed: int, epochs: int, batch_size: int) -> list[Row]:
    """A retriever learns from captions without a grade, then each loss goes on from it, on SICK's graded lists."""
    pairs, images = sentences.SICK.load("test"), sentences.MULTI30K.load("train")
    agrees = partial(agreement, captions=sentences.MULTI30K.load("test"), sets=sentences.STS.load("test"))
    entries = retrievers("retriever", {"epochs": 3, "batch_size": 256, "lr": 3e-3})
    found = compare(entries, images, pairs, (ranking, agrees), seed=seed)
    start = found.methods["retriever"]
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": 1e-3}
    graded = plan(settings, networks=lambda _: started(start), augment=as_they_are, data=worlds.judged(seed))
    return found.rows + compare(graded, images, pairs, (ranking, agrees), seed=seed).rows


def run(seed: int, *, text: bool = False, lists: int = 400, epochs: int = 14, batch_size: int = 8) -> list[Row]:
    """The losses on generated lists, or with `text` on sentences whose likeness people graded."""
    return read(seed, epochs, batch_size) if text else small(seed, lists, epochs, batch_size)


STUDY = Study(
    paper=PAPER,
    about="A list of passages of several levels says more than which of them is relevant: the shares that a batch of "
    "queries gives to passages are brought near those of the levels, both seen as Gaussians. (Real lists are made of "
    "pairs that people graded, not of documents that a language model wrote. Levels are SICK's scores in four equal "
    "steps, captions of other images fill lists up, and a mean of word vectors, trained on captions first, stands for "
    "Contriever: reconstructions. A start by InfoNCE of twice the steps did not help either, on two seeds; before "
    "training, queries are nearer to their own lists already. Lists whose passages have set similarities suit levels; "
    "with passages at random, on two seeds, Wasserstein ranked as InfoNCE or a little worse. On sentences all three "
    "losses are within two points of rank correlation: levels win on SICK, whose pairs they grade, InfoNCE on STS.)",
    claims=(
        Claim("Within the classes of binary labels, Wasserstein orders passages better than InfoNCE.", WITHIN,
              "Wasserstein", "higher", "InfoNCE", margin=0.1),
        Claim("It ranks all passages better.", NDCG, "Wasserstein", "higher", "InfoNCE"),
        Claim("InfoNCE orders better what its binary labels tell apart: level 2 above level 1.", RELATED, "InfoNCE",
              "higher", "Wasserstein", margin=0.1, negative=True),
        Claim("On the same levels, row by row, KL orders within classes as well.", WITHIN, "KL", "equal",
              "Wasserstein", margin=0.05, negative=True),
        Claim("KL ranks all passages as well.", NDCG, "KL", "equal", "Wasserstein", margin=0.02, negative=True),
        Claim("It is never told whose list is whose: with queries at wrong lists of the batch it learns as much.",
              WITHIN, "Wasserstein, wrong lists", "equal", "Wasserstein", margin=0.03),
        Claim("KL learns to rank only from the right lists.", NDCG, "KL, wrong lists", "lower", "KL", margin=0.2),
        Claim("From a random start it is weak: after a start by InfoNCE it ranks better.", NDCG,
              "InfoNCE, then Wasserstein", "higher", "Wasserstein"),
        Claim("Where relevance is plain similarity, it ranks worse than InfoNCE.", NDCG,
              "Wasserstein, plain similarity", "lower", "InfoNCE, plain similarity", negative=True),
        Claim("It orders within classes better than an untrained encoder.", WITHIN, "Wasserstein", "higher",
              "untrained encoder", margin=0.1),
        Claim("Sentences: within the classes of binary labels it orders better than InfoNCE.", WITHIN, "Wasserstein",
              "higher", "InfoNCE", margin=0.02, preset="real"),
        Claim("It agrees with people about SICK's pairs more than InfoNCE does.", GRADES, "Wasserstein", "higher",
              "InfoNCE", preset="real"),
        Claim("It agrees with them more than the retriever that it starts from.", GRADES, "Wasserstein", "higher",
              "retriever", margin=0.02, preset="real"),
        Claim("Row by row, KL agrees with them as well.", GRADES, "KL", "equal", "Wasserstein", margin=0.02,
              negative=True, preset="real"),
        Claim("On STS, of which it has seen nothing, it agrees more than InfoNCE, too.", SETS, "Wasserstein", "higher",
              "InfoNCE", preset="real"),
        Claim("A caption finds another of its image more often than by the retriever.", FOUND, "Wasserstein",
              "higher", "retriever", preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [WITHIN, GRADES] if GRADES in rows else [WITHIN, RELATED, NDCG]),
    presets={
        "smoke": {"lists": 64, "epochs": 1},
        "real": {"text": True, "epochs": 4, "batch_size": 16},
    },
)  # fmt: skip
