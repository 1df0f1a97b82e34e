"""Sentences that people graded: what learns from captions of one image, and whether its cosines agree with people."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import evaluate
from cl_explore.claims.bench import Entry
from cl_explore.data import Dataset
from cl_explore.data.sentences import WORDS, two_captions
from cl_explore.evaluate.embedding import device_of
from cl_explore.methods import Method
from cl_explore.nn import BagOfTokens

GRADES, SETS, FOUND = "SICK, rank correlation", "STS, rank correlation", "caption found, R@10"


def bag(_: Dataset, features: int = 64) -> tuple[nn.Module, nn.Module]:
    """The mean of a vector for each word, and no head."""
    return BagOfTokens(2 + WORDS, features), nn.Identity()


def retrievers(name: str, settings: Mapping[str, Any]) -> dict[str, Entry]:
    """Random codes of words, an untrained mean of vectors, and, under this name, one that learns from captions."""
    common: dict[str, Any] = {"augment": two_captions, "temperature": 0.05}
    return {
        "raw words": Entry("info_nce", settings=None, networks=partial(bag, features=1024), **common),
        "untrained encoder": Entry("info_nce", settings=None, networks=bag, **common),
        name: Entry("info_nce", settings=settings, networks=bag, **common),
    }


@torch.no_grad()
def directions(method: Method, x: Tensor) -> Tensor:
    """Unit vectors (N, S, D) of sentences x (N, S, L)."""
    device = device_of(method)
    z = torch.cat([method.encode(part.flatten(0, 1).to(device))[1].cpu() for part in x.split(4096)])
    return F.normalize(z.unflatten(0, x.shape[:2]), dim=2)


def agreement(method: Method, train: Dataset, pairs: Dataset, *, captions: Dataset, sets: Dataset) -> dict[str, float]:
    """How cosines agree with what people said of pairs of sentences, and whether captions find their image's.

    pairs: those of SICK. sets: those of STS, of which the figure is the mean over sets.
    captions: five of each image; the first is to find the second.
    """
    from scipy import stats  # half a second, which those who only train need not wait for

    cosine, judged = (directions(method, part.x).prod(1).sum(1) for part in (pairs, sets))
    of_sets = [
        stats.spearmanr(judged[sets.labels == place], sets.factors["score"][sets.labels == place]).statistic
        for place in range(sets.num_classes)
    ]
    first, second = directions(method, captions.x[:, :2]).unbind(1)
    return {
        GRADES: float(stats.spearmanr(cosine, pairs.factors["score"]).statistic),
        SETS: float(sum(of_sets) / len(of_sets)),
        FOUND: evaluate.recall(first, second, 10),
    }
