"""Linear evaluation as papers do it: a classifier on the frozen encoder, trained by SGD on augmented images."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from cl_explore.data import Dataset
from cl_explore.data.batch import each
from cl_explore.evaluate.embedding import device_of, embed, frozen
from cl_explore.given import require_finite
from cl_explore.takes import Count, Positive, Seed, takes
from cl_explore.views.draw import draw_views

DECAY = {0.6: 0.2, 0.75: 0.2, 0.9: 0.2}
"""By how much the learning rate falls after which share of the epochs."""
HELD_OUT = 0.1
"""Share of each class of the training part on which the learning rate is chosen."""


@dataclass(frozen=True)
class LinearProbe:
    """How well a linear classifier does on the test part.

    accuracy: after the last epoch
    history: after each epoch
    lr: its learning rate
    held_out: accuracy on the held-out part of the training part, by learning rate; empty if there was none to choose
    """

    accuracy: float
    history: tuple[float, ...]
    lr: float
    held_out: dict[float, float] = field(default_factory=dict)


@takes
def linear_probe(
    method: nn.Module,
    train: Dataset,
    test: Dataset,
    *,
    lr: Positive | Sequence[Positive] = 5.0,
    augment: Callable[[Tensor, torch.Generator, int], Tensor] | None = None,
    epochs: Count = 100,
    batch_size: Count = 512,
    seed: Seed = 0,
    progress: bool = True,
) -> LinearProbe:
    """Train a linear classifier of h by SGD (momentum 0.9, no weight decay, lr x 0.2 at 60, 75 and 90 % of the epochs).

    augment: views of each training image, drawn anew each epoch; None takes the images as they are, embedded once
    lr: one, as published for a method, or several, of which the best on a held-out tenth of each class of the training
        part is taken and trained again on all of it
    Source: the SupContrast code (Khosla et al. 2020, 2004.11362), also used for VarCon (2506.07413)
    Raises: ValueError for unlabelled data, settings out of range or representations that are not finite,
        FloatingPointError if the classifier diverges
    Note: the test part decides nothing; papers that report the best epoch on it report max(history), which is higher.
    """
    rates = [lr] if isinstance(lr, float) else list(lr)
    if not rates:
        raise ValueError("lr must be positive, one or several, got none")
    for name, part in {"train": train, "test": test}.items():
        if part.labels.min() < 0:
            raise ValueError(f"{name} must be labelled throughout, got labels of -1")
    run = _Training(method, augment, epochs, batch_size, seed, progress)
    held_out: dict[float, float] = {}
    if len(rates) > 1:
        held = _held_out(train, seed)
        scores = run.scores(train.subset(~held), train.subset(held), rates)
        held_out = dict(zip(rates, list(scores)[-1], strict=True))
        rates = [max(held_out, key=lambda rate: held_out[rate])]
    history = tuple(score for (score,) in run.scores(train, test, rates))
    return LinearProbe(history[-1], history, rates[0], held_out)


@dataclass(frozen=True)
class _Training:
    method: nn.Module
    augment: Callable[[Tensor, torch.Generator, int], Tensor] | None
    epochs: int
    batch_size: int
    seed: int
    progress: bool

    def scores(self, train: Dataset, test: Dataset, rates: list[float]) -> Iterator[list[float]]:
        """After each epoch the accuracy on `test` of one classifier for each learning rate; they share the features."""
        device = device_of(self.method)
        seen = embed(self.method, test)
        require_finite("the representation of test", seen.h)
        h_test, y_test = seen.h.to(device), seen.labels.to(device)
        features, labels = self._features(train, device), train.labels.to(device)
        order = torch.Generator().manual_seed(self.seed)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)  # torch.manual_seed would seed those of all GPUs, too
            first = nn.Linear(h_test.shape[1], train.num_classes, device="cpu", dtype=h_test.dtype)
        heads = [copy.deepcopy(first).to(device) for _ in rates]
        groups = [{"params": head.parameters(), "lr": rate} for head, rate in zip(heads, rates, strict=True)]
        descent = torch.optim.SGD(groups, lr=0.0, momentum=0.9)
        for epoch in tqdm(range(self.epochs), desc="linear probe", unit="epoch", disable=not self.progress):
            factor = _factor(epoch / self.epochs)
            for group, rate in zip(descent.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            drawn = torch.randperm(len(train), generator=order, device="cpu")
            parts = (rows.split(self.batch_size) for rows in (drawn, drawn.to(device)))
            for rows, there in zip(*parts, strict=True):
                h, y = features(rows, there), labels[there]
                # the sum over classifiers: each has the gradient of its own mean
                loss = torch.stack([F.cross_entropy(head(h), y) for head in heads]).sum()
                descent.zero_grad()
                loss.backward()
                descent.step()
            with torch.no_grad():
                scores = [(head(h_test).argmax(1) == y_test).float().mean() for head in heads]
            if len(heads) == 1 and not heads[0].weight.isfinite().all():
                raise FloatingPointError(f"the linear probe diverged in epoch {epoch + 1}: lr {rates[0]} is too large")
            yield torch.stack(scores).tolist()

    def _features(self, train: Dataset, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
        """From row numbers (B,), on the CPU and on the device, to representations (B, H): of views if augmented."""
        augment = self.augment
        if augment is None:
            h = embed(self.method, train).h.to(device)
            require_finite("the representation of train", h)
            return lambda rows, there: h[there]
        views = torch.Generator(device).manual_seed(self.seed)

        def of_views(rows: Tensor, there: Tensor) -> Tensor:
            x = draw_views(augment, train.batch(rows, device).x, views, 1)
            with frozen(self.method):
                return self.method(each(lambda part: part[:, 0], x)).float()

        return of_views


def _factor(share: float) -> float:
    factor = 1.0
    for moment, fall in DECAY.items():
        if share >= moment:
            factor *= fall
    return factor


def _held_out(train: Dataset, seed: int) -> Tensor:
    """A mask (N,) of a tenth of each class, at least one sample of those that have two."""
    labels = train.labels.cpu()
    held = torch.zeros(len(train), dtype=torch.bool)
    shuffled = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    for c in labels.unique():
        rows = shuffled[labels[shuffled] == c]
        held[rows[: min(len(rows) - 1, max(1, round(HELD_OUT * len(rows))))]] = True
    return held
