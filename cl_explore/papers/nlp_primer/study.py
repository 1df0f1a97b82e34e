"""Texts beside texts, or beside labels: what becomes of a "not" that words left out cannot see."""

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, baselines, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.graded import FOUND, GRADES, SETS, agreement, directions, retrievers
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.data.sentences import JUDGED, MULTI30K, SICK, STS
from cl_explore.methods import Method
from cl_explore.nn import MLP, BagOfTokens
from cl_explore.papers.nlp_primer import PAPER
from cl_explore.papers.nlp_primer.method import TextLabel
from cl_explore.papers.nlp_primer.world import BAD, GOOD, VOCABULARY, Removed, World, dropped, negated, negations

POLARITY, TOPIC, ZERO_SHOT = "polarity, 100 labels", "topic, 100 labels", "polarity, zero-shot"
NEIGHBOUR, TWIN = "nearest neighbour agrees", "cosine with the opposite"
TEXTS, RANKING, BINARY, SHORT = "text-text", "text-label, ranking", "text-label, binary", "text-label, a third of steps"
SENSE = "entailment above contradiction, AUC"
CAPTIONS = "captions of one image"
LABELS, WIDTH = 100, 32
Networks = tuple[nn.Module, nn.Module]


def networks(_: Dataset) -> Networks:
    """The mean of 32 numbers for each word, then 32-64-32, and no head."""
    return nn.Sequential(BagOfTokens(VOCABULARY, WIDTH), MLP([WIDTH, 64, WIDTH], batch_norm=False)), nn.Identity()


def words(_: Dataset) -> Networks:
    """How often each word is in a text, as a share of its words."""
    bag = BagOfTokens(VOCABULARY, VOCABULARY)
    with torch.no_grad():
        bag.weight.copy_(torch.eye(VOCABULARY))
    return bag, nn.Identity()


def beside_labels(*parts: Any, vocabulary: int = VOCABULARY, features: int = WIDTH, **options: Any) -> TextLabel:
    """Texts beside one of their words, each with a vector of its own as a label."""
    return TextLabel(*parts, labels=BagOfTokens(vocabulary, features), **options)


def plan(epochs: int, batch_size: int, drop: float = 0.3, **common: Any) -> dict[str, Entry]:
    """Text-text InfoNCE of words left out, and both objectives of texts beside words taken out of them."""
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": 3e-3}
    label: dict[str, Any] = {"form": beside_labels, "augment": Removed(), **common}
    return {
        TEXTS: Entry("info_nce", settings=settings, augment=dropped(drop), temperature=0.1, **common),
        RANKING: Entry("label_nce", settings=settings, **label),
        BINARY: Entry("label_nce", settings=settings, objective="binary", sampled=8, **label),
    }


def spoken(method: Method, *_: Dataset, world: World) -> dict[str, float]:
    """What the texts' vectors say of polarity and topic: to a probe of 100 labels, and by their nearest neighbour."""
    seen, unseen = (evaluate.embed(method, part).h for part in (world.seen, world.unseen))
    with torch.no_grad():
        device = next(iter(method.parameters()), torch.zeros(())).device
        opposite = method(negated(world.unseen.x).to(device)).float().cpu()
    found = {}
    for name, of in ((POLARITY, lambda part: part.labels), (TOPIC, lambda part: part.factors["topic"])):
        known = of(world.seen)[:LABELS]
        found[name] = evaluate.linear_accuracy(seen[:LABELS], known, unseen, of(world.unseen))
    found[NEIGHBOUR] = evaluate.knn_accuracy(seen, world.seen.labels, unseen, world.unseen.labels, k=1)
    found[TWIN] = F.cosine_similarity(unseen, opposite).mean().item()
    return found


def zero_shot(method: Method, *_: Dataset, world: World) -> dict[str, float]:
    """How often the verdict words of the right polarity score higher; nothing of a method without labels."""
    if not isinstance(method, TextLabel):
        return {}
    with torch.no_grad():
        device = next(method.parameters()).device
        verdicts = torch.tensor([BAD, GOOD]).view(-1, 1).to(device)
        scores = method.score(world.unseen.x.to(device), verdicts).unflatten(1, (2, -1)).mean(2)
    return {ZERO_SHOT: (scores.argmax(1).cpu() == world.unseen.labels).double().mean().item()}


def sense(method: Method, train: Dataset, pairs: Dataset) -> dict[str, float]:
    """How often the cosine of a pair of SICK that entails exceeds that of a pair that contradicts: an AUC."""
    from scipy import stats  # half a second, which those who only train need not wait for

    cosine = directions(method, pairs.x).prod(1).sum(1)
    against, follows = (cosine[pairs.labels == JUDGED.index(name)] for name in ("CONTRADICTION", "ENTAILMENT"))
    return {SENSE: float(stats.mannwhitneyu(follows, against).statistic / (len(follows) * len(against)))}


def sentences(seed: int, epochs: int, batch_size: int) -> list[Row]:
    """Random codes of words, an untrained mean of vectors, and one that learned from captions of one image."""
    images, pairs = MULTI30K.load("train"), SICK.load("test")
    agrees = partial(agreement, captions=MULTI30K.load("test"), sets=STS.load("test"))
    plan = retrievers(CAPTIONS, {"epochs": epochs, "batch_size": batch_size, "lr": 3e-3})
    return compare(plan, images, pairs, (agrees, sense), seed=seed).rows


def run(seed: int, *, captions: bool = False, texts: int = 1000, epochs: int = 47, batch_size: int = 64) -> list[Row]:
    """The three ways to learn from texts, one of them stopped after a third of its steps, and what none learned.

    captions: learn from captions of one image instead, and ask what people said of real sentences.
    """
    if captions:
        return sentences(seed, epochs, batch_size)
    world = negations(seed, texts)
    common: dict[str, Any] = {"networks": networks}
    entries = {
        **baselines(networks=networks, augment=dropped(0.3)),
        **plan(epochs, batch_size, **common),
        SHORT: plan(max(epochs // 3, 1), batch_size, **common)[RANKING],
    }
    entries["raw input"].networks = words
    measures = [partial(measure, world=world) for measure in (spoken, zero_shot)]
    return compare(entries, world.train, world.unseen, measures, seed=seed).rows


STUDY = Study(
    paper=PAPER,
    about="In a text one word can turn the meaning round. Where a text's positive is the text with words left out, the "
    "word that counts is left out too; where it is a word taken out of the text, a label, the encoder must say what "
    "fits. (The survey quotes no experiment: texts are made so that a single \"not\" says whether a good or a bad "
    "verdict follows, verdicts are taken away before anything is probed, and the survey's tables were not at hand. "
    "Real: a mean of word vectors learns from Multi30k's captions; raw words are random codes of 1024 numbers. Claims "
    "were set after the retriever of the paper listwise-wasserstein, which is alike, had been measured.)",
    claims=(
        Claim("Beside words taken out, a text's vector knows whether it says yes or no better than beside its "
              "augmented self.", POLARITY, RANKING, "higher", TEXTS, margin=0.2),
        Claim("Asked of each label by itself, yes or no, it still knows it better.", POLARITY, BINARY, "higher", TEXTS),
        Claim("A choice among all labels teaches it better than yes or no to eight of them.", POLARITY, RANKING,
              "higher", BINARY),
        Claim("The other way round for topics: text beside text finds them better.", TOPIC, RANKING, "lower", TEXTS,
              negative=True),
        Claim("Without any label, scores of verdict words tell polarity by the ranking.", ZERO_SHOT, RANKING, "higher",
              0.5, margin=0.4),
        Claim("They tell it by yes or no, too.", ZERO_SHOT, BINARY, "higher", 0.5, margin=0.2),
        Claim("It takes time: after a third of the steps polarity is known less well.", POLARITY, SHORT, "lower",
              RANKING, margin=0.05),
        Claim("Text beside text, the nearest neighbour says yes or no as chance would.", NEIGHBOUR, TEXTS, "equal", 0.5,
              margin=0.1),
        Claim("Beside labels, the nearest neighbour agrees far more often.", NEIGHBOUR, RANKING, "higher", TEXTS,
              margin=0.2),
        Claim("Text beside text, a text and its opposite lie nearer than beside labels.", TWIN, TEXTS, "higher",
              RANKING, margin=0.1),
        Claim("A probe of plain word counts knows polarity better than text beside text.", POLARITY, "raw input",
              "higher", TEXTS, margin=0.1, negative=True),
        Claim("Text beside text finds topics better than plain word counts.", TOPIC, TEXTS, "higher", "raw input"),
        Claim("Trained on captions, cosines agree with people about SICK's pairs more than raw words do.", GRADES,
              CAPTIONS, "higher", "raw words", margin=0.02, preset="real"),
        Claim("Yet they tell what follows from what contradicts no better than raw words, to 0.05.", SENSE, CAPTIONS,
              "equal", "raw words", margin=0.05, negative=True, preset="real"),
        Claim("A caption finds another of its image more often than by raw words.", FOUND, CAPTIONS, "higher",
              "raw words", margin=0.05, preset="real"),
        Claim("On STS, of which it has seen nothing, training agrees with people more than an untrained encoder.",
              SETS, CAPTIONS, "higher", "untrained encoder", margin=0.02, preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [GRADES, SENSE, FOUND] if GRADES in rows else [POLARITY, TOPIC, NEIGHBOUR]),
    presets={"smoke": {"texts": 128, "epochs": 2}, "real": {"captions": True, "epochs": 3, "batch_size": 256}},
)  # fmt: skip
