"""The bench: it trains a plan of methods from equal weights on equal batches, and gives one row a method."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from cl_explore import data, losses
from cl_explore.claims.measures import usual
from cl_explore.claims.study import Row
from cl_explore.data import Dataset, Modality
from cl_explore.methods import Augment, JointEmbedding, Method
from cl_explore.methods.skeleton import width
from cl_explore.nn import projection_head
from cl_explore.train import Run, fit
from cl_explore.train.ranks import make_fabric

Measure = Callable[[Method, Dataset, Dataset], Mapping[str, Any]]
"""measure(method, train, test) -> columns of the method's row."""
Networks = Callable[[Dataset], tuple[Any, Any]]
"""networks(train) -> encoder and head, drawn from torch's global generator; for several parts dictionaries by name."""


def splits(name: str, samples: int | None = None, **options: object) -> tuple[Dataset, Dataset]:
    """The train and test part of a data set, each cut to its first `samples` of a fixed shuffle if that is given."""
    parts = []
    for split in ("train", "test"):
        part = data.load(name, split, **options)
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))
        parts.append(part if samples is None else part.subset(order[:samples].sort().values))
    return parts[0], parts[1]


def modality(train: Dataset) -> Modality:
    """The kind of the samples, which has defaults; ValueError if they have several parts."""
    if isinstance(train.modality, dict):
        raise ValueError(f"networks and augment must be given for samples of parts: {', '.join(train.modality)}")
    return train.modality


def small(train: Dataset, embedding: int = 32) -> tuple[nn.Module, nn.Module]:
    """The default encoder for such samples, and a head of two layers to `embedding` dimensions."""
    encoder = modality(train).encoder(train.x)
    return encoder, projection_head(width(encoder), width(encoder), embedding)


class Entry:
    """A method of a plan, and all that decides how it is trained but the seed and the training part."""

    def __init__(
        self,
        loss: str | losses.Loss | nn.Module,
        *,
        settings: Mapping[str, Any] | None,
        form: Callable[..., Method] = JointEmbedding,
        networks: Networks = small,
        augment: Augment | Mapping[str, Augment] | None = None,
        data: Dataset | None = None,
        about: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """What this method has of its own.

        loss: of the catalogue, by name, or a module with state, of which a copy is trained.
        settings: of `train.fit`; None leaves the method as it starts.
        form: form(encoder, head, loss, augment, **options) -> Method; a skeleton or a subclass of one.
        networks: its encoder and head.
        augment: its views, by name for samples of several parts; if left out, the weak ones for such samples.
        data: what it is trained on, if that is not the training part.
        about: further columns of its row.
        options: knobs of the loss, `n_views` and whatever else the form takes.
        """
        self.loss, self.settings, self.form, self.networks = loss, settings, form, networks
        self.augment, self.data, self.about, self.options = augment, data, about or {}, options

    def build(self, train: Dataset, seed: int) -> Method:
        """The method before its first step; `seed` alone decides its weights, which are the same for equal networks.

        The global random state is left as it was.
        """
        augment = modality(train).weak(train.x) if self.augment is None else self.augment
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            with torch.random.fork_rng([]):  # what a form draws does not depend on what the networks drew
                encoder, head = self.networks(train)
            return self.form(encoder, head, copy.deepcopy(self.loss), augment, **self.options)


def baselines(**common: Any) -> dict[str, Entry]:
    """Entries for the two rows that trained numbers stand beside: the raw input, and the encoder before training.

    common: of `Entry`, as the plan's other entries have it (networks, augment, ...).
    """
    untrained = {**common, "settings": None}
    raw = {**untrained, "networks": lambda train: (nn.Flatten(), nn.Identity())}
    return {"raw input": Entry("nt_xent", **raw), "untrained encoder": Entry("nt_xent", **untrained)}


class Comparison(NamedTuple):
    """What became of a plan.

    rows: one for each method: its name under "method", what its entry says about it, the measures, and "seconds", how
        long it was trained (also if the run was in the store).
    methods: by name, trained.
    runs: by name, of those that were trained.
    """

    rows: list[Row]
    methods: dict[str, Method]
    runs: dict[str, Run]


def compare(
    plan: Mapping[str, Entry],
    train: Dataset,
    test: Dataset,
    measures: Sequence[Measure] = (usual,),
    *,
    seed: int,
    progress: bool = False,
) -> Comparison:
    """Train every method of the plan, from the weights of `seed` and on the same batches, and measure it.

    measures: each adds its columns to the rows, in this order.

    >>> train, test = splits("digits", samples=256)
    >>> plan = {**baselines(), "SimCLR": Entry("nt_xent", settings={"epochs": 1}, temperature=0.5)}
    >>> [row["method"] for row in compare(plan, train, test, seed=0).rows]
    ['raw input', 'untrained encoder', 'SimCLR']
    """
    found = Comparison([], {}, {})
    for name, entry in plan.items():
        seen = train if entry.data is None else entry.data
        method = found.methods[name] = entry.build(seen, seed)
        if entry.settings is None:
            method.to(make_fabric("auto", "32-true").device).eval()
        else:
            settings = {"snapshots": 0, "progress": progress, **entry.settings}
            found.runs[name] = fit(method, seen, seed=seed, **settings)
        row: Row = {"method": name, **entry.about}
        for measure in measures:
            row |= measure(method, train, test)
        row["seconds"] = float(found.runs[name].history["seconds"].iloc[-1]) if name in found.runs else 0.0
        found.rows.append(row)
    return found


def table(found: Mapping[int, Comparison]) -> pd.DataFrame:
    """The rows of comparisons by seed, as one table with a column "seed"."""
    return pd.DataFrame([{"seed": seed, **row} for seed, each in found.items() for row in each.rows])
