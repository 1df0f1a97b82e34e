"""Hard negative mixing (MoCHi, Kalantidis et al. 2020): negatives made from the hardest ones in the queue."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.claims.figures import dots
from cl_explore.claims.setting import build, measures, splits, weak_views
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Batch, Dataset
from cl_explore.losses.mochi import draw_mixes, mix_hard_negatives
from cl_explore.methods import Augment, Method, Step
from cl_explore.nn import Momentum
from cl_explore.papers.mochi import PAPER
from cl_explore.train import fit

SETTINGS = ((0, 0, 0), (64, 64, 0), (64, 64, 16), (16, 64, 64))  # hardest, pair mixes, query mixes
HIT, HIT_REAL = "proxy top-1", "proxy top-1, real negatives"


class HardMixing(Method):
    """MoCo whose queries also meet mixtures of their `hardest` queued negatives: `pairs` of two, `queries` with the
    query itself; none during the first `warmup` steps. With pairs = queries = 0 it is MoCo."""

    steps: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        augment: Augment,
        *,
        mixes: tuple[int, int, int],
        warmup: int,
        size: int = 512,
        dimensions: int = 32,
        decay: float = 0.99,
        temperature: float = 0.2,
    ) -> None:
        super().__init__(encoder, head, augment)
        self.mixes, self.warmup = mixes, warmup
        self.knobs = {"temperature": temperature}
        self.copy = Momentum(nn.Sequential(encoder, head), decay)
        self.queue = losses.Queue(size, dimensions)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """The loss of one view as query against the other as key; metrics: how often the key is nearer than all."""
        views = self.augment(batch.x, generator, 2)
        query = F.normalize(self.project(self(views[:, 0])), dim=1)
        self._key = F.normalize(self.copy(views[:, 1]), dim=1)
        hardest, pairs, queries = self.mixes
        synthetic = None
        if pairs + queries and self.steps >= self.warmup:
            recipe = draw_mixes(len(query), hardest=hardest, pairs=pairs, queries=queries, generator=generator)
            synthetic = mix_hard_negatives(query, self.queue.rows, recipe)
        loss = losses.mochi(query, self._key, self.queue.rows, synthetic, **self.knobs)
        with torch.no_grad():
            positive = (query * self._key).sum(1)
            real = positive > (query @ self.queue.rows.T).amax(1)
            hit = real if synthetic is None else real & (positive > (synthetic @ query[..., None]).amax((1, 2)))
        return Step(loss, {HIT: hit.float().mean(), HIT_REAL: real.float().mean()})

    def after_step(self) -> None:
        """Queue the keys of the step, and move the momentum copy."""
        self.queue.enqueue(self._key)
        self.copy.update()
        self.steps += 1

    def extra_repr(self) -> str:
        return f"mixes={self.mixes}, warmup={self.warmup}, {self.knobs}, augment={self.augment!r}"


def mixing(train: Dataset, seed: int, mixes: tuple[int, int, int], warmup: int) -> HardMixing:
    """The method on the networks of `seed`; the queue starts from random directions of the same seed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return HardMixing(*build(train, seed), weak_views(train), mixes=mixes, warmup=warmup)


def run(seed: int, *, dataset: str = "digits", samples: int | None = None, epochs: int = 25) -> list[Row]:
    """MoCo and MoCHi(hardest, pairs, queries) in three strengths; the proxy accuracies are those of the last epoch."""
    train, test = splits(dataset, samples)
    rows: list[Row] = []
    for mixes in SETTINGS:
        method = mixing(train, seed, mixes, warmup=epochs * (len(train) // 64) * 4 // 25)
        trained = fit(method, train, epochs=epochs, batch_size=64, seed=seed, snapshots=0, progress=False)
        last = trained.history[trained.history["epoch"] == epochs]
        name = "MoCHi({}, {}, {})".format(*mixes) if any(mixes) else "MoCo"
        proxy = {key: float(last[key].mean()) for key in (HIT, HIT_REAL)}
        rows.append({"method": name, **proxy, **measures(trained, train, test)})
    return rows


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
