"""Hard negative mixing (MoCHi, Kalantidis et al. 2020): negatives made from the hardest ones in the queue."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.claims.bench import Entry, baselines, compare, splits
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.losses.mochi import draw_mixes, mix_hard_negatives
from cl_explore.methods import Embedded, MomentumContrast, Step, gather
from cl_explore.papers.mochi import PAPER
from cl_explore.train import Run

SETTINGS = ((0, 0, 0), (64, 64, 0), (64, 64, 16), (16, 64, 64))  # hardest, pair mixes, query mixes
HIT, HIT_REAL = "proxy top-1", "proxy top-1, real negatives"


class HardMixing(MomentumContrast):
    """MoCo whose queries also meet mixtures of their `hardest` queued negatives: `pairs` of two, `queries` with the
    query itself; none during the first `warmup` steps. With pairs = queries = 0 it is MoCo."""

    queue: losses.Queue
    steps: Tensor

    def __init__(self, *parts: Any, mixes: tuple[int, int, int], warmup: int, **options: Any) -> None:
        """parts, options: see `MomentumContrast`."""
        super().__init__(*parts, **options)
        self.mixes, self.warmup = mixes, warmup
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def compare(self, embedded: Embedded) -> Step:
        """The loss of one view as query against the other as key; metrics: how often the key is nearer than all."""
        query = F.normalize(embedded.z[:, 0], dim=1)
        (key,) = gather(F.normalize(self.copy(embedded.views[:, 1]), dim=1))
        self._newest = key, embedded.labels
        hardest, pairs, queries = self.mixes
        synthetic = None
        if pairs + queries and self.steps >= self.warmup:
            recipe = draw_mixes(len(query), hardest=hardest, pairs=pairs, queries=queries, generator=embedded.generator)
            synthetic = mix_hard_negatives(query, self.queue.rows, recipe)
        loss = losses.mochi(query, key, self.queue.rows, synthetic, **self.knobs)
        with torch.no_grad():
            positive = (query * key).sum(1)
            real = positive > (query @ self.queue.rows.T).amax(1)
            hit = real if synthetic is None else real & (positive > (synthetic @ query[..., None]).amax((1, 2)))
        return Step(loss, {HIT: hit.float().mean(), HIT_REAL: real.float().mean()})

    def after_step(self) -> None:
        """As `MomentumContrast`, and count the steps."""
        super().after_step()
        self.steps += 1

    def extra_repr(self) -> str:
        return f"mixes={self.mixes}, warmup={self.warmup}, {super().extra_repr()}"


def plan(samples: int, epochs: int = 25) -> dict[str, Entry]:
    """MoCo and MoCHi(hardest, pairs, queries) in three strengths, which mix nothing in the first 16 % of the steps."""
    entry = partial(Entry, "mochi", form=HardMixing, settings={"epochs": epochs, "batch_size": 64}, queue=512)
    warmup = epochs * (samples // 64) * 4 // 25
    mixing = {
        "MoCHi({}, {}, {})".format(*mixes) if any(mixes) else "MoCo": entry(mixes=mixes, warmup=warmup)
        for mixes in SETTINGS
    }
    return {**baselines(), **mixing}


def proxy(run: Run) -> dict[str, float]:
    """How often the key is nearer than all negatives, in the last epoch."""
    last = run.history[run.history["epoch"] == run.history["epoch"].max()]
    return {name: float(last[name].mean()) for name in (HIT, HIT_REAL)}


def run(seed: int, *, dataset: str = "digits", samples: int | None = None, epochs: int = 25) -> list[Row]:
    """The plan, with the accuracies of the proxy task."""
    train, test = splits(dataset, samples)
    rows, _, runs = compare(plan(len(train), epochs), train, test, seed=seed)
    return [{**row, **(proxy(runs[row["method"]]) if row["method"] in runs else {})} for row in rows]


STUDY = Study(
    paper=PAPER,
    about="Negatives mixed from the hardest ones in the queue, and from them and the query, make the proxy task harder "
    "and spread the embeddings more.",
    claims=(
        Claim("Mixing pairs spreads the embeddings more than MoCo.", "−uniformity", "MoCHi(64, 64, 0)", "higher",
              "MoCo"),
        Claim("Mixing with the query as well spreads them more than MoCo.", "−uniformity", "MoCHi(64, 64, 16)",
              "higher", "MoCo"),
        Claim("Mixing fewer and harder ones spreads them more than MoCo.", "−uniformity", "MoCHi(16, 64, 64)", "higher",
              "MoCo"),
        Claim("The proxy task gets harder with pair mixes.", HIT, "MoCHi(64, 64, 0)", "lower", "MoCo"),
        Claim("It gets harder still with query mixes.", HIT, "MoCHi(64, 64, 16)", "lower", "MoCHi(64, 64, 0)"),
        Claim("Against real negatives alone it is as easy as before.", HIT_REAL, "MoCHi(64, 64, 16)", "equal", "MoCo",
              margin=0.02),
        Claim("Nearest neighbours on h are no better for it.", "kNN h", "MoCHi(64, 64, 16)", "equal", "MoCo",
              margin=0.01,
              negative=True),
    ),
    run=run,
    draw=lambda rows: dots(rows, ["−uniformity", HIT, "kNN h"]),
    presets={"smoke": {"epochs": 2}, "real": {"dataset": "cifar10", "epochs": 200}},
)  # fmt: skip
